// Edits a YAML text in place: replaces, inserts and removes by offset, so that every other byte stays. A caller proves the
// result by reading it again. Knows YAML's ways to write a text; knows nothing of Secrets or encryption.
import type { Node, Pair, Scalar, YAMLMap } from "yaml";
import { isAmbiguousString } from "./go-scalar.ts";
import { isEmptyNode } from "./manifest.ts";
import { isMap, isScalar, type YamlSource } from "./yaml-source.ts";

/** Replaces the text from `start` to `end` (offsets). */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Applies edits that do not overlap; of several insertions at one place the first given comes first. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const ordered = [...edits].sort((a, b) => a.start - b.start || a.end - b.end);
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, text: replacement } of ordered) {
    if (start < at) throw new RangeError("edits overlap");
    parts.push(text.slice(at, start), replacement);
    at = end;
  }
  parts.push(text.slice(at));
  return parts.join("");
}

/** Start and end of a value: a node's own range, without the comment and line break after it. */
export function rangeOf(node: Node): readonly [number, number] {
  if (node.range === undefined || node.range === null)
    throw new TypeError("a node without a range was not parsed from text");
  return [node.range[0], node.range[1]];
}

/** Replaces a scalar's text. A block scalar ends with its line break, which stays. */
export function replaceScalar(source: YamlSource, node: Scalar, text: string): Edit {
  const [start, end] = rangeOf(node);
  const lineBreaks = node.type?.startsWith("BLOCK") === true ? trailingBreaks(source.text.slice(start, end)) : "";
  const gap = start === end && !/\s/.test(source.text[start - 1] ?? "") ? " " : "";
  return { start, end, text: gap + text + lineBreaks };
}

/** A text for {@link replaceScalar} in block context: at the node's indentation, and taking nothing after it for its own. */
export function textInPlaceOf(
  source: YamlSource,
  node: Scalar,
  text: string,
  style: Pick<TextStyle, "style" | "inFlow" | "lineGoesOn">,
): string {
  const [start, end] = rangeOf(node);
  const lineStart = source.text.lastIndexOf("\n", start - 1) + 1;
  const indent = Math.max(source.text.slice(lineStart).search(/[^ ]/), 0);
  const lineGoesOn = style.lineGoesOn || wouldSwallow(source.text, end, indent);
  return formatText(text, { ...style, newline: source.newline, indent, lineGoesOn });
}

/** The line breaks at the end, without the blanks between them: those would become content of a block text put in front. */
function trailingBreaks(text: string): string {
  let start = text.length;
  while (start > 0 && " \t\r\n".includes(text.charAt(start - 1))) start--;
  return text.slice(start).replace(/[ \t]/g, "");
}

/**
 * True where a block text that ends at `end` would take what follows for its own: something on the same line, or blanks or
 * a comment on the next lines that stand deeper than the key at column `indent`. Comments are outside every MAC, so an
 * attacker chooses them.
 */
export function wouldSwallow(text: string, end: number, indent: number): boolean {
  let at = end;
  if (text[end - 1] !== "\n") {
    const next = text.indexOf("\n", end);
    if (text.slice(end, next < 0 ? undefined : next).trim() !== "") return true;
    at = next < 0 ? text.length : next + 1;
  }
  while (at < text.length) {
    const next = text.indexOf("\n", at);
    const line = text.slice(at, next < 0 ? undefined : next).replace(/\r$/, "");
    const content = line.trimStart();
    if (content === "" ? line !== "" : content.startsWith("#") && line.length - content.length > indent) return true;
    if (content !== "") return false;
    at = next < 0 ? text.length : next + 1;
  }
  return false;
}

/** Removes a pair: its lines in a block map, the pair and its comma in a flow map. */
export function removePair(source: YamlSource, map: YAMLMap, pair: Pair): Edit {
  const start = rangeOf(pair.key as Node)[0];
  if (map.flow !== true)
    return { start: source.text.lastIndexOf("\n", start - 1) + 1, end: endOfLines(source, pair), text: "" };
  const pairs = map.items as Pair[];
  const index = pairs.indexOf(pair);
  const [previous, next] = [pairs[index - 1], pairs[index + 1]];
  if (previous !== undefined) return { start: endOf(previous), end: endOf(pair), text: "" };
  const comma = /^\s*,/.exec(source.text.slice(endOf(pair)))?.[0] ?? "";
  return { start, end: next === undefined ? endOf(pair) + comma.length : rangeOf(next.key as Node)[0], text: "" };
}

function endOf(pair: Pair): number {
  return Math.max(rangeOf(pair.key as Node)[1], pair.value === null ? 0 : rangeOf(pair.value as Node)[1]);
}

/** Offset after the line on which the pair ends. */
function endOfLines(source: YamlSource, pair: Pair): number {
  const end = endOf(pair);
  return source.text[end - 1] === "\n" ? end : endOfLine(source, end);
}

/** A key and the YAML text of its value. */
export interface NewPair {
  readonly key: string;
  readonly text: string;
}

/** Inserts pairs into a map, after the pair `after` or at the end. */
export function insertPairs(source: YamlSource, map: YAMLMap, pairs: readonly NewPair[], after?: Pair): Edit {
  const anchor = after ?? (map.items.at(-1) as Pair | undefined);
  if (map.flow === true || anchor === undefined) {
    const flow = pairs.map(({ key, text }) => `${JSON.stringify(key)}: ${text}`).join(", ");
    const end = anchor === undefined ? rangeOf(map)[0] + 1 : rangeOf((anchor.value ?? anchor.key) as Node)[1];
    return { start: end, end, text: anchor === undefined ? flow : `, ${flow}` };
  }
  const indent = " ".repeat(source.columnOf(rangeOf(anchor.key as Node)[0]));
  return insertLines(source, endOfLines(source, anchor), formatPairs(source, pairs, indent));
}

/** Gives a key that has no value (or an empty flow map) block pairs under it. `depth` is the new pairs' indentation. */
export function fillMap(source: YamlSource, pair: Pair, pairs: readonly NewPair[], depth: number): Edit {
  const lines = formatPairs(source, pairs, " ".repeat(depth));
  const [start, end] = [rangeOf(pair.key as Node)[1], endOf(pair)];
  const [from] = pair.value === null ? [end] : rangeOf(pair.value as Node);
  if (from === end) return insertLines(source, endOfLine(source, start), lines);
  const lineEnd = endOfLine(source, end);
  const rest = source.text.slice(end, lineEnd).trimEnd();
  return { start: source.text.slice(0, from).trimEnd().length, end: lineEnd, text: rest + source.newline + lines };
}

/** Offset after the line break that follows, or the end of the text. */
function endOfLine(source: YamlSource, offset: number): number {
  const next = source.text.indexOf("\n", offset);
  return next < 0 ? source.text.length : next + 1;
}

/** Inserts whole lines at an offset that follows a line break (or ends a file that lacks one). */
export function insertLines(source: YamlSource, offset: number, lines: string): Edit {
  const needsBreak = offset > 0 && source.text[offset - 1] !== "\n";
  return { start: offset, end: offset, text: needsBreak ? source.newline + lines : lines };
}

function formatPairs(source: YamlSource, pairs: readonly NewPair[], indent: string): string {
  return pairs
    .map(({ key, text }) => `${indent}${key}:${/^\r?\n/.test(text) ? "" : " "}${text}${source.newline}`)
    .join("");
}

/** True where a map is written in block style, so that lines can be inserted. */
export function isBlockMap(node: unknown): node is YAMLMap {
  return isMap(node) && node.flow !== true && node.items.length > 0;
}

/** True where a key has nothing under it: no value, null, or `{}` in block context. */
export function isEmptyMap(node: unknown): boolean {
  return node === null || (isMap(node) && node.items.length === 0) || (isScalar(node) && isEmptyNode(node));
}

export interface TextStyle {
  /** How the text was written before: quotes are kept where they can be. */
  readonly style: Scalar.Type | undefined;
  readonly inFlow: boolean;
  /** Indentation of the key that the text belongs to. */
  readonly indent: number;
  /** How much further in the lines of a block text stand; default 2. */
  readonly step?: number | undefined;
  readonly newline: string;
  /** True where something follows on the line, so that a block text cannot stand there. */
  readonly lineGoesOn: boolean;
}

/** Texts that need no quotes in block context, whoever reads them. */
const safePlain =
  /^[A-Za-z0-9_/.+^$()<;\\\u00a1-\u2027\u202a-\ud7ff](?:[ !-~\u00a0-\u2027\u202a-\ufefe\uff00-\ufffd]*[!-~\u00a1-\u2027\u202a-\ufefe\uff00-\ufffd])?$/;
const safeFlow = /^[A-Za-z_][A-Za-z0-9_/.-]*$/;
const printable = /^[\t\n\u0020-\u007e\u00a0-\u2027\u202a-\ufefe\uff00-\ufffd]*$/;

/** YAML for a text that every reader takes for exactly this text. */
export function formatText(value: string, { style, inFlow, indent, step = 2, newline, lineGoesOn }: TextStyle): string {
  const singleLine = printable.test(value) && !value.includes("\n");
  if (style === "QUOTE_SINGLE" && singleLine) return `'${value.replaceAll("'", "''")}'`;
  if (style === "QUOTE_DOUBLE") return quoted(value);
  const plain = inFlow ? safeFlow : safePlain;
  if (plain.test(value) && !/:(?: |$)| #/.test(value) && !isAmbiguousString(value)) return value;
  if (!inFlow && !lineGoesOn && isLiteral(value)) {
    const lines = value.replace(/\n$/, "").split("\n");
    const pad = " ".repeat(indent + step);
    return [value.endsWith("\n") ? "|" : "|-", ...lines.map((line) => (line === "" ? "" : pad + line))].join(newline);
  }
  return quoted(value);
}

/** Several lines that a literal block can hold without an indentation digit or a keep sign. */
function isLiteral(value: string): boolean {
  return (
    value.includes("\n") &&
    printable.test(value) &&
    !/^[ \t\n]/.test(value) &&
    !value.endsWith("\n\n") &&
    !/[ \t]$/.test(value)
  );
}

/** JSON is YAML's double-quoted form, but for characters that YAML does not let stand raw. */
export function quoted(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
