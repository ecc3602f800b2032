// Encrypts a file in place, whatever its store: values and comments that the rule selects, then the `sops` block. The
// finished text is read again, opened and compared before it is given out. Knows neither Secrets nor environments.

import type { KeyObject } from "node:crypto";
import { bufferOf } from "./bytes.ts";
import { newDataKey, type Recipients } from "./data-key.ts";
import { SealwardError } from "./errors.ts";
import type { Kms } from "./kms.ts";
import { compileSelection, defaultRule, type Selection, type SelectionRule } from "./selection.ts";
import { clearFile, clearText, type Opened, openComments } from "./sops-file.ts";
import { formatTime, newMetadata, readSopsMetadata } from "./sops-metadata.ts";
import {
  assertCountable,
  type CommentEntry,
  type Entries,
  entriesOf,
  type LeafEntry,
  macOf,
  type OpenedLeaf,
  sealMac,
} from "./sops-tree.ts";
import { encryptValue, IvSource, looksEncrypted, type ValueType } from "./sops-value.ts";
import { PathCounter, type Spelling, sealSpellings, withSpellings } from "./spelling.ts";
import {
  type CommentItem,
  type Leaf,
  type Metadata,
  type Replacement,
  type Store,
  type StoreFile,
  unlimited,
} from "./store.ts";
import { expandAliases, hasSharedLeaf } from "./yaml-expand.ts";

export interface SealFileOptions {
  readonly file?: string | undefined;
  readonly recipients: Recipients;
  /** Null: SOPS' default, everything but keys that end in `_unencrypted`. */
  readonly rule: SelectionRule | null;
  readonly onlyEncrypted?: boolean | undefined;
  /** True: a file of which nothing is selected is not refused. */
  readonly allowNothingSelected?: boolean | undefined;
  readonly kms?: Kms | undefined;
  readonly now: Date;
}

export interface SealedFile {
  readonly text: string;
  /** What is different beyond encrypting, for people. */
  readonly notices: readonly string[];
}

/**
 * A SOPS file from a plain one, under a fresh data key.
 * @throws already-sealed, too-large, nothing-selected, pattern-invalid, recipients-unnamed, recipient-invalid, sops-unsupported and what
 *   the store's `load` throws
 */
export async function sealFile(bytes: Uint8Array, store: Store, options: SealFileOptions): Promise<SealedFile> {
  const { file, recipients, onlyEncrypted = false, now } = options;
  if (recipients.groups.length === 0 || recipients.groups.some((group) => group.length === 0))
    throw new SealwardError("recipients-unnamed", "Nothing says who is to open the file", { file });
  const rule = store.name === "binary" ? null : (options.rule ?? defaultRule);
  const selection = await compileSelection(rule, file);
  const plain = store.load(bytes, { file });
  assertPlain(plain);
  assertCountable(plain);
  const { key, groups } = await newDataKey(recipients, { kms: options.kms, now });
  return encryptFile(plain, {
    key,
    selection,
    rule,
    onlyEncrypted,
    allowNothingSelected: options.allowNothingSelected,
    now,
    metadata: (lastModified, mac) =>
      newMetadata({
        groups,
        threshold: recipients.threshold,
        rule,
        onlyEncrypted,
        lastModified,
        keyMade: lastModified,
        mac,
      }),
  });
}

function assertPlain(plain: StoreFile): void {
  if (plain.metadataOffset < 0) return;
  throw new SealwardError(
    "already-sealed",
    "The file has a top-level key sops: it is sealed already, or the key needs another name",
    plain.placeOf(plain.metadataOffset),
  );
}

/** The file that is written again. */
export interface Previous {
  readonly opened: Opened;
  /** Absent for a binary file. */
  readonly plain?: StoreFile | undefined;
  /** Others under the same data key, whose ENC texts are taken for values that this one does not have. */
  readonly others?: readonly Previous[] | undefined;
}

export interface EncryptFileOptions {
  readonly key: KeyObject;
  readonly selection: Selection;
  readonly rule: SelectionRule | null;
  readonly onlyEncrypted: boolean;
  readonly allowNothingSelected?: boolean | undefined;
  readonly now: Date;
  /** The block for a time and a MAC. */
  readonly metadata: (lastModified: string, mac: string) => Metadata;
  /** What keeps its ENC text if it is still the same: the file before, and that in the clear. */
  readonly previous?: Previous | undefined;
  /** See {@link Changes.metadataFrom}. */
  readonly metadataFrom?: StoreFile | undefined;
  /** Additional data of a value that a program wrote in quotes, which its ENC does without. */
  readonly unquoted?: string | undefined;
}

export interface EncryptedFile<File extends StoreFile> extends SealedFile {
  /** The text, read again. */
  readonly file: File;
}

/** Encrypts a plain file under a key and proves the result. @throws nothing-selected, pattern-invalid, sops-unsupported */
export function encryptFile<File extends StoreFile>(given: File, options: EncryptFileOptions): EncryptedFile<File> {
  const { key, selection, now, previous } = options;
  const { plain, entries, notices } = expanded(given, selection);
  if (!options.allowNothingSelected && !entries.leaves.some(({ encrypted }) => encrypted))
    throw new SealwardError("nothing-selected", "The selection rule selects no value of the file", {
      file: plain.file,
    });
  const cipher = new Cipher(key, previous);
  const leaves = new Map<Leaf, Replacement & { readonly enc: string }>();
  for (const entry of entries.leaves)
    if (entry.encrypted && entry.item.bytes.length > 0)
      leaves.set(entry.item, {
        ...cipher.value(entry, plain.spellingOf(entry.item)),
        unquoted: entry.aad === options.unquoted,
      });
  const comments = new Map<CommentItem, string>();
  const sealed = new Map<string, CommentEntry>();
  for (const comment of entries.comments) {
    const { item, text, aad, encrypted } = comment;
    if (!encrypted || text === "" || looksEncrypted(text) || item.kind === "leaf") continue;
    const enc = cipher.comment(aad, text);
    assertStaysEncrypted(enc, selection, plain.file);
    comments.set(item, enc);
    sealed.set(enc, comment);
  }
  const lastModified = formatTime(now);
  const clear = entries.leaves.map((entry) => ({ entry, bytes: entry.item.bytes }));
  const mac = sealMac(macOf(clear, options), key, lastModified);
  const { metadataFrom } = options;
  const write = (metadata: Metadata) => plain.write({ leaves, comments, metadata, metadataFrom });
  const metadata = options.metadata(lastModified, mac);
  const expected = { key, selection, entries, leaves, comments: sealed };
  const bare = proven(plain, write(metadata), expected);
  const outcome = { text: bare.file.text, notices, file: bare.file as File };
  const spellings = plain.store.name === "binary" ? null : oddSpellings(plain, bare, entries);
  if (spellings === null) return outcome;
  const spelled = proven(
    plain,
    write(withSpellings(metadata, sealSpellings(spellings, key, previous?.opened.metadata.raw ?? null))),
    expected,
  );
  const kept = clearFile(spelled).text === plain.text;
  const lost = kept
    ? []
    : ["parts of the layout cannot be kept: decrypting will give the same values, written otherwise"];
  return { text: spelled.file.text, notices: [...notices, ...lost], file: spelled.file as File };
}

/** What several values share one text for is written out where one of them is encrypted. */
function expanded(
  given: StoreFile,
  selection: Selection,
): { readonly plain: StoreFile; readonly entries: Entries; readonly notices: readonly string[] } {
  const entries = entriesOf(given.documents, selection, { isEncrypted: false });
  if (!entries.leaves.some(({ encrypted, item }) => encrypted && hasSharedLeaf(item)))
    return { plain: given, entries, notices: [] };
  const plain = expandAliases(given);
  return {
    plain,
    entries: entriesOf(plain.documents, selection, { isEncrypted: false }),
    notices: ["anchors and aliases were written out, for each place has its own encrypted value"],
  };
}

/** An ENC text as it was, and how the value and it were written. */
interface Known {
  readonly enc: string;
  readonly written: string;
  readonly spelling: string;
}

/** Encrypts, and gives a value that was there before its old text back. */
class Cipher {
  readonly #key: KeyObject;
  readonly #ivs = new IvSource();
  readonly #known = new Map<string, Known[]>();

  constructor(key: KeyObject, previous: Previous | undefined) {
    this.#key = key;
    if (previous !== undefined) for (const known of [previous, ...(previous.others ?? [])]) this.#learn(known);
  }

  #learn({ opened, plain }: Previous): void {
    // Under another data key its texts would open nothing.
    if (!opened.key.equals(this.#key)) return;
    const clear =
      plain === undefined ? [] : entriesOf(plain.documents, opened.selection, { isEncrypted: false }).leaves;
    for (const [index, { entry, type, bytes, enc }] of opened.leaves.entries()) {
      const item = clear[index]?.item;
      const spelling = item === undefined ? "" : (plain?.spellingOf(item) ?? "");
      if (enc !== null)
        this.#remember(memory(entry.aad, type, bytes), { enc, written: opened.file.spellingOf(entry.item), spelling });
    }
    for (const { text, enc, aad } of opened.comments)
      if (enc !== null)
        this.#remember(memory(aad, "comment", Buffer.from(text)), { enc, written: enc, spelling: text });
  }

  #remember(name: string, known: Known): void {
    const list = this.#known.get(name);
    if (list === undefined) this.#known.set(name, [known]);
    else list.push(known);
  }

  value({ item: { type, bytes }, aad }: LeafEntry, spelling: string): { enc: string; written?: string } {
    const known = this.#known.get(memory(aad, type, bytes))?.shift();
    if (known === undefined) return { enc: this.#encrypt(bytes, aad, type) };
    return known.spelling === spelling ? { enc: known.enc, written: known.written } : { enc: known.enc };
  }

  comment(aad: string, text: string): string {
    const bytes = Buffer.from(text);
    const known = this.#known.get(memory(aad, "comment", bytes))?.shift();
    return known?.enc ?? this.#encrypt(bytes, aad, "comment");
  }

  #encrypt(bytes: Uint8Array, aad: string, type: ValueType): string {
    return encryptValue(bytes, { key: this.#key, aad, type, ivs: this.#ivs });
  }
}

function memory(aad: string, type: string, bytes: Uint8Array): string {
  return `${type}\n${aad}\n${bufferOf(bytes).toString("latin1")}`;
}

/** SOPS would decide otherwise when it decrypts, if the rule took the ENC of a comment for a word to spare what follows. */
function assertStaysEncrypted(
  enc: string,
  { asks, encryptsMatches, matches }: Selection,
  file: string | undefined,
): void {
  if (asks === "comment" && !encryptsMatches && matches(enc))
    throw new SealwardError(
      "pattern-invalid",
      "unencrypted_comment_regex matches encrypted comments too: write it so that it cannot match an ENC text",
      { file },
    );
}

interface Expected {
  readonly key: KeyObject;
  readonly selection: Selection;
  readonly entries: Entries;
  readonly leaves: ReadonlyMap<Leaf, { readonly enc: string }>;
  /** By ENC text. */
  readonly comments: ReadonlyMap<string, CommentEntry>;
}

/**
 * The written text, read again: at each path stands the ENC text that was made for its value, or the value itself, and the
 * block has the MAC over them. What opening it would give is known. @throws sops-unsupported
 */
function proven(plain: StoreFile, text: string, expected: Expected): Opened {
  const refusal = new SealwardError(
    "sops-unsupported",
    "The file cannot be encrypted in its own layout without changing a value; nothing was written",
    { file: plain.file },
  );
  try {
    const file = plain.store.load(Buffer.from(text), { file: plain.file, maxBytes: unlimited });
    if (file.metadata === null) throw refusal;
    const metadata = readSopsMetadata(file.metadata, () => refusal);
    const { key, selection, entries } = expected;
    const found = entriesOf(file.documents, selection, { isEncrypted: true });
    const isSame = found.leaves.length === entries.leaves.length && found.comments.length === entries.comments.length;
    if (!isSame) throw refusal;
    const leaves = found.leaves.map((entry, index) => openedLeaf(entry, entries.leaves[index], expected));
    if (leaves.includes(null)) throw refusal;
    // Beside the block, which is new, a comment may stand in another map or list than before.
    const comments = openComments(found, key, plain.store.name);
    const opened = comments.filter(
      ({ enc, text: clear }) => enc !== null && expected.comments.get(enc)?.text === clear,
    );
    if (opened.length !== expected.comments.size) throw refusal;
    return { file, metadata, selection, leaves: leaves as OpenedLeaf[], comments, key };
  } catch (problem) {
    if (problem instanceof SealwardError) throw refusal;
    throw problem;
  }
}

/** Null where the entry is not what the given one was to become. */
function openedLeaf(entry: LeafEntry, given: LeafEntry | undefined, { leaves }: Expected): OpenedLeaf | null {
  if (given === undefined || given.aad !== entry.aad || given.encrypted !== entry.encrypted) return null;
  const { type, bytes } = given.item;
  const enc = leaves.get(given.item)?.enc ?? null;
  const same =
    enc === null ? isSameBytes(bytes, entry.item.bytes) && type === entry.item.type : isText(entry.item, enc);
  return same ? { entry, type, bytes, enc } : null;
}

function isText({ type, bytes }: Leaf, text: string): boolean {
  return type === "str" && bytes.length === text.length && bufferOf(bytes).toString("latin1") === text;
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return bufferOf(a).equals(b);
}

/** The spellings without which decrypting would give another text than was given; null where it gives the same. */
function oddSpellings(plain: StoreFile, bare: Opened, entries: Entries): Spelling[] | null {
  // The text that was given needs no proof of what it holds.
  if (clearText(bare) === plain.text) return null;
  const again = clearFile(bare);
  const rewritten = entriesOf(again.documents, bare.selection, { isEncrypted: false }).leaves;
  const counter = new PathCounter();
  const odd: Spelling[] = [];
  for (const [at, { item, path, encrypted }] of entries.leaves.entries()) {
    const { index } = counter.next(path);
    const other = rewritten[at];
    const text = encrypted ? plain.spellingOf(item) : "";
    if (encrypted && other !== undefined && again.spellingOf(other.item) !== text) odd.push({ path, index, text });
  }
  return odd;
}
