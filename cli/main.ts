// Starts the CLI: builds the real surroundings, waits for the outcome. The only file of cli/ that touches `process`.
import { nodeIo } from "./io.ts";
import { run } from "./run.ts";

// A reader that has seen enough (`seal decrypt f | head -1`) is no failure to report; 141 is what a shell shows for it.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (problem: NodeJS.ErrnoException) => {
    if (problem.code === "EPIPE") process.exit(141);
  });
}

run(process.argv.slice(2), nodeIo(process)).then((code) => {
  process.exitCode = code;
});
