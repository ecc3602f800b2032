// Runs in a process of its own at the end of a build: executes the common commands on made-up data and writes the bytecode
// they needed beside the program, where cli/launcher.ts finds it. Functions they did not call are not in it.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Script } from "node:vm";

const program = resolve("dist/seal-main.cjs");
const source = readFileSync(program, "latin1");
const script = new Script(source, { filename: program });
const main = script.runInThisContext();

const folder = mkdtempSync(join(tmpdir(), "sealward-build-"));
process.chdir(folder);
for (const name of Object.keys(process.env)) if (name !== "PATH") delete process.env[name];
Object.assign(process.env, { HOME: folder, XDG_CONFIG_HOME: folder });

/** The program as if it had been started with these arguments; the last it does is to say its exit code. */
async function run(...argv) {
  process.argv = [process.execPath, program, ...argv];
  process.exitCode = undefined;
  main(createRequire(program), dirname(program));
  while (process.exitCode === undefined) await new Promise((resume) => setImmediate(resume));
  if (process.exitCode !== 0) throw new Error(`seal ${argv.join(" ")} ended with exit code ${process.exitCode}`);
}

// A value of each style, a comment among them, and enough of them for what Secrets usually are.
const manifest = `# made up
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: payments
  labels: { app: payments }
type: Opaque
stringData:
  PASSWORD: not-a-real-password
  # of the broker
  BROKER: "amqps://payments:not-a-real-password@broker.internal:5671/payments"
  PORT: '5432'
  SETTINGS: |
    a = 1
    b = 2
`;
const dataManifest = `${manifest.slice(0, manifest.indexOf("stringData")).replace("name: db", "name: queue")}data:
  PASSWORD: bm90LWEtcmVhbC1wYXNzd29yZA==
`;
const config = (recipient) => `version: 1
environments:
  staging:
    recipients: { age: [${recipient}] }
    namespaces: [payments-staging]
  prod:
    recipients: { age: [${recipient}] }
    paths: ["**/prod/**"]
    namespaces: [payments]
`;

try {
  await run("keygen", "-o", join("sops", "age", "keys.txt"));
  const [recipient] = /age1\S+/.exec(readFileSync(join("sops", "age", "keys.txt"), "utf8"));
  writeFileSync("seal.yaml", config(recipient));
  mkdirSync("prod");
  for (const [name, text] of [
    ["db", manifest],
    ["queue", dataManifest],
  ]) {
    writeFileSync(`prod/${name}.yaml`, text);
    await run("encrypt", "--env", "prod", `prod/${name}.yaml`);
    await run("encrypt", `prod/${name}.yaml`, "-o", `prod/${name}.sealed.yaml`);
    await run("decrypt", `prod/${name}.sealed.yaml`);
  }
  const made = `${source.slice(0, source.indexOf("\n"))} ${process.version} ${process.arch}\n`;
  const bytes = Buffer.concat([Buffer.from(made, "latin1"), script.createCachedData()]);
  writeFileSync(join(dirname(program), "seal-main.bin"), bytes);
} finally {
  process.chdir("/");
  rmSync(folder, { recursive: true, force: true });
}
