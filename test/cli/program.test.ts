// From arguments to options, and what commander itself answers.
import type { Command } from "commander";
import { expect, test } from "vitest";
import { createProgram } from "../../cli/program.ts";
import { version } from "../../cli/version.ts";
import packageJson from "../../package.json" with { type: "json" };
import { fakeIo, gitdir, manifest, sealedRepository } from "./gitdir.ts";

/** Parses without running anything: what the action of which command would be called with. */
async function parse(argv: readonly string[]): Promise<unknown[]> {
  const calls: unknown[][] = [];
  const program = createProgram(fakeIo(gitdir(), {}, { stdout: "", stderr: "" }), () => undefined);
  const record = (command: Command): void => {
    if (command.commands.length === 0)
      command.action((...args: unknown[]) => void calls.push([command.name(), ...args.slice(0, -1)]));
    for (const sub of command.commands) record(sub);
  };
  for (const command of program.commands) record(command);
  await program.parseAsync([...argv], { from: "user" });
  return calls[0] ?? [];
}

const secretDefaults = { namespace: "sealward-system" };
const table: readonly [string, readonly unknown[]][] = [
  ["--env prod", ["encrypt", [], { env: "prod" }]],
  ["db.yaml", ["encrypt", ["db.yaml"], {}]],
  ["- --env prod", ["encrypt", ["-"], { env: "prod" }]],
  ["encrypt -i db.yaml", ["encrypt", ["db.yaml"], { inPlace: true }]],
  [
    "encrypt db.yaml -o out.yaml --force --wrap",
    ["encrypt", ["db.yaml"], { out: "out.yaml", force: true, wrap: true }],
  ],
  ["db.yaml --scope namespace -n payments", ["encrypt", ["db.yaml"], { scope: "namespace", namespace: "payments" }]],
  ["decrypt db.yaml --identity a --identity b", ["decrypt", ["db.yaml"], { identity: ["a", "b"] }]],
  ["decrypt --identity a db.yaml", ["decrypt", ["db.yaml"], { identity: ["a"] }]],
  ["decrypt - -o x.plain.yaml", ["decrypt", ["-"], { out: "x.plain.yaml" }]],
  ["encrypt -i a b --age r", ["encrypt", ["a", "b"], { inPlace: true, age: "r" }]],
  ["decrypt a --extract p --ignore-mac", ["decrypt", ["a"], { extract: "p", ignoreMac: true }]],
  ["explain a --config c", ["explain", "a", { config: "c" }]],
  ["edit db.yaml --env prod", ["edit", "db.yaml", { env: "prod" }]],
  ["set db.yaml KEY --trim --from-file v", ["set", "db.yaml", "KEY", undefined, { trim: true, fromFile: "v" }]],
  ["set db.yaml KEY value", ["set", "db.yaml", "KEY", "value", {}]],
  ["bind db.yaml --scope environment", ["bind", "db.yaml", { scope: "environment" }]],
  ["check", ["check", [], { gitleaks: true, output: "text" }]],
  ["check a b --output json --staged", ["check", ["a", "b"], { gitleaks: true, staged: true, output: "json" }]],
  ["wrap db.yaml", ["wrap", "db.yaml", {}]],
  ["init --env dev prod --recovery age1x", ["init", { env: ["dev", "prod"], recovery: "age1x" }]],
  ["init --recipient a=age1x --recipient b=age1y", ["init", { recipient: ["a=age1x", "b=age1y"] }]],
  ["init --namespace a=x b=y --namespace c=z", ["init", { namespace: ["a=x", "b=y", "c=z"] }]],
  ["keygen", ["keygen", secretDefaults]],
  ["keygen --secret --env prod --from k", ["keygen", { ...secretDefaults, secret: true, env: "prod", from: "k" }]],
  ["env manifest prod --namespace a", ["manifest", "prod", { namespace: ["a"] }]],
];

test.each(table)("`seal %s` is understood", async (argv, expected) => {
  expect(await parse(argv.split(" "))).toEqual(expected);
});

test("the version is the package's, on stdout", async () => {
  expect(version).toBe(packageJson.version);
  expect(await gitdir().run(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test("help goes to stdout, shows an example and the exit codes, and is no failure", async () => {
  const { code, stdout, stderr } = await gitdir().run(["--help"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("kubectl create secret generic");
  expect(stdout).toContain("Exit codes: 0 done");
});

test.each([
  [["decrypt", "--nope"], "unknown option '--nope'"],
  [["set", "db.yaml"], "missing required argument 'key'"],
  [["encrypt", "--scope", "wide"], "Allowed choices are strict, namespace, environment"],
  [["check", "--ouput", "json"], "unknown option '--ouput'\n(Did you mean --output?)"],
  [["decypt"], "unknown command 'decypt' (did you mean decrypt?)"],
  [["decypt", "db.yaml"], "unknown command 'decypt' (did you mean decrypt?)"],
  [["encrpyt", "x.yaml", "--env", "prod"], "unknown command 'encrpyt' (did you mean encrypt?)"],
  [["chek"], "unknown command 'chek' (did you mean check?)"],
  [["version"], "unknown command 'version' (did you mean --version?)"],
  [["rotate"], "unknown command 'rotate'\n"],
  [["a.yaml", "b.yaml"], "Cannot seal several files to one place"],
  [["decrypt", "a.yaml", "b.yaml"], "Cannot open several files to one place"],
  [["env", "manifst", "prod"], "Did you mean manifest?"],
])("%j is a usage error with a hint", async (argv, message) => {
  const { code, stdout, stderr } = await gitdir().run(argv);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(message);
  expect(stderr).toContain("hint:");
});

test("no flag names a recipient to seal for where a seal.yaml says who", async () => {
  const dir = await sealedRepository();
  for (const flag of ["--age", "--kms", "--pgp", "--gcp-kms", "--azure-kv", "--hc-vault-transit", "--hckms"]) {
    const { code, stderr } = await dir.run(["encrypt", "--env", "prod", flag, "x"], { stdin: manifest() });
    expect(code).toBe(2);
    expect(stderr).toContain(
      `Cannot seal with the recipients in ${flag}: under a seal.yaml its recipients are the only`,
    );
  }
});

test.each([
  [["-d", "a.yaml"], "decrypt"],
  [["-i", "--decrypt", "a.yaml"], "decrypt"],
  [["-e", "a.yaml"], "encrypt"],
  [["--age", "x", "-e", "a.yaml"], "encrypt"],
])("%j is understood as sops understands it", async (argv, command) => {
  const { stderr } = await gitdir().run(argv);
  expect(stderr).toMatch(/Cannot read ".*a\.yaml"/);
  expect(await gitdir().run([command, "a.yaml"])).toMatchObject({ code: 6 });
});

test("a first word that is a file is the file, whatever it is called", async () => {
  const { stderr } = await gitdir({ decypt: "a: 1\n" }).run(["decypt"]);
  expect(stderr).toContain("decypt: Cannot seal: no seal.yaml governs the file");
});
