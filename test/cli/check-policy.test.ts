// What `seal check` looks for beside sealed files and Secrets: files that have to be sealed, names of sealed values in the
// clear, recipients whose time is over, shared values; and in which forms it says so.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dockerLiteralsIn, literalsIn } from "../../cli/check/dotenv-literals.ts";
import { written } from "../../cli/check/outputs.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { gitWorld, prodFile } from "./git-world.ts";
import { canary, type GitDir, gitdir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const check = (dir: GitDir, ...args: string[]) => dir.run(["check", "--no-gitleaks", ...args]);

describe("files that have to be sealed", () => {
  test("are those that seal.yaml names, whatever they are called", async () => {
    const dir = await sealedRepository();
    dir.write(
      "seal.yaml",
      dir
        .read("seal.yaml")
        .replace("environments:", 'mustSeal: ["charts/**/values.secret.yaml", "tls/*.key"]\n\nenvironments:'),
    );
    dir.write("charts/a/values.secret.yaml", "a: 1\n");
    dir.write("charts/a/values.yaml", "a: 1\n");
    dir.write("tls/server.key", "-----BEGIN PRIVATE KEY-----\n");
    const { code, stdout } = await check(dir);
    expect(code).toBe(1);
    expect(stdout.split("\n").filter(Boolean)).toEqual([
      "charts/a/values.secret.yaml: not-sealed: seal.yaml wants this file sealed (mustSeal), and it is in the clear",
      "tls/server.key: not-sealed: seal.yaml wants this file sealed (mustSeal), and it is in the clear",
    ]);
    dir.write("deploy/prod/values.yaml", "a: 1\n");
    dir.write("seal.yaml", dir.read("seal.yaml").replace("charts/**/values.secret.yaml", "deploy/**/values.yaml"));
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/values.yaml"]));
    expect((await check(dir)).stdout).not.toContain("values.yaml");
  });

  test.each([
    ["deploy/prod/.env", "A=literal\n", true],
    ["deploy/prod/.env.local", "# x\nexport A='literal'\n", true],
    ["deploy/prod/app.env", "A=literal\n", true],
    ["deploy/prod/.env.example", "A=literal\n", false],
    ["deploy/prod/app.env", `A=\nB=$OTHER\nC=\${OTHER}\n# D=x\n`, false],
    ["elsewhere/app.env", "A=literal\n", false],
  ])("%s with %j: %s", async (file, text, isFound) => {
    const dir = await sealedRepository();
    dir.write(file, text);
    const { code, stdout } = await check(dir);
    expect([code, stdout.includes(`${file}:`)]).toEqual(isFound ? [1, true] : [0, false]);
    expect(stdout).not.toContain("literal");
  });
});

describe("names of sealed values in the clear", () => {
  const places: readonly (readonly [string, string, number])[] = [
    ["Dockerfile", "FROM x\nARG PASSWORD=hunter2hunter2\n", 2],
    ["app/Dockerfile.prod", "FROM x\nENV A=b \\\n  PASSWORD=hunter2hunter2\n", 2],
    [
      "k8s/config.yaml",
      "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  PASSWORD: hunter2hunter2\n",
      6,
    ],
    ["charts/values-prod.yaml", "a:\n  PASSWORD: hunter2hunter2 # x\n", 2],
    ["compose.yaml", "services:\n  a:\n    environment:\n      - PASSWORD=hunter2hunter2\n", 4],
    ["k8s/deployment.yaml", "kind: Deployment\nspec:\n  env:\n    - name: PASSWORD\n      value: hunter2hunter2\n", 5],
  ];

  test.each(places)("are found in %s", async (file, text, line) => {
    const dir = await sealedRepository();
    dir.write(file, text);
    const { code, stdout, stderr } = await check(dir);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        `^${file.replaceAll(".", "\\.")}:${line}: warning: clear-leak: PASSWORD has a value in the clear in an? .*, and is sealed in deploy/\\w+/db\\.sealed\\.yaml\n$`,
      ),
    );
    expect(stdout + stderr).not.toContain("hunter2");
    expect((await check(dir, "--strict")).code).toBe(1);
    dir.write(file, text.replace(/^(.*hunter2hunter2)/m, "# seal:allow, a test\n$1"));
    if (!file.includes("Dockerfile.")) expect((await check(dir, "--strict")).code).toBe(0);
  });

  test.each([
    ["values.yaml", 'PASSWORD: "{{ .Values.x }}"\nURL: http://x\n'],
    ["values.yaml", `PASSWORD: \${PASSWORD}\n`],
    ["values.yaml", "PASSWORD:\n  secretKeyRef: x\n"],
    ["values.yaml", 'PASSWORD: ""\n'],
    ["Dockerfile", "ARG PASSWORD\nENV PASSWORD=$PASSWORD\n"],
    ["k8s/d.yaml", "env:\n  - name: PASSWORD\n    valueFrom: x\n"],
    ["other.yaml", "PASSWORD: literal\n"],
  ])("are not what %s has with %j", async (file, text) => {
    const dir = await sealedRepository();
    dir.write(file, text);
    expect((await check(dir, "--strict")).stdout).toBe("");
  });
});

describe("--open", () => {
  test("finds a value that two environments share, and a sealed value in the clear, without showing either", async () => {
    const dir = await sealedRepository();
    dir.write("values.yaml", `PASSWORD: ${canary}\n`);
    const { code, stdout, stderr } = await check(dir, "--open");
    expect(code).toBe(1);
    expect(stdout).toContain(
      "deploy/staging/db.sealed.yaml: value-shared: The value of PASSWORD is the same as that of PASSWORD in deploy/prod/db.sealed.yaml",
    );
    expect(stdout).toContain("values.yaml:1: clear-leak: PASSWORD has the sealed value in the clear");
    expect(stdout + stderr).not.toContain(canary);
    for (const key of ["PASSWORD", "URL"]) await succeed(dir.run(["set", prodFile, key, "--generate"]));
    dir.write("values.yaml", "a: 1\n");
    expect((await check(dir, "--open")).code).toBe(0);
  });

  test("compares what is decoded, and says how much it could not open", async () => {
    const dir = await sealedRepository();
    for (const key of ["PASSWORD", "URL"]) await succeed(dir.run(["set", prodFile, key, "--generate"]));
    dir.write("bytes", Buffer.from("the same bytes\0"));
    await succeed(dir.run(["set", prodFile, "A", "--from-file", "bytes"]));
    await succeed(dir.run(["set", "deploy/staging/db.sealed.yaml", "B", "--from-file", "bytes"]));
    expect((await check(dir, "--open")).stdout).toContain("The value of B is the same as that of A");
    const env = {
      XDG_CONFIG_HOME: join(dir.home, "none"),
      SOPS_AGE_KEY_FILE: join(dir.home, ".config/sealward/repo/prod.agekey"),
    };
    const { code, stderr } = await dir.run(["check", "--no-gitleaks", "--open"], { env });
    expect([code, stderr]).toEqual([0, expect.stringContaining("1 of 2 sealed files were not opened")]);
  });
});

test("a recipient whose time is over is an error of the files that it opens", async () => {
  const dir = await sealedRepository();
  dir.write(
    "seal.yaml",
    dir
      .read("seal.yaml")
      .replace(/(prod:\n {4}recipients:\n {6}age:\n {8}- )(age1\w+)/, "$1{recipient: $2, expires: 2026-11-22}"),
  );
  const { code, stdout, stderr } = await check(dir);
  expect([code, stdout]).toEqual([
    1,
    expect.stringMatching(/^deploy\/prod\/db\.sealed\.yaml: recipient-expired: .* ended on 2026-11-22\n$/),
  ]);
  expect(stderr).toContain("hint: recipient-expired: take the recipient out of seal.yaml");
  expect((await dir.run(["set", prodFile, "PASSWORD", "x"])).stderr).toContain("(recipient-expired)");
});

describe("--staged", () => {
  test("sees what is staged and nothing else, seal.yaml included", async () => {
    const world = await gitWorld();
    world.write("deploy/prod/copied.sealed.yaml", world.read("deploy/staging/db.sealed.yaml"));
    expect((await check(world, "--staged")).code).toBe(0);
    world.git(["add", "-A"]);
    world.write("deploy/prod/copied.sealed.yaml", "a: 1\n");
    const { code, stdout } = await check(world, "--staged");
    expect([code, stdout]).toEqual([
      1,
      expect.stringContaining("deploy/prod/copied.sealed.yaml: environment-mismatch"),
    ]);
    expect((await world.run(["check", "--no-gitleaks", "--staged"], { cwd: "deploy/prod" })).stdout).toContain(
      "copied.sealed.yaml: environment-mismatch",
    );
    world.git(["reset", "-q", "--hard"]);

    // A seal.yaml that is staged is what counts, and every file is held against it.
    world.write("seal.yaml", world.read("seal.yaml").replace("**/prod/**", "**/live/**"));
    expect((await check(world, "--staged")).code).toBe(0);
    world.git(["add", "-A"]);
    world.git(["show", "HEAD:seal.yaml"]);
    writeFileSync(join(world.path, "seal.yaml"), world.git(["show", "HEAD:seal.yaml"]));
    expect((await check(world, "--staged")).stdout).toContain("deploy/prod/db.sealed.yaml: environment-mismatch");
    expect((await check(world)).code).toBe(0);
    world.write("seal.yaml", "broken: [\n");
    world.git(["add", "-A"]);
    expect((await check(world, "--staged")).code).toBe(4);
  });

  test("works without a commit, with links, submodules and odd names, and during a merge", async () => {
    const dir = await sealedRepository();
    dir.write('odd "name"\n.yaml', manifest());
    symlinkSync("../staging/db.sealed.yaml", join(dir.path, "deploy/prod/link.sealed.yaml"));
    spawnSync("git", ["add", "-A"], { cwd: dir.path });
    const { code, stdout } = await check(dir, "--staged");
    expect([code, stdout]).toEqual([1, expect.stringContaining('odd "name"\\x0a.yaml')]);
    expect(stdout).not.toContain("link");

    const merging = await gitWorld();
    await merging.branch("theirs", prodFile, { PASSWORD: "a" });
    await succeed(merging.run(["set", prodFile, "PASSWORD", "b"]));
    merging.git(["commit", "-qam", "ours"]);
    merging.git(["merge", "theirs"], 1);
    const conflict = await check(merging, "--staged");
    expect([conflict.code, conflict.stdout]).toEqual([
      1,
      expect.stringContaining(`${prodFile}: merge-conflict: The file is unmerged`),
    ]);
    merging.git(["add", "-A"]);
    const added = await check(merging, "--staged");
    expect([added.code, added.stdout]).toEqual([
      1,
      expect.stringMatching(/db\.sealed\.yaml:\d+: merge-conflict: The file has the markers/),
    ]);
    expect((await merging.run(["decrypt", prodFile])).code).not.toBe(0);
  });

  test("takes no paths, mends nothing, and says where there is no work tree", async () => {
    const dir = await sealedRepository();
    expect((await check(dir, "--staged", "deploy")).code).toBe(2);
    expect((await check(dir, "--staged", "--fix")).code).toBe(2);
    expect((await gitdir().run(["check", "--staged"], { cwd: "../home" })).code).toBe(6);
  });

  test("stops a commit by the hook, which a real Git runs", async () => {
    const world = await gitWorld({ hooks: true });
    world.write("secret.yaml", manifest());
    world.git(["add", "-A"]);
    const said = world.git(["commit", "-m", "plain"], 1);
    expect(said).toContain("secret.yaml:2:1: not-sealed");
    world.git(["rm", "-q", "--cached", "secret.yaml"]);
    await succeed(world.run(["set", prodFile, "PASSWORD", "x"]));
    world.git(["commit", "-qam", "sealed"]);
    // Git hands over an index of its own to the hook of a commit that takes more, or less, than what is staged.
    world.write(prodFile, world.read("deploy/staging/db.sealed.yaml"));
    world.write("deploy/prod/new.sealed.yaml", world.read(prodFile));
    for (const command of [
      ["-am", "all"],
      ["-m", "one", prodFile],
    ])
      expect(world.git(["commit", ...command], 1)).toContain(`${prodFile}: environment-mismatch`);
    world.git(["add", "-N", "deploy/prod/new.sealed.yaml"]);
    world.git(["checkout", "-q", "--", prodFile]);
    expect(world.git(["commit", "-am", "intended"], 1)).toContain("deploy/prod/new.sealed.yaml: environment-mismatch");
  });
});

describe("--fix", () => {
  test("seals in place what is certain, and leaves the rest with its reason", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/new.yaml", manifest({ name: "new" }));
    dir.write("elsewhere.yaml", manifest());
    dir.write("deploy/prod/two.yaml", `${manifest()}---\n${manifest({ name: "b" })}`);
    const { code, stdout, stderr } = await check(dir, "--fix");
    expect(code).toBe(1);
    expect(dir.read("deploy/prod/new.yaml")).toContain("sealward.dev/binding: ENC[");
    expect(stdout).not.toContain("new.yaml");
    expect(stdout).toContain("elsewhere.yaml:2:1: not-sealed");
    expect(stderr).toContain("note: not sealed: elsewhere.yaml:");
    expect(dir.read("deploy/prod/two.yaml")).toContain(canary);
  });
});

describe("gitleaks", () => {
  /** A program of that name that prints a report. */
  const install = (folder: string, body: string): void => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "gitleaks"), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, "gitleaks"), 0o755);
  };
  const run = (dir: GitDir, PATH: string, ...args: string[]) => dir.run(["check", ...args], { env: { PATH } });
  const report = (leaks: readonly object[]): string => `cat <<'E'\n${JSON.stringify(leaks)}\nE\n: "$@"`;

  test("is asked where it is installed; its finding is one of ours, and what it matched is not shown", async () => {
    const dir = await sealedRepository();
    dir.write("app.yaml", "key: AKIA-matched-text\n");
    const bin = join(dir.home, "bin");
    const leak = (file: string) => ({
      RuleID: "aws-access-token",
      File: file,
      StartLine: 1,
      StartColumn: 6,
      Match: "AKIA-matched-text",
      Secret: "AKIA-matched-text",
    });
    install(
      bin,
      report([
        leak(join(dir.path, "app.yaml")),
        leak(prodFile),
        leak("not-asked-for.txt"),
        { RuleID: "x\u001b[2J", File: "app.yaml" },
      ]),
    );
    const { code, stdout, stderr } = await run(dir, bin);
    expect([code, stdout]).toEqual([
      0,
      "app.yaml:1:6: warning: clear-leak: gitleaks finds what looks like a secret (aws-access-token)\n",
    ]);
    expect(stdout + stderr).not.toContain("AKIA");
    expect((await run(dir, bin, "--strict")).code).toBe(1);
    expect((await run(dir, bin, "--no-gitleaks")).stdout).toBe("");
  });

  test("is told to redact, and which content to look at", async () => {
    const dir = await sealedRepository();
    const bin = join(dir.home, "bin");
    install(bin, `printf '%s ' "$@" >> "${dir.home}/said"; echo '[]'`);
    await run(dir, bin);
    await run(dir, bin, "--staged");
    const said = readFileSync(join(dir.home, "said"), "utf8");
    expect(said).toMatch(/^dir --redact=100 .* git --staged --pre-commit --redact=100 /);
  });

  test.each([
    ["no JSON", "echo oops"],
    ["another JSON", "echo '{}'"],
    ["a failure", "exit 3"],
  ])("that answers with %s is a warning", async (_, body) => {
    const dir = await sealedRepository();
    install(join(dir.home, "bin"), body);
    const { code, stdout } = await run(dir, join(dir.home, "bin"));
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining("check-failed: gitleaks is installed and did not do its work"),
    ]);
  });

  test("of the repository's own is not run", async () => {
    const dir = await sealedRepository();
    install(join(dir.path, "bin"), `touch "${dir.home}/ran"; echo '[]'`);
    for (const PATH of [join(dir.path, "bin"), "bin", "", "."]) await run(dir, PATH);
    expect(() => readFileSync(join(dir.home, "ran"))).toThrow();
  });
});

describe("output", () => {
  const nasty = {
    file: "a,b:c%\n::error::x\u001b[2J.yaml",
    status: "refused",
    code: "not-yaml",
    message: "100%\r\n::set-output name=x::y",
    line: 3,
    column: 1,
  } as const;

  test("for a workflow has one line for a finding, and nothing in it begins another command", () => {
    expect(
      written(
        [
          nasty,
          { ...nasty, file: "ok", status: "ok" },
          { file: "w.yaml", status: "warning", code: "clear-leak", message: "m" },
        ],
        "github",
      ),
    ).toBe(
      "::error file=a%2Cb%3Ac%25%0A%3A%3Aerror%3A%3Ax?[2J.yaml,line=3,col=1,title=not-yaml::100%25%0D%0A::set-output name=x::y\n::warning file=w.yaml,title=clear-leak::m\n",
    );
    const anything = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(anything, anything, (file, message) => {
        const text = written([{ ...nasty, file, message }], "github");
        expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(text.split("::")[1]).not.toMatch(/file=[^,]*[:]/);
      }),
    );
  });

  test("as SARIF is what code scanning takes, with prints that stay when lines move", async () => {
    const dir = await sealedRepository();
    dir.write("a b.yaml", manifest());
    const sarif = JSON.parse((await check(dir, "--output", "sarif")).stdout);
    expect(sarif).toMatchObject({
      version: "2.1.0",
      runs: [{ tool: { driver: { name: "seal check", rules: [{ id: "not-sealed" }] } } }],
    });
    const [result] = sarif.runs[0].results;
    expect(result).toMatchObject({
      ruleId: "not-sealed",
      ruleIndex: 0,
      level: "error",
      locations: [
        { physicalLocation: { artifactLocation: { uri: "a%20b.yaml" }, region: { startLine: 2, startColumn: 1 } } },
      ],
    });
    dir.write("a b.yaml", `# moved\n${manifest()}`);
    const moved = JSON.parse((await check(dir, "--output", "sarif")).stdout).runs[0].results[0];
    expect(moved.partialFingerprints).toEqual(result.partialFingerprints);
    expect(moved.locations[0].physicalLocation.region.startLine).toBe(3);
    mkdirSync(join(dir.path, "sub"));
    const below = await dir.run(["check", "--no-gitleaks", "--output", "sarif", ".."], { cwd: "sub" });
    expect(JSON.parse(below.stdout).runs[0].results[0]).toMatchObject({
      locations: [{ physicalLocation: { artifactLocation: { uri: "a%20b.yaml" } } }],
    });
    const clean = JSON.parse((await check(await sealedRepository(), "--output", "sarif")).stdout);
    expect(clean.runs[0].results).toEqual([]);
  });
});

test("what cannot be looked at is refused, and not passed over", async () => {
  const dir = await sealedRepository();
  writeFileSync(Buffer.concat([Buffer.from(`${dir.path}/odd`), Buffer.from([0xff]), Buffer.from(".yaml")]), manifest());
  spawnSync("git", ["add", "-A"], { cwd: dir.path });
  expect((await check(dir, "--staged")).stdout).toContain(": file-unreadable: The name of the file is no UTF-8");
  spawnSync("mkfifo", [join(dir.path, "pipe.yaml")]);
  const { code, stdout } = await check(dir);
  expect([code, stdout]).toEqual([1, expect.stringContaining(": file-unreadable: The name of the file is no UTF-8")]);
  expect((await check(dir, "pipe.yaml")).code).toBe(6);
});

test("a file of documents without end is refused, and not read for minutes", async () => {
  const dir = await sealedRepository();
  dir.write("many.yaml", "kind: Secret\ndata: {a: b}\n---\n".repeat(20_000));
  const { code, stdout } = await check(dir);
  expect([code, stdout]).toEqual([1, expect.stringContaining("many.yaml: too-large: The file has more than")]);
});

test("literals of a dotenv file and a Dockerfile are found in time, whatever the text", () => {
  for (const part of ["A={{", "ENV PASSWORD={{{{", "{{"])
    expect([...literalsIn(`A=${part.repeat(200_000)}`)]).toHaveLength(1);
  for (const part of ["ENV A=\\\n", "ENV ", "A=", "ENV A='", 'ENV "', "export "]) {
    const text = part.repeat(20_000);
    expect([...dockerLiteralsIn(text), ...literalsIn(text)].length).toBeGreaterThanOrEqual(0);
  }
});

test(".pre-commit-hooks.yaml names the hook that runs the check", () => {
  const { root } = parseYaml(`hooks:\n${readFileSync(".pre-commit-hooks.yaml", "utf8")}`);
  expect(root.getIn(["hooks", 0, "id"])).toBe("seal-check");
  expect(root.getIn(["hooks", 0, "entry"])).toBe("seal check --staged");
  expect(root.getIn(["hooks", 0, "pass_filenames"])).toBe("false");
});
