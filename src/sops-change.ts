// Changes a SOPS file of any store: one value, the whole text, the recipients, or the data key. What does not change keeps
// its text, IV included; entries of kinds that we cannot use are kept, or the change is refused with their names.
import type { KeyObject } from "node:crypto";
import { type AgeIdentity, isSameRecipient } from "./age-keys.ts";
import { newDataKey, printableId, type Recipients, withKeyBytes, wrapForGroups } from "./data-key.ts";
import { SealwardError } from "./errors.ts";
import { clearBytes, clearFile, type OpenedFile, openFile, openWith } from "./sops-file.ts";
import { type AgeEntry, ageEntries, formatTime, type SopsMetadata } from "./sops-metadata.ts";
import { encryptFile } from "./sops-seal.ts";
import { entriesOf, macOf, type OpenedLeaf, sealMac } from "./sops-tree.ts";
import { encryptValue } from "./sops-value.ts";
import { keptSpellings, nameOf, PathCounter, spellingKey, withSpellings } from "./spelling.ts";
import type { CommentItem, Leaf, Metadata, MetadataValue, Pair, Replacement, StoreFile, Value } from "./store.ts";

export type Path = readonly (string | number)[];

export interface ChangeOptions {
  readonly identities: readonly AgeIdentity[];
  readonly namedOnly?: boolean | undefined;
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
export async function resealFile(
  file: StoreFile,
  edited: Uint8Array,
  options: ChangeOptions,
): Promise<{ readonly text: string; readonly notices: readonly string[] }> {
  const opened = await openFile(file, options);
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
    now: options.now,
    previous: { opened, plain: before },
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
  const { key, groups } = await newDataKey(recipients);
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
      new Map([...raw, ["lastmodified", lastModified], ["mac", mac]]),
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
  const groups = await withKeyBytes(key, async (raw): Promise<readonly (readonly AgeEntry[])[]> => {
    if (isSplit) return wrapForGroups(raw, recipients);
    const [wanted = []] = recipients.groups;
    const known = (recipient: string) => metadata.age.find((entry) => isSameRecipient(entry.recipient, recipient));
    const [fresh = []] = await wrapForGroups(raw, { groups: [wanted.filter((one) => known(one) === undefined)] });
    return [wanted.flatMap((one) => known(one) ?? fresh.find(({ recipient }) => recipient === one) ?? [])];
  });
  return file.write({
    leaves: new Map(),
    comments: new Map(),
    metadata: withGroups(metadata, groups, recipients.threshold),
  });
}

/** The age recipients of a file, by group. */
export function ownRecipients({ groups, raw }: SopsMetadata): Recipients {
  return {
    groups: groups.map(({ age }) => age.map(({ recipient }) => recipient)),
    threshold: Number(raw.get("shamir_threshold") ?? 0),
  };
}

function assertWrappable({ recipients }: SopsMetadata, file: StoreFile): void {
  const others = recipients.filter(({ kind }) => kind !== "age");
  if (others.length === 0) return;
  const names = others.map(({ kind, id }) => `${kind} ${printableId(id)}`).join(", ");
  throw new SealwardError(
    "recipient-unsupported",
    `A new data key would have to be wrapped for ${names} too, and Sealward cannot use keys of that kind`,
    { file: file.file },
  );
}

/** The block with these age entries; everything else in it as it was. */
function withGroups(
  metadata: SopsMetadata,
  groups: readonly (readonly AgeEntry[])[],
  threshold: number | undefined,
): Metadata {
  const { raw, groups: before } = metadata;
  if (groups.length === 1 && before.length === 1) {
    // A single group may have been written as one, too.
    const isListed = !raw.has("age") && Array.isArray(raw.get("key_groups"));
    if (!isListed) return new Map([...raw, ["age", ageEntries(groups[0] ?? [])]]);
  }
  const kept = [...raw].filter(([name]) => !["age", "key_groups", "shamir_threshold"].includes(name));
  if (groups.length === 1) return new Map<string, MetadataValue>([["age", ageEntries(groups[0] ?? [])], ...kept]);
  const listed = groups.map(
    (age) =>
      new Map<string, MetadataValue>([
        ["age", ageEntries(age)],
        ["hc_vault", []],
      ]),
  );
  return new Map<string, MetadataValue>([
    ["key_groups", listed],
    ...kept,
    ...(threshold !== undefined && threshold > 0 ? [["shamir_threshold", threshold] as [string, number]] : []),
  ]);
}
