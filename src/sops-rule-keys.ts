// The keys of a creation rule in .sops.yaml: flat fields, or key groups with what they merge in, in the order in which
// SOPS puts them into a file. Reads them as text; whether a key is one, and whether it can be used, is not said here.
import type { Node, YAMLMap } from "yaml";
import { type Place, quoteName } from "./errors.ts";
import { resolveGoScalar } from "./go-scalar.ts";
import { isEmptyNode } from "./manifest.ts";
import { nearestKey } from "./near-key.ts";
import type { AliasReader, Entry } from "./yaml-alias.ts";
import { isMap, isScalar, isSeq } from "./yaml-source.ts";

/** The names that entries of the `sops` block have. */
type RuleKeyKind = "age" | "pgp" | "kms" | "gcp_kms" | "hckms" | "azure_kv" | "hc_vault";

export interface RuleKey {
  readonly kind: RuleKeyKind;
  /** Recipient, fingerprint, ARN, resource id, key id or address, as the `sops` block or `sops` itself would name it. */
  readonly id: string;
  /** AWS KMS: the role to assume. */
  readonly role: string | undefined;
  /** AWS KMS: the encryption context. */
  readonly context: ReadonlyMap<string, string> | undefined;
  /** AWS KMS: the profile that goes into the file. */
  readonly profile: string | undefined;
  /** A field of the rule itself, a list of one of its key groups, or of a group that one merges in. */
  readonly origin: "flat" | "group" | "merge";
  /** Where its text stands; for an alias, where the anchor is. */
  readonly place: Place;
}

/** A field that has no effect: unknown here and to SOPS, known and not used here, or overridden by another of its rule. */
export interface UnusedField {
  readonly name: string;
  readonly why: "unknown" | "not-used" | "overridden";
  readonly place: Place;
}

type Found = { readonly text: string; readonly node: Node };

const flatFields = [
  ["age", "age"],
  ["pgp", "pgp"],
  ["kms", "kms"],
  ["gcp_kms", "gcp_kms"],
  ["hckms", "hckms"],
  ["azure_keyvault", "azure_kv"],
  ["hc_vault_transit_uri", "hc_vault"],
] as const;
export const flatKeyFields: readonly string[] = [...flatFields.map(([field]) => field), "aws_profile"];
const groupFields = ["merge", "age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault"];

/** Reads texts, lists and keys of one file. Every refusal is config-invalid, with its place. */
export class RuleKeyReader {
  readonly nodes: AliasReader;
  readonly #unused: UnusedField[];

  constructor(nodes: AliasReader, unused: UnusedField[]) {
    this.nodes = nodes;
    this.#unused = unused;
  }

  /** The one group of the rule's own fields; SOPS keeps what stands in it twice. */
  flatGroup(fields: ReadonlyMap<string, Entry>): RuleKey[] {
    const profile = this.text(fields, "aws_profile") || undefined;
    return flatFields.flatMap(([field, kind]) => {
      const texts = field === "hckms" ? this.#texts(fields, field) : this.#flatTexts(fields, field);
      return texts.flatMap((found) => this.#split(found, kind)).map((found) => this.#flatKey(kind, found, profile));
    });
  }

  /** A group with what it merges in, each key once. */
  group(node: Node, origin: "group" | "merge" = "group", depth = 0): RuleKey[] {
    this.nodes.assertDepth(depth, node);
    const fields = this.fields(node, "A key group", groupFields);
    const plain = (field: string, kind: RuleKeyKind): RuleKey[] =>
      this.#texts(fields, field)
        .flatMap((found) => (kind === "age" ? this.#split(found, kind) : [found]))
        .map(({ text, node: at }) => this.#key({ kind, id: kind === "pgp" ? withoutBlanks(text) : text, origin }, at));
    const maps = (field: string, known: readonly string[], read: (item: Node, own: Fields) => RuleKey): RuleKey[] =>
      this.items(fields, field).map((item) => read(item, this.fields(item, `An entry of ${field}`, known)));
    return unique([
      ...this.items(fields, "merge").flatMap((item) => this.group(item, "merge", depth + 1)),
      ...plain("age", "age"),
      ...plain("pgp", "pgp"),
      ...maps("kms", ["arn", "role", "context", "aws_profile"], (item, own) =>
        this.#key(
          {
            kind: "kms",
            id: this.text(own, "arn"),
            role: this.text(own, "role") || undefined,
            context: this.#context(own),
            profile: this.text(own, "aws_profile") || undefined,
            origin,
          },
          item,
        ),
      ),
      ...maps("gcp_kms", ["resource_id"], (item, own) =>
        this.#key({ kind: "gcp_kms", id: withoutBlanks(this.text(own, "resource_id")), origin }, item),
      ),
      ...maps("hckms", ["key_id"], (item, own) =>
        this.#key({ kind: "hckms", id: this.text(own, "key_id"), origin }, item),
      ),
      ...maps("azure_keyvault", ["vaultUrl", "key", "version"], (item, own) => {
        const [url, key, version] = ["vaultUrl", "key", "version"].map((name) => this.text(own, name));
        if (!url || !key) throw this.nodes.refuse("An entry of azure_keyvault needs vaultUrl and key", item);
        return this.#key({ kind: "azure_kv", id: [url, "keys", key, version].filter(Boolean).join("/"), origin }, item);
      }),
      ...plain("hc_vault", "hc_vault"),
    ]);
  }

  /** The fields of a map; what SOPS would skip is refused where it is close to a field, and listed as unused otherwise. */
  fields(node: Node, what: string, known: readonly string[]): Fields {
    if (!isMap(node)) throw this.nodes.refuse(`${what} must be a map`, node);
    const fields = this.nodes.entries(node as YAMLMap);
    for (const [name, { key }] of fields) {
      if (known.includes(name)) continue;
      const meant = nearestKey(name, known);
      if (meant !== undefined)
        throw this.nodes.refuse(`${what} has no key ${quoteName(name)}: did you mean ${meant}?`, key);
      this.unused(name, "unknown", key);
    }
    return fields;
  }

  unused(name: string, why: UnusedField["why"], at: Node): void {
    this.#unused.push({ name: quoteName(name).replaceAll('"', ""), why, place: this.#placeOf(at) });
  }

  /** The text of a field, "" where there is none. Numbers and booleans are the text that they are written as. */
  text(fields: Fields, name: string): string {
    const value = fields.get(name)?.value;
    if (value === undefined || isEmptyNode(value)) return "";
    if (!isScalar(value)) throw this.nodes.refuse(`${name} must be a text`, value);
    return String(value.value);
  }

  /** The items of a list; empty ones do not count. */
  items(fields: Fields, name: string): Node[] {
    const value = fields.get(name)?.value;
    if (value === undefined || isEmptyNode(value)) return [];
    if (!isSeq(value)) throw this.nodes.refuse(`${name} must be a list`, value);
    return (value.items as readonly Node[])
      .map((item) => this.nodes.resolve(item))
      .filter((item) => !isEmptyNode(item));
  }

  #texts(fields: Fields, name: string): Found[] {
    return this.items(fields, name).map((node) => {
      if (!isScalar(node)) throw this.nodes.refuse(`${name} must be a list of texts`, node);
      return { text: String(node.value), node };
    });
  }

  /** A text of several keys with commas between, or a list. Here SOPS wants texts that no reader takes for a number. */
  #flatTexts(fields: Fields, name: string): Found[] {
    const value = fields.get(name)?.value;
    if (value === undefined || isEmptyNode(value)) return [];
    const items = isSeq(value) ? (value.items as readonly Node[]) : [value];
    const texts = items.map((item) => {
      const node = this.nodes.resolve(item);
      if (!isText(node))
        throw this.nodes.refuse(`${name} must be a text or a list of texts; put a number into quotes`, node);
      return { text: String(node.value), node };
    });
    if (isSeq(value)) return texts;
    const withoutEmpty = (text: string): string =>
      text
        .split(",")
        .filter((part) => part.trim() !== "")
        .join(",");
    return texts.map(({ text, node }) => ({ text: withoutEmpty(text), node })).filter(({ text }) => text !== "");
  }

  #split({ text, node }: Found, kind: RuleKeyKind): Found[] {
    const parts = text.split(",");
    this.nodes.spend(parts.length, node);
    const isLenient = kind === "hckms" || kind === "hc_vault";
    return parts.map((part) => ({ text: part.trim(), node })).filter((part) => part.text !== "" || !isLenient);
  }

  #flatKey(kind: RuleKeyKind, { text, node }: Found, profile: string | undefined): RuleKey {
    if (kind === "pgp" || kind === "gcp_kms") return this.#key({ kind, id: withoutBlanks(text), origin: "flat" }, node);
    if (kind !== "kms") return this.#key({ kind, id: text, origin: "flat" }, node);
    const [, arn = "", role] = /^(.+?)(?:\+(arn:.*))?$/.exec(withoutBlanks(text)) ?? [];
    return this.#key({ kind, id: arn, role, profile, origin: "flat" }, node);
  }

  #key(
    key: Pick<RuleKey, "kind" | "id" | "origin"> & Partial<Pick<RuleKey, "role" | "context" | "profile">>,
    at: Node,
  ): RuleKey {
    if (key.id === "") throw this.nodes.refuse(`A key of kind ${key.kind} is empty`, at);
    return { role: undefined, context: undefined, profile: undefined, ...key, place: this.#placeOf(at) };
  }

  #context(fields: Fields): ReadonlyMap<string, string> | undefined {
    const value = fields.get("context")?.value;
    if (value === undefined || isEmptyNode(value)) return undefined;
    if (!isMap(value)) throw this.nodes.refuse("context must be a map of texts", value);
    const own = this.nodes.entries(value as YAMLMap);
    return new Map([...own.keys()].map((name) => [name, this.text(own, name)]));
  }

  #placeOf(node: Node): Place {
    return this.nodes.source.placeOf(node.range?.[0] ?? 0);
  }
}

type Fields = ReadonlyMap<string, Entry>;

/** What tells two keys apart for SOPS. */
function unique(keys: readonly RuleKey[]): RuleKey[] {
  const identityOf = ({ kind, id, role, context, profile }: RuleKey): string =>
    JSON.stringify([kind, id, role, [...(context ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)), profile]);
  const seen = new Set<string>();
  return keys.filter((key) => {
    const identity = identityOf(key);
    return !seen.has(identity) && seen.add(identity);
  });
}

const withoutBlanks = (text: string): string => text.replaceAll(" ", "");

function isText(node: Node): node is Node & { readonly value: unknown } {
  if (!isScalar(node)) return false;
  return node.type !== "PLAIN" || node.tag !== undefined || resolveGoScalar(String(node.value)).type === "str";
}
