// Where a command's outcome goes: stdout, a file, or back into the file it came from, and what may be replaced by it.
import { basename, dirname, join, resolve } from "node:path";
import { isSealed, readManifest, SealwardError } from "../src/index.ts";
import { type Document, documentOf, type Input, readText } from "./document.ts";
import type { Io } from "./io.ts";
import { ChangedMeanwhile, HintedError, shellQuote, UsageError } from "./report.ts";

export interface Destination {
  readonly out?: string;
  readonly force?: boolean;
  /** False: the command has no --force to speak of. */
  readonly isForceable?: false;
}

/** What tells whether one file is the next version of another. */
export interface Version {
  readonly environment: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly isBoundSecret: boolean;
}

/** Throws `file-missing` with the command that makes the folder; no command makes one itself, for a typing mistake would stay. */
export async function assertFolder(io: Io, out: string | undefined): Promise<void> {
  if (out === undefined || (await io.fs.kind(dirname(resolve(io.cwd, out)))) !== null) return;
  throw new HintedError("file-missing", `Cannot write ${out}: there is no folder ${dirname(out)}`, {
    hint: `check the path, or make the folder: \`mkdir -p ${shellQuote(dirname(out))}\``,
  });
}

/**
 * Refuses an output that would destroy something: the input itself (`usage`), or a file (`file-exists`) that is not an older
 * version of what is written. Called before any work is done; null for what is written allows no replacing at all.
 */
export async function assertMayWrite(
  io: Io,
  document: Pick<Document, "path">,
  to: Destination,
  written: Version | null,
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
  const present = kind === "file" && written !== null ? await versionIn(io, to.out) : null;
  if (written !== null && present !== null && described(present) === described(written)) return;
  const difference =
    written === null
      ? ""
      : `, as ${present === null ? "something else" : described(present)}, not as ${described(written)}`;
  const message = `Cannot write ${to.out}: it ${kind === "file" ? "exists already" : "is no regular file"}${difference}`;
  if (kind !== "file" || to.isForceable === false) throw new SealwardError("file-exists", message);
  throw new HintedError("file-exists", message, { hint: "choose another name, or replace it: `--force`" });
}

const described = ({ environment, namespace, name, isBoundSecret }: Version): string =>
  `${isBoundSecret ? "a BoundSecret with" : "a sealed file of"} ${[namespace, name].filter(Boolean).join("/")} for ${environment}`;

/** Writes to `-o FILE`, whole or not at all, else to stdout. */
export async function deliver(
  io: Io,
  text: string | Uint8Array,
  to: Destination & { readonly plaintext?: boolean },
): Promise<void> {
  if (to.out === undefined) await io.stdout.write(text);
  else await io.fs.write(resolve(io.cwd, to.out), text, to.plaintext ? { plaintext: true } : {});
}

/**
 * Writes a file that was read as `document` back, with other text. Every command that changes a file does it here.
 * @throws ChangedMeanwhile when it no longer holds what was read
 */
export async function deliverBack(io: Io, document: Document & { readonly path: string }, text: string): Promise<void> {
  await replaceInput(io, { ...document, bytes: Buffer.from(document.text) }, text);
}

/** The same for a file that was read as bytes. `plaintext`: only the owner may read it from then on. */
export async function replaceInput(
  io: Io,
  input: Input & { readonly path: string },
  data: string | Uint8Array,
  plaintext: boolean = false,
): Promise<void> {
  if (!(await io.fs.replace(input.path, { expected: input.bytes, data, plaintext })))
    throw new ChangedMeanwhile(input.name);
}

/**
 * For a file that is ours to write by its name alone: in a repository that somebody else wrote it may be a link to anywhere.
 * @throws file-unwritable
 */
export async function assertNoLink(io: Io, path: string): Promise<void> {
  const expected = join(await io.fs.realPath(dirname(path)), basename(path));
  if ((await io.fs.realPath(path)) === expected) return;
  throw new HintedError("file-unwritable", `Cannot write ${path}: it is a symbolic link`, {
    hint: "put a file in its place, if the repository is one that you trust",
  });
}

/** What a sealed file claims to be; null for anything else, whatever is wrong with it. */
async function versionIn(io: Io, file: string): Promise<Version | null> {
  try {
    const { content, carrier } = documentOf(await readText(io, file), file, null);
    if (!isSealed(content)) return null;
    const { environment, namespace, name } = readManifest(content, file);
    return environment === undefined ? null : { environment, namespace, name, isBoundSecret: carrier !== null };
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}
