// Runs in a process of its own at the end of a build: executes the common commands on made-up data and writes the bytecode
// they needed beside the program, where cli/launcher.ts finds it. Functions they did not call are not in it.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Script } from "node:vm";

const program = resolve("dist/seal-main.cjs");
const source = readFileSync(program, "latin1");
const script = new Script(source, { filename: program });
const main = script.runInThisContext();
// As the launcher makes a function of it.
const sdk = resolve("dist/aws-sdk.cjs");
const sdkSource = readFileSync(sdk, "latin1");
const sdkStart = sdkSource.indexOf("\n") + 1;
const sdkScript = new Script(
  `${sdkSource.slice(0, sdkStart)}(function (require, module) {${sdkSource.slice(sdkStart)}})`,
  { filename: sdk },
);

const folder = mkdtempSync(join(tmpdir(), "sealward-build-"));
process.chdir(folder);
for (const name of Object.keys(process.env)) if (name !== "PATH") delete process.env[name];
Object.assign(process.env, { HOME: folder, XDG_CONFIG_HOME: folder });

const sdkModule = { exports: {} };
/** Loads the SDK from its script, once. */
function load(file) {
  if (file !== "./aws-sdk.cjs") return createRequire(program)(file);
  if (Object.keys(sdkModule.exports).length === 0) sdkScript.runInThisContext()(createRequire(sdk), sdkModule);
  return sdkModule.exports;
}

/** Wraps nothing and knows no caller: what answers like KMS, for the functions of the SDK that a call needs. */
async function startEcho() {
  const server = createServer(async (request, response) => {
    const { KeyId, Plaintext, CiphertextBlob } = JSON.parse(Buffer.concat(await request.toArray()).toString());
    response.setHeader("content-type", "application/x-amz-json-1.1");
    response.end(JSON.stringify({ KeyId, CiphertextBlob: Plaintext, Plaintext: CiphertextBlob }));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return server;
}

// What holds the process here is this file.
process.exit = () => undefined;

/** The program as if it had been started with these arguments; the last it does is to say its exit code. */
async function run(...argv) {
  process.argv = [process.execPath, program, ...argv];
  process.exitCode = undefined;
  main(load, dirname(program));
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
  vault:
    recipients: { kms: ["arn:aws:kms:eu-west-1:111122223333:alias/made-up"] }
    paths: ["**/vault/**"]
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
  for (const command of ["check", "explain", "wrap", "status"]) await run(command, "prod/db.sealed.yaml");
  await run("view", "--keys", "prod/db.sealed.yaml");
  await run("check", "--no-gitleaks", "prod/db.sealed.yaml", "seal.yaml");
  await run("env", "manifest", "prod");
  await run("kms", "policy");
  await run("keys");
  const echo = await startEcho();
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${echo.address().port}`,
    AWS_ACCESS_KEY_ID: "made-up",
    AWS_SECRET_ACCESS_KEY: "made-up",
  });
  mkdirSync("vault");
  writeFileSync("vault/db.yaml", manifest.replace("namespace: payments", "namespace: vault"));
  await run("encrypt", "vault/db.yaml", "-o", "vault/db.sealed.yaml");
  await run("decrypt", "vault/db.sealed.yaml");
  echo.close();
  echo.closeAllConnections();
  const sdkMade = `${sdkSource.slice(0, sdkStart - 1)} ${process.version} ${process.arch}\n`;
  writeFileSync(
    sdk.replace(/cjs$/, "bin"),
    Buffer.concat([Buffer.from(sdkMade, "latin1"), sdkScript.createCachedData()]),
  );
  const made = `${source.slice(0, source.indexOf("\n"))} ${process.version} ${process.arch}\n`;
  const bytes = Buffer.concat([Buffer.from(made, "latin1"), script.createCachedData()]);
  writeFileSync(join(dirname(program), "seal-main.bin"), bytes);
} finally {
  process.chdir("/");
  rmSync(folder, { recursive: true, force: true });
}
