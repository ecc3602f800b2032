// Reads seal.yaml: environments, their recipients, paths, namespaces and scopes. It belongs to whoever can write the
// repository, so it names nothing to run and nothing to connect to; unknown keys are refused.
import type { Node, YAMLMap } from "yaml";
import { assertAgeRecipient, uniqueRecipients } from "./age-keys.ts";
import { ConfigReader, environmentName } from "./config-reader.ts";
import type { Config, EnvironmentPolicy } from "./environment.ts";
import { assertKeyArn } from "./kms.ts";
import { type Scope, scopes } from "./manifest.ts";
import { isMap, isScalar, isSeq } from "./yaml-source.ts";

const namespaceName = environmentName;
const safeGlobs = "a list of globs relative to seal.yaml: names, ? and *, at most two * in a name and three ** in all";
const digest = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads and validates the whole file.
 * @throws config-invalid with file, line and column; the message says what was expected and what was found
 */
export function parseConfig(text: string, file: string): Config {
  const reader = new ConfigReader(text, file);
  const root = reader.root(["recovery", "nested", "mustSeal", "environments"], "seal.yaml");
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
  const mustSeal = reader.list(root, "mustSeal", isSafeGlob, safeGlobs);
  const { age, kms } = recovery;
  return { file, environments, nested, mustSeal, recovery: { age, kms } };
}

function readEnvironment(
  reader: ConfigReader,
  { name, map, recovery }: { readonly name: string; readonly map: YAMLMap; readonly recovery: Listed },
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
  const expirations = new Map([...recovery.expirations, ...own.expirations]);
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
    ...(expirations.size === 0 ? {} : { expirations }),
  };
}

interface Listed {
  readonly age: readonly string[];
  readonly kms: readonly string[];
  readonly expirations: ReadonlyMap<string, Date>;
}

function readRecipients(reader: ConfigReader, parent: YAMLMap, key: string): Listed {
  const map = parent.get(key, true) as Node | undefined;
  if (map === undefined) return { age: [], kms: [], expirations: new Map() };
  if (!isMap(map)) throw reader.refuse(`${key} must be a map with the lists age and kms`, map);
  reader.assertKeys(map as YAMLMap, ["age", "kms"], key);
  const age = entriesOf(reader, map as YAMLMap, "age", assertAgeRecipient);
  const kms = entriesOf(reader, map as YAMLMap, "kms", assertKeyArn);
  if (kms.length > maxKmsKeys)
    throw reader.refuse(`kms lists ${kms.length} keys, at most ${maxKmsKeys} are allowed`, map);
  const recipients = (entries: readonly Entry[]): string[] => entries.map(({ recipient }) => recipient);
  const ends = [...age, ...kms].flatMap(({ recipient, expires }) =>
    expires === undefined ? [] : [[recipient, expires] as const],
  );
  return { age: recipients(age), kms: recipients(kms), expirations: new Map(ends) };
}

/** Sealing asks all of them, and the doctor each three times. */
const maxKmsKeys = 64;

interface Entry {
  readonly recipient: string;
  readonly expires: Date | undefined;
}

/** Each a text, or a map that says more: whose it is (for people), and until when it is sealed for. */
function entriesOf(reader: ConfigReader, map: YAMLMap, key: string, assert: (text: string) => void): readonly Entry[] {
  const value = map.get(key, true) as Node | undefined;
  const items = isSeq(value) ? (value.items as readonly Node[]) : [];
  if (!items.some(isMap)) return reader.texts(map, key).map(({ text, node }) => entry(reader, text, node, assert));
  return items.map((item) => {
    if (isScalar(item) && item.value !== "") return entry(reader, String(item.value), item, assert);
    if (!isMap(item)) throw reader.refuse(`${key} must be a list of recipients`, item);
    const fields = item as YAMLMap;
    reader.assertKeys(fields, ["recipient", "name", "expires"], `a recipient under ${key}`);
    const recipient = reader.text(fields, "recipient", () => true, "a text");
    if (recipient === undefined) throw reader.refuse(`a recipient under ${key} needs the key recipient`, item);
    reader.text(fields, "name", (text) => text.length <= 100, "a short text");
    const expires = reader.text(fields, "expires", (text) => endOfDay(text) !== null, "a date, as in 2027-01-31");
    const end = expires === undefined ? null : endOfDay(expires);
    return { ...entry(reader, recipient, item, assert), expires: end ?? undefined };
  });
}

function entry(reader: ConfigReader, recipient: string, node: Node, assert: (text: string) => void): Entry {
  try {
    assert(recipient);
  } catch (error) {
    throw reader.refuse(error instanceof Error ? error.message : "Not a recipient", node);
  }
  return { recipient, expires: undefined };
}

/** The last moment of a day in UTC; null for what is no day of the calendar. */
function endOfDay(text: string): Date | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const end = new Date(`${text}T23:59:59.999Z`);
  return Number.isNaN(end.getTime()) || end.toISOString().slice(0, 10) !== text ? null : end;
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
