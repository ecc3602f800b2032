// Who can open a file, held against the environment it belongs to: the third step of the gate, for sealed Secrets and for
// every other SOPS file. Needs no key.
import { isWrappedForOne, stanzaKinds } from "./age.ts";
import { includesRecipient, isSameRecipient } from "./age-keys.ts";
import { printableId, type Recipient } from "./data-key.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { type ErrorCode, quoteName, SealwardError } from "./errors.ts";
import { type EncryptionContext, environmentContext, isSameContext } from "./kms.ts";
import { type RecipientEntry, type SopsMetadata, unknownCollection } from "./sops-metadata.ts";

/** Something that does not stop an opening but that someone should know. */
export interface Notice {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A refusal that points at the block. */
export type RefuseAs = (code: ErrorCode, message: string) => SealwardError;

/** What makes a block's list of recipients unreadable, whatever the environment. @throws recipient-foreign, sops-metadata-invalid */
export function assertRecipients(metadata: SopsMetadata, refuse: RefuseAs): void {
  const unknown = unknownCollection(metadata.raw);
  if (unknown !== undefined)
    throw refuse(
      "recipient-foreign",
      `The sops block has entries under ${quoteName(unknown)}, a kind of recipient that no environment can list`,
    );
  const ids = metadata.groups.flatMap(({ recipients }, group) =>
    recipients.map(({ kind, id }) => `${group} ${kind} ${id}`),
  );
  if (new Set(ids).size < ids.length) throw refuse("sops-metadata-invalid", "The sops block lists a recipient twice");
}

/**
 * Nobody outside the environment can open the file; who inside cannot is told.
 * @throws recipient-foreign, sops-metadata-invalid; recipient-missing where the environment is strict about it
 */
export function checkRecipients(metadata: SopsMetadata, policy: EnvironmentPolicy, refuse: RefuseAs): Notice[] {
  const foreign = metadata.recipients.find((entry) => !isListedEntry(policy, entry));
  if (foreign !== undefined) {
    throw refuse(
      "recipient-foreign",
      `The file can be opened by the ${foreign.kind} recipient ${printableId(foreign.id)}, which is none of ${policy.name}`,
    );
  }
  for (const { recipient, enc } of metadata.age) {
    const kinds = stanzaKinds(enc);
    if (kinds === null) throw refuse("sops-metadata-invalid", `The entry of ${printableId(recipient)} is no age file`);
    if (isWrappedForOne(enc, recipient)) continue;
    const whom = kinds.length === 1 ? "a key of another kind" : `${kinds.length} keys, one is allowed`;
    throw refuse(
      "recipient-foreign",
      `The entry of ${printableId(recipient)} is wrapped for ${whom}: somebody else can open it`,
    );
  }
  if (metadata.age.length + metadata.kms.length === 0)
    throw refuse("sops-metadata-invalid", "The sops block lists no recipient");
  const missing = missingIn(metadata, policy);
  if (missing.length === 0) return [];
  const message = `The file cannot be opened by ${missing.map(printableId).join(", ")}, which ${policy.name} lists`;
  if (policy.strictRecipients) throw refuse("recipient-missing", message);
  return [{ code: "recipient-missing", message }];
}

/** The entries of recipients whose time in the environment is over. */
export function expiredIn({ recipients }: SopsMetadata, policy: EnvironmentPolicy, now: Date): Notice[] {
  const over = expiredAt(policy, now).filter(([recipient]) =>
    recipients.some(({ kind, id }) => (kind === "age" ? isSameRecipient(id, recipient) : id === recipient)),
  );
  return over.map(([recipient, end]) => ({
    code: "recipient-expired",
    message: `The file can still be opened by ${printableId(recipient)}, whose time in ${policy.name} ended on ${dayOf(end)}`,
  }));
}

function expiredAt({ expirations = new Map() }: EnvironmentPolicy, now: Date): [string, Date][] {
  return [...expirations].filter(([, end]) => now > end);
}

const dayOf = (end: Date): string => end.toISOString().slice(0, 10);

/** Nothing is sealed for somebody whose time is over. @throws recipient-expired */
export function assertNoneExpired(policy: EnvironmentPolicy, now: Date, file?: string): void {
  const [over] = expiredAt(policy, now);
  if (over === undefined) return;
  const [recipient, end] = over;
  throw new SealwardError(
    "recipient-expired",
    `The recipient ${printableId(recipient)} of ${policy.name} expired on ${dayOf(end)}`,
    { file },
  );
}

/** Recipients of the environment that the file has no entry for. */
export function missingIn({ age, kms }: SopsMetadata, policy: EnvironmentPolicy): string[] {
  return [
    ...policy.ageRecipients.filter((recipient) => !age.some((entry) => isSameRecipient(entry.recipient, recipient))),
    ...policy.kmsRecipients.filter((recipient) => !kms.some(({ arn }) => arn === recipient)),
  ];
}

/** Whether the environment lists the recipient of an identity. */
export function isListed({ ageRecipients, kmsRecipients }: EnvironmentPolicy, recipient: string): boolean {
  return includesRecipient(ageRecipients, recipient) || kmsRecipients.includes(recipient);
}

/** Whether the environment lists the recipient of an entry, as what the entry says it is. */
export function isListedEntry(
  { ageRecipients, kmsRecipients }: EnvironmentPolicy,
  { kind, id }: RecipientEntry,
): boolean {
  if (kind === "kms") return kmsRecipients.includes(id);
  return kind === "age" && includesRecipient(ageRecipients, id);
}

/** Everybody whom a file of the environment is sealed to, each KMS entry with this context. */
export function recipientsOf(
  { ageRecipients, kmsRecipients }: EnvironmentPolicy,
  context: EncryptionContext,
): Recipient[] {
  return [...ageRecipients, ...kmsRecipients.map((arn) => ({ arn, context }))];
}

/**
 * Each KMS entry carries the context that was worked out here, and which will be sent: what the file says is not.
 * @throws context-mismatch
 */
export function assertContexts({ kms }: SopsMetadata, expected: EncryptionContext, refuse: RefuseAs): void {
  const other = kms.find(({ context }) => !isSameContext(context, expected));
  if (other === undefined) return;
  throw refuse(
    "context-mismatch",
    `The entry of ${printableId(other.arn)} has ${described(other.context)}, this place has ${described(expected)}`,
  );
}

/** The same for a file that is no Secret, of which nothing but its environment is known. */
export function assertEnvironmentContext(metadata: SopsMetadata, environment: string, refuse: RefuseAs): void {
  assertContexts(metadata, environmentContext(environment), (code, message) =>
    refuse(code, `${message}; as the file is no Secret, no binding mends that`),
  );
}

function described(context: EncryptionContext): string {
  const pairs = Object.entries(context);
  if (pairs.length === 0) return "no encryption context";
  // Names and values of the file's are claims of whoever wrote it, in whatever number.
  const shown = pairs.slice(0, 8).map(([name, value]) => `${quoteName(name)}: ${quoteName(value)}`);
  return `the encryption context ${shown.join(", ")}${pairs.length > shown.length ? " …" : ""}`;
}
