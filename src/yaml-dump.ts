// A YAML file in SOPS' own layout, for a tree that has no YAML text yet. Knows nothing of sealing.
import { decodeUtf8, toBase64 } from "./bytes.ts";
import { formatText } from "./splice.ts";
import type { Clear, CommentItem, MapValue, Metadata, Pair, Value } from "./store.ts";
import { formatMetadata } from "./yaml-metadata.ts";

/** Documents in block style, indented by four as SOPS does. */
export function dumpYaml(documents: readonly MapValue[], metadata: Metadata | null): string {
  const block = metadata === null ? "" : `sops:\n${formatMetadata(metadata, 4, "\n")}`;
  return documents
    .map(({ items }) => {
      const body = items.length === 0 && block === "" ? "{}\n" : mapLines(items, 0).join("\n");
      return `${body}${body === "" || body.endsWith("\n") ? "" : "\n"}${block}`;
    })
    .join("---\n");
}

function mapLines(items: readonly (Pair | CommentItem)[], indent: number): string[] {
  const pad = " ".repeat(indent);
  return items.flatMap((item) => {
    if (item.kind === "comment") return [`${pad}#${item.text}`];
    const key = scalarText({ type: "str", bytes: Buffer.from(item.key) }, indent, true);
    const [first = "", ...more] = valueLines(item.value, indent);
    return [`${pad}${key}:${first === "" ? "" : ` ${first}`}`, ...more];
  });
}

/** The rest of the line behind a key or dash at `indent`, and the lines below it. */
export function valueLines(value: Value, indent: number): string[] {
  const inner = (Math.floor(indent / 4) + 1) * 4;
  if (value.kind === "empty") return [{ null: "null", map: "{}", list: "[]" }[value.value]];
  if (value.kind === "leaf") return scalarText(value, indent, false).split("\n");
  if (value.kind === "map") return value.items.length === 0 ? ["{}"] : ["", ...mapLines(value.items, inner)];
  const pad = " ".repeat(inner);
  const lines = value.items.flatMap((item) => {
    if (item.kind === "comment") return [`${pad}#${item.text}`];
    if (item.kind === "map" && item.items.length > 0 && item.items[0]?.kind === "pair") {
      const [first = "", ...more] = mapLines(item.items, inner + 2);
      return [`${pad}- ${first.trimStart()}`, ...more];
    }
    const [first = "", ...more] = valueLines(item, inner);
    return [`${pad}-${first === "" ? "" : ` ${first}`}`, ...more];
  });
  return value.items.length === 0 ? ["[]"] : ["", ...lines];
}

/** YAML for a scalar whose lines, if there are several, stand below `indent`. */
export function scalarText({ type, bytes }: Clear, indent: number, isKey: boolean): string {
  const text = decodeUtf8(bytes);
  if (text === null) return `!!binary ${toBase64(bytes)}`;
  if (type === "bool") return text === "True" ? "true" : "false";
  if (type === "float") return floatText(text);
  if (type !== "str") return text;
  const step = (Math.floor(indent / 4) + 1) * 4 - indent;
  return formatText(text, { style: undefined, inFlow: false, indent, step, newline: "\n", lineGoesOn: isKey });
}

/** Go's words for these numbers, which are texts in YAML, and YAML's own; a point keeps a whole number a float. */
export function floatText(text: string): string {
  if (text === "NaN") return ".nan";
  if (text.endsWith("Inf")) return text.startsWith("-") ? "-.inf" : ".inf";
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
