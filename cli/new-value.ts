// Where a new value comes from: an argument, a file, stdin, a prompt without echo, or a generator. The bytes are taken as they
// are; none of them is ever printed.
import { resolve } from "node:path";
import type { Io } from "./io.ts";
import { generatePassword } from "./password.ts";
import { printNote, safeText, UsageError } from "./report.ts";

export interface ValueSource {
  /** From the argument list. */
  readonly argument?: string | undefined;
  readonly fromFile?: string | undefined;
  /** A policy; true for the usual one. */
  readonly generate?: string | true | undefined;
  readonly trim?: boolean | undefined;
  readonly allowEmpty?: boolean | undefined;
}

/** `name`: what the value is for, as a question shows it. @throws usage, file-missing, file-unreadable, cancelled */
export async function readNewValue(io: Io, name: string, source: ValueSource): Promise<Uint8Array> {
  const { argument, fromFile, generate, trim = false, allowEmpty = false } = source;
  const given = [argument, fromFile, generate].filter((one) => one !== undefined);
  if (given.length > 1)
    throw new UsageError(
      "Cannot take a value from two places",
      "leave all but one of VALUE, --from-file and --generate out",
    );
  if (generate !== undefined) return Buffer.from(generatePassword(generate === true ? "" : generate));
  if (argument !== undefined) {
    await printNote(
      io,
      "the value stood in the argument list: the shell's history has it, and other users of this machine could see it",
    );
    return checked(io, Buffer.from(argument), allowEmpty);
  }
  if (fromFile === undefined && io.stdin.isTty) return promptValue(io, name, allowEmpty);
  const bytes = fromFile === undefined ? await io.stdin.readAll() : await io.fs.read(resolve(io.cwd, fromFile));
  return checked(io, trim ? withoutLineBreak(bytes) : bytes, allowEmpty);
}

const attempts = 3;

/** Asked twice, for nobody sees what is typed. @throws cancelled; usage where the two differ again and again */
export async function promptValue(io: Io, name: string, allowEmpty: boolean = false): Promise<Uint8Array> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const first = await io.askSecret(`Value of ${safeText(name)}: `);
    if (first === null)
      throw new UsageError(
        "Cannot ask for the value: there is no terminal",
        "pipe it in, or name a file: `--from-file PATH`",
      );
    if (first === (await io.askSecret("Once more: "))) return checked(io, Buffer.from(first), allowEmpty);
    await printNote(io, "the two are not the same");
  }
  throw new UsageError(
    "Cannot take the value: it was typed in two ways again and again",
    "pipe it in, or name a file: `--from-file PATH`",
  );
}

async function checked(io: Io, value: Uint8Array, allowEmpty: boolean): Promise<Uint8Array> {
  // Mostly the trace of a command before the pipe that failed.
  if (value.length === 0 && !allowEmpty)
    throw new UsageError("Cannot set an empty value: nothing came in", "add `--allow-empty` if that is meant");
  if (withoutLineBreak(value).length !== value.length)
    await printNote(io, "the value ends with a line break, which is kept; `--trim` drops it");
  return value;
}

function withoutLineBreak(bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== 10) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 13 ? -2 : -1);
}
