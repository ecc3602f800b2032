// seal set: one value of a sealed file. KEY is the name of a Secret's key, or in any other file a path as sops writes it.
import { formatPath, parsePath, setInSops, setValue } from "../../src/index.ts";
import { keysOf } from "../changes.ts";
import { decodeText, readChangeable, readChangeableInput } from "../document.ts";
import { requireExpectation } from "../environment.ts";
import type { Io } from "../io.ts";
import { readNewValue, type ValueSource } from "../new-value.ts";
import { changeOther, isOther } from "../other-files.ts";
import { shellQuote, UsageError } from "../report.ts";
import { changeSecret } from "../secret-change.ts";
import type { StoreFlags } from "../store-choice.ts";

export interface SetOptions extends StoreFlags, ValueSource {
  readonly env?: string;
  readonly identity?: readonly string[];
  /** The value is JSON, and has its type. */
  readonly json?: boolean;
  readonly ignoreMac?: boolean;
}

export async function set(io: Io, file: string, key: string, options: SetOptions): Promise<void> {
  if (await isOther(io, await readChangeableInput(io, file), options)) {
    const path = key.startsWith("[") ? parsePath(key) : [key];
    const bytes = await readNewValue(io, key, options);
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
  const { manifest: present } = await requireExpectation(io, await readChangeable(io, file), options);
  assertNoMapNamed(file, key, keysOf(present));
  const value = await readNewValue(io, key, options);
  await changeSecret(io, file, {
    ...options,
    change: (document, expectation, identities) =>
      setValue(document, key, value, expectation, identities, { now: io.now(), file }),
    done: (manifest) => {
      const present = keysOf(manifest);
      return present.includes(key)
        ? `changed ${key}`
        : `added ${key} (new; the file has ${present.join(", ") || "no other"})`;
    },
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
