import { generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import { bech32 } from "@scure/base";
import { identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { wrapDataKey } from "../../src/age.ts";
import {
  assertAgeRecipient,
  type ErrorCode,
  generateAgeIdentity,
  generateHybridIdentity,
  parseAgeIdentities,
  SealwardError,
} from "../../src/index.ts";
import { expectNothingIn, expectNothingOf } from "../support/key-leaks.ts";
import { expectRefusal, refusalOf } from "../support/sealing.ts";
import { openSshKey, pemKey, sshLine } from "../support/ssh-keys.ts";

const { identity, secretKey } = generateAgeIdentity();
const hybrid = await generateHybridIdentity();
const ed = generateKeyPairSync("ed25519");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const short = generateKeyPairSync("rsa", { modulusLength: 1024 });

describe("parseAgeIdentities()", () => {
  it("reads what age-keygen writes, and knows the recipient that the age author's library knows", async () => {
    const text = `# created: 2026-11-23T12:00:00Z\r\n# public key: ${identity.recipient}\r\n\r\n  ${secretKey}  \r\n`;
    const [read, ...rest] = await parseAgeIdentities(text, "keys.txt");
    expect(rest).toEqual([]);
    expect(read?.recipient).toBe(identity.recipient);
    expect(await identityToRecipient(secretKey)).toBe(identity.recipient);
  });

  it("reads several, and none from a file of comments", async () => {
    const second = generateAgeIdentity();
    const read = await parseAgeIdentities(`${secretKey}\n# mine\n${second.secretKey}`, "keys.txt");
    expect(read.map(({ recipient }) => recipient)).toEqual([identity.recipient, second.identity.recipient]);
    expect(await parseAgeIdentities("# nothing\n\n", "keys.txt")).toEqual([]);
  });

  const last = secretKey.at(-1) === "Q" ? "P" : "Q";
  it.each<[string, string]>([
    ["a mistyped letter", secretKey.slice(0, -1) + last],
    [
      "two letters swapped",
      secretKey.replace(/^(.{30})(.)(.)(.*)$/, (_, a, b, c, d) => a + (b === c ? "QP" : c + b) + d),
    ],
    ["cut off", secretKey.slice(0, -4)],
    ["too long", `${secretKey}QQQQ`],
    ["a letter in the other case", secretKey.slice(0, 30) + secretKey.slice(30).toLowerCase()],
    ["lower case", secretKey.toLowerCase()],
    ["two on one line", `${secretKey} ${secretKey}`],
    ["quoted", `"${secretKey}"`],
    ["with a name before it", `AGE_KEY=${secretKey}`],
    ["a post-quantum identity", secretKey.replace("KEY-1", "KEY-PQ-1")],
    ["a plugin's", secretKey.replace("AGE-SECRET-KEY-1", "AGE-PLUGIN-YUBIKEY-1")],
    ["a checksum of another kind (bech32m)", secretKey.slice(0, -6) + secretKey.slice(-6).split("").reverse().join("")],
  ])("%s: names file and line, and shows nothing of the key", async (_, line) => {
    const error = await expectRefusal(() => parseAgeIdentities(`# keys\n\n${line}\n`, "keys.txt"), "identity-invalid");
    expect([error.file, error.line]).toEqual(["keys.txt", 3]);
    expectNothingIn(error, secretKey);
  });

  it.each(["age-secret-key-", "age-secret-key-pq-"])("%s with a right checksum and another length", async (prefix) => {
    for (const length of [0, 31, 33, 64]) {
      const key = bech32.encode(prefix, bech32.toWords(new Uint8Array(length).fill(7)), false).toUpperCase();
      await expectRefusal(() => parseAgeIdentities(key, "keys.txt"), "identity-invalid");
    }
  });

  it("reads post-quantum ones among others, as the age author's library does", async () => {
    const read = await parseAgeIdentities(`${secretKey}\n# new\n${hybrid.secretKey}\n`, "keys.txt");
    expect(read.map(({ recipient }) => recipient)).toEqual([identity.recipient, hybrid.identity.recipient]);
    expect(await identityToRecipient(hybrid.secretKey)).toBe(hybrid.identity.recipient);
  });

  const lastOfHybrid = hybrid.secretKey.at(-1) === "Q" ? "P" : "Q";
  it.each<[string, string]>([
    ["a mistyped letter", hybrid.secretKey.slice(0, -1) + lastOfHybrid],
    ["cut off", hybrid.secretKey.slice(0, -4)],
    ["a letter in the other case", hybrid.secretKey.slice(0, 30) + hybrid.secretKey.slice(30).toLowerCase()],
    ["lower case", hybrid.secretKey.toLowerCase()],
    ["two on one line", `${hybrid.secretKey} ${hybrid.secretKey}`],
    ["without PQ", hybrid.secretKey.replace("-PQ-", "-")],
  ])("a post-quantum one with %s: names file and line, and shows nothing of the key", async (_, line) => {
    const error = await expectRefusal(() => parseAgeIdentities(`# keys\n\n${line}\n`, "keys.txt"), "identity-invalid");
    expect([error.file, error.line]).toEqual(["keys.txt", 3]);
    expectNothingIn(error, hybrid.secretKey);
  });

  it.each([
    ["Ed25519", openSshKey(ed.privateKey), sshLine(ed.publicKey)],
    ["RSA", openSshKey(rsa.privateKey), sshLine(rsa.publicKey)],
    ["RSA in PEM", pemKey(rsa.privateKey), sshLine(rsa.publicKey)],
    ["one after comments", `# mine\n\n${openSshKey(ed.privateKey)}\n`, sshLine(ed.publicKey)],
  ])("reads an SSH key: %s", async (_, text, recipient) => {
    expect((await parseAgeIdentities(text, "id")).map((read) => read.recipient)).toEqual([recipient]);
  });

  const pem = openSshKey(ed.privateKey);
  it.each<[string, string, number, string]>([
    ["with a passphrase", openSshKey(ed.privateKey, { cipher: "aes256-ctr", kdf: "bcrypt" }), 1, "ssh-keygen -p"],
    ["cut off", pem.slice(0, -60), 1, "damaged"],
    ["with a line lost", pem.split("\n").toSpliced(2, 1).join("\n"), 1, "damaged"],
    ["two in one file", `#\n${pem}${pem}`, 2, "damaged"],
    ["of too few bits", openSshKey(short.privateKey), 1, "less than 2048 bits"],
    ["after an age identity", `${secretKey}\n${pem}`, 2, "a file of its own"],
    ["its public half", `\n${sshLine(ed.publicKey)} me@laptop`, 2, "recipient"],
  ])("an SSH key %s: names file and line, and shows nothing of the key", async (_, text, line, reason) => {
    const error = await expectRefusal(() => parseAgeIdentities(text, "id"), "identity-invalid");
    expect([error.file, error.line]).toEqual(["id", line]);
    expect(error.message).toContain(reason);
    for (const key of [pem, openSshKey(short.privateKey), secretKey]) expectNothingIn(error, key);
  });

  it("says of an encrypted identity file what it is", async () => {
    const text = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n";
    const error = await expectRefusal(() => parseAgeIdentities(text, "keys.age"), "identity-invalid");
    expect(error.message).toContain("encrypted with a passphrase");
  });
});

describe("identities of other kinds show nothing but their recipients", () => {
  // An SSH key's file has the public half in it as well; `d` is the private one.
  it.each([
    ["post-quantum", hybrid.secretKey, hybrid.secretKey],
    ["ssh-ed25519", openSshKey(ed.privateKey), ed.privateKey.export({ format: "jwk" }).d],
    ["ssh-rsa", openSshKey(rsa.privateKey), rsa.privateKey.export({ format: "jwk" }).d],
  ])("%s", async (_, text, secret = "") => {
    const [read] = await parseAgeIdentities(text, "key");
    for (const printed of [inspect(read, { showHidden: true, depth: 9, getters: true }), JSON.stringify(read)]) {
      for (const form of [secret, Buffer.from(secret, "base64url").toString("base64")]) expectNothingOf(form, printed);
      expect(printed).toContain(read?.recipient);
    }
  });
});

describe("an identity shows nothing but its recipient", () => {
  it.each<[string, (value: unknown) => string]>([
    ["JSON.stringify", (value) => JSON.stringify({ identity: value })],
    ["String", (value) => String(value)],
    ["util.inspect", (value) => inspect(value)],
    ["util.inspect with everything hidden", (value) => inspect(value, { showHidden: true, depth: 9, getters: true })],
    ["a structured log line", (value) => JSON.stringify(Object.entries(Object.getOwnPropertyDescriptors(value)))],
    ["an error's cause", (value) => inspect(new Error("x", { cause: value }), { showHidden: true, depth: 9 })],
    ["object spread", (value) => inspect({ ...(value as object) }, { showHidden: true, depth: 9 })],
  ])("through %s", (_, print) => {
    const text = print(identity);
    expectNothingOf(secretKey, text);
    const [, , raw = ""] = /(.*)1(.*)/.exec(secretKey) ?? [];
    const bytes = Buffer.from(
      bech32.fromWords(bech32.decode(secretKey.toLowerCase() as `${string}1${string}`, false).words),
    );
    for (const form of [bytes.toString("hex"), bytes.toString("base64"), raw, [...bytes.subarray(0, 4)].join(", ")])
      expect(text).not.toContain(form);
    expect(text).toContain(identity.recipient);
  });
});

describe("assertAgeRecipient()", () => {
  it("takes what generateAgeIdentity() gives", () => {
    expect(() => assertAgeRecipient(identity.recipient)).not.toThrow();
    expect(() => assertAgeRecipient(hybrid.identity.recipient)).not.toThrow();
  });

  it.each(["", " me@laptop", " two words"])("takes SSH keys with the comment %j", (comment) => {
    for (const { publicKey } of [ed, rsa]) expect(() => assertAgeRecipient(sshLine(publicKey) + comment)).not.toThrow();
  });

  const { recipient } = identity;
  const flipped = recipient.slice(0, -1) + (recipient.endsWith("q") ? "p" : "q");
  const pq = hybrid.identity.recipient;
  const hybridOf = (change: (raw: Uint8Array) => void): string => {
    const raw = bech32.fromWords(bech32.decode(pq as `${string}1${string}`, false).words);
    change(raw);
    return bech32.encode("age1pq", bech32.toWords(raw), false);
  };
  const edPoint = (hex: string): string => {
    const head = Buffer.from("0000000b7373682d6564323535313900000020", "hex");
    return `ssh-ed25519 ${Buffer.concat([head, Buffer.from(hex, "hex")]).toString("base64")}`;
  };
  const plugins = bech32.encode("age1yubikey", bech32.toWords(new Uint8Array(33).fill(2)), false);
  it.each<[string, string, ErrorCode?]>([
    ["nothing", ""],
    ["a post-quantum one with a wrong letter", pq.slice(0, -1) + (pq.endsWith("q") ? "p" : "q")],
    ["a post-quantum one that is cut off", pq.slice(0, -40)],
    ["a post-quantum one in upper case", pq.toUpperCase()],
    ["a post-quantum one with a line break after it", `${pq}\n`],
    ["a post-quantum one whose coefficients are too great", hybridOf((raw) => raw.fill(255, 0, 3))],
    ["a post-quantum one with a low-order point", hybridOf((raw) => raw.fill(0, 1184))],
    ["a post-quantum one that is too short", bech32.encode("age1pq", bech32.toWords(new Uint8Array(1215)), false)],
    ["an SSH point that is none", edPoint(`02${"00".repeat(31)}`)],
    ["an SSH point of small order", edPoint(`01${"00".repeat(31)}`)],
    ["another SSH point of small order", edPoint("00".repeat(32))],
    ["an SSH point past the prime", edPoint(`ee${"ff".repeat(30)}7f`)],
    ["an RSA key of too few bits", sshLine(short.publicKey)],
    ["an SSH key cut off", sshLine(rsa.publicKey).slice(0, -40)],
    ["an SSH key with an identity for a comment", `${sshLine(ed.publicKey)} ${secretKey}`],
    ["a plugin's", plugins, "recipient-unsupported"],
    ["a plugin's with a wrong letter", plugins.slice(0, -1) + (plugins.endsWith("q") ? "p" : "q")],
    ["an SSH key of another kind", `ecdsa-sha2-nistp256 ${sshLine(ed.publicKey).slice(12)}`, "recipient-unsupported"],
    [
      "an SSH key in hardware",
      `sk-ssh-ed25519@openssh.com ${sshLine(ed.publicKey).slice(12)}`,
      "recipient-unsupported",
    ],
    ["an old SSH key", `ssh-dss ${sshLine(ed.publicKey).slice(12)}`, "recipient-unsupported"],
    ["a wrong checksum", flipped],
    ["upper case", recipient.toUpperCase()],
    ["mixed case", recipient.slice(0, 20) + recipient.slice(20).toUpperCase()],
    ["cut off", recipient.slice(0, -1)],
    ["a space around it", ` ${recipient}`],
    ["a line break after it", `${recipient}\n`],
    ["two of them", `${recipient},${recipient}`],
    ["an SSH key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8"],
    ["a KMS key", "arn:aws:kms:eu-west-1:111122223333:key/abc"],
    ["the other half's prefix", bech32.encode("age-secret-key-", bech32.toWords(new Uint8Array(32).fill(9)), false)],
    ["a low-order point", bech32.encode("age", bech32.toWords(new Uint8Array(32)))],
  ])("refuses %s", async (_, text, code = "recipient-invalid") => {
    await expectRefusal(() => assertAgeRecipient(text), code);
    await expectRefusal(() => wrapDataKey(new Uint8Array(32), text), code);
  });

  it("does not repeat a secret key that stands in a recipient's place", async () => {
    const joined = [`age1${secretKey}`, `age1pq1${secretKey}`, `ssh-rsa ${secretKey}`, `ssh-ed25519 AAAA ${secretKey}`];
    for (const key of [secretKey, secretKey.toLowerCase(), ...joined]) {
      const error = await refusalOf(() => assertAgeRecipient(key));
      expect(error).toBeInstanceOf(SealwardError);
      expect(error.code).toBe("recipient-invalid");
      expectNothingOf(secretKey, `${error.message}${error.stack}`);
    }
  });
});
