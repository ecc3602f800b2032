// Timings of `seal` beside an empty `node` process, which is its floor, and the released `sops`, in one run on one machine:
// prints medians and ratios; a ratio to sops below 1 means that seal is quicker. A row is a name and what seal and sops do
// for it. Finds sops on PATH or in $SEALWARD_PEERS/bin; without it, prints our side only.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkRows } from "./check.mjs";
import { coldStartHead, coldStartRows } from "./cold-start.mjs";
import { kmsRows, startKms, throttledRow } from "./kms.mjs";
import { largeRows, readManifest, throughputRows } from "./large.mjs";
import { measure, row, runner } from "./processes.mjs";

const isShort = process.argv.includes("--short");
const rounds = isShort ? 9 : 31;
const many = 40;
const seal = fileURLToPath(new URL("../dist/seal.cjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sealward-bench-"));
const env = {
  PATH: [join(process.env.SEALWARD_PEERS ?? "", "bin"), process.env.PATH].join(delimiter),
  HOME: folder,
  SOPS_AGE_KEY_FILE: join(folder, "prod.agekey"),
  SOPS_DISABLE_VERSION_CHECK: "1",
};
const run = runner({ cwd: folder, env });
const ours = (...args) => run(process.execPath, [seal, ...args]);
const theirs = (...args) => run("sops", args);
const floor = () => run(process.execPath, ["-e", ""]);

try {
  run("git", ["init", "-q"]);
  ours("keygen", "-o", "prod.agekey");
  const recipient = /age1\S+/.exec(readFileSync(join(folder, "prod.agekey"), "utf8"))[0];
  writeFileSync(
    join(folder, "seal.yaml"),
    `version: 1\nenvironments:\n  prod:\n    recipients:\n      age: [${recipient}]\n    namespaces: [payments]\n`,
  );
  copyFileSync(new URL("secret.yaml", import.meta.url), join(folder, "plain.yaml"));
  ours("encrypt", "--env", "prod", "plain.yaml", "-o", "sealed.yaml");
  mkdirSync(join(folder, "files"));
  for (let index = 0; index < many; index++)
    copyFileSync(join(folder, "sealed.yaml"), join(folder, "files", `${index}.yaml`));

  const found = spawnSync("sops", ["--version"], { env, encoding: "utf8" });
  const hasSops = found.status === 0;
  const sopsRule = ["--age", recipient, "--encrypted-regex", "^(data|stringData)$"];
  const rows = [
    ["`--version`", () => ours("--version"), () => theirs("--version")],
    [
      "`encrypt` a Secret of 2 KB",
      () => ours("encrypt", "--env", "prod", "plain.yaml"),
      () => theirs("encrypt", ...sopsRule, "plain.yaml"),
    ],
    ["`decrypt` it", () => ours("decrypt", "sealed.yaml"), () => theirs("decrypt", "sealed.yaml")],
    [
      `\`check\` ${many} files (sops: open ${many}, it has no check)`,
      () => ours("check", "files"),
      () => {
        for (let index = 0; index < many; index++) theirs("decrypt", `files/${index}.yaml`);
      },
    ],
  ];
  console.log(
    `${rounds} rounds, interleaved; node ${process.version}; ${hasSops ? found.stdout.split("\n")[0] : "sops not found: our side only"}`,
  );
  console.log(
    "| whole process, median ms | node | seal | sops | seal : node | seal : sops |\n|---|--:|--:|--:|--:|--:|",
  );
  for (const [name, our, their] of rows) console.log(row(name, measure([floor, our, hasSops ? their : null], rounds)));

  console.log(`\n${coldStartHead}\n${coldStartRows(rounds).join("\n")}`);

  const large = mkdtempSync(join(tmpdir(), "sealward-bench-"));
  try {
    const inLarge = runner({ cwd: large, env, maxBuffer: 1024 * 1024 * 1024 });
    inLarge("git", ["init", "-q"]);
    copyFileSync(join(folder, "seal.yaml"), join(large, "seal.yaml"));
    const lines = checkRows({
      folder: large,
      ours: (...args) => inLarge(process.execPath, [seal, ...args]),
      theirs: hasSops ? (...args) => inLarge("sops", args) : null,
      floor,
      sealed: readFileSync(join(folder, "sealed.yaml"), "utf8"),
      rounds: isShort ? 3 : 9,
      isShort,
    });
    console.log(`\n| a large repository | node | seal | sops | seal : node | seal : sops |\n|---|--:|--:|--:|--:|--:|`);
    console.log(lines.join("\n"));
  } finally {
    rmSync(large, { recursive: true, force: true });
  }
  // A folder of its own: no seal.yaml governs these.
  const apart = mkdtempSync(join(tmpdir(), "sealward-bench-"));
  try {
    copyFileSync(join(folder, "plain.yaml"), join(apart, "plain.yaml"));
    const inApart = runner({ cwd: apart, env, maxBuffer: 1024 * 1024 * 1024 });
    const lines = largeRows({
      folder: apart,
      recipient,
      ours: (...args) => inApart(process.execPath, [seal, ...args]),
      theirs: hasSops ? (...args) => inApart("sops", args) : null,
      rounds: isShort ? 1 : 5,
      isShort,
    });
    console.log(`\n${lines.join("\n")}`);
  } finally {
    rmSync(apart, { recursive: true, force: true });
  }
  const calling = mkdtempSync(join(tmpdir(), "sealward-bench-"));
  const kms = await startKms(calling);
  try {
    const inCalling = runner({ cwd: calling, env: { ...env, ...kms.env }, maxBuffer: 1024 * 1024 * 1024 });
    const lines = await kmsRows({
      folder: calling,
      arn: kms.arn,
      run: inCalling,
      ours: (...args) => inCalling(process.execPath, [seal, ...args]),
      theirs: hasSops ? (...args) => inCalling("sops", args) : null,
      floor,
      rounds: isShort ? 5 : 15,
      isShort,
    });
    console.log(`\n| with AWS KMS | node | seal | sops | seal : node | seal : sops |\n|---|--:|--:|--:|--:|--:|`);
    console.log(lines.join("\n"));
  } finally {
    const { operations, errors, maxInFlight } = await kms.stop();
    console.log(
      `calls: ${JSON.stringify(operations)}, errors: ${JSON.stringify(errors)}, at most ${maxInFlight} in flight`,
    );
    rmSync(calling, { recursive: true, force: true });
  }
  const throttled = mkdtempSync(join(tmpdir(), "sealward-bench-"));
  try {
    const runnerFor = (more) => runner({ cwd: throttled, env: { ...env, ...more }, maxBuffer: 1024 * 1024 * 1024 });
    console.log(await throttledRow({ folder: throttled, runnerFor, isShort }));
  } finally {
    rmSync(throttled, { recursive: true, force: true });
  }
  console.log(`\n${(await throughputRows(await import("../dist/index.js"), readManifest())).join("\n")}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
