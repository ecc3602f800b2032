// What a failure looks like to the person at the terminal, and the one place where text for stderr is made safe and
// coloured. Which hint belongs to which error stands in hints.ts.
import { type ErrorCode, SealwardError } from "../src/index.ts";
import { answers } from "./hints.ts";
import type { Io } from "./io.ts";

export function exitOf(code: ErrorCode): number {
  return answers[code].exit;
}

/** An error whose own hint is better than the general one of its code. */
export class HintedError extends SealwardError {
  readonly hint: string | readonly string[];
  constructor(
    code: ErrorCode,
    message: string,
    {
      hint,
      ...place
    }: {
      readonly hint: string | readonly string[];
      readonly file?: string | undefined;
      readonly line?: number | undefined;
      readonly column?: number | undefined;
    },
  ) {
    super(code, message, place);
    this.hint = hint;
  }
}

/** Runs `work`; where it fails with a code that `hints` has, the failure gets that hint. */
export async function hinting<T>(hints: Partial<Record<ErrorCode, string>>, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem instanceof HintedError) throw problem;
    const hint = hints[problem.code];
    if (hint === undefined) throw problem;
    const { code, message, file, line, column } = problem;
    throw new HintedError(code, message, { hint, file, line, column });
  }
}

export class UsageError extends HintedError {
  constructor(message: string, hint: string) {
    super("usage", message, { hint });
  }
}

/** What a command read is no longer what stands in the file, so that writing would undo someone's change. */
export class ChangedMeanwhile extends HintedError {
  constructor(file: string) {
    super("file-unwritable", "Cannot write the file: someone changed it meanwhile, and it stays as they left it", {
      hint: "run the command again: it starts from the file as it is now",
      file,
    });
  }
}

export async function printError(io: Io, problem: SealwardError): Promise<void> {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(":");
  await printLine(io, "error", `${place === "" ? "" : `${place}: `}${problem.message} (${problem.code})`);
  for (const hint of hintsFor(problem)) await printLine(io, "hint", hint);
}

export function hintsFor(problem: SealwardError): readonly string[] {
  if (problem instanceof HintedError) return [problem.hint].flat();
  const file = problem.file === undefined || problem.file === "stdin" ? "FILE" : shellQuote(problem.file);
  return [answers[problem.code].hint(file, problem)];
}

/** Something to know that stops nothing. */
export const printNote = async (io: Io, text: string): Promise<void> => {
  if (!io.isQuiet) await printLine(io, "note", text);
};

/** What a command has done. */
export const printDone = async (io: Io, text: string): Promise<void> => {
  if (!io.isQuiet) await io.stderr.write(`${safeText(text)}\n`);
};

const colours = { error: 31, hint: 36, note: 33 } as const;

async function printLine(io: Io, label: keyof typeof colours, text: string): Promise<void> {
  const start = hasColour(io) ? `\u001b[1;${colours[label]}m${label}:\u001b[0m` : `${label}:`;
  await io.stderr.write(`${start} ${safeText(text)}\n`);
}

/** NO_COLOR wins over FORCE_COLOR, which wins over what the terminal is. */
export function hasColour(io: Io, stream: "stdout" | "stderr" = "stderr"): boolean {
  if ((io.env["NO_COLOR"] ?? "") !== "") return false;
  const forced = io.env["FORCE_COLOR"] ?? "";
  if (forced !== "") return forced !== "0" && forced !== "false";
  return io[stream].isTty && io.env["TERM"] !== "dumb";
}

/**
 * One line as it may be shown. A key typed where a file name belongs would come back in the message, and a file name can
 * hold escape sequences, line breaks that begin a line of its own, and characters that turn text around: none of it
 * reaches the terminal.
 */
export function safeText(text: string): string {
  return text
    .replace(/AGE-(SECRET-KEY|PLUGIN)[^\s"']*/gi, "AGE-$1-…")
    .replace(/[A-Z0-9]{40,}/g, "…")
    .replace(invisible, (found) =>
      escaped(found, (hex) => (hex.length < 3 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`)),
    );
}

/** The same for a text of several lines that we wrote ourselves, such as help. */
export const safeLines = (text: string): string => text.split("\n").map(safeText).join("\n");

/** JSON of a value, in which nothing acts on a terminal that it is printed to. */
export const safeJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(invisible, (found) =>
    found === "\n" ? found : escaped(found, (hex) => `\\u${hex.padStart(4, "0")}`),
  );

const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** By UTF-16 units, as JSON counts. */
const escaped = (text: string, write: (hex: string) => string): string =>
  Array.from({ length: text.length }, (_, at) => write(text.charCodeAt(at).toString(16))).join("");

/** For a failure that is nobody's refusal: which kind, and where in our own code, but never its message. */
export function internalFailure(problem: unknown): string {
  const kind = problem instanceof Error ? problem.constructor.name : typeof problem;
  const frames =
    problem instanceof Error
      ? (problem.stack ?? "").split("\n").filter((line) => /^ {4}at .*:\d+:\d+\)?$/.test(line))
      : [];
  return `error: seal failed inside (${kind}); this is a bug, please report it with the lines below\n${frames.slice(0, 8).join("\n")}\n`;
}

export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
