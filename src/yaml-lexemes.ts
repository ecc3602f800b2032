// The marks and texts of one YAML document in the order of the file, from the tokens that its nodes keep, and the comments
// between them. Knows nothing of what a comment belongs to.
import { CST, Lexer } from "yaml";
import type { YamlSource } from "./yaml-source.ts";

/** A comment as it stands in the text: `offset` is that of its `#`. */
export interface CommentToken {
  readonly offset: number;
  readonly text: string;
}

/** Every comment of the text, in order. From the lexer: the parser loses one between a key without a value and `---`. */
export function commentsOf(text: string): CommentToken[] {
  const found: CommentToken[] = [];
  if (!text.includes("#")) return found;
  let offset = 0;
  let isText = false;
  for (const lexeme of new Lexer().lex(text)) {
    if (!isText && (lexeme === CST.DOCUMENT || lexeme === CST.FLOW_END)) continue;
    if (!isText && lexeme === CST.SCALAR) {
      isText = true;
      continue;
    }
    if (!isText && lexeme.startsWith("#")) found.push({ offset, text: lexeme.slice(1) });
    isText = false;
    offset += lexeme.length;
  }
  return found;
}

export type LexemeKind =
  | "anchor"
  | "tag"
  | "alias"
  | "plain"
  | "quoted"
  | "block"
  | "---"
  | "..."
  | "%"
  | "-"
  | "?"
  | ":"
  | ","
  | "["
  | "]"
  | "{"
  | "}"
  /** Where the look ahead ends: something of the next document. */
  | "beyond";

export interface Lexeme {
  readonly kind: LexemeKind;
  readonly start: number;
  readonly end: number;
  /** The `#` behind the header of a block text. */
  readonly comment?: number;
}

export interface Lexemes {
  /** From the document's first mark to the mark that ends it, and `beyond` where the text goes on. */
  readonly lexemes: readonly Lexeme[];
  /** Every comment from the document's first mark to where the next document with content begins. */
  readonly comments: readonly CommentToken[];
}

/** What stands around a document's root: blanks, comments, and what is marked by its first characters. */
const outside =
  /[ \t\r\n]+|(?<comment>#[^\r\n]*)|(?<marker>(?:---|\.\.\.)(?=[ \t\r\n]|$))|(?<directive>%(?:[^#\r\n]|(?<![ \t])#)*)|(?<anchor>&[^ \t\r\n]+)|(?<tag>![^ \t\r\n]*)|(?<quoted>""|'')/y;
const propertyKinds = ["anchor", "tag", "quoted"] as const;
const commentLine = /#[^\r\n]*/g;

/** The lexemes and comments of a document. */
export function lexemesOf(source: YamlSource): Lexemes {
  const { text, root, start, end } = source;
  const lexemes: Lexeme[] = [];
  const token = root.srcToken;
  if (token === undefined) return { lexemes, comments: [] };
  const inner: Lexeme[] = [];
  collect(token, inner);
  const first = inner[0]?.start ?? token.offset;
  addOutside(text, { from: start, to: first, lexemes });
  for (const lexeme of inner) lexemes.push(lexeme);
  const last = lexemes.at(-1)?.end ?? first;
  const behind: Lexeme[] = [];
  const reached = addOutside(text, { from: last, to: text.length, lexemes: behind, markers: 1 });
  for (const lexeme of behind) lexemes.push(lexeme);
  const comments: CommentToken[] = [];
  let at = start;
  for (const lexeme of lexemes) {
    addComments(text, { from: at, to: lexeme.start, comments });
    if (lexeme.comment !== undefined) addComments(text, { from: lexeme.comment, to: lexeme.comment + 1, comments });
    at = lexeme.end;
  }
  addComments(text, { from: at, to: reached, comments });
  if (end > reached) addBeyond(text, { from: reached, to: end, comments });
  if (reached < text.length) lexemes.push({ kind: "beyond", start: reached, end: reached });
  return { lexemes, comments };
}

/** Lexemes of a stretch that no root covers; gives where it ended: at `to`, or with what follows the allowed markers. */
function addOutside(
  text: string,
  stretch: { readonly from: number; readonly to: number; readonly lexemes: Lexeme[]; readonly markers?: number },
): number {
  const { from, to, lexemes, markers = Number.POSITIVE_INFINITY } = stretch;
  let at = from;
  let seen = 0;
  while (at < to) {
    outside.lastIndex = at;
    const { 0: written = "", groups = {} } = outside.exec(text) ?? {};
    const kind = kindOutside(groups);
    if (written === "" || (kind !== null && seen === markers)) return at;
    const end = at + written.length;
    if (kind !== null) lexemes.push({ kind, start: at, end });
    if (groups["marker"] !== undefined) seen++;
    at = end;
  }
  return to;
}

function kindOutside(groups: Readonly<Record<string, string | undefined>>): LexemeKind | null {
  if (groups["marker"] !== undefined) return groups["marker"] === "---" ? "---" : "...";
  if (groups["directive"] !== undefined) return "%";
  return propertyKinds.find((kind) => groups[kind] !== undefined) ?? null;
}

/** Between two lexemes stand only blanks and comments. */
function addComments(
  text: string,
  stretch: { readonly from: number; readonly to: number; readonly comments: CommentToken[] },
): void {
  const { from, to, comments } = stretch;
  let at = text.indexOf("#", from);
  while (at !== -1 && at < to) {
    commentLine.lastIndex = at;
    const comment = commentLine.exec(text)?.[0] ?? "#";
    comments.push({ offset: at, text: comment.slice(1) });
    at = text.indexOf("#", at + comment.length);
  }
}

/** Documents without content: a number sign begins a comment where a blank or a line break stands before it. */
function addBeyond(
  text: string,
  stretch: { readonly from: number; readonly to: number; readonly comments: CommentToken[] },
): void {
  const { from, to, comments } = stretch;
  for (const match of text.slice(from, to).matchAll(/(?<=^|[ \t\r\n])#([^\r\n]*)/g))
    comments.push({ offset: from + match.index, text: match[1] ?? "" });
}

const marks: Readonly<Record<string, LexemeKind>> = {
  anchor: "anchor",
  tag: "tag",
  "seq-item-ind": "-",
  "explicit-key-ind": "?",
  "map-value-ind": ":",
  comma: ",",
  "flow-seq-start": "[",
  "flow-seq-end": "]",
  "flow-map-start": "{",
  "flow-map-end": "}",
};
const texts: Readonly<Record<string, LexemeKind>> = {
  alias: "alias",
  scalar: "plain",
  "single-quoted-scalar": "quoted",
  "double-quoted-scalar": "quoted",
};

function collect(token: CST.Token, lexemes: Lexeme[]): void {
  switch (token.type) {
    case "block-map":
    case "block-seq":
      for (const item of token.items) collectItem(item, lexemes);
      return;
    case "flow-collection":
      collect(token.start, lexemes);
      for (const item of token.items) collectItem(item, lexemes);
      for (const part of token.end) collect(part, lexemes);
      return;
    case "block-scalar": {
      const header = token.props.find(({ type }) => type === "block-scalar-header");
      const comment = token.props.find(({ type }) => type === "comment");
      for (const part of token.props) collect(part, lexemes);
      lexemes.push({
        kind: "block",
        start: header?.offset ?? token.offset,
        end: blockEnd(token),
        ...(comment === undefined ? {} : { comment: comment.offset }),
      });
      return;
    }
    default: {
      const kind = marks[token.type] ?? texts[token.type];
      if (kind === undefined || !("source" in token)) return;
      if (token.source !== "") lexemes.push({ kind, start: token.offset, end: token.offset + token.source.length });
      if ("end" in token) for (const part of token.end ?? []) collect(part, lexemes);
    }
  }
}

function collectItem(item: CST.CollectionItem, lexemes: Lexeme[]): void {
  for (const part of item.start) collect(part, lexemes);
  if (item.key) collect(item.key, lexemes);
  for (const part of item.sep ?? []) collect(part, lexemes);
  if (item.value) collect(item.value, lexemes);
}

/** The token's own offset is that of its header; its text begins behind the last of what stands before. */
function blockEnd(token: CST.BlockScalar): number {
  const last = token.props.at(-1);
  const from = last !== undefined && "source" in last ? last.offset + last.source.length : token.offset;
  return from + token.source.length;
}
