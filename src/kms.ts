// AWS KMS as the library sees it: which texts name a key, what context a file's entries carry, and the two calls that wrap
// and unwrap a data key. How a call is made, and with whose credentials, is for whoever passes `Kms` in (aws-kms.ts).
import { assertAgeRecipient } from "./age-keys.ts";
import type { Place } from "./binding.ts";
import { SealwardError } from "./errors.ts";

/** Key-value pairs that KMS authenticates with what it wraps, logs, and lets policies ask for. Not secret. */
export type EncryptionContext = Readonly<Record<string, string>>;

/** The two calls. Each is final or retryable as its code says; neither repeats the data key or a credential. */
export interface Kms {
  /** @throws key-unreachable, key-refused, credentials-missing */
  encrypt(call: EncryptCall): Promise<Uint8Array>;
  /**
   * Null where KMS says that this key made no such ciphertext under this context.
   * @throws key-unreachable, key-refused, credentials-missing
   */
  decrypt(call: DecryptCall): Promise<Decrypted | null>;
}

interface Call {
  /** The key's ARN or an alias ARN; the Region is taken from it. */
  readonly arn: string;
  readonly context: EncryptionContext;
}

export interface EncryptCall extends Call {
  /** Left as it is: wiping it is for the caller. */
  readonly plaintext: Uint8Array;
}

export interface DecryptCall extends Call {
  readonly ciphertext: Uint8Array;
}

export interface Decrypted {
  /** The caller's own: wiped by whoever takes it. */
  readonly plaintext: Uint8Array;
  /** Which of the key's materials made the ciphertext, where KMS says so. */
  readonly keyMaterialId?: string | undefined;
}

/** What opens the entries of one KMS key, as an age identity opens those of one recipient. Holds no secret. */
export class KmsIdentity {
  readonly recipient: string;
  readonly #kms: Kms;

  constructor(arn: string, kms: Kms) {
    this.recipient = arn;
    this.#kms = kms;
  }

  /** As {@link Kms.decrypt}, by the key that this identity stands for. */
  decrypt(ciphertext: Uint8Array, context: EncryptionContext): Promise<Decrypted | null> {
    return this.#kms.decrypt({ arn: this.recipient, ciphertext, context });
  }
}

export interface KeyArn {
  readonly partition: string;
  readonly region: string;
  readonly account: string;
  /** Without `key/`; an alias keeps its `alias/`. */
  readonly key: string;
}

// Every part is narrow: the Region becomes part of a host name, and an ARN comes from files that anybody may have written.
const arnPattern =
  /^arn:(aws(?:-[a-z]{1,10}){0,3}):kms:((?:[a-z]{2,3}|eusc)(?:-[a-z]{1,12}){1,3}-\d{1,2}):(\d{12}):(?:key\/([A-Za-z0-9-]{1,64})|(alias\/[A-Za-z0-9/_-]{1,250}))$/;

/** How the Regions of each partition begin; all others are of `aws`. */
const partitions: Readonly<Record<string, string>> = {
  "aws-cn": "cn-",
  "aws-us-gov": "us-gov-",
  "aws-iso": "us-iso-",
  "aws-iso-b": "us-isob-",
  "aws-iso-e": "eu-isoe-",
  "aws-iso-f": "us-isof-",
  "aws-eusc": "eusc-",
};

/** Null where the text is no ARN of a KMS key or alias. */
export function parseKeyArn(text: string): KeyArn | null {
  const match = arnPattern.exec(text);
  if (match === null) return null;
  const [, partition = "", region = "", account = "", key, alias = ""] = match;
  // The SDK takes the host from the Region: a Region of another partition is another cloud.
  const home = Object.entries(partitions).find(([, prefix]) => region.startsWith(prefix))?.[0] ?? "aws";
  if (home !== partition) return null;
  return { partition, region, account, key: key ?? alias };
}

/** @throws recipient-invalid */
export function assertKeyArn(text: string): void {
  if (parseKeyArn(text) !== null) return;
  throw new SealwardError(
    "recipient-invalid",
    "Not the ARN of a KMS key: expected arn:aws:kms:REGION:ACCOUNT:key/ID or arn:aws:kms:REGION:ACCOUNT:alias/NAME",
  );
}

/** A recipient as a person names one: an age recipient or the ARN of a KMS key. @throws recipient-invalid, recipient-unsupported */
export function assertRecipient(text: string): void {
  if (text.startsWith("arn:")) assertKeyArn(text);
  else assertAgeRecipient(text);
}

/** True where both are the same key, or replicas of one multi-Region key, which have one material. */
export function isSameKey(a: string, b: string): boolean {
  if (a === b) return true;
  const [one, other] = [parseKeyArn(a), parseKeyArn(b)];
  return (
    one !== null &&
    other !== null &&
    one.key.startsWith("mrk-") &&
    one.key === other.key &&
    one.account === other.account &&
    one.partition === other.partition
  );
}

/** Keys of ours in an encryption context begin so, whatever their case: policies do not tell cases apart. */
const ownPrefix = "sealward-";

/** What the entries of a bound file carry: as much of its place as its scope pins. */
export function contextOf({ environment, scope, namespace, name }: Place): EncryptionContext {
  return {
    ...environmentContext(environment),
    ...(scope === "environment" || namespace === undefined ? {} : { "sealward-namespace": namespace }),
    ...(scope === "strict" ? { "sealward-name": name } : {}),
  };
}

/** What the entries of a file without a binding carry: all that is known of it is its environment. */
export function environmentContext(environment: string): EncryptionContext {
  return { "sealward-environment": environment };
}

/** Exact: names, values and nothing more. */
export function isSameContext(a: EncryptionContext, b: EncryptionContext): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}

/** True where the context says something about a place of ours. */
export function isOurContext(context: EncryptionContext): boolean {
  return Object.keys(context).some((name) => name.toLowerCase().startsWith(ownPrefix));
}
