// Anchors, aliases and merge keys of one YAML document, read as Go's yaml.v3 reads them into a struct, node by node and
// within a budget: nothing is copied, so that no file grows when it is read. Knows nothing about what the nodes mean.
import { type Alias, type Node, Scalar, visit, type YAMLMap } from "yaml";
import type { SealwardError } from "./errors.ts";
import { isAlias, isMap, isScalar, isSeq, type YamlSource } from "./yaml-source.ts";

/** Far above what people write: a hundred rules with a hundred recipients each are half of it. */
const maxNodes = 20_000;
/** Aliases that lead to aliases; the nesting of the text itself is limited where it is parsed. */
const maxDepth = 100;

export interface Entry {
  readonly key: Node;
  /** The empty scalar where nothing stands behind the key. */
  readonly value: Node;
}

export class AliasReader {
  readonly source: YamlSource;
  readonly #targets: ReadonlyMap<Alias, Node>;
  #spent = 0;

  /** @throws config-invalid for an alias without an anchor before it, and for one inside of what it names */
  constructor(source: YamlSource) {
    this.source = source;
    this.#targets = targetsOf(source);
  }

  refuse(message: string, at: Node): SealwardError {
    return this.source.refusal("config-invalid", message, at);
  }

  /** The node itself, or what an alias stands for. @throws config-invalid beyond the budget */
  resolve(node: Node): Node {
    this.spend(1, node);
    const target = isAlias(node) ? this.#targets.get(node as Alias) : undefined;
    return target ?? node;
  }

  /** For a caller that makes several things of one node. @throws config-invalid beyond the budget */
  spend(count: number, at: Node): void {
    this.#spent += count;
    if (this.#spent > maxNodes)
      throw this.refuse(`The file has more than ${maxNodes} entries when its aliases are followed`, at);
  }

  /** The keys of a map with those that merge keys bring in: its own win, then the first that has one. */
  entries(map: YAMLMap): Map<string, Entry> {
    const found = new Map<string, Entry>();
    this.#collect(map, found, 0);
    return found;
  }

  /** @throws config-invalid where recursion through aliases has no end that a person wrote */
  assertDepth(depth: number, at: Node): void {
    if (depth > maxDepth) throw this.refuse(`Aliases and merges nest more than ${maxDepth} levels`, at);
  }

  #collect(map: YAMLMap, found: Map<string, Entry>, depth: number): void {
    this.assertDepth(depth, map);
    let merged: Node | undefined;
    for (const pair of map.items) {
      const key = pair.key as Node;
      const value = (pair.value ?? emptyAt(key)) as Node;
      if (isScalar(key) && key.type === "PLAIN" && key.value === "<<") merged = value;
      else {
        const name = isScalar(key) ? String(key.value) : "";
        if (!found.has(name)) found.set(name, { key, value: this.resolve(value) });
      }
    }
    if (merged === undefined) return;
    const from = this.resolve(merged);
    for (const item of isSeq(from) && !isAlias(merged) ? (from.items as Node[]) : [from]) {
      const target = this.resolve(item);
      if (!isMap(target)) throw this.refuse("A merge key (<<) takes a map, or a list of maps", item);
      this.#collect(target as YAMLMap, found, depth + 1);
    }
  }
}

function emptyAt({ range }: Node): Scalar {
  return Object.assign(new Scalar(""), { type: "PLAIN" as const, range: range ?? null });
}

/** An alias means the last anchor of its name before it. */
function targetsOf(source: YamlSource): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(source.root, {
    Node(_, node, path) {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.set(node.anchor, node);
        return;
      }
      const target = anchors.get(node.source);
      if (target === undefined) throw source.refusal("config-invalid", "An alias names no anchor before it", node);
      if (path.includes(target))
        throw source.refusal("config-invalid", "An alias stands inside of what it names", node);
      targets.set(node, target);
    },
  });
  return targets;
}
