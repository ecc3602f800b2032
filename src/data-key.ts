// The data key of a file: wrapped for its recipients, or split among key groups, and got back with the identities at hand.
// Knows no file format; which entries a place allows is for the gate to say.
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { unwrapDataKey, wrapDataKey } from "./age.ts";
import { type AgeIdentity, isSameRecipient } from "./age-keys.ts";
import { SealwardError } from "./errors.ts";
import type { AgeEntry, KeyGroup, SopsMetadata } from "./sops-metadata.ts";
import { notAuthentic } from "./sops-tree.ts";
import { dataKeyLength } from "./sops-value.ts";

/** Who can open a file: age recipients by key group. One group is the usual case. */
export interface Recipients {
  readonly groups: readonly (readonly string[])[];
  /** How many groups it takes; 0: all of them. */
  readonly threshold?: number | undefined;
}

/** A fresh data key and its wrapped forms. */
export async function newDataKey(
  recipients: Recipients,
): Promise<{ readonly key: KeyObject; readonly groups: readonly (readonly AgeEntry[])[] }> {
  const raw = randomBytes(dataKeyLength);
  const groups = await wrapForGroups(raw, recipients);
  return { key: takeKey(raw), groups };
}

/** The data key wrapped for each recipient of one group, or its shares for those of several. */
export async function wrapForGroups(
  raw: Uint8Array,
  { groups, threshold = 0 }: Recipients,
): Promise<readonly (readonly AgeEntry[])[]> {
  const [only = []] = groups;
  if (groups.length <= 1) return [await wrapFor(raw, only)];
  const { splitSecret } = await import("./shamir.ts");
  const shares = splitSecret(raw, { count: groups.length, threshold: threshold === 0 ? groups.length : threshold });
  const wrapped = await Promise.all(groups.map((group, index) => wrapFor(shares[index] ?? raw, group)));
  for (const share of shares) share.fill(0);
  return wrapped;
}

function wrapFor(part: Uint8Array, group: readonly string[]): Promise<AgeEntry[]> {
  return Promise.all(group.map(async (recipient) => ({ recipient, enc: await wrapDataKey(part, recipient) })));
}

export interface UnwrapOptions {
  readonly identities: readonly AgeIdentity[];
  /** Try an identity on the entries that name it, and on no other: a label is not authenticated. Default: try them all. */
  readonly namedOnly?: boolean | undefined;
  readonly file: string | undefined;
}

/**
 * The data key, and the recipients whose identities gave it. The entry's own identity comes first; then, as with SOPS,
 * whatever opens it.
 * @throws sops-unsupported where no age entry is there to open, identity-missing, identity-unmatched, not-authentic
 */
export async function unwrapFile(
  metadata: SopsMetadata,
  options: UnwrapOptions,
): Promise<{ readonly key: KeyObject; readonly openedBy: readonly string[] }> {
  const { groups, threshold } = metadata;
  if (groups.filter(({ age }) => age.length > 0).length < threshold) throw noAgeEntry(metadata, options.file);
  const parts: Uint8Array[] = [];
  const openedBy: string[] = [];
  let matched = false;
  for (const group of groups) {
    if (parts.length === threshold) break;
    const found = await unwrapGroup(group, options);
    matched ||= found.matched;
    if (found.part === null) continue;
    parts.push(found.part);
    openedBy.push(found.openedBy);
  }
  if (parts.length < threshold) {
    if (matched && parts.length === 0) throw notAuthentic(options.file);
    throw noIdentity(options.identities.length, { ...metadata, file: options.file, opened: parts.length });
  }
  const [only] = parts;
  const raw = groups.length === 1 && only !== undefined ? only : (await import("./shamir.ts")).joinShares(parts);
  if (raw?.length !== dataKeyLength) throw notAuthentic(options.file);
  const key = takeKey(raw);
  for (const part of parts) part.fill(0);
  return { key, openedBy };
}

async function unwrapGroup(
  { age }: KeyGroup,
  { identities, namedOnly = false }: UnwrapOptions,
): Promise<{ readonly matched: boolean; readonly part: Uint8Array | null; readonly openedBy: string }> {
  let matched = false;
  for (const { recipient, enc } of age) {
    const isNamed = (identity: AgeIdentity) => isSameRecipient(identity.recipient, recipient);
    const named = identities.filter(isNamed);
    const others = namedOnly ? [] : identities.filter((identity) => !isNamed(identity));
    for (const identity of [...named, ...others]) {
      matched ||= isNamed(identity);
      const part = await unwrapDataKey(enc, identity);
      if (part !== null) return { matched: true, part, openedBy: identity.recipient };
    }
  }
  return { matched, part: null, openedBy: "" };
}

/** A key object from key bytes, which are wiped. */
export function takeKey(bytes: Uint8Array): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** Runs `work` with the bytes of a key, which are wiped afterwards. */
export async function withKeyBytes<T>(key: KeyObject, work: (raw: Uint8Array) => Promise<T>): Promise<T> {
  const raw = key.export();
  try {
    return await work(raw);
  } finally {
    raw.fill(0);
  }
}

function noAgeEntry({ recipients, groups }: SopsMetadata, file: string | undefined): SealwardError {
  const kinds = [...new Set(recipients.map(({ kind }) => kind))].filter((kind) => kind !== "age");
  const others = kinds.length === 0 ? "no recipient at all" : `only ${kinds.join(", ")}`;
  const where =
    groups.length > 1 ? "Too few key groups of the file have an age recipient" : "The file has no age recipient";
  return new SealwardError("sops-unsupported", `${where} (${others}); Sealward opens with age identities only`, {
    file,
  });
}

/** An identifier from a file, safe to print: a secret key pasted in its place must not reach a terminal. */
export function printableId(id: string): string {
  if (!/^[A-Za-z0-9:/._@+= -]{1,8192}$/.test(id) || /secret/i.test(id)) return "(not printable)";
  return id.length > 200 ? `${id.slice(0, 40)}…` : id;
}

/** The refusal where no identity at hand opens any entry. */
export function noIdentity(
  count: number,
  {
    age,
    environment: name,
    file,
    opened = 0,
    threshold = 1,
  }: {
    readonly age: SopsMetadata["age"];
    readonly environment?: string;
    readonly file: string | undefined;
    readonly opened?: number;
    readonly threshold?: number;
  },
): SealwardError {
  const wanted = [...new Set(age.map(({ recipient }) => printableId(recipient)))].join(", ");
  const whose = name === undefined ? "" : ` of ${name}`;
  if (count === 0)
    return new SealwardError(
      "identity-missing",
      `No age identity was found; the file opens with an identity${whose} for ${wanted}`,
      { file },
    );
  const message =
    opened > 0
      ? `The ${count} age identities found open ${opened} of the ${threshold} key groups that the file needs; its recipients are ${wanted}`
      : `None of the ${count} age identities found opens the file; it opens with an identity${whose} for ${wanted}`;
  return new SealwardError("identity-unmatched", message, { file });
}
