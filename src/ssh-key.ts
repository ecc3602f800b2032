// SSH keys in their files: the line of a public key (RFC 4253), and private keys as OpenSSH and PEM write them. Knows nothing
// of age. Two kinds are read, Ed25519 and RSA: age wraps for no other.
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign, verify } from "node:crypto";

export type SshPublicKey =
  | { readonly kind: "ssh-ed25519"; readonly blob: Uint8Array; readonly point: Uint8Array }
  | { readonly kind: "ssh-rsa"; readonly blob: Uint8Array; readonly key: KeyObject; readonly bits: number };

export interface SshPrivateKey {
  readonly publicKey: SshPublicKey;
  readonly key: KeyObject;
}

/** Why a private key cannot be used. Never says anything of what stands in the file. */
export type SshRefusal = "damaged" | "passphrase" | "kind";

const magic = "openssh-key-v1\0";
const openSshLabel = "OPENSSH PRIVATE KEY";
/** What OpenSSL takes part in. */
const maxRsaBits = 16_384;
const ed25519Pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/** Kind, key and comment of an authorized_keys line without options; null where it is no such line. */
export function splitSshLine(text: string): { readonly kind: string; readonly base64: string } | null {
  // Control characters would let a comment write to the terminal, or end the line that it stands in.
  const match =
    /^((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*)?$/u.exec(
      text,
    );
  return match === null ? null : { kind: match[1] ?? "", base64: match[2] ?? "" };
}

/** The key of such a line; null where it is damaged or of another kind. Not held against the curve. */
export function parseSshPublicKey(text: string): SshPublicKey | null {
  const line = splitSshLine(text);
  if (line === null) return null;
  const blob = Buffer.from(line.base64, "base64");
  if (blob.toString("base64") !== line.base64) return null;
  const key = readPublicBlob(blob);
  return key?.kind === line.kind ? key : null;
}

/** `ssh-… AAAA…`, without a comment. */
export function formatSshPublicKey({ kind, blob }: SshPublicKey): string {
  return `${kind} ${Buffer.from(blob).toString("base64")}`;
}

/** The key in an OpenSSH or PEM file, or why it cannot be used. */
export function parseSshPrivateKey(text: string): SshPrivateKey | SshRefusal {
  const match =
    /^-----BEGIN ([A-Z0-9 ]+)-----\r?\n(?:Proc-Type: 4,(ENCRYPTED)\r?\n)?((?:(?!-----).)+)-----END \1-----$/s.exec(
      text.trim(),
    );
  if (match === null) return "damaged";
  const [, label = "", encrypted, body = ""] = match;
  if (label === "ENCRYPTED PRIVATE KEY" || encrypted !== undefined) return "passphrase";
  if (label === openSshLabel) {
    const bytes = Buffer.from(body, "base64");
    const isClean = bytes.toString("base64") === body.replaceAll(/\s/g, "");
    const key = isClean ? readOpenSsh(bytes) : "damaged";
    bytes.fill(0);
    return key;
  }
  return label === "PRIVATE KEY" || label === "RSA PRIVATE KEY" ? readPem(text) : "kind";
}

function readPem(text: string): SshPrivateKey | SshRefusal {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    return "damaged"; // OpenSSL's message is not passed on
  }
  const { asymmetricKeyType: kind } = key;
  if (kind !== "ed25519" && kind !== "rsa") return "kind";
  return kind === "rsa" && !isWhole(key) ? "damaged" : withPublicHalf(key);
}

/** OpenSSL does not look at the numbers of an RSA key before it computes with them. */
function isWhole(key: KeyObject): boolean {
  const message = Buffer.from("sealward");
  try {
    return verify("sha256", message, createPublicKey(key), sign("sha256", message, key));
  } catch {
    return false;
  }
}

function withPublicHalf(key: KeyObject): SshPrivateKey | SshRefusal {
  const { x, n, e } = createPublicKey(key).export({ format: "jwk" });
  const blob =
    x === undefined
      ? packed(Buffer.from("ssh-rsa"), mpint(fromUrl(e)), mpint(fromUrl(n)))
      : packed(Buffer.from("ssh-ed25519"), fromUrl(x));
  const publicKey = readPublicBlob(blob);
  return publicKey === null ? "damaged" : { publicKey, key };
}

function readOpenSsh(bytes: Buffer): SshPrivateKey | SshRefusal {
  if (bytes.subarray(0, magic.length).toString("latin1") !== magic) return "damaged";
  const reader = new Reader(bytes.subarray(magic.length));
  const [cipher, kdf] = [reader.text(), reader.text()];
  reader.string();
  if (reader.number() !== 1) return "damaged";
  const publicBlob = reader.string();
  if (cipher !== "none" || kdf !== "none") return "passphrase";
  const secret = new Reader(reader.string());
  const [check, sameCheck] = [secret.number(), secret.number()];
  if (check !== sameCheck) return "damaged";
  const kind = secret.text();
  if (kind !== "ssh-ed25519" && kind !== "ssh-rsa") return reader.failed || secret.failed ? "damaged" : "kind";
  const key = kind === "ssh-rsa" ? readRsa(secret) : readEd25519(secret);
  if (key === null || reader.failed || secret.failed) return "damaged";
  const found = withPublicHalf(key);
  // A public half that is another key's would sit in recipients without ever opening anything.
  return typeof found === "string" || Buffer.compare(found.publicKey.blob, publicBlob) !== 0 ? "damaged" : found;
}

function readEd25519(reader: Reader): KeyObject | null {
  reader.string();
  const pair = reader.string();
  if (pair.length !== 64) return null;
  const der = Buffer.concat([ed25519Pkcs8Prefix, pair.subarray(0, 32)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  der.fill(0);
  return key;
}

function readRsa(reader: Reader): KeyObject | null {
  const [n, e, d, qi, p, q] = [1, 2, 3, 4, 5, 6].map(() => reader.string()) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const [prime, other] = [toBigInt(p), toBigInt(q)];
  if (reader.failed || prime < 3n || other < 3n || prime * other !== toBigInt(n)) return null;
  const jwk: JsonWebKey = {
    kty: "RSA",
    ...{ n: toUrl(n), e: toUrl(e), d: toUrl(d), p: toUrl(p), q: toUrl(q), qi: toUrl(qi) },
    dp: toUrl(fromBigInt(toBigInt(d) % (prime - 1n))),
    dq: toUrl(fromBigInt(toBigInt(d) % (other - 1n))),
  };
  try {
    const key = createPrivateKey({ key: jwk, format: "jwk" });
    return isWhole(key) ? key : null;
  } catch {
    return null;
  }
}

/** Null unless the blob is exactly what its key is written as: a tag is made of these bytes. */
function readPublicBlob(blob: Buffer): SshPublicKey | null {
  const reader = new Reader(blob);
  const kind = reader.text();
  if (kind === "ssh-ed25519") {
    const point = reader.string();
    return reader.isAtEnd && point.length === 32 ? { kind, blob, point } : null;
  }
  if (kind !== "ssh-rsa") return null;
  const [e, n] = [reader.string(), reader.string()];
  const bits = toBigInt(n).toString(2).length;
  const isOdd = ((e.at(-1) ?? 0) & (n.at(-1) ?? 0) & 1) === 1;
  const isRead = reader.isAtEnd && isOdd && e.length <= 4 && toBigInt(e) >= 3n && bits <= maxRsaBits;
  if (!isRead || Buffer.compare(blob, packed(Buffer.from(kind), mpint(e), mpint(n))) !== 0) return null;
  const key = createPublicKey({ key: { kty: "RSA", n: toUrl(n), e: toUrl(e) }, format: "jwk" });
  return { kind, blob, key, bits };
}

/** Reads fields with their lengths before them; past the end it gives nothing and says so. */
class Reader {
  readonly #bytes: Buffer;
  #offset = 0;
  failed = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return !this.failed && this.#offset === this.#bytes.length;
  }

  number(): number {
    return this.#take(4)?.readUInt32BE() ?? 0;
  }

  string(): Buffer {
    return this.#take(this.number()) ?? Buffer.alloc(0);
  }

  text(): string {
    return this.string().toString("latin1");
  }

  #take(length: number): Buffer | null {
    const start = this.#offset;
    this.failed ||= length > this.#bytes.length - start;
    if (this.failed) return null;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }
}

function packed(...fields: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(field.length);
      return [length, field];
    }),
  );
}

/** A positive number in as few bytes as hold it and its sign. */
function mpint(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  if (first < 0) return new Uint8Array(0);
  const digits = bytes.subarray(first);
  return (digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.alloc(1), digits]);
}

const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x0${Buffer.from(bytes).toString("hex")}`);

function fromBigInt(number: bigint): Uint8Array {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
}

/** JWK's numbers have no leading zeros. */
function toUrl(bytes: Uint8Array): string {
  const first = bytes.findIndex((byte) => byte !== 0);
  return Buffer.from(first < 0 ? [] : bytes.subarray(first)).toString("base64url");
}

const fromUrl = (text: string | undefined): Uint8Array => Buffer.from(text ?? "", "base64url");
