// Runs the YAML parser within bounds: a text may ask for more time or depth than any file is worth. Parser messages quote the
// file, so only their codes are passed on. Says nothing about what the documents mean.
import { Composer, type CST, type Document, Lexer, LineCounter, Parser } from "yaml";
import { type Place, SealwardError } from "./errors.ts";

/** Brackets that this many others enclose, or list and key marks in one row, are no manifest. */
const maxOpenBrackets = 1000;
const markRow = /^ *(?:[-?][ \t]+){200}/m;
/** Lines that begin or end a document, or stand before one: the parser's time grows with the square of their number. */
const maxMarks = 1000;
const markLine = /^(?:---|\.\.\.|%)/gm;

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
  let marks = 0;
  for (const { index } of text.matchAll(markLine))
    if (++marks > maxMarks)
      throw tooLarge(
        `The file has more than ${maxMarks} lines with ---, ... or %`,
        placeIn(linesOf(text), index, file),
      );
}

function tooLarge(what: string, place: Place): SealwardError {
  return new SealwardError("too-large", what, place);
}

export function tooDeep(file: string | undefined): SealwardError {
  return new SealwardError("too-deep", "The file nests too deeply to be read", { file });
}

/** The documents up to the first that has a fault: what comes after it is not worth the time of a hostile file. */
export function parseDocuments(
  text: string,
  {
    lines,
    file,
    maxPieces,
  }: { readonly lines: LineCounter; readonly file: string | undefined; readonly maxPieces: number },
): Document.Parsed[] {
  // uniqueKeys is quadratic in yaml 2.9 and checked below instead; the failsafe schema leaves typing to us.
  const composer = new Composer({
    schema: "failsafe",
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
    keepSourceTokens: true,
    lineCounter: lines,
  });
  assertParsable(text, file);
  const documents: Document.Parsed[] = [];
  // The composer makes an Error for each fault, up to one a byte; their stack traces would cost five times the parsing.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const tokens = tokensOf(text, { lines, file, maxPieces });
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

/** What the parser's own `parse` gives. @throws too-large after this many pieces; not-yaml */
function tokensOf(text: string, { lines, file, maxPieces }: Parameters<typeof parseDocuments>[1]): CST.Token[] {
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  const take = (produced: Iterable<CST.Token>) => {
    for (const token of produced) {
      if (token.type === "error") throw notYaml("unexpected token", placeIn(lines, token.offset, file));
      tokens.push(token);
    }
  };
  lines.addNewLine(0);
  let left = maxPieces;
  for (const lexeme of new Lexer().lex(text)) {
    if (--left < 0)
      throw tooLarge(
        `The file has more than ${maxPieces} keys, values, signs and line breaks`,
        placeIn(lines, lines.lineStarts.at(-1) ?? 0, file),
      );
    take(parser.next(lexeme));
  }
  take(parser.end());
  return tokens;
}

export function notYaml(what: string, place: Place): SealwardError {
  return new SealwardError("not-yaml", `Cannot read the file as YAML: ${what}`, place);
}

export function placeIn(lines: LineCounter, offset: number, file: string | undefined): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** The lines as the parser counts them. */
export function linesOf(text: string): LineCounter {
  const lines = new LineCounter();
  for (let start = 0; start >= 0; ) {
    lines.addNewLine(start);
    const end = text.indexOf("\n", start);
    start = end < 0 ? -1 : end + 1;
  }
  return lines;
}
