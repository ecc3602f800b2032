// How Go's YAML reader (v3) finds the comments between tokens and decides whether one stands at the head, on the line or
// at the foot of something: the same look ahead, so the same result where a comment could belong to two. It knows tokens
// and comments only, not what is nested in what.
import {
  CommentRows,
  Cursor,
  commentBehind,
  isBlank,
  isBreak,
  lineEnd,
  type Mark,
  none,
  type Remark,
  type Waiting,
} from "./yaml-comment-rows.ts";
import type { Lexeme, LexemeKind } from "./yaml-lexemes.ts";

export type TokenKind =
  | Exclude<LexemeKind, "?">
  | "key"
  | "map-start"
  | "list-start"
  | "block-end"
  | "stream-start"
  | "stream-end";

export interface Token {
  readonly kind: TokenKind;
  readonly at: number;
}

/** A text that may turn out to be a key. */
interface PossibleKey {
  readonly number: number;
  readonly mark: Mark;
}

/** The reader gives up looking for the colon of a key behind this many characters. */
const maxKey = 1024;

export class CommentScanner {
  waiting: Waiting = { head: none, line: none, foot: none };
  readonly #text: string;
  readonly #lexemes: readonly Lexeme[];
  #nextLexeme = 0;
  readonly #tokens: Token[] = [];
  #head = 0;
  readonly #remarks: Remark[] = [];
  #taken = 0;
  readonly #cursor: Cursor;
  #indent = -1;
  readonly #indents: number[] = [];
  readonly #keys: (PossibleKey | undefined)[] = [undefined];
  #keyAllowed = true;

  /** Begins at the start of the text, or at the mark that ended the document before. */
  constructor(text: string, lexemes: readonly Lexeme[], start: number) {
    this.#text = text;
    this.#lexemes = lexemes;
    this.#cursor = new Cursor(text, start);
    if (start === 0) this.#tokens.push({ kind: "stream-start", at: 0 });
  }

  /** The next token; comments that stand before it wait for a node from now on. */
  peek(): Token {
    while (!this.#hasToken()) this.#fetch();
    const token = this.#tokens[this.#head] ?? { kind: "stream-end", at: this.#text.length };
    let remark = this.#remarks[this.#taken];
    while (remark !== undefined && token.at >= remark.from) {
      if (remark.role === "head" && token.kind === "block-end") break;
      const lines = this.waiting[remark.role];
      if (lines === none) this.waiting[remark.role] = remark.lines;
      else for (const line of remark.lines) lines.push(line);
      remark = this.#remarks[++this.#taken];
    }
    return token;
  }

  skip(): void {
    this.#head++;
  }

  take(): Waiting {
    const taken = this.waiting;
    this.waiting = { head: none, line: none, foot: none };
    return taken;
  }

  #hasToken(): boolean {
    if (this.#head >= this.#tokens.length - 2) return false;
    // Whether a key begins with this token, its colon decides.
    for (const key of this.#keys) if (key?.number === this.#head && this.#mayBeKey(key)) return false;
    return true;
  }

  get #flow(): number {
    return this.#keys.length - 1;
  }

  #mayBeKey(key: PossibleKey | undefined): key is PossibleKey {
    return key !== undefined && key.mark.line === this.#cursor.line && key.mark.at + maxKey >= this.#cursor.at;
  }

  #push(kind: TokenKind, at: number): void {
    this.#tokens.push({ kind, at });
  }

  /** `number` is near the end. */
  #insert(token: Token, number: number): void {
    this.#tokens.push(token);
    this.#tokens.copyWithin(number + 1, number, this.#tokens.length - 1);
    this.#tokens[number] = token;
  }

  #fetch(): void {
    const scanned = this.#cursor.mark;
    this.#toNextToken(scanned);
    this.#unroll(this.#cursor.column, scanned);
    const lexeme = this.#lexemes[this.#nextLexeme++];
    if (lexeme === undefined) {
      if (this.#cursor.column !== 0) {
        this.#cursor.column = 0;
        this.#cursor.line++;
      }
      this.#endDocument("stream-end");
      return;
    }
    const { kind, start, end } = lexeme;
    this.#cursor.advance(start);
    if (kind === "---" || kind === "..." || kind === "%") {
      this.#endDocument(kind);
      this.#cursor.advance(end);
      // A comment behind a directive is not kept.
      if (kind === "%") this.#cursor.advance(this.#text.indexOf("\n", end) + 1);
      return;
    }
    const code = this.#text.charCodeAt(start);
    const before = this.#tokens.at(-1);
    const follows = this.#flow === 0 ? code === 0x3a : code === 0x2c;
    const owner = follows && before !== undefined ? before.at : this.#cursor.at;
    this.#fetchLexeme(lexeme);
    // A dash alone has no comment on its line: it stands at the head of what follows.
    if (this.#tokens.at(-1)?.kind !== "-") this.#lineComment(owner);
  }

  #endDocument(kind: TokenKind): void {
    this.#unroll(-1, this.#cursor.mark);
    this.#forgetKey();
    this.#keyAllowed = false;
    this.#push(kind, this.#cursor.at);
  }

  #fetchLexeme({ kind, start, end, comment }: Lexeme): void {
    switch (kind) {
      case "[":
      case "{":
        this.#rememberKey();
        this.#keys.push(undefined);
        this.#keyAllowed = true;
        break;
      case "]":
      case "}":
        this.#forgetKey();
        if (this.#flow > 0) this.#keys.pop();
        this.#keyAllowed = false;
        break;
      case ",":
        this.#forgetKey();
        this.#keyAllowed = true;
        break;
      case "-":
        this.#roll("list-start", this.#cursor.mark);
        this.#forgetKey();
        this.#keyAllowed = true;
        break;
      case "?":
        this.#roll("map-start", this.#cursor.mark);
        this.#forgetKey();
        this.#keyAllowed = this.#flow === 0;
        break;
      case ":":
        this.#value();
        break;
      case "block":
        this.#forgetKey();
        this.#keyAllowed = true;
        if (comment === undefined) break;
        this.#cursor.advance(comment);
        this.#lineComment(start);
        break;
      default:
        this.#rememberKey();
        this.#keyAllowed = false;
    }
    this.#push(kind === "?" ? "key" : kind, start);
    this.#cursor.advance(end);
    if (kind !== "plain" && kind !== "block") return;
    const { line } = this.#cursor;
    this.#cursor.skipBlanks();
    if (this.#cursor.line > line) this.#keyAllowed = true;
  }

  #value(): void {
    const key = this.#keys.at(-1);
    if (this.#mayBeKey(key)) {
      this.#insert({ kind: "key", at: key.mark.at }, key.number);
      this.#roll("map-start", key.mark, key.number);
      this.#forgetKey();
      this.#keyAllowed = false;
      return;
    }
    this.#roll("map-start", this.#cursor.mark);
    this.#keyAllowed = this.#flow === 0;
  }

  #rememberKey(): void {
    if (!this.#keyAllowed) return;
    this.#forgetKey();
    this.#keys[this.#flow] = { number: this.#tokens.length, mark: this.#cursor.mark };
  }

  #forgetKey(): void {
    this.#keys[this.#flow] = undefined;
  }

  #roll(kind: TokenKind, mark: Mark, number: number = this.#tokens.length): void {
    if (this.#flow > 0 || this.#indent >= mark.column) return;
    this.#indents.push(this.#indent);
    this.#indent = mark.column;
    this.#insert({ kind, at: mark.at }, number);
  }

  /** Ends the blocks that are indented more: before the comments that are indented as they are, else before the blanks. */
  #unroll(column: number, scanned: Mark): void {
    if (this.#flow > 0) return;
    let at = scanned.at - 1;
    while (this.#indent > column) {
      let stop = at;
      for (let index = this.#remarks.length - 1; index >= this.#taken; index--) {
        const remark = this.#remarks[index];
        if (remark === undefined || remark.end < stop) break;
        if (remark.start.column === this.#indent + 1) at = remark.start.at;
        stop = remark.scanned;
      }
      this.#push("block-end", at);
      this.#indent = this.#indents.pop() ?? -1;
    }
  }

  #toNextToken(scanned: Mark): void {
    for (;;) {
      while (isBlank(this.#text.charCodeAt(this.#cursor.at))) this.#cursor.advance(this.#cursor.at + 1);
      this.#headBehindDash();
      if (this.#text.charCodeAt(this.#cursor.at) === 0x23) this.#comments(scanned);
      const code = this.#text.charCodeAt(this.#cursor.at);
      if (!isBreak(code)) return;
      this.#cursor.advance(this.#cursor.at + (code === 0x0d ? 2 : 1));
      if (this.#flow === 0) this.#keyAllowed = true;
    }
  }

  /** A comment on the line of the first dash of a list, and on a line before it, stands at the head of what follows. */
  #headBehindDash(): void {
    const last = this.#remarks.length - 1;
    const remark = this.#remarks[last];
    if (remark?.role !== "line" || last < this.#taken || isBreak(this.#text.charCodeAt(this.#cursor.at))) return;
    if (this.#tokens.at(-1)?.kind !== "-" || this.#tokens.at(-2)?.kind !== "list-start") return;
    const from = remark.start.line === this.#cursor.line - 1 ? this.#cursor.at : remark.from;
    this.#remarks[last] = { ...remark, role: "head", from };
  }

  #lineComment(owner: number): void {
    if (this.#cursor.breaks > 0) return;
    const to = commentBehind(this.#text, this.#cursor.at);
    if (to === null) return;
    this.#cursor.advance(to);
    const start = this.#cursor.mark;
    this.#cursor.advance(lineEnd(this.#text, to));
    this.#remarks.push({ role: "line", lines: [start.at], from: owner, start, scanned: 0, end: 0 });
  }

  /** Comments on lines of their own. */
  #comments(scanned: Mark): void {
    const last = this.#tokens.at(-1);
    const before = last?.kind === "," && this.#tokens.length > 1 ? this.#tokens.at(-2) : last;
    const rows = new CommentRows(this.#text, {
      mark: this.#cursor.mark,
      scanned,
      breaks: this.#cursor.breaks,
      indent: Math.max(this.#indent, 0),
      inFlow: this.#flow > 0,
      before: { at: before?.at ?? 0, isColon: before?.kind === ":" },
    });
    rows.read();
    for (const remark of rows.remarks) this.#remarks.push(remark);
    this.#cursor.advance(rows.end);
  }
}
