// Text and bytes: strict base64, strict UTF-8, digests and canonical JSON. Knows no format of ours.
import { createHash } from "node:crypto";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The same bytes with a Buffer's methods; nothing is copied. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function toBase64(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("base64");
}

/** Standard base64 with padding, or null. Line breaks are skipped, as Go's decoder (and so the API server) does. */
export function fromBase64(text: string): Uint8Array | null {
  const compact = text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, "") : text;
  // Node reads much more than base64, and non-zero trailing bits; what it writes back is the one spelling of a value.
  const bytes = Buffer.from(compact, "base64");
  return bytes.toString("base64") === compact ? bytes : null;
}

export function encodeUtf8(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

/** The text, or null where the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** `sha256:<hex>` of a document's bytes: how an environment names one document. */
export function documentDigest(document: string): string {
  return `sha256:${sha256Hex(document)}`;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** JSON without spaces, object keys sorted by UTF-16 code unit: one text for one value. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`);
  return `{${members.join(",")}}`;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
