// What the five stores have in common: the tree of a file as SOPS sees it, and a way to write it back so that every byte
// that is not meant stays. A store knows one syntax; it knows nothing of keys, selection or MACs.
import type { Place } from "./errors.ts";
import type { ValueType } from "./sops-value.ts";

export type StoreName = "yaml" | "json" | "dotenv" | "ini" | "binary";

/** A scalar in the clear: the bytes that SOPS encrypts and hashes, and their type (docs/format.md, "Scalars"). */
export interface Clear {
  readonly type: Exclude<ValueType, "comment">;
  readonly bytes: Uint8Array;
}

/** A scalar that is not null. An ENC text is a leaf of type `str` like any other: what it means is not the store's to say. */
export interface Leaf extends Clear {
  readonly kind: "leaf";
  /** Where it begins in the text (UTF-16 units). */
  readonly offset: number;
}

/** `null`, `{}` or `[]`: neither encrypted nor hashed. */
export interface Empty {
  readonly kind: "empty";
  readonly value: "null" | "map" | "list";
  readonly offset: number;
}

/** One comment; `text` is what follows its mark, blanks included. */
export interface CommentItem {
  readonly kind: "comment";
  readonly text: string;
  readonly offset: number;
}

export interface ListValue {
  readonly kind: "list";
  readonly items: readonly (Value | CommentItem)[];
  readonly offset: number;
}

/** In document order; a comment stands before the pair that SOPS reads after it. */
export interface MapValue {
  readonly kind: "map";
  readonly items: readonly (Pair | CommentItem)[];
  readonly offset: number;
}

export interface Pair {
  readonly kind: "pair";
  readonly key: string;
  readonly value: Value;
  /** Where the key begins. */
  readonly offset: number;
}

export type Value = Leaf | Empty | ListValue | MapValue;

/** The `sops` block as plain data, in the order of the file. Texts stay texts; flat stores give texts only. */
export type Metadata = ReadonlyMap<string, MetadataValue>;
export type MetadataValue = string | number | boolean | null | readonly MetadataValue[] | Metadata;

/** What takes the place of a leaf. */
export type Replacement =
  /** An ENC text: written in the style of what it replaces, so that decrypting can give that style back. */
  | {
      readonly enc: string;
      /** True: without quotes, where it can stand so, whatever it replaces. */
      readonly unquoted?: boolean | undefined;
      /** How this very ENC text stood in the file before, for a value whose own spelling is the same as then. */
      readonly written?: string | undefined;
    }
  /** A value in the clear. `spelling` is the source text to write instead of the store's own form of it. */
  | {
      readonly clear: Clear;
      readonly spelling?: string | undefined;
      /** True: forgo the nicer forms for one that nothing around it can change. */
      readonly plainest?: boolean | undefined;
    };

export interface Changes {
  readonly leaves: ReadonlyMap<Leaf, Replacement>;
  /** New text behind the comment's mark. */
  readonly comments: ReadonlyMap<CommentItem, string>;
  /** List elements that hold an encrypted comment (SOPS writes them so) and become comments: the text behind the mark. */
  readonly commentLeaves?: ReadonlyMap<Leaf, string> | undefined;
  /** `undefined` leaves the block as it is, `null` removes it; otherwise what did not change in it keeps its text. */
  readonly metadata?: Metadata | null | undefined;
  /** A file whose block this one gets, where that has none: what did not change in it keeps its text, if the store can. */
  readonly metadataFrom?: StoreFile | undefined;
}

/** A file that was read. */
export interface StoreFile {
  readonly store: Store;
  readonly text: string;
  readonly file: string | undefined;
  /** Without `sops`. One but for YAML streams. */
  readonly documents: readonly MapValue[];
  /** Of the first document; null where it has none. */
  readonly metadata: Metadata | null;
  /** Where the block begins; -1 where there is none. */
  readonly metadataOffset: number;
  /** What has to be written otherwise to be encrypted (an anchor whose alias would be encrypted): for people. */
  readonly notices?: readonly string[] | undefined;
  /** Line and column (both from 1) of an offset. */
  placeOf(offset: number): Place;
  /** The text with these changes; every other byte stays. */
  write(changes: Changes): string;
  /** The source text of a leaf: what `write` replaces, and what a `spelling` gives back. */
  spellingOf(leaf: Leaf): string;
  /**
   * The text with one value set: at an existing path its value is replaced, a missing last key is appended to its map (and
   * missing maps on the way are made). List elements are named by numbers; the number after the last appends.
   * @throws path-missing where the path leads through a scalar or past the end of a list; sops-unsupported where the store
   *   cannot hold the value (a map in dotenv, say)
   */
  set(path: readonly (string | number)[], value: Value): string;
  /** The text without the pair or element at the path. @throws path-missing */
  unset(path: readonly (string | number)[]): string;
}

/** For text of our own, which is read again whatever it takes: else a file could be sealed and never opened. */
export const unlimited: number = Number.MAX_SAFE_INTEGER;

export interface LoadOptions {
  readonly file?: string | undefined;
  readonly maxBytes?: number | undefined;
}

export interface Store {
  readonly name: StoreName;
  /**
   * Reads a file, plain or encrypted.
   * @throws not-utf8, too-large, too-deep, duplicate-key, sops-unsupported and the store's own not-yaml, not-json,
   *   not-dotenv, not-ini, each with line and column
   */
  load(bytes: Uint8Array, options?: LoadOptions): StoreFile;
  /** A new file in SOPS' own layout, for a tree that came from another store. @throws sops-unsupported */
  dump(documents: readonly MapValue[], metadata: Metadata | null): string | Uint8Array;
}
