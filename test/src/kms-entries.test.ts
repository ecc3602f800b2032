// KMS entries of SOPS files: what is read of them, and what a change of recipients or of the data key leaves of them. Calls
// go to an object that wraps by remembering.
import { beforeEach, describe, expect, it } from "vitest";
import {
  generateAgeIdentity,
  type Kms,
  KmsIdentity,
  type KmsRecipient,
  openSops,
  type Recipients,
  rekeySops,
  rewrapSops,
  type SopsSource,
  type StoreName,
  sealSops,
  storeNames,
} from "../../src/index.ts";
import { metadataOf } from "../../src/sops-file.ts";
import { newKmsEntry } from "../../src/sops-metadata.ts";
import { storeNamed } from "../../src/stores.ts";
import { formatMetadata } from "../../src/yaml-metadata.ts";
import { loadYaml } from "../../src/yaml-store.ts";
import { expectRefusal, mutate, now } from "../support/sealing.ts";

const one = "arn:aws:kms:eu-west-1:111122223333:key/one";
const two = "arn:aws:kms:us-east-1:111122223333:alias/two";
const three = "arn:aws:kms:eu-north-1:111122223333:key/three";
const later = new Date("2027-01-02T03:04:05Z");

/** Opens what it wrapped, by the same key and context only. */
function remembering(): Kms & { readonly asked: string[] } {
  const wrapped: { arn: string; context: string; plaintext: Uint8Array }[] = [];
  const textOf = (context: object) => JSON.stringify(Object.entries(context).sort());
  const asked: string[] = [];
  return {
    asked,
    encrypt: async ({ arn, plaintext, context }) => {
      asked.push(`encrypt ${arn} ${textOf(context)}`);
      wrapped.push({ arn, context: textOf(context), plaintext: Uint8Array.from(plaintext) });
      return Buffer.from(`blob ${wrapped.length - 1}`);
    },
    decrypt: async ({ arn, ciphertext, context }) => {
      asked.push(`decrypt ${arn} ${textOf(context)}`);
      const found = wrapped[Number(Buffer.from(ciphertext).toString().slice("blob ".length))];
      if (found?.arn !== arn || found.context !== textOf(context)) return null;
      return { plaintext: Uint8Array.from(found.plaintext) };
    },
  };
}

const kmsOf = (text: string | Uint8Array, store: StoreName = "yaml") =>
  metadataOf(storeNamed(store).load(Buffer.from(text))).kms;

describe("the encryption context of an entry", () => {
  const block = (context: string) => `a: x
sops:
    kms:
        - arn: ${one}
          ${context}
          created_at: "2026-01-02T03:04:05Z"
          enc: YmxvYg==
    lastmodified: "2026-01-02T03:04:05Z"
    mac: ENC[x]
    version: 3.13.3
`;

  it.each<[string, string, [string, string][]]>([
    [
      "texts",
      'context: {Environment: prod, "1": "2"}',
      [
        ["Environment", "prod"],
        ["1", "2"],
      ],
    ],
    ["an empty text", 'context: {a: ""}', [["a", ""]]],
    ["an empty map", "context: {}", []],
    ["null", "context: null", []],
    ["nothing behind the key", "context:", []],
    ["no such key", "role: arn:aws:iam::111122223333:role/x", []],
    ["a number in quotes", 'context: {a: "1"}', [["a", "1"]]],
    ["an empty name", 'context: {"": x}', [["", "x"]]],
    ["capitals, which stay", "context: {SEALWARD-Environment: Prod}", [["SEALWARD-Environment", "Prod"]]],
    ["__proto__", "context: {__proto__: x}", [["__proto__", "x"]]],
    [
      "names of the prototype",
      "context: {constructor: x, toString: y}",
      [
        ["constructor", "x"],
        ["toString", "y"],
      ],
    ],
  ])("may be %s", (_, line, expected) => {
    const [entry] = kmsOf(block(line));
    expect(Object.entries(entry?.context ?? {}).sort()).toEqual(expected.sort());
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  it.each([
    ["a number", "context: {a: 1}"],
    ["a truth value", "context: {a: true}"],
    ["null for a text", "context: {a: null}"],
    ["nothing for a text", "context: {a: }"],
    ["a list for a text", "context: {a: [x]}"],
    ["a map for a text", "context: {a: {b: x}}"],
    ["a map under __proto__", "context: {__proto__: {sealward-environment: prod}}"],
    ["a text", "context: x"],
    ["an empty text", 'context: ""'],
    ["a number for the map", "context: 0"],
    ["a list", "context: [a]"],
    ["an empty list", "context: []"],
    ["a list of maps", "context: [{a: x}]"],
    ["a key in capitals, which SOPS reads", "Context: {a: x}"],
  ])("is refused as %s", async (_, line) => {
    await expectRefusal(() => kmsOf(block(line)), "sops-metadata-invalid");
  });

  it("is refused with a name that stands there twice", async () => {
    await expectRefusal(() => kmsOf(block("context: {a: x, a: y}")), "duplicate-key");
  });
});

describe("newKmsEntry()", () => {
  const entry = { arn: one, enc: "YmxvYg==", createdAt: now };
  const textOf = (more: Partial<Parameters<typeof newKmsEntry>[0]>) =>
    formatMetadata(newKmsEntry({ ...entry, context: {}, ...more }).raw, 0, "\n");

  it("writes the keys of SOPS in its order", () => {
    const role = "arn:aws:iam::111122223333:role/x";
    expect(textOf({ role, profile: "work", context: { b: "2", a: "1", B: "3" } })).toBe(`arn: ${one}
aws_profile: work
context:
    B: "3"
    a: "1"
    b: "2"
created_at: "2026-11-23T12:00:00Z"
enc: YmxvYg==
role: ${role}
`);
  });

  it("leaves out what there is not, but for the profile, as SOPS does", () => {
    expect(textOf({})).toBe(`arn: ${one}
aws_profile: ""
created_at: "2026-11-23T12:00:00Z"
enc: YmxvYg==
`);
  });

  it("writes a context of any names, and reads the same", () => {
    const pairs = ["__proto__", "constructor", "1", "true", "null", "a: b", "#", "", "é", "{"].map((name) => [
      name,
      name,
    ]);
    const context = Object.fromEntries(pairs);
    const text = `sops:\n  version: 3.13.3\n  lastmodified: "2026-01-02T03:04:05Z"\n  kms:\n    - ${textOf({ context })
      .trimEnd()
      .replaceAll("\n", "\n      ")}\n`;
    expect(metadataOf(loadYaml(text)).kms[0]?.context).toEqual(context);
    expect(Object.keys(metadataOf(loadYaml(text)).kms[0]?.context ?? {}).sort()).toEqual(
      pairs.map(([name]) => name).sort(),
    );
  });
});

describe.each(storeNames)("a %s file with KMS entries", (store) => {
  const { identity } = generateAgeIdentity();
  let kms = remembering();
  beforeEach(() => {
    kms = remembering();
  });
  const first: KmsRecipient = {
    arn: one,
    context: { Environment: "prod", cost: "" },
    role: "arn:aws:iam::111122223333:role/deploy",
    profile: "work",
  };
  const second: KmsRecipient = { arn: two, context: {} };
  const third: KmsRecipient = { arn: three, context: { a: "b" } };
  const group = (...recipients: Recipients["groups"][number]): Recipients => ({ groups: [recipients] });
  const plain: Record<StoreName, string> = {
    yaml: "a: x\n",
    json: '{"a": "x"}\n',
    dotenv: "a=x\n",
    ini: "[s]\na = x\n",
    binary: "x",
  };
  const seal = async (recipients = group(first, identity.recipient, second)): Promise<SopsSource> => {
    const source = { bytes: Buffer.from(plain[store]), store };
    return { store, bytes: Buffer.from((await sealSops(source, { recipients, rule: null, kms, now })).text) };
  };
  const options = () => ({ identities: [new KmsIdentity(one, kms), new KmsIdentity(two, kms)], kms, now: later });
  const source = (text: string): SopsSource => ({ store, bytes: Buffer.from(text) });
  const openedBy = async (text: string, arn: string): Promise<string> =>
    Buffer.from((await openSops(source(text), { identities: [new KmsIdentity(arn, kms)] })).bytes).toString();

  it("opens by each of its keys", async () => {
    const { bytes } = await seal();
    for (const arn of [one, two]) expect(await openedBy(Buffer.from(bytes).toString(), arn)).toContain("x");
  });

  it("keeps each entry as it is, and their order, where another key is added", async () => {
    const sealed = await seal();
    const before = kmsOf(sealed.bytes, store);
    kms.asked.length = 0;
    const text = await rewrapSops(sealed, group(first, third, identity.recipient, second), options());
    const after = kmsOf(text, store);
    expect(after.map(({ arn }) => arn)).toEqual([one, three, two]);
    expect([after[0]?.raw, after[2]?.raw]).toEqual(before.map(({ raw }) => raw));
    expect(kms.asked.filter((call) => call.startsWith("encrypt"))).toEqual([`encrypt ${three} [["a","b"]]`]);
    expect(await openedBy(text, three)).toContain("x");
  });

  it("gets its own text back where the key is taken away again", async () => {
    const sealed = await seal();
    const added = await rewrapSops(sealed, group(first, second, third, identity.recipient), options());
    const removed = await rewrapSops(source(added), group(first, second, identity.recipient), options());
    expect(removed).toBe(Buffer.from(sealed.bytes).toString());
  });

  it("gets a new entry for a key whose context changes", async () => {
    const sealed = await seal(group(first, second));
    const moved = { ...first, context: { Environment: "staging" } };
    const text = await rewrapSops(sealed, group(moved, second), options());
    const [changed, kept] = kmsOf(text, store);
    expect(changed?.context).toEqual({ Environment: "staging" });
    expect(changed?.enc).not.toBe(kmsOf(sealed.bytes, store)[0]?.enc);
    expect(kept?.raw).toEqual(kmsOf(sealed.bytes, store)[1]?.raw);
    expect(await openedBy(text, one)).toContain("x");
  });

  it("gets an entry for each context of one key", async () => {
    const sealed = await seal(group(second));
    const contexts = [{ a: "1" }, { a: "2" }, {}];
    const recipients = group(...contexts.map((context) => ({ ...third, context })), second);
    const text = await rewrapSops(sealed, recipients, options());
    expect(kmsOf(text, store).map(({ context }) => context)).toEqual([...contexts, {}]);
    expect(new Set(kmsOf(text, store).map(({ enc }) => enc)).size).toBe(4);
  });

  it("keeps role, profile, context and order under a new data key", async () => {
    const sealed = await seal();
    const text = await rekeySops(sealed, options());
    const [before, after] = [kmsOf(sealed.bytes, store), kmsOf(text, store)];
    const without = (entries: typeof after) =>
      entries.map(({ raw }) => [...raw].filter(([name]) => name !== "enc" && name !== "created_at"));
    expect(without(after)).toEqual(without(before));
    for (const [index, entry] of after.entries()) {
      expect(entry.enc).not.toBe(before[index]?.enc);
      expect(entry.raw.get("created_at")).toBe("2027-01-02T03:04:05Z");
    }
    for (const arn of [one, two]) expect(await openedBy(text, arn)).toContain("x");
  });
});

describe("what others wrote into an entry", () => {
  it("stays, byte for byte, where keys are added", async () => {
    const kms = remembering();
    const recipients: Recipients = { groups: [[{ arn: one, context: {} }]] };
    const source = { bytes: Buffer.from("a: x\n"), store: "yaml" as const };
    const { text } = await sealSops(source, { recipients, rule: null, kms, now });
    // An order and a key that are not ours; an old SOPS writes no profile.
    const foreign = mutate(
      mutate(text, /\n +aws_profile: ""/, ""),
      `- arn: ${one}`,
      `- role: none of ours\n          future:\n            - 1\n            - a: b\n          arn: ${one}`,
    );
    const entryOf = (sealed: string) => /- role:[\s\S]*?enc: \S+\n/.exec(sealed)?.[0];
    expect(entryOf(foreign)).toBeDefined();
    const more: Recipients = {
      groups: [
        [
          { arn: one, context: {} },
          { arn: two, context: {} },
        ],
      ],
    };
    const rewrapped = await rewrapSops({ ...source, bytes: Buffer.from(foreign) }, more, {
      identities: [new KmsIdentity(one, kms)],
      kms,
      now,
    });
    expect(entryOf(rewrapped)).toBe(entryOf(foreign));
    expect(kmsOf(rewrapped)[0]?.raw).toEqual(kmsOf(foreign)[0]?.raw);
  });
});
