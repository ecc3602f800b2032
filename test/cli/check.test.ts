// seal check: no key, any folder, and no file that can stop it.
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, symlinkSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { canary, type GitDir, gitdir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const noKeys = (dir: GitDir): { env: Record<string, string> } => ({ env: { XDG_CONFIG_HOME: join(dir.home, "none") } });
const item = (name: string): string =>
  `- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: ${name}\n  stringData:\n    K: ${canary}\n`;

test("a repository in order gives no findings and exit 0, without any key", async () => {
  const dir = await sealedRepository();
  dir.write("deploy/prod/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n");
  const { stdout, stderr } = await succeed(dir.run(["check"], noKeys(dir)));
  expect([stdout, stderr]).toEqual(["", "checked: 2 sealed and in order, 0 refused, 0 not sealed\n"]);
});

describe("Secrets that are not sealed are found with their line", () => {
  const found: readonly [title: string, file: string, text: string, places: string[]][] = [
    ["alone", "a.yaml", manifest(), ["2:1"]],
    ["with server fields", "a.yaml", manifest({ annotations: "  creationTimestamp: null\n" }), ["2:1"]],
    ["in a shape that could not be sealed", "a.yaml", `${manifest()}extra: 1\n`, ["2:1"]],
    ["with duplicate keys", "a.yaml", `${manifest()}type: Opaque\n`, ["2:1"]],
    ["among several documents", "a.yml", `a: 1\n---\n${manifest()}--- # third\n${manifest()}`, ["4:1", "15:1"]],
    ["in a List", "a.yaml", `apiVersion: v1\nkind: List\nitems:\n${item("a")}${item("b")}`, ["5:3", "11:3"]],
    [
      "in a SecretList",
      "a.yaml",
      "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: a}\n  data: {K: YQ==}\n",
      ["2:1"],
    ],
    [
      "as JSON on one line",
      "a.json",
      JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "a" }, data: { K: "YQ==" } }),
      ["1:21"],
    ],
    [
      "as a JSON List",
      "a.json",
      JSON.stringify(
        { apiVersion: "v1", kind: "List", items: [{ apiVersion: "v1", kind: "Secret", data: { K: "YQ==" } }] },
        null,
        2,
      ),
      ["7:8"],
    ],
    ["quoted", "a.yaml", manifest().replace("kind: Secret", "'kind': \"Secret\""), ["2:2"]],
    ["with CRLF and a byte order mark", "a.yaml", `\ufeff${manifest().replaceAll("\n", "\r\n")}`, ["2:1"]],
    ["with a syntax error", "a.yaml", `${manifest()}  broken: [\n`, ["2:1"]],
  ];
  test.each(found)("%s", async (_, file, text, places) => {
    const dir = await sealedRepository();
    dir.write(file, text);
    const { code, stdout, stderr } = await dir.run(["check"], noKeys(dir));
    expect(
      stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => line.split(": ").slice(0, 2).join(" ")),
    ).toEqual(places.map((place) => `${file}:${place} not-sealed`));
    expect([code, stderr]).toEqual([1, expect.stringContaining("(check-failed)")]);
    expect(stdout + stderr).not.toContain(canary);
  });
});

describe("however a Secret is spelled, it is found", () => {
  const kind = (spelled: string): string => manifest().replace("kind: Secret", spelled);
  const inList = (spelled: string): string =>
    `apiVersion: v1\nkind: List\nitems:\n${item("a").replace("kind: Secret", spelled)}`;
  const spellings = [
    "kind: >-\n    Secret",
    "kind: # c\n    Secret",
    `kind: # ${"long ".repeat(100)}\n    Secret`,
    'kind: "Secr\\u0065t"',
    'kind: "Secr\\x65t"',
    'kind: "S\\U00000065cret"',
    '"k\\x69nd": Secret',
    'kind: "Sec\\\n    ret"',
    "kind: &k Secret",
    "kind: !!str Secret",
    "kind: !<tag:yaml.org,2002:str> Secret",
    "kind: !!binary U2VjcmV0",
    "kind:\n    Secret",
  ];
  const files: [title: string, text: string][] = [
    ...spellings.flatMap((spelled): [string, string][] => [
      [spelled, kind(spelled)],
      [`${spelled} in a List`, inList(spelled)],
      [`${spelled} behind another document`, `a: 1\n---\n${kind(spelled)}`],
      [`${spelled} in a file that no cluster takes whole`, `${"# padding\n".repeat(120_000)}${kind(spelled)}`],
    ]),
    ["? kind", kind("? kind\n: Secret")],
    ["? kind # c", kind(`? kind # ${"long ".repeat(100)}\n: Secret`)],
    ["an alias", `${kind("kind: *k")}`.replace("name: db", "name: &k Secret")],
    [
      "an alias for the key",
      kind("*k : Secret")
        .replace("name: db", "name: &k kind")
        .replace(/^(.*\n)(.*\n)(.*\n)(.*\n)(.*\n)/, "$1$3$4$5$2"),
    ],
    ["a List's item by an alias", inList("kind: *k").replace("name: a", "name: &k Secret")],
    ["stringData in escapes", manifest().replace("stringData:", '"string\\u0044ata":')],
    ["stringData with a comment", manifest().replace("stringData:", "? stringData # c\n:")],
    ["a second document without a marker", `a: 1\n...\n${manifest()}`],
    ["a second JSON document", '{"kind":"ConfigMap"}{"kind":"Secret","apiVersion":"v1","data":{"K":"YQ=="}}'],
    ["a List of another kind", inList("kind: Secret").replace("kind: List", "kind: ConfigMapList")],
  ];
  test.each(files)("%s", async (_, text) => {
    const dir = gitdir({ "a.yaml": text });
    const { code, stdout, stderr } = await dir.run(["check"]);
    expect([code, stdout]).toEqual([1, expect.stringMatching(/^a\.yaml:\d+:\d+: not-sealed: .*\n$/)]);
    expect(stderr).toContain("1 not sealed");
  });

  test("UTF-16, which kubectl reads", async () => {
    const dir = gitdir();
    dir.write("a.yaml", Buffer.from(`\ufeff${manifest()}`, "utf16le"));
    expect(await dir.run(["check"])).toMatchObject({ code: 1, stdout: expect.stringMatching(/^a\.yaml: not-utf8: /) });
  });

  test("a file too large to search", async () => {
    const dir = gitdir({ "a.yaml": "" });
    truncateSync(join(dir.path, "a.yaml"), 129 * 1024 * 1024);
    expect(await dir.run(["check"])).toMatchObject({ code: 1, stdout: expect.stringMatching(/^a\.yaml: too-large: /) });
  });

  test("a sealed file and a BoundSecret in escapes are checked, or refused", async () => {
    const dir = await sealedRepository();
    const staging = dir.read("deploy/staging/db.sealed.yaml");
    dir.write("deploy/prod/a.yaml", staging.replace(/^sops:/m, '"s\\u006fps":'));
    const wrapped = (await succeed(dir.run(["wrap", "deploy/staging/db.sealed.yaml"]))).stdout;
    dir.write("deploy/prod/b.yaml", wrapped.replace("kind: BoundSecret", 'kind: "Bound\\u0053ecret"'));
    const { code, stdout } = await dir.run(["check"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^deploy\/prod\/a\.yaml.*: environment-mismatch: .*\ndeploy\/prod\/b\.yaml: shape-invalid: .*\n$/,
    );
  });
});

describe("no finding", () => {
  test.each([
    [
      "a Secret without values",
      "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/service-account-token\n",
    ],
    [
      "another kind that begins alike",
      "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: a}\ndata: {a: b}\n",
    ],
    [
      "another kind that mentions one",
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  note: |\n    kind: Secret\n",
    ],
    [
      "a template that is not YAML",
      "apiVersion: v1\nkind: Secret\n{{- if .Values.x }}\ndata:\n  K: {{ .Values.k | b64enc }}\n{{- end }}\n",
    ],
    ["a file with syntax errors that is nothing of ours", "a: [\n"],
    ["a template of something else", "kind: Deployment\n{{- toYaml . }}\ndata: x\n"],
    ["an empty file", ""],
    ["bytes", "\u0000\u0001"],
  ])("for %s", async (_, text) => {
    const dir = gitdir({ "a.yaml": text });
    expect(await dir.run(["check"])).toMatchObject({ code: 0, stdout: "" });
  });

  test("for what Git ignores, in node_modules outside Git, or in a file that is no YAML by its name", async () => {
    const dir = gitdir({ ".gitignore": "*.plain.yaml\n", "a.plain.yaml": manifest(), "a.txt": manifest() });
    expect((await dir.run(["check"])).code).toBe(0);
    // Named itself, it is looked at all the same.
    expect((await dir.run(["check", "a.txt"])).code).toBe(1);
    renameSync(join(dir.path, ".git"), join(dir.home, "git"));
    dir.write("node_modules/x/a.yaml", manifest());
    expect((await dir.run(["check"])).stdout).toMatch(/^a\.plain\.yaml:2:1: not-sealed: .*\n$/);
  });
});

describe("templates", () => {
  const secret = (value: string, name = "db"): string =>
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\nstringData:\n  K: ${value}\n`;

  test.each([
    ["a value", secret("{{ .Values.k }}")],
    ["a condition", `{{- if .Values.x }}\n${secret("clear")}{{- end }}\n`],
    ["another document", `a: 1\n---\n${secret("{{ .Values.k | b64enc }}")}`],
  ])("one that is no YAML because of %s is listed as not checked", async (_, text) => {
    const dir = gitdir({ "chart/secret.yaml": text });
    expect(await dir.run(["check"])).toEqual({
      code: 0,
      stdout: "",
      stderr: expect.stringMatching(/\nnot checked, for they are templates: chart\/secret\.yaml\n$/),
    });
  });

  test.each([
    [secret('"{{ .Values.k }}"')],
    [secret("'{{ index .Values \"k\" | quote }}'")],
    [secret('"{{ .Values.k }}"', '"{{ .Release.Name }}-db"')],
    [secret('"{{ . }}"')],
    [secret('"{{ $k }}"').replace("stringData", "data")],
  ])("values that are nothing but actions are no finding: %j", async (text) => {
    expect(await gitdir({ "a.yaml": text }).run(["check"])).toMatchObject({ code: 0, stdout: "" });
  });

  test.each([
    [secret(`"{{ .Values.user }}:${canary}"`)],
    [secret(`"{{ .Values.a }}${canary}{{ .Values.b }}"`)],
    [`${secret('"{{ .Values.k }}"')}  L: ${canary}\n`],
    [secret(`'{{ "${canary}" | b64enc }}'`)],
    [secret(`'{{ "x\\".y${canary}" | b64enc }}'`)],
    [secret('"{{ 12.5 }}"')],
    [`${secret('"{{ .Values.k }}"')}data: ${canary}\n`],
  ])("a value beside an action is found: %j", async (text) => {
    expect(await gitdir({ "a.yaml": text }).run(["check"])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^a\.yaml:2:1: not-sealed: /),
    });
  });
});

test("the hints at the end say what to do about each kind of finding", async () => {
  const dir = await sealedRepository();
  dir.write("a.yaml", manifest());
  dir.write("deploy/prod/moved.yaml", dir.read("deploy/staging/db.sealed.yaml"));
  for (const flags of [[], ["--output", "json"]]) {
    const { stderr } = await dir.run(["check", ...flags]);
    expect(stderr.split("\n").filter((line) => line.startsWith("hint: "))).toEqual([
      "hint: not-sealed: seal it: `seal encrypt a.yaml --env NAME -o NAME/a.sealed.yaml`",
      expect.stringMatching(/^hint: environment-mismatch: make --env, /),
      expect.stringMatching(/^hint: environment-mismatch: to bring a Secret to another environment: `seal promote /),
    ]);
  }
});

describe("refused files", () => {
  test("each is named with its code, the rest is checked too, and JSON says the same", async () => {
    const dir = await sealedRepository();
    const sealed = dir.read("deploy/prod/db.sealed.yaml");
    dir.write("deploy/prod/label.yaml", sealed.replace("  annotations:", "  annotations:\n    note: x"));
    dir.write("deploy/prod/open.yaml", sealed.replace(/PASSWORD: ENC\[.*\]/, `PASSWORD: ${canary}`));
    dir.write("deploy/prod/conflict.yaml", `<<<<<<< ours\n${sealed}=======\n${sealed}>>>>>>> theirs\n`);
    dir.write("deploy/prod/two.yaml", `${sealed}---\n${sealed}`);
    dir.write(
      "deploy/prod/foreign.yaml",
      dir.read("deploy/staging/db.sealed.yaml").replace("environment: staging", "environment: prod"),
    );
    const { code, stdout, stderr } = await dir.run(["check", "deploy"], noKeys(dir));
    const codes = Object.fromEntries(
      stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => [line.split(":")[0]?.slice(12), /: ([a-z-]+): /.exec(line)?.[1]]),
    );
    expect(codes).toEqual({
      "conflict.yaml": "merge-conflict",
      "foreign.yaml": "recipient-foreign",
      "open.yaml": "shape-invalid",
      "two.yaml": "several-documents",
    });
    expect([code, stdout + stderr]).toEqual([1, expect.not.stringContaining(canary)]);
    const json = JSON.parse((await dir.run(["check", "deploy", "--output", "json"], noKeys(dir))).stdout);
    expect(json).toContainEqual({ file: "deploy/staging/db.sealed.yaml", environment: "staging", status: "ok" });
    expect(json).toContainEqual(
      expect.objectContaining({
        file: "deploy/prod/open.yaml",
        status: "refused",
        code: "shape-invalid",
        line: expect.any(Number),
        column: expect.any(Number),
        message: expect.any(String),
      }),
    );
  });

  test("a recipient that the environment has and the file lacks is a finding", async () => {
    const dir = await sealedRepository();
    const other = /age1\w+/.exec((await succeed(dir.run(["keygen"]))).stdout)?.[0];
    dir.write(
      "seal.yaml",
      dir.read("seal.yaml").replace(/(prod:\n {4}recipients:\n {6}age:\n)/, `$1        - ${other}\n`),
    );
    const { code, stdout } = await dir.run(["check"]);
    expect([code, stdout]).toEqual([1, expect.stringMatching(/^deploy\/prod\/db\.sealed\.yaml: recipient-missing: /)]);
    // The hint's command puts it right.
    await succeed(dir.run(["bind", "deploy/prod/db.sealed.yaml"]));
    expect((await dir.run(["check"])).code).toBe(0);
  });

  test("a sealed file that no seal.yaml governs cannot be confirmed", async () => {
    const dir = await sealedRepository();
    const other = gitdir({ "db.yaml": dir.read("deploy/prod/db.sealed.yaml") });
    expect((await other.run(["check"])).stdout).toMatch(/^db\.yaml: config-missing: /);
  });

  test("--env refuses files of another environment", async () => {
    const dir = await sealedRepository();
    expect((await dir.run(["check", "--env", "prod", "deploy/prod"])).code).toBe(0);
    expect((await dir.run(["check", "--env", "prod"])).stdout).toMatch(
      /^deploy\/staging\/db\.sealed\.yaml: environment-mismatch: .*\n$/,
    );
  });

  test("a BoundSecret is checked by what it carries, also among other objects", async () => {
    const dir = await sealedRepository();
    const wrapped = (await succeed(dir.run(["wrap", "deploy/prod/db.sealed.yaml"]))).stdout;
    dir.write("deploy/prod/all.yaml", `a: 1\n---\n${wrapped}`);
    expect((await dir.run(["check"])).code).toBe(0);
    dir.write("deploy/staging/all.yaml", `a: 1\n---\n${wrapped}`);
    expect((await dir.run(["check"])).stdout).toMatch(/^deploy\/staging\/all\.yaml: environment-mismatch: /);
    dir.write(
      "deploy/staging/all.yaml",
      "apiVersion: sealward.dev/v1alpha1\nkind: BoundSecret\nmetadata: {name: a}\nspec: {}\n",
    );
    expect((await dir.run(["check"])).stdout).toMatch(/^deploy\/staging\/all\.yaml:\d+:\d+: shape-invalid: /);
  });

  test("a SOPS file that is no Secret is checked where its path says whose it is, and named where nothing does", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/values.yaml", "password: x\n");
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/values.yaml"]));
    dir.write("chart/values.yaml", dir.read("deploy/prod/values.yaml"));
    const { stdout, stderr } = await dir.run(["check"]);
    expect([stdout, stderr]).toEqual([
      "",
      expect.stringMatching(
        /checked: 3 sealed and in order.*\nnot checked, for they are no Secrets.*: chart\/values\.yaml/,
      ),
    ]);
    dir.write("deploy/staging/values.yaml", dir.read("deploy/prod/values.yaml"));
    const moved = await dir.run(["check", "deploy"]);
    expect([moved.code, moved.stdout]).toEqual([1, expect.stringContaining("deploy/staging/values.yaml")]);
    expect(moved.stdout).toContain("recipient-foreign");
  });
});

describe("nothing stops it", () => {
  test("hostile files become findings or are passed over", async () => {
    const dir = await sealedRepository();
    const secret = manifest();
    const shapes = [
      `${secret}  deep: ${"[".repeat(5000)}\n`,
      `a: &a [x]\nb: [${"*a,".repeat(2000)}]\n${secret}`,
      `${secret}  big: ${"x".repeat(3_000_000)}\n`,
      "kind: Secret\ndata: *none\n",
      "kind: Secret\nmetadata: {creationTimestamp: null}\ndata: {a: b}\n",
      "kind: Secret\nmetadata:\n  creationTimestamp: null\ndata: {a: b}\n",
      "kind: Secret\nmetadata: {name: a, uid: x, annotations: {kubectl.kubernetes.io/last-applied-configuration: y}}\nstatus: {}\ndata: {a: b}\n",
      "? kind\n: Secret\ndata: {}\n",
      "- kind: Secret\n  data: {a: b}\n",
      "kind: Secret\nsops: 3\ndata: {a: b}\n",
      "kind: Secret\nsops: {mac: [}\n",
      "apiVersion: sealward.dev/v1alpha1\nkind: BoundSecret\nmetadata: 3\nspec: {document: 'kind: Secret'}\n",
      "%YAML 9.9\n---\nkind: Secret\ndata: {a: b}\n",
      "kind: Secret\ndata: !!binary |\n  x\n---\n...\n---\n",
    ];
    for (const [index, text] of shapes.entries()) dir.write(`h${index}.yaml`, text);
    dir.write("latin1.yaml", Buffer.concat([Buffer.from(secret), Buffer.from([0xff, 0xfe])]));
    const { code, stdout, stderr } = await dir.run(["check"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("(check-failed)")]);
    expect(stdout).toContain("latin1.yaml: not-utf8: ");
    expect(stdout + stderr).not.toContain(canary);
  });

  test.each([
    ["tags behind every kind", `# ${"kind:!x !".repeat(110_000)}`, ""],
    ["aliases before every colon", `# ${"*".repeat(300_000)}${"* :".repeat(200_000)}${" ".repeat(100_000)}`, ""],
    ["blanks behind every kind", `# ${"kind: &x\n#".repeat(90_000)}`, ""],
    ["long tags behind every kind", `# ${"kind:!".repeat(170_000)}`, ""],
    [
      "a Secret behind comments that name it",
      `${"# kind: Secret\n".repeat(70_000)}${manifest()}`,
      "a.yaml:1:3: not-sealed",
    ],
    ["a List of many Secrets", `kind: List\nitems:\n${item("a").repeat(9000)}`, "a.yaml:53998:3: not-sealed"],
  ])(
    "%s: a megabyte takes no minutes",
    async (_, text, finding) => {
      const dir = gitdir({ "a.yaml": text });
      const start = performance.now();
      const { code, stdout } = await dir.run(["check"]);
      expect(performance.now() - start).toBeLessThan(8000);
      expect([code, stdout]).toEqual([finding === "" ? 0 : 1, expect.stringContaining(finding)]);
    },
    300_000,
  );

  test("a deleted file, a broken link, a submodule folder and a name with an escape sequence", async () => {
    const dir = await sealedRepository();
    dir.write("gone.yaml", manifest());
    spawnSync("git", ["add", "-A"], { cwd: dir.path });
    spawnSync("rm", [join(dir.path, "gone.yaml")]);
    symlinkSync("nowhere", join(dir.path, "link.yaml"));
    mkdirSync(join(dir.path, "folder.yaml"));
    dir.write("folder.yaml/\u001b[31m.yaml", manifest());
    const { stdout } = await dir.run(["check"]);
    expect(stdout).toMatch(/^folder\.yaml\/\\x1b\[31m\.yaml:2:1: not-sealed: .*\n$/);
  });

  test("a file name writes no line of its own", async () => {
    const dir = gitdir({ "a\nchecked: 9 sealed and in order\n\u202e.yaml": manifest() });
    const { stdout } = await dir.run(["check"]);
    expect(stdout).toMatch(/^a\\x0achecked: 9 sealed and in order\\x0a\\u202e\.yaml:2:1: not-sealed: .*\n$/);
    expect((await dir.run(["check", "--output", "json"])).stdout).not.toContain("\u202e");
  });

  test("a path that does not exist is an error, not an empty success", async () => {
    const dir = await sealedRepository();
    expect(await dir.run(["check", "deploi"])).toMatchObject({ code: 6, stdout: "" });
  });

  test("where Git cannot list the folder it looks at every file", async () => {
    const dir = gitdir({ "a.yaml": manifest() });
    dir.write(".git/HEAD", "broken");
    const { code, stderr } = await dir.run(["check"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("git cannot list")]);
  });
});
