// One encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]` and the typed plaintext inside.
// Format: docs/format.md (SOPS 3.13). Knows nothing about files; a caller gives key, path and text.
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from "node:crypto";
import { fromBase64, toBase64 } from "./bytes.ts";

export const dataKeyLength = 32;
/** SOPS writes 32-byte IVs and its `set` and `edit` crash on any other length. */
export const ivLength = 32;
/** OpenSSL's bound; beyond it, it throws. */
const maxIvLength = 128;
const tagLength = 16;

export type ValueType = "str" | "int" | "float" | "bool" | "time" | "comment";
const valueTypes: ReadonlySet<string> = new Set<ValueType>(["str", "int", "float", "bool", "time", "comment"]);

/** The parts of an ENC text. */
export interface Encrypted {
  readonly data: Uint8Array;
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
  readonly type: ValueType;
}

const base64Field = "[A-Za-z0-9+/=]+";
const pattern = new RegExp(
  `^ENC\\[AES256_GCM,data:(${base64Field}),iv:(${base64Field}),tag:(${base64Field}),type:([a-z]+)\\]$`,
);

/** True for anything that SOPS would take for an encrypted value, whole or damaged. */
export function looksEncrypted(text: string): boolean {
  return text.startsWith("ENC[AES256_GCM,");
}

/**
 * The parts, or null where the text is not exactly one ENC. Stricter than SOPS on purpose: SOPS ignores text after the
 * bracket and takes any IV length, so that two texts would mean one value.
 */
export function parseEncrypted(text: string): Encrypted | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  const [data, iv, tag] = [match[1], match[2], match[3]].map((field) => fromBase64(field ?? ""));
  const type = match[4] ?? "";
  if (!data || !iv || !tag || !valueTypes.has(type)) return null;
  if (data.length === 0 || iv.length === 0 || iv.length > maxIvLength || tag.length !== tagLength) return null;
  return { data, iv, tag, type: type as ValueType };
}

export interface EncryptOptions {
  readonly key: KeyObject;
  /** Authenticated with the value: the key path, each component followed by `:`; for the MAC, `lastmodified`. */
  readonly aad: string;
  readonly type: ValueType;
  /** Where many values are encrypted: random bytes are drawn for several at once. */
  readonly ivs?: IvSource | undefined;
}

/** Fresh random IVs, each given out once. */
export class IvSource {
  #pool: Uint8Array = new Uint8Array(0);
  #at = 0;

  next(): Uint8Array {
    if (this.#at >= this.#pool.length) {
      this.#pool = randomBytes(64 * ivLength);
      this.#at = 0;
    }
    const iv = this.#pool.subarray(this.#at, this.#at + ivLength);
    this.#at += ivLength;
    return iv;
  }
}

/** The ENC text of a non-empty plaintext, under a fresh random IV. */
export function encryptValue(plaintext: Uint8Array, { key, aad, type, ivs }: EncryptOptions): string {
  const iv = ivs?.next() ?? randomBytes(ivLength);
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: tagLength });
  cipher.setAAD(Buffer.from(aad, "utf8"));
  const data = cipher.update(plaintext);
  // GCM is a stream cipher: nothing is left for the end but the tag.
  cipher.final();
  return `ENC[AES256_GCM,data:${toBase64(data)},iv:${toBase64(iv)},tag:${toBase64(cipher.getAuthTag())},type:${type}]`;
}

/** The plaintext bytes, or null where key, path or bytes are not the ones that were sealed. */
export function decryptValue(value: Encrypted, key: KeyObject, aad: string): Uint8Array | null {
  const decipher = createDecipheriv("aes-256-gcm", key, value.iv, { authTagLength: tagLength });
  decipher.setAAD(Buffer.from(aad, "utf8"));
  decipher.setAuthTag(value.tag);
  const plaintext = decipher.update(value.data);
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return null;
  }
}

/** Additional data of a value at `path`: every map key from the root, raw, each with a colon after it; lists add nothing. */
export function aadOfPath(path: readonly string[]): string {
  return path.map((component) => `${component}:`).join("");
}
