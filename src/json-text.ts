// JSON as SOPS writes it: Go's escapes, a key and its value on one line, in a given indentation or all on one line. Refuses
// what JSON cannot hold; knows nothing of files.
import { decodeUtf8 } from "./bytes.ts";
import { SealwardError } from "./errors.ts";
import type { Clear, MetadataValue, Value } from "./store.ts";
import { maxDepth } from "./text-source.ts";

/** How the lines of a value look; null: it stands on one line. */
export type Layout = {
  /** Of the line on which the value begins. */
  readonly indent: string;
  /** What each level adds. */
  readonly unit: string;
  readonly newline: string;
} | null;

/** A text as Go's encoder escapes it, so that it can stand inside HTML. */
export function jsonString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** @throws sops-unsupported for bytes that are no text, and for numbers that JSON does not know */
export function jsonScalar({ type, bytes }: Clear, name: string): string {
  const text = decodeUtf8(bytes);
  if (text === null)
    throw new SealwardError("sops-unsupported", `JSON cannot hold the bytes of ${name}: they are no text`);
  if (type === "bool") return text === "True" ? "true" : "false";
  if (type === "int") return text;
  if (type === "float") {
    const value = Number(text);
    if (!Number.isFinite(value)) throw new SealwardError("sops-unsupported", `JSON cannot hold the number of ${name}`);
    return Object.is(value, -0) ? "-0" : String(value);
  }
  return jsonString(text);
}

/** Comments are dropped, as SOPS drops them. @throws sops-unsupported, too-deep */
export function jsonValue(value: Value, layout: Layout, path: readonly (string | number)[]): string {
  if (path.length > maxDepth)
    throw new SealwardError("too-deep", `The value is nested more than ${maxDepth} levels deep`);
  if (value.kind === "empty") return { null: "null", map: "{}", list: "[]" }[value.value];
  if (value.kind === "leaf") return jsonScalar(value, nameOfPath(path));
  const inner = deeper(layout);
  if (value.kind === "list") {
    const items = value.items.flatMap((item, index) =>
      item.kind === "comment" ? [] : [jsonValue(item, inner, [...path, index])],
    );
    return enclosed("[", items, "]", layout);
  }
  const pairs = value.items.flatMap((item) =>
    item.kind === "comment" ? [] : [`${jsonString(item.key)}: ${jsonValue(item.value, inner, [...path, item.key])}`],
  );
  return enclosed("{", pairs, "}", layout);
}

export function jsonMetadata(value: MetadataValue, layout: Layout): string {
  if (typeof value === "string") return jsonString(value);
  if (typeof value !== "object" || value === null) return String(value);
  const inner = deeper(layout);
  if (isMap(value)) {
    const pairs = [...value].map(([key, item]) => `${jsonString(key)}: ${jsonMetadata(item, inner)}`);
    return enclosed("{", pairs, "}", layout);
  }
  const items = value.map((item) => jsonMetadata(item, inner));
  return enclosed("[", items, "]", layout);
}

function isMap(value: MetadataValue): value is ReadonlyMap<string, MetadataValue> {
  return value instanceof Map;
}

export function deeper(layout: Layout): Layout {
  return layout === null ? null : { ...layout, indent: layout.indent + layout.unit };
}

/** For people: the keys of a path, without the values. */
export function nameOfPath(path: readonly (string | number)[]): string {
  return path.length === 0 ? "the file" : JSON.stringify(path.join("."));
}

function enclosed(open: string, items: readonly string[], close: string, layout: Layout): string {
  if (items.length === 0) return open + close;
  if (layout === null) return `${open}${items.join(", ")}${close}`;
  const { indent, unit, newline } = layout;
  const lines = items.join(`,${newline}${indent}${unit}`);
  return `${open}${newline}${indent}${unit}${lines}${newline}${indent}${close}`;
}
