// Fuzzes every reader, several at a time, each in a process of its own, for FUZZ_SECONDS together (60) from FUZZ_SEED (the day).
// Names of targets as arguments: those only. Fails where an input of a megabyte or less takes more than 2 s or 512 MB,
// makes anything but a refusal, comes back different, or stands in the clear once it is sealed.
import { execFileSync, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { build } from "esbuild";

const bundle = "dist/fuzz.mjs";
await build({
  entryPoints: ["test/fuzz/main.ts"],
  outfile: bundle,
  bundle: true,
  platform: "node",
  target: "node20.19",
  format: "esm",
  packages: "external",
  sourcemap: "inline",
  logLevel: "warning",
});
const known = JSON.parse(execFileSync(process.execPath, [bundle], { encoding: "utf8" }));
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`error: no such target: ${unknown.join(", ")}; there are ${known.join(", ")}`);
  process.exit(2);
}
const names = asked.length > 0 ? asked : known;
// Each has a thread that reads, one that watches, and the collector's.
const atOnce = Math.max(1, availableParallelism() >> 1);
const total = Number(process.env.FUZZ_SECONDS ?? 60);
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000));
const seconds = Math.max(0, (total * atOnce) / names.length);
let failed = 0;

function fuzz(name) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--enable-source-maps", bundle, name, String(seconds), String(seed)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    child.on("close", () => {
      const { inputs, refused, slowest, problem, peakMb, saved } =
        output === "" ? { problem: "no answer" } : JSON.parse(output);
      const figures = `${String(inputs).padStart(7)} inputs, ${refused} refused, slowest ${slowest?.ms} ms (${slowest?.input}), ${peakMb} MB`;
      console.log(`${problem === undefined ? "ok  " : "FAIL"}  ${name.padEnd(14)} ${figures}`);
      if (problem !== undefined) {
        failed++;
        console.log(`      ${problem}\n      the input: ${saved}`);
      }
      resolve();
    });
  });
}

console.log(`seed ${seed}, ${seconds.toFixed(1)} s each`);
const waiting = [...names];
const next = async () => {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await fuzz(name);
};
await Promise.all(Array.from({ length: atOnce }, next));
console.log(`\n${names.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
