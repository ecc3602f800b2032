// Reads YAML text into nodes that know their offsets, and refuses what would be read in two ways. Scalars stay text here
// (src/go-scalar.ts types them). Parser messages quote the file, so only their codes are passed on.
import {
  Composer,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type Scalar,
  visit,
  type YAMLMap,
} from "yaml";
import { type ErrorCode, type Place, quoteName, SealwardError } from "./errors.ts";

/** A sealed file must fit into one object of the API server (1.5 MiB with everything around it). */
export const maxDocumentBytes: number = 1024 * 1024;
/** Any other SOPS file; the limit Flux has. */
export const maxSopsFileBytes: number = 5 * 1024 * 1024;
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
/** Block text that it refuses: a tab before the first character. */
const tabIndent = /^[^\n]*\n(?: *\r?\n)* *\t/;
/** And that it reads in its own way where the last lines are spaces: with a digit for the indentation. */
const indentDigit = /^[|>][+-]?[1-9]/;

/** One parsed document and where its parts stand. */
export class YamlSource {
  readonly text: string;
  readonly file: string | undefined;
  readonly root: YAMLMap;
  readonly #lines: LineCounter;

  constructor(text: string, file: string | undefined, root: YAMLMap, lines: LineCounter) {
    this.text = text;
    this.file = file;
    this.root = root;
    this.#lines = lines;
  }

  /** Line and column (both from 1) of an offset. */
  placeOf(offset: number): Place {
    return placeOf(this.#lines, offset, this.file);
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
    return this.text.includes("\r\n") ? "\r\n" : "\n";
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

/** Parses every document of a stream; documents without content are left out. Same refusals as {@link parseYaml}, but for the number. */
export function parseYamlStream(
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
  assertParsable(text, file);
  const lines = new LineCounter();
  const documents = parse(text, lines, file);
  const control = controlCharacter.exec(text);
  if (control !== null)
    throw new SealwardError(
      "not-yaml",
      "A control character or an unusual line break stands in the file: write it as an escape in double quotes",
      placeOf(lines, control.index, file),
    );
  const sources: YamlSource[] = [];
  for (const document of documents) {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem?.code === "RESOURCE_EXHAUSTION") throw tooDeep(file);
    if (problem !== undefined)
      throw notYaml(problem.code.toLowerCase().replaceAll("_", " "), placeOf(lines, problem.pos[0], file));
    const { contents } = document;
    if (contents === null || (isScalar(contents) && contents.source === "")) continue;
    if (!isMap(contents)) {
      throw new SealwardError(
        "not-yaml",
        "A YAML document must be a map of keys to values",
        placeOf(lines, contents.range?.[0] ?? 0, file),
      );
    }
    const source = new YamlSource(text, file, contents, lines);
    assertUnambiguous(source, document);
    sources.push(source);
  }
  return sources;
}

/** Brackets that this many others enclose, or list and key marks in one row, are no manifest. */
const maxOpenBrackets = 1000;
const markRow = /^ *(?:[-?][ \t]+){200}/m;

/**
 * A look at the raw text before the parser recurses into it: what nests without end would cost seconds, and where the
 * recursion ends depends on the caller's stack, so that one text would be refused for two reasons.
 */
function assertParsable(text: string, file: string | undefined): void {
  let open = 0;
  for (let index = 0; index < text.length && open <= maxOpenBrackets; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x5b || code === 0x7b) open++;
    else if ((code === 0x5d || code === 0x7d) && open > 0) open--;
  }
  if (open > maxOpenBrackets || markRow.test(text)) throw tooDeep(file);
}

function tooDeep(file: string | undefined): SealwardError {
  return new SealwardError("too-deep", "The file nests too deeply to be read", { file });
}

/** The documents up to the first that has a fault: what comes after it is not worth the time of a hostile file. */
function parse(text: string, lines: LineCounter, file: string | undefined): Document.Parsed[] {
  const parser = new Parser(lines.addNewLine);
  // uniqueKeys is quadratic in yaml 2.9 and checked below instead; the failsafe schema leaves typing to us.
  const composer = new Composer({
    schema: "failsafe",
    uniqueKeys: false,
    prettyErrors: false,
    keepSourceTokens: true,
    lineCounter: lines,
  });
  const documents: Document.Parsed[] = [];
  // The composer makes an Error for each fault, up to one a byte; their stack traces would cost five times the parsing.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const tokens = [];
    for (const token of parser.parse(text)) {
      if (token.type === "error") throw notYaml("unexpected token", placeOf(lines, token.offset, file));
      tokens.push(token);
    }
    for (const document of composer.compose(tokens, false, text.length)) {
      documents.push(document);
      if (document.errors.length > 0) break;
    }
    return documents;
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(file);
    throw error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function notYaml(what: string, place: Place): SealwardError {
  return new SealwardError("not-yaml", `Cannot read the file as YAML: ${what}`, place);
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
  if (!range || type === "PLAIN") return null;
  const written = source.text.slice(range[0], range[1]);
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

function placeOf(lines: LineCounter, offset: number, file: string | undefined): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** A comment as it stands in the text: `offset` is that of its `#`. */
export interface CommentToken {
  readonly offset: number;
  readonly text: string;
}

/** Every comment of the text, in order. The node tree keeps comments without their places; the token tree has them. */
export function commentsOf(text: string): CommentToken[] {
  if (!text.includes("#")) return [];
  const found: CommentToken[] = [];
  const pending: unknown[] = [...new Parser().parse(text)];
  while (pending.length > 0) {
    const token = pending.pop();
    // One by one: spread over arguments, a list of 100,000 comments overflows the stack.
    if (Array.isArray(token)) for (const part of token) pending.push(part);
    else if (isComment(token)) found.push({ offset: token.offset, text: token.source.slice(1) });
    else if (typeof token === "object" && token !== null)
      pending.push(...Object.values(token).filter((part) => typeof part === "object"));
  }
  return found.sort((a, b) => a.offset - b.offset);
}

function isComment(
  token: unknown,
): token is { readonly type: "comment"; readonly offset: number; readonly source: string } {
  return typeof token === "object" && token !== null && "type" in token && token.type === "comment";
}

export { isAlias, isMap, isScalar, isSeq };
