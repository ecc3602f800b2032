// Changes a SOPS file of any store: one value, the whole text, the recipients, or the data key. What does not change keeps
// its text, IV included; entries of kinds that we cannot use are kept, or the change is refused with their names.
import type { KeyObject } from "node:crypto";
import { isSameRecipient } from "./age-keys.ts";
import {
  type Identity,
  newDataKey,
  printableId,
  type Recipient,
  type Recipients,
  type UnwrapOptions,
  withKeyBytes,
  wrapForGroups,
} from "./data-key.ts";
import { SealwardError } from "./errors.ts";
import { isSameContext, type Kms } from "./kms.ts";
import { clearBytes, clearFile, type OpenedFile, openFile, openWith } from "./sops-file.ts";
import {
  type AgeEntry,
  entryLists,
  formatTime,
  groupLists,
  type KmsEntry,
  type SopsMetadata,
  type UsableEntries,
  withKeyMade,
} from "./sops-metadata.ts";
import { encryptFile, type Previous, type SealedFile } from "./sops-seal.ts";
import { entriesOf, macOf, type OpenedLeaf, sealMac } from "./sops-tree.ts";
import { encryptValue } from "./sops-value.ts";
import { keptSpellings, nameOf, PathCounter, spellingKey, withSpellings } from "./spelling.ts";
import type { CommentItem, Leaf, Metadata, MetadataValue, Pair, Replacement, StoreFile, Value } from "./store.ts";

export type Path = readonly (string | number)[];

export interface ChangeOptions {
  readonly identities: readonly Identity[];
  readonly namedOnly?: boolean | undefined;
  readonly contextOf?: UnwrapOptions["contextOf"];
  /** Needed where something has to be wrapped for a KMS key. */
  readonly kms?: Kms | undefined;
  readonly now: Date;
  readonly ignoreMac?: boolean | undefined;
}

/**
 * Sets one value of the (first document of the) file, which may be new. Whether it is encrypted is for the file's rule to say.
 * @throws path-missing, and what opening throws
 */
export async function setInFile(file: StoreFile, path: Path, value: Value, options: ChangeOptions): Promise<string> {
  const opened = await openFile(file, options);
  if (holdsAlready(opened, path, value)) return file.text;
  return rewritten(opened, (encrypted) => file.set(path, encrypted(value, path)), options);
}

/** Removes one value. @throws path-missing, and what opening throws */
export async function unsetInFile(file: StoreFile, path: Path, options: ChangeOptions): Promise<string> {
  const opened = await openFile(file, options);
  return rewritten(opened, () => file.unset(path), options);
}

/** True where the path has this very scalar: nothing is to be written then. */
function holdsAlready({ leaves }: OpenedFile, path: Path, value: Value): boolean {
  if (value.kind !== "leaf" || path.some((key) => typeof key === "number")) return false;
  const found = leaves.filter(({ entry }) => JSON.stringify(entry.path) === JSON.stringify(path));
  const [only] = found;
  return found.length === 1 && only?.type === value.type && Buffer.from(only.bytes).equals(value.bytes);
}

/** The text after an edit of the encrypted text, with a MAC over what it holds then. */
function rewritten(
  { file, metadata, selection, key, leaves: before }: OpenedFile,
  edit: (encrypted: (value: Value, path: Path) => Value) => string,
  { now }: ChangeOptions,
): string {
  const encrypted = (value: Value, path: Path): Value => {
    const names = path.filter((part) => typeof part === "string");
    const wrapped = names.reduceRight<Value>(
      (inner, name) => ({ kind: "map", offset: 0, items: [{ kind: "pair", key: name, value: inner, offset: 0 }] }),
      value,
    );
    if (wrapped.kind !== "map") throw new SealwardError("path-missing", "The path is empty", { file: file.file });
    const { leaves } = entriesOf([wrapped], selection, { isEncrypted: false });
    const texts = new Map<Leaf, Leaf>();
    for (const { item, aad, encrypted: isSecret } of leaves) {
      if (!isSecret || item.bytes.length === 0) continue;
      const enc = encryptValue(item.bytes, { key, aad, type: item.type });
      texts.set(item, { kind: "leaf", type: "str", bytes: Buffer.from(enc), offset: 0 });
    }
    return replaceLeaves(value, texts);
  };
  const text = edit(encrypted);
  const next = file.store.load(Buffer.from(text), { file: file.file });
  const opened = openWith(next, metadata, { key, selection, ignoreMac: true });
  const lastModified = formatTime(now);
  const raw = withoutStaleSpellings(metadata.raw, key, { before, after: opened.leaves });
  return next.write({
    leaves: new Map(),
    comments: new Map(),
    metadata: new Map([
      ...raw,
      ["lastmodified", lastModified],
      ["mac", sealMac(macOf(opened.leaves, metadata), key, lastModified)],
    ]),
  });
}

function replaceLeaves(value: Value, texts: ReadonlyMap<Leaf, Leaf>): Value {
  if (value.kind === "leaf") return texts.get(value) ?? value;
  if (value.kind === "map")
    return {
      ...value,
      items: value.items.map((item): Pair | CommentItem =>
        item.kind === "pair" ? { ...item, value: replaceLeaves(item.value, texts) } : item,
      ),
    };
  if (value.kind === "list")
    return {
      ...value,
      items: value.items.map((item) => (item.kind === "comment" ? item : replaceLeaves(item, texts))),
    };
  return value;
}

/** A spelling is of one value: after a change it would keep the old one in the file. */
function withoutStaleSpellings(
  raw: Metadata,
  key: KeyObject,
  leaves: { readonly before: readonly OpenedLeaf[]; readonly after: readonly OpenedLeaf[] },
): Metadata {
  if (!raw.has(spellingKey)) return raw;
  const [before, after] = [valuesByName(leaves.before), valuesByName(leaves.after)];
  const kept = keptSpellings(raw, {
    key,
    spells: ({ path, index }) => before.get(nameOf(path, index)) === after.get(nameOf(path, index)),
  });
  return withSpellings(raw, kept);
}

function valuesByName(leaves: readonly OpenedLeaf[]): Map<string, string> {
  const counter = new PathCounter();
  return new Map(
    leaves.map(({ entry, type, bytes }) => [
      counter.next(entry.path).name,
      `${type} ${Buffer.from(bytes).toString("latin1")}`,
    ]),
  );
}

/**
 * Encrypts an edited text of an opened file again: same data key, recipients and rule.
 * @throws what reading and encrypting the text throws
 */
export async function resealFile(file: StoreFile, edited: Uint8Array, options: ChangeOptions): Promise<SealedFile> {
  return resealOpened(await openFile(file, options), edited, options.now);
}

/** The same for a file that is open already. @throws what reading and encrypting the text throws */
export function resealOpened(
  opened: OpenedFile,
  edited: Uint8Array,
  now: Date,
  others: readonly Previous[] = [],
): SealedFile {
  const { file } = opened;
  const before = file.store.name === "binary" ? undefined : clearFile(opened);
  const bytes = before === undefined ? clearBytes(opened) : Buffer.from(before.text);
  if (Buffer.from(bytes).equals(edited)) return { text: file.text, notices: [] };
  const { metadata, selection, key } = opened;
  const plain = file.store.load(edited, { file: file.file });
  if (plain.metadataOffset >= 0)
    throw new SealwardError(
      "already-sealed",
      "The edited text has a top-level key sops, which belongs to the sealed file",
      plain.placeOf(plain.metadataOffset),
    );
  return encryptFile(plain, {
    key,
    selection,
    rule: metadata.rule,
    onlyEncrypted: metadata.onlyEncrypted,
    allowNothingSelected: true,
    now,
    previous: { opened, plain: before, others },
    metadataFrom: file,
    metadata: (lastModified, mac) =>
      new Map([
        ...[...metadata.raw].filter(([name]) => name !== spellingKey),
        ["lastmodified", lastModified],
        ["mac", mac],
      ]),
  });
}

export interface RekeyOptions extends ChangeOptions {
  /** Default: the recipients that the file has. */
  readonly recipients?: Recipients | undefined;
}

/**
 * A new data key: every value and comment encrypted again, the key wrapped for the recipients.
 * @throws recipient-unsupported for a file with entries that we cannot wrap for, and what opening throws
 */
export async function rekeyFile(file: StoreFile, options: RekeyOptions): Promise<string> {
  const opened = await openFile(file, options);
  const { metadata, leaves, comments } = opened;
  const recipients = options.recipients ?? ownRecipients(metadata);
  assertWrappable(metadata, file);
  const { key, groups } = await newDataKey(recipients, options);
  const encs = new Map<Leaf, Replacement>();
  for (const { entry, type, bytes, enc } of leaves)
    if (enc !== null) encs.set(entry.item, { enc: encryptValue(bytes, { key, aad: entry.aad, type }) });
  const items = new Map<CommentItem, string>();
  for (const { entry, text, enc, aad } of comments) {
    if (enc === null) continue;
    const fresh = encryptValue(Buffer.from(text), { key, aad, type: "comment" });
    if (entry.item.kind === "comment") items.set(entry.item, fresh);
    else encs.set(entry.item, { enc: fresh });
  }
  const lastModified = formatTime(options.now);
  const mac = sealMac(macOf(leaves, metadata), key, lastModified);
  const raw = withGroups(metadata, groups, recipients.threshold);
  return file.write({
    leaves: encs,
    comments: items,
    metadata: withSpellings(
      withKeyMade(new Map([...raw, ["lastmodified", lastModified], ["mac", mac]]), lastModified),
      keptSpellings(metadata.raw, { key: opened.key, newKey: key, spells: () => true }),
    ),
  });
}

/**
 * The same data key for these recipients. Entries that are there keep their text, also those of kinds that we cannot use; the
 * values, MAC and time stay as they are, as with `sops updatekeys`.
 * @throws recipient-unsupported where entries that we cannot wrap for would have to be wrapped again
 */
export async function rewrapFile(file: StoreFile, recipients: Recipients, options: ChangeOptions): Promise<string> {
  const { metadata, key } = await openFile(file, options);
  const isSplit = metadata.groups.length > 1 || recipients.groups.length > 1;
  if (isSplit) assertWrappable(metadata, file);
  const groups = await withKeyBytes(key, (raw) =>
    isSplit
      ? wrapForGroups(raw, recipients, options)
      : wrapForOthers(raw, { recipients: recipients.groups[0] ?? [], metadata, options }),
  );
  return file.write({
    leaves: new Map(),
    comments: new Map(),
    metadata: withGroups(metadata, groups, recipients.threshold),
  });
}

/** Wraps for recipients that have no entry yet; those that have keep theirs. */
export async function wrapForOthers(
  raw: Uint8Array,
  {
    recipients,
    metadata: { age, kms },
    options,
  }: {
    readonly recipients: readonly Recipient[];
    readonly metadata: UsableEntries;
    readonly options: Pick<ChangeOptions, "kms" | "now">;
  },
): Promise<readonly UsableEntries[]> {
  const known = (one: Recipient): AgeEntry | KmsEntry | undefined =>
    typeof one === "string"
      ? age.find((entry) => isSameRecipient(entry.recipient, one))
      : kms.find((entry) => entry.arn === one.arn && isSameContext(entry.context, one.context));
  const missing = recipients.filter((one) => known(one) === undefined);
  const [fresh = { age: [], kms: [] }] = await wrapForGroups(raw, { groups: [missing] }, options);
  const entries = recipients.map(
    (one) =>
      known(one) ??
      (typeof one === "string"
        ? fresh.age.find(({ recipient }) => recipient === one)
        : fresh.kms.find(({ arn, context }) => arn === one.arn && isSameContext(context, one.context))),
  );
  const isAge = (entry: (typeof entries)[number]): entry is AgeEntry => entry !== undefined && "recipient" in entry;
  const isKms = (entry: (typeof entries)[number]): entry is KmsEntry => entry !== undefined && "arn" in entry;
  return [{ age: entries.filter(isAge), kms: entries.filter(isKms) }];
}

/** The recipients of a file that we can wrap for, by group, with what their entries say. */
export function ownRecipients({ groups, raw }: SopsMetadata): Recipients {
  return {
    groups: groups.map(({ age, kms }) => [
      ...age.map(({ recipient }) => recipient),
      ...kms.map(({ arn, context, raw: entry }) => ({
        arn,
        context,
        role: textIn(entry.get("role")),
        profile: textIn(entry.get("aws_profile")),
      })),
    ]),
    threshold: Number(raw.get("shamir_threshold") ?? 0),
  };
}

const textIn = (value: MetadataValue | undefined): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

function assertWrappable({ recipients }: SopsMetadata, file: StoreFile): void {
  const others = recipients.filter(({ kind }) => kind !== "age" && kind !== "kms");
  if (others.length === 0) return;
  const names = others.map(({ kind, id }) => `${kind} ${printableId(id)}`).join(", ");
  throw new SealwardError(
    "recipient-unsupported",
    `A new data key would have to be wrapped for ${names} too, and Sealward cannot use keys of that kind`,
    { file: file.file },
  );
}

/** The block with these entries; everything else in it as it was. */
function withGroups(metadata: SopsMetadata, groups: readonly UsableEntries[], threshold: number | undefined): Metadata {
  const { raw, groups: before } = metadata;
  const [only] = groups;
  if (only !== undefined && groups.length === 1) {
    // A single group may have been written as one, too.
    const wasListed = before.length === 1 && !raw.has("age") && !raw.has("kms") && Array.isArray(raw.get("key_groups"));
    if (before.length === 1 && !wasListed) return withEntries(raw, only);
    return new Map([...entryLists(only), ...without(raw, groupKeys)]);
  }
  return new Map<string, MetadataValue>([
    ["key_groups", groupLists(groups)],
    ...without(raw, groupKeys),
    ...(threshold !== undefined && threshold > 0 ? [["shamir_threshold", threshold] as [string, number]] : []),
  ]);
}

const groupKeys: readonly string[] = ["age", "kms", "key_groups", "shamir_threshold"];

const without = (raw: Metadata, names: readonly string[]): [string, MetadataValue][] =>
  [...raw].filter(([name]) => !names.includes(name));

/** Each list where it stood before, or where SOPS would put it; one without entries goes. */
function withEntries(raw: Metadata, entries: UsableEntries): Metadata {
  const lists = new Map(entryLists(entries));
  const stale = ["age", "kms"].filter((name) => raw.has(name) && !lists.has(name));
  const kept = without(raw, stale).map(([name, value]): [string, MetadataValue] => [name, lists.get(name) ?? value]);
  for (const [name, value] of [...lists].reverse())
    if (!raw.has(name)) kept.splice(positionOf(name, kept), 0, [name, value]);
  return new Map(kept);
}

/** Before the first key that sorts behind it: SOPS 3.13 sorts them, and older files have the lists of keys first. */
function positionOf(name: string, block: readonly (readonly [string, MetadataValue])[]): number {
  const at = block.findIndex(([other]) => other > name);
  return at === -1 ? block.length : at;
}
