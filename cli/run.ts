// run(argv, io): one command from arguments to exit code, and the only catch: every failure becomes `error:` and `hint:`
// lines here. What a failure means to a person stands in report.ts.
import { CommanderError } from "commander";
import { SealwardError } from "../src/index.ts";
import { ExitWith } from "./exit-with.ts";
import { type Io, ReaderGone } from "./io.ts";
import { createProgram, rejectUnknownCommand } from "./program.ts";
import { exitOf, internalFailure, printError, safeLines } from "./report.ts";

/** Runs one command; resolves to the exit code and never rejects. Codes: docs/cli.md. */
export async function run(argv: readonly string[], surroundings: Io): Promise<number> {
  const written: { text: string; stream: "stdout" | "stderr" }[] = [];
  const { words: said, io } = withGlobals(argv, surroundings);
  try {
    const words = asCommand(said);
    const program = createProgram(io, (stream, text) => written.push({ stream, text }), words[0]);
    try {
      if (argv.length === 0 && io.stdin.isTty) {
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

/** The flags that every command has, wherever they stand; what follows `--` is somebody else's. */
function withGlobals(argv: readonly string[], io: Io): { readonly words: readonly string[]; readonly io: Io } {
  const end = argv.indexOf("--");
  const own = end < 0 ? argv : argv.slice(0, end);
  const has = (flag: string): boolean => own.includes(flag);
  if (!has("--yes") && !has("--quiet")) return { words: argv, io };
  const words = [...own.filter((word) => word !== "--yes" && word !== "--quiet"), ...argv.slice(own.length)];
  // The surroundings answer some questions only when asked (the working folder may be gone), so they are not copied.
  const told = { assumesYes: { value: has("--yes") }, isQuiet: { value: has("--quiet") } };
  return { words, io: Object.create(io, told) as Io };
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
