// Reads what a command is about: a file or stdin, and the sealed document in it, be it the file itself or what a
// BoundSecret file carries. Knows nothing about environments and keys.
import { resolve } from "node:path";
import { rewrapBoundSecret, SealwardError, unwrapBoundSecret } from "../src/index.ts";
import type { Io } from "./io.ts";
import { HintedError, UsageError } from "./report.ts";

export interface Document {
  /** As messages show it: the path as given, or "stdin". */
  readonly name: string;
  /** Null for stdin. */
  readonly path: string | null;
  /** The whole file. */
  readonly text: string;
  /** The manifest or sealed file in it. */
  readonly content: string;
  /** Name and namespace of the BoundSecret that carries it, which are where the cluster will open it; null for a plain file. */
  readonly carrier: { readonly name: string; readonly namespace: string | undefined } | null;
}

/** What a command is about, whatever is in it. */
export interface Input {
  readonly name: string;
  readonly path: string | null;
  readonly bytes: Uint8Array;
}

/** Reads FILE, or stdin for `-` or nothing. Throws `usage` rather than wait for a person to type; `command` is for its hint. */
export async function readInput(io: Io, file: string | undefined, command: string): Promise<Input> {
  if (file === undefined && io.stdin.isTty) {
    throw new UsageError(
      "Cannot read a manifest: no FILE is named and stdin is a terminal",
      `name a file, or pipe one in: \`${command} FILE\`; \`seal help\` explains`,
    );
  }
  if (file === undefined || file === "-") {
    const bytes = await io.stdin.readAll();
    if (bytes.every((byte) => byte === 9 || byte === 10 || byte === 13 || byte === 32))
      throw new HintedError("not-yaml", "Nothing came in on stdin", { hint: "did the command before the pipe fail?" });
    return { name: "stdin", path: null, bytes };
  }
  const path = resolve(io.cwd, file);
  // What the shell makes of `<(command)` is stdin by another name: a pipe lies in no folder.
  const isPipe = (await io.fs.kind(path)) === "other";
  return { name: file, path: isPipe ? null : path, bytes: await io.fs.read(path) };
}

/** The input as a document of YAML or a BoundSecret file. Throws `not-utf8`. */
export function documentIn({ name, path, bytes }: Input): Document {
  return documentOf(decodeText(bytes, name), name, path);
}

/** As readInput, for a manifest or a sealed one. */
export async function readDocument(io: Io, file: string | undefined, command: string): Promise<Document> {
  return documentIn(await readInput(io, file, command));
}

export function documentOf(text: string, name: string, path: string | null): Document {
  const bound = unwrapBoundSecret(text, name);
  if (bound === null) return { name, path, text, content: text, carrier: null };
  const { document, ...carrier } = bound;
  return { name, path, text, content: document, carrier };
}

/** The same file with other content: everything around the sealed document is kept. */
export function withContent(document: Document, content: string): string {
  return document.carrier === null ? content : rewrapBoundSecret(document.text, content);
}

/** As readInput, for FILE that is changed in place, which neither stdin nor a pipe can be. */
export async function readChangeableInput(io: Io, file: string): Promise<Input & { readonly path: string }> {
  const path = resolve(io.cwd, file);
  if (file === "-" || (await io.fs.kind(path)) === "other")
    throw new UsageError(
      `Cannot change ${file === "-" ? "stdin" : file} in place: it is no regular file`,
      "name the file itself",
    );
  return { name: file, path, bytes: await io.fs.read(path) };
}

export async function readChangeable(io: Io, file: string): Promise<Document & { readonly path: string }> {
  const input = await readChangeableInput(io, file);
  return { ...documentIn(input), path: input.path };
}

export async function readText(io: Io, file: string): Promise<string> {
  return decodeText(await io.fs.read(resolve(io.cwd, file)), file);
}

/** Throws `not-utf8`. A byte order mark stays in the text: what to do with it is for the parser to say. */
export function decodeText(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SealwardError("not-utf8", "Cannot read the file: it is not UTF-8", { file: name });
  }
}
