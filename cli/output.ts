// Where a command's outcome goes: stdout, a file, or back into the file it came from, and what may be replaced by it.
import { resolve } from "node:path";
import { isSealed, readManifest, SealwardError } from "../src/index.ts";
import { type Document, documentOf, readText } from "./document.ts";
import type { Io } from "./io.ts";
import { ChangedMeanwhile, UsageError } from "./report.ts";

export interface Destination {
  readonly out?: string;
  readonly force?: boolean;
}

/**
 * Refuses an output that would destroy something: the input itself (`usage`), or a file (`file-exists`) that is not a sealed
 * file of `environment`. Called before any work is done; null for an environment allows no replacing at all.
 */
export async function assertMayWrite(
  io: Io,
  document: Document,
  to: Destination,
  environment: string | null,
): Promise<void> {
  if (to.out === undefined) return;
  const target = await io.fs.realPath(resolve(io.cwd, to.out));
  if (document.path !== null && target === (await io.fs.realPath(document.path))) {
    throw new UsageError(
      `Cannot write ${to.out}: it is the input`,
      "name another file, or add `-i` where the command has it to change the file in place",
    );
  }
  const kind = await io.fs.kind(target);
  if (kind === null || (kind === "file" && to.force)) return;
  if (kind !== "file" || environment === null || (await environmentOf(io, to.out)) !== environment) {
    const expected = environment === null ? "" : `, and is not a sealed file of "${environment}"`;
    throw new SealwardError("file-exists", `Cannot write ${to.out}: it exists already${expected}`, { file: to.out });
  }
}

/** Writes to `-o FILE`, whole or not at all, else to stdout. */
export async function deliver(io: Io, text: string, to: Destination & { readonly plaintext?: boolean }): Promise<void> {
  if (to.out === undefined) await io.stdout.write(text);
  else await io.fs.write(resolve(io.cwd, to.out), text, to.plaintext ? { plaintext: true } : {});
}

/**
 * Writes a file that was read as `document` back, with other text. Every command that changes a file does it here.
 * @throws ChangedMeanwhile when it no longer holds what was read
 */
export async function deliverBack(io: Io, document: Document & { readonly path: string }, text: string): Promise<void> {
  if (!(await io.fs.replace(document.path, { expected: document.text, data: text })))
    throw new ChangedMeanwhile(document.name);
}

/** The environment a sealed file claims; null for anything else, whatever is wrong with it. */
async function environmentOf(io: Io, file: string): Promise<string | null> {
  try {
    const { content } = documentOf(await readText(io, file), file, null);
    return isSealed(content) ? (readManifest(content, file).environment ?? null) : null;
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}
