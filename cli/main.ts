// Starts the CLI: builds the real surroundings, waits for the outcome. The only file of cli/ that touches `process`.
import { nodeIo } from "./io.ts";
import { run } from "./run.ts";

// Without a listener this signal makes Node open its inspector, to anyone on the machine, while plaintext is in memory.
process.on("SIGUSR1", () => undefined);
run(process.argv.slice(2), nodeIo(process)).then((code) => {
  process.exitCode = code;
});
