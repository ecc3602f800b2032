// Wraps and unwraps a data key as SOPS stores it: one armored age file for one X25519 recipient.
// Byte layout: the age v1 specification (C2SP age.md). Primitives come from node:crypto, which is eight times faster
// here than the age author's own library; the tests use that library and the released `age` as oracles.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { type AgeIdentity, agree, publicKeyFromRaw, rawPublicKey, recipientKey } from "./age-keys.ts";

const intro = "age-encryption.org/v1";
const beginArmor = "-----BEGIN AGE ENCRYPTED FILE-----";
const endArmor = "-----END AGE ENCRYPTED FILE-----";
const tagLength = 16;
const fileKeyLength = 16;
const nonceLength = 16;
/** What is wrapped is a data key of 32 bytes; anything that needs a second chunk is none. */
const maxArmorLength = 64 * 1024;
const zeroNonce = Buffer.alloc(12);
/** Counter 0 and the last-chunk flag: a data key is one chunk. */
const lastChunkNonce = Buffer.from("000000000000000000000001", "hex");

/** The armored age file (trailing newline included) in which `recipient` finds the data key. @throws recipient-invalid */
export function wrapDataKey(dataKey: Uint8Array, recipient: string): string {
  const peer = recipientKey(recipient);
  const fileKey = randomBytes(fileKeyLength);
  const ephemeral = generateKeyPairSync("x25519");
  const share = rawPublicKey(ephemeral.publicKey);
  const shared = agree(ephemeral.privateKey, peer);
  const wrapKey = derive(shared, Buffer.concat([share, rawPublicKey(peer)]), `${intro}/X25519`);
  const body = encryptChunk(wrapKey, zeroNonce, fileKey);
  const header = `${intro}\n-> X25519 ${unpadded(share)}\n${unpadded(body)}\n---`;
  const nonce = randomBytes(nonceLength);
  const payload = encryptChunk(derive(fileKey, nonce, "payload"), lastChunkNonce, dataKey);
  const file = Buffer.concat([Buffer.from(`${header} ${unpadded(headerMac(fileKey, header))}\n`), nonce, payload]);
  fileKey.fill(0);
  shared.fill(0);
  return `${beginArmor}\n${(file.toString("base64").match(/.{1,64}/g) ?? []).join("\n")}\n${endArmor}\n`;
}

/** The data key, or null where this identity does not open the file: another key's, damaged, or not an age file. */
export function unwrapDataKey(armored: string, identity: AgeIdentity): Uint8Array | null {
  const file = dearmor(armored);
  if (file === null) return null;
  const end = file.indexOf("\n--- ");
  const newline = end < 0 ? -1 : file.indexOf("\n", end + 1);
  if (newline < 0) return null;
  const header = file.subarray(0, end + 4).toString("latin1");
  const mac = fromUnpadded(file.subarray(end + 5, newline).toString("latin1"));
  const payload = file.subarray(newline + 1);
  if (mac === null || payload.length < nonceLength + tagLength) return null;
  for (const stanza of x25519Stanzas(header)) {
    const fileKey = openStanza(stanza, identity);
    if (fileKey === null) continue;
    const expected = headerMac(fileKey, header);
    if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return null;
    const key = derive(fileKey, payload.subarray(0, nonceLength), "payload");
    fileKey.fill(0);
    return decryptChunk(key, lastChunkNonce, payload.subarray(nonceLength));
  }
  return null;
}

/**
 * The kinds of the stanzas in the header, each of which somebody opens; null where the text is no armored age file. Needs
 * no key, and so proves nothing but what age's own programs would do with the file.
 */
export function stanzaKinds(armored: string): string[] | null {
  const file = dearmor(armored);
  const end = file === null ? -1 : file.indexOf("\n--- ");
  if (file === null || end < 0) return null;
  const [first, ...lines] = file.subarray(0, end).toString("latin1").split("\n");
  if (first !== intro) return null;
  // Kinds that end so are made to be ignored: they keep readers from refusing what they do not know.
  return lines
    .filter((line) => line.startsWith("-> "))
    .map((line) => line.split(" ")[1] ?? "")
    .filter((kind) => !kind.endsWith("-grease"));
}

/** True where one X25519 key opens the file and no other key does. */
export function isWrappedForOne(armored: string): boolean {
  const kinds = stanzaKinds(armored);
  return kinds?.length === 1 && kinds[0] === "X25519";
}

interface Stanza {
  readonly share: Uint8Array;
  readonly body: Uint8Array;
}

function* x25519Stanzas(header: string): Generator<Stanza> {
  const lines = header.split("\n");
  if (lines[0] !== intro) return;
  for (const [index, line] of lines.entries()) {
    const match = /^-> X25519 (\S+)$/.exec(line);
    const share = match === null ? null : fromUnpadded(match[1] ?? "");
    const body = match === null ? null : fromUnpadded(lines[index + 1] ?? "");
    if (share?.length === 32 && body?.length === fileKeyLength + tagLength) yield { share, body };
  }
}

function openStanza({ share, body }: Stanza, identity: AgeIdentity): Uint8Array | null {
  let shared: Buffer;
  try {
    shared = diffieHellman({ privateKey: identity.privateKey(), publicKey: publicKeyFromRaw(share) });
  } catch {
    return null; // a low-order point: OpenSSL refuses the all-zero result
  }
  const own = rawPublicKey(recipientKey(identity.recipient));
  const wrapKey = derive(shared, Buffer.concat([share, own]), `${intro}/X25519`);
  shared.fill(0);
  return decryptChunk(wrapKey, zeroNonce, body);
}

function dearmor(armored: string): Buffer | null {
  if (armored.length > maxArmorLength) return null;
  const lines = armored.trim().split(/\r?\n/);
  if (lines.shift() !== beginArmor || lines.pop() !== endArmor) return null;
  const text = lines.join("");
  const file = Buffer.from(text, "base64");
  return file.toString("base64") === text ? file : null;
}

function derive(secret: Uint8Array, salt: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, salt, info, 32));
}

function headerMac(fileKey: Uint8Array, header: string): Uint8Array {
  return createHmac("sha256", derive(fileKey, Buffer.alloc(0), "header"))
    .update(header, "latin1")
    .digest();
}

function encryptChunk(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: tagLength });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function decryptChunk(key: Uint8Array, nonce: Uint8Array, chunk: Uint8Array): Uint8Array | null {
  if (chunk.length < tagLength) return null;
  const decipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: tagLength });
  decipher.setAuthTag(chunk.subarray(chunk.length - tagLength));
  const plaintext = decipher.update(chunk.subarray(0, chunk.length - tagLength));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return null;
  }
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

function fromUnpadded(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return unpadded(bytes) === text ? bytes : null;
}
