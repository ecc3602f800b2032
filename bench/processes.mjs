// Whole processes side by side: runs each side in turn, round after round, so that whatever else the machine does meets
// all of them. Knows nothing about what they do.
import { spawnSync } from "node:child_process";

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** A function that runs a program in these surroundings, gives its stdout, and throws where it fails. */
export const runner = (options) => (command, args) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", ...options });
  if (error !== undefined || status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
};

/** Medians (ms) of whole runs, one of each side a round; a side that is null has none. */
export function measure(sides, rounds) {
  const times = sides.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, side] of sides.entries()) {
      if (side === null) continue;
      const start = process.hrtime.bigint();
      side();
      times[index].push(Number(process.hrtime.bigint() - start) / 1e6);
    }
  }
  return times.map((values) => median(values) ?? null);
}

/** A row of the table; ratios are of the second column. */
export function row(name, [floor, our, their]) {
  const cell = (value, digits) => (value === null || value === undefined ? "" : value.toFixed(digits));
  const ratio = (other) => (other === null ? "" : (our / other).toFixed(2));
  return `| ${name} | ${cell(floor, 0)} | ${cell(our, 0)} | ${cell(their, 0)} | ${ratio(floor)} | ${ratio(their)} |`;
}
