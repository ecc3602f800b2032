// run(argv, io): one command from arguments to exit code, and the only catch: every failure becomes `error:` and `hint:`
// lines here. What a failure means to a person stands in report.ts.
import { CommanderError } from "commander";
import { SealwardError } from "../src/index.ts";
import { ExitWith } from "./exit-with.ts";
import { withGlobalFlags } from "./global-flags.ts";
import { type Io, ReaderGone } from "./io.ts";
import { createProgram, rejectUnknownCommand } from "./program.ts";
import { exitOf, internalFailure, printError, safeLines } from "./report.ts";

/** Runs one command; resolves to the exit code and never rejects. Codes: docs/cli.md. */
export async function run(given: readonly string[], surroundings: Io): Promise<number> {
  const { argv, io } = withGlobalFlags(given, surroundings);
  const written: { text: string; stream: "stdout" | "stderr" }[] = [];
  try {
    const words = asCommand(argv);
    const program = createProgram(io, (stream, text) => written.push({ stream, text }), words[0]);
    try {
      if (given.length === 0 && io.stdin.isTty) {
        program.outputHelp();
        return 0;
      }
      await rejectUnknownCommand(program, io, words[0]);
      await program.parseAsync([...words], { from: "user" });
    } finally {
      for (const { stream, text } of written) await io[stream].write(stream === "stderr" ? safeLines(text) : text);
    }
    return 0;
  } catch (problem) {
    if (problem instanceof CommanderError) return problem.exitCode === 0 ? 0 : exitOf("usage");
    if (problem instanceof SealwardError) {
      await printError(io, problem);
      return exitOf(problem.code);
    }
    if (problem instanceof ExitWith) {
      if (problem.problem !== undefined) await printError(io, problem.problem);
      return problem.code;
    }
    // What a shell shows for a program that writes to a closed pipe.
    if (problem instanceof ReaderGone) return 141;
    // Not one of ours, so its message may quote anything, a value or a key included: only its kind and place are shown.
    await io.stderr.write(internalFailure(problem));
    return 70;
  }
}

/** `sops -d FILE` and `sops -e FILE` are in many fingers and scripts. */
function asCommand(argv: readonly string[]): readonly string[] {
  if (argv[0]?.startsWith("-") !== true) return argv;
  for (const [name, letters] of [
    ["decrypt", ["-d", "--decrypt"]],
    ["encrypt", ["-e", "--encrypt"]],
  ] as const) {
    const at = Math.max(...letters.map((letter) => argv.indexOf(letter)));
    if (at >= 0) return [name, ...argv.slice(0, at), ...argv.slice(at + 1)];
  }
  return argv;
}
