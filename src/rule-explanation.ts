// A creation rule of .sops.yaml as what a person asks about it: which rule decided and where it stands, who can open the
// file and which line says so, what is encrypted. Only puts into words what was found; prints nothing.
import type { Place } from "./errors.ts";
import type { CreationRule, RuleKey } from "./sops-config.ts";

export interface ExplainedKey {
  readonly kind: RuleKey["kind"];
  readonly id: string;
  /** `role …`, `profile …`, `context k=v`: what else belongs to the key. */
  readonly details: readonly string[];
  /** Where the key was said to belong to the rule, such as "field age of the rule" or "group 2, merged in". */
  readonly from: string;
  readonly place: Place;
}

export interface RuleExplanation {
  /** "creation rule 2", counted from 1. */
  readonly rule: string;
  readonly place: Place;
  /** Why it matched. */
  readonly because: string;
  readonly groups: readonly { readonly keys: readonly ExplainedKey[] }[];
  /** Who is needed to open a file. */
  readonly needed: string;
  /** What is encrypted. */
  readonly selection: string;
  /** What the MAC covers. */
  readonly mac: string;
  /** Fields of the rule that have no effect, with the reason. */
  readonly unused: readonly { readonly text: string; readonly place: Place }[];
}

/** Texts of the file (pattern, ids) are in it as they are: the caller makes them safe for where they are shown. */
export function explainRule(rule: CreationRule): RuleExplanation {
  const { groups, pathRegex, selection } = rule;
  return {
    rule: `creation rule ${rule.index + 1}`,
    place: rule.place,
    because:
      pathRegex === ""
        ? "it has no path_regex, so it matches every path that no rule before it matches"
        : `its path_regex is the first that matches: ${pathRegex}`,
    groups: groups.map((keys, index) => ({ keys: keys.map((key) => explainKey(key, index + 1)) })),
    needed: neededOf(rule),
    selection: explainSelection(selection),
    mac: rule.macOnlyEncrypted ? "covers encrypted values only" : "covers every value",
    unused: rule.unused.map(({ name, why, place }) => ({ text: `${name} ${unusedTexts[why]}`, place })),
  };
}

/** What a selection rule encrypts; null: SOPS' default. */
export function explainSelection(rule: CreationRule["selection"]): string {
  return rule === null
    ? "every value but those under a key that ends in _unencrypted (SOPS' default)"
    : selectionTexts[rule.name](rule.pattern);
}

const fieldNames: Readonly<Record<RuleKey["kind"], string>> = {
  age: "age",
  pgp: "pgp",
  kms: "kms",
  gcp_kms: "gcp_kms",
  hckms: "hckms",
  azure_kv: "azure_keyvault",
  hc_vault: "hc_vault_transit_uri",
};

function explainKey({ kind, id, role, context, profile, origin, place }: RuleKey, group: number): ExplainedKey {
  const details = [
    role === undefined ? "" : `role ${role}`,
    profile === undefined ? "" : `profile ${profile}`,
    ...[...(context ?? [])].map(([name, value]) => `context ${name}=${value}`),
  ].filter((detail) => detail !== "");
  const from =
    origin === "flat"
      ? `field ${fieldNames[kind]} of the rule`
      : `key group ${group}${origin === "merge" ? ", merged in" : ""}`;
  return { kind, id, details, from, place };
}

function neededOf({ groups, shamirThreshold }: CreationRule): string {
  if (groups.flat().length === 0) return "nobody: the rule names no key";
  if (groups.length < 2) return "any one of the keys";
  const needed = shamirThreshold === 0 ? groups.length : shamirThreshold;
  return `one key of each of ${needed} of the ${groups.length} key groups`;
}

const selectionTexts: Readonly<Record<NonNullable<CreationRule["selection"]>["name"], (pattern: string) => string>> = {
  unencrypted_suffix: (pattern) => `every value but those under a key that ends in ${pattern} (unencrypted_suffix)`,
  encrypted_suffix: (pattern) => `only values under a key that ends in ${pattern} (encrypted_suffix)`,
  unencrypted_regex: (pattern) => `every value but those under a key that matches ${pattern} (unencrypted_regex)`,
  encrypted_regex: (pattern) => `only values under a key that matches ${pattern} (encrypted_regex)`,
  unencrypted_comment_regex: (pattern) =>
    `every value but those below a comment that matches ${pattern} (unencrypted_comment_regex)`,
  encrypted_comment_regex: (pattern) => `only values below a comment that matches ${pattern} (encrypted_comment_regex)`,
};

const unusedTexts: Readonly<Record<CreationRule["unused"][number]["why"], string>> = {
  unknown: "is no field of .sops.yaml and has no effect",
  "not-used": "has no effect here",
  overridden: "has no effect, because the rule has key_groups",
};
