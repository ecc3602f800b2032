// seal get: one value of a sealed file, byte for byte. KEY is the name of a Secret's key, or in any other file a path as sops
// writes it.
import { openSealed, parsePath, readManifest, SealwardError } from "../../src/index.ts";
import { keysOf } from "../changes.ts";
import { documentIn, type Input, readInput } from "../document.ts";
import { findExpectation } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { isManifest } from "../kinds.ts";
import { assertFolder, assertMayWrite, deliver } from "../output.ts";
import { printNote } from "../report.ts";
import type { StoreFlags } from "../store-choice.ts";
import { openInput } from "./decrypt.ts";

export interface GetOptions extends StoreFlags {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly out?: string;
  readonly force?: boolean;
}

/** @throws path-missing, which names the keys that are there; what opening throws */
export async function get(io: Io, file: string, key: string, options: GetOptions): Promise<void> {
  const input = await readInput(io, file, "seal get");
  await assertFolder(io, options.out);
  await assertMayWrite(io, input, options, null);
  const isSecret = options.inputType === undefined && isManifest(input.bytes);
  const value = isSecret ? await secretValue(io, input, key, options) : await otherValue(io, input, key, options);
  await deliver(io, value, { ...options, plaintext: true });
  // A line of its own for whoever looks at it; a program gets the value and nothing else.
  if (options.out === undefined && io.stdout.isTty) await io.stdout.write("\n");
  value.fill(0);
}

async function secretValue(io: Io, input: Input, key: string, options: GetOptions): Promise<Uint8Array> {
  const document = documentIn(input);
  const manifest = readManifest(document.content, input.name);
  const keys = keysOf(manifest);
  if (!keys.includes(key))
    throw new SealwardError("path-missing", `There is no key of that name; the file has ${keys.join(", ") || "none"}`, {
      file: input.name,
    });
  const { env } = options;
  // Where the value goes says nothing about where the file belongs.
  const found = await findExpectation(io, document, env === undefined ? {} : { env });
  if (found === null) {
    const isEncoded = manifest.dataKeys.includes(key);
    const extract = `[${JSON.stringify(isEncoded ? "data" : "stringData")}][${JSON.stringify(key)}]`;
    const text = await openInput(io, input, { ...options, extract });
    return isEncoded ? Buffer.from(Buffer.from(text).toString("latin1"), "base64") : text;
  }
  const { data, notices } = await withIdentities(io, { ...options, ...found }, (identities) =>
    openSealed(document.content, found.expectation, identities, document.name),
  );
  for (const notice of notices) await printNote(io, `${notice.message} (${notice.code})`);
  for (const [name, bytes] of data) if (name !== key) bytes.fill(0);
  return data.get(key) ?? new Uint8Array();
}

function otherValue(io: Io, input: Input, key: string, options: GetOptions): Promise<Uint8Array> {
  // Also what is no path but a name stands for the key at the top.
  const path = key.startsWith("[") ? parsePath(key) : [key];
  return openInput(io, input, { ...options, extract: path.map((part) => `[${JSON.stringify(part)}]`).join("") });
}
