// The data key of a file and its parts, with KMS keys that are objects of the test: what is left of them in memory, and what
// decides between several failures.
import { describe, expect, it } from "vitest";
import { newDataKey, type Recipients, unwrapFile, withKeyBytes } from "../../src/data-key.ts";
import { type ErrorCode, environmentContext, type Kms, KmsIdentity, SealwardError } from "../../src/index.ts";
import { newMetadata, readSopsMetadata, type SopsMetadata } from "../../src/sops-metadata.ts";
import { expectRefusal, now } from "../support/sealing.ts";

const context = environmentContext("prod");
const arnOf = (name: string) => `arn:aws:kms:eu-west-1:111122223333:key/${name}`;

/** A KMS that wraps in the clear, and holds on to every plaintext that it gives out. */
function holding(answer: (arn: string, plaintext: Uint8Array) => Uint8Array | null = (_, plaintext) => plaintext) {
  const given: Uint8Array[] = [];
  const kms: Kms = {
    encrypt: async ({ plaintext }) => Uint8Array.from(plaintext),
    decrypt: async ({ arn, ciphertext }) => {
      const plaintext = answer(arn, Uint8Array.from(ciphertext));
      if (plaintext === null) return null;
      given.push(plaintext);
      return { plaintext, keyMaterialId: `material of ${arn}` };
    },
  };
  return { kms, given };
}

async function fileFor(kms: Kms, names: readonly (readonly string[])[], threshold?: number) {
  const recipients: Recipients = {
    groups: names.map((group) => group.map((name) => ({ arn: arnOf(name), context }))),
    threshold,
  };
  const { key, groups } = await newDataKey(recipients, { kms, now });
  const raw = newMetadata({
    groups,
    threshold,
    rule: null,
    lastModified: "2026-01-02T03:04:05Z",
    keyMade: null,
    mac: "",
  });
  const metadata = readSopsMetadata(raw, (message) => new SealwardError("sops-metadata-invalid", message));
  return { key, metadata };
}

const opening = (metadata: SopsMetadata, kms: Kms, ...names: string[]) =>
  unwrapFile(metadata, { identities: names.map((name) => new KmsIdentity(arnOf(name), kms)), file: undefined });

describe("a data key", () => {
  it.each([
    ["one key", [["a"]], undefined],
    ["two keys", [["a", "b"]], undefined],
    ["two groups", [["a"], ["b"]], undefined],
    ["two of three groups", [["a"], ["b"], ["c"]], 2],
  ] as const)("comes back through %s, and no part of it stays", async (_, names, threshold) => {
    const { kms, given } = holding();
    const { key, metadata } = await fileFor(kms, names, threshold);
    const opened = await opening(metadata, kms, "a", "b", "c");
    expect(opened.key.equals(key)).toBe(true);
    expect(opened.openedBy).toEqual(names.length === 1 ? [arnOf("a")] : [arnOf("a"), arnOf("b")]);
    expect([...opened.keyMaterialIds]).toEqual(opened.openedBy.map((arn) => [arn, `material of ${arn}`]));
    expect(given.length).toBeGreaterThan(0);
    for (const part of given) expect(part).toEqual(new Uint8Array(part.length));
  });

  it.each<[string, (arn: string, plaintext: Uint8Array) => Uint8Array | null, ErrorCode]>([
    ["one is too short", (_, plaintext) => plaintext.subarray(1), "not-authentic"],
    ["one is empty", () => new Uint8Array(), "not-authentic"],
    ["the second is not to be had", (arn, plaintext) => (arn === arnOf("b") ? null : plaintext), "identity-unmatched"],
    [
      "the second's key is away",
      (arn, plaintext) => {
        if (arn === arnOf("b")) throw new SealwardError("key-unreachable", "away");
        return plaintext;
      },
      "key-unreachable",
    ],
  ])("no part stays where %s", async (_, answer, code) => {
    const { kms, given } = holding(answer);
    const { metadata } = await fileFor(kms, [["a"], ["b"]]);
    await expectRefusal(() => opening(metadata, kms, "a", "b"), code);
    expect(given.length).toBeGreaterThan(0);
    for (const part of given) expect(part).toEqual(new Uint8Array(part.length));
  });

  it("no part stays after a mistake of ours, which is passed on as it is", async () => {
    const mistake = new TypeError("a mistake");
    const { kms, given } = holding((arn, plaintext) => {
      if (arn === arnOf("b")) throw mistake;
      return plaintext;
    });
    const { metadata } = await fileFor(kms, [["a"], ["b"]]);
    await expect(opening(metadata, kms, "a", "b")).rejects.toBe(mistake);
    expect(given).toEqual([new Uint8Array(given[0]?.length ?? 0)]);
  });

  it("of the wrong length opens nothing, and does not stay either", async () => {
    const { kms, given } = holding((_, plaintext) => plaintext.subarray(1));
    const { metadata } = await fileFor(kms, [["a"]]);
    await expectRefusal(() => opening(metadata, kms, "a"), "not-authentic");
    expect(given).toEqual([new Uint8Array(31)]);
  });
});

describe("where several keys fail", () => {
  type Failure = ErrorCode | "null";
  it.each<[Failure, Failure, ErrorCode]>([
    ["key-refused", "key-unreachable", "key-unreachable"],
    ["key-unreachable", "key-refused", "key-unreachable"],
    ["key-refused", "key-refused", "key-refused"],
    ["credentials-missing", "key-refused", "credentials-missing"],
    ["key-refused", "credentials-missing", "key-refused"],
    ["credentials-missing", "key-unreachable", "key-unreachable"],
    ["null", "key-unreachable", "key-unreachable"],
    ["null", "key-refused", "key-refused"],
    ["null", "null", "not-authentic"],
  ])("%s, then %s: %s", async (first, second, expected) => {
    const { kms } = holding((arn) => {
      const failure = arn === arnOf("a") ? first : second;
      if (failure === "null") return null;
      throw new SealwardError(failure, `of ${arn}`);
    });
    const { metadata } = await fileFor(kms, [["a", "b"]]);
    await expectRefusal(() => opening(metadata, kms, "a", "b"), expected);
  });
});

it("wrapping that fails for one key gives nothing out, and the key bytes are gone", async () => {
  const seen: Uint8Array[] = [];
  const kms: Kms = {
    encrypt: async ({ arn, plaintext }) => {
      seen.push(plaintext);
      if (arn === arnOf("b")) throw new SealwardError("key-refused", "no");
      return Uint8Array.of(1);
    },
    decrypt: async () => null,
  };
  await expectRefusal(() => fileFor(kms, [["a", "b"]]), "key-refused");
  expect(seen).toEqual([Buffer.alloc(32), Buffer.alloc(32)]);
});

it("key bytes are wiped after use, whatever came of it", async () => {
  const { kms } = holding();
  const { key } = await fileFor(kms, [["a"]]);
  let seen = new Uint8Array(1);
  const using = withKeyBytes(key, async (raw) => {
    seen = raw as Uint8Array<ArrayBuffer>;
    expect(raw.some((byte) => byte !== 0)).toBe(true);
    throw new TypeError("a mistake");
  });
  await expect(using).rejects.toThrow("a mistake");
  expect(seen).toEqual(Buffer.alloc(32));
});
