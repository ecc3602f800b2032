// The `sops` block in stores that know only names and texts: lists and maps become names with `__list_` and `__map_`, line
// breaks two characters. Knows which lines a changed block changes, but no syntax of them.
import type { SealwardError } from "./errors.ts";
import { applyEdits, type Edit } from "./splice.ts";
import type { Metadata, MetadataValue } from "./store.ts";

const mapMark = "__map_";
const listMark = "__list_";
/** SOPS nests four levels: key groups, their lists, their entries and a KMS context. */
const maxTokens = 16;
const maxEntries = 100_000;

/** A line of the block in its file. */
export interface FlatLine extends FlatEntry {
  readonly start: number;
  /** Before its line break. */
  readonly end: number;
  /** Behind it. */
  readonly next: number;
}

export interface FlatEntry {
  readonly name: string;
  /** With a backslash and an n for each line break. */
  readonly text: string;
}

/** The entries of one top-level key. What is null or empty has none. */
export function flattened(name: string, value: MetadataValue): FlatEntry[] {
  if (value === null) return [];
  if (typeof value !== "object") return [{ name, text: String(value).replaceAll("\n", "\\n") }];
  const inner: [string, MetadataValue][] =
    value instanceof Map
      ? [...(value as Metadata)].map(([key, item]) => [mapMark + key, item])
      : (value as readonly MetadataValue[]).map((item, index) => [listMark + index, item]);
  return inner.flatMap(([part, item]) => flattened(name + part, item));
}

interface Node {
  text?: string;
  map?: Map<string, Node>;
  list?: Map<number, Node>;
}

/**
 * The block that these entries are, lists in the order of their numbers. @throws sops-metadata-invalid where two entries
 * claim one place, or a list has gaps
 */
export function unflattened(entries: readonly FlatEntry[], refuse: (message: string) => SealwardError): Metadata {
  if (entries.length > maxEntries) throw refuse(`The sops block has more than ${maxEntries} entries`);
  const root: Node = { map: new Map() };
  for (const { name, text } of entries) {
    const node = nodeAt(root, name, refuse);
    if (node.text !== undefined || node.map !== undefined || node.list !== undefined)
      throw refuse("Two entries of the sops block have one name");
    node.text = text.replaceAll("\\n", "\n");
  }
  return mapOf(root.map ?? new Map(), refuse);
}

function nodeAt(root: Node, name: string, refuse: (message: string) => SealwardError): Node {
  const tokens = name.split(/(__map_|__list_)/);
  if (tokens.length > maxTokens * 2) throw refuse("An entry of the sops block is nested too deep");
  let node = childOf(root, "map", tokens[0] ?? "");
  for (let index = 1; index + 1 < tokens.length; index += 2) {
    if (node.text !== undefined) throw refuse("An entry of the sops block is both a text and a collection");
    const key = tokens[index + 1] ?? "";
    if (tokens[index] === mapMark) node = childOf(node, "map", key);
    else if (/^(?:0|[1-9][0-9]{0,5})$/.test(key)) node = childOf(node, "list", Number(key));
    else throw refuse("A list of the sops block is numbered by something else than numbers");
  }
  return node;
}

function childOf(node: Node, kind: "map", key: string): Node;
function childOf(node: Node, kind: "list", key: number): Node;
function childOf(node: Node, kind: "map" | "list", key: string | number): Node {
  node[kind] ??= new Map();
  const children = node[kind] as Map<string | number, Node>;
  const known = children.get(key);
  if (known !== undefined) return known;
  const fresh: Node = {};
  children.set(key, fresh);
  return fresh;
}

function mapOf(map: ReadonlyMap<string, Node>, refuse: (message: string) => SealwardError): Metadata {
  return new Map([...map].map(([key, node]) => [key, plainOf(node, refuse)]));
}

function plainOf({ text, map, list }: Node, refuse: (message: string) => SealwardError): MetadataValue {
  if (text !== undefined) return text;
  if (map !== undefined && list !== undefined) throw refuse("An entry of the sops block is both a list and a map");
  if (map !== undefined) return mapOf(map, refuse);
  const items = list ?? new Map<number, Node>();
  return Array.from({ length: items.size }, (_, index) => {
    const node = items.get(index);
    if (node === undefined) throw refuse("A list of the sops block has a gap in its numbers");
    return plainOf(node, refuse);
  });
}

/** The top-level key that a name belongs to. */
function ownerOf(name: string): string {
  return name.split(/__map_|__list_/, 1)[0] ?? name;
}

/**
 * Edits of a block that is there: only the lines of keys that changed are written anew, keys that are new follow the last
 * line. `format` gives a whole line without the `newline` that ends it. For {@link applyLineEdits}.
 */
export function flatEdits(
  lines: readonly FlatLine[],
  metadata: Metadata,
  { format, newline }: { readonly format: (entry: FlatEntry) => string; readonly newline: string },
): Edit[] {
  const byOwner = new Map<string, FlatLine[]>();
  for (const given of lines) {
    const line = { ...given, next: Math.max(given.next, given.end + 1) };
    const owner = ownerOf(line.name);
    const own = byOwner.get(owner);
    if (own === undefined) byOwner.set(owner, [line]);
    else own.push(line);
  }
  const written = (entries: readonly FlatEntry[]) => entries.map(format).join(newline);
  const edits = [...byOwner].flatMap(([owner, own]) =>
    ownEdits(own, flattened(owner, metadata.get(owner) ?? null), written),
  );
  const fresh = [...metadata].flatMap(([key, value]) => (byOwner.has(key) ? [] : flattened(key, value)));
  const last = lines.at(-1);
  if (fresh.length === 0 || last === undefined) return edits;
  const at = Math.max(last.next, last.end + 1);
  edits.push({ start: at, end: at, text: written(fresh) + newline });
  return edits;
}

/** Applies edits of lines to a text whose last line may lack its line break, and leaves it so. */
export function applyLineEdits(text: string, edits: readonly Edit[]): string {
  if (text.endsWith("\n")) return applyEdits(text, edits);
  const edited = applyEdits(`${text}\n`, edits);
  return edited.replace(/\r?\n$/, "");
}

/** Of the lines of one key. */
function ownEdits(
  own: readonly FlatLine[],
  entries: readonly FlatEntry[],
  written: (entries: readonly FlatEntry[]) => string,
): Edit[] {
  const isSame = own.length === entries.length && own.every(({ name }, index) => name === entries[index]?.name);
  return own.flatMap(({ start, end, next, text }, index) => {
    const entry = entries[index];
    if (isSame && entry?.text === text) return [];
    if (isSame && entry !== undefined) return [{ start, end, text: written([entry]) }];
    if (index === 0 && entries.length > 0) return [{ start, end, text: written(entries) }];
    return [{ start, end: next, text: "" }];
  });
}
