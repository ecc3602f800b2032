// Comments on lines of their own, as Go's YAML reader (v3) sorts them: those at the foot of what is before them, and those
// at the head of what comes. It knows where they stand, not what they belong to.

/** Offsets of comments; {@link blankLine} stands for a line without one. */
export type CommentLines = number[];
export const blankLine: number = -1;
/** Most nodes have no comments: one list for them all, never written to. */
export const none: CommentLines = [];

/** Comments that wait for the node they belong to. */
export interface Waiting {
  head: CommentLines;
  line: CommentLines;
  foot: CommentLines;
}

export interface Mark {
  readonly at: number;
  readonly line: number;
  readonly column: number;
}

/** Comments in a row, and the offset from which a token may take them. */
export interface Remark {
  readonly role: "head" | "line" | "foot";
  readonly lines: CommentLines;
  readonly from: number;
  readonly start: Mark;
  /** Where the look for comments began and ended; 0 for one that stands behind something on its line. */
  readonly scanned: number;
  readonly end: number;
}

/** The reader gives up looking for a comment behind this many blanks. */
const maxBlanks = 512;

/** Goes through the text, and knows the line and column (both from 0). */
export class Cursor {
  at: number;
  line: number;
  column = 0;
  /** Line breaks since the last character that is not blank. */
  breaks = 0;
  readonly #text: string;

  /** Only a text's beginning is on line 0: nothing can be at the foot of what is before it. */
  constructor(text: string, start: number) {
    this.#text = text;
    this.at = start;
    this.line = start === 0 ? 0 : 1;
  }

  get mark(): Mark {
    return { at: this.at, line: this.line, column: this.column };
  }

  advance(to: number): void {
    for (; this.at < to; this.at++) {
      const code = this.#text.charCodeAt(this.at);
      if (code === 0x0a) {
        this.line++;
        this.column = 0;
        this.breaks++;
      } else if (code !== 0x0d) {
        if (!isBlank(code)) this.breaks = 0;
        this.column++;
      }
    }
  }

  /** The reader takes the blanks and line breaks behind a plain or block text for a part of it until it knows better. */
  skipBlanks(): void {
    let to = this.at;
    while (isBlank(this.#text.charCodeAt(to)) || isBreak(this.#text.charCodeAt(to))) to++;
    this.advance(to);
  }
}

export interface RowContext {
  /** Where the first comment stands, and where the blanks before it begin. */
  readonly mark: Mark;
  readonly scanned: Mark;
  /** Line breaks between the content before and the first comment. */
  readonly breaks: number;
  readonly indent: number;
  readonly inFlow: boolean;
  /** The token before. */
  readonly before: { readonly at: number; readonly isColon: boolean };
}

export class CommentRows {
  readonly remarks: Remark[] = [];
  /** Where the last comment ends. */
  end: number;
  readonly #text: string;
  readonly #context: RowContext;
  /** The line that a comment must begin on to be a foot: below the content before it. */
  readonly #footLine: number;
  #lines: CommentLines = [];
  #start: Mark;
  #from: number;
  #scanned: number;
  /** The line of `end`; that of the character that is looked at may lag behind, as it does in the reader. */
  #endLine: number;
  #line: number;
  #column: number;
  #blankSeen = false;
  #beforeBlank: boolean;

  constructor(text: string, context: RowContext) {
    const { mark, scanned, breaks, before } = context;
    this.#text = text;
    this.#context = context;
    this.end = mark.at;
    this.#start = mark;
    this.#from = before.at;
    this.#scanned = scanned.at;
    this.#endLine = mark.line;
    this.#line = mark.line;
    this.#column = mark.column;
    this.#beforeBlank = breaks <= 1;
    this.#footLine = scanned.line > 0 ? mark.line - breaks + (breaks === 0 && mark.column > 1 ? 2 : 1) : -1;
  }

  read(): void {
    let ahead = 0;
    for (; ahead < maxBlanks; ahead++) {
      this.#column++;
      const at = this.end + ahead;
      const code = this.#text.charCodeAt(at);
      if (isBlank(code)) continue;
      const closes = this.#context.inFlow && (code === 0x5d || code === 0x7d);
      if (isBreak(code)) this.#lineBreak(at);
      else if (closes || at >= this.#text.length) {
        this.#lastLine(at, closes);
        break;
      } else if (this.#comment(at, code)) ahead = 0;
      else break;
    }
    if (this.#lines.length > 0) this.#add("head", this.end + ahead - 1);
  }

  #add(role: "head" | "foot", end: number): void {
    const from = role === "head" ? this.#start.at : this.#from;
    this.remarks.push({ role, lines: this.#lines, from, start: this.#start, scanned: this.#scanned, end });
    this.#scanned = end;
    this.#from = end;
    this.#lines = [];
  }

  #lineBreak(at: number): void {
    if (this.#lines.length > 0 && !this.#blankSeen && !this.#endAsFoot(at)) this.#lines.push(blankLine);
    this.#beforeBlank = false;
    this.#blankSeen = true;
    this.#column = 0;
    this.#line++;
  }

  #lastLine(at: number, closes: boolean): void {
    if (this.#lines.length === 0) return;
    if (closes) this.#foot(at);
    else if (!this.#blankSeen) this.#endAsFoot(at);
  }

  /** The comments before the first empty line. */
  #endAsFoot(at: number): boolean {
    const { before } = this.#context;
    const below = this.#start.line === this.#footLine && !before.isColon;
    if (!this.#beforeBlank || !(below || this.#isDedented)) return false;
    this.#foot(at);
    return true;
  }

  get #isDedented(): boolean {
    return this.#start.column - 1 < this.#context.indent;
  }

  #foot(at: number): void {
    // Unrelated to what is directly before.
    if (this.#isDedented) this.#from = this.#start.at;
    this.#add("foot", at);
  }

  #comment(at: number, code: number): boolean {
    const differs = this.#column - 1 < this.#context.indent && this.#column !== this.#start.column;
    if (this.#lines.length > 0 && differs) this.#add("foot", at);
    if (code !== 0x23) return false;
    if (this.#lines.length === 0) this.#start = { at, line: this.#line, column: this.#column };
    this.#blankSeen = false;
    this.#lines.push(at);
    for (let index = this.end; index < at; index++) if (this.#text.charCodeAt(index) === 0x0a) this.#endLine++;
    this.end = lineEnd(this.#text, at);
    // As the reader does: the break that ends the line is passed by, of two characters only the first.
    this.#line = this.#endLine;
    this.#column = 0;
    return true;
  }
}

export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

export function isBreak(code: number): boolean {
  return code === 0x0a || code === 0x0d;
}

/** Where the line of an offset ends. */
export function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  if (end === -1) return text.length;
  return text.charCodeAt(end - 1) === 0x0d && end > offset ? end - 1 : end;
}

/** The comment that only blanks divide from an offset, or null. */
export function commentBehind(text: string, offset: number): number | null {
  const last = offset + maxBlanks - 1;
  let at = offset;
  while (at < last && isBlank(text.charCodeAt(at))) at++;
  return text.charCodeAt(at) === 0x23 ? at : null;
}
