// Walks the trees of a SOPS file: every value and comment with its path, what the selection rule makes of it, and the MAC.
// Rules: docs/format.md (SOPS 3.13). Knows neither recipients nor syntax.

import { createHash, type KeyObject } from "node:crypto";
import { bufferOf } from "./bytes.ts";
import { SealwardError } from "./errors.ts";
import { floatBytes, resolveGoScalar } from "./go-scalar.ts";
import type { Selection } from "./selection.ts";
import { decryptValue, encryptValue, looksEncrypted, parseEncrypted, type ValueType } from "./sops-value.ts";
import type { Clear, CommentItem, Leaf, ListValue, MapValue, StoreFile, Value } from "./store.ts";

/** A value of the file, in document order. */
export interface LeafEntry {
  readonly item: Leaf;
  readonly path: readonly string[];
  /** Additional data: every map key from the root, raw, each with a colon after it. */
  readonly aad: string;
  readonly encrypted: boolean;
}

/** A comment, or an encrypted comment that stands as a list's element, where SOPS puts it. */
export interface CommentEntry {
  readonly item: CommentItem | Leaf;
  readonly text: string;
  /** Path of the map or list that holds it. */
  readonly path: readonly string[];
  readonly aad: string;
  readonly encrypted: boolean;
}

export interface Entries {
  readonly leaves: readonly LeafEntry[];
  readonly comments: readonly CommentEntry[];
}

/** Every entry of the documents, in order; only in an encrypted file is an element of a list a comment. */
export function entriesOf(
  documents: readonly MapValue[],
  selection: Selection,
  { isEncrypted }: { readonly isEncrypted: boolean },
): Entries {
  const walker = new Walker(selection, isEncrypted);
  for (const document of documents) walker.map(document, { path: [], aad: "", matched: false });
  return walker;
}

/** In each started mebibyte. Each costs microseconds whatever it holds; a file with more consists of little else. */
const maxValuesPerMebibyte = 30_000;

/** For a file that comes from outside, before anything is done with its values. @throws too-large */
export function assertCountable({ store, documents, text, file }: StoreFile): void {
  if (store.name === "binary") return;
  const most = maxValuesPerMebibyte * (1 + Math.floor(text.length / 2 ** 20));
  let count = 0;
  const add = (value: Value | CommentItem): void => {
    count++;
    if (value.kind === "list") value.items.forEach(add);
    else if (value.kind === "map") for (const item of value.items) add(item.kind === "pair" ? item.value : item);
  };
  documents.forEach(add);
  if (count > most)
    throw new SealwardError(
      "too-large",
      `The file has ${count} values and comments, at most ${most} are allowed in its size`,
      { file },
    );
}

interface Context {
  readonly path: readonly string[];
  readonly aad: string;
  /** True where a key above, or a comment that governs from above, matches the rule. */
  readonly matched: boolean;
}

class Walker implements Entries {
  readonly leaves: LeafEntry[] = [];
  readonly comments: CommentEntry[] = [];
  readonly #selection: Selection;
  readonly #isEncrypted: boolean;

  constructor(selection: Selection, isEncrypted: boolean) {
    this.#selection = selection;
    this.#isEncrypted = isEncrypted;
  }

  map(map: MapValue, context: Context): void {
    const active = new ActiveComments(this.#selection, context);
    for (const item of map.items) {
      if (item.kind === "comment") {
        this.#comment(item, item.text, active, context);
        continue;
      }
      const { matched } = active;
      const keyMatches = this.#selection.asks === "key" && this.#selection.matches(item.key);
      this.#value(item.value, {
        path: [...context.path, item.key],
        aad: `${context.aad}${item.key}:`,
        matched: matched || keyMatches,
      });
      active.clear();
    }
  }

  #value(value: Value, context: Context): void {
    if (value.kind === "map") this.map(value, context);
    else if (value.kind === "list") this.#list(value, context);
    else if (value.kind === "leaf")
      this.leaves.push({
        item: value,
        path: context.path,
        aad: context.aad,
        encrypted: this.#encrypts(context.matched),
      });
  }

  #list(list: ListValue, context: Context): void {
    const active = new ActiveComments(this.#selection, context);
    for (const item of list.items) {
      const sealed = this.#isEncrypted && item.kind === "leaf" ? commentText(item) : null;
      if (item.kind === "comment") this.#comment(item, item.text, active, context);
      else if (sealed !== null && item.kind === "leaf") this.#comment(item, sealed, active, context);
      else {
        this.#value(item, { ...context, matched: active.matched });
        active.clear();
      }
    }
  }

  /** A comment that makes the rule encrypt stays in the clear itself; one that makes it spare spares itself, too. */
  #comment(item: CommentItem | Leaf, text: string, active: ActiveComments, { path, aad }: Context): void {
    const before = active.matched;
    active.add(text);
    const matched = this.#selection.encryptsMatches ? before : active.matched;
    this.comments.push({ item, text, path, aad: aad === "" ? ":" : aad, encrypted: this.#encrypts(matched) });
  }

  #encrypts(matched: boolean): boolean {
    return matched === this.#selection.encryptsMatches;
  }
}

/** The comments since the last value of one map or list: they govern what comes next, and everything in it. */
class ActiveComments {
  readonly #selection: Selection;
  readonly #above: boolean;
  #here = false;

  constructor(selection: Selection, { matched }: Context) {
    this.#selection = selection;
    this.#above = matched;
  }

  get matched(): boolean {
    return this.#above || this.#here;
  }

  add(text: string): void {
    if (this.#selection.asks === "comment") this.#here ||= this.#selection.matches(text);
  }

  clear(): void {
    this.#here = false;
  }
}

/** The ENC of a comment that SOPS wrote as an element of a list, or null. */
function commentText({ type, bytes }: Leaf): string | null {
  if (type !== "str" || bytes.length < 20) return null;
  const text = textOf(bytes);
  return looksEncrypted(text) && parseEncrypted(text)?.type === "comment" ? text : null;
}

/** A value in the clear. */
export interface OpenedLeaf extends Clear {
  readonly entry: LeafEntry;
  /** Its ENC text, where it was encrypted. */
  readonly enc: string | null;
}

/**
 * Opens every value. Those that the selection encrypts must be ENC texts (or empty); the others are taken as they stand
 * even if they look like one.
 * @throws not-authentic for every failure once the key is involved, with no hint at which value or why
 */
export function openLeaves(leaves: readonly LeafEntry[], key: KeyObject, file: string | undefined): OpenedLeaf[] {
  return leaves.map((entry) => {
    const { type, bytes } = entry.item;
    if (!entry.encrypted) return { entry, type, bytes, enc: null };
    if (type !== "str") throw notAuthentic(file);
    if (bytes.length === 0) return { entry, type, bytes, enc: null };
    const enc = textOf(bytes);
    const encrypted = parseEncrypted(enc);
    if (encrypted === null || encrypted.type === "comment") throw notAuthentic(file);
    const plain = decryptValue(encrypted, key, entry.aad);
    const canonical = plain === null ? null : canonicalBytes(encrypted.type, plain);
    if (canonical === null) throw notAuthentic(file);
    return { entry, type: encrypted.type, bytes: canonical, enc };
  });
}

function textOf(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("latin1");
}

/** Longer than any number in the form in which SOPS writes it (a float has up to 326 digits). */
const longestScalar = 400;

/**
 * The plaintext as SOPS writes and hashes it, or null where it is none of its type: the type stands outside the GCM, and
 * a text called a number would be written back as another text.
 */
function canonicalBytes(type: Exclude<ValueType, "comment">, bytes: Uint8Array): Uint8Array | null {
  if (type === "str") return bytes;
  if (bytes.length > longestScalar) return null;
  const text = Buffer.from(bytes).toString("latin1");
  if (type === "int") return /^[-+]?[0-9]+$/.test(text) ? Buffer.from(BigInt(text.replace("+", "")).toString()) : null;
  if (type === "bool") {
    if (/^(?:1|t|T|true|True|TRUE)$/.test(text)) return Buffer.from("True");
    return /^(?:0|f|F|false|False|FALSE)$/.test(text) ? Buffer.from("False") : null;
  }
  if (type === "float") {
    if (/^(?:NaN|[-+]Inf)$/.test(text)) return bytes;
    return /^[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/.test(text) ? Buffer.from(floatBytes(Number(text))) : null;
  }
  const time = resolveGoScalar(text);
  return time.type === "time" ? Buffer.from(time.bytes) : null;
}

/** The one public refusal once a key has been involved: telling the causes apart would make an oracle of us. */
export function notAuthentic(file: string | undefined): SealwardError {
  return new SealwardError(
    "not-authentic",
    "The file is not what was sealed: a value, the binding, a recipient entry or the MAC was changed or comes from another file",
    { file },
  );
}

/** SHA-256("sops"): what `mac_only_encrypted` primes the hash with. */
const onlyEncryptedPrefix = Buffer.from("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69", "hex");

/** The MAC's plaintext: upper-case hex SHA-512 over the bytes of all values in document order; comments are never part. */
export function macOf(
  leaves: readonly { readonly entry: LeafEntry; readonly bytes: Uint8Array }[],
  { onlyEncrypted }: { readonly onlyEncrypted: boolean },
): string {
  const hash = createHash("sha512");
  if (onlyEncrypted) hash.update(onlyEncryptedPrefix);
  for (const { entry, bytes } of leaves) if (!onlyEncrypted || entry.encrypted) hash.update(bytes);
  return hash.digest("hex").toUpperCase();
}

/** The ENC text of a MAC; `lastModified` in the form of `canonicalTime`. */
export function sealMac(mac: string, key: KeyObject, lastModified: string): string {
  return encryptValue(Buffer.from(mac), { key, aad: lastModified, type: "str" });
}

/** @throws not-authentic unless the stored MAC opens and equals the computed one */
export function assertMac(
  stored: string,
  computed: string,
  options: { readonly key: KeyObject; readonly lastModified: string; readonly file: string | undefined },
): void {
  const encrypted = parseEncrypted(stored);
  const bytes = encrypted === null ? null : decryptValue(encrypted, options.key, options.lastModified);
  // Both are hashes of what we hold in the clear: nothing is learnt from how long the comparison takes.
  if (bytes === null || Buffer.from(bytes).toString("latin1") !== computed) throw notAuthentic(options.file);
}
