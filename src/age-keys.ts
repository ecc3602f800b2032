// age X25519 recipients and identities: text forms and generation. Knows nothing about files that are encrypted.
// Bech32 comes from @scure/base; its error messages quote the key, so they are never passed on.
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from "node:crypto";
import { bech32 } from "@scure/base";
import { SealwardError } from "./errors.ts";

/** DER prefixes of RFC 8410: a raw 32-byte X25519 key follows. */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b656e032100", "hex");
const recipientPattern = /^age1[02-9ac-hj-np-z]{58}$/;

/**
 * The private half of one age recipient. Only `recipient` can be seen: the key lives in a private field, so that
 * printing, inspecting or serialising an identity shows nothing else.
 */
export class AgeIdentity {
  readonly recipient: string;
  readonly #privateKey: KeyObject;

  constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    this.recipient = encodeRecipient(rawPublicKey(createPublicKey(privateKey)));
  }

  /** For src/age.ts alone: the key object that takes part in the key agreement. */
  privateKey(): KeyObject {
    return this.#privateKey;
  }

  toString(): string {
    return `identity of ${this.recipient}`;
  }
}

export function generateAgeIdentity(): { readonly identity: AgeIdentity; readonly secretKey: string } {
  const { privateKey } = generateKeyPairSync("x25519");
  const raw = privateKey.export({ format: "der", type: "pkcs8" }).subarray(pkcs8Prefix.length);
  const secretKey = bech32.encode("age-secret-key-", bech32.toWords(raw), false).toUpperCase();
  raw.fill(0);
  return { identity: new AgeIdentity(privateKey), secretKey };
}

/**
 * Reads identities as age-keygen writes them: one a line, `#` comments and blank lines skipped.
 * @throws identity-invalid with file and line, never with any of the text
 */
export function parseAgeIdentities(text: string, file: string): AgeIdentity[] {
  const identities: AgeIdentity[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line !== "" && !line.startsWith("#")) identities.push(parseIdentity(line, file, index + 1));
  }
  return identities;
}

function parseIdentity(line: string, file: string, lineNumber: number): AgeIdentity {
  const refuse = (why: string) => new SealwardError("identity-invalid", why, { file, line: lineNumber });
  if (/^AGE-SECRET-KEY-PQ-1/i.test(line)) throw refuse("Post-quantum age identities are not supported yet");
  if (/^AGE-PLUGIN-/i.test(line)) throw refuse("age plugin identities are not supported");
  if (!/^AGE-SECRET-KEY-1/.test(line))
    throw refuse("Not an age identity: expected a line that starts with AGE-SECRET-KEY-1");
  const raw = decode(line, "age-secret-key-");
  if (raw === null)
    throw refuse("Cannot read the age identity: its checksum or length is wrong (mistyped or cut off?)");
  const der = Buffer.concat([pkcs8Prefix, raw]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  raw.fill(0);
  der.fill(0);
  return new AgeIdentity(key);
}

/** @throws recipient-invalid unless the text is an age X25519 recipient (`age1` and 58 characters, checksum right) */
export function assertAgeRecipient(text: string): void {
  const { privateKey } = generateKeyPairSync("x25519");
  agree(privateKey, recipientKey(text)).fill(0);
}

/** The X25519 shared secret with a recipient. @throws recipient-invalid for a low-order point, with which everyone shares zero */
export function agree(privateKey: KeyObject, recipient: KeyObject): Buffer {
  try {
    return diffieHellman({ privateKey, publicKey: recipient });
  } catch {
    throw new SealwardError("recipient-invalid", "Not an age recipient: its point is one that keeps nothing secret");
  }
}

/** The public key of a recipient. @throws recipient-invalid */
export function recipientKey(recipient: string): KeyObject {
  if (/^AGE-SECRET-KEY/i.test(recipient)) {
    throw new SealwardError("recipient-invalid", "An age identity (a secret key) stands where a recipient is expected");
  }
  const raw = recipientPattern.test(recipient) ? decode(recipient, "age") : null;
  if (raw === null) {
    throw new SealwardError(
      "recipient-invalid",
      "Not an age recipient: expected age1 and 58 characters with a right checksum",
    );
  }
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
}

export function rawPublicKey(key: KeyObject): Uint8Array {
  return key.export({ format: "der", type: "spki" }).subarray(spkiPrefix.length);
}

/** A public key object from the 32 bytes that stand in a stanza. */
export function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
}

function encodeRecipient(raw: Uint8Array): string {
  return bech32.encode("age", bech32.toWords(raw));
}

function decode(text: string, prefix: string): Uint8Array | null {
  try {
    const decoded = bech32.decode(text as `${string}1${string}`, false);
    const raw = bech32.fromWords(decoded.words);
    return decoded.prefix === prefix && raw.length === 32 ? raw : null;
  } catch {
    return null;
  }
}
