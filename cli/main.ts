// Starts the CLI: builds the real surroundings, waits for the outcome. The only file of cli/ that touches `process`.
import { nodeIo } from "./io.ts";
import { run } from "./run.ts";

// Without a listener this signal makes Node open its inspector, to anyone on the machine, while plaintext is in memory.
process.on("SIGUSR1", () => undefined);
// The SDK of AWS would say on stderr, with every command, that it will want a newer Node one day.
Object.assign(process.env, { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" });
run(process.argv.slice(2), nodeIo(process)).then((code) => {
  process.exitCode = code;
  // Everything was written by now. What still holds the process, such as a program that was to print credentials, has had its time.
  setTimeout(() => process.exit(code), 1000).unref();
});
