// The age v1 file (C2SP age.md) around what a recipient finds in it: armor, header, MAC and payload, on node:crypto. Knows
// no kind of key: what a stanza holds is for age-x25519.ts, age-ssh.ts and identity-file.ts to say.

import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { bufferOf } from "./bytes.ts";

export const intro = "age-encryption.org/v1";
export const beginArmor = "-----BEGIN AGE ENCRYPTED FILE-----";
const endArmor = "-----END AGE ENCRYPTED FILE-----";
export const fileKeyLength = 16;
export const tagLength = 16;
const nonceLength = 16;
const chunkLength = 64 * 1024;
const zeroNonce: Uint8Array = Buffer.alloc(12);

/** The file key as one recipient finds it. */
export interface Stanza {
  readonly kind: string;
  readonly args: readonly string[];
  readonly body: Uint8Array;
}

export interface AgeFile {
  readonly bytes: Uint8Array;
  readonly stanzas: readonly Stanza[];
  /** What the MAC covers. */
  readonly header: string;
  readonly mac: Uint8Array;
  readonly payload: Uint8Array;
}

/** What an identity is to the rest: its recipient, and a way to open. */
export interface Opener {
  readonly recipient: string;
  /** Null where it does not open the file. */
  readonly open: (file: AgeFile) => Uint8Array | null | Promise<Uint8Array | null>;
}

/** A file of one chunk, with the stanza that `wrap` makes of its file key. */
export function encryptFile(plaintext: Uint8Array, wrap: (fileKey: Uint8Array) => Stanza): Uint8Array {
  if (plaintext.length > chunkLength) throw new RangeError("more than one chunk");
  const fileKey = randomBytes(fileKeyLength);
  const { kind, args, body } = wrap(fileKey);
  const lines = (unpadded(body).match(/.{1,64}/g) ?? []).map((line) => `${line}\n`);
  // A last line that is full would not be known as the last one.
  const end = body.length % 48 === 0 ? "\n" : "";
  const header = `${intro}\n-> ${[kind, ...args].join(" ")}\n${lines.join("")}${end}---`;
  const nonce = randomBytes(nonceLength);
  const payload = sealChunk(derive(fileKey, nonce, "payload"), plaintext, chunkNonce(0, true));
  const file = Buffer.concat([Buffer.from(`${header} ${unpadded(headerMac(fileKey, header))}\n`), nonce, payload]);
  fileKey.fill(0);
  return file;
}

/** What the file holds where `unwrap` finds the file key in a stanza and nothing is damaged, else null. */
export function openFile(file: AgeFile, unwrap: (stanza: Stanza) => Uint8Array | null): Uint8Array | null {
  for (const stanza of file.stanzas) {
    const fileKey = unwrap(stanza);
    if (fileKey !== null) return fileKey.length === fileKeyLength ? openPayload(file, fileKey) : null;
  }
  return null;
}

/** The content that goes with a file key, which is wiped; null where header or payload were changed. */
export function openPayload({ header, mac, payload }: AgeFile, fileKey: Uint8Array): Uint8Array | null {
  const expected = headerMac(fileKey, header);
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return null;
  const key = derive(fileKey, payload.subarray(0, nonceLength), "payload");
  fileKey.fill(0);
  const chunks: Uint8Array[] = [];
  for (let start = nonceLength; start < payload.length || start === nonceLength; start += chunkLength + tagLength) {
    const chunk = payload.subarray(start, start + chunkLength + tagLength);
    const isLast = start + chunk.length === payload.length;
    const plaintext = openChunk(key, chunk, chunkNonce(chunks.length, isLast));
    // Only a file of nothing at all has an empty chunk.
    if (plaintext === null || (plaintext.length === 0 && chunks.length > 0)) return null;
    chunks.push(plaintext);
  }
  return chunks.length === 1 ? (chunks[0] ?? null) : Buffer.concat(chunks);
}

/** The parts of an age file, or null where it is none. Needs no key, and so proves nothing. */
export function parseAgeFile(bytes: Uint8Array): AgeFile | null {
  const file = bufferOf(bytes);
  const end = file.indexOf("\n--- ");
  const newline = end < 0 ? -1 : file.indexOf("\n", end + 1);
  if (newline < 0) return null;
  const header = file.subarray(0, end + 4).toString("latin1");
  const stanzas = stanzasOf(header.slice(0, -4));
  const mac = fromUnpadded(file.subarray(end + 5, newline).toString("latin1"));
  const payload = file.subarray(newline + 1);
  if (stanzas === null || mac === null || payload.length < nonceLength + tagLength) return null;
  return { bytes: file, stanzas, header, mac, payload };
}

function stanzasOf(text: string): Stanza[] | null {
  const [first, ...lines] = text.split("\n");
  if (first !== intro) return null;
  const stanzas: Stanza[] = [];
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const match = /^-> ([!-~]+)((?: [!-~]+)*)$/.exec(line);
    const body = match === null ? null : takeBody(lines);
    if (match === null || body === null) return null;
    stanzas.push({ kind: match[1] ?? "", args: (match[2] ?? "").split(" ").slice(1), body });
  }
  return stanzas;
}

/** The lines of a stanza's body: all of them full but the last. */
function takeBody(lines: string[]): Uint8Array | null {
  const body: string[] = [];
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    body.push(line);
    if (line.length < 64) return fromUnpadded(body.join(""));
    if (line.length > 64) return null;
  }
  return null;
}

/** The armor with its trailing newline. */
export function armored(file: Uint8Array): string {
  const lines =
    Buffer.from(file)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `${beginArmor}\n${lines.join("\n")}\n${endArmor}\n`;
}

/** The bytes in the armor, or null. As strict as age: lines of 64 characters, of which only the last may be shorter. */
export function dearmored(text: string): Uint8Array | null {
  const lines = text.trim().split(/\r?\n/);
  if (lines.shift() !== beginArmor || lines.pop() !== endArmor) return null;
  const isFull = (line: string, index: number) =>
    line.length === 64 || (index === lines.length - 1 && line.length > 0 && line.length < 64);
  if (!lines.every(isFull)) return null;
  const base64 = lines.join("");
  const file = Buffer.from(base64, "base64");
  return file.toString("base64") === base64 ? file : null;
}

/** The body of a stanza, as most kinds have it. */
export function sealFileKey(wrapKey: Uint8Array, fileKey: Uint8Array): Uint8Array {
  return sealChunk(wrapKey, fileKey, zeroNonce);
}

export function openFileKey(wrapKey: Uint8Array, body: Uint8Array): Uint8Array | null {
  return body.length === fileKeyLength + tagLength ? openChunk(wrapKey, body, zeroNonce) : null;
}

export function derive(secret: Uint8Array, salt: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, salt, info, 32));
}

function headerMac(fileKey: Uint8Array, header: string): Uint8Array {
  return createHmac("sha256", derive(fileKey, Buffer.alloc(0), "header"))
    .update(header, "latin1")
    .digest();
}

function chunkNonce(counter: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(counter, 7);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

function sealChunk(key: Uint8Array, plaintext: Uint8Array, nonce: Uint8Array): Uint8Array {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: tagLength });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function openChunk(key: Uint8Array, chunk: Uint8Array, nonce: Uint8Array): Uint8Array | null {
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

export function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

export function fromUnpadded(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  return unpadded(bytes) === text ? bytes : null;
}
