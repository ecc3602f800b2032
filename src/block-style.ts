// Reads the plain block style that tools write (maps, lists, scalars of one line, literal blocks, comments in lines of
// their own, in ASCII) several times faster than the parser, into the same nodes. Whatever is not plainly that it leaves
// to the parser: it refuses nothing and decides no doubtful case, so what it gives is what the parser would have given
// (test/src/block-style.test.ts).
import { type Node, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import type { AttachedComment } from "./yaml-comments.ts";

const foreign = /[^\n -~]/;
/** Keys that need no quotes for any reader; a longer one is nobody's. */
const keyPattern = /([A-Za-z_][A-Za-z0-9_./-]{0,252}):(?= |\n)/y;
/** No `#`, and a colon only inside a word. */
const plainPattern = /[A-Za-z0-9_/.+$^(~=;<](?: *(?:[!"$-9;-~]|:(?=[!-~])))*(?=\n|$)/y;
/** Of escapes only those of quote and backslash: a binding in the clear has them. */
const doublePattern = /"(?:[ !#-[\]-~]|\\["\\])*"(?=\n|$)/y;
const singlePattern = /'[ -&(-~]*'(?=\n|$)/y;
const literalPattern = /\|-?(?=\n)/y;
/** A list of names in brackets, as seal.yaml has it. */
const bracketsPattern =
  /\[(?:[A-Za-z0-9_/.+][A-Za-z0-9_/.+-]*|"[ !#-[\]-~]*")(?:, (?:[A-Za-z0-9_/.+][A-Za-z0-9_/.+-]*|"[ !#-[\]-~]*"))*\](?=\n|$)/y;
const bracketsItem = /"[^"]*"|[^"[\], ]+/g;
/** Deeper than manifests are, and so low that the recursion is of no concern. */
const maxDepth = 20;

/** A document and its comments, each with the map or list that it stands in (yaml-comments.ts) and the index it comes before. */
export interface BlockStyle {
  readonly root: YAMLMap;
  readonly comments: readonly AttachedComment[];
}

/** The text's one document; null where the parser must look. */
export function readBlockStyle(text: string): BlockStyle | null {
  if (foreign.test(text)) return null;
  const reader = new Reader(text);
  const root = reader.root();
  return root !== null && reader.isAtEnd() ? { root, comments: reader.comments } : null;
}

/** Reads from `at` on, which is the start of a line between two nodes. Every method gives null for what it does not know. */
class Reader {
  readonly comments: AttachedComment[] = [];
  /** Where comments stand that belong before what comes next. */
  readonly #pending: number[] = [];
  readonly #text: string;
  #at = 0;
  /** Where the line of the last scalar ended. */
  #end = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  root(): YAMLMap | null {
    const root = this.#skipGap() ? this.#map(this.#at, 0, 0) : null;
    if (root !== null) this.#attach(root);
    return root;
  }

  /** Comments stand as far in as what follows them, so that they are in the same map or list. */
  #attach(container: YAMLMap | YAMLSeq): void {
    for (const offset of this.#pending.splice(0)) {
      const end = this.#text.indexOf("\n", offset);
      const text = this.#text.slice(offset + 1, end < 0 ? undefined : end);
      this.comments.push({ offset, text, container, before: container.items.length });
    }
  }

  /** A map whose first key stands at `start`, and the others behind `indent` spaces. */
  #map(start: number, indent: number, depth: number): YAMLMap | null {
    if (depth > maxDepth) return null;
    const map = new YAMLMap<Node, Node>();
    const seen = new Set<string>();
    this.#at = start;
    for (;;) {
      this.#attach(map);
      const key = this.#key();
      if (key === null || seen.has(key.value)) return null;
      seen.add(key.value);
      const value = this.#value(indent, depth);
      if (value === null) return null;
      map.items.push(new Pair<Node, Node>(key, value));
      if (!this.#skipGap()) return null;
      const next = this.#indentation();
      if (next > indent) return null;
      if (next < indent || this.isAtEnd()) return this.#ranged(map, start);
      this.#at += indent;
    }
  }

  /** A list whose dashes stand behind `indent` spaces, the first of them at `start`. */
  #list(start: number, indent: number, depth: number): YAMLSeq | null {
    if (depth > maxDepth) return null;
    const list = new YAMLSeq<Node>();
    this.#at = start;
    for (;;) {
      this.#attach(list);
      if (!this.#text.startsWith("- ", this.#at)) return null;
      this.#at += 2;
      keyPattern.lastIndex = this.#at;
      const item = keyPattern.test(this.#text) ? this.#map(this.#at, indent + 2, depth + 1) : this.#line();
      if (item === null) return null;
      list.items.push(item);
      if (!this.#skipGap()) return null;
      const next = this.#indentation();
      if (next > indent) return null;
      if (next < indent) return this.#ranged(list, start);
      // A comment behind a list that stands no further in than its key may be the list's or what follows.
      if (this.#text[this.#at + indent] !== "-") return this.#pending.length > 0 ? null : this.#ranged(list, start);
      this.#at += indent;
    }
  }

  #key(): Scalar<string> | null {
    const start = this.#at;
    keyPattern.lastIndex = start;
    const name = keyPattern.exec(this.#text)?.[1];
    if (name === undefined) return null;
    const end = start + name.length;
    this.#at = end + 1;
    return scalarOf(name, "PLAIN", [start, end, end]);
  }

  /** What follows a key's colon. */
  #value(indent: number, depth: number): Node | null {
    while (this.#text[this.#at] === " ") this.#at++;
    const first = this.#text[this.#at];
    if (first === "|") return this.#literal(indent);
    if (first === "[") return this.#brackets();
    if (first !== "\n") return this.#line();
    this.#at++;
    if (!this.#skipGap()) return null;
    const inner = this.#indentation();
    const start = this.#at + inner;
    if (this.#text[start] === "-") return inner < indent ? null : this.#list(start, inner, depth + 1);
    return inner > indent ? this.#map(start, inner, depth + 1) : null;
  }

  /** A scalar that ends with its line. */
  #line(): Scalar<string> | null {
    const first = this.#text[this.#at];
    const type = first === '"' ? "QUOTE_DOUBLE" : first === "'" ? "QUOTE_SINGLE" : "PLAIN";
    const pattern = first === '"' ? doublePattern : first === "'" ? singlePattern : plainPattern;
    const start = this.#at;
    pattern.lastIndex = start;
    if (!pattern.test(this.#text)) return null;
    const end = pattern.lastIndex;
    this.#endLine(end);
    const written = type === "PLAIN" ? this.#text.slice(start, end) : this.#text.slice(start + 1, end - 1);
    const value = type === "QUOTE_DOUBLE" ? written.replace(/\\(["\\])/g, "$1") : written;
    return scalarOf(value, type, [start, end, this.#at]);
  }

  /** A literal block whose lines stand further in than `indent`, without blank lines at its start or end. */
  #literal(indent: number): Scalar<string> | null {
    const start = this.#at;
    literalPattern.lastIndex = start;
    if (!literalPattern.test(this.#text)) return null;
    this.#at = literalPattern.lastIndex + 1;
    const inner = this.#indentation();
    const lines: string[] = [];
    if (inner <= indent) return null;
    for (let depth = inner; depth >= inner || this.#text[this.#at] === "\n"; depth = this.#indentation()) {
      const end = this.#text.indexOf("\n", this.#at);
      const line = end < 0 ? "" : this.#text.slice(this.#at + Math.min(inner, end - this.#at), end);
      // A last line without its break, and a line of spaces, which readers do not take for the same.
      if (end < 0 || (end > this.#at && line.trim() === "")) return null;
      lines.push(line);
      this.#at = end + 1;
      if (this.isAtEnd()) break;
    }
    if (lines[0] === "" || lines.at(-1) === "") return null;
    const value = lines.join("\n") + (this.#text[start + 1] === "-" ? "" : "\n");
    this.#end = this.#at;
    return scalarOf(value, "BLOCK_LITERAL", [start, this.#at, this.#at]);
  }

  #brackets(): YAMLSeq | null {
    const start = this.#at;
    bracketsPattern.lastIndex = start;
    const written = bracketsPattern.exec(this.#text)?.[0];
    if (written === undefined) return null;
    const list = new YAMLSeq<Node>();
    list.flow = true;
    for (const { 0: item, index } of written.matchAll(bracketsItem)) {
      const [from, to] = [start + index, start + index + item.length];
      const isQuoted = item.startsWith('"');
      const value = isQuoted ? item.slice(1, -1) : item;
      list.items.push(scalarOf(value, isQuoted ? "QUOTE_DOUBLE" : "PLAIN", [from, to, to]));
    }
    const end = start + written.length;
    this.#endLine(end);
    list.range = [start, end, this.#at];
    return list;
  }

  #endLine(end: number): void {
    this.#at = Math.min(end + 1, this.#text.length);
    this.#end = this.#at;
  }

  /** Blank lines and comments, which must stand as far in as what follows: else they belong to what was before. */
  #skipGap(): boolean {
    let comment: number | null = null;
    for (;;) {
      const indent = this.#indentation();
      const first = this.#text[this.#at + indent];
      if (first === "#" && (comment ?? indent) === indent) {
        comment = indent;
        this.#pending.push(this.#at + indent);
      } else if (first !== "\n" || indent > 0) return (comment ?? indent) === indent;
      const end = this.#text.indexOf("\n", this.#at);
      this.#at = end < 0 ? this.#text.length : end + 1;
    }
  }

  /** Spaces at the start of the line at hand. */
  #indentation(): number {
    let end = this.#at;
    while (this.#text.charCodeAt(end) === 0x20) end++;
    return end - this.#at;
  }

  /** A collection ends where the line of its last scalar does. */
  #ranged<T extends YAMLMap | YAMLSeq>(node: T, start: number): T {
    node.range = [start, this.#end, this.#end];
    return node;
  }
}

function scalarOf(value: string, type: Scalar.Type, range: [number, number, number]): Scalar<string> {
  const scalar = new Scalar(value);
  scalar.range = range;
  scalar.source = value;
  scalar.type = type;
  return scalar;
}
