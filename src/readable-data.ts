// A Secret for a person to edit: under `data`, text stands as text and only other bytes as base64, tagged `!!binary`. Read back
// into what Kubernetes takes, with the base64 of whatever did not change as it was.
import type { Node, Scalar, YAMLMap } from "yaml";
import { bufferOf, decodeUtf8, fromBase64, toBase64 } from "./bytes.ts";
import { type Entry, readManifestShape } from "./manifest.ts";
import { applyEdits, type Edit, rangeOf, replaceScalar, textInPlaceOf } from "./splice.ts";
import { isMap, isScalar, pairsOf, parseYaml, type YamlSource } from "./yaml-source.ts";

const tag = "!!binary";
const binaryTag = "tag:yaml.org,2002:binary";
const text = /^[\t\n\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]+$/u;

/** The manifest with readable `data`; {@link withEncodedData} gives exactly `plainText` back. */
export function withReadableData(plainText: string): string {
  const { source, entries } = readManifestShape(parseYaml(plainText));
  const data = entries.filter(({ map, value }) => map === "data" && value !== "");
  for (const isAsText of [true, false]) {
    const readable = applyEdits(
      plainText,
      data.map((entry) => readableEdit(source, entry, isAsText)),
    );
    if (withEncodedData(readable, plainText)?.text === plainText) return readable;
  }
  return plainText;
}

function readableEdit(source: YamlSource, entry: Entry, isAsText: boolean): Edit {
  const bytes = fromBase64(entry.value);
  const decoded = bytes === null ? null : decodeUtf8(bytes);
  if (isAsText && decoded !== null && text.test(decoded)) {
    const parent = source.root.get("data");
    const style = { style: undefined, inFlow: isMap(parent) && parent.flow === true, lineGoesOn: false };
    return replaceScalar(source, entry.node, textInPlaceOf(source, entry.node, decoded, style));
  }
  const [start] = rangeOf(entry.node);
  return { start, end: start, text: `${tag} ` };
}

export interface EncodedData {
  readonly text: string;
  /** The line of the readable text that a line of `text` came from. */
  readonly lineOf: (line: number) => number;
}

/**
 * The edited text with base64 under `data` again; null for a text that has no such map to look at, which is then as it is.
 * @throws not-yaml and its kin, with the place in the edited text
 */
export function withEncodedData(edited: string, before: string, file?: string): EncodedData | null {
  const source = parseYaml(edited, { file });
  const data: unknown = source.root.get("data");
  if (!isMap(data)) return null;
  const known = base64In(before);
  const edits = pairsOf(data as YAMLMap).flatMap(([key, { value }]) => {
    const node = value as Node | null;
    return isScalar(node) && node.anchor === undefined ? encodedEdits(source, node, known.get(key)) : [];
  });
  return { text: applyEdits(edited, edits), lineOf: lineMap(edited, edits) };
}

/** A value as it was, and how it was written. */
interface Known {
  readonly bytes: Uint8Array;
  readonly written: string;
}

function encodedEdits(source: YamlSource, node: Scalar, before: Known | undefined): Edit[] {
  const value = String(node.value);
  const [start] = rangeOf(node);
  if (node.tag === binaryTag || node.tag === tag) {
    const at = source.text.lastIndexOf(tag, start);
    // Only the tag of this very value: the same word may stand in a comment before it.
    if (at < 0 || !/^[ \t]*$/.test(source.text.slice(at + tag.length, start)))
      throw source.refusal("shape-invalid", `Write the tag as ${tag}, right before the value on the same line`, node);
    return [{ start: at, end: start, text: "" }];
  }
  if (value === "" || node.tag !== undefined) return [];
  const bytes = Buffer.from(value);
  const isSame = before !== undefined && bufferOf(before.bytes).equals(bytes);
  return [replaceScalar(source, node, isSame ? before.written : toBase64(bytes))];
}

function base64In(plainText: string): ReadonlyMap<string, Known> {
  const { source, entries } = readManifestShape(parseYaml(plainText));
  return new Map(
    entries
      .filter(({ map }) => map === "data")
      .map(({ key, node, value }) => [
        key,
        { bytes: fromBase64(value) ?? new Uint8Array(), written: source.text.slice(...rangeOf(node)).trimEnd() },
      ]),
  );
}

/** Lines move where a text of several lines became one. */
function lineMap(edited: string, edits: readonly Edit[]): (line: number) => number {
  const ordered = [...edits].sort((a, b) => a.start - b.start);
  const count = (value: string): number => value.split("\n").length - 1;
  return (line) => {
    let shift = 0;
    for (const { start, end, text: written } of ordered) {
      const at = count(edited.slice(0, start)) + 1;
      if (at - shift >= line) break;
      shift -= count(edited.slice(start, end)) - count(written);
    }
    return line - shift;
  };
}
