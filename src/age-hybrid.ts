// Post-quantum keys of age (ML-KEM-768 with X25519), by way of the age author's library, which is loaded when such a key is
// met and not before. That library's errors quote whole keys: keys are checked here first, and no message is passed on.
import type { AgeFile, Opener } from "./age-file.ts";
import { agreeOnce, decodeKey } from "./age-x25519.ts";
import { SealwardError } from "./errors.ts";

const kind = "mlkem768x25519";
/** ML-KEM-768's key: 768 coefficients of 12 bits and a seed of 32 bytes; 32 bytes for X25519 follow. */
const coefficientsLength = 1152;
const kemLength: number = coefficientsLength + 32;
const recipientLength: number = kemLength + 32;
const modulus = 3329;

/** @throws recipient-invalid */
export function assertHybridRecipient(text: string): void {
  const raw = /^age1pq1[02-9ac-hj-np-z]+$/.test(text) ? decodeKey(text, "age1pq", recipientLength) : null;
  if (raw === null || !isKemKey(raw))
    throw new SealwardError(
      "recipient-invalid",
      "Not a post-quantum age recipient: its checksum or length is wrong (mistyped or cut off?)",
    );
  agreeOnce(raw.subarray(kemLength)).shared.fill(0);
}

/** FIPS 203, 7.2: each coefficient is less than the modulus. */
function isKemKey(raw: Uint8Array): boolean {
  for (let at = 0; at < coefficientsLength; at += 3) {
    const [a = 0, b = 0, c = 0] = raw.subarray(at, at + 3);
    if ((a | ((b & 15) << 8)) >= modulus || ((b >> 4) | (c << 4)) >= modulus) return false;
  }
  return true;
}

/** The age file in which a recipient finds the plaintext. @throws recipient-invalid */
export async function encryptHybrid(plaintext: Uint8Array, recipient: string): Promise<Uint8Array> {
  assertHybridRecipient(recipient);
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return encrypter.encrypt(plaintext);
}

/** What opens for an identity's line; null unless its checksum, kind and length are right. */
export async function hybridIdentity(line: string): Promise<Opener | null> {
  const raw = /^AGE-SECRET-KEY-PQ-1/.test(line) ? decodeKey(line, "age-secret-key-pq-", 32) : null;
  if (raw === null) return null;
  raw.fill(0);
  const { identityToRecipient } = await import("age-encryption");
  return { recipient: await identityToRecipient(line), open: (file) => openHybrid(file, line) };
}

export async function generateHybrid(): Promise<{ readonly secretKey: string; readonly opener: Opener }> {
  const { generateHybridIdentity, identityToRecipient } = await import("age-encryption");
  const secretKey = await generateHybridIdentity();
  const recipient = await identityToRecipient(secretKey);
  return { secretKey, opener: { recipient, open: (file) => openHybrid(file, secretKey) } };
}

async function openHybrid({ bytes, stanzas }: AgeFile, secretKey: string): Promise<Uint8Array | null> {
  if (!stanzas.some((stanza) => stanza.kind === kind)) return null;
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  decrypter.addIdentity(secretKey);
  try {
    return await decrypter.decrypt(bytes);
  } catch {
    return null;
  }
}
