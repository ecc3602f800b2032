import { randomBytes } from "node:crypto";
import { bech32 } from "@scure/base";
import { armor, Decrypter, Encrypter } from "age-encryption";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unwrapDataKey, wrapDataKey } from "../../src/age.ts";
import { generateAgeIdentity } from "../../src/index.ts";
import { expectRefusal } from "../support/sealing.ts";

const own = generateAgeIdentity();
const other = generateAgeIdentity();
const dataKey = randomBytes(32);
const blob = wrapDataKey(dataKey, own.identity.recipient);
const body = Buffer.from(blob.replace(/-----.*-----/g, ""), "base64");

function armored(file: Uint8Array): string {
  return armor.encode(file);
}

describe("the age author's library as the oracle", () => {
  it("opens what we wrap", async () => {
    const decrypter = new Decrypter();
    decrypter.addIdentity(own.secretKey);
    expect(Buffer.from(await decrypter.decrypt(armor.decode(blob)))).toEqual(dataKey);
  });

  it("wraps what we open, among other recipients too", async () => {
    const encrypter = new Encrypter();
    for (const { identity } of [other, own]) encrypter.addRecipient(identity.recipient);
    const file = await encrypter.encrypt(dataKey);
    expect(Buffer.from(unwrapDataKey(armored(file), own.identity) ?? [])).toEqual(dataKey);
    expect(Buffer.from(unwrapDataKey(armored(file), other.identity) ?? [])).toEqual(dataKey);
  });

  it("writes passphrase files, which are nobody's", async () => {
    const encrypter = new Encrypter();
    encrypter.setPassphrase("correct horse");
    encrypter.setScryptWorkFactor(10);
    expect(unwrapDataKey(armored(await encrypter.encrypt(dataKey)), own.identity)).toBeNull();
  });

  it("agrees with the armor's form, line by line", () => {
    expect(blob).toBe(`${armored(armor.decode(blob)).trimEnd()}\n`);
  });
});

describe("unwrapDataKey()", () => {
  it("gives the data key back, and another one each time it was wrapped", () => {
    expect(Buffer.from(unwrapDataKey(blob, own.identity) ?? [])).toEqual(dataKey);
    expect(wrapDataKey(dataKey, own.identity.recipient)).not.toBe(blob);
  });

  it("gives null to another identity", () => {
    expect(unwrapDataKey(blob, other.identity)).toBeNull();
  });

  it("gives null for any flipped bit: header, MAC, nonce and payload", () => {
    for (let index = 0; index < body.length; index += 1) {
      const damaged = Buffer.from(body);
      damaged[index] = (damaged[index] ?? 0) ^ (1 << (index % 8));
      expect(unwrapDataKey(armored(damaged), own.identity), `byte ${index}`).toBeNull();
    }
  });

  it("gives null for a file that ends anywhere before its end, and for one that goes on", () => {
    for (let length = 0; length < body.length; length += 1)
      expect(unwrapDataKey(armored(body.subarray(0, length)), own.identity), `length ${length}`).toBeNull();
    expect(unwrapDataKey(armored(Buffer.concat([body, Buffer.alloc(1)])), own.identity)).toBeNull();
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["no armor", body.toString("base64")],
    ["another armor", blob.replaceAll("AGE ENCRYPTED FILE", "PGP MESSAGE")],
    ["no end", blob.replace(/-----END.*/, "")],
    ["letters that are not base64", blob.replace("YWdl", "YW*l")],
    ["two files", blob + blob],
    ["too much of it", blob.replace("\n", `\n${"A".repeat(70_000)}\n`)],
  ])("gives null for damaged armor: %s", (_, text) => {
    expect(unwrapDataKey(text, own.identity)).toBeNull();
  });

  it("gives null where the share is a low-order point", () => {
    const share = Buffer.alloc(32).toString("base64").replace(/=+$/, "");
    const header = body.toString("latin1").replace(/(-> X25519 )\S+/, `$1${share}`);
    expect(unwrapDataKey(armored(Buffer.from(header, "latin1")), own.identity)).toBeNull();
  });

  it("gives null, and never throws, for any text", () => {
    const anyHeader = fc
      .string({ unit: "binary" })
      .map((text) => armored(Buffer.from(`age-encryption.org/v1\n-> X25519 ${text}`)));
    fc.assert(
      fc.property(fc.oneof(fc.string(), anyHeader), (text) => {
        expect(unwrapDataKey(text, own.identity)).toBeNull();
      }),
      { numRuns: 200 },
    );
  });
});

describe("wrapDataKey()", () => {
  it("refuses a recipient whose point keeps nothing secret", async () => {
    const low = bech32.encode("age", bech32.toWords(new Uint8Array(32)));
    await expectRefusal(() => wrapDataKey(dataKey, low), "recipient-invalid");
  });
});
