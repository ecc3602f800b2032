// The data key of a file: wrapped for its recipients, or split among key groups, and got back with the identities at hand.
// Knows no file format; which entries a place allows is for the gate to say.
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { unwrapDataKey, wrapDataKey } from "./age.ts";
import { AgeIdentity, isSameRecipient } from "./age-keys.ts";
import { fromBase64, toBase64 } from "./bytes.ts";
import { SealwardError } from "./errors.ts";
import { type EncryptionContext, isSameKey, type Kms, KmsIdentity } from "./kms.ts";
import {
  type AgeEntry,
  type KeyGroup,
  type KmsEntry,
  newKmsEntry,
  type SopsMetadata,
  type UsableEntries,
} from "./sops-metadata.ts";
import { notAuthentic } from "./sops-tree.ts";
import { dataKeyLength } from "./sops-value.ts";

/** What opens the entries of one recipient. */
export type Identity = AgeIdentity | KmsIdentity;

/** A KMS key and what its entry will say. */
export interface KmsRecipient {
  readonly arn: string;
  readonly context: EncryptionContext;
  /** For other tools; not used here. */
  readonly role?: string | undefined;
  readonly profile?: string | undefined;
}

/** An age recipient as text, or a KMS key. */
export type Recipient = string | KmsRecipient;

/** Who can open a file, by key group. One group is the usual case. */
export interface Recipients {
  readonly groups: readonly (readonly Recipient[])[];
  /** How many groups it takes; 0: all of them. */
  readonly threshold?: number | undefined;
}

/** What wrapping takes beside recipients. */
export interface Wrapping {
  /** Needed where a recipient is a KMS key. */
  readonly kms?: Kms | undefined;
  readonly now: Date;
}

/** A fresh data key and its wrapped forms. @throws what wrapping throws; then nobody can open anything with the key */
export async function newDataKey(
  recipients: Recipients,
  wrapping: Wrapping,
): Promise<{ readonly key: KeyObject; readonly groups: readonly UsableEntries[] }> {
  const raw = randomBytes(dataKeyLength);
  try {
    const groups = await wrapForGroups(raw, recipients, wrapping);
    return { key: createSecretKey(raw), groups };
  } finally {
    raw.fill(0);
  }
}

/** The data key wrapped for each recipient of one group, or its shares for those of several. */
export async function wrapForGroups(
  raw: Uint8Array,
  { groups, threshold = 0 }: Recipients,
  wrapping: Wrapping,
): Promise<readonly UsableEntries[]> {
  const [only = []] = groups;
  if (groups.length <= 1) return [await wrapFor(raw, only, wrapping)];
  const { splitSecret } = await import("./shamir.ts");
  const shares = splitSecret(raw, { count: groups.length, threshold: threshold === 0 ? groups.length : threshold });
  try {
    return await all(groups.map((group, index) => wrapFor(shares[index] ?? raw, group, wrapping)));
  } finally {
    for (const share of shares) share.fill(0);
  }
}

/** For all at once: the calls to KMS do not wait for each other. */
async function wrapFor(part: Uint8Array, group: readonly Recipient[], wrapping: Wrapping): Promise<UsableEntries> {
  const age: Promise<AgeEntry>[] = [];
  const kms: Promise<KmsEntry>[] = [];
  for (const recipient of group) {
    if (typeof recipient === "string") age.push(wrapForAge(part, recipient));
    else kms.push(wrapForKms(part, recipient, wrapping));
  }
  await all<unknown>([...age, ...kms]);
  return { age: await Promise.all(age), kms: await Promise.all(kms) };
}

/** Waits for all of them, so that none still reads the data key when it is wiped. @throws the first failure */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

async function wrapForAge(part: Uint8Array, recipient: string): Promise<AgeEntry> {
  return { recipient, enc: await wrapDataKey(part, recipient) };
}

async function wrapForKms(part: Uint8Array, recipient: KmsRecipient, { kms, now }: Wrapping): Promise<KmsEntry> {
  if (kms === undefined) throw new TypeError("a KMS recipient was given, and no KMS to wrap for it");
  const { arn, context } = recipient;
  const blob = await kms.encrypt({ arn, plaintext: part, context });
  return newKmsEntry({ ...recipient, enc: toBase64(blob), createdAt: now });
}

export interface UnwrapOptions {
  readonly identities: readonly Identity[];
  /** Try an age identity on the entries that name it, and on no other: a label is not authenticated. Default: try them all. */
  readonly namedOnly?: boolean | undefined;
  /** The encryption context to send for an entry. Default: the entry's own, as SOPS does. */
  readonly contextOf?: ((entry: KmsEntry) => EncryptionContext) | undefined;
  readonly file: string | undefined;
}

/** A data key, and how it was come by. */
export interface Unwrapped {
  readonly key: KeyObject;
  /** The recipients whose identities gave it. */
  readonly openedBy: readonly string[];
  /** By the ARN of each KMS key that was used, where KMS says it. */
  readonly keyMaterialIds: ReadonlyMap<string, string>;
}

/**
 * The data key. The entry's own identity comes first; then, as with SOPS, whatever opens it. age comes before KMS, which
 * has to be asked; where one of several keys is away or refused, the next is tried.
 * @throws sops-unsupported where no entry is there that we could open, identity-missing, identity-unmatched, not-authentic;
 *   what KMS threw, where that is why: key-unreachable before anything final
 */
export async function unwrapFile(metadata: SopsMetadata, options: UnwrapOptions): Promise<Unwrapped> {
  const { groups, threshold } = metadata;
  if (groups.filter(({ age, kms }) => age.length + kms.length > 0).length < threshold)
    throw noUsableEntry(metadata, options.file);
  const parts: Uint8Array[] = [];
  try {
    const openedBy: string[] = [];
    const keyMaterialIds = new Map<string, string>();
    const failures: SealwardError[] = [];
    let matched = false;
    const budget: Budget = { calls: maxKmsCalls };
    for (const [index, group] of groups.entries()) {
      if (parts.length === threshold) break;
      // Without hope nobody is asked any more; what lies here is still counted.
      if (parts.length + groups.length - index < threshold) budget.calls = 0;
      const found = await unwrapGroup(group, options, budget);
      matched ||= found.matched;
      failures.push(...found.failures);
      if (found.part === null) continue;
      parts.push(found.part);
      openedBy.push(found.openedBy);
      if (found.keyMaterialId !== undefined) keyMaterialIds.set(found.openedBy, found.keyMaterialId);
    }
    if (parts.length < threshold) {
      const [first] = failures;
      const problem = failures.find(({ code }) => code === "key-unreachable") ?? first;
      if (problem !== undefined) throw placed(problem, options.file);
      if (matched && parts.length === 0) throw notAuthentic(options.file);
      throw noIdentity(options.identities, { ...metadata, file: options.file, opened: parts.length });
    }
    const [only] = parts;
    const raw = groups.length === 1 && only !== undefined ? only : (await import("./shamir.ts")).joinShares(parts);
    if (raw?.length !== dataKeyLength) throw notAuthentic(options.file);
    return { key: takeKey(raw), openedBy, keyMaterialIds };
  } finally {
    for (const part of parts) part.fill(0);
  }
}

interface FoundPart {
  readonly matched: boolean;
  readonly part: Uint8Array | null;
  readonly openedBy: string;
  readonly keyMaterialId?: string | undefined;
  /** What KMS threw. */
  readonly failures: readonly SealwardError[];
}

/** How often one file may still have KMS asked. */
interface Budget {
  calls: number;
}

async function unwrapGroup(group: KeyGroup, options: UnwrapOptions, budget: Budget): Promise<FoundPart> {
  const byAge = await unwrapByAge(group, options);
  if (byAge.part !== null) return byAge;
  const byKms = await unwrapByKms(group, options, budget);
  return { ...byKms, matched: byAge.matched || byKms.matched };
}

async function unwrapByAge({ age }: KeyGroup, { identities, namedOnly = false }: UnwrapOptions): Promise<FoundPart> {
  const held = identities.filter((identity) => identity instanceof AgeIdentity);
  let matched = false;
  for (const { recipient, enc } of age) {
    const isNamed = (identity: AgeIdentity) => isSameRecipient(identity.recipient, recipient);
    const named = held.filter(isNamed);
    const others = namedOnly ? [] : held.filter((identity) => !isNamed(identity));
    for (const identity of [...named, ...others]) {
      matched ||= isNamed(identity);
      const part = await unwrapDataKey(enc, identity);
      if (part !== null) return { matched: true, part, openedBy: identity.recipient, failures: [] };
    }
  }
  return { matched, part: null, openedBy: "", failures: [] };
}

/** Whoever wrote the file chose whom it asks: it does not choose how often. */
const maxKmsCalls = 64;
/** What KMS takes. */
const maxBlobBytes = 6144;

/** Only a key that the entry names is asked, itself or another replica of it: each question is a call that is logged. */
async function unwrapByKms(
  { kms }: KeyGroup,
  { identities, contextOf }: UnwrapOptions,
  budget: Budget,
): Promise<FoundPart> {
  const held = identities.filter((identity) => identity instanceof KmsIdentity);
  const failures: SealwardError[] = [];
  let matched = false;
  for (const entry of kms) {
    const named = held
      .filter(({ recipient }) => isSameKey(recipient, entry.arn))
      .sort((a, b) => Number(b.recipient === entry.arn) - Number(a.recipient === entry.arn));
    for (const identity of named) {
      matched = true;
      const blob = fromBase64(entry.enc);
      if (blob === null || blob.length === 0 || blob.length > maxBlobBytes || budget.calls-- <= 0) continue;
      try {
        const opened = await identity.decrypt(blob, contextOf?.(entry) ?? entry.context);
        if (opened === null) continue;
        const { plaintext: part, keyMaterialId } = opened;
        return { matched, part, openedBy: identity.recipient, keyMaterialId, failures };
      } catch (problem) {
        if (!(problem instanceof SealwardError)) throw problem;
        failures.push(problem);
      }
    }
  }
  return { matched, part: null, openedBy: "", failures };
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

function noUsableEntry({ recipients, groups }: SopsMetadata, file: string | undefined): SealwardError {
  const kinds = [...new Set(recipients.map(({ kind }) => kind))].filter((kind) => kind !== "age" && kind !== "kms");
  const others = kinds.length === 0 ? "no recipient at all" : `only ${kinds.join(", ")}`;
  const where =
    groups.length > 1
      ? "Too few key groups of the file have an age or AWS KMS recipient"
      : "The file has no age and no AWS KMS recipient";
  return new SealwardError("sops-unsupported", `${where} (${others}); Sealward opens with these only`, { file });
}

function placed(problem: SealwardError, file: string | undefined): SealwardError {
  return problem.file !== undefined || file === undefined
    ? problem
    : new SealwardError(problem.code, problem.message, { file });
}

/** An identifier from a file, safe to print: a secret key pasted in its place must not reach a terminal. */
export function printableId(id: string): string {
  if (!/^[A-Za-z0-9:/._@+= -]{1,8192}$/.test(id) || /secret/i.test(id)) return "(not printable)";
  return id.length > 200 ? `${id.slice(0, 40)}…` : id;
}

/** The refusal where no identity at hand opens any entry. */
export function noIdentity(
  identities: readonly Identity[],
  {
    age,
    kms,
    environment: name,
    file,
    opened = 0,
    threshold = 1,
  }: {
    readonly age: SopsMetadata["age"];
    readonly kms: SopsMetadata["kms"];
    readonly environment?: string;
    readonly file: string | undefined;
    readonly opened?: number;
    readonly threshold?: number;
  },
): SealwardError {
  const ids = [...age.map(({ recipient }) => recipient), ...kms.map(({ arn }) => arn)];
  const wanted = [...new Set(ids.map(printableId))].join(", ");
  const whose = name === undefined ? "" : ` of ${name}`;
  const count = identities.filter((identity) => identity instanceof AgeIdentity).length;
  if (count === 0 && opened === 0)
    return new SealwardError(
      "identity-missing",
      `No age identity was found; the file opens with an identity${whose} for ${wanted}`,
      { file },
    );
  const message =
    opened > 0
      ? `The identities found open ${opened} of the ${threshold} key groups that the file needs; its recipients are ${wanted}`
      : `None of the ${count} age identities found opens the file; it opens with an identity${whose} for ${wanted}`;
  return new SealwardError("identity-unmatched", message, { file });
}
