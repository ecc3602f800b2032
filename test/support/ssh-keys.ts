// SSH keys in the files that ssh-keygen writes, made from keys of node:crypto so that tests need no program.
import { createPublicKey, type KeyObject } from "node:crypto";

const field = (bytes: Uint8Array): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
const text = (value: string): Buffer => field(Buffer.from(value));
const fromUrl = (value: string | undefined): Buffer => Buffer.from(value ?? "", "base64url");
const number = (value: string | undefined): Buffer => {
  const bytes = fromUrl(value);
  return field((bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes]));
};

/** `ssh-… AAAA…`, without a comment. */
export function sshLine(key: KeyObject): string {
  const kind = key.asymmetricKeyType === "rsa" ? "ssh-rsa" : "ssh-ed25519";
  return `${kind} ${publicBlob(key).toString("base64")}`;
}

function publicBlob(key: KeyObject): Buffer {
  const { x, n, e } = key.export({ format: "jwk" });
  return x === undefined
    ? Buffer.concat([text("ssh-rsa"), number(e), number(n)])
    : Buffer.concat([text("ssh-ed25519"), field(fromUrl(x))]);
}

export interface OpenSshParts {
  readonly cipher?: string;
  readonly kdf?: string;
  readonly checks?: readonly [number, number];
  readonly kind?: string;
  readonly publicBlob?: Uint8Array;
  readonly keys?: number;
}

/** An OpenSSH private key file; `parts` make it wrong. */
export function openSshKey(key: KeyObject, parts: OpenSshParts = {}): string {
  const { x, d, n, e, p, q, qi } = key.export({ format: "jwk" });
  const isRsa = key.asymmetricKeyType === "rsa";
  const { cipher = "none", kdf = "none", checks = [7, 7], kind = isRsa ? "ssh-rsa" : "ssh-ed25519", keys = 1 } = parts;
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const fields = isRsa
    ? [n, e, d, qi, p, q].map(number)
    : [field(fromUrl(x)), field(Buffer.concat([fromUrl(d), fromUrl(x)]))];
  const secret = Buffer.concat([...checks.map(word), text(kind), ...fields, text("comment")]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const blob = parts.publicBlob ?? publicBlob(createPublicKey(key));
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    ...[text(cipher), text(kdf), field(Buffer.alloc(0)), word(keys), field(blob)],
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = file.toString("base64").match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** PEM as older programs write it: PKCS #1 for RSA, else PKCS #8. */
export function pemKey(key: KeyObject): string {
  return key.export({ format: "pem", type: key.asymmetricKeyType === "rsa" ? "pkcs1" : "pkcs8" }).toString();
}
