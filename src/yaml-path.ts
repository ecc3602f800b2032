// Sets and removes one value of a YAML document by its path, at text level, in the style of what stands around it.
import type { Node, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import { decodeUtf8 } from "./bytes.ts";
import { SealwardError } from "./errors.ts";
import {
  applyEdits,
  type Edit,
  fillMap,
  formatText,
  insertLines,
  insertPairs,
  isBlockMap,
  isEmptyMap,
  rangeOf,
  removePair,
  replaceScalar,
} from "./splice.ts";
import type { Leaf, Value } from "./store.ts";
import { scalarText, valueLines } from "./yaml-dump.ts";
import { formatFlowValue } from "./yaml-flow.ts";
import { isAlias, isMap, isScalar, isSeq, pairNamed, type YamlSource } from "./yaml-source.ts";

type Path = readonly (string | number)[];

/** The text with the value at the path. @throws path-missing, sops-unsupported */
export function setInYaml(source: YamlSource, path: Path, value: Value): string {
  const { parent, key, made } = locate(source, path);
  const wrapped = made.reduceRight<Value>((inner, name) => singleton(name, inner), value);
  return applyEdits(source.text, [settingEdit(source, parent, key, wrapped)]);
}

/** The text without what stands at the path. @throws path-missing */
export function unsetInYaml(source: YamlSource, path: Path): string {
  const { parent, key, made } = locate(source, path);
  if (made.length > 0) throw missing(source, path);
  if (isMap(parent)) {
    const pair = pairNamed(parent as YAMLMap, String(key));
    if (pair === undefined) throw missing(source, path);
    if (parent.items.length === 1 && parent !== source.root) {
      const [start, end] = rangeOf(parent);
      return applyEdits(source.text, [replaceBlock(source, parent, start, end, "{}")]);
    }
    return applyEdits(source.text, [removePair(source, parent as YAMLMap, pair)]);
  }
  return applyEdits(source.text, [itemRemoval(source, parent as YAMLSeq, key, path)]);
}

/** The map or list that holds the last key, and the names of maps that are to be made below `key`. */
function locate(source: YamlSource, path: Path): { parent: Node; key: string | number; made: string[] } {
  if (path.length === 0) throw new SealwardError("path-missing", "The path is empty", { file: source.file });
  let node: Node = source.root;
  for (const [depth, key] of path.entries()) {
    assertContainer(source, node, key, path);
    const rest = path.slice(depth + 1);
    if (rest.length === 0) return { parent: node, key, made: [] };
    const next = childOf(node, key);
    if (next === undefined || isEmptyMap(next)) {
      if (rest.some((name) => typeof name === "number")) throw missing(source, path);
      return { parent: node, key, made: rest as string[] };
    }
    node = next;
  }
  throw missing(source, path);
}

function assertContainer(source: YamlSource, node: Node, key: string | number, path: Path): void {
  if (isAlias(node) || node.anchor !== undefined)
    throw source.refusal("sops-unsupported", "The path leads through an anchor or alias: change it by hand", node);
  if (isMap(node) && typeof key === "string" && (node !== source.root || key !== "sops")) return;
  if (isSeq(node) && typeof key === "number" && key >= 0 && key <= node.items.length) return;
  throw missing(source, path, node);
}

function missing(source: YamlSource, path: Path, at?: Node): SealwardError {
  const shown = path.map((key) => `[${typeof key === "number" ? key : JSON.stringify(key)}]`).join("");
  return source.refusal("path-missing", `Nothing stands at ${shown}`, at ?? source.root);
}

function childOf(node: Node, key: string | number): Node | undefined {
  if (isMap(node)) return (pairNamed(node as YAMLMap, String(key))?.value ?? undefined) as Node | undefined;
  return isSeq(node) ? (node.items[Number(key)] as Node | undefined) : undefined;
}

function singleton(key: string, value: Value): Value {
  return { kind: "map", offset: 0, items: [{ kind: "pair", key, value, offset: 0 }] };
}

function settingEdit(source: YamlSource, parent: Node, key: string | number, value: Value): Edit {
  const old = childOf(parent, key);
  const column = columnOf(source, parent);
  const inFlow = isInFlow(source, parent);
  if (old !== undefined && !isEmptyMap(old)) {
    if (isScalar(old) && value.kind === "leaf" && !inFlow && old.tag === undefined)
      return replaceScalar(source, old, inPlaceOf(source, old, value, column));
    const [start, end] = rangeOf(old);
    return replaceBlock(source, old, start, end, formatFlowValue(value));
  }
  if (isMap(parent)) {
    const pair = pairNamed(parent as YAMLMap, String(key));
    if (pair !== undefined) {
      if (pair.value === null) {
        const at = source.text.indexOf(":", rangeOf(pair.key as Node)[1]) + 1;
        return { start: at, end: at, text: ` ${formatFlowValue(value)}` };
      }
      const [start, end] = rangeOf(pair.value as Node);
      return { start, end, text: `${/\s/.test(source.text[start - 1] ?? "") ? "" : " "}${formatFlowValue(value)}` };
    }
    const written = scalarText({ type: "str", bytes: Buffer.from(String(key)) }, 0, true);
    if (inFlow) return insertPairs(source, parent as YAMLMap, [{ key: String(key), text: formatFlowValue(value) }]);
    const [first = "", ...more] = valueLines(value, column).map((line) => line);
    const text = more.length === 0 ? first : [first, ...more].join(source.newline);
    if (isBlockMap(parent)) return insertPairs(source, parent, [{ key: written, text }]);
    return emptyRoot(source, parent as YAMLMap, written, text);
  }
  return appendItem(source, parent as YAMLSeq, value, column, inFlow);
}

/** The text of a scalar in the place of another, whose quotes it keeps. */
function inPlaceOf(source: YamlSource, old: Scalar, value: Leaf, column: number): string {
  if (value.type === "str" && old.type?.startsWith("QUOTE") === true) {
    const text = decodeUtf8(value.bytes);
    const style = { style: old.type, inFlow: false, indent: column, newline: source.newline, lineGoesOn: true };
    if (text !== null) return formatText(text, style);
  }
  const text = scalarText(value, column, false);
  if (!text.includes("\n")) return text;
  const [, end] = rangeOf(old);
  const lineEnd = source.text.indexOf("\n", end);
  const isLast =
    source.text.slice(end, lineEnd < 0 ? undefined : lineEnd).trim() === "" && source.text[end - 1] !== "\n";
  return isLast ? text.replaceAll("\n", source.newline) : formatFlowValue(value);
}

/** A document without a single key. */
function emptyRoot(source: YamlSource, map: YAMLMap, key: string, text: string): Edit {
  const [start, end] = rangeOf(map);
  return start === end
    ? insertLines(source, source.contentEnd, `${key}: ${text}${source.newline}`)
    : fillMap(source, { key: map, value: null } as unknown as Pair, [{ key, text }], 0);
}

function appendItem(source: YamlSource, list: YAMLSeq, value: Value, column: number, inFlow: boolean): Edit {
  const last = list.items.at(-1) as Node | undefined;
  if (last === undefined || inFlow || list.flow === true) {
    const end = last === undefined ? rangeOf(list)[0] + 1 : rangeOf(last)[1];
    return { start: end, end, text: `${last === undefined ? "" : ", "}${formatFlowValue(value)}` };
  }
  const [, end] = rangeOf(last);
  const next = source.text[end - 1] === "\n" ? end : source.text.indexOf("\n", end) + 1 || source.text.length;
  return insertLines(source, next, `${" ".repeat(column)}- ${formatFlowValue(value)}${source.newline}`);
}

function itemRemoval(source: YamlSource, list: YAMLSeq, key: string | number, path: Path): Edit {
  const item = list.items[Number(key)] as Node | undefined;
  if (item === undefined) throw missing(source, path);
  const [start, end] = rangeOf(list);
  if (list.items.length === 1) return replaceBlock(source, list, start, end, "[]");
  const [from, to] = rangeOf(item);
  if (list.flow === true || isInFlow(source, list)) {
    const before = list.items[Number(key) - 1] as Node | undefined;
    if (before !== undefined) return { start: rangeOf(before)[1], end: to, text: "" };
    return { start: from, end: rangeOf(list.items[1] as Node)[0], text: "" };
  }
  const dash = source.text.lastIndexOf("-", from - 1);
  const lineStart = source.text.lastIndexOf("\n", dash - 1) + 1;
  const lineEnd = source.text[to - 1] === "\n" ? to : source.text.indexOf("\n", to) + 1 || source.text.length;
  const sharesLine = source.text.slice(lineStart, dash).trim() !== "";
  const next = list.items[Number(key) + 1] as Node | undefined;
  if (!sharesLine || next === undefined) return { start: sharesLine ? dash : lineStart, end: lineEnd, text: "" };
  return { start: dash, end: source.text.lastIndexOf("-", rangeOf(next)[0] - 1), text: "" };
}

/** Puts one-line text where a node stands; a block collection began on a line of its own. */
function replaceBlock(source: YamlSource, node: Node, start: number, end: number, text: string): Edit {
  const isBlock = (isMap(node) || isSeq(node)) && node.flow !== true;
  const endsLine = source.text[end - 1] === "\n";
  const trimmed = isBlock || endsLine ? start + source.text.slice(start, end).trimEnd().length : end;
  const before = source.text.slice(0, start);
  const from = isBlock && /\n[ ]*$/.test(before) && !/-[ ]*$/.test(before) ? before.trimEnd().length : start;
  return { start: from, end: trimmed, text: from < start ? ` ${text}` : text };
}

function columnOf(source: YamlSource, node: Node): number {
  const first = isMap(node) ? ((node.items[0] as Pair | undefined)?.key as Node | undefined) : undefined;
  if (first !== undefined) return source.columnOf(rangeOf(first)[0]);
  if (isSeq(node) && node.flow !== true) {
    const [start] = rangeOf(node);
    return source.columnOf(start);
  }
  return 0;
}

function isInFlow(source: YamlSource, node: Node): boolean {
  if ((isMap(node) || isSeq(node)) && node.flow === true) return true;
  return source.root.flow === true;
}
