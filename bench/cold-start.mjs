// How long a command that calls no key service takes from nothing to its end, beside an empty `node` process: medians and
// ratios. `node bench/cold-start.mjs` runs it alone; bench/run.mjs has the rows among its own.
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { measure, row, runner } from "./processes.mjs";

const seal = fileURLToPath(new URL("../dist/seal.cjs", import.meta.url));
const file = "deploy/prod/db.sealed.yaml";

const vault = `
  vault:
    recipients:
      kms:
        - "arn:aws:kms:eu-west-1:111122223333:alias/made-up"
    paths: ["**/vault/**"]
    namespaces: [vault]
`;

const commands = [
  ["__complete", "bash", "--", "statu"],
  ["__complete", "bash", "--", "set", file, ""],
  ["help"],
  ["check", "--help"],
  ["completion", "bash"],
  ["check", "--no-gitleaks", file],
  ["explain", file],
  ["wrap", file],
  ["status", file],
  ["view", "--keys", file],
  ["git", "textconv", "--", file],
  ["env", "manifest", "prod"],
  ["kms", "policy", "--env", "vault"],
  ["keygen"],
  ["keys"],
];

/** Rows of a table: what an empty `node` takes, what the command takes, and how many times the former that is. */
export function coldStartRows(rounds) {
  const home = mkdtempSync(join(tmpdir(), "sealward-bench-"));
  try {
    const folder = join(home, "repository");
    mkdirSync(join(folder, "deploy", "prod"), { recursive: true });
    const run = runner({ cwd: folder, env: { PATH: process.env.PATH, HOME: home, XDG_CONFIG_HOME: home } });
    const ours = (...args) => run(process.execPath, [seal, ...args]);
    run("git", ["init", "-q"]);
    ours("init", "--namespace", "prod=payments");
    appendFileSync(join(folder, "seal.yaml"), vault);
    copyFileSync(new URL("secret.yaml", import.meta.url), join(folder, "plain.yaml"));
    ours("encrypt", "--env", "prod", "plain.yaml", "-o", file);
    const floor = () => run(process.execPath, ["-e", "0"]);
    // All in one round, so that what the machine does besides meets all of them.
    const [node, ...times] = measure([floor, ...commands.map((argv) => () => ours(...argv))], rounds);
    return commands.map((argv, index) => row(`\`seal ${argv.join(" ").trim()}\``, [node, times[index], null]));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

export const coldStartHead = "| without a key service | node | seal | | seal : node | |\n|---|--:|--:|--:|--:|--:|";

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(coldStartHead);
  console.log(coldStartRows(process.argv.includes("--short") ? 9 : 30).join("\n"));
}
