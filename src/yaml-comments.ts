// Which map or list SOPS puts each comment of a YAML document into, and before which of its items. The path of that
// container is the additional data of an encrypted comment. It knows neither encryption nor selection.
import type { YAMLMap, YAMLSeq } from "yaml";
import { type CommentedNode, readComments } from "./yaml-comment-events.ts";
import type { CommentLines } from "./yaml-comment-rows.ts";
import { commentsOf, lexemesOf } from "./yaml-lexemes.ts";
import { type CommentToken, isCollection, isMap, isNode, isPair, isSeq, type YamlSource } from "./yaml-source.ts";

export interface AttachedComment {
  /** That of the `#`. */
  readonly offset: number;
  /** What follows the `#`, to the end of the line. */
  readonly text: string;
  readonly container: YAMLMap | YAMLSeq;
  /** The index of the item before which it stands; the number of items if it comes last. */
  readonly before: number;
}

/**
 * Every comment of the document once, in the order that SOPS has within each container. Comments that SOPS loses when it
 * reads the file (some in flow collections, and those that another takes the place of) stand in the innermost container
 * around them, by their place in the text.
 */
export function attachComments(source: YamlSource): AttachedComment[] {
  if (source.comments !== undefined) return [...source.comments];
  if (!source.text.includes("#")) return [];
  // A document without content is nothing but its comments.
  if (source.root.items.length === 0)
    return commentsOf(source.text.slice(source.start, source.end)).map(({ offset, text }) => ({
      offset: source.start + offset,
      text,
      container: source.root,
      before: 0,
    }));
  const { lexemes, comments } = lexemesOf(source);
  if (comments.length === 0) return [];
  const { head, root, foot } = readComments(source.text, lexemes, source.start);
  const places = new Places(comments);
  places.add(head, source.root, 0);
  places.addMap(root, source.root, false);
  places.add(foot, source.root, source.root.items.length);
  // Where one document takes comments beyond its end, the path of both is the root's: they stay where they stand.
  const isOwn = ({ offset }: CommentToken) => offset >= source.start && offset < source.end;
  const found = places.found.filter(isOwn);
  const lost = places.left().filter(isOwn);
  if (lost.length === 0) return found;
  return merge(
    found,
    lost.map((comment) => ({ ...comment, ...innermost(source.root, comment.offset) })),
  );
}

class Places {
  readonly found: AttachedComment[] = [];
  readonly #comments = new Map<number, CommentToken>();
  readonly #added = new Set<number>();

  constructor(comments: readonly CommentToken[]) {
    for (const comment of comments) this.#comments.set(comment.offset, comment);
  }

  left(): CommentToken[] {
    if (this.#added.size === this.#comments.size) return [];
    return [...this.#comments.values()].filter(({ offset }) => !this.#added.has(offset));
  }

  add(lines: CommentLines, container: YAMLMap | YAMLSeq, before: number): void {
    for (const offset of lines) {
      const comment = this.#comments.get(offset);
      if (comment === undefined || this.#added.has(offset)) continue;
      this.#added.add(offset);
      this.found.push({ offset, text: comment.text, container, before });
    }
  }

  #addBefore(node: CommentedNode, container: YAMLMap | YAMLSeq, before: number): void {
    this.add(node.head, container, before);
    this.add(node.line, container, before);
  }

  /** `outer` says that the map's own comments were put into the list it is an element of. */
  addMap(node: CommentedNode, map: YAMLMap, outer: boolean): void {
    if (node.kind !== "map" || node.content.length !== 2 * map.items.length) return;
    if (!outer) this.#addBefore(node, map, 0);
    for (let index = 0; index < map.items.length; index++) {
      const key = node.content[2 * index];
      const value = node.content[2 * index + 1];
      if (key === undefined || value === undefined) return;
      this.#addBefore(key, map, index);
      if (value.kind === "scalar") {
        this.#addBefore(value, map, index);
        this.add(value.foot, map, index + 1);
      } else this.#addCollection(value, map.items[index]?.value, false);
      this.add(key.foot, map, index + 1);
    }
    if (!outer) this.add(node.foot, map, map.items.length);
  }

  #addList(node: CommentedNode, list: YAMLSeq, outer: boolean): void {
    if (node.kind !== "list" || node.content.length !== list.items.length) return;
    if (!outer) this.#addBefore(node, list, 0);
    for (const [index, item] of node.content.entries()) {
      this.#addBefore(item, list, index);
      this.#addCollection(item, list.items[index], true);
      this.add(item.foot, list, index + 1);
    }
    if (!outer) this.add(node.foot, list, list.items.length);
  }

  #addCollection(node: CommentedNode, child: unknown, outer: boolean): void {
    if (isMap(child)) this.addMap(node, child, outer);
    else if (isSeq(child)) this.#addList(node, child, outer);
  }
}

type Place = Pick<AttachedComment, "container" | "before">;

function innermost(root: YAMLMap, offset: number): Place {
  let container: YAMLMap | YAMLSeq = root;
  for (;;) {
    const before = countBefore(container.items, offset);
    const item = container.items[before - 1];
    const child = isPair(item) ? item.value : item;
    const [start, end] = isCollection(child) ? (child.range ?? [0, 0]) : [0, 0];
    if (!isCollection(child) || offset < start || offset >= end) return { container, before };
    container = child as YAMLMap | YAMLSeq;
  }
}

/** How many items begin before an offset. */
function countBefore(items: readonly unknown[], offset: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (startOf(items[middle]) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function startOf(item: unknown): number {
  const node = isPair(item) ? item.key : item;
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

/** Puts what SOPS loses among what it has, in each container before the first that comes later. */
function merge(found: readonly AttachedComment[], lost: readonly AttachedComment[]): AttachedComment[] {
  const waiting = new Map<AttachedComment["container"], AttachedComment[]>();
  for (const comment of lost.toReversed()) {
    const list = waiting.get(comment.container);
    if (list === undefined) waiting.set(comment.container, [comment]);
    else list.push(comment);
  }
  const merged: AttachedComment[] = [];
  for (const comment of found) {
    const list = waiting.get(comment.container);
    for (let next = list?.at(-1); next !== undefined && comesBefore(next, comment); next = list?.at(-1)) {
      merged.push(next);
      list?.pop();
    }
    merged.push(comment);
  }
  for (const list of waiting.values()) merged.push(...list.toReversed());
  return merged;
}

function comesBefore(one: AttachedComment, other: AttachedComment): boolean {
  return one.before < other.before || (one.before === other.before && one.offset < other.offset);
}
