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

/** Reads FILE, or stdin for `-` or nothing. Throws `usage` rather than wait for a person to type a manifest; `command` is for its hint. */
export async function readDocument(io: Io, file: string | undefined, command: string): Promise<Document> {
  if (file === undefined && io.stdin.isTty) {
    throw new UsageError(
      "Cannot read a manifest: no FILE is named and stdin is a terminal",
      `name a file, or pipe one in: \`${command} FILE\`; \`seal help\` explains`,
    );
  }
  if (file === undefined || file === "-") {
    const text = decodeText(await io.stdin.readAll(), "stdin");
    if (text.trim() === "")
      throw new HintedError("not-yaml", "Nothing came in on stdin", { hint: "did the command before the pipe fail?" });
    return documentOf(text, "stdin", null);
  }
  const path = resolve(io.cwd, file);
  // What the shell makes of `<(command)` is stdin by another name: a pipe lies in no folder.
  const isPipe = (await io.fs.kind(path)) === "other";
  return documentOf(await readText(io, file), file, isPipe ? null : path);
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

/** As readDocument, for FILE that is changed in place, which neither stdin nor a pipe can be. */
export async function readChangeable(io: Io, file: string): Promise<Document & { readonly path: string }> {
  const path = resolve(io.cwd, file);
  if (file === "-" || (await io.fs.kind(path)) === "other")
    throw new UsageError(
      `Cannot change ${file === "-" ? "stdin" : file} in place: it is no regular file`,
      "name the file itself",
    );
  return { ...documentOf(await readText(io, file), file, path), path };
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
