// X25519 keys of age on node:crypto: their text forms, and the stanza that wraps for one. The parts that work on raw keys
// serve age-ssh.ts as well. Bech32 comes from @scure/base; its error messages quote the key, so they are never passed on.
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from "node:crypto";
import { bech32 } from "@scure/base";
import {
  derive,
  fromUnpadded,
  intro,
  type Opener,
  openFile,
  openFileKey,
  type Stanza,
  sealFileKey,
  unpadded,
} from "./age-file.ts";
import { SealwardError } from "./errors.ts";

/** DER prefixes of RFC 8410: a raw 32-byte X25519 key follows. */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b656e032100", "hex");
const kind = "X25519";
const label: string = `${intro}/${kind}`;

export function generateX25519(): { readonly secretKey: string; readonly opener: Opener } {
  const { privateKey } = generateKeyPairSync("x25519");
  const raw = privateKey.export({ format: "der", type: "pkcs8" }).subarray(pkcs8Prefix.length);
  const secretKey = bech32.encode("age-secret-key-", bech32.toWords(raw), false).toUpperCase();
  raw.fill(0);
  return { secretKey, opener: x25519Opener(privateKey) };
}

/** What opens for an identity's line; null unless its checksum, kind and length are right. */
export function x25519Identity(line: string): Opener | null {
  const raw = decodeKey(line, "age-secret-key-", 32);
  if (raw === null) return null;
  const key = privateKeyFromRaw(raw);
  raw.fill(0);
  return x25519Opener(key);
}

function x25519Opener(privateKey: KeyObject): Opener {
  const own = rawPublicKey(createPublicKey(privateKey));
  const unwrap = ({ kind: theirs, args, body }: Stanza): Uint8Array | null => {
    const share = theirs === kind && args.length === 1 ? fromUnpadded(args[0] ?? "") : null;
    if (share?.length !== 32) return null;
    const shared = agree(privateKey, publicKeyFromRaw(share));
    if (shared === null) return null;
    const wrapKey = derive(shared, Buffer.concat([share, own]), label);
    shared.fill(0);
    return openFileKey(wrapKey, body);
  };
  return { recipient: bech32.encode("age", bech32.toWords(own)), open: (file) => openFile(file, unwrap) };
}

/** What wraps a file key for a recipient. @throws recipient-invalid */
export function x25519Wrap(recipient: string): (fileKey: Uint8Array) => Stanza {
  const peer = pointOf(recipient);
  const { share, shared } = agreeOnce(peer);
  return (fileKey) => {
    const wrapKey = derive(shared, Buffer.concat([share, peer]), label);
    shared.fill(0);
    return { kind, args: [unpadded(share)], body: sealFileKey(wrapKey, fileKey) };
  };
}

/** The point of a recipient; no key is generated for a look. @throws recipient-invalid */
export function pointOf(recipient: string): Uint8Array {
  const peer = /^age1[02-9ac-hj-np-z]{58}$/.test(recipient) ? decodeKey(recipient, "age", 32) : null;
  if (peer === null)
    throw new SealwardError(
      "recipient-invalid",
      "Not an age recipient: expected age1 and 58 characters with a right checksum",
    );
  if (lowOrderPoints.has(masked(peer))) throw lowOrder();
  return peer;
}

/** Every u coordinate, reduced or not, with which all private keys share zero (RFC 7748; the list is that of libsodium). */
const lowOrderPoints: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/** X25519 ignores the top bit. */
function masked(point: Uint8Array): string {
  const bytes = Buffer.from(point);
  bytes[31] = (bytes[31] ?? 0) & 0x7f;
  return bytes.toString("hex");
}

function lowOrder(): SealwardError {
  return new SealwardError("recipient-invalid", "Not an age recipient: its point is one that keeps nothing secret");
}

/** A fresh key's public half, and what it shares with a peer. @throws recipient-invalid for a low-order point, with which everyone shares zero */
export function agreeOnce(peer: Uint8Array): { readonly share: Uint8Array; readonly shared: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  const shared = agree(privateKey, peerKey(peer));
  if (shared === null) throw lowOrder();
  return { share: rawPublicKey(publicKey), shared };
}

/** Many files are wrapped for few recipients, and OpenSSL takes longer to read a key than to use it. */
const peerKeys = new Map<string, KeyObject>();
const mostPeers = 64;

function peerKey(peer: Uint8Array): KeyObject {
  const name = Buffer.from(peer).toString("base64");
  const known = peerKeys.get(name) ?? publicKeyFromRaw(peer);
  if (peerKeys.size >= mostPeers) peerKeys.clear();
  peerKeys.set(name, known);
  return known;
}

/** The X25519 shared secret; null for a low-order point. */
export function agree(privateKey: KeyObject, publicKey: KeyObject): Uint8Array | null {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    return null; // OpenSSL refuses the all-zero result
  }
}

export function privateKeyFromRaw(raw: Uint8Array): KeyObject {
  const der = Buffer.concat([pkcs8Prefix, raw]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  der.fill(0);
  return key;
}

export function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
}

export function rawPublicKey(key: KeyObject): Uint8Array {
  return key.export({ format: "der", type: "spki" }).subarray(spkiPrefix.length);
}

/** The bytes of a Bech32 text of this prefix and length, or null. */
export function decodeKey(text: string, prefix: string, length: number): Uint8Array | null {
  const decoded = decode(text);
  return decoded?.prefix === prefix && decoded.raw.length === length ? decoded.raw : null;
}

/** What stands before the data of a Bech32 text whose checksum is right, else null. */
export function prefixOf(text: string): string | null {
  return decode(text)?.prefix ?? null;
}

/** Takes any length: post-quantum keys are longer than Bech32 itself allows. */
function decode(text: string): { readonly prefix: string; readonly raw: Uint8Array } | null {
  try {
    const { prefix, words } = bech32.decode(text as `${string}1${string}`, false);
    return { prefix, raw: bech32.fromWords(words) };
  } catch {
    return null;
  }
}
