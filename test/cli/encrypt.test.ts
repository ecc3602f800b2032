// seal encrypt: what is written where, and what is refused before anything is written.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { canary, gitdir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const plain = manifest();

describe("encrypt", () => {
  test("seals stdin to stdout as the default command", async () => {
    const dir = await sealedRepository();
    const { stdout, stderr } = await succeed(dir.run(["--env", "prod"], { stdin: plain }));
    expect(stdout).toContain("sealward.dev/environment: prod");
    expect(stdout).toContain("sealward.dev/binding: ENC[");
    expect(stdout).not.toContain(canary);
    expect(stderr).toBe("");
  });

  test("takes what `kubectl create secret --dry-run=client -o yaml` prints", async () => {
    const dir = await sealedRepository();
    const stdin = `apiVersion: v1\ndata:\n  PASSWORD: Y2FuYXJ5\nkind: Secret\nmetadata:\n  creationTimestamp: null\n  name: db\n  namespace: payments\n`;
    const { stdout } = await succeed(dir.run(["--env", "prod"], { stdin }));
    expect(stdout).toContain("PASSWORD: ENC[");
    expect(stdout).not.toContain("creationTimestamp");
  });

  test("-i replaces the file, and the path alone says the environment", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/new.sealed.yaml", plain);
    const { stdout, stderr } = await succeed(dir.run(["encrypt", "-i", "deploy/prod/new.sealed.yaml"]));
    expect(stdout).toBe("");
    expect(stderr).toBe("sealed payments/db for prod (strict): deploy/prod/new.sealed.yaml\n");
    expect(dir.read("deploy/prod/new.sealed.yaml")).toContain("PASSWORD: ENC[");
  });

  test("-i on a file that Git tracks notes that its history keeps the values", async () => {
    const dir = await sealedRepository();
    const file = "deploy/prod/new.sealed.yaml";
    dir.write(file, plain);
    spawnSync("git", ["add", file], { cwd: dir.path });
    const { stderr } = await succeed(dir.run(["encrypt", "-i", file]));
    expect(stderr).toContain(`note: Git tracks ${file}: its history still holds the values in the clear`);
  });

  test("the environment may come from the output's path alone", async () => {
    const dir = await sealedRepository();
    dir.write("db.plain.yaml", plain);
    await succeed(dir.run(["db.plain.yaml", "-o", "deploy/prod/other.sealed.yaml"]));
    expect(dir.read("deploy/prod/other.sealed.yaml")).toContain("sealward.dev/environment: prod");
  });

  test("--wrap writes a BoundSecret that decrypt opens", async () => {
    const dir = await sealedRepository();
    await succeed(dir.run(["--env", "prod", "--wrap", "-o", "deploy/prod/bound.yaml"], { stdin: plain }));
    expect(dir.read("deploy/prod/bound.yaml")).toContain("kind: BoundSecret");
    expect((await succeed(dir.run(["decrypt", "deploy/prod/bound.yaml"]))).stdout).toContain(canary);
  });

  test("writes --namespace into a manifest that names none", async () => {
    const dir = await sealedRepository();
    const { stdout, stderr } = await succeed(
      dir.run(["--env", "prod", "--namespace", "shop"], { stdin: manifest({ namespace: "" }) }),
    );
    expect(stdout).toContain("namespace: shop");
    expect(stderr).toContain("note: wrote namespace shop");
  });

  test("writes over a sealed file of the same environment", async () => {
    const dir = await sealedRepository();
    const before = dir.read("deploy/prod/db.sealed.yaml");
    await succeed(dir.run(["--env", "prod", "-o", "deploy/prod/db.sealed.yaml"], { stdin: plain }));
    expect(dir.read("deploy/prod/db.sealed.yaml")).not.toBe(before);
  });
});

describe("-o over a file that exists", () => {
  const out = "deploy/prod/db.sealed.yaml";

  test.each([
    ["another Secret", manifest({ name: "other" }), [], "payments/other"],
    ["the Secret of another namespace", manifest({ namespace: "shop" }), [], "shop/db"],
    ["the same Secret in a BoundSecret", plain, ["--wrap"], "a BoundSecret"],
  ])("does not replace it by %s without --force", async (_, stdin, flags, message) => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const { code, stderr } = await dir.run(["--env", "prod", "-o", out, ...flags], { stdin });
    expect([code, stderr]).toEqual([6, expect.stringContaining("(file-exists)")]);
    expect(stderr).toContain(message);
    expect(dir.snapshot()).toEqual(before);
    await succeed(dir.run(["--env", "prod", "-o", out, "--force", ...flags], { stdin }));
  });

  test("wrap replaces the BoundSecret of the same Secret, and no other", async () => {
    const dir = await sealedRepository();
    const other = "deploy/prod/other.sealed.yaml";
    await succeed(dir.run(["--env", "prod", "-o", other], { stdin: manifest({ name: "other" }) }));
    for (let round = 0; round < 2; round++) await succeed(dir.run(["wrap", out, "-o", "deploy/prod/db.bound.yaml"]));
    const before = dir.snapshot();
    for (const to of [out, "deploy/prod/db.bound.yaml"]) {
      const { code, stderr } = await dir.run(["wrap", other, "-o", to]);
      expect([code, stderr]).toEqual([6, expect.stringContaining("(file-exists)")]);
    }
    expect(dir.snapshot()).toEqual(before);
  });
});

const list = `apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n  stringData: {K: ${canary}}\n`;
const refused: readonly [title: string, argv: string[], stdin: string, code: number, error: string, hint: string][] = [
  [
    "several documents",
    ["--env", "prod"],
    `${plain}---\n${plain}`,
    3,
    "several-documents",
    "kubectl get secret SECRET",
  ],
  ["a List", ["--env", "prod"], list, 3, "not-a-secret", "put each item into its own"],
  [
    "another kind",
    ["--env", "prod"],
    plain.replace("kind: Secret", "kind: ConfigMap"),
    3,
    "not-a-secret",
    "only a Secret is sealed",
  ],
  [
    "no kind",
    ["--env", "prod"],
    plain.replace("kind: Secret\n", ""),
    3,
    "not-a-secret",
    "begins with the lines `apiVersion: v1`",
  ],
  ["a number", ["--env", "prod"], manifest({ value: "12345678" }), 3, "shape-invalid", 'pw: "12345678"'],
  ["data that is not base64", ["--env", "prod"], plain.replace("stringData", "data"), 3, "shape-invalid", "stringData"],
  ["a name with capitals", ["--env", "prod"], manifest({ name: "DB" }), 3, "shape-invalid", "lower-case letters"],
  ["text that is not YAML", ["--env", "prod"], `a: [${canary}`, 3, "not-yaml", "correct the YAML at the place named"],
  ["an environment that seal.yaml does not define", ["--env", "qa"], plain, 4, "environment-undefined", "seal.yaml"],
  ["no environment at all", [], plain, 4, "environment-unknown", "--env NAME"],
  [
    "a manifest without a namespace",
    ["--env", "prod"],
    manifest({ namespace: "" }),
    3,
    "namespace-missing",
    "--namespace",
  ],
  [
    "a scope that the environment does not allow",
    ["--env", "prod", "--scope", "environment"],
    plain,
    1,
    "scope-not-allowed",
    "scopes",
  ],
  [
    "an output in another environment's folder",
    ["--env", "prod", "-o", "deploy/staging/x.yaml"],
    plain,
    1,
    "environment-mismatch",
    'write it under one of the paths of "prod" (**/prod/**)',
  ],
  [
    "an output outside every environment's folder",
    ["--env", "prod", "-o", "x.yaml"],
    plain,
    1,
    "environment-mismatch",
    'write it under one of the paths of "prod" (**/prod/**)',
  ],
  [
    "an output that is no sealed file",
    ["--env", "prod", "-o", "deploy/prod/README.yaml"],
    plain,
    6,
    "file-exists",
    "--force",
  ],
  [
    "an output in a folder that does not exist",
    ["--env", "prod", "-o", "deploy/prod/none/x.yaml"],
    plain,
    6,
    "file-missing",
    "`mkdir -p deploy/prod/none`",
  ],
  ["-i with stdin", ["encrypt", "-i"], plain, 2, "usage", "-o FILE"],
  [
    "a credential-minting type",
    ["--env", "prod"],
    plain.replace("type: Opaque", "type: kubernetes.io/service-account-token"),
    3,
    "secret-type-forbidden",
    "cluster",
  ],
];

test.each(refused)("encrypt refuses %s, and writes nothing", async (_, argv, stdin, exit, error, hint) => {
  const dir = await sealedRepository();
  dir.write("deploy/prod/README.yaml", "a: 1\n");
  const before = dir.snapshot();
  const { code, stdout, stderr } = await dir.run(argv, { stdin });
  expect(stderr).toContain(`(${error})`);
  expect([code, stdout]).toEqual([exit, ""]);
  expect(stderr.split("\n").find((line) => line.startsWith("hint: "))).toContain(hint);
  expect(stderr).not.toContain(canary);
  expect(dir.snapshot()).toEqual(before);
});

test("a sealed file is never sealed twice, wrapped or not", async () => {
  const dir = await sealedRepository();
  await succeed(dir.run(["wrap", "deploy/prod/db.sealed.yaml", "-o", "deploy/prod/db.bound.yaml"]));
  for (const file of ["deploy/prod/db.sealed.yaml", "deploy/prod/db.bound.yaml"]) {
    const before = dir.read(file);
    const { code, stderr } = await dir.run(["encrypt", "-i", file]);
    expect([code, dir.read(file)]).toEqual([3, before]);
    expect(stderr).toContain("(already-sealed)");
    expect(stderr).toContain(`seal edit ${file}`);
  }
});

test("the input is not overwritten without -i, by no name it has", async () => {
  const dir = await sealedRepository();
  dir.write("deploy/prod/new.yaml", plain);
  const { code, stderr } = await dir.run(["deploy/prod/new.yaml", "-o", "deploy/prod/../prod/new.yaml", "--force"]);
  expect([code, dir.read("deploy/prod/new.yaml")]).toEqual([2, plain]);
  expect(stderr).toContain("-i");
});

test("recipients in environment variables are refused under a seal.yaml", async () => {
  const dir = await sealedRepository();
  for (const name of ["SOPS_AGE_RECIPIENTS", "SOPS_KMS_ARN", "SOPS_PGP_FP"]) {
    const { code, stderr } = await dir.run(["--env", "prod"], { stdin: plain, env: { [name]: "age1other" } });
    expect(code).toBe(2);
    expect(stderr).toContain(`Cannot seal with the recipients in ${name}`);
  }
});

test("without a seal.yaml the way to one is shown", async () => {
  const { code, stderr } = await gitdir().run(["--env", "prod"], { stdin: plain });
  expect(code).toBe(4);
  expect(stderr).toContain("(config-missing)\nhint: make one at the root of the repository: `seal init`");
});

test("a terminal as stdin is not waited for", async () => {
  for (const [argv, hint] of [
    [["--env", "prod"], "`seal FILE`"],
    [["decrypt"], "`seal decrypt FILE`"],
    [["wrap"], "`seal wrap FILE`"],
  ] as const) {
    const { code, stderr } = await gitdir().run(argv, { isTty: true });
    expect([code, stderr]).toEqual([2, expect.stringContaining("stdin is a terminal")]);
    expect(stderr).toContain(hint);
  }
  const { code, stdout, stderr } = await gitdir().run([], { isTty: true });
  expect([code, stdout, stderr]).toEqual([0, expect.stringContaining("Usage: seal [command]"), ""]);
});

test.each([[[]], [["decrypt"]], [["wrap"]], [["encrypt", "-"]]])(
  "%j with nothing on stdin asks about the pipe",
  async (argv) => {
    const { code, stderr } = await gitdir().run(argv, { stdin: "\n" });
    expect([code, stderr]).toEqual([
      3,
      "error: Nothing came in on stdin (not-yaml)\nhint: did the command before the pipe fail?\n",
    ]);
  },
);
