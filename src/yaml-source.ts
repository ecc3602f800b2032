// Reads YAML text into nodes that know their offsets, and refuses what would be read in two ways. Scalars stay text here
// (src/go-scalar.ts types them). Parser messages quote the file, so only their codes are passed on.
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type Scalar,
  visit,
  YAMLMap,
} from "yaml";
import { readBlockStyle } from "./block-style.ts";
import { type ErrorCode, type Place, quoteName, SealwardError } from "./errors.ts";
import { unlimited } from "./store.ts";
import type { AttachedComment } from "./yaml-comments.ts";
import { linesOf, notYaml, parseDocuments, placeIn, tooDeep } from "./yaml-parser.ts";

/** A sealed file must fit into one object of the API server (1.5 MiB with everything around it). */
export const maxDocumentBytes: number = 1024 * 1024;
/** Any other SOPS file. SOPS has no limit, Flux one of 5 MiB; this one keeps what it costs to read within reason. */
export const maxSopsFileBytes: number = 64 * 1024 * 1024;
/**
 * Pieces of YAML (keys, values, signs, line breaks) in each started mebibyte of what is not plain block style. The parser
 * needs microseconds for each, and what has more of them consists of little else.
 */
const piecesPerMebibyte = 250_000;
/** Far below where the parser's recursion ends, far above what a manifest needs. */
const maxDepth = 100;

/** Go's reader, and so SOPS', ends a line at a lone CR, NEL, LS or PS: a comment for one reader is a key for the other. */
const controlCharacter = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]|\r(?!\n)/;
/** Double-quoted text that Go's YAML refuses: half a character (JSON's way to write what lies above U+FFFF), and `\/`. */
const foreignEscape = /(?<!\\)(?:\\\\)*\\(?:\/|(?:u|U0000)[dD][89a-fA-F])/;
/** And what it reads in its own way: an escaped line break before a blank line. */
const foreignFold = /\\\r?\n[ \t]*\r?\n/;
/** A quote that ends the token without closing the text: the parser stops at a line that is not indented enough. */
const escapedEnd = /(?<!\\)(?:\\\\)*\\"$/;
const doubledEnd = /(?<!')(?:'')+$/;
/** A line of a plain text that Go's YAML takes for the next element or key, where a comment before it is indented less. */
const markInside = /\n[ \t]*[-?](?:[ \t\r\n]|$)/;
/** Block text that it refuses: a tab before the first character. */
const tabIndent = /^[^\n]*\n(?: *\r?\n)* *\t/;
/** And that it reads in its own way where the last lines are spaces: with a digit for the indentation. */
const indentDigit = /^[|>][+-]?[1-9]/;

/** One parsed document and where its parts stand. */
export class YamlSource {
  readonly text: string;
  readonly file: string | undefined;
  readonly root: YAMLMap;
  /** The part of the text that is this document's, comments included: up to the next one's marker, or to the end. */
  readonly start: number;
  readonly end: number;
  /** Where more lines of the document can stand: before the marker that ends it. */
  readonly contentEnd: number;
  /** The comments and where they belong, where reading has found out; else yaml-comments.ts does. */
  readonly comments: readonly AttachedComment[] | undefined;
  readonly #lines: LineCounter | undefined;
  #newline: "\n" | "\r\n" | undefined;

  constructor(
    text: string,
    {
      file,
      root,
      lines,
      comments,
      start = 0,
      isLast = true,
    }: {
      readonly file: string | undefined;
      readonly root: YAMLMap;
      readonly lines?: LineCounter | undefined;
      readonly comments?: readonly AttachedComment[];
      readonly start?: number;
      readonly isLast?: boolean;
    },
  ) {
    this.text = text;
    this.file = file;
    this.root = root;
    this.start = start;
    this.contentEnd = endOfDocument(text, root.range?.[2] ?? start);
    this.end = isLast ? text.length : this.contentEnd;
    this.comments = comments;
    this.#lines = lines;
  }

  /** Line and column (both from 1) of an offset. */
  placeOf(offset: number): Place {
    return placeIn(this.#lines ?? linesOf(this.text), offset, this.file);
  }

  /** A refusal that points at a node (or at the whole file). */
  refusal(code: ErrorCode, message: string, at?: Node | number): SealwardError {
    const offset = typeof at === "number" ? at : at?.range?.[0];
    return new SealwardError(code, message, offset === undefined ? { file: this.file } : this.placeOf(offset));
  }

  /** Column (from 0) of an offset: the indentation, for the first key of a block map. */
  columnOf(offset: number): number {
    return offset - (this.text.lastIndexOf("\n", offset - 1) + 1);
  }

  /** The line ending that the file uses. */
  get newline(): "\n" | "\r\n" {
    this.#newline ??= this.text.includes("\r\n") ? "\r\n" : "\n";
    return this.#newline;
  }
}

/**
 * Parses exactly one document whose root is a map.
 * @throws too-large, not-utf8 (byte-order mark), not-yaml, too-deep, several-documents, duplicate-key
 */
export function parseYaml(
  text: string,
  options: { readonly file?: string | undefined; readonly maxBytes?: number } = {},
): YamlSource {
  const { file, maxBytes = maxDocumentBytes } = options;
  const documents = parseYamlStream(text, { file, maxBytes });
  const [first, second] = documents;
  if (first === undefined) throw new SealwardError("not-yaml", "The file is empty", { file });
  if (second !== undefined) {
    throw second.refusal(
      "several-documents",
      `The file holds ${documents.length} YAML documents, one is expected`,
      second.root,
    );
  }
  return first;
}

/** The offset of the line with the next `---` or `...`, or of the end of the text. */
function endOfDocument(text: string, from: number): number {
  let at = from === 0 || text[from - 1] === "\n" ? from : text.indexOf("\n", from) + 1 || text.length;
  while (at < text.length && !/^(?:---|\.\.\.)(?:\s|$)/.test(text.slice(at, at + 4)))
    at = text.indexOf("\n", at) + 1 || text.length;
  return at;
}

/** Parses every document of a stream; documents without content are left out. Same refusals as {@link parseYaml}, but for the number. */
export function parseYamlStream(
  text: string,
  options: { readonly file?: string | undefined; readonly maxBytes: number },
): YamlSource[] {
  return parseYamlDocuments(text, options).filter(({ root }) => root.range?.[0] !== root.range?.[1]);
}

/** The same, but documents without content stand in it as empty maps. @throws not-yaml too where there is no document at all */
export function parseYamlDocuments(
  text: string,
  options: { readonly file?: string | undefined; readonly maxBytes: number },
): YamlSource[] {
  const { file, maxBytes } = options;
  const bytes = Buffer.byteLength(text, "utf8");
  if (bytes > maxBytes) {
    throw new SealwardError("too-large", `The file has ${bytes} bytes, at most ${maxBytes} are allowed`, { file });
  }
  if (text.startsWith("\ufeff")) {
    throw new SealwardError("not-utf8", "The file starts with a byte-order mark: save it as UTF-8 without one", {
      file,
      line: 1,
      column: 1,
    });
  }
  const quick = readBlockStyle(text);
  if (quick !== null) return [new YamlSource(text, { file, ...quick })];
  const lines = new LineCounter();
  const maxPieces =
    maxBytes === unlimited ? Number.POSITIVE_INFINITY : piecesPerMebibyte * Math.ceil(bytes / maxDocumentBytes);
  const documents = parseDocuments(text, { lines, file, maxPieces });
  const control = controlCharacter.exec(text);
  if (control !== null)
    throw new SealwardError(
      "not-yaml",
      "A control character or an unusual line break stands in the file: write it as an escape in double quotes",
      placeIn(lines, control.index, file),
    );
  const sources: YamlSource[] = [];
  for (const [index, document] of documents.entries()) {
    const start = sources.at(-1)?.end ?? 0;
    const isLast = index === documents.length - 1;
    // A tag that is not known says nothing about the text; what it means is for the readers of the nodes.
    const [problem] = [...document.errors, ...document.warnings].filter(({ code }) => code !== "TAG_RESOLVE_FAILED");
    if (problem?.code === "RESOURCE_EXHAUSTION") throw tooDeep(file);
    if (problem !== undefined)
      throw notYaml(problem.code.toLowerCase().replaceAll("_", " "), placeIn(lines, problem.pos[0], file));
    const { contents, directives } = document;
    if (directives?.yaml.explicit === true && directives.yaml.version !== "1.1")
      throw notYaml("SOPS and kubectl read %YAML 1.1 only", placeIn(lines, Math.max(text.search(/^%YAML/m), 0), file));
    if (contents === null || (isScalar(contents) && isNothing(contents))) {
      sources.push(
        new YamlSource(text, { file, root: emptyMap(startOfContent(text, document.range)), lines, start, isLast }),
      );
      continue;
    }
    if (!isMap(contents)) {
      throw new SealwardError(
        "not-yaml",
        "A YAML document must be a map of keys to values",
        placeIn(lines, contents.range?.[0] ?? 0, file),
      );
    }
    const source = new YamlSource(text, {
      file,
      root: contents as YAMLMap,
      lines,
      start,
      isLast,
    });
    assertUnambiguous(source, document);
    sources.push(source);
  }
  return sources;
}

function isNothing({ source, tag, anchor }: Scalar): boolean {
  return source === "" && tag === undefined && anchor === undefined;
}

/** The root of a document that has none: nothing long, at the place where it would stand. */
function emptyMap(at: number): YAMLMap {
  const map = new YAMLMap();
  map.range = [at, at, at];
  return map;
}

/** Behind the document's marker. */
function startOfContent(text: string, [at]: Document.Parsed["range"]): number {
  if (!text.startsWith("---", at)) return at;
  const next = text.indexOf("\n", at);
  return next < 0 ? text.length : next + 1;
}

/** One linear pass for what YAML allows and we do not: keys that are not text or come twice, and nesting without end. */
function assertUnambiguous(source: YamlSource, document: Document.Parsed): void {
  visit(document, {
    Map(_, map, path) {
      assertShallow(source, map, path);
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key) || typeof key.value !== "string")
          throw source.refusal("not-yaml", "A key must be a plain or quoted text", map);
        if (seen.has(key.value))
          throw source.refusal("duplicate-key", `The key ${quoteName(key.value)} stands twice in one map`, key);
        seen.add(key.value);
      }
    },
    Seq(_, list, path) {
      assertShallow(source, list, path);
    },
    Scalar(_, scalar) {
      const foreign = foreignSpelling(source, scalar);
      if (foreign !== null)
        throw source.refusal("not-yaml", `SOPS and kubectl read ${foreign} in another way: write it otherwise`, scalar);
    },
  });
}

/** The pairs of a map with their keys as text. */
export function pairsOf(map: { readonly items: readonly unknown[] }): [string, Pair][] {
  return (map.items as readonly Pair[]).map((pair) => [isScalar(pair.key) ? String(pair.key.value) : "", pair]);
}

export function pairNamed(map: YAMLMap, name: string): Pair | undefined {
  return pairsOf(map).find(([key]) => key === name)?.[1];
}

/** What in the spelling of a scalar is not the same for Go's readers, or null. */
function foreignSpelling(source: YamlSource, { range, type }: Scalar): string | null {
  if (!range) return null;
  const written = source.text.slice(range[0], range[1]);
  if (type === "PLAIN")
    return markInside.test(written) ? "a line that begins with a dash or question mark in a text" : null;
  if (type === "QUOTE_SINGLE") return doubledEnd.test(written.slice(1)) ? "a quote that is not closed" : null;
  if (type === "QUOTE_DOUBLE") {
    if (escapedEnd.test(written)) return "a quote that is not closed";
    if (foreignEscape.test(written)) return "an escaped slash or half a character";
    return foreignFold.test(written) ? "an escaped line break before a blank line" : null;
  }
  if (tabIndent.test(written)) return "a tab at the beginning of a block text";
  if (!indentDigit.test(written)) return null;
  // The parser may leave the line of spaces out of the node.
  const tail = written.slice(written.trimEnd().length) + (/^[ \r\n]+/.exec(source.text.slice(range[1]))?.[0] ?? "\n");
  const lines = tail.slice(0, tail.lastIndexOf("\n")).split("\n").slice(1);
  return lines.some((line) => line.includes(" ")) ? "lines of spaces at the end of a block text" : null;
}

/** Maps and lists count; the pairs between them, which only maps have, do not. */
function assertShallow(source: YamlSource, node: Node, path: readonly unknown[]): void {
  if (path.length > maxDepth && path.filter(isCollection).length >= maxDepth)
    throw source.refusal("too-deep", `The file nests more than ${maxDepth} levels`, node);
}

export { type CommentToken, commentsOf } from "./yaml-lexemes.ts";
export { isAlias, isCollection, isMap, isNode, isPair, isScalar, isSeq };
