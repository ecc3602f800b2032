// Finds Secrets in the clear in the text of any YAML or JSON file: single manifests, several documents, Lists. Looks at the
// shape of the text where the library, which reads one document at a time, cannot say more; repairs and refuses nothing.
import { parse } from "yaml";
import { isSealed, readManifest, SealwardError, type SecretManifest } from "../src/index.ts";

export interface Piece {
  readonly text: string;
  /** The line in the file before the piece's first one. */
  readonly lineOffset: number;
}

// A comment, tag or alias where the kind should stand counts as any kind: no tool writes that, so whoever does means to hide one.
// The limits keep the search linear where every "kind" begins a long chain of something.
const kindOf = (kinds: string): RegExp => {
  const key = `(?:\\bkind["']?\\s*(?:#[^\\n]{0,200}\\n\\s*)?|\\*\\S{1,100}\\s+)`;
  const word = `(?:[|>][^\\n]{0,100}\\n\\s*)?["']?(?:${kinds})(?![\\w-])`;
  const value = `(?:&\\S{1,200}\\s+)?(?:[!*#]|&\\S{200}|${word})`;
  return new RegExp(`${key}:\\s*${value}|\\?[ \\t]+["']?kind["']?\\s+#`, "g");
};
const hasValues = /(?:^|[\s{,"'])(?:data|stringData)["']?\s*(?:#[^\n]{0,200}\n\s*)?:/;
const hasSopsBlock = /(?:^|[{,]\s*)["']?sops["']?\s*:/m;

/** Whether a file is worth a closer look: it may hold a Secret, plain or sealed. Cheap; wrong only in the cautious way. */
export function mentionsSecret(text: string): boolean {
  return mentions(spelledOut(text));
}

function mentions(spelled: string): boolean {
  return kindOf("(?:Bound)?Secret(?:List)?").test(spelled) || (hasSopsBlock.test(spelled) && spelled.includes("ENC["));
}

/** For the same question, bytes as text; UTF-16, which kubectl reads as well, without its zeros. */
export function looseText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  return text.slice(0, 4).includes("\u0000") || /^(?:\xff\xfe|\xfe\xff)/.test(text)
    ? text.replaceAll("\u0000", "")
    : text;
}

/** The text with letters in place of their escapes, and without escaped line breaks. */
function spelledOut(text: string): string {
  if (!text.includes("\\")) return text;
  return text
    .replace(/\\\r?\n[ \t]*/g, "")
    .replace(/\\(?:x|u00|U000000)([4-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Whether the file, as a parser reads it, is sealed, however its `sops` is spelled. */
export function isSealedFile(text: string): boolean {
  return isSealed(text) || reading(text).manifest?.sealed === true;
}

/** A BoundSecret that only a parser recognizes; the library looks for the word. */
export function hidesBoundSecret(text: string): boolean {
  return !text.includes("BoundSecret") && spelledOut(text).includes("BoundSecret");
}

/** The documents of a YAML stream. "---" at the start of a line is a marker everywhere in YAML, so no parser is needed. */
export function splitDocuments(text: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let lineOffset = 0;
  for (const piece of text.split(/^---(?=\s|$)/m)) {
    if (piece.split("\n").some((line) => /^\s*[^\s#%]/.test(line) && !/^\.\.\.\s*$/.test(line)))
      pieces.push({ text: piece, lineOffset });
    lineOffset += piece.split("\n").length - 1;
  }
  return pieces;
}

/** A file or piece that cannot be read but was, by its look, a Secret or a sealed file; not so a template with a Secret in it. */
export function looksBroken(text: string): boolean {
  const spelled = spelledOut(text);
  return mentions(spelled) && (!spelled.includes("{{") || hasSopsBlock.test(spelled));
}

/** A template with a Secret in it that cannot be read until it is rendered. */
export function isUnrendered(text: string): boolean {
  return reading(text).problem?.code === "not-yaml" && mentionsSecret(text) && !looksBroken(text);
}

/**
 * Where Secrets with values in the clear begin in one document; lines count from the start of the file.
 * @throws what is wrong with a text that has a sops block and yet cannot be read as a sealed file
 */
export function unsealedIn({ text, lineOffset }: Piece): readonly FoundAt[] {
  const { manifest, problem } = reading(text);
  const spelled = spelledOut(text);
  const start = { line: lineOffset + 1, column: 1 };
  if (manifest !== null) {
    if (isPlaceholder(text)) return [];
    const isClear = !manifest.sealed && manifest.dataKeys.length + manifest.stringDataKeys.length > 0;
    return isClear ? firstOf(placesOf(spelled, kindOf("Secret"), lineOffset), start) : [];
  }
  if (!hasValues.test(spelled)) return [];
  if (problem.code !== "not-a-secret" && hasSopsBlock.test(spelled)) throw problem;
  if (problem.code === "not-yaml" && !looksBroken(text)) return [];
  if (problem.code === "shape-invalid" && isPlaceholder(text)) return [];
  // Values that Kubernetes or we would refuse are no less in the clear.
  if (problem.code !== "not-a-secret") return firstOf(placesOf(spelled, kindOf("Secret"), lineOffset));
  if (!kindOf("\\w{0,100}List").test(spelled)) return [];
  const items = [...placesOf(spelled, kindOf("Secret"), lineOffset)];
  return items.length > 0 ? items : firstOf(placesOf(spelled, kindOf("SecretList"), lineOffset));
}

/**
 * One template action and nothing beside it, which takes its value from somewhere: once its texts in quotes are gone, there
 * is a field or a variable in it. What it falls back to (`default "…"`) is not looked at.
 */
const action = /^\s*\{\{((?:(?!\{\{|\}\}).)*)\}\}\s*$/s;
const quoted = /"(?:\\.|[^"\\])*"|`[^`]*`/g;
const reference = /\$|\.[A-Za-z_]|(?<=^|[\s(|])\.(?=[\s)|]|$)/;

/** Whether every value of this Secret is such an action, so that none stands in the file. */
function isPlaceholder(text: string): boolean {
  if (!text.includes("{{") || text.length > maxTemplateLength) return false;
  const values = [...valuesOf(text)];
  return (
    values.length > 0 &&
    values.every((value) => {
      const [, inner] = (typeof value === "string" ? action.exec(value) : null) ?? [];
      return inner !== undefined && reference.test(inner.replace(quoted, ""));
    })
  );
}

const maxTemplateLength = 100_000;

function* valuesOf(text: string): Generator<unknown> {
  let parsed: unknown;
  try {
    parsed = parse(text, { logLevel: "silent" });
  } catch {
    return;
  }
  const { data, stringData } = (parsed ?? {}) as { readonly data?: unknown; readonly stringData?: unknown };
  for (const map of [data, stringData]) {
    if (map === undefined || map === null) continue;
    if (typeof map === "object" && !Array.isArray(map)) yield* Object.values(map);
    else yield map;
  }
}

type Reading =
  | { readonly manifest: SecretManifest; readonly problem: null }
  | { readonly manifest: null; readonly problem: SealwardError };

function reading(text: string): Reading {
  try {
    return { manifest: readManifest(text), problem: null };
  } catch (problem) {
    if (problem instanceof SealwardError) return { manifest: null, problem };
    throw problem;
  }
}

interface FoundAt {
  readonly line: number;
  readonly column: number;
}

function* placesOf(text: string, pattern: RegExp, lineOffset: number): Generator<FoundAt> {
  let line = lineOffset + 1;
  let lineStart = 0;
  for (const { index } of text.matchAll(pattern)) {
    for (let end = text.indexOf("\n", lineStart); end !== -1 && end < index; end = text.indexOf("\n", lineStart)) {
      line++;
      lineStart = end + 1;
    }
    yield { line, column: index - lineStart + 1 };
  }
}

function firstOf(places: Iterable<FoundAt>, otherwise?: FoundAt): readonly FoundAt[] {
  for (const place of places) return [place];
  return otherwise === undefined ? [] : [otherwise];
}
