// seal set: one value of a sealed file, from stdin or a file, never from the argument list, where other users of the
// machine and the shell's history would see it. The bytes are taken as they are. KEY is the name of a Secret's key, or in any
// other file a path as sops writes it.
import { resolve } from "node:path";
import { formatPath, parsePath, setInSops, setValue } from "../../src/index.ts";
import { keysOf } from "../changes.ts";
import { decodeText, readChangeable, readChangeableInput, withContent } from "../document.ts";
import { requireExpectation } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { changeOther, isOther } from "../other-files.ts";
import { deliverBack } from "../output.ts";
import { ChangedMeanwhile, printDone, printNote, shellQuote, UsageError } from "../report.ts";
import type { StoreFlags } from "../store-choice.ts";

export interface SetOptions extends StoreFlags {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly fromFile?: string;
  readonly trim?: boolean;
  readonly allowEmpty?: boolean;
  /** The value is JSON, and has its type. */
  readonly json?: boolean;
  readonly ignoreMac?: boolean;
  /** Something follows KEY in the argument list. */
  readonly hasValue?: boolean;
}

const maxAttempts = 20;

export async function set(io: Io, file: string, key: string, options: SetOptions): Promise<void> {
  if (options.hasValue) {
    throw new UsageError(
      "Cannot take a value from the argument list: it is in the shell's history now, and other users may have seen it",
      "the value comes from stdin: `printf %s … | seal set FILE KEY`",
    );
  }
  if (await isOther(io, await readChangeableInput(io, file), options)) {
    const path = key.startsWith("[") ? parsePath(key) : [key];
    const bytes = await readValue(io, options);
    const value = options.json ? { json: decodeText(bytes, "the new value") } : { text: bytes };
    return changeOther(io, file, options, {
      change: (source, how) => setInSops(source, path, value, how),
      done: `set ${formatPath(path)}`,
    });
  }
  // What was typed is not repeated: with `KEY=VALUE` it would hold the value.
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
    throw new UsageError(
      "Cannot set a value: KEY may hold only letters, digits, '-', '_' and '.'",
      "pipe the value in: `seal set FILE KEY < VALUE_FILE`",
    );
  }
  const sources = { ...options, known: new Map() };
  const found = await requireExpectation(io, await readChangeable(io, file), sources);
  assertNoMapNamed(file, key, keysOf(found.manifest));
  const value = await readValue(io, options);
  await withIdentities(io, { ...options, ...found, changes: { file, isSecret: true } }, async (identities) => {
    const setOnce = async (): Promise<void> => {
      const document = await readChangeable(io, file);
      const { expectation, manifest } = await requireExpectation(io, document, sources);
      const { text } = await setValue(document.content, key, value, expectation, identities, { now: io.now(), file });
      if (text === document.content) return printDone(io, `nothing changed: ${file}`);
      await deliverBack(io, document, withContent(document, text));
      const present = keysOf(manifest);
      const isNew = !present.includes(key);
      const change = isNew ? `added ${key} (new; the file has ${present.join(", ") || "no other"})` : `changed ${key}`;
      await printDone(io, `sealed ${file}: ${change}`);
    };
    // Setting one value says nothing about the others, so it can be done again on what someone else has just written.
    for (let attempt = 1; ; attempt++) {
      try {
        return await setOnce();
      } catch (problem) {
        if (!(problem instanceof ChangedMeanwhile) || attempt === maxAttempts) throw problem;
      }
    }
  });
}

/** Which map a key is in is for the file to say; a key `stringData.KEY` beside KEY would hardly be meant. */
function assertNoMapNamed(file: string, key: string, present: readonly string[]): void {
  const [, bare = ""] = /^(?:stringData|data)\.(.+)$/.exec(key) ?? [];
  if (present.includes(key) || !present.includes(bare)) return;
  throw new UsageError(
    `Cannot set ${key}: KEY is the name alone, and the file has the key ${bare}`,
    `\`seal set ${shellQuote(file)} ${bare}\``,
  );
}

async function readValue(io: Io, options: SetOptions): Promise<Uint8Array> {
  if (options.fromFile === undefined && io.stdin.isTty) {
    throw new UsageError(
      "Cannot read the value: stdin is a terminal, which would show it",
      "pipe the value in, or name a file: `--from-file PATH`",
    );
  }
  const given =
    options.fromFile === undefined ? await io.stdin.readAll() : await io.fs.read(resolve(io.cwd, options.fromFile));
  const value = options.trim ? withoutLineBreak(given) : given;
  // Mostly the trace of a command before the pipe that failed.
  if (value.length === 0 && !options.allowEmpty) {
    throw new UsageError("Cannot set an empty value: nothing came in", "add `--allow-empty` if that is meant");
  }
  if (withoutLineBreak(value).length !== value.length)
    await printNote(io, "the value ends with a line break, which is kept; `--trim` drops it");
  return value;
}

function withoutLineBreak(bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== 10) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 13 ? -2 : -1);
}
