// What KMS hands out: a blob that names its key and its key material, sealed with AES-256-GCM over these names and the
// encryption context. Knows neither keys by other names than their id nor who may use them.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

export type EncryptionContext = Readonly<Record<string, string>>;

/** One generation of a key's material; a rotation adds one and keeps the others. */
export interface KeyMaterial {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly secret: Buffer;
}

/** What a blob says of itself. */
export interface Header {
  readonly keyId: string;
  readonly materialId: string;
}

const version = 0x53;
const nonceLength = 12;
const tagLength = 16;
const materialIdLength = 32;

export function newMaterial(): KeyMaterial {
  return { id: randomBytes(materialIdLength).toString("hex"), secret: randomBytes(32) };
}

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Each key and value with its length before it: two contexts never have one encoding, as they have in other servers. */
function encodeContext(context: EncryptionContext): Buffer {
  const entries = Object.entries(context).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Buffer.concat(entries.flat().map(withLength));
}

function encodeHeader({ keyId, materialId }: Header): Buffer {
  return Buffer.concat([Buffer.from([version, keyId.length]), Buffer.from(keyId), Buffer.from(materialId, "hex")]);
}

export function sealBlob(keyId: string, material: KeyMaterial, plaintext: Buffer, context: EncryptionContext): Buffer {
  const header = encodeHeader({ keyId, materialId: material.id });
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv("aes-256-gcm", material.secret, nonce, { authTagLength: tagLength });
  cipher.setAAD(Buffer.concat([header, encodeContext(context)]));
  return Buffer.concat([header, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined where it is none of ours. */
export function readHeader(blob: Buffer): Header | undefined {
  const keyEnd = 2 + (blob[1] ?? 0);
  const materialEnd = keyEnd + materialIdLength;
  if (blob[0] !== version || blob.length < materialEnd + nonceLength + tagLength) return undefined;
  return {
    keyId: blob.subarray(2, keyEnd).toString("latin1"),
    materialId: blob.subarray(keyEnd, materialEnd).toString("hex"),
  };
}

/** Undefined where the blob, the context or the material is not the one of sealing. */
export function openBlob(blob: Buffer, material: KeyMaterial, context: EncryptionContext): Buffer | undefined {
  const header = readHeader(blob);
  if (header === undefined) return undefined;
  const encoded = encodeHeader(header);
  const sealed = blob.subarray(encoded.length + nonceLength, -tagLength);
  const nonce = blob.subarray(encoded.length, encoded.length + nonceLength);
  const decipher = createDecipheriv("aes-256-gcm", material.secret, nonce, { authTagLength: tagLength });
  decipher.setAAD(Buffer.concat([encoded, encodeContext(context)]));
  decipher.setAuthTag(blob.subarray(-tagLength));
  try {
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  } catch {
    return undefined;
  }
}
