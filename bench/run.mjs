// Whole-process timings of `seal` beside the released `sops`, in one run on one machine: rounds are interleaved, so that
// whatever else the machine does meets both. Prints medians and ratios; a ratio below 1 means that seal is quicker.
// Finds sops on PATH or in $SEALWARD_PEERS/bin; without it, prints our side only.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const rounds = process.argv.includes("--short") ? 9 : 31;
const many = 40;
const seal = fileURLToPath(new URL("../dist/seal.cjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sealward-bench-"));
const env = {
  PATH: [join(process.env.SEALWARD_PEERS ?? "", "bin"), process.env.PATH].join(delimiter),
  HOME: folder,
  SOPS_AGE_KEY_FILE: join(folder, "prod.agekey"),
};

function run(command, args, input) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, env, input, encoding: "utf8" });
  if (error !== undefined || status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}
const ours = (...args) => run(process.execPath, [seal, ...args]);
const theirs = (...args) => run("sops", args);
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Medians (ms) of whole runs, one of each side a round. */
function measure(sides) {
  const times = sides.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, side] of sides.entries()) {
      const start = process.hrtime.bigint();
      side();
      times[index].push(Number(process.hrtime.bigint() - start) / 1e6);
    }
  }
  return times.map(median);
}

const manifest = readFileSync(new URL("secret.yaml", import.meta.url), "utf8");
try {
  run("git", ["init", "-q"]);
  ours("keygen", "-o", "prod.agekey");
  const recipient = /age1\S+/.exec(readFileSync(join(folder, "prod.agekey"), "utf8"))[0];
  writeFileSync(
    join(folder, "seal.yaml"),
    `version: 1\nenvironments:\n  prod:\n    recipients:\n      age: [${recipient}]\n    namespaces: [payments]\n`,
  );
  writeFileSync(join(folder, "plain.yaml"), manifest);
  mkdirSync(join(folder, "files"));
  ours("encrypt", "--env", "prod", "plain.yaml", "-o", "sealed.yaml");
  for (let index = 0; index < many; index++)
    copyFileSync(join(folder, "sealed.yaml"), join(folder, "files", `${index}.yaml`));

  const hasSops = spawnSync("sops", ["--version", "--disable-version-check"], { env }).status === 0;
  const sopsRule = ["--age", recipient, "--encrypted-regex", "^(data|stringData)$"];
  const cases = [
    ["empty node process (our floor)", () => run(process.execPath, ["-e", ""]), null],
    [
      "seal one Secret (6 values)",
      () => ours("encrypt", "--env", "prod", "plain.yaml"),
      () => theirs("encrypt", ...sopsRule, "plain.yaml"),
    ],
    ["open one sealed file", () => ours("decrypt", "sealed.yaml"), () => theirs("decrypt", "sealed.yaml")],
    [
      `check ${many} files (sops: open ${many}, it has no check)`,
      () => ours("check", "files"),
      () => {
        for (let index = 0; index < many; index++) theirs("decrypt", `files/${index}.yaml`);
      },
    ],
  ];
  console.log(
    `${rounds} rounds, interleaved; node ${process.version}; ${hasSops ? run("sops", ["--version", "--disable-version-check"]).trim().split("\n")[0] : "sops not found: our side only"}`,
  );
  console.log("| whole process | seal, median ms | sops, median ms | ratio |\n|---|--:|--:|--:|");
  for (const [name, our, their] of cases) {
    const [a, b] = measure(hasSops && their !== null ? [our, their] : [our]);
    console.log(
      `| ${name} | ${a.toFixed(0)} | ${b?.toFixed(0) ?? ""} | ${b === undefined ? "" : (a / b).toFixed(2)} |`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
