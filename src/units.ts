// The tree of a file as a flat list of what can change by itself: scalars, lists as a whole, and empty containers; and what
// people call each. Knows no keys and no store.
import { bufferOf, fromBase64 } from "./bytes.ts";
import { formatPath } from "./sops-path.ts";
import type { CommentItem, MapValue, Pair, Value } from "./store.ts";
import { formatFlowValue } from "./yaml-flow.ts";

/** A value with a name of its own. The elements of a list belong together: one alone means nothing. */
export interface Unit {
  /** From the top of its document; the document's number comes first where there are several. */
  readonly path: readonly string[];
  readonly value: Value;
  /** Equal for equal values, comments aside. */
  readonly content: string;
}

/** By path, in the order of the file. */
export type Units = ReadonlyMap<string, Unit>;

export const unitKey = (path: readonly string[]): string => JSON.stringify(path);

export function unitsOf(documents: readonly MapValue[]): Units {
  const units = new Map<string, Unit>();
  const add = (path: readonly string[], value: Value): void => {
    if (value.kind !== "map") units.set(unitKey(path), { path, value, content: contentOf(value) });
    else for (const item of value.items) if (item.kind === "pair") add([...path, item.key], item.value);
  };
  for (const [index, document] of documents.entries()) add(documents.length > 1 ? [String(index)] : [], document);
  return units;
}

function contentOf(value: Value): string {
  if (value.kind === "leaf") return `${value.type} ${bufferOf(value.bytes).toString("latin1")}`;
  if (value.kind === "empty") return `empty ${value.value}`;
  const items: readonly (Value | Pair | CommentItem)[] = value.items;
  const contents = items.flatMap((item) => {
    if (item.kind === "comment") return [];
    return [item.kind === "pair" ? [item.key, contentOf(item.value)] : contentOf(item)];
  });
  return `${value.kind} ${JSON.stringify(contents)}`;
}

/** The texts of all comments, in order. */
export function commentsIn(documents: readonly MapValue[]): readonly string[] {
  const texts: string[] = [];
  const walk = (value: Value): void => {
    if (value.kind !== "map" && value.kind !== "list") return;
    for (const item of value.items)
      if (item.kind === "comment") texts.push(item.text);
      else walk(item.kind === "pair" ? item.value : item);
  };
  for (const document of documents) walk(document);
  return texts;
}

/** The key alone for a value of a Secret, as a person types it; else the path as `sops` writes it. */
export function nameOf(path: readonly string[], isSecret: boolean): string {
  const [map, key, ...more] = path;
  const isValue = isSecret && key !== undefined && more.length === 0 && (map === "data" || map === "stringData");
  return isValue ? key : formatPath(path);
}

/** Whether a value of a Secret at this path is base64. */
export const isData = (path: readonly string[]): boolean => path.length === 2 && path[0] === "data";

/** What a program would get: of `data` the decoded bytes, of a list its text. */
export function clearBytesOf({ path, value }: Unit, isSecret: boolean): Uint8Array {
  if (value.kind !== "leaf") return Buffer.from(formatFlowValue(value));
  const decoded = isSecret && isData(path) ? fromBase64(bufferOf(value.bytes).toString("latin1")) : null;
  return decoded ?? value.bytes;
}
