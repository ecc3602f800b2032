// Reads the fields of a configuration file of ours and refuses what is none, with its place: one reader for the file of a
// repository and the user's own. Knows no field by name but `version`.
import type { Node, YAMLMap } from "yaml";
import { quoteName, SealwardError } from "./errors.ts";
import { resolveGoScalar } from "./go-scalar.ts";
import { isEmptyNode } from "./manifest.ts";
import { isMap, isScalar, isSeq, parseYaml, type YamlSource } from "./yaml-source.ts";

export const environmentName: RegExp = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Reads fields of one file and refuses with their places. */
export class ConfigReader {
  readonly source: YamlSource;

  /** @throws config-invalid for what is no YAML */
  constructor(text: string, file: string) {
    this.source = sourceOf(text, file);
  }

  /** The top of the file, of which this is version 1. */
  root(keys: readonly string[], where: string): YAMLMap {
    const { root } = this.source;
    this.assertKeys(root, ["version", ...keys], where);
    const version = root.get("version", true);
    if (!isScalar(version) || version.value !== "1") throw this.refuse("version must be 1", root);
    return root;
  }

  /** The pairs of a map whose keys are names of environments and whose values are maps. */
  environments(map: YAMLMap, where: string): { readonly name: string; readonly key: Node; readonly value: YAMLMap }[] {
    return (map as YAMLMap<Node, Node | null>).items.map(({ key, value }) => {
      const name = isScalar(key) ? String(key.value) : "";
      if (!environmentName.test(name))
        throw this.refuse(
          `An environment's name has lower-case letters, digits and dashes, found ${quoteName(name)}`,
          key,
        );
      if (!isMap(value)) throw this.refuse(`${where}.${name} must be a map`, key);
      return { name, key, value: value as YAMLMap };
    });
  }

  refuse(message: string, at: Node): SealwardError {
    return this.source.refusal("config-invalid", message, at);
  }

  assertKeys(map: YAMLMap, allowed: readonly string[], where: string): void {
    for (const { key } of map.items) {
      const name = isScalar(key) ? String(key.value) : "";
      if (!allowed.includes(name))
        throw this.refuse(`${where} has no key ${quoteName(name)}; it has ${allowed.join(", ")}`, key as Node);
    }
  }

  list(map: YAMLMap, key: string, accepts: (text: string) => boolean, expected: string): string[] {
    return this.texts(map, key).map(({ text, node }) => {
      if (!accepts(text)) throw this.refuse(`${key} must be ${expected}`, node);
      return text;
    });
  }

  /** One text, or undefined where there is none. */
  text(map: YAMLMap, key: string, accepts: (text: string) => boolean, expected: string): string | undefined {
    const [only, second] = this.texts(map, key);
    if (second !== undefined) throw this.refuse(`${key} must be ${expected}, and is a list`, second.node);
    if (only !== undefined && !accepts(only.text)) throw this.refuse(`${key} must be ${expected}`, only.node);
    return only?.text;
  }

  /** The texts of a list, or of a single scalar. */
  texts(map: YAMLMap, key: string): { readonly text: string; readonly node: Node }[] {
    const value = map.get(key, true) as Node | undefined;
    if (value === undefined || isEmptyNode(value)) return [];
    const items = isSeq(value) ? (value.items as readonly Node[]) : [value];
    return items.map((node) => {
      if (!isScalar(node) || node.value === "") throw this.refuse(`${key} must be a text or a list of texts`, node);
      return { text: String(node.value), node };
    });
  }

  /** Undefined where nothing is said. */
  flag(map: YAMLMap, key: string): boolean | undefined {
    const value = map.get(key, true) as Node | undefined;
    if (value === undefined) return undefined;
    const resolved = isScalar(value) && value.type === "PLAIN" ? resolveGoScalar(String(value.value)) : null;
    if (resolved?.type !== "bool") throw this.refuse(`${key} must be true or false`, value);
    return resolved.bytes === "True";
  }
}

function sourceOf(text: string, file: string): YamlSource {
  try {
    return parseYaml(text, { file });
  } catch (error) {
    // For a configuration file the one code says more than which rule of YAML it broke.
    if (error instanceof SealwardError)
      throw new SealwardError("config-invalid", error.message, { file, line: error.line, column: error.column });
    throw error;
  }
}
