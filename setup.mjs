// Makes a bare clone ready: installs when the lock file is newer than the installation, builds when a source is newer
// than the bundle. Runs before every npm script, so that each of them works from `git clone` on; costs 50 ms when
// there is nothing to do.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const run = (command, args) => {
  const { status, error } = spawnSync(command, args, {
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
  });
  if (error !== undefined || status !== 0) {
    console.error(`error: ${command} ${args.join(" ")} failed${error === undefined ? "" : `: ${error.message}`}`);
    process.exit(1);
  }
};
const changedAt = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
const newestUnder = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((newest, entry) => Math.max(newest, changedAt(join(entry.parentPath ?? entry.path, entry.name))), 0);

if (changedAt("package-lock.json") > changedAt("node_modules/.package-lock.json")) {
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
}
const sources = Math.max(
  changedAt("build.mjs"),
  changedAt("code-cache.mjs"),
  changedAt("docs/cli.md"),
  ...["src", "cli", "controller", "examples", "test/support"].map(newestUnder),
);
const outputs = [
  "seal.cjs",
  "seal-main.cjs",
  "seal-main.bin",
  "seal-complete.cjs",
  "commands.json",
  "answers.json",
  "seal.1",
  "aws-sdk.cjs",
  "aws-sdk.bin",
  "sealward-controller.cjs",
  "index.js",
  "demo.cjs",
].map((name) => changedAt(join("dist", name)));
if (Math.min(...outputs) < sources) run(process.execPath, ["build.mjs"]);
