// KMS keys: one Secret as a whole process beside the released sops, and many files in one process, with 20 ms a call. The KMS
// is the tests' own, in a process of its own, so that it takes no time of the side that is measured.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { measure, row } from "./processes.mjs";

export const callMs = 20;

/** Starts the KMS with one key. `more` is configuration of test/support/kms/serve.ts. */
export async function startKms(folder, more = {}) {
  const outfile = join(folder, "kms-server.mjs");
  const entryPoints = ["test/support/kms/serve.ts"];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", logLevel: "error" });
  const config = JSON.stringify({ latencyMs: callMs, keys: [{ region: "eu-west-1" }], ...more });
  const child = spawn(process.execPath, [outfile, config], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const { endpoint, keys, credentials } = JSON.parse(String(line));
  return {
    arn: keys[0].arn,
    env: {
      AWS_ENDPOINT_URL_KMS: endpoint,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_REGION: "eu-west-1",
    },
    /** What was asked of it. */
    async stop() {
      const said = once(child.stdout, "data");
      child.kill("SIGTERM");
      const [statistics] = await said;
      return JSON.parse(String(statistics));
    },
  };
}

/** A program that opens the files it is given through the whole gate, all at once, bundled as the controller is. */
function bundleOpening(folder, arn) {
  const contents = `
    import { readFileSync } from "node:fs";
    import { AwsKms, KmsIdentity, openSealed, parseConfig } from "./src/index.ts";
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
    const environment = parseConfig(readFileSync("seal.yaml", "utf8"), "seal.yaml").environments.get("prod");
    const kms = new AwsKms({ sessionName: "bench", now: () => performance.now(), load: "sweep" }).as();
    const identities = [new KmsIdentity(${JSON.stringify(arn)}, kms)];
    const expectation = { environment, target: "own" };
    const begin = performance.now();
    Promise.all(
      process.argv.slice(2).map((file) => openSealed(readFileSync(file, "utf8"), expectation, identities)),
    ).then((opened) => {
      if (opened.some(({ data }) => data.size !== 2)) throw new Error("a file did not open");
      console.log(performance.now() - begin);
      process.exit();
    });`;
  return build({
    stdin: { contents, resolveDir: "." },
    outfile: join(folder, "open.cjs"),
    bundle: true,
    minify: true,
    platform: "node",
    format: "cjs",
    mainFields: ["module", "main"],
    logLevel: "error",
  });
}

/** Writes `count` Secrets with two values, as most have few, each with a name of its own, and gives their paths. */
function writeSecrets(folder, count) {
  mkdirSync(join(folder, "many"));
  return Array.from({ length: count }, (_, index) => {
    const name = `many/${index}.yaml`;
    const head = `apiVersion: v1\nkind: Secret\nmetadata:\n  name: secret-${index}\n  namespace: payments\ntype: Opaque\n`;
    writeFileSync(
      join(folder, name),
      `${head}stringData:\n  USERNAME: user-${index}\n  PASSWORD: made-up-password-${index}\n`,
    );
    return name;
  });
}

/** `ours` and `theirs` run seal and sops with arguments in the folder; `floor` an empty node. */
export async function kmsRows({ folder, arn, run, ours, theirs, floor, rounds, isShort }) {
  writeFileSync(
    join(folder, "seal.yaml"),
    `version: 1\nenvironments:\n  prod:\n    recipients:\n      kms: ["${arn}"]\n    namespaces: [payments]\n`,
  );
  copyFileSync(new URL("secret.yaml", import.meta.url), join(folder, "plain.yaml"));
  ours("encrypt", "plain.yaml", "-o", "sealed.yaml");
  const rule = ["--kms", arn, "--encryption-context", "app:bench", "--encrypted-regex", "^(data|stringData)$"];
  const names = writeSecrets(folder, isShort ? 100 : 1000);
  ours("encrypt", "-i", ...names);
  const some = names.slice(0, 20);
  await bundleOpening(folder, arn);
  const opened = () => run(process.execPath, ["open.cjs", ...names]).trim();
  const single = [
    [
      "`encrypt` a Secret of 2 KB with KMS",
      () => ours("encrypt", "plain.yaml"),
      () => theirs("encrypt", ...rule, "plain.yaml"),
    ],
    ["`decrypt` it", () => ours("decrypt", "sealed.yaml"), () => theirs("decrypt", "sealed.yaml")],
  ];
  const lines = single.map(([name, our, their]) => row(name, measure([floor, our, theirs && their], rounds)));
  const libraryMs = Array.from({ length: isShort ? 3 : 5 }, opened)
    .map(Number)
    .sort((a, b) => a - b);
  const opening = measure(
    [
      () => ours("status", "--open", ...names),
      theirs &&
        (() => {
          for (const name of some) theirs("decrypt", name);
        }),
    ],
    isShort ? 3 : 5,
  );
  const [all, twenty] = opening;
  const bySops =
    twenty === null ? "" : ` sops, a process each: ${Math.round((twenty / some.length) * names.length)} ms`;
  return [
    ...lines,
    "",
    `${names.length} files opened in one process with the library, as the controller opens them, 16 calls of ${callMs} ms in flight: ${Math.round(libraryMs[Math.floor(libraryMs.length / 2)])} ms`,
    `${names.length} files opened by one \`seal status --open\`, 16 calls of ${callMs} ms in flight: ${Math.round(all)} ms (at least ${(names.length / 16) * callMs} for the calls alone).${bySops}`,
  ];
}

/** The same files sealed and opened where one call in ten is throttled: what it costs, and that none is lost. */
export async function throttledRow({ folder, runnerFor, isShort }) {
  const kms = await startKms(folder, { throttleEvery: 10 });
  try {
    const run = runnerFor(kms.env);
    const names = writeSecrets(folder, isShort ? 100 : 1000);
    writeFileSync(
      join(folder, "seal.yaml"),
      `version: 1\nenvironments:\n  prod:\n    recipients:\n      kms: ["${kms.arn}"]\n    namespaces: [payments]\n`,
    );
    const seal = fileURLToPath(new URL("../dist/seal.cjs", import.meta.url));
    run(process.execPath, [seal, "encrypt", "-i", ...names]);
    const begin = performance.now();
    const answers = JSON.parse(run(process.execPath, [seal, "status", "--open", "--output", "json", ...names]));
    const ms = Math.round(performance.now() - begin);
    const opened = answers.filter(({ status }) => status === "opened").length;
    const { errors } = await kms.stop();
    return `one call in ten throttled: ${opened} of ${names.length} files opened by one \`seal status --open\` in ${ms} ms; errors ${JSON.stringify(errors)}`;
  } catch (problem) {
    await kms.stop();
    throw problem;
  }
}
