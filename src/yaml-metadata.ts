// The `sops:` block of a YAML file as plain data, and such data as YAML in SOPS' own layout. Knows no meaning of its keys.
import { type Node, type Pair, visit, type YAMLMap } from "yaml";
import { isAmbiguousString, resolveGoScalar } from "./go-scalar.ts";
import { quoted } from "./splice.ts";
import type { Metadata, MetadataValue } from "./store.ts";
import { isAlias, isMap, isScalar, isSeq, pairNamed, pairsOf, type YamlSource } from "./yaml-source.ts";

/** The pair `sops` of a document, or undefined where it has none. */
export function metadataPair(source: YamlSource): Pair | undefined {
  return pairNamed(source.root, "sops");
}

/**
 * The block as plain data, null where the document has none or it is no map. Anchors, aliases, tags and merge keys are
 * expanded by SOPS: an entry could stand there that nobody sees, so they are refused. @throws sops-metadata-invalid
 */
export function readYamlMetadata(source: YamlSource): Metadata | null {
  const value: unknown = metadataPair(source)?.value;
  if (!isMap(value)) return null;
  assertLiteral(source, value as YAMLMap);
  return mapOf(value as YAMLMap);
}

function assertLiteral(source: YamlSource, block: YAMLMap): void {
  visit(block, {
    Node(_, node) {
      if (isAlias(node) || node.anchor !== undefined || node.tag !== undefined)
        throw source.refusal(
          "sops-metadata-invalid",
          "Anchors, aliases and tags are not allowed in the sops block",
          node,
        );
    },
    Pair(_, { key }) {
      if (isScalar(key) && key.value === "<<")
        throw source.refusal("sops-metadata-invalid", "A merge key is not allowed in the sops block", key);
    },
  });
}

function mapOf(map: YAMLMap): Metadata {
  return new Map(pairsOf(map).map(([key, { value }]) => [key, plainOf(value as Node | null)]));
}

function plainOf(node: Node | null): MetadataValue {
  if (node === null) return null;
  if (isMap(node)) return mapOf(node as YAMLMap);
  if (isSeq(node)) return (node.items as (Node | null)[]).map(plainOf);
  if (!isScalar(node)) return null;
  const text = String(node.value);
  if (node.type !== "PLAIN") return text;
  const { type } = resolveGoScalar(text);
  if (type === "null") return null;
  if (type === "bool") return text.toLowerCase() === "true";
  return type === "int" && Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

/** Lines of `key: value` for a block map at `indent`, each ended by `newline`; lists and maps as SOPS lays them out. */
export function formatMetadata(metadata: Metadata, indent: number, newline: string): string {
  return [...metadata].map(([key, value]) => formatPair(key, value, indent, newline)).join("");
}

export function formatPair(key: string, value: MetadataValue, indent: number, newline: string): string {
  return linesOf(key, value, indent)
    .map((line) => line + newline)
    .join("");
}

function linesOf(key: string, value: MetadataValue, indent: number): string[] {
  const pad = " ".repeat(indent);
  const name = `${pad}${plainOrQuoted(key)}:`;
  if (isList(value) && value.length > 0) return [name, ...itemLines(value, nextStop(indent))];
  if (value instanceof Map && value.size > 0)
    return [name, ...[...value].flatMap(([inner, item]) => linesOf(inner, item, nextStop(indent)))];
  const [first, ...more] = scalarLines(value, nextStop(indent));
  return [`${name} ${first}`, ...more];
}

function itemLines(items: readonly MetadataValue[], indent: number): string[] {
  const pad = " ".repeat(indent);
  return items.flatMap((item) => {
    if (item instanceof Map && item.size > 0) {
      const lines = [...item].flatMap(([key, value]) => linesOf(key, value, indent + 2));
      return lines.map((line, index) => (index === 0 ? `${pad}- ${line.trimStart()}` : line));
    }
    if (isList(item) && item.length > 0) {
      const lines = itemLines(item, indent + 2);
      return lines.map((line, index) => (index === 0 ? `${pad}- ${line.trimStart()}` : line));
    }
    const [first, ...more] = scalarLines(item, nextStop(indent));
    return [`${pad}- ${first}`, ...more];
  });
}

/** SOPS indents by four, whatever a list's dash has added. */
function nextStop(indent: number): number {
  return (Math.floor(indent / 4) + 1) * 4;
}

function scalarLines(value: MetadataValue, indent: number): string[] {
  if (isList(value)) return ["[]"];
  if (value instanceof Map) return ["{}"];
  if (typeof value !== "string") return [String(value)];
  if (!isLiteral(value)) return [plainOrQuoted(value)];
  const pad = " ".repeat(indent);
  const ends = value.endsWith("\n");
  const lines = (ends ? value.slice(0, -1) : value).split("\n");
  return [ends ? "|" : "|-", ...lines.map((line) => (line === "" ? "" : pad + line))];
}

function isLiteral(text: string): boolean {
  return /^[\x21-\x7e][\n\x20-\x7e]*$/.test(text) && text.includes("\n") && !/\n\n$| \n| $/.test(text);
}

/** Plain where Go writes it plain, so that `mac: ENC[` and the selection rules look as SOPS writes them. */
function plainOrQuoted(text: string): string {
  const isPlain =
    /^[^\s\-?:,[\]{}#&*!|>'"%@`][\x20-\x7e]*$/.test(text) && !/: | #|[: ]$/.test(text) && !isAmbiguousString(text);
  return isPlain ? text : quoted(text);
}

/** The block in flow style, for a document that is one flow map. */
export function formatFlowMetadata(value: MetadataValue): string {
  if (isList(value)) return `[${value.map(formatFlowMetadata).join(", ")}]`;
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${quoted(key)}: ${formatFlowMetadata(item)}`).join(", ")}}`;
  return typeof value === "string" ? quoted(value) : String(value);
}

export function isList(value: MetadataValue): value is readonly MetadataValue[] {
  return Array.isArray(value);
}

/** True where two values are the same, the order of keys aside for none. */
export function sameMetadata(a: MetadataValue, b: MetadataValue): boolean {
  return formatFlowMetadata(a) === formatFlowMetadata(b);
}
