// The JSON store: one object per file, its `sops` key last. Writes changes back at the offsets of what they replace; knows
// nothing of keys and selection.
import { type Place, SealwardError } from "./errors.ts";
import { isContainer, itemEdits, layoutAt, layoutOf, type Span, spansOf } from "./json-edits.ts";
import { type JsonMap, type JsonPair, type JsonValue, parseJson } from "./json-source.ts";
import { jsonMetadata, jsonScalar, jsonString, jsonValue, type Layout, nameOfPath } from "./json-text.ts";
import { applyEdits, type Edit } from "./splice.ts";
import type {
  Changes,
  Leaf,
  LoadOptions,
  MapValue,
  Metadata,
  MetadataValue,
  Store,
  StoreFile,
  Value,
} from "./store.ts";
import { placeIn, readText } from "./text-source.ts";
import { maxSopsFileBytes } from "./yaml-source.ts";

type Path = readonly (string | number)[];
const metadataKey = "sops";
const sopsLayout: NonNullable<Layout> = { indent: "", unit: "\t", newline: "\n" };

export const jsonStore: Store = {
  name: "json",
  load: (bytes, options = {}) => new JsonFile(readText(bytes, options, maxSopsFileBytes), options, jsonStore),
  dump(documents, metadata) {
    const [document, ...others] = documents;
    if (document === undefined || others.length > 0)
      throw new SealwardError("sops-unsupported", `JSON holds one document; there are ${documents.length}`);
    if (document.items.some((item) => item.kind === "pair" && item.key === metadataKey))
      throw new SealwardError(
        "sops-unsupported",
        "A top-level key sops cannot be held: it is where the sops block stands",
      );
    return dumpJson(document, metadata);
  },
};

export function dumpJson(document: MapValue, metadata: Metadata | null): string {
  const text = jsonValue(document, sopsLayout, []);
  if (metadata === null) return `${text}\n`;
  const block = `\t"${metadataKey}": ${jsonMetadata(metadata, { ...sopsLayout, indent: "\t" })}`;
  // Not read again: the text may be large.
  return text === "{}" ? `{\n${block}\n}\n` : `${text.slice(0, -"\n}".length)},\n${block}\n}\n`;
}

export class JsonFile implements StoreFile {
  readonly store: Store;
  readonly text: string;
  readonly file: string | undefined;
  readonly root: JsonMap;
  readonly documents: readonly MapValue[];
  readonly metadata: Metadata | null;
  readonly metadataOffset: number;

  constructor(text: string, { file }: LoadOptions, store: Store) {
    this.store = store;
    this.text = text;
    this.file = file;
    this.root = parseJson(text, file);
    const block = this.root.items.find(({ key }) => key === metadataKey);
    this.documents = [{ ...this.root, items: this.root.items.filter((item) => item !== block) }];
    this.metadata = block?.value.kind === "map" ? metadataOf(block.value) : null;
    this.metadataOffset = block?.offset ?? -1;
  }

  placeOf(offset: number): Place {
    return placeIn(this.text, offset, this.file);
  }

  spellingOf(leaf: Leaf): string {
    const { start, end } = spanOf(leaf);
    return this.text.slice(start, end);
  }

  write({ leaves, commentLeaves, metadata }: Changes): string {
    const edits: Edit[] = [];
    for (const [leaf, replacement] of leaves) {
      const text =
        "enc" in replacement
          ? jsonString(replacement.enc)
          : (replacement.spelling ?? jsonScalar(replacement.clear, "a value"));
      edits.push({ ...spanOf(leaf), text });
    }
    if (commentLeaves !== undefined && commentLeaves.size > 0)
      edits.push(...this.#withoutItems(this.root, new Set<unknown>(commentLeaves.keys())));
    if (metadata !== undefined) edits.push(...metadataEdits(this.text, this.root, metadata));
    return applyEdits(this.text, edits);
  }

  set(path: Path, value: Value): string {
    const [first] = path;
    if (first === undefined) throw this.#missing(path, "The path is empty");
    assertOwn(first);
    let at: JsonValue = this.root;
    for (const [depth, key] of path.entries()) {
      const next: JsonValue | undefined = childOf(at, key);
      if (next === undefined) return this.#append(at, path, depth, value);
      at = next;
    }
    const text = jsonValue(value, this.#layoutOf(at), path);
    return applyEdits(this.text, [{ start: at.offset, end: at.end, text }]);
  }

  unset(path: Path): string {
    const key = path.at(-1);
    if (key === undefined || path[0] === undefined) throw this.#missing(path, "The path is empty");
    assertOwn(path[0]);
    let container: JsonValue = this.root;
    for (const part of path.slice(0, -1)) {
      const next: JsonValue | undefined = childOf(container, part);
      if (next === undefined) throw this.#missing(path, "There is no such path");
      container = next;
    }
    if (childOf(container, key) === undefined || !isContainer(container))
      throw this.#missing(path, "There is no such path");
    const index =
      container.kind === "map" ? container.items.findIndex((item) => item.key === String(key)) : Number(key);
    const change = { removed: new Set([index]), appended: [], layout: null };
    return applyEdits(this.text, itemEdits(this.text, spanOf(container), spansOf(container), change));
  }

  #append(at: JsonValue, path: Path, depth: number, value: Value): string {
    const key = path[depth] ?? "";
    const isList = at.kind === "list" || (at.kind === "empty" && at.value === "list");
    const isEmpty = at.kind === "empty";
    if (!isContainer(at) && !isEmpty) throw this.#missing(path, "The path leads through a single value");
    const count = at.kind === "list" ? at.items.length : 0;
    if (isList && key !== count) throw this.#missing(path, `A list of ${count} takes the numbers 0 to ${count}`);
    const rest = nested(path.slice(depth + 1), value);
    if (rest === null) throw this.#missing(path, "A list that is not there cannot be filled by number");
    const spans = isContainer(at) ? spansOf(at) : [];
    if (at.kind === "empty" && at.value === "null") {
      const map: Value = {
        kind: "map",
        offset: 0,
        items: [{ kind: "pair", key: String(key), value: rest, offset: 0 }],
      };
      const text = jsonValue(map, this.#layoutOf(at), path.slice(0, depth));
      return applyEdits(this.text, [{ start: at.offset, end: at.end, text }]);
    }
    const layout = layoutOf(this.text, spanOf(at), spans.at(-1), this.root);
    const text = jsonValue(rest, layout, path);
    const appended = [isList ? text : `${jsonString(String(key))}: ${text}`];
    // Before the block, so that it stays last.
    if (at === this.root && this.root.items.at(-1)?.key === metadataKey) {
      const last = this.root.items.at(-1);
      const glue = layout === null ? " " : `${layout.newline}${layout.indent}`;
      const start = last?.offset ?? at.offset + 1;
      return applyEdits(this.text, [{ start, end: start, text: `${appended.join("")},${glue}` }]);
    }
    const change = { removed: new Set<number>(), appended, layout };
    return applyEdits(this.text, itemEdits(this.text, spanOf(at), spans, change));
  }

  #layoutOf(value: JsonValue): Layout {
    const [first] = isContainer(value) ? spansOf(value) : [];
    const isOneLine = first !== undefined && !this.text.slice(value.offset, first.start).includes("\n");
    return isOneLine ? null : layoutAt(this.text, value.offset, this.root);
  }

  /** JSON has no comments: SOPS drops those that an encrypted list holds. */
  #withoutItems(value: JsonValue, taken: ReadonlySet<unknown>): Edit[] {
    if (value.kind === "map") return value.items.flatMap((item) => this.#withoutItems(item.value, taken));
    if (value.kind !== "list") return [];
    const removed = new Set(value.items.flatMap((item, index) => (taken.has(item) ? [index] : [])));
    const inner = value.items.flatMap((item) => this.#withoutItems(item, taken));
    if (removed.size === 0) return inner;
    return [...inner, ...itemEdits(this.text, spanOf(value), spansOf(value), { removed, appended: [], layout: null })];
  }

  #missing(path: Path, why: string): SealwardError {
    return new SealwardError("path-missing", `${why}: ${nameOfPath(path)}`, { file: this.file });
  }
}

function assertOwn(first: string | number): void {
  if (String(first) === metadataKey)
    throw new SealwardError("sops-unsupported", "The key sops holds the sops block, not a value");
}

function spanOf(value: Leaf | JsonValue): Span {
  if (!("end" in value)) throw new TypeError("a value of another store");
  return { start: value.offset, end: value.end as number };
}

function childOf(value: JsonValue, key: string | number): JsonValue | undefined {
  if (value.kind === "map") return value.items.find((item: JsonPair) => item.key === String(key))?.value;
  return value.kind === "list" && typeof key === "number" ? value.items[key] : undefined;
}

/** The value inside the maps and lists that the rest of a path names; null where that cannot begin. */
function nested(path: Path, value: Value): Value | null {
  return path.reduceRight<Value | null>((inner, key) => {
    if (inner === null || (typeof key === "number" && key !== 0)) return null;
    if (typeof key === "number") return { kind: "list", offset: 0, items: [inner] };
    return { kind: "map", offset: 0, items: [{ kind: "pair", key, value: inner, offset: 0 }] };
  }, value);
}

function metadataEdits(text: string, root: JsonMap, metadata: Metadata | null): Edit[] {
  const at = root.items.findIndex(({ key }) => key === metadataKey);
  const block = root.items[at]?.value;
  const spans = spansOf(root);
  const layout = layoutOf(text, spanOf(root), spans.at(-1), root);
  if (metadata === null) {
    if (at < 0) return [];
    return itemEdits(text, spanOf(root), spans, { removed: new Set([at]), appended: [], layout });
  }
  if (block === undefined) {
    const appended = [`"${metadataKey}": ${jsonMetadata(metadata, layout)}`];
    return itemEdits(text, spanOf(root), spans, { removed: new Set(), appended, layout });
  }
  if (block.kind !== "map") return [{ start: block.offset, end: block.end, text: jsonMetadata(metadata, layout) }];
  return blockEdits(text, block, metadata, root);
}

function blockEdits(text: string, block: JsonMap, metadata: Metadata, root: JsonMap): Edit[] {
  const spans = spansOf(block);
  const layout = layoutOf(text, spanOf(block), spans.at(-1), root);
  const before = metadataOf(block);
  const edits: Edit[] = [];
  const removed = new Set<number>();
  for (const [index, { key, value }] of block.items.entries()) {
    const next = metadata.get(key);
    if (next === undefined) removed.add(index);
    else if (jsonMetadata(next, null) !== jsonMetadata(before.get(key) ?? null, null))
      edits.push({ start: value.offset, end: value.end, text: jsonMetadata(next, layout) });
  }
  const appended = [...metadata]
    .filter(([key]) => !before.has(key))
    .map(([key, value]) => `${jsonString(key)}: ${jsonMetadata(value, layout)}`);
  return [...edits, ...itemEdits(text, spanOf(block), spans, { removed, appended, layout })];
}

function metadataOf(map: JsonMap): Map<string, MetadataValue> {
  return new Map(map.items.map(({ key, value }) => [key, plainOf(value)]));
}

function plainOf(value: JsonValue): MetadataValue {
  if (value.kind === "map") return metadataOf(value);
  if (value.kind === "list") return value.items.map(plainOf);
  if (value.kind === "empty") return { null: null, map: new Map<string, MetadataValue>(), list: [] }[value.value];
  const text = Buffer.from(value.bytes).toString();
  if (value.type === "bool") return text === "True";
  return value.type === "str" ? text : Number(text);
}
