import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatSshPublicKey, parseSshPrivateKey, parseSshPublicKey } from "../../src/ssh-key.ts";
import { openSshKey, pemKey, sshLine } from "../support/ssh-keys.ts";

const ed = generateKeyPairSync("ed25519");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const keys = [
  ["ssh-ed25519", ed],
  ["ssh-rsa", rsa],
] as const;

describe.each(keys)("the public half of %s", (kind, { publicKey }) => {
  const line = sshLine(publicKey);

  it.each(["", " ", " me@laptop", "\tme", " two words, and = signs", " Zoë"])(
    "is read with the comment %j",
    (comment) => {
      const key = parseSshPublicKey(line + comment);
      expect(key?.kind).toBe(kind);
      expect(key === null ? "" : formatSshPublicKey(key)).toBe(line);
    },
  );

  it("is refused when any letter of it is another, unless that makes another key", () => {
    const [, base64 = ""] = line.split(" ");
    for (let at = 0; at < base64.length; at += 1) {
      const letter = base64[at] === "A" ? "B" : "A";
      const changed = `${kind} ${base64.slice(0, at)}${letter}${base64.slice(at + 1)}`;
      const key = parseSshPublicKey(changed);
      if (key !== null) expect(formatSshPublicKey(key)).toBe(changed);
    }
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["cut off", line.slice(0, -8)],
    ["something after it", `${line}AAAA`],
    ["a line break after it", `${line}\n`],
    ["a line break in the comment", `${line} a\nb`],
    ["an escape in the comment", `${line} \u001b[2J`],
    ["text that runs backwards in the comment", `${line} \u202e`],
    ["options before it", `no-pty ${line}`],
    ["a space before it", ` ${line}`],
    ["the other kind's name", line.replace(kind, kind === "ssh-rsa" ? "ssh-ed25519" : "ssh-rsa")],
    ["a kind that is none", line.replace(kind, "ssh-dss")],
  ])("is refused with %s", (_, text) => {
    expect(parseSshPublicKey(text)).toBeNull();
  });
});

describe("numbers of an RSA key that are not as they should be", () => {
  const field = (bytes: readonly number[]): number[] => [0, 0, bytes.length >> 8, bytes.length & 255, ...bytes];
  const modulus = [0, ...Buffer.from(rsa.publicKey.export({ format: "jwk" }).n ?? "", "base64url")];
  const line = (e: readonly number[], n: readonly number[]): string =>
    `ssh-rsa ${Buffer.from([...field([...Buffer.from("ssh-rsa")]), ...field(e), ...field(n)]).toString("base64")}`;

  it("are these, and no others", () => {
    expect(parseSshPublicKey(line([1, 0, 1], modulus))?.kind).toBe("ssh-rsa");
  });

  it.each<[string, readonly number[], readonly number[]]>([
    ["an exponent of one", [1], modulus],
    ["an even exponent", [1, 0, 2], modulus],
    ["no exponent", [], modulus],
    ["an exponent of five bytes", [1, 0, 0, 0, 1], modulus],
    ["an exponent with zeros before it", [0, 1, 0, 1], modulus],
    ["a modulus with zeros before it", [1, 0, 1], [0, ...modulus]],
    ["a modulus that is negative", [1, 0, 1], modulus.slice(1).map((byte, index) => (index === 0 ? byte | 128 : byte))],
    ["no modulus", [1, 0, 1], []],
    ["an even modulus", [1, 0, 1], [...modulus.slice(0, -1), 2]],
    ["a modulus of 20,000 bits", [1, 0, 1], Array.from({ length: 2500 }, () => 127)],
  ])("%s", (_, e, n) => {
    expect(parseSshPublicKey(line(e, n))).toBeNull();
  });
});

it("an RSA key of numbers that do not belong together is damaged, in either form", () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = privateKey.export({ format: "jwk" });
  const d = Buffer.from(jwk.d ?? "", "base64url");
  d[20] = (d[20] ?? 0) ^ 1;
  const dp = Buffer.from(jwk.dp ?? "", "base64url").reverse();
  const wrong = createPrivateKey({
    key: { ...jwk, d: d.toString("base64url"), dp: dp.toString("base64url") },
    format: "jwk",
  });
  expect(parseSshPrivateKey(pemKey(wrong))).toBe("damaged");
  expect(parseSshPrivateKey(openSshKey(wrong))).toBe("damaged");
});

describe.each(keys)("the private half of %s", (_, { privateKey, publicKey }) => {
  it.each<[string, string]>([
    ["OpenSSH's form", openSshKey(privateKey)],
    ["the line breaks of Windows", openSshKey(privateKey).replaceAll("\n", "\r\n")],
    ["PEM of older programs", pemKey(privateKey)],
    ["PKCS #8", privateKey.export({ format: "pem", type: "pkcs8" }).toString()],
  ])("is read from %s", (_form, text) => {
    const read = parseSshPrivateKey(text);
    if (typeof read === "string") throw new Error(read);
    expect(formatSshPublicKey(read.publicKey)).toBe(sshLine(publicKey));
    expect(read.key.equals(privateKey)).toBe(true);
  });

  it.each<[string, string, string]>([
    ["a passphrase", "passphrase", openSshKey(privateKey, { cipher: "aes256-ctr", kdf: "bcrypt" })],
    [
      "a passphrase in PKCS #8",
      "passphrase",
      privateKey.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "x" }).toString(),
    ],
    [
      "a passphrase in PEM of older programs",
      "passphrase",
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ],
    ["the public half of another key", "damaged", openSshKey(privateKey, { publicBlob: Buffer.alloc(51, 1) })],
    ["check numbers that differ", "damaged", openSshKey(privateKey, { checks: [1, 2] })],
    ["two keys", "damaged", openSshKey(privateKey, { keys: 2 })],
    ["the name of another kind", "kind", openSshKey(privateKey, { kind: "sk-ssh-ed25519@openssh.com" })],
    [
      "a label of another kind",
      "kind",
      pemKey(privateKey).replaceAll(/(BEGIN|END) [A-Z ]+-----/g, "$1 EC PRIVATE KEY-----"),
    ],
    ["the label alone", "damaged", "-----BEGIN OPENSSH PRIVATE KEY-----\n"],
    ["no key inside", "damaged", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"],
    ["no key inside PEM", "damaged", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
    ["two of them", "damaged", openSshKey(privateKey) + openSshKey(privateKey)],
  ])("is refused with %s: %s", (_form, why, text) => {
    expect(parseSshPrivateKey(text)).toBe(why);
  });

  it("is refused for any byte that is another, unless it opens the same", () => {
    const body = Buffer.from(openSshKey(privateKey).replaceAll(/-----.*-----/g, ""), "base64");
    const anyChange = fc.tuple(fc.nat({ max: body.length - 1 }), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(anyChange, ([at, mask]) => {
        const changed = Buffer.from(body);
        changed[at] = (changed[at] ?? 0) ^ mask;
        const lines = changed.toString("base64").match(/.{1,70}/g) ?? [];
        const read = parseSshPrivateKey(
          `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`,
        );
        if (typeof read !== "string") expect(formatSshPublicKey(read.publicKey)).toBe(sshLine(publicKey));
      }),
      { seed: 20261127, numRuns: 300 },
    );
  });
});

it("takes no other kind from PEM", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  expect(parseSshPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" }).toString())).toBe("kind");
});
