import { armor, Encrypter } from "age-encryption";
import { describe, expect, it } from "vitest";
import { generateAgeIdentity, isEncryptedIdentityFile, openIdentityFile } from "../../src/index.ts";
import { expectNothingIn } from "../support/key-leaks.ts";
import { expectRefusal, mutate } from "../support/sealing.ts";

const { identity, secretKey } = generateAgeIdentity();
const text = `# mine\n${secretKey}\n`;
const passphrase = "correct horse";

async function encrypted(content: string | Uint8Array = text): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(4);
  return encrypter.encrypt(content);
}

const file = await encrypted();
const latin1 = Buffer.from(file).toString("latin1");
const bytesOf = (changed: string): Uint8Array => Buffer.from(changed, "latin1");

describe("an identity file that the age author's library encrypted", () => {
  it.each([
    ["binary", file],
    ["armored", Buffer.from(armor.encode(file))],
    ["armored, with the line breaks of Windows", Buffer.from(`\r\n${armor.encode(file).replaceAll("\n", "\r\n")}`)],
  ])("opens with its passphrase: %s", async (_, bytes) => {
    expect(isEncryptedIdentityFile(bytes)).toBe(true);
    expect(await openIdentityFile(bytes, passphrase)).toBe(text);
    for (const wrong of ["", "Correct horse", `${passphrase} `])
      expect(await openIdentityFile(bytes, wrong)).toBeNull();
  });

  it.each([0, 1, 65_535, 65_536, 65_537, 200_000])("opens with %d characters in it", async (length) => {
    const content = "#".repeat(length);
    expect(await openIdentityFile(await encrypted(content), passphrase)).toBe(content);
  });

  it("with several pieces does not open when one is missing, doubled or last too soon", async () => {
    const bytes = await encrypted("#".repeat(150_000));
    const piece = 65_536 + 16;
    const end = bytes.length - (150_000 - 2 * 65_536 + 16);
    for (const damaged of [
      bytes.subarray(0, end),
      bytes.subarray(0, end - piece),
      Buffer.concat([bytes.subarray(0, end - piece), bytes.subarray(end)]),
      Buffer.concat([bytes.subarray(0, end), bytes.subarray(end - piece)]),
      Buffer.concat([bytes, Buffer.alloc(16)]),
    ])
      await expectRefusal(() => openIdentityFile(damaged, passphrase), "identity-invalid");
  });

  it("says nothing of what is in it when it is damaged, at any byte", async () => {
    for (let at = 0; at < file.length; at += 1) {
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      // More rounds of work are another matter than damage.
      if (/ scrypt \S+ (?!4\n)/.test(damaged.toString("latin1"))) continue;
      try {
        expect(await openIdentityFile(damaged, passphrase)).toBeNull();
      } catch (error) {
        const refusal = await expectRefusal(() => Promise.reject(error), "identity-invalid");
        expectNothingIn(refusal, secretKey);
        expect(refusal.message).not.toContain(passphrase);
      }
    }
  });
});

describe("an encrypted identity file that no passphrase opens", () => {
  it.each<[string, Uint8Array]>([
    ["too much work", bytesOf(mutate(latin1, / 4\n/, " 23\n"))],
    ["work without end", bytesOf(mutate(latin1, / 4\n/, " 99999999999999999999\n"))],
    ["no work", bytesOf(mutate(latin1, / 4\n/, " 0\n"))],
    ["work in other digits", bytesOf(mutate(latin1, / 4\n/, " 04\n"))],
    ["no salt", bytesOf(latin1.replace(/(-> scrypt )\S+ /, "$1"))],
    ["a short salt", bytesOf(latin1.replace(/(-> scrypt )\S+/, "$1AAAA"))],
    ["a second stanza", bytesOf(mutate(latin1, "\n---", "\n-> other\n\n---"))],
    ["the header alone", bytesOf(latin1.slice(0, latin1.indexOf("\n---")))],
    ["half of an armor", Buffer.from(armor.encode(file).slice(0, 90))],
  ])("%s", async (_, bytes) => {
    expect(isEncryptedIdentityFile(bytes)).toBe(true);
    await expectRefusal(() => openIdentityFile(bytes, passphrase), "identity-invalid");
  });

  it("is for a recipient", async () => {
    const encrypter = new Encrypter();
    encrypter.addRecipient(identity.recipient);
    const bytes = await encrypter.encrypt(text);
    const error = await expectRefusal(() => openIdentityFile(bytes, passphrase), "identity-invalid");
    expect(error.message).toContain("for a recipient");
  });

  it("holds something else than text", async () => {
    const bytes = await encrypted(new Uint8Array([255, 254]));
    await expectRefusal(() => openIdentityFile(bytes, passphrase), "identity-invalid");
  });
});

it("is told from identity files in the clear", () => {
  for (const clear of ["", text, `# age-encryption.org/v1\n${secretKey}`, "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
    expect(isEncryptedIdentityFile(Buffer.from(clear))).toBe(false);
});
