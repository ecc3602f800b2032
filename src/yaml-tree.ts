// The tree of one YAML document as SOPS sees it: scalars typed as Go types them, aliases as copies of what they name, the
// `sops` block left out. Each leaf knows where it stands in the text. Changes nothing.
import { type Node, type Scalar, visit, type YAMLMap, type Pair as YamlPair } from "yaml";
import { fromBase64 } from "./bytes.ts";
import { quoteName } from "./errors.ts";
import { resolveGoScalar } from "./go-scalar.ts";
import type { Clear, CommentItem, Empty, Leaf, ListValue, MapValue, Pair, Value } from "./store.ts";
import { attachComments } from "./yaml-comments.ts";
import { isAlias, isMap, isScalar, isSeq, type YamlSource } from "./yaml-source.ts";

/** A scalar and its place. */
export interface YamlLeaf extends Leaf {
  readonly node: Scalar;
  /** Where its tag or anchor begins, if it has one, else the scalar itself. */
  readonly start: number;
  readonly inFlow: boolean;
  readonly inList: boolean;
  /** How many maps it stands in. */
  readonly depth: number;
  /** True where its text stands for several values: in an anchored part that an alias names, or in the alias' copy. */
  readonly shared: boolean;
}

const coreTag = "tag:yaml.org,2002:";
/** An alias multiplies what it names; what a person wrote stays far below. */
const maxCopies = 100_000;

interface At {
  readonly inFlow: boolean;
  readonly inList: boolean;
  readonly depth: number;
  readonly shared: boolean;
  /** True within an alias' copy, whose comments are the original's. */
  readonly copied: boolean;
}

/** @throws sops-unsupported for keys that are no texts, integers beyond int64 and tags that do not fit; not-yaml; too-large */
export function readYamlTree(source: YamlSource): YamlTree {
  const reader = new TreeReader(source);
  return { root: reader.root(), copies: reader.copies };
}

export interface YamlTree {
  readonly root: MapValue;
  /** What each alias stands for. */
  readonly copies: ReadonlyMap<Node, Value>;
}

class TreeReader {
  readonly #source: YamlSource;
  readonly #aliases: { readonly targets: ReadonlyMap<Node, Node>; readonly named: ReadonlySet<Node> };
  readonly #comments: ReadonlyMap<Node, readonly (CommentItem & { readonly before: number })[]>;
  readonly copies = new Map<Node, Value>();
  #copied = 0;

  constructor(source: YamlSource) {
    this.#source = source;
    this.#aliases = aliasesOf(source);
    this.#comments = commentsByContainer(source);
  }

  root(): MapValue {
    const { root } = this.#source;
    const at = { inFlow: false, inList: false, depth: 0, shared: false, copied: false };
    return this.#map(root, { ...at, shared: this.#aliases.named.has(root) });
  }

  #map(map: YAMLMap, at: At): MapValue {
    const items: (Pair | CommentItem)[] = [];
    const comments = this.#commentsIn(map, at);
    const inside = { ...at, inFlow: at.inFlow || map.flow === true, inList: false, depth: at.depth + 1 };
    let next = 0;
    for (const [index, pair] of (map.items as YamlPair[]).entries()) {
      for (; (comments[next]?.before ?? Number.POSITIVE_INFINITY) <= index; next++)
        items.push(commentAt(comments, next));
      const key = this.#key(pair.key as Node);
      if (at.depth === 0 && key === "sops" && !at.copied) continue;
      const offset = (pair.key as Node).range?.[0] ?? 0;
      items.push({ kind: "pair", key, value: this.#value(pair.value as Node | null, inside, offset), offset });
    }
    for (; next < comments.length; next++) items.push(commentAt(comments, next));
    return { kind: "map", items, offset: map.range?.[0] ?? 0 };
  }

  #commentsIn(node: Node, at: At) {
    return at.copied ? [] : (this.#comments.get(node) ?? []);
  }

  #key(node: Node): string {
    if (!isScalar(node) || typeof node.value !== "string")
      throw this.#source.refusal("sops-unsupported", "A key must be a text", node);
    const isPlain = node.type === "PLAIN" && (node.tag === undefined || node.tag === `${coreTag}merge`);
    const { type } = isPlain ? resolveGoScalar(node.value) : { type: "str" };
    if (type === "str" || type === "merge") return node.value;
    throw this.#source.refusal(
      "sops-unsupported",
      `The key ${quoteName(node.value)} is not a text for SOPS: quote it`,
      node,
    );
  }

  #value(node: Node | null, at: At, keyOffset: number): Value {
    if (node === null) return { kind: "empty", value: "null", offset: keyOffset };
    const offset = node.range?.[0] ?? keyOffset;
    if (isAlias(node)) {
      const target = this.#aliases.targets.get(node);
      if (target === undefined) throw this.#source.refusal("not-yaml", "An alias names no anchor before it", node);
      const value = this.#value(target, { ...at, shared: true, copied: true }, keyOffset);
      this.copies.set(node, value);
      return value;
    }
    if (at.copied && ++this.#copied > maxCopies)
      throw this.#source.refusal("too-large", `The aliases stand for more than ${maxCopies} values`, node);
    const shared = at.shared || this.#aliases.named.has(node);
    if (isMap(node)) {
      if (node.items.length === 0 && this.#commentsIn(node, at).length === 0) return emptyAt("map", offset);
      return this.#map(node as YAMLMap, shared === at.shared ? at : { ...at, shared });
    }
    if (isSeq(node)) return this.#list(node, { ...at, shared }, offset);
    return this.#scalar(node as Scalar, { ...at, shared }, offset);
  }

  #list(node: Node & { readonly items: unknown[]; readonly flow?: boolean }, at: At, offset: number): Value {
    const comments = this.#commentsIn(node, at);
    if (node.items.length === 0 && comments.length === 0) return emptyAt("list", offset);
    const items: (Value | CommentItem)[] = [];
    const inside = { ...at, inFlow: at.inFlow || node.flow === true, inList: true };
    let next = 0;
    for (const [index, item] of (node.items as (Node | null)[]).entries()) {
      for (; (comments[next]?.before ?? Number.POSITIVE_INFINITY) <= index; next++)
        items.push(commentAt(comments, next));
      items.push(this.#value(item, inside, offset));
    }
    for (; next < comments.length; next++) items.push(commentAt(comments, next));
    return { kind: "list", items, offset } satisfies ListValue;
  }

  #scalar(node: Scalar, at: At, offset: number): YamlLeaf | Empty {
    const clear = this.#typed(node);
    if (clear === null) return emptyAt("null", offset);
    const { inFlow, inList, depth, shared } = at;
    return { kind: "leaf", ...clear, offset, node, start: startOf(this.#source, node), inFlow, inList, depth, shared };
  }

  /** Null for a null. */
  #typed(node: Scalar): Clear | null {
    const text = String(node.value);
    const tag = node.tag;
    const isPlain = node.type === "PLAIN" && tag === undefined;
    const name = tag?.startsWith(coreTag) === true ? tag.slice(coreTag.length) : undefined;
    if (name === "binary") {
      const bytes = fromBase64(text);
      if (bytes === null) throw this.#source.refusal("sops-unsupported", "A !!binary value is not base64", node);
      return { type: "str", bytes };
    }
    const resolvable = name === undefined ? undefined : resolvableTags[name];
    if (!isPlain && resolvable === undefined) return { type: "str", bytes: Buffer.from(text) };
    const value = resolveGoScalar(text);
    if (value.type === "unsupported")
      throw this.#source.refusal("sops-unsupported", "An integer above 9223372036854775807 is not supported", node);
    if (resolvable !== undefined && !resolvable.includes(value.type))
      throw this.#source.refusal("sops-unsupported", `A value with the tag !!${name} is none of that type`, node);
    if (value.type === "null") return null;
    if (value.type === "merge") return { type: "str", bytes: Buffer.from(text) };
    const type = name === "float" ? "float" : value.type;
    return { type, bytes: Buffer.from(value.bytes) };
  }
}

/** Tags that Go resolves by, and what the text may be under each. */
const resolvableTags: Readonly<Record<string, readonly string[]>> = {
  null: ["null"],
  bool: ["bool"],
  int: ["int"],
  float: ["float", "int"],
  timestamp: ["time"],
};

function emptyAt(value: Empty["value"], offset: number): Empty {
  return { kind: "empty", value, offset };
}

function commentAt(comments: readonly CommentItem[], index: number): CommentItem {
  const comment = comments[index];
  if (comment === undefined) throw new RangeError("no comment there");
  return comment;
}

function commentsByContainer(source: YamlSource) {
  const found = new Map<Node, (CommentItem & { readonly before: number })[]>();
  for (const { offset, text, container, before } of attachComments(source)) {
    const item = { kind: "comment", text, offset, before } as const;
    const list = found.get(container);
    if (list === undefined) found.set(container, [item]);
    else list.push(item);
  }
  return found;
}

/** What each alias names, and which anchored nodes some alias names. @throws not-yaml for one that holds itself */
function aliasesOf(source: YamlSource): { targets: Map<Node, Node>; named: Set<Node> } {
  const targets = new Map<Node, Node>();
  const named = new Set<Node>();
  if (!source.text.includes("*")) return { targets, named };
  const anchors = new Map<string, Node>();
  visit(source.root, {
    Alias(_, alias, path) {
      const target = anchors.get(alias.source);
      if (target === undefined) return;
      if (path.includes(target)) throw source.refusal("not-yaml", "An alias stands inside what it names", alias);
      targets.set(alias, target);
      named.add(target);
    },
    Value(_, node) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return { targets, named };
}

/** Where a node begins, its anchor and tag included. */
export function startOf({ text }: YamlSource, node: Node): number {
  let start = node.range?.[0] ?? 0;
  const { anchor, tag } = node as Node & { readonly anchor?: string };
  if (anchor === undefined && tag === undefined) return start;
  for (let left = 2; left > 0; left--) {
    const before = text.slice(Math.max(0, start - 2048), start).trimEnd();
    const property = anchor !== undefined && before.endsWith(`&${anchor}`) ? `&${anchor}` : tagAtEnd(before);
    if (property === "" || (!property.startsWith("&") && tag === undefined)) break;
    start = text.lastIndexOf(property, start - 1);
  }
  return start;
}

function tagAtEnd(text: string): string {
  return /(?:^|[\s,[{:-])(!<[^>\s]*>|![^\s!,[\]{}]*!?[^\s!,[\]{}]*)$/.exec(text)?.[1] ?? "";
}
