// How values were written that no form of ours gives back: `0x1F`, folded text, odd escapes. Each such spelling stands in
// the `sops` block, encrypted like a value; SOPS ignores it when it reads and drops it when it rewrites, as it should.
import type { KeyObject } from "node:crypto";
import { decodeUtf8 } from "./bytes.ts";
import { aadOfPath, decryptValue, encryptValue, parseEncrypted } from "./sops-value.ts";
import type { Metadata, MetadataValue } from "./store.ts";

/** The key of the block under which the spellings stand. */
export const spellingKey = "sealward_spelling";
const aad = aadOfPath([spellingKey]);

/** A value's source text, named by its path and, among values of one path (a list's), by its number from 0. */
export interface Spelling {
  readonly path: readonly string[];
  readonly index: number;
  readonly text: string;
}

/**
 * The block with these spellings, or with none. They stand before `version`, which closes the block: a file that was cut off
 * is then one without a version.
 */
export function withSpellings(metadata: Metadata, list: readonly MetadataValue[]): Metadata {
  const others = [...metadata].filter(([key]) => key !== spellingKey);
  if (list.length === 0) return new Map(others);
  const at = others.findIndex(([key]) => key === "version");
  others.splice(at < 0 ? others.length : at, 0, [spellingKey, list]);
  return new Map(others);
}

/**
 * The entries of a block whose value is among these, as they stand or encrypted under another key: a spelling is of one value,
 * and after a change it would keep the old one in the file. What a text spells, `spells` says.
 */
export function keptSpellings(
  raw: Metadata,
  {
    key,
    newKey,
    spells,
  }: {
    readonly key: KeyObject;
    readonly newKey?: KeyObject | undefined;
    readonly spells: (spelling: Spelling) => boolean;
  },
): MetadataValue[] {
  return itemsOf(raw).flatMap((item) => {
    const spelling = openSpelling(item, key);
    if (spelling === null || !spells(spelling)) return [];
    return newKey === undefined ? [item] : sealSpellings([spelling], newKey, null);
  });
}

function itemsOf(raw: Metadata | null): string[] {
  const list = raw?.get(spellingKey);
  return Array.isArray(list) ? (list as readonly MetadataValue[]).filter((item) => typeof item === "string") : [];
}

/** The spellings of a block. What does not open or is none is passed over: a spelling is a convenience, not a value. */
export function readSpellings(raw: Metadata, key: KeyObject): Map<string, string> {
  const found = new Map<string, string>();
  for (const item of itemsOf(raw)) {
    const spelling = openSpelling(item, key);
    if (spelling !== null) found.set(nameOf(spelling.path, spelling.index), spelling.text);
  }
  return found;
}

/** The block's list for these spellings; texts that were there for the same spelling are kept. */
export function sealSpellings(
  spellings: readonly Spelling[],
  key: KeyObject,
  previous: Metadata | null,
): MetadataValue[] {
  const known = new Map<string, string>();
  for (const item of itemsOf(previous)) {
    const spelling = openSpelling(item, key);
    if (spelling !== null) known.set(JSON.stringify(spelling), item);
  }
  return spellings.map(({ path, index, text }) => {
    const plain = JSON.stringify({ path, index, text });
    return known.get(plain) ?? encryptValue(Buffer.from(plain), { key, aad, type: "str" });
  });
}

export function nameOf(path: readonly string[], index: number): string {
  return JSON.stringify([path, index]);
}

function openSpelling(item: string, key: KeyObject): Spelling | null {
  const encrypted = parseEncrypted(item);
  const bytes = encrypted === null ? null : decryptValue(encrypted, key, aad);
  const text = bytes === null ? null : decodeUtf8(bytes);
  if (text === null) return null;
  try {
    const { path, index, text: spelled } = JSON.parse(text);
    const isPath = Array.isArray(path) && path.every((part) => typeof part === "string");
    return isPath && Number.isInteger(index) && typeof spelled === "string" ? { path, index, text: spelled } : null;
  } catch {
    return null;
  }
}

/** Numbers the values of equal paths, in document order. */
export class PathCounter {
  readonly #seen = new Map<string, number>();

  /** The name of the next value at the path. */
  next(path: readonly string[]): { readonly name: string; readonly index: number } {
    const joined = JSON.stringify(path);
    const index = this.#seen.get(joined) ?? 0;
    this.#seen.set(joined, index + 1);
    return { name: nameOf(path, index), index };
  }
}
