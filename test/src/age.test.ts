import { generateKeyPairSync, randomBytes } from "node:crypto";
import { bech32 } from "@scure/base";
import { armor, Decrypter, Encrypter } from "age-encryption";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isWrappedForOne, stanzaKinds, unwrapDataKey, wrapDataKey } from "../../src/age.ts";
import { type AgeIdentity, generateAgeIdentity, generateHybridIdentity, parseAgeIdentities } from "../../src/index.ts";
import { expectRefusal } from "../support/sealing.ts";
import { openSshKey, sshLine } from "../support/ssh-keys.ts";

const own = generateAgeIdentity();
const other = generateAgeIdentity();
const dataKey = randomBytes(32);
const blob = await wrapDataKey(dataKey, own.identity.recipient);
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
    expect(Buffer.from((await unwrapDataKey(armored(file), own.identity)) ?? [])).toEqual(dataKey);
    expect(Buffer.from((await unwrapDataKey(armored(file), other.identity)) ?? [])).toEqual(dataKey);
  });

  it("writes passphrase files, which are nobody's", async () => {
    const encrypter = new Encrypter();
    encrypter.setPassphrase("correct horse");
    encrypter.setScryptWorkFactor(10);
    expect(await unwrapDataKey(armored(await encrypter.encrypt(dataKey)), own.identity)).toBeNull();
  });

  it("agrees with the armor's form, line by line", () => {
    expect(blob).toBe(`${armored(armor.decode(blob)).trimEnd()}\n`);
  });
});

describe("unwrapDataKey()", () => {
  it("gives the data key back, and another one each time it was wrapped", async () => {
    expect(Buffer.from((await unwrapDataKey(blob, own.identity)) ?? [])).toEqual(dataKey);
    expect(await wrapDataKey(dataKey, own.identity.recipient)).not.toBe(blob);
  });

  it("gives null to another identity", async () => {
    expect(await unwrapDataKey(blob, other.identity)).toBeNull();
  });

  it("gives null for any flipped bit: header, MAC, nonce and payload", async () => {
    for (let index = 0; index < body.length; index += 1) {
      const damaged = Buffer.from(body);
      damaged[index] = (damaged[index] ?? 0) ^ (1 << (index % 8));
      expect(await unwrapDataKey(armored(damaged), own.identity), `byte ${index}`).toBeNull();
    }
  });

  it("gives null for a file that ends anywhere before its end, and for one that goes on", async () => {
    for (let length = 0; length < body.length; length += 1)
      expect(await unwrapDataKey(armored(body.subarray(0, length)), own.identity), `length ${length}`).toBeNull();
    expect(await unwrapDataKey(armored(Buffer.concat([body, Buffer.alloc(1)])), own.identity)).toBeNull();
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["no armor", body.toString("base64")],
    ["another armor", blob.replaceAll("AGE ENCRYPTED FILE", "PGP MESSAGE")],
    ["no end", blob.replace(/-----END.*/, "")],
    ["letters that are not base64", blob.replace("YWdl", "YW*l")],
    ["two files", blob + blob],
    ["too much of it", blob.replace("\n", `\n${"A".repeat(70_000)}\n`)],
  ])("gives null for damaged armor: %s", async (_, text) => {
    expect(await unwrapDataKey(text, own.identity)).toBeNull();
  });

  it("gives null where the share is a low-order point", async () => {
    const share = Buffer.alloc(32).toString("base64").replace(/=+$/, "");
    const header = body.toString("latin1").replace(/(-> X25519 )\S+/, `$1${share}`);
    expect(await unwrapDataKey(armored(Buffer.from(header, "latin1")), own.identity)).toBeNull();
  });

  it("gives null, and never throws, for any text", async () => {
    const anyHeader = fc
      .string({ unit: "binary" })
      .map((text) => armored(Buffer.from(`age-encryption.org/v1\n-> X25519 ${text}`)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), anyHeader), async (text) => {
        expect(await unwrapDataKey(text, own.identity)).toBeNull();
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

interface Holder {
  readonly kind: string;
  readonly recipient: string;
  readonly identity: AgeIdentity;
}

async function holders(): Promise<readonly Holder[]> {
  const hybrid = await generateHybridIdentity();
  const found: Holder[] = [
    { kind: "X25519", recipient: own.identity.recipient, identity: own.identity },
    { kind: "mlkem768x25519", recipient: hybrid.identity.recipient, identity: hybrid.identity },
  ];
  for (const { publicKey, privateKey } of [
    generateKeyPairSync("ed25519"),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
    generateKeyPairSync("rsa", { modulusLength: 3072 }),
  ]) {
    const [identity] = await parseAgeIdentities(openSshKey(privateKey), "id");
    if (identity === undefined) throw new Error("no identity");
    const recipient = `${sshLine(publicKey)} me@laptop`;
    found.push({ kind: recipient.split(" ")[0] ?? "", recipient, identity });
  }
  return found;
}

const all = await holders();
const strangers = await holders();

describe.each(all.map((holder) => [holder.kind, holder] as const))(
  "a data key for one recipient of %s",
  (kind, holder) => {
    it("comes back, and with no other key", async () => {
      const text = await wrapDataKey(dataKey, holder.recipient);
      expect(Buffer.from((await unwrapDataKey(text, holder.identity)) ?? [])).toEqual(dataKey);
      for (const { identity } of [...all, ...strangers]) {
        if (identity !== holder.identity && !(kind === "X25519" && identity === own.identity))
          expect(await unwrapDataKey(text, identity)).toBeNull();
      }
    });

    it("has one stanza, of this kind, and fits this recipient alone", async () => {
      const text = await wrapDataKey(dataKey, holder.recipient);
      expect(stanzaKinds(text)).toEqual([kind]);
      expect(isWrappedForOne(text, holder.recipient)).toBe(true);
      expect(isWrappedForOne(text, holder.identity.recipient)).toBe(true);
      for (const other of all)
        if (other.kind !== kind) expect(isWrappedForOne(text, other.recipient), other.kind).toBe(false);
    });

    it("gives null for any flipped bit, and wherever it is cut off", async () => {
      const bytes = Buffer.from(armor.decode(await wrapDataKey(dataKey, holder.recipient)));
      const step = kind === "mlkem768x25519" ? 23 : 1;
      for (let at = 0; at < bytes.length; at += step) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
        expect(await unwrapDataKey(armored(damaged), holder.identity), `byte ${at}`).toBeNull();
        if (at % 7 === 0) expect(await unwrapDataKey(armored(bytes.subarray(0, at)), holder.identity)).toBeNull();
      }
    });
  },
);

describe("an SSH entry", () => {
  it("names its key: the entry of another key of the kind does not fit", async () => {
    for (const [index, { kind, recipient }] of all.entries()) {
      if (!kind.startsWith("ssh-")) continue;
      const text = await wrapDataKey(dataKey, recipient);
      expect(isWrappedForOne(text, strangers[index]?.recipient ?? "")).toBe(false);
    }
  });
});

describe("the age author's library with post-quantum keys", () => {
  it("opens what we wrap and wraps what we open", async () => {
    const { identity, secretKey } = await generateHybridIdentity();
    const decrypter = new Decrypter();
    decrypter.addIdentity(secretKey);
    const text = await wrapDataKey(dataKey, identity.recipient);
    expect(Buffer.from(await decrypter.decrypt(armor.decode(text)))).toEqual(dataKey);
    const encrypter = new Encrypter();
    encrypter.addRecipient(identity.recipient);
    const file = armored(await encrypter.encrypt(dataKey));
    expect(Buffer.from((await unwrapDataKey(file, identity)) ?? [])).toEqual(dataKey);
  });
});
