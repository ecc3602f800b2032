// SSH keys as age recipients and identities: the stanzas `ssh-ed25519` and `ssh-rsa`, as age itself makes them. An Ed25519
// key takes part as its X25519 twin, tweaked so that the two uses share nothing. Knows no file of a key: see ssh-key.ts.
import { constants, createHash, type KeyObject, privateDecrypt, publicEncrypt } from "node:crypto";
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
import { agree, agreeOnce, privateKeyFromRaw, publicKeyFromRaw } from "./age-x25519.ts";
import { SealwardError } from "./errors.ts";
import {
  formatSshPublicKey,
  parseSshPublicKey,
  type SshPrivateKey,
  type SshPublicKey,
  splitSshLine,
} from "./ssh-key.ts";

const ed25519Label: string = `${intro}/ssh-ed25519`;
/** Made when it is needed: what needs no cipher does not load them (docs/decisions/0003). */
const oaep = () =>
  ({
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: "sha256",
    oaepLabel: Buffer.from(`${intro}/ssh-rsa`),
  }) as const;
/** Counted in whole bytes, as age does. */
const minRsaBits = 2048 - 7;
/** The prime and the constant of Ed25519 (RFC 8032). */
const prime: bigint = 2n ** 255n - 19n;
const curveD = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/** What opens for an SSH private key; null for an RSA key that age would never wrap for. */
export function sshOpener({ key, publicKey }: SshPrivateKey): Opener | null {
  const unwrap = publicKey.kind === "ssh-rsa" ? rsaUnwrap(key, publicKey) : ed25519Unwrap(key, publicKey);
  if (unwrap === null) return null;
  return { recipient: formatSshPublicKey(publicKey), open: (file) => openFile(file, unwrap) };
}

/** What wraps a file key for a recipient. @throws recipient-invalid, recipient-unsupported for keys that age does not take */
export function sshWrap(recipient: string): (fileKey: Uint8Array) => Stanza {
  const publicKey = parseSshPublicKey(recipient);
  if (publicKey === null) throw notSsh(recipient);
  const tag = sshTag(publicKey);
  if (publicKey.kind === "ssh-rsa") {
    if (publicKey.bits < minRsaBits)
      throw new SealwardError("recipient-invalid", "The SSH recipient is an RSA key of less than 2048 bits");
    return (fileKey) => ({
      kind: publicKey.kind,
      args: [tag],
      body: publicEncrypt({ key: publicKey.key, ...oaep() }, fileKey),
    });
  }
  const peer = montgomery(publicKey.point);
  if (peer === null) throw new SealwardError("recipient-invalid", "The SSH recipient is no point of its curve");
  const { share, shared } = agreeOnce(peer);
  return (fileKey) => {
    const wrapKey = ed25519WrapKey(shared, { share, peer, blob: publicKey.blob });
    if (wrapKey === null) throw new TypeError("a point of small order came through");
    return { kind: publicKey.kind, args: [tag, unpadded(share)], body: sealFileKey(wrapKey, fileKey) };
  };
}

/** How a stanza names the key it is for. Null for a text that is no SSH key. */
export function sshTagOf(recipient: string): string | null {
  const publicKey = parseSshPublicKey(recipient);
  return publicKey === null ? null : sshTag(publicKey);
}

function sshTag({ blob }: SshPublicKey): string {
  return unpadded(createHash("sha256").update(blob).digest().subarray(0, 4));
}

function notSsh(recipient: string): SealwardError {
  const line = splitSshLine(recipient);
  if (line !== null && line.kind !== "ssh-ed25519" && line.kind !== "ssh-rsa") return unsupportedSsh();
  return new SealwardError(
    "recipient-invalid",
    "Not an SSH recipient: expected ssh-ed25519 or ssh-rsa and the whole key, as it stands in the .pub file",
  );
}

export function unsupportedSsh(): SealwardError {
  const message = "The SSH recipient is of a kind that age does not encrypt to: it takes ssh-ed25519 and ssh-rsa";
  return new SealwardError("recipient-unsupported", message);
}

function rsaUnwrap(key: KeyObject, publicKey: SshPublicKey & { kind: "ssh-rsa" }): typeof unwrap | null {
  if (publicKey.bits < minRsaBits) return null;
  const tag = sshTag(publicKey);
  const unwrap = ({ kind, args, body }: Stanza): Uint8Array | null => {
    if (kind !== publicKey.kind || args.length !== 1 || args[0] !== tag) return null;
    try {
      return privateDecrypt({ key, ...oaep() }, body);
    } catch {
      return null; // another key of the same tag, or damaged
    }
  };
  return unwrap;
}

function ed25519Unwrap(key: KeyObject, publicKey: SshPublicKey & { kind: "ssh-ed25519" }): typeof unwrap | null {
  const seed = Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
  const digest = createHash("sha512").update(seed).digest();
  const scalar = privateKeyFromRaw(digest.subarray(0, 32));
  seed.fill(0);
  digest.fill(0);
  const own = montgomery(publicKey.point);
  if (own === null) return null;
  const tag = sshTag(publicKey);
  const unwrap = ({ kind, args, body }: Stanza): Uint8Array | null => {
    if (kind !== publicKey.kind || args.length !== 2 || args[0] !== tag) return null;
    const share = fromUnpadded(args[1] ?? "");
    const shared = share?.length === 32 ? agree(scalar, publicKeyFromRaw(share)) : null;
    if (shared === null || share === null) return null;
    const wrapKey = ed25519WrapKey(shared, { share, peer: own, blob: publicKey.blob });
    return wrapKey === null ? null : openFileKey(wrapKey, body);
  };
  return unwrap;
}

/** The key of the body from the shared secret, which is wiped. */
function ed25519WrapKey(
  shared: Uint8Array,
  { share, peer, blob }: { readonly share: Uint8Array; readonly peer: Uint8Array; readonly blob: Uint8Array },
): Uint8Array | null {
  const tweak = privateKeyFromRaw(derive(Buffer.alloc(0), blob, ed25519Label));
  const tweaked = agree(tweak, publicKeyFromRaw(shared));
  shared.fill(0);
  if (tweaked === null) return null;
  const wrapKey = derive(tweaked, Buffer.concat([share, peer]), ed25519Label);
  tweaked.fill(0);
  return wrapKey;
}

/** The X25519 twin of an Ed25519 point, (1 + y) / (1 - y); null for bytes that are no point. Public: need not be constant in time. */
function montgomery(point: Uint8Array): Uint8Array | null {
  const encoded = BigInt(`0x${Buffer.from(point).reverse().toString("hex")}`);
  const y = encoded & (2n ** 255n - 1n);
  const [top, bottom] = [modulo(y * y - 1n), modulo(curveD * y * y + 1n)];
  // x² = top / bottom: a square, by Euler's criterion.
  const root = power(modulo(top * bottom), (prime - 1n) / 2n);
  if (y >= prime || (root !== 1n && root !== 0n)) return null;
  const u = modulo((1n + y) * power(modulo(1n - y), prime - 2n));
  return Buffer.from(u.toString(16).padStart(64, "0"), "hex").reverse();
}

const modulo = (number: bigint): bigint => ((number % prime) + prime) % prime;

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}
