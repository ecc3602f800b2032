import { inspect } from "node:util";
import { bech32 } from "@scure/base";
import { identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { assertAgeRecipient, generateAgeIdentity, parseAgeIdentities, SealwardError } from "../../src/index.ts";
import { expectRefusal, refusalOf } from "../support/sealing.ts";

const { identity, secretKey } = generateAgeIdentity();

/** Every 8-character piece of the secret part of a key. */
function piecesOf(key: string): string[] {
  const secret = key.replace(/^AGE-SECRET-KEY-1/i, "");
  return Array.from({ length: secret.length - 7 }, (_, start) => secret.slice(start, start + 8));
}

function expectNothingOf(key: string, text: string): void {
  const lower = text.toLowerCase();
  expect(piecesOf(key).filter((piece) => lower.includes(piece.toLowerCase()))).toEqual([]);
}

describe("parseAgeIdentities()", () => {
  it("reads what age-keygen writes, and knows the recipient that the age author's library knows", async () => {
    const text = `# created: 2026-11-23T12:00:00Z\r\n# public key: ${identity.recipient}\r\n\r\n  ${secretKey}  \r\n`;
    const [read, ...rest] = parseAgeIdentities(text, "keys.txt");
    expect(rest).toEqual([]);
    expect(read?.recipient).toBe(identity.recipient);
    expect(await identityToRecipient(secretKey)).toBe(identity.recipient);
  });

  it("reads several, and none from a file of comments", () => {
    const second = generateAgeIdentity();
    const read = parseAgeIdentities(`${secretKey}\n# mine\n${second.secretKey}`, "keys.txt");
    expect(read.map(({ recipient }) => recipient)).toEqual([identity.recipient, second.identity.recipient]);
    expect(parseAgeIdentities("# nothing\n\n", "keys.txt")).toEqual([]);
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
    for (const text of [
      error.message,
      String(error.stack),
      inspect(error, { depth: 9, showHidden: true }),
      JSON.stringify(error),
    ])
      expectNothingOf(secretKey, text);
    expect(error.cause).toBeUndefined();
  });

  it("a secret of another length with a right checksum", async () => {
    const short = bech32.encode("age-secret-key-", bech32.toWords(new Uint8Array(31).fill(7)), false).toUpperCase();
    await expectRefusal(() => parseAgeIdentities(short, "keys.txt"), "identity-invalid");
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
  });

  const { recipient } = identity;
  const flipped = recipient.slice(0, -1) + (recipient.endsWith("q") ? "p" : "q");
  it.each<[string, string]>([
    ["nothing", ""],
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
  ])("refuses %s", async (_, text) => {
    await expectRefusal(() => assertAgeRecipient(text), "recipient-invalid");
  });

  it("does not repeat a secret key that stands in a recipient's place", async () => {
    for (const key of [secretKey, secretKey.toLowerCase(), `age1${secretKey}`]) {
      const error = await refusalOf(() => assertAgeRecipient(key));
      expect(error).toBeInstanceOf(SealwardError);
      expect(error.code).toBe("recipient-invalid");
      expectNothingOf(secretKey, `${error.message}${error.stack}`);
    }
  });
});
