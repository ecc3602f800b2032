// INI as SOPS lays it out: a blank line between sections, equal signs in one column, quotes where go-ini needs them. Refuses
// what go-ini would not read back as it was; knows nothing of files.
import { SealwardError } from "./errors.ts";
import { type FlatEntry, flattened } from "./flat-metadata.ts";
import { defaultSection, lineEnd, loneReturn, parseIni, scanValue } from "./ini-source.ts";
import type { CommentItem, MapValue, Metadata, Pair, Value } from "./store.ts";
import { plainText } from "./text-source.ts";

export const metadataSection = "sops";

/** The text in the quotes that it stood in, or none, or those that it needs. @throws sops-unsupported */
export function iniValue(value: string, name: string, quote = "", plainest = false): string {
  const usual = /[\n`]/.test(value) ? '"""' : /[#;]/.test(value) ? "`" : '"';
  const candidates = [...(plainest ? [] : [quote, ""]), usual, "`", '"""', '"', "'", ""];
  for (const mark of candidates) {
    const text = mark + value + mark;
    const line = `${text}\n`;
    const read = scanValue(line, 0);
    if (typeof read === "string" || read.value !== value || loneReturn.test(value)) continue;
    if (lineEnd(line, read.end) === text.length) return text;
  }
  throw new SealwardError("sops-unsupported", `ini cannot hold the text of ${name}: go-ini would read another one`);
}

/** @throws sops-unsupported */
export function iniKey(key: string, name: string): string {
  const written = /[=:"]/.test(key) ? `\`${key}\`` : key;
  if (!key.includes("\n") && holds(`${written} = x\n`, defaultSection, key)) return written;
  throw new SealwardError("sops-unsupported", `The key ${name} cannot stand in an ini file`);
}

/** @throws sops-unsupported */
export function iniHeader(section: string): string {
  const header = `[${section}]`;
  if (!section.includes("\n") && holds(`${header}\nx = x\n`, section, "x")) return header;
  throw new SealwardError("sops-unsupported", `The section ${JSON.stringify(section)} cannot stand in an ini file`);
}

function holds(text: string, section: string, key: string): boolean {
  try {
    const last = parseIni(text, undefined).at(-1);
    const [item] = last?.items ?? [];
    return last?.name === section && last.items.length === 1 && item?.kind === "pair" && item.key === key;
  } catch (problem) {
    if (problem instanceof SealwardError) return false;
    throw problem;
  }
}

/** @throws sops-unsupported for what is no scalar */
export function iniScalar(value: Value, name: string, quote?: string): string {
  if (value.kind !== "leaf")
    throw new SealwardError("sops-unsupported", `ini holds texts in sections only, and ${name} is something else`);
  return iniValue(plainText(value, name), name, quote);
}

/** @throws sops-unsupported where a value is no map of scalars */
export function dumpIni(document: MapValue, metadata: Metadata | null): string {
  const sections: string[] = [];
  for (const [index, item] of document.items.entries()) {
    if (item.kind === "comment") continue;
    const { key, value } = item;
    const name = JSON.stringify(key);
    if (key === metadataSection)
      throw new SealwardError("sops-unsupported", "A section sops cannot be held: it is where the sops block stands");
    const items = value.kind === "empty" && value.value === "map" ? [] : value.kind === "map" ? value.items : null;
    if (items === null)
      throw new SealwardError("sops-unsupported", `ini holds sections of keys only, and ${name} is something else`);
    const isBare = key === defaultSection && index === 0;
    if (isBare && items.length === 0) continue;
    sections.push(sectionText(isBare ? null : iniHeader(key), key, items));
  }
  if (metadata !== null) sections.push(`${blockLines(metadata).join("\n")}\n`);
  return sections.join("\n");
}

function sectionText(header: string | null, section: string, items: readonly (Pair | CommentItem)[]): string {
  const pairs = items.flatMap((item) => (item.kind === "pair" ? [item] : []));
  const keys = new Map(pairs.map((pair) => [pair, iniKey(pair.key, JSON.stringify(`${section}.${pair.key}`))]));
  const width = Math.max(0, ...[...keys.values()].map((key) => key.length));
  const lines: string[] = [];
  let above: number | null = null;
  if (header !== null) lines.push(header);
  for (const [index, item] of items.entries()) {
    if (item.kind === "pair") {
      above = lines.length;
      const name = JSON.stringify(`${section}.${item.key}`);
      lines.push(`${(keys.get(item) ?? item.key).padEnd(width)} = ${iniScalar(item.value, name)}`);
    } else if (item.text !== "") {
      // SOPS' order: the first comment is the section's, any other belongs to the key before it and stands above that.
      const at = index === 0 ? 0 : (above ?? lines.length);
      lines.splice(at, 0, ...commentLines(item.text));
      if (above !== null) above = lines.length - 1;
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

function commentLines(text: string): string[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "")
    .map((line) => (/^[ \t]*[;#]/.test(line) ? line.trim() : `; ${line}`));
}

/** The lines of a `[sops]` section. */
export function blockLines(metadata: Metadata): string[] {
  const entries = [...metadata].flatMap(([key, value]) => flattened(key, value));
  const width = Math.max(0, ...entries.map(({ name }) => name.length));
  return [`[${metadataSection}]`, ...entries.map((entry) => blockLine(entry, width))];
}

export function blockLine({ name, text }: FlatEntry, width: number): string {
  return `${iniKey(name, JSON.stringify(name)).padEnd(width)} = ${iniValue(text, name)}`;
}
