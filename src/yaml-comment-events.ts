// Which node of a YAML document Go's reader (v3) hands each comment to, step by step as it reads: what waits when a node
// begins or ends is that node's, and what a node is handed later replaces what it had. It knows no values.
import { blankLine, type CommentLines, none, type Waiting } from "./yaml-comment-rows.ts";
import { CommentScanner, type TokenKind } from "./yaml-comment-scan.ts";
import type { Lexeme } from "./yaml-lexemes.ts";

/** A node with its comments; those of a map are key, value, key, value. */
export interface CommentedNode extends Waiting {
  readonly kind: "map" | "list" | "scalar";
  readonly content: CommentedNode[];
}

export interface CommentedDocument {
  readonly head: CommentLines;
  readonly root: CommentedNode;
  readonly foot: CommentLines;
}

/** `start` is 0, or where the mark stands that ended the document before. */
export function readComments(text: string, lexemes: readonly Lexeme[], start: number): CommentedDocument {
  return new Reader(new CommentScanner(text, lexemes, start)).document(start === 0);
}

const noContent: CommentedNode[] = [];
const nothing: Readonly<Waiting> = { head: none, line: none, foot: none };

function node(kind: CommentedNode["kind"], { head, line, foot }: Readonly<Waiting> = nothing): CommentedNode {
  return { kind, content: kind === "scalar" ? noContent : [], head, line, foot };
}

class Reader {
  readonly #scanner: CommentScanner;
  /** The head of a dash whose element is a block: it belongs to the element as a whole. */
  #stem: CommentLines = none;

  constructor(scanner: CommentScanner) {
    this.#scanner = scanner;
  }

  #peek(): TokenKind {
    return this.#scanner.peek().kind;
  }

  #next(): TokenKind {
    this.#scanner.skip();
    return this.#peek();
  }

  #take(): Waiting {
    this.#stem = none;
    return this.#scanner.take();
  }

  document(isFirst: boolean): CommentedDocument {
    let kind = this.#peek();
    let head: CommentLines = [];
    let implicit = false;
    if (isFirst) {
      kind = this.#next();
      implicit = kind !== "%" && kind !== "---";
    } else this.endOfDocument();
    if (implicit) head = this.#splitHead();
    else this.#begin();
    // Documents without content come before.
    for (kind = this.#peek(); kind === "---" || kind === "..." || kind === "%"; kind = this.#peek()) {
      this.endOfDocument();
      this.#begin();
    }
    const root = this.#node(true, false);
    return { head, root, foot: this.endOfDocument() };
  }

  #begin(): void {
    let kind = this.#peek();
    while (kind === "...") kind = this.#next();
    while (kind === "%") kind = this.#next();
    if (kind === "---") this.#scanner.skip();
  }

  endOfDocument(): CommentLines {
    if (this.#peek() === "...") this.#scanner.skip();
    const { head, foot } = this.#take();
    return foot.length > 0 ? foot : head;
  }

  /** What an empty line divides from the first key is the document's. */
  #splitHead(): CommentLines {
    const { waiting } = this.#scanner;
    const blank = waiting.head.lastIndexOf(blankLine);
    if (blank <= 0) return [];
    const head = waiting.head.slice(0, blank);
    waiting.head = waiting.head.slice(blank + 1);
    return head;
  }

  #node(block: boolean, keyOrValue: boolean): CommentedNode {
    let kind = this.#peek();
    for (let left = 2; left > 0 && (kind === "anchor" || kind === "tag"); left--) kind = this.#next();
    if (keyOrValue && kind === "-") return this.#dashes(node("list"));
    switch (kind) {
      case "alias":
      case "plain":
      case "quoted":
      case "block": {
        const scalar = node("scalar", this.#take());
        this.#scanner.skip();
        return scalar;
      }
      case "[":
        return this.#flowList(node("list", this.#take()));
      case "{":
        return this.#flowMap(node("map", this.#take()));
    }
    if (block && (kind === "list-start" || kind === "map-start")) {
      const collection = node(kind === "list-start" ? "list" : "map", { ...nothing, head: this.#stem });
      this.#stem = none;
      this.#scanner.skip();
      return kind === "list-start" ? this.#blockList(collection) : this.#blockMap(collection);
    }
    return node("scalar");
  }

  #blockList(list: CommentedNode): CommentedNode {
    while (this.#peek() === "-") list.content.push(this.#element(["-", "block-end"]));
    if (this.#peek() === "block-end") this.#scanner.skip();
    return list;
  }

  /** A list that is indented as the key it belongs to: it has no end of its own. */
  #dashes(list: CommentedNode): CommentedNode {
    while (this.#peek() === "-") list.content.push(this.#element(["-", "key", ":", "block-end"]));
    return list;
  }

  #element(empty: readonly TokenKind[]): CommentedNode {
    const { length } = this.#scanner.waiting.head;
    const kind = this.#next();
    if (length > 0 && (kind === "list-start" || kind === "map-start")) {
      const { waiting } = this.#scanner;
      this.#stem = waiting.head.slice(0, length);
      waiting.head = waiting.head.slice(length);
    }
    return empty.includes(kind) ? node("scalar") : this.#node(true, false);
  }

  #blockMap(map: CommentedNode): CommentedNode {
    const empty: readonly TokenKind[] = ["key", ":", "block-end"];
    const { content } = map;
    while (this.#peek() === "key") {
      const key = empty.includes(this.#next()) ? node("scalar") : this.#node(true, true);
      // A foot that only came with the next key.
      const former = content.at(-2);
      if (former !== undefined && key.foot.length > 0) {
        former.foot = key.foot;
        key.foot = none;
      }
      content.push(
        key,
        this.#value(key, () => empty.includes(this.#next()), true),
      );
    }
    if (this.#peek() !== "block-end") return map;
    const { line, foot } = this.#take();
    map.line = line;
    this.#scanner.skip();
    const last = content.at(-2);
    if (last !== undefined && foot.length > 0) last.foot = foot;
    else map.foot = foot;
    return map;
  }

  #value(key: CommentedNode, isEmpty: () => boolean, block: boolean): CommentedNode {
    const value = this.#peek() === ":" && !isEmpty() ? this.#node(block, block) : node("scalar");
    if (key.foot.length === 0) {
      key.foot = value.foot;
      value.foot = none;
    }
    return value;
  }

  #flowList(list: CommentedNode): CommentedNode {
    const empty: readonly TokenKind[] = [",", "]"];
    let kind = this.#next();
    while (kind !== "]" && kind !== "stream-end") {
      if (list.content.length > 0) {
        if (kind !== ",") return list;
        kind = this.#next();
        if (kind === "]") break;
      }
      if (kind === "key") list.content.push(this.#pair(empty));
      else list.content.push(this.#node(false, false));
      kind = this.#peek();
    }
    return this.#endOfFlow(list);
  }

  /** A pair in a list is a map of its own. */
  #pair(empty: readonly TokenKind[]): CommentedNode {
    const map = node("map");
    const key = [":", ...empty].includes(this.#next()) ? node("scalar") : this.#node(false, false);
    map.content.push(
      key,
      this.#value(key, () => empty.includes(this.#next()), false),
    );
    return map;
  }

  #flowMap(map: CommentedNode): CommentedNode {
    const empty: readonly TokenKind[] = [",", "}"];
    let kind = this.#next();
    while (kind !== "}" && kind !== "stream-end") {
      if (map.content.length > 0) {
        if (kind !== ",") return map;
        kind = this.#next();
        if (kind === "}") break;
      }
      if (kind === "key") {
        const key = [":", ...empty].includes(this.#next()) ? node("scalar") : this.#node(false, false);
        map.content.push(
          key,
          this.#value(key, () => empty.includes(this.#next()), false),
        );
      } else {
        map.content.push(this.#node(false, false), node("scalar"));
      }
      kind = this.#peek();
    }
    return this.#endOfFlow(map);
  }

  #endOfFlow(collection: CommentedNode): CommentedNode {
    const { line, foot } = this.#take();
    this.#scanner.skip();
    collection.line = line;
    collection.foot = foot;
    return collection;
  }
}
