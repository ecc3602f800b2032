// Makes the vectors anew: sealed files as this release writes them and as the released sops leaves them, with throw-away
// keys. Run by hand (`node build.mjs && node test/vectors/make.mjs`, sops on PATH) when the format gains something, never
// to make a failing test pass: a file sealed once must open for ever.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const seal = join(here, "..", "..", "dist", "seal.cjs");
const folder = mkdtempSync(join(tmpdir(), "sealward-vectors-"));
const env = { PATH: process.env.PATH, HOME: folder, SOPS_AGE_KEY_FILE: join(here, "keys.txt") };
const run = (command, args, input = "") => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, env, input, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
};
const ours = (args, input) => run(process.execPath, [seal, ...args], input);

const key = ours(["keygen"]);
writeFileSync(join(here, "keys.txt"), `# TEST DATA: a throw-away key, published with the project. Seal nothing with it.\n${key}`);
const recipient = /age1[a-z0-9]+/.exec(key)[0];
writeFileSync(
  join(folder, "seal.yaml"),
  `version: 1\nenvironments:\n  vectors:\n    recipients:\n      age: [${recipient}]\n    scopes: [strict, namespace, environment]\n`,
);
const manifest = `# in the clear
apiVersion: v1
kind: Secret
metadata:
  name: vector # and this
  namespace: vectors
  labels:
    app: vector
  annotations:
    team: "core"
type: Opaque
immutable: false
stringData:
  # a sealed comment
  PASSWORD: correct horse # another
  QUOTED: "two words"
  UNICODE: "grüße, 世界 \\U0001F600"
  EMPTY: ""
  LINES: |
    first
    second

data:
  BINARY: AAECAwQF/v8=
`;
run("git", ["init", "-q"]);
for (const scope of ["strict", "namespace", "environment"]) {
  writeFileSync(join(here, `${scope}.yaml`), ours(["encrypt", "--env", "vectors", "--scope", scope], manifest));
}
writeFileSync(join(here, "crlf.yaml"), ours(["encrypt", "--env", "vectors"], manifest.replaceAll("\n", "\r\n")));
writeFileSync(join(here, "bound-secret.yaml"), ours(["encrypt", "--env", "vectors", "--wrap"], manifest));
writeFileSync(join(folder, "set.yaml"), readFileSync(join(here, "strict.yaml")));
run("sops", ["set", "set.yaml", '["stringData"]["PASSWORD"]', '"battery staple"']);
writeFileSync(join(here, "set-by-sops.yaml"), readFileSync(join(folder, "set.yaml")));
rmSync(folder, { recursive: true, force: true });
