// When a data key was made, as the block says it: written with a new key, kept with an old one, and worth no more than a claim.
import { describe, expect, it, test } from "vitest";
import {
  describeSops,
  generateAgeIdentity,
  openSops,
  rekeySops,
  resealSops,
  rewrapSops,
  sealManifest,
  sealSops,
  setInSops,
  storeNames,
} from "../../src/index.ts";
import { canonicalTime, readSopsMetadata } from "../../src/sops-metadata.ts";
import { databaseSecret, environment } from "../support/sealing.ts";

const { identity } = generateAgeIdentity();
const second = generateAgeIdentity().identity;
const identities = [identity];
const [first, later] = [new Date("2026-01-02T03:04:05.678Z"), new Date("2026-05-06T07:08:09Z")];
const made = "2026-01-02T03:04:05Z";
const texts = { yaml: "a: x\n", json: '{"a": "x"}\n', dotenv: "a=x\n", ini: "[a]\nb = x\n", binary: "x\n" } as const;
const recipients = (...list: string[]) => ({ groups: [list] });

describe.each(storeNames)("a file of the store %s", (store) => {
  const source = (text: string) => ({ bytes: Buffer.from(text), store });
  const sealed = async () => {
    const options = { recipients: recipients(identity.recipient), rule: null, now: first };
    return (await sealSops(source(texts[store]), options)).text;
  };
  const keyMade = async (text: string) => (await describeSops(source(text))).keyMade;

  it("says when its data key was made, and opens", async () => {
    const text = await sealed();
    expect(text.match(/sealward_created/g)).toHaveLength(1);
    expect(await keyMade(text)).toBe(made);
    expect(Buffer.from((await openSops(source(text), { identities })).bytes).toString()).toBe(texts[store]);
  });

  it("keeps it when it is sealed again or wrapped for others, and renews it with the key", async () => {
    const text = await sealed();
    const changed = { identities, now: later };
    const edited = Buffer.from(texts[store].replace("x", "y"));
    const again = (await resealSops(source(text), edited, changed)).text;
    expect(again).not.toBe(text);
    expect(await keyMade(again)).toBe(made);
    expect(
      await keyMade(await rewrapSops(source(text), recipients(identity.recipient, second.recipient), changed)),
    ).toBe(made);
    const rekeyed = await rekeySops(source(text), changed);
    expect(await keyMade(rekeyed)).toBe("2026-05-06T07:08:09Z");
    expect(rekeyed.match(/sealward_created/g)).toHaveLength(1);
    expect(Buffer.from((await openSops(source(rekeyed), { identities })).bytes).toString()).toBe(texts[store]);
  });
});

test("setting one value keeps it", async () => {
  const source = (text: string) => ({ bytes: Buffer.from(text), store: "yaml" as const });
  const options = { recipients: recipients(identity.recipient), rule: null, now: first };
  const { text } = await sealSops(source("a: x\n"), options);
  const next = await setInSops(source(text), ["a"], { text: Buffer.from("y") }, { identities, now: later });
  expect(await describeSops(source(next))).toMatchObject({ keyMade: made, lastModified: "2026-05-06T07:08:09Z" });
});

test("a sealed Secret has it, before the version that closes the block", async () => {
  const { text } = await sealManifest(databaseSecret, { environment: environment("prod").policy, now: first });
  expect(text).toMatch(/sealward_created: "2026-01-02T03:04:05Z"\n {4}version: \S+\n$/);
});

describe("a block", () => {
  const kms = (created: string) =>
    new Map([
      ["arn", "arn:aws:kms:eu-west-1:111122223333:key/a"],
      ["created_at", created],
    ]);
  const read = (more: readonly (readonly [string, string | readonly ReturnType<typeof kms>[]])[]) =>
    readSopsMetadata(
      new Map([["lastmodified", made] as const, ["version", "3.13.3"] as const, ...more]),
      (message) => new Error(message) as never,
    ).keyMade;

  it.each([
    ["nothing", [], null],
    ["a time", [["sealward_created", "2026-02-02T00:00:00Z"]], "2026-02-02T00:00:00Z"],
    ["no time", [["sealward_created", "yesterday \u001b[31m"]], null],
    [
      "entries of AWS KMS, the oldest",
      [["kms", [kms("2026-04-01T00:00:00Z"), kms("2026-03-01T00:00:00Z")]]],
      "2026-03-01T00:00:00Z",
    ],
    ["an entry of AWS KMS that says no time", [["kms", [kms("soon")]]], null],
  ] as const)("that says %s", (_, more, expected) => {
    expect(read(more)).toBe(expected);
    if (expected !== null) expect(canonicalTime(expected)).toBe(expected);
  });
});
