// The `sops:` block of a YAML file: read into what we act on, and written as SOPS 3.13 writes it.
// Format: docs/format.md. Reads recipients of every kind, because the gate must see all of them; opens only age.
import { type Node, type Scalar, visit, type YAMLMap } from "yaml";
import { resolveGoScalar } from "./go-scalar.ts";
import type { Selection } from "./sops-tree.ts";
import { isAlias, isMap, isScalar, isSeq, pairsOf, type YamlSource } from "./yaml-source.ts";

/** The release whose format we write; readers need three numbers. */
export const sopsVersion = "3.13.3";

export interface AgeEntry {
  readonly recipient: string;
  readonly enc: string;
}

/** Any entry that could open the file, of whatever kind, key groups included. */
export interface RecipientEntry {
  readonly kind: string;
  readonly id: string;
}

export interface SelectionRule {
  readonly name: "unencrypted_suffix" | "encrypted_suffix" | "unencrypted_regex" | "encrypted_regex";
  readonly pattern: string;
}

export interface SopsMetadata {
  readonly block: YAMLMap;
  readonly age: readonly AgeEntry[];
  readonly recipients: readonly RecipientEntry[];
  readonly hasKeyGroups: boolean;
  readonly rule: SelectionRule | null;
  readonly onlyEncrypted: boolean;
  /** RFC 3339, as the MAC's additional data has it. */
  readonly lastModified: string;
  readonly mac: string;
}

/** What names an entry of each kind. */
const identifyingKey: Readonly<Record<string, string>> = {
  age: "recipient",
  kms: "arn",
  gcp_kms: "resource_id",
  azure_kv: "vault_url",
  hc_vault: "vault_address",
  hckms: "key_id",
  pgp: "fp",
};
/** Where our own keys in the block begin; a sealer's signature is one. */
const signaturePrefix = "sealward";
const ruleNames = ["unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex"] as const;
const commentRules = ["unencrypted_comment_regex", "encrypted_comment_regex"];
const rfc3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** The block, or null where the file has none. */
export function sopsBlockOf(source: YamlSource): YAMLMap | null {
  const value = source.root.get("sops");
  return isMap(value) ? (value as YAMLMap) : null;
}

/** @throws not-sealed, sops-metadata-invalid, sops-unsupported */
export function readSopsMetadata(source: YamlSource): SopsMetadata {
  const block = sopsBlockOf(source);
  if (block === null) throw source.refusal("not-sealed", "The file has no sops block: it is not sealed");
  const invalid = (message: string, at?: Node) => source.refusal("sops-metadata-invalid", message, at ?? block);
  assertLiteral(source, block);
  assertSpelling(source, block);
  for (const name of commentRules) {
    if (textAt(block, name) !== "")
      throw source.refusal("sops-unsupported", `Selection by ${name} is not supported yet`, block);
  }
  const rules = ruleNames.filter((name) => textAt(block, name) !== "");
  if (rules.length > 1) throw invalid(`The sops block has two selection rules, ${rules.join(" and ")}; one is allowed`);
  const lastModified = canonicalTime(textAt(block, "lastmodified"));
  if (lastModified === null) throw invalid("The sops block has no valid lastmodified time");
  if (!/^\d+\.\d+\.\d+/.test(textAt(block, "version"))) throw invalid("The sops block has no valid version");
  const onlyEncrypted = textAt(block, "mac_only_encrypted");
  if (block.has("mac_only_encrypted") && onlyEncrypted !== "true" && onlyEncrypted !== "false")
    throw invalid("mac_only_encrypted in the sops block must be true or false");
  const groups = entriesOf(source, block, "key_groups");
  const age = entriesOf(source, block, "age").map((entry) => ({
    recipient: textAt(entry, "recipient"),
    enc: textAt(entry, "enc"),
  }));
  return {
    block,
    age,
    recipients: [block, ...groups].flatMap((group) => recipientsOf(source, group)),
    hasKeyGroups: groups.length > 0,
    rule: rules[0] === undefined ? null : { name: rules[0], pattern: textAt(block, rules[0]) },
    onlyEncrypted: onlyEncrypted === "true",
    lastModified,
    mac: textAt(block, "mac"),
  };
}

/** Anchors, aliases, tags and merge keys are expanded by SOPS: an entry could stand there that the gate does not see. */
function assertLiteral(source: YamlSource, block: YAMLMap): void {
  visit(block, {
    Node(_, node) {
      if (isAlias(node) || node.anchor !== undefined || node.tag !== undefined)
        throw source.refusal(
          "sops-metadata-invalid",
          "Anchors, aliases and tags are not allowed in the sops block",
          node,
        );
    },
    Pair(_, { key }) {
      if (isScalar(key) && key.value === "<<")
        throw source.refusal("sops-metadata-invalid", "A merge key is not allowed in the sops block", key);
    },
  });
}

/** Keys that hold a list or a map and mean nothing to us: to another reader they may be recipients. */
export function unknownCollection(block: YAMLMap): string | undefined {
  return pairsOf(block).find(
    ([name, { value }]) =>
      (isMap(value) || isSeq(value)) &&
      !Object.hasOwn(identifyingKey, name) &&
      name !== "key_groups" &&
      !name.startsWith(signaturePrefix),
  )?.[0];
}

/** SOPS matches these keys whatever their case: `KMS` is a recipient for it and must not be an unknown key for us. */
function assertSpelling(source: YamlSource, map: YAMLMap): void {
  for (const { key } of map.items) {
    const name = isScalar(key) ? String(key.value) : "";
    // Folded as Go folds: "K" (Kelvin sign) and "ſ" (long s) are letters of a key as well.
    if (name.toUpperCase().toLowerCase() !== name)
      throw source.refusal(
        "sops-metadata-invalid",
        "The keys of the sops block are written in lower case",
        key as Node,
      );
  }
}

function recipientsOf(source: YamlSource, group: YAMLMap): RecipientEntry[] {
  return Object.entries(identifyingKey).flatMap(([kind, key]) =>
    entriesOf(source, group, kind).map((entry) => ({ kind, id: textAt(entry, key) || "(unnamed)" })),
  );
}

/** The maps of a list. Whatever else stands there is refused: an entry that one reader skips must not pass the gate. */
function entriesOf(source: YamlSource, map: YAMLMap, key: string): YAMLMap[] {
  const value: unknown = map.get(key, true);
  if (value === undefined || (isScalar(value) && resolveGoScalar(String(value.value)).type === "null")) return [];
  const items: readonly unknown[] = isSeq(value) ? value.items : [value];
  return items.map((item) => {
    if (!isSeq(value) || !isMap(item))
      throw source.refusal("sops-metadata-invalid", `${key} in the sops block must be a list of entries`, map);
    assertSpelling(source, item as YAMLMap);
    return item as YAMLMap;
  });
}

function textAt(map: YAMLMap, key: string): string {
  const value: unknown = map.get(key, true);
  return isScalar(value) && typeof value.value === "string" ? value.value : "";
}

/** The scalar node of a key of the block, for editing in place. */
export function metadataNode(block: YAMLMap, key: string): Scalar | null {
  const value: unknown = block.get(key, true);
  return isScalar(value) ? value : null;
}

/** Go's RFC 3339 form of a time as read: fractions dropped, a zero offset written `Z`; null where it is none. */
export function canonicalTime(text: string): string | null {
  const match = rfc3339.exec(text);
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}Z`);
  if (match === null || Number.isNaN(time) || Number.isNaN(Date.parse(text))) return null;
  // Date.parse takes 31 June and 24:00 for the day after; Go takes them for no time at all.
  if (new Date(time).toISOString().slice(0, 19) !== match[1]) return null;
  const zone = match[2] === "+00:00" || match[2] === "-00:00" ? "Z" : match[2];
  return `${match[1]}${zone}`;
}

/** A time as SOPS writes it: UTC, whole seconds. */
export function formatTime(now: Date): string {
  return `${now.toISOString().slice(0, 19)}Z`;
}

/** What a new sealed file's block holds. The MAC is spliced in last, over the finished file. */
export interface NewMetadata {
  readonly age: readonly AgeEntry[];
  readonly encryptedRegex: string;
  readonly lastModified: string;
  readonly mac: string;
}

/** The lines of a `sops:` block with SOPS' own indentation, key order and quoting; Flux looks for the bytes `mac: ENC[`. */
export function formatSopsBlock({ age, encryptedRegex, lastModified, mac }: NewMetadata): string[] {
  return [
    "sops:",
    "    age:",
    ...formatAgeEntries(age, "        "),
    `    encrypted_regex: ${encryptedRegex}`,
    `    lastmodified: "${lastModified}"`,
    `    mac: ${mac}`,
    `    version: ${sopsVersion}`,
  ];
}

/** The items of the age list, each line under `indent`. */
export function formatAgeEntries(age: readonly AgeEntry[], indent: string): string[] {
  return age.flatMap(({ recipient, enc }) => [
    `${indent}- enc: |`,
    ...enc
      .trimEnd()
      .split("\n")
      .map((line) => `${indent}    ${line}`),
    `${indent}  recipient: ${recipient}`,
  ]);
}

const alternation = /^\^\(((?:[\w/-]|\\\.)+(?:\|(?:[\w/-]|\\\.)+)*)\)\$$/;

/**
 * The predicate of a rule. A regular expression matches any one component of the path, unanchored, with Go's RE2 meaning.
 * `^(a|b)$` over literal names, which is what manifests use, is compared as text; everything else goes through RE2.
 */
export async function compileSelection(source: YamlSource, rule: SelectionRule | null): Promise<Selection> {
  const { name, pattern } = rule ?? { name: "unencrypted_suffix", pattern: "_unencrypted" };
  const matches = name.endsWith("suffix")
    ? (component: string) => component.endsWith(pattern)
    : await compilePattern(source, pattern);
  const encrypts = name.startsWith("encrypted");
  return (path) => path.some(matches) === encrypts;
}

async function compilePattern(source: YamlSource, pattern: string): Promise<(component: string) => boolean> {
  const literal = alternation.exec(pattern);
  if (literal !== null) {
    const names = new Set((literal[1] ?? "").split("|").map((part) => part.replaceAll("\\.", ".")));
    return (component) => names.has(component);
  }
  const { RE2JS } = await import("re2js");
  try {
    const compiled = RE2JS.compile(pattern);
    return (component) => compiled.matcher(component).find();
  } catch {
    // SOPS takes a pattern that does not compile for one that matches nothing, and leaves the file in the clear.
    throw source.refusal(
      "sops-metadata-invalid",
      "The selection pattern of the sops block is not a valid RE2 expression",
    );
  }
}
