// Reads .sops.yaml and says which creation rule SOPS would take for a path. Opens no file and looks for none; whether the
// keys of a rule are keys, and can be used, is for whoever encrypts to say.
import type { Node } from "yaml";
import { type Place, SealwardError } from "./errors.ts";
import { resolveGoScalar } from "./go-scalar.ts";
import { isEmptyNode } from "./manifest.ts";
import { nearestKey } from "./near-key.ts";
import { flatKeyFields, type RuleKey, RuleKeyReader, type UnusedField } from "./sops-rule-keys.ts";
import { AliasReader, type Entry } from "./yaml-alias.ts";
import { isScalar, maxDocumentBytes, parseYamlStream, type YamlSource } from "./yaml-source.ts";

export type { RuleKey, UnusedField } from "./sops-rule-keys.ts";

export type SelectionField =
  | "unencrypted_suffix"
  | "encrypted_suffix"
  | "unencrypted_regex"
  | "encrypted_regex"
  | "unencrypted_comment_regex"
  | "encrypted_comment_regex";

export interface RuleSelection {
  readonly name: SelectionField;
  readonly pattern: string;
}

/** A creation rule as it stands in the file. */
export interface WrittenRule {
  /** From 0, as SOPS counts: empty items are left out. */
  readonly index: number;
  readonly place: Place;
  /** "" matches every path. */
  readonly pathRegex: string;
  readonly pathRegexPlace: Place;
  /** One group of the flat fields, which may be empty, or the key groups: each in the order in which SOPS writes it. */
  readonly groups: readonly (readonly RuleKey[])[];
  /** True where the groups are key groups, and the flat fields of the rule have no effect. */
  readonly hasKeyGroups: boolean;
  /** 0 where none is given: every group is needed. */
  readonly shamirThreshold: number;
  /** More than one is an error as soon as the rule is used. */
  readonly selections: readonly (RuleSelection & { readonly place: Place })[];
  readonly macOnlyEncrypted: boolean;
  readonly unused: readonly UnusedField[];
}

/** The rule that was found for a path. */
export interface CreationRule extends Omit<WrittenRule, "selections" | "pathRegexPlace"> {
  /** Null: SOPS' default, `unencrypted_suffix` with `_unencrypted`. */
  readonly selection: RuleSelection | null;
}

export interface SopsConfig {
  readonly file: string;
  /** Null where the file has no creation_rules: for encrypting, it is as if it were not there. Empty: nothing matches. */
  readonly rules: readonly WrittenRule[] | null;
  /** Outside the rules: destination_rules and stores, which have no effect here, and unknown keys that hold no anchor. */
  readonly unused: readonly UnusedField[];
}

const selectionFields: readonly SelectionField[] = [
  "unencrypted_suffix",
  "encrypted_suffix",
  "unencrypted_regex",
  "encrypted_regex",
  "unencrypted_comment_regex",
  "encrypted_comment_regex",
];
const fileFields = ["creation_rules", "destination_rules", "stores"];
const ruleFields = [
  "path_regex",
  ...flatKeyFields,
  "key_groups",
  "shamir_threshold",
  ...selectionFields,
  "mac_only_encrypted",
];
/** What Go's YAML takes for a boolean where it expects one, besides `true` and `false`, quoted or not. */
const oldTrue = /^(?:[yY]|yes|Yes|YES|on|On|ON)$/;
const oldFalse = /^(?:[nN]|no|No|NO|off|Off|OFF)$/;

/**
 * Reads a whole .sops.yaml, with anchors, aliases and merge keys. An unknown key that is close to a known one is refused:
 * SOPS skips it, and the rule means something else than it says. Any other unknown key is listed as unused.
 * @throws config-invalid with file, line and column
 */
export function parseSopsConfig(text: string, file: string): SopsConfig {
  const source = sourceOf(text, file);
  if (source === null) return { file, rules: null, unused: [] };
  const nodes = new AliasReader(source);
  const unused: UnusedField[] = [];
  const reader = new RuleKeyReader(nodes, unused);
  const fields = nodes.entries(source.root);
  for (const [name, { key, value }] of fields) {
    if (name === "creation_rules") continue;
    const meant = fileFields.includes(name) ? undefined : nearestKey(name, fileFields);
    if (meant !== undefined) throw nodes.refuse(`.sops.yaml has a key close to ${meant}: did you mean that?`, key);
    if (fileFields.includes(name)) reader.unused(name, "not-used", key);
    else if (!holdsAnchor(source, value)) reader.unused(name, "unknown", key);
  }
  const listed = fields.get("creation_rules")?.value;
  if (listed === undefined || isEmptyNode(listed)) return { file, rules: null, unused };
  const rules = reader.items(fields, "creation_rules").map((node, index) => readRule(nodes, node, index));
  return { file, rules, unused };
}

/**
 * The rule that SOPS would take for a path, or null where none matches. `path` is the file's path with forward slashes: below
 * the folder of the config relative to it, elsewhere absolute. The caller looks at `rules` first: without creation_rules
 * there is nothing to match, and no reason to complain.
 * @throws pattern-invalid for a path_regex on the way that is no RE2 expression; config-invalid where the rule has more
 *   than one selection field; both with file, line and column
 */
export async function findCreationRule(config: SopsConfig, path: string): Promise<CreationRule | null> {
  for (const rule of config.rules ?? []) {
    if (rule.pathRegex === "" || (await matches(rule, path))) return chosen(rule);
  }
  return null;
}

function chosen({ selections, pathRegexPlace: _, ...rule }: WrittenRule): CreationRule {
  const [first, second] = selections;
  if (second !== undefined)
    throw new SealwardError(
      "config-invalid",
      `A creation rule has one selection field at most, found ${selections.map(({ name }) => name).join(" and ")}`,
      second.place,
    );
  return { ...rule, selection: first === undefined ? null : { name: first.name, pattern: first.pattern } };
}

async function matches(rule: WrittenRule, path: string): Promise<boolean> {
  const { RE2JS } = await import("re2js");
  const compiled = (() => {
    try {
      return RE2JS.compile(rule.pathRegex);
    } catch {
      throw new SealwardError(
        "pattern-invalid",
        "The path_regex of this creation rule is not a valid RE2 expression",
        rule.pathRegexPlace,
      );
    }
  })();
  return compiled.matcher(path).find();
}

/** Null for a file without content. For .sops.yaml the one code says more than which rule of YAML it broke. */
function sourceOf(text: string, file: string): YamlSource | null {
  try {
    const [first, second] = parseYamlStream(text, { file, maxBytes: maxDocumentBytes });
    if (second !== undefined)
      throw second.refusal("config-invalid", "The file holds several documents, of which SOPS reads one", second.root);
    return first ?? null;
  } catch (error) {
    if (error instanceof SealwardError)
      throw new SealwardError("config-invalid", error.message, { file, line: error.line, column: error.column });
    throw error;
  }
}

function readRule(nodes: AliasReader, node: Node, index: number): WrittenRule {
  const unused: UnusedField[] = [];
  const reader = new RuleKeyReader(nodes, unused);
  const fields = reader.fields(node, "A creation rule", ruleFields);
  const placeOf = (at: Node | undefined): Place => nodes.source.placeOf((at ?? node).range?.[0] ?? 0);
  const grouped = reader.items(fields, "key_groups").map((group) => reader.group(group));
  const flat = reader.flatGroup(fields);
  const hasKeyGroups = grouped.length > 0;
  for (const name of hasKeyGroups ? flatKeyFields : []) {
    const entry = fields.get(name);
    if (entry !== undefined && !isEmptyNode(entry.value)) reader.unused(name, "overridden", entry.key);
  }
  return {
    index,
    place: placeOf(node),
    pathRegex: reader.text(fields, "path_regex"),
    pathRegexPlace: placeOf(fields.get("path_regex")?.value),
    groups: hasKeyGroups ? grouped : [flat],
    hasKeyGroups,
    shamirThreshold: readThreshold(nodes, fields.get("shamir_threshold")),
    selections: selectionFields
      .map((name) => ({ name, pattern: reader.text(fields, name), place: placeOf(fields.get(name)?.key) }))
      .filter(({ pattern }) => pattern !== ""),
    macOnlyEncrypted: readFlag(nodes, fields.get("mac_only_encrypted")),
    unused,
  };
}

function readThreshold(nodes: AliasReader, entry: Entry | undefined): number {
  if (entry === undefined || isEmptyNode(entry.value)) return 0;
  const { value } = entry;
  const number = isScalar(value) && value.type === "PLAIN" ? resolveGoScalar(String(value.value)) : null;
  const threshold = number?.type === "int" ? Number(number.bytes) : Number.NaN;
  if (!(threshold >= 0 && threshold <= 255))
    throw nodes.refuse("shamir_threshold must be the number of key groups that are needed", value);
  return threshold;
}

function readFlag(nodes: AliasReader, entry: Entry | undefined): boolean {
  if (entry === undefined || isEmptyNode(entry.value)) return false;
  const { value } = entry;
  const text = isScalar(value) ? String(value.value) : "";
  const typed = isScalar(value) && value.type === "PLAIN" ? resolveGoScalar(text) : null;
  if (typed?.type === "bool") return typed.bytes === "True";
  if (oldTrue.test(text)) return true;
  if (oldFalse.test(text)) return false;
  throw nodes.refuse("mac_only_encrypted must be true or false", value);
}

/** A key that holds what rules refer to, as many files have one, is not worth a word. */
function holdsAnchor(source: YamlSource, value: Node): boolean {
  const [start = 0, end = 0] = value.range ?? [];
  // The text before a node is where its own anchor stands.
  const before = source.text.slice(source.text.lastIndexOf("\n", start) + 1, start);
  return /(?:^|[\s[{,:-])&[^\s,[\]{}]/.test(before + source.text.slice(start, end));
}
