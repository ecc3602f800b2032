// KMS keys: one Secret as a whole process beside the released sops, and many files in one process, with 20 ms a call. The KMS
// is the tests' own, in a process of its own, so that it takes no time of the side that is measured.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { measure, row } from "./processes.mjs";

export const callMs = 20;

/** Starts the KMS with one key. */
export async function startKms(folder) {
  const outfile = join(folder, "kms-server.mjs");
  const entryPoints = ["test/support/kms/serve.ts"];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", logLevel: "error" });
  const config = JSON.stringify({ latencyMs: callMs, keys: [{ region: "eu-west-1" }] });
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

/** Writes `count` Secrets of about 2 KB, each with a name of its own, and gives their paths. */
function writeSecrets(folder, count) {
  mkdirSync(join(folder, "many"));
  const text = readFileSync(new URL("secret.yaml", import.meta.url), "utf8");
  return Array.from({ length: count }, (_, index) => {
    const name = `many/${index}.yaml`;
    writeFileSync(join(folder, name), text.replace(/^( {2}name: ).*$/m, `$1secret-${index}`));
    return name;
  });
}

/** `ours` and `theirs` run seal and sops with arguments in the folder; `floor` an empty node. */
export function kmsRows({ folder, arn, ours, theirs, floor, rounds, isShort }) {
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
  const single = [
    [
      "`encrypt` a Secret of 2 KB with KMS",
      () => ours("encrypt", "plain.yaml"),
      () => theirs("encrypt", ...rule, "plain.yaml"),
    ],
    ["`decrypt` it", () => ours("decrypt", "sealed.yaml"), () => theirs("decrypt", "sealed.yaml")],
  ];
  const lines = single.map(([name, our, their]) => row(name, measure([floor, our, theirs && their], rounds)));
  const opening = measure(
    [
      () => ours("status", ...names),
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
    `${names.length} files opened by one \`seal status\`, 16 calls of ${callMs} ms in flight: ${Math.round(all)} ms (at least ${(names.length / 16) * callMs} for the calls alone).${bySops}`,
  ];
}
