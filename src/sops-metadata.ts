// What the `sops` block of a file means, whichever store it came from: recipients of every kind, selection rule, MAC. Keeps
// the block as it was read, so that what is not understood is written back. Format: docs/format.md.
import type { SealwardError } from "./errors.ts";
import type { EncryptionContext } from "./kms.ts";
import { type SelectionRule, selectionRules } from "./selection.ts";
import type { Metadata, MetadataValue } from "./store.ts";

/** The release whose format we write; readers need three numbers. */
export const sopsVersion = "3.13.3";

export interface AgeEntry {
  readonly recipient: string;
  readonly enc: string;
}

/** What it says of a role, a profile or an endpoint is for other tools: nothing of it is used here. */
export interface KmsEntry {
  readonly arn: string;
  /** The CiphertextBlob in standard base64. */
  readonly enc: string;
  /** Empty where the entry has none. A claim: whoever opens the file sends what it works out itself. */
  readonly context: EncryptionContext;
  /** The entry as it was read or is to be written. */
  readonly raw: Metadata;
}

/** The entries of one key group that we can use. */
export interface UsableEntries {
  readonly age: readonly AgeEntry[];
  readonly kms: readonly KmsEntry[];
}

/** Any entry that could open the file, of whatever kind, key groups included. */
export interface RecipientEntry {
  readonly kind: string;
  readonly id: string;
}

/** One key group: its entries in SOPS' order. A file without groups has one. */
export interface KeyGroup extends UsableEntries {
  readonly recipients: readonly RecipientEntry[];
}

export interface SopsMetadata {
  /** The block as it was read. */
  readonly raw: Metadata;
  readonly groups: readonly KeyGroup[];
  /** How many groups open the file; with one group, one. */
  readonly threshold: number;
  readonly hasKeyGroups: boolean;
  /** age entries of all groups. */
  readonly age: readonly AgeEntry[];
  /** KMS entries of all groups. */
  readonly kms: readonly KmsEntry[];
  /** Entries of all groups. */
  readonly recipients: readonly RecipientEntry[];
  readonly rule: SelectionRule | null;
  readonly onlyEncrypted: boolean;
  /** RFC 3339, as the MAC's additional data has it. */
  readonly lastModified: string;
  /** When the data key was made, as the file claims: nothing confirms it. Null where it says nothing that is a time. */
  readonly keyMade: string | null;
  readonly mac: string;
}

/** What names an entry of each kind, in the order in which SOPS tries them. */
export const identifyingKeys: Readonly<Record<string, string>> = {
  kms: "arn",
  gcp_kms: "resource_id",
  hckms: "key_id",
  azure_kv: "vault_url",
  hc_vault: "vault_address",
  pgp: "fp",
  age: "recipient",
};
/** Where our own keys in the block begin; a sealer's signature is one. */
const ownPrefix = "sealward";
/** Says when the data key was made. SOPS ignores it and drops it when it rewrites the file. */
const keyMadeKey = `${ownPrefix}_created`;
const rfc3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** For a refusal that points at the block. */
export type Refuse = (message: string) => SealwardError;

/** @throws sops-metadata-invalid */
export function readSopsMetadata(raw: Metadata, refuse: Refuse): SopsMetadata {
  assertSpelling(raw, refuse);
  const rules = selectionRules.filter((name) => textAt(raw, name) !== "");
  const [name] = rules;
  if (rules.length > 1) throw refuse(`The sops block has two selection rules, ${rules.join(" and ")}; one is allowed`);
  const lastModified = canonicalTime(textAt(raw, "lastmodified"));
  if (lastModified === null) throw refuse("The sops block has no valid lastmodified time");
  if (!/^\d+\.\d+\.\d+/.test(textAt(raw, "version"))) throw refuse("The sops block has no valid version");
  const onlyEncrypted = String(raw.get("mac_only_encrypted") ?? false);
  if (onlyEncrypted !== "true" && onlyEncrypted !== "false")
    throw refuse("mac_only_encrypted in the sops block must be true or false");
  const own = groupOf(raw, refuse);
  const listed = entriesOf(raw, "key_groups", refuse).map((group) => groupOf(group, refuse));
  // SOPS looks at no group where the block itself lists a key; the gate looks at all of them.
  const groups = own.recipients.length > 0 || listed.length === 0 ? [own] : listed;
  const all = [own, ...listed];
  return {
    raw,
    groups,
    threshold: groups.length === 1 ? 1 : thresholdOf(raw, groups.length, refuse),
    hasKeyGroups: listed.length > 0,
    age: all.flatMap(({ age }) => age),
    kms: all.flatMap(({ kms }) => kms),
    recipients: all.flatMap(({ recipients }) => recipients),
    rule: name === undefined ? null : { name, pattern: textAt(raw, name) },
    onlyEncrypted: onlyEncrypted === "true",
    lastModified,
    keyMade: canonicalTime(textAt(raw, keyMadeKey)) ?? earliest(all.flatMap(({ kms }) => kms)),
    mac: textAt(raw, "mac"),
  };
}

/** An entry may be younger than the data key it wraps, as that of a recipient who came later, but never older. */
function earliest(kms: readonly KmsEntry[]): string | null {
  const times = kms.flatMap(({ raw }) => canonicalTime(textAt(raw, "created_at")) ?? []);
  return times.sort((a, b) => Date.parse(a) - Date.parse(b))[0] ?? null;
}

function groupOf(map: Metadata, refuse: Refuse): KeyGroup {
  return {
    age: entriesOf(map, "age", refuse).map((entry) => ({
      recipient: textAt(entry, "recipient"),
      enc: textAt(entry, "enc"),
    })),
    kms: entriesOf(map, "kms", refuse).map((entry) => ({
      arn: textAt(entry, "arn"),
      enc: textAt(entry, "enc"),
      context: contextAt(entry, refuse),
      raw: entry,
    })),
    recipients: Object.entries(identifyingKeys).flatMap(([kind, key]) =>
      entriesOf(map, kind, refuse).map((entry) => ({ kind, id: textAt(entry, key) || "(unnamed)" })),
    ),
  };
}

/** A number could have been written in more ways than one, and only one of them is the text that KMS was given. */
function contextAt(entry: Metadata, refuse: Refuse): EncryptionContext {
  const value = entry.get("context") ?? new Map();
  if (!(value instanceof Map)) throw refuse("The encryption context of a KMS entry must be a map");
  const pairs = [...(value as Metadata)].map(([name, text]): [string, string] => {
    if (typeof text !== "string") throw refuse("The encryption context of a KMS entry must hold texts, in quotes");
    return [name, text];
  });
  return Object.fromEntries(pairs);
}

/** Zero and none mean all of them; one of several would be no secret sharing. */
function thresholdOf(raw: Metadata, count: number, refuse: Refuse): number {
  const stated = Number(raw.get("shamir_threshold") ?? 0);
  if (stated === 0) return count;
  if (!Number.isInteger(stated) || stated < 2 || stated > count)
    throw refuse(`shamir_threshold in the sops block must be between 2 and the number of key groups, ${count}`);
  return stated;
}

/** Keys that hold a list or a map and mean nothing to us: to another reader they may be recipients. */
export function unknownCollection(raw: Metadata): string | undefined {
  for (const [name, value] of raw) {
    if (Object.hasOwn(identifyingKeys, name) || name === "key_groups" || name.startsWith(ownPrefix)) continue;
    if (typeof value === "object" && value !== null) return name;
  }
  return undefined;
}

/** SOPS matches these keys whatever their case: `KMS` is a recipient for it and must not be an unknown key for us. */
function assertSpelling(map: Metadata, refuse: Refuse): void {
  for (const name of map.keys()) {
    // Folded as Go folds: "K" (Kelvin sign) and "ſ" (long s) are letters of a key as well.
    if (name.toUpperCase().toLowerCase() !== name) throw refuse("The keys of the sops block are written in lower case");
  }
}

/** The maps of a list. Whatever else stands there is refused: an entry that one reader skips must not pass the gate. */
export function entriesOf(map: Metadata, key: string, refuse: Refuse): Metadata[] {
  const value = map.get(key);
  if (value === undefined || value === null) return [];
  const items: readonly MetadataValue[] = isList(value) ? value : [value];
  return items.map((item) => {
    if (!isList(value) || !(item instanceof Map)) throw refuse(`${key} in the sops block must be a list of entries`);
    assertSpelling(item, refuse);
    return item;
  });
}

function isList(value: MetadataValue): value is readonly MetadataValue[] {
  return Array.isArray(value);
}

function textAt(map: Metadata, key: string): string {
  const value = map.get(key);
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
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

/** What a fresh block says beside its recipients. */
export interface NewMetadata {
  /** One group stands in the block itself. */
  readonly groups: readonly UsableEntries[];
  /** Of the groups; unused with one. 0 or absent: all of them. */
  readonly threshold?: number | undefined;
  /** Null for the binary store, which has none. */
  readonly rule: SelectionRule | null;
  readonly onlyEncrypted?: boolean | undefined;
  readonly lastModified: string;
  /** When the data key was made, where that is known: now, for a new one. */
  readonly keyMade: string | null;
  readonly mac: string;
}

/** The block under another data key than it had. It stands before `version`, which closes the block. */
export function withKeyMade(metadata: Metadata, time: string): Metadata {
  const others = [...metadata].filter(([key]) => key !== keyMadeKey);
  const at = others.findIndex(([key]) => key === "version");
  others.splice(at < 0 ? others.length : at, 0, [keyMadeKey, time]);
  return new Map(others);
}

/** A fresh block with the keys that SOPS 3.13 writes, in its order. */
export function newMetadata(options: NewMetadata): Metadata {
  const { groups, threshold = 0, rule, onlyEncrypted = false, lastModified, keyMade, mac } = options;
  const [only, ...more] = groups;
  const entries: [string, MetadataValue][] = [
    ["lastmodified", lastModified],
    ["mac", mac],
    ["version", sopsVersion],
    ...(keyMade === null ? [] : [[keyMadeKey, keyMade] as [string, string]]),
    ...(rule === null ? [] : [[rule.name, rule.pattern] as [string, string]]),
    ...(onlyEncrypted ? [["mac_only_encrypted", true] as [string, boolean]] : []),
    ...(more.length === 0
      ? entryLists(only ?? { age: [], kms: [] })
      : [
          ["key_groups", groupLists(groups)] as [string, MetadataValue],
          ...(threshold > 0 ? [["shamir_threshold", threshold] as [string, number]] : []),
        ]),
  ];
  return new Map(entries.sort(byName));
}

const byName = ([a]: readonly [string, MetadataValue], [b]: readonly [string, MetadataValue]): number =>
  a < b ? -1 : 1;

/** `kms` and `age`, each where it has entries; `age` also where nothing has. */
export function entryLists({ age, kms }: UsableEntries): [string, MetadataValue][] {
  return [
    ...(age.length > 0 || kms.length === 0 ? [["age", ageEntries(age)] as [string, MetadataValue]] : []),
    ...(kms.length > 0 ? [["kms", kms.map(({ raw }) => raw)] as [string, MetadataValue]] : []),
  ];
}

/** Key groups as SOPS writes them. */
export function groupLists(groups: readonly UsableEntries[]): MetadataValue[] {
  return groups.map(
    (group) => new Map([...entryLists(group), ["hc_vault", []] as [string, MetadataValue]].sort(byName)),
  );
}

function ageEntries(entries: readonly AgeEntry[]): MetadataValue[] {
  return entries.map(
    ({ recipient, enc }) =>
      new Map([
        ["enc", enc],
        ["recipient", recipient],
      ]),
  );
}

/** What a fresh KMS entry says beside the wrapped key. */
export interface NewKmsEntry {
  readonly arn: string;
  readonly enc: string;
  readonly context: EncryptionContext;
  readonly createdAt: Date;
  /** For other tools; not used here. */
  readonly role?: string | undefined;
  readonly profile?: string | undefined;
}

/** An entry with the keys that SOPS writes, in its order. The context's names are sorted, as Go sorts them. */
export function newKmsEntry({ arn, enc, context, createdAt, role, profile = "" }: NewKmsEntry): KmsEntry {
  const pairs = Object.entries(context).sort(byName);
  const raw = new Map<string, MetadataValue>([
    ["arn", arn],
    ["aws_profile", profile],
    ...(pairs.length === 0 ? [] : [["context", new Map(pairs)] as [string, MetadataValue]]),
    ["created_at", formatTime(createdAt)],
    ["enc", enc],
    ...(role === undefined ? [] : [["role", role] as [string, string]]),
  ]);
  return { arn, enc, context, raw };
}
