// Reads seal.yaml: environments, their recipients, paths, namespaces and scopes. It belongs to whoever can write the
// repository, so it names nothing to run and nothing to connect to; unknown keys are refused.
import type { Node, YAMLMap } from "yaml";
import { assertAgeRecipient, uniqueRecipients } from "./age-keys.ts";
import type { Config, EnvironmentPolicy } from "./environment.ts";
import { quoteName, SealwardError } from "./errors.ts";
import { resolveGoScalar } from "./go-scalar.ts";
import { isEmptyNode, type Scope, scopes } from "./manifest.ts";
import { isMap, isScalar, isSeq, parseYaml, type YamlSource } from "./yaml-source.ts";

const environmentName = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const namespaceName = environmentName;
const safeGlobs = "a list of globs relative to seal.yaml: names, ? and *, at most two * in a name and three ** in all";
const digest = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads and validates the whole file.
 * @throws config-invalid with file, line and column; the message says what was expected and what was found
 */
export function parseConfig(text: string, file: string): Config {
  const reader = new Reader(sourceOf(text, file));
  const root = reader.source.root;
  reader.assertKeys(root, ["version", "recovery", "nested", "environments"], "seal.yaml");
  const version = root.get("version", true);
  if (!isScalar(version) || version.value !== "1") throw reader.refuse("version must be 1", root);
  const recovery = reader.recipients(root, "recovery");
  const environments = new Map<string, EnvironmentPolicy>();
  const listed = root.get("environments", true);
  if (!isMap(listed) || listed.items.length === 0)
    throw reader.refuse("environments must be a map with at least one environment", root);
  for (const { key, value } of (listed as YAMLMap<Node, Node | null>).items) {
    const name = isScalar(key) ? String(key.value) : "";
    if (!environmentName.test(name))
      throw reader.refuse(
        `An environment's name has lower-case letters, digits and dashes, found ${quoteName(name)}`,
        key,
      );
    if (!isMap(value)) throw reader.refuse(`environments.${name} must be a map`, key);
    environments.set(name, reader.environment(name, value as YAMLMap, recovery));
  }
  const nested = reader.list(root, "nested", isRelative, "a list of paths relative to seal.yaml");
  return { file, environments, nested, recovery };
}

function sourceOf(text: string, file: string): YamlSource {
  try {
    return parseYaml(text, { file });
  } catch (error) {
    // For seal.yaml the one code says more than which rule of YAML it broke.
    if (error instanceof SealwardError)
      throw new SealwardError("config-invalid", error.message, { file, line: error.line, column: error.column });
    throw error;
  }
}

/** Reads fields of one file and refuses with their places. */
class Reader {
  readonly source: YamlSource;

  constructor(source: YamlSource) {
    this.source = source;
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

  environment(name: string, map: YAMLMap, recovery: readonly string[]): EnvironmentPolicy {
    const where = `environments.${name}`;
    this.assertKeys(
      map,
      ["recipients", "paths", "namespaces", "scope", "scopes", "strictRecipients", "unbound"],
      where,
    );
    const own = this.recipients(map, "recipients");
    if (own.length === 0) throw this.refuse(`${where} needs at least one recipient of its own`, map);
    const [chosen, second] = this.list(
      map,
      "scope",
      (text) => scopes.includes(text as Scope),
      `one of ${scopes.join(", ")}`,
    );
    if (second !== undefined)
      throw this.refuse(`${where}.scope is one scope; scopes lists those that are allowed`, map);
    const defaultScope = (chosen ?? "strict") as Scope;
    const listed = this.list(
      map,
      "scopes",
      (text) => scopes.includes(text as Scope),
      `a list of ${scopes.join(", ")}`,
    ) as readonly Scope[];
    const allowed = listed.length > 0 ? listed : [defaultScope];
    if (!allowed.includes(defaultScope))
      throw this.refuse(`${where}.scope is ${defaultScope}, which scopes does not list`, map);
    return {
      name,
      ageRecipients: uniqueRecipients([...own, ...recovery]),
      paths: this.list(map, "paths", isSafeGlob, safeGlobs),
      namespaces: this.list(map, "namespaces", (text) => namespaceName.test(text), "a list of namespace names"),
      defaultScope,
      scopes: allowed,
      strictRecipients: this.flag(map, "strictRecipients"),
      acceptedUnbound: this.list(map, "unbound", (text) => digest.test(text), "a list of sha256:<64 hex digits>"),
    };
  }

  recipients(parent: YAMLMap, key: string): string[] {
    const map = parent.get(key, true) as Node | undefined;
    if (map === undefined) return [];
    if (!isMap(map)) throw this.refuse(`${key} must be a map with the list age`, map);
    this.assertKeys(map as YAMLMap, ["age"], key);
    return this.texts(map as YAMLMap, "age").map(({ text, node }) => {
      try {
        assertAgeRecipient(text);
      } catch (error) {
        throw this.refuse(error instanceof Error ? error.message : "Not a recipient", node);
      }
      return text;
    });
  }

  list(map: YAMLMap, key: string, accepts: (text: string) => boolean, expected: string): string[] {
    return this.texts(map, key).map(({ text, node }) => {
      if (!accepts(text)) throw this.refuse(`${key} must be ${expected}`, node);
      return text;
    });
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

  flag(map: YAMLMap, key: string): boolean {
    const value = map.get(key, true) as Node | undefined;
    if (value === undefined) return false;
    const resolved = isScalar(value) && value.type === "PLAIN" ? resolveGoScalar(String(value.value)) : null;
    if (resolved?.type !== "bool") throw this.refuse(`${key} must be true or false`, value);
    return resolved.bytes === "True";
  }
}

/**
 * Names, `*`, `?` and `**`, and no more: a pattern that compiles to a richer expression can be made to mean the opposite of
 * how it reads, or to run for ever. Few stars, because each multiplies the ways to match.
 */
function isSafeGlob(glob: string): boolean {
  const segments = glob.split("/");
  if (glob.length > 200 || /[()|+[\]{}!\\^$"'<>:;&#]/.test(glob) || !isRelative(glob)) return false;
  const starsOf = (segment: string) => segment.split("*").length - 1;
  const spanning = segments.filter((segment) => segment === "**").length;
  return spanning <= 3 && segments.every((segment) => segment === "**" || starsOf(segment) <= 2);
}

function isRelative(glob: string): boolean {
  return !glob.startsWith("/") && !glob.startsWith("!") && !glob.split("/").includes("..");
}
