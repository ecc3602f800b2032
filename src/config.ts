// Reads seal.yaml: environments, their recipients, paths, namespaces and scopes. It belongs to whoever can write the
// repository, so it names nothing to run and nothing to connect to; unknown keys are refused.
import type { Node, YAMLMap } from "yaml";
import { assertAgeRecipient, uniqueRecipients } from "./age-keys.ts";
import { ConfigReader, environmentName } from "./config-reader.ts";
import type { Config, EnvironmentPolicy } from "./environment.ts";
import { assertKeyArn } from "./kms.ts";
import { type Scope, scopes } from "./manifest.ts";
import { isMap } from "./yaml-source.ts";

const namespaceName = environmentName;
const safeGlobs = "a list of globs relative to seal.yaml: names, ? and *, at most two * in a name and three ** in all";
const digest = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads and validates the whole file.
 * @throws config-invalid with file, line and column; the message says what was expected and what was found
 */
export function parseConfig(text: string, file: string): Config {
  const reader = new ConfigReader(text, file);
  const root = reader.root(["recovery", "nested", "environments"], "seal.yaml");
  const recovery = readRecipients(reader, root, "recovery");
  const listed = root.get("environments", true);
  if (!isMap(listed) || listed.items.length === 0)
    throw reader.refuse("environments must be a map with at least one environment", root);
  const environments = new Map(
    reader
      .environments(listed as YAMLMap, "environments")
      .map(({ name, value }) => [name, readEnvironment(reader, { name, map: value, recovery })]),
  );
  const nested = reader.list(root, "nested", isRelative, "a list of paths relative to seal.yaml");
  return { file, environments, nested, recovery };
}

function readEnvironment(
  reader: ConfigReader,
  { name, map, recovery }: { readonly name: string; readonly map: YAMLMap; readonly recovery: Config["recovery"] },
): EnvironmentPolicy {
  const where = `environments.${name}`;
  reader.assertKeys(
    map,
    ["recipients", "paths", "namespaces", "scope", "scopes", "strictRecipients", "unbound"],
    where,
  );
  const own = readRecipients(reader, map, "recipients");
  if (own.age.length + own.kms.length === 0)
    throw reader.refuse(`${where} needs at least one recipient of its own`, map);
  const [chosen, second] = reader.list(
    map,
    "scope",
    (text) => scopes.includes(text as Scope),
    `one of ${scopes.join(", ")}`,
  );
  if (second !== undefined)
    throw reader.refuse(`${where}.scope is one scope; scopes lists those that are allowed`, map);
  const defaultScope = (chosen ?? "strict") as Scope;
  const listed = reader.list(
    map,
    "scopes",
    (text) => scopes.includes(text as Scope),
    `a list of ${scopes.join(", ")}`,
  ) as readonly Scope[];
  const allowed = listed.length > 0 ? listed : [defaultScope];
  if (!allowed.includes(defaultScope))
    throw reader.refuse(`${where}.scope is ${defaultScope}, which scopes does not list`, map);
  return {
    name,
    ageRecipients: uniqueRecipients([...own.age, ...recovery.age]),
    kmsRecipients: [...new Set([...own.kms, ...recovery.kms])],
    paths: reader.list(map, "paths", isSafeGlob, safeGlobs),
    namespaces: reader.list(map, "namespaces", (text) => namespaceName.test(text), "a list of namespace names"),
    defaultScope,
    scopes: allowed,
    strictRecipients: reader.flag(map, "strictRecipients") ?? false,
    acceptedUnbound: reader.list(map, "unbound", (text) => digest.test(text), "a list of sha256:<64 hex digits>"),
  };
}

function readRecipients(reader: ConfigReader, parent: YAMLMap, key: string): Config["recovery"] {
  const map = parent.get(key, true) as Node | undefined;
  if (map === undefined) return { age: [], kms: [] };
  if (!isMap(map)) throw reader.refuse(`${key} must be a map with the lists age and kms`, map);
  reader.assertKeys(map as YAMLMap, ["age", "kms"], key);
  return {
    age: checked(reader, map as YAMLMap, "age", assertAgeRecipient),
    kms: atMost(reader, { texts: checked(reader, map as YAMLMap, "kms", assertKeyArn), max: maxKmsKeys, at: map }),
  };
}

/** Sealing asks all of them, and the doctor each three times. */
const maxKmsKeys = 64;

function atMost(
  reader: ConfigReader,
  { texts, max, at }: { readonly texts: string[]; readonly max: number; readonly at: Node },
): string[] {
  if (texts.length > max) throw reader.refuse(`kms lists ${texts.length} keys, at most ${max} are allowed`, at);
  return texts;
}

function checked(reader: ConfigReader, map: YAMLMap, key: string, assert: (text: string) => void): string[] {
  return reader.texts(map, key).map(({ text, node }) => {
    try {
      assert(text);
    } catch (error) {
      throw reader.refuse(error instanceof Error ? error.message : "Not a recipient", node);
    }
    return text;
  });
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
