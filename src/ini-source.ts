// Reads INI as go-ini does with SOPS' options, keeping offsets. What go-ini reads in a way that another reader might not
// (continued lines, comments behind values, keys without values) is refused. Knows nothing of the `[sops]` section.
import { SealwardError } from "./errors.ts";
import type { CommentItem, Leaf, Pair } from "./store.ts";
import { placeIn } from "./text-source.ts";

/** The section of keys that stand before any header. */
export const defaultSection = "DEFAULT";

export interface IniComment extends CommentItem {
  /** Of what the text stands for. */
  readonly start: number;
  readonly end: number;
}

export interface IniKey extends Pair {
  readonly value: Leaf & { readonly end: number; readonly quote: string };
  /** Where the line begins. */
  readonly start: number;
  /** Before and behind the line break. */
  readonly end: number;
  readonly next: number;
}

export interface IniSection {
  readonly name: string;
  readonly isImplicit: boolean;
  /** Where the header's line begins, and the comment above it if there is one. */
  readonly start: number;
  readonly top: number;
  /** Behind the header's line. */
  readonly next: number;
  readonly items: (IniKey | IniComment)[];
}

/** What Go's unicode.IsSpace takes for white space. */
const space = "\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const leading = new RegExp(`^[${space}]+`);
const isSpace = new RegExp(`[${space}]`);

/** Another reader may take it for a line break. */
export const loneReturn: RegExp = /\r(?!\n)/;

export function trimmed(text: string): string {
  return trimEnd(text.replace(leading, ""));
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace.test(text[end - 1] ?? "")) end--;
  return text.slice(0, end);
}

/** The sections in order, the implicit one first. @throws not-ini, duplicate-key */
export function parseIni(text: string, file: string | undefined): IniSection[] {
  return new Reader(text, file).file();
}

class Reader {
  readonly #text: string;
  readonly #file: string | undefined;
  readonly #sections: IniSection[] = [];
  readonly #names = new Set<string>();
  #keys = new Set<string>();
  #comment: { readonly start: number; end: number } | null = null;

  constructor(text: string, file: string | undefined) {
    this.#text = text;
    this.#file = file;
  }

  file(): IniSection[] {
    this.#sections.push({ name: defaultSection, isImplicit: true, start: 0, top: 0, next: 0, items: [] });
    const bareReturn = this.#text.search(loneReturn);
    if (bareReturn >= 0)
      throw this.#notIni("A carriage return without a line feed ends a line for some readers", bareReturn);
    for (let at = 0; at < this.#text.length; ) at = this.#line(at);
    const trailing = this.#takeComment();
    // SOPS drops what no key follows; here it is encrypted with the rest.
    if (trailing !== null) this.#sections.at(-1)?.items.push(trailing);
    const explicit = this.#sections.some(({ name, isImplicit }) => name === defaultSection && !isImplicit);
    return explicit ? this.#sections.slice(1) : this.#sections;
  }

  #line(start: number): number {
    const end = lineEnd(this.#text, start);
    const next = Math.min(end + 1, this.#text.length);
    const line = this.#text.slice(start, end);
    const content = line.replace(leading, "");
    const at = end - content.length;
    if (content === "") return next;
    if (content[0] === "#" || content[0] === ";") {
      const commentEnd = at + trimEnd(content).length;
      if (this.#comment === null) this.#comment = { start: at, end: commentEnd };
      else this.#comment.end = commentEnd;
      return next;
    }
    if (content[0] === "[") {
      this.#header(content, { start, at, next });
      return next;
    }
    return this.#key(content, { start, at });
  }

  #header(
    content: string,
    { start, at, next }: { readonly start: number; readonly at: number; readonly next: number },
  ): void {
    const close = content.lastIndexOf("]");
    if (close < 0) throw this.#notIni("A section's name is not closed by ]", at);
    const name = content.slice(1, close);
    if (name === "") throw this.#notIni("A section has no name", at);
    if (name.includes("]")) throw this.#notIni("A section's name contains ], or something with a ] follows it", at);
    if (trimmed(content.slice(close + 1)) !== "")
      throw this.#notIni("Something follows the name of a section on its line", at);
    const [implicit] = this.#sections;
    const isTaken = name === defaultSection && (implicit?.items.length ?? 0) > 0;
    if (this.#names.has(name) || isTaken)
      throw new SealwardError("duplicate-key", "A section appears twice in the file", this.#placeOf(at));
    this.#names.add(name);
    this.#keys = new Set();
    const comment = this.#takeComment();
    const items = comment === null ? [] : [comment];
    const top = comment === null ? start : this.#text.lastIndexOf("\n", comment.offset - 1) + 1;
    this.#sections.push({ name, isImplicit: false, start, top, next, items });
  }

  #key(content: string, { start, at }: { readonly start: number; readonly at: number }): number {
    const { key, length } = this.#keyName(content, at);
    if (key === "-") throw this.#notIni("The key - stands for a number in some readers", at);
    if (this.#keys.has(key))
      throw new SealwardError("duplicate-key", "A key appears twice in a section", this.#placeOf(at));
    this.#keys.add(key);
    const scanned = scanValue(this.#text, at + length);
    if (typeof scanned === "string") throw this.#notIni(scanned, at);
    const { value, offset, end, quote } = scanned;
    const lineStop = lineEnd(this.#text, end);
    const next = Math.min(lineStop + 1, this.#text.length);
    const stop = this.#text[lineStop - 1] === "\r" && lineStop < this.#text.length ? lineStop - 1 : lineStop;
    const leaf = { kind: "leaf", type: "str", bytes: Buffer.from(value), offset, end, quote } as const;
    const items = this.#sections.at(-1)?.items;
    items?.push({ kind: "pair", key, value: leaf, offset: at, start, end: Math.max(stop, end), next });
    const comment = this.#takeComment();
    if (comment !== null) items?.push(comment);
    return next;
  }

  #keyName(content: string, at: number): { readonly key: string; readonly length: number } {
    if (content[0] === '"') throw this.#notIni("A key in double quotes is read differently by others", at);
    if (content[0] === "`") {
      const close = content.indexOf("`", 1);
      const match = close < 0 ? null : /^[ \t]*[=:]/.exec(content.slice(close + 1));
      const key = content.slice(1, close);
      if (match === null || key === "" || trimmed(key) !== key)
        throw this.#notIni("A key in backquotes is not closed, or not followed by = or :", at);
      return { key, length: close + 1 + match[0].length };
    }
    const delimiter = content.search(/[=:]/);
    if (delimiter < 0) throw this.#notIni("A line is neither a section, nor a comment, nor a key with a value", at);
    if (delimiter === 0) throw this.#notIni("A value has no key", at);
    return { key: trimEnd(content.slice(0, delimiter)), length: delimiter + 1 };
  }

  #takeComment(): IniComment | null {
    if (this.#comment === null) return null;
    const { start, end } = this.#comment;
    this.#comment = null;
    const raw = this.#text.slice(start, end);
    const mark = /^(?:;[; ]*|#[# ]*)/.exec(raw)?.[0] ?? "";
    const text = withoutBlankLines(raw.slice(mark.length));
    return { kind: "comment", text, offset: start, start: start + mark.length, end };
  }

  #placeOf(offset: number): ReturnType<typeof placeIn> {
    return placeIn(this.#text, offset, this.#file);
  }

  #notIni(message: string, offset: number): SealwardError {
    return new SealwardError("not-ini", message, this.#placeOf(offset));
  }
}

/**
 * SOPS takes the comment lines above a key for one comment, and fails on a blank line in it: tabs stand for what a blank
 * line holds, and one more.
 */
function withoutBlankLines(text: string): string {
  return text.replace(/(?<=\n)(\t*)(?=\n)/g, "$1\t");
}

export function withBlankLines(text: string): string {
  return text.replace(/(?<=\n)(\t*)\t(?=\n)/g, "$1");
}

export interface IniValue {
  readonly value: string;
  readonly offset: number;
  /** Behind the value, its quotes included. */
  readonly end: number;
  readonly quote: string;
}

/** The value behind a delimiter; a text says why it is refused. */
export function scanValue(text: string, from: number): IniValue | string {
  const stop = lineEnd(text, from);
  const rest = text.slice(from, stop);
  const bare = trimmed(rest);
  if (bare === "") {
    const offset = from + (/^[ \t]*/.exec(rest)?.[0].length ?? 0);
    return { value: "", offset, end: offset, quote: "" };
  }
  const offset = from + rest.length - rest.replace(leading, "").length;
  const quote = bare.startsWith('"""') ? '"""' : bare.startsWith("`") ? "`" : "";
  if (quote !== "") return quotedValue(text, { offset, quote });
  if (bare.endsWith("\\")) return "A line that ends with a backslash goes on in the next one for some readers";
  if (/[#;]/.test(bare)) return "A value with # or ; ends there for some readers; put it in backquotes";
  const end = offset + bare.length;
  for (const mark of ["'", '"'])
    if (bare.length >= 2 && bare.startsWith(mark) && bare.indexOf(mark, 1) === bare.length - 1)
      return { value: bare.slice(1, -1), offset, end, quote: mark };
  return { value: bare, offset, end, quote: "" };
}

/** Ends at the next quote of its kind, which must be the only one on its line, several lines later if need be. */
function quotedValue(
  text: string,
  { offset, quote }: { readonly offset: number; readonly quote: string },
): IniValue | string {
  const start = offset + quote.length;
  const close = text.indexOf(quote, start);
  if (close < 0) return "A quoted value is not closed";
  const end = close + quote.length;
  if (trimmed(text.slice(end, lineEnd(text, end))) !== "") return "Something follows a quoted value on its line";
  return { value: text.slice(start, close), offset, end, quote };
}

export function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end;
}
