// Opens any SOPS file that age identities open, environments aside: values, comments and MAC, and the file in the clear with
// its layout kept. What a Secret is, and where a file may be opened, is not known here.
import type { KeyObject } from "node:crypto";
import { bufferOf, decodeUtf8 } from "./bytes.ts";
import { type Identity, type UnwrapOptions, type Unwrapped, unwrapFile } from "./data-key.ts";
import { SealwardError } from "./errors.ts";
import { assertNoHiddenSecret, assertOwnContexts } from "./own-context.ts";
import { compileSelection, type Selection } from "./selection.ts";
import { readSopsMetadata, type SopsMetadata } from "./sops-metadata.ts";
import {
  assertCountable,
  assertMac,
  type CommentEntry,
  type Entries,
  entriesOf,
  macOf,
  type OpenedLeaf,
  openLeaves,
} from "./sops-tree.ts";
import { aadOfPath, decryptValue, looksEncrypted, parseEncrypted } from "./sops-value.ts";
import { PathCounter, readSpellings } from "./spelling.ts";
import {
  type Changes,
  type CommentItem,
  type Leaf,
  type Replacement,
  type StoreFile,
  type StoreName,
  unlimited,
} from "./store.ts";
import { plainText } from "./text-source.ts";

/** A comment and what it says in the clear. */
export interface OpenedComment {
  readonly entry: CommentEntry;
  readonly text: string;
  /** Its ENC text, where the key opened one. */
  readonly enc: string | null;
  /** The additional data under which it opened. */
  readonly aad: string;
}

/** A file that was opened. `key` stays within src. */
export interface OpenedFile {
  readonly file: StoreFile;
  readonly metadata: SopsMetadata;
  readonly selection: Selection;
  readonly leaves: readonly OpenedLeaf[];
  readonly comments: readonly OpenedComment[];
  readonly key: KeyObject;
  /** The recipients of the identities that opened it. */
  readonly openedBy: readonly string[];
  readonly keyMaterialIds: Unwrapped["keyMaterialIds"];
}

export interface OpenFileOptions {
  readonly identities: readonly Identity[];
  readonly namedOnly?: UnwrapOptions["namedOnly"];
  readonly contextOf?: UnwrapOptions["contextOf"];
  /** Skip the comparison of the MAC alone; a value that does not open is still refused. */
  readonly ignoreMac?: boolean | undefined;
  /** Called with the data key before any value is opened; what it throws ends the opening. */
  readonly confirm?: ((file: StoreFile, key: KeyObject) => void) | undefined;
}

/** The meaning of a file's block. @throws not-sealed, sops-metadata-invalid */
export function metadataOf(file: StoreFile): SopsMetadata {
  const place = file.metadataOffset < 0 ? { file: file.file } : file.placeOf(file.metadataOffset);
  if (file.metadata === null)
    throw new SealwardError("not-sealed", "The file has no sops block: it is not sealed", place);
  return readSopsMetadata(file.metadata, (message) => new SealwardError("sops-metadata-invalid", message, place));
}

/**
 * @throws not-sealed, sops-metadata-invalid, too-large, sops-unsupported, pattern-invalid, identity-missing,
 *   identity-unmatched, not-authentic, what KMS throws; context-mismatch and unbound where the file's own contexts would be
 *   sent and contradict it
 */
export async function openFile(file: StoreFile, options: OpenFileOptions): Promise<OpenedFile> {
  const metadata = metadataOf(file);
  assertCountable(file);
  const selection = await compileSelection(metadata.rule, file.file);
  if (options.contextOf === undefined) assertOwnContexts(file, metadata);
  const { key, ...unwrapped } = await unwrapFile(metadata, { ...options, file: file.file });
  options.confirm?.(file, key);
  const opened = openWith(file, metadata, { key, selection, ignoreMac: options.ignoreMac });
  if (options.contextOf === undefined)
    assertNoHiddenSecret(
      file,
      metadata,
      opened.leaves.map(({ entry, bytes }) => ({ path: entry.path, bytes })),
    );
  return { ...opened, ...unwrapped };
}

/** As {@link openFile}, with the data key in hand. @throws not-authentic */
export function openWith(
  file: StoreFile,
  metadata: SopsMetadata,
  {
    key,
    selection,
    ignoreMac = false,
  }: { readonly key: KeyObject; readonly selection: Selection; readonly ignoreMac?: boolean | undefined },
): Opened {
  const entries = entriesOf(file.documents, selection, { isEncrypted: true });
  const leaves = openLeaves(entries.leaves, key, file.file);
  const { mac, lastModified } = metadata;
  if (!ignoreMac) assertMac(mac, macOf(leaves, metadata), { key, lastModified, file: file.file });
  return { file, metadata, selection, leaves, comments: openComments(entries, key, file.store.name), key };
}

/**
 * What the key opens of the comments that the rule encrypts. One that it does not open stays as it is, as with SOPS: comments
 * are not authenticated.
 */
export function openComments({ comments, leaves }: Entries, key: KeyObject, store: StoreName): OpenedComment[] {
  let next = 0;
  return comments.map((entry) => {
    const closed = { entry, text: entry.text, enc: null, aad: entry.aad };
    if (!entry.encrypted || !looksEncrypted(entry.text)) return closed;
    const enc = entry.text.trimEnd();
    const value = parseEncrypted(enc);
    if (value?.type !== "comment") return closed;
    while (next < leaves.length && (leaves[next]?.item.offset ?? 0) <= entry.item.offset) next++;
    const around = [leaves[next]?.path ?? [], leaves[next - 1]?.path ?? []];
    for (const aad of new Set([entry.aad, ...[entry.path, ...around].flatMap(containersOf)])) {
      const bytes = aad.length > longestAad ? null : decryptValue(value, key, aad);
      const text = bytes === null ? null : commentTextOf(bytes, store);
      if (text !== null) return { entry, text, enc, aad };
    }
    return closed;
  });
}

/** What no comment of a store can hold. In INI the lines above a key are one comment. */
const lineBreaks: Readonly<Record<StoreName, RegExp>> = {
  yaml: /[\r\n\u0085\u2028\u2029]/,
  json: /[\r\n\u0085\u2028\u2029]/,
  dotenv: /\n/,
  ini: /(?!)/,
  binary: /[\r\n\u0085\u2028\u2029]/,
};

/** Null where a store could not write it as one comment. */
function commentTextOf(bytes: Uint8Array, store: StoreName): string | null {
  const decoded = decodeUtf8(bytes);
  // Where dotenv lines end in CR LF, SOPS counts the CR to the comment.
  const text = store === "dotenv" && decoded !== null ? decoded.replace(/(?<!\r)\r+$/, "") : decoded;
  return text === null || lineBreaks[store].test(text) ? null : text;
}

/** Longer paths are tried for no comment but its own: each attempt hashes the whole path. */
const longestAad = 1024;

/**
 * SOPS attaches a comment to the container of the value before or after it, or to one around those; GCM tells which. A list
 * has the path of its elements.
 */
function containersOf(path: readonly string[]): string[] {
  return [":", ...path.map((_, depth) => aadOfPath(path.slice(0, depth + 1)))];
}

/** An opened file, for what does not ask who opened it. */
export type Opened = Omit<OpenedFile, "openedBy" | "keyMaterialIds">;

/** The file in the clear, without its block: text with its layout kept, or the bytes of a binary file. @throws sops-unsupported */
export function clearBytes(opened: Opened): Uint8Array {
  const [only] = opened.leaves;
  if (opened.file.store.name === "binary") return only?.bytes ?? new Uint8Array(0);
  return Buffer.from(clearFile(opened).text);
}

/** The file in the clear, read again. Not for binary files. @throws sops-unsupported */
export function clearFile<File extends StoreFile>(opened: Opened & { readonly file: File }): File {
  const spellings = readSpellings(opened.metadata.raw, opened.key);
  const attempts: [ReadonlyMap<string, string>, boolean][] = [
    [spellings, false],
    [none, true],
  ];
  if (spellings.size > 0) attempts.splice(1, 0, [none, false]);
  for (const [known, plainest] of attempts) {
    const file = reread(opened, clearText(opened, known, plainest));
    if (file !== null) return file as File;
  }
  throw new SealwardError(
    "sops-unsupported",
    "The file cannot be put in the clear in its own layout without changing a value",
    { file: opened.file.file },
  );
}

const none: ReadonlyMap<string, string> = new Map();

/** What {@link clearFile} gives, if it proves to hold the values: a proof that a caller may have in another way. */
export function clearText(
  opened: Opened,
  spellings: ReadonlyMap<string, string> = none,
  plainest: boolean = false,
): string {
  return opened.file.write(clearChanges(opened, spellings, plainest));
}

function clearChanges(
  { leaves, comments }: Opened,
  spellings: ReadonlyMap<string, string>,
  plainest: boolean,
): Changes {
  const counter = new PathCounter();
  const replaced = new Map<Leaf, Replacement>();
  for (const { entry, type, bytes, enc } of leaves) {
    const spelling = spellings.size === 0 ? undefined : spellings.get(counter.next(entry.path).name);
    if (enc !== null) replaced.set(entry.item, { clear: { type, bytes }, spelling, plainest });
  }
  const commentItems = new Map<CommentItem, string>();
  const commentLeaves = new Map<Leaf, string>();
  for (const { entry, text, enc } of comments) {
    if (entry.item.kind === "leaf") commentLeaves.set(entry.item, text);
    else if (enc !== null) commentItems.set(entry.item, text);
  }
  return { leaves: replaced, comments: commentItems, commentLeaves, metadata: null };
}

/** The text, read again; null where it does not hold these values and comments and nothing else. */
function reread({ file, leaves, comments, selection }: Opened, text: string): StoreFile | null {
  try {
    const again = file.store.load(Buffer.from(text), { maxBytes: unlimited });
    const found = entriesOf(again.documents, selection, { isEncrypted: false });
    if (found.leaves.length !== leaves.length || found.comments.length !== comments.length) return null;
    const store = file.store.name;
    const same =
      found.comments.every((comment, index) => comment.text === comments[index]?.text) &&
      found.leaves.every(({ item, path }, index) => isSame(leaves[index], item, { path, store }));
    return same ? again : null;
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}

function isSame(
  expected: OpenedLeaf | undefined,
  { type, bytes }: Leaf,
  { path, store }: { readonly path: readonly string[]; readonly store: StoreName },
): boolean {
  if (expected === undefined) return false;
  const isFlat = store === "dotenv" || store === "ini";
  // Flat stores know texts only, and write some values otherwise than SOPS hashes them.
  const given = isFlat && expected.type !== "str" ? Buffer.from(plainText(expected, "A value")) : expected.bytes;
  if (!bufferOf(bytes).equals(given)) return false;
  // In JSON a number without a point may have been a float, and a time is a text.
  const isTime = store === "json" && type === "str" && expected.type === "time";
  const sameType = type === expected.type || isFlat || isTime || isNumber(type, expected.type);
  return (
    sameType && path.length === expected.entry.path.length && path.every((key, at) => key === expected.entry.path[at])
  );
}

function isNumber(...types: readonly string[]): boolean {
  return types.every((type) => type === "int" || type === "float");
}
