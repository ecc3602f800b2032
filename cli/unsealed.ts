// Finds Secrets in the clear in the text of any YAML or JSON file: single manifests, several documents, Lists. Looks at the
// shape of the text where the library, which reads one document at a time, cannot say more; repairs and refuses nothing.
import { isSealed, readManifest, SealwardError } from "../src/index.ts";

export interface Piece {
  readonly text: string;
  /** The line in the file before the piece's first one. */
  readonly lineOffset: number;
}

// A value has one tag and one anchor at most. The limits keep the search linear where every "kind" begins a chain of them.
const kindOf = (kinds: string): RegExp =>
  new RegExp(`\\bkind["']?\\s*:\\s*(?:[!&]\\S{1,200}\\s+){0,2}["']?(?:${kinds})(?![\\w-])`, "g");
const hasValues = /(?:^|[\s{,"'])(?:data|stringData)["']?\s*:/;
const hasSopsBlock = /(?:^|[{,]\s*)["']?sops["']?\s*:/m;

/** Whether a file is worth a closer look: it may hold a Secret, plain or sealed. Cheap; wrong only in the cautious way. */
export function mentionsSecret(text: string): boolean {
  return kindOf("(?:Bound)?Secret(?:List)?").test(text) || (hasSopsBlock.test(text) && text.includes("ENC["));
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
  return mentionsSecret(text) && (!text.includes("{{") || hasSopsBlock.test(text));
}

/**
 * Where Secrets with values in the clear begin in one document; lines count from the start of the file.
 * @throws what is wrong with a text that has a sops block and yet cannot be read as a sealed file
 */
export function unsealedIn({ text, lineOffset }: Piece): readonly FoundAt[] {
  if (!hasValues.test(text) || isSealed(text)) return [];
  const problem = problemOf(text);
  if (problem !== null && problem.code !== "not-a-secret" && hasSopsBlock.test(text)) throw problem;
  if (problem?.code === "not-yaml" && !looksBroken(text)) return [];
  // Values that Kubernetes or we would refuse are no less in the clear.
  if (problem?.code !== "not-a-secret") return firstOf(placesOf(text, kindOf("Secret"), lineOffset));
  if (!kindOf("List|SecretList").test(text)) return [];
  const items = [...placesOf(text, kindOf("Secret"), lineOffset)];
  return items.length > 0 ? items : firstOf(placesOf(text, kindOf("SecretList"), lineOffset));
}

function problemOf(text: string): SealwardError | null {
  try {
    readManifest(text);
    return null;
  } catch (problem) {
    if (problem instanceof SealwardError) return problem;
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

function firstOf(places: Iterable<FoundAt>): readonly FoundAt[] {
  for (const place of places) return [place];
  return [];
}
