// Edits that put a `sops:` block into one YAML document, take it out, or change some of its keys. What does not change in
// the block keeps its text: order, spelling and unknown keys.
import type { Node, Pair, YAMLMap } from "yaml";
import {
  applyEdits,
  type Edit,
  insertLines,
  insertPairs,
  isBlockMap,
  rangeOf,
  removePair,
  replaceScalar,
} from "./splice.ts";
import type { Metadata } from "./store.ts";
import {
  formatFlowMetadata,
  formatMetadata,
  formatPair,
  metadataPair,
  readYamlMetadata,
  sameMetadata,
} from "./yaml-metadata.ts";
import { isMap, isScalar, pairNamed, type YamlSource } from "./yaml-source.ts";

/**
 * `null` takes the block out; a document without one gets the whole of it, as it stands in the document `from`, where it is
 * the same there.
 */
export function metadataEdits(source: YamlSource, metadata: Metadata | null, from?: YamlSource): Edit[] {
  const pair = metadataPair(source);
  if (metadata === null) return pair === undefined ? [] : [removal(source, pair)];
  if (pair === undefined || !isMap(pair.value)) return [addition(source, metadata, from)];
  if (source.root.flow === true || !isBlockMap(pair.value)) {
    const [start, end] = rangeOf(pair.value as Node);
    return [{ start, end, text: formatFlowMetadata(metadata) }];
  }
  return changes(source, pair.value as YAMLMap, metadata);
}

function removal(source: YamlSource, pair: Pair): Edit {
  const edit = removePair(source, source.root, pair);
  // The block took over the end of the file from the line before it, a missing line break included.
  const isBare = source.root.flow !== true && edit.end === source.text.length && !source.text.endsWith("\n");
  if (!isBare || edit.start === 0) return edit;
  const start = edit.start - (source.text.slice(0, edit.start).endsWith("\r\n") ? 2 : 1);
  return { ...edit, start };
}

function addition(source: YamlSource, metadata: Metadata, from: YamlSource | undefined): Edit {
  const { root, newline, text, contentEnd: end } = source;
  if (root.flow === true) return insertPairs(source, root, [{ key: "sops", text: formatFlowMetadata(metadata) }]);
  const [first] = root.items as Pair[];
  const indent = first === undefined ? 0 : source.columnOf(rangeOf(first.key as Node)[0]);
  const lines =
    (indent === 0 && from !== undefined ? blockTextOf(from, metadata, newline) : null) ??
    `${" ".repeat(indent)}sops:${newline}${formatMetadata(metadata, indent + 4, newline)}`;
  const tail = from === undefined ? "" : textBehind(from);
  if (tail !== "" && text.slice(0, end).endsWith(`\n${tail}`)) return insertLines(source, end - tail.length, lines);
  if (end < text.length || text === "" || text.endsWith("\n")) return insertLines(source, end, lines);
  return { start: end, end, text: newline + lines.slice(0, -newline.length) };
}

/** What stands behind the block of a document: comments that someone put there stay there. */
function textBehind(source: YamlSource): string {
  const pair = metadataPair(source);
  if (pair === undefined || source.root.flow === true) return "";
  return source.text.slice(removePair(source, source.root, pair).end, source.contentEnd);
}

/** The lines of another document's block with these values; null where it does not stand in lines of its own. */
function blockTextOf(from: YamlSource, metadata: Metadata, newline: string): string | null {
  const pair = metadataPair(from);
  if (pair === undefined || from.root.flow === true || !isMap(pair.value)) return null;
  const { start, end } = removePair(from, from.root, pair);
  if (!from.text.startsWith("sops", start)) return null;
  const edits = metadataEdits(from, metadata).map((edit) => ({
    ...edit,
    start: edit.start - start,
    end: edit.end - start,
  }));
  const text = applyEdits(from.text.slice(start, end), edits).replace(/\r?\n/g, newline);
  return text.endsWith("\n") ? text : text + newline;
}

function changes(source: YamlSource, block: YAMLMap, metadata: Metadata): Edit[] {
  const before = readYamlMetadata(source) ?? new Map();
  const [first] = block.items as Pair[];
  const indent = first === undefined ? 4 : source.columnOf(rangeOf(first.key as Node)[0]);
  const edits: Edit[] = [];
  for (const key of before.keys()) {
    const pair = metadata.has(key) ? undefined : pairNamed(block, key);
    if (pair !== undefined) edits.push(removePair(source, block, pair));
  }
  let previous: Pair | undefined;
  for (const [key, value] of metadata) {
    const pair = pairNamed(block, key);
    const old = before.get(key);
    if (pair === undefined) {
      const lines = formatPair(key, value, indent, source.newline);
      const at = previous === undefined ? lineStart(source, first) : removePair(source, block, previous).end;
      edits.push(insertLines(source, at, lines));
      continue;
    }
    previous = pair;
    if (old !== undefined && sameMetadata(old, value)) continue;
    const written = formatPair(key, value, indent, source.newline);
    const oneLine = written.trimEnd().slice(written.indexOf(":") + 2);
    if (isScalar(pair.value) && !oneLine.includes("\n") && pair.value.type?.startsWith("BLOCK") !== true)
      edits.push(replaceScalar(source, pair.value, oneLine));
    else {
      const { start, end } = removePair(source, block, pair);
      edits.push({ start, end, text: written });
    }
  }
  return edits;
}

function lineStart(source: YamlSource, pair: Pair | undefined): number {
  const [start] = pair === undefined ? rangeOf(source.root) : rangeOf(pair.key as Node);
  return source.text.lastIndexOf("\n", start - 1) + 1;
}
