// Any file through the engine: what comes back is what went in, byte for byte; whatever is damaged opens to nothing; and what
// is changed changes no other line.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { generateAgeIdentity, SealwardError } from "../../src/index.ts";
import type { SelectionRule } from "../../src/selection.ts";
import { rekeyFile, resealFile, rewrapFile, setInFile, unsetInFile } from "../../src/sops-change.ts";
import { clearBytes, metadataOf, openFile } from "../../src/sops-file.ts";
import { type SealFileOptions, sealFile } from "../../src/sops-seal.ts";
import { parseEncrypted } from "../../src/sops-value.ts";
import type { StoreName, Value } from "../../src/store.ts";
import { storeNamed } from "../../src/stores.ts";
import { type CorpusFile, corpus } from "../support/corpus.ts";
import { expectRefusal, mutate, now } from "../support/sealing.ts";

const own = generateAgeIdentity();
const other = generateAgeIdentity();
const identities = [own.identity];
const recipients = { groups: [[own.identity.recipient]] };
const later = new Date(now.getTime() + 60_000);

async function sealed(text: string | Uint8Array, store: StoreName, options: Partial<SealFileOptions> = {}) {
  return sealFile(Buffer.from(text), storeNamed(store), { recipients, rule: null, now, ...options });
}

const load = (text: string, store: StoreName) => storeNamed(store).load(Buffer.from(text));

async function opened(text: string, store: StoreName): Promise<Uint8Array> {
  return clearBytes(await openFile(load(text, store), { identities }));
}

const encs = (text: string): string[] => text.match(/ENC\[[^\]]*\]/g) ?? [];
const ivs = (text: string): string[] => encs(text).map((enc) => /iv:([^,]*)/.exec(enc)?.[1] ?? "");
const changedLines = (before: string, after: string): string[] => {
  const old = new Set(before.split("\n"));
  return after.split("\n").filter((line) => !old.has(line));
};
const lineAt = (text: string, at: number): string => text.slice(text.lastIndexOf("\n", at) + 1, text.indexOf("\n", at));
const leaf = (text: string): Value => ({ kind: "leaf", type: "str", bytes: Buffer.from(text), offset: 0 });

/** One file of each row and store; the interop tests take them all. */
const samples = corpus().filter((_, index) => index % 4 === 0);

describe("sealing and opening any file", () => {
  it.each(samples)(
    "gives it back: $name ($store, $rule.name)",
    async ({ text, store, rule, onlyEncrypted }: CorpusFile) => {
      const { text: enc, notices } = await sealed(text, store, { rule, onlyEncrypted });
      if (notices.length === 0) expect(Buffer.from(await opened(enc, store)).toString()).toBe(text);
      else expect(notices).toEqual([expect.stringContaining("anchors")]);
    },
  );

  it.each([
    'data:\n- "42"\n  # foot\n',
    "data:\n- v\n# foot\n",
    "a:\n  b:\n  - v\n  # foot\n",
    "a:\n- b:\n  - v\n    # foot\n",
  ])("opens a comment that the block takes out of its list: %j", async (text) => {
    const { text: enc } = await sealed(text, "yaml");
    expect(enc).not.toContain("foot");
    expect(Buffer.from(await opened(enc, "yaml")).toString()).toBe(text);
  });

  it.each<[StoreName, (index: number) => string]>([
    ["yaml", (index) => `k${index}: x\n`],
    ["dotenv", (index) => `K${index}=x\n`],
    ["ini", (index) => `k${index} = x\n`],
  ])("refuses %s of very many values in a small file", async (store, line) => {
    const text = Array.from({ length: 30_001 }, (_, index) => line(index)).join("");
    await expectRefusal(() => sealed(text, store), "too-large");
  });

  it("gives back any bytes as binary, and any tree as JSON", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const { text } = await sealed(bytes, "binary");
        expect(Buffer.from(await opened(text, "binary")).equals(bytes)).toBe(true);
      }),
      { seed: 11, numRuns: 40 },
    );
    const tree = fc.dictionary(
      fc.string().filter((key) => key !== "sops" && Buffer.from(key).toString() === key),
      fc.jsonValue(),
      {
        minKeys: 1,
        noNullPrototype: true,
      },
    );
    await fc.assert(
      fc.asyncProperty(tree, fc.constantFrom(undefined, 2, "\t"), async (value, indent) => {
        const text = JSON.stringify({ ...value, "a key": "x" }, null, indent);
        const { text: enc } = await sealed(text, "json");
        expect(Buffer.from(await opened(enc, "json")).toString()).toBe(text);
      }),
      { seed: 12, numRuns: 120 },
    );
  });

  it("uses IVs of 32 bytes, each once, and no type that sops cannot read", async () => {
    const { text } = await sealed("a: x\nb: x\nc: [x, x, 1, true, 1.5, 2024-01-02]\nd: !!binary AAEC\n", "yaml");
    const { text: again } = await sealed("a: x\nb: x\n", "yaml");
    const all = [...ivs(text), ...ivs(again)];
    expect(new Set(all).size).toBe(all.length);
    expect(encs(text).map((enc) => parseEncrypted(enc)?.iv.length)).toEqual(encs(text).map(() => 32));
    expect(text).not.toContain("type:bytes");
  });

  it.each<[string, SelectionRule, string]>([
    ["that selects nothing", { name: "encrypted_regex", pattern: "^nowhere$" }, "nothing-selected"],
    ["that is no RE2", { name: "encrypted_regex", pattern: "(?=data)" }, "pattern-invalid"],
    ["that takes an ENC for its word", { name: "unencrypted_comment_regex", pattern: "ENC" }, "pattern-invalid"],
  ])("refuses a rule %s", async (_, rule, code) => {
    await expectRefusal(
      () => sealed("data: x # c\nlist:\n  # d\n  - y\n", "yaml", { rule }),
      code as "pattern-invalid",
    );
  });

  it("accepts a rule that selects nothing where that is meant", async () => {
    const rule: SelectionRule = { name: "encrypted_regex", pattern: "^nowhere$" };
    const { text } = await sealed("data: x\n", "yaml", { rule, allowNothingSelected: true });
    expect(text.startsWith("data: x\n")).toBe(true);
  });

  it.each<[StoreName, string]>([
    ["yaml", "a: b\nsops: c\n"],
    ["yaml", "a: b\n---\nsops:\n  c: d\n"],
    ["json", '{"a":"b","sops":{}}'],
    ["dotenv", "A=b\nsops_mac=c\n"],
    ["ini", "[sops]\na = b\n"],
  ])("refuses %s that has a key of sops: %j", async (store, text) => {
    await expectRefusal(() => sealed(text, store), "already-sealed");
  });

  it("opens with any two of three key groups, and with no one of them", async () => {
    const keys = [generateAgeIdentity(), generateAgeIdentity(), generateAgeIdentity()];
    const groups = keys.map(({ identity }) => [identity.recipient]);
    const { text } = await sealed("a: b\n", "yaml", { recipients: { groups, threshold: 2 } });
    const openBy = (...indices: number[]) =>
      openFile(load(text, "yaml"), { identities: indices.flatMap((index) => keys[index]?.identity ?? []) });
    for (const pair of [
      [0, 1],
      [0, 2],
      [2, 1],
    ])
      expect(clearBytes(await openBy(...pair)).toString()).toBe("a: b\n");
    for (const one of [0, 1, 2]) await expectRefusal(() => openBy(one), "identity-unmatched");
  });
});

describe("a damaged file", () => {
  it("opens to nothing, whichever bit of a value, of the key or of the MAC is flipped", async () => {
    const { text } = await sealed("a: one\nb:\n  - two\n  - 3\n# c\nd:\n  e: f\n", "yaml");
    const spots = [...text.matchAll(/[A-Za-z0-9+/]{4,}={0,2}(?=[,\]\n])/g)]
      // Nothing authenticates the names and rules in the block.
      .filter(({ 0: word, index }) => word.length > 7 && !/suffix|recipient/.test(lineAt(text, index)))
      .flatMap(({ 0: word, index }) => Array.from({ length: Math.min(word.length, 12) }, (_, at) => index + at));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...spots), fc.constantFrom("A", "b", "9", "/"), async (at, letter) => {
        const damaged = text.slice(0, at) + letter + text.slice(at + 1);
        // A comment that does not open stays as it is.
        if (damaged === text || lineAt(text, at).startsWith("#")) return;
        try {
          const clear = await opened(damaged, "yaml");
          expect(Buffer.from(clear).toString(), damaged).toBe("nothing");
        } catch (problem) {
          if (!(problem instanceof SealwardError)) throw problem;
          expect(["not-authentic", "sops-metadata-invalid", "identity-unmatched", "not-yaml"]).toContain(problem.code);
        }
      }),
      { seed: 13, numRuns: 400 },
    );
  });

  it.each<[string, (text: string) => string]>([
    ["a value of another key", (text) => text.replace(/(a: )(ENC.*)\n(b: )(ENC.*)\n/, "$1$4\n$3$2\n")],
    ["a clear value changed", (text) => mutate(text, "c_unencrypted: 1", "c_unencrypted: 2")],
    ["a value in place of an ENC", (text) => text.replace(/a: ENC.*/, "a: plain")],
    ["no MAC", (text) => text.replace(/ {4}mac: .*\n/, "")],
    ["another time", (text) => text.replace(/lastmodified: .*/, 'lastmodified: "2020-01-01T00:00:00Z"')],
    ["something behind an ENC", (text) => text.replace(/(a: ENC.*\])/, "$1x")],
  ])("is refused: %s", async (_, damage) => {
    const { text } = await sealed("a: one\nb: two\nc_unencrypted: 1\n", "yaml");
    const damaged = damage(text);
    expect(damaged).not.toBe(text);
    await expectRefusal(() => opened(damaged, "yaml"), "not-authentic");
  });

  it("gives its values without the MAC only where that is asked for", async () => {
    const { text } = await sealed("a: one\nc_unencrypted: 1\n", "yaml");
    const file = load(mutate(text, "c_unencrypted: 1", "c_unencrypted: 2"), "yaml");
    expect(clearBytes(await openFile(file, { identities, ignoreMac: true })).toString()).toContain("a: one");
  });
});

describe("changing a file", () => {
  const plain: Readonly<Record<Exclude<StoreName, "binary">, string>> = {
    yaml: 'a: one\nb:\n  - two # c\n  - k: v\nd: "three"\n',
    json: '{\n  "a": "one",\n  "b": ["two", {"k": "v"}],\n  "d": "three"\n}\n',
    dotenv: "a=one\n# c\nd=three\n",
    ini: "[b]\na = one\n\n[c]\nd = three\n",
  };
  const pathOf = (store: StoreName) => (store === "ini" ? ["c", "d"] : ["d"]);

  it.each(Object.entries(plain))("sets one value of %s: its line, the time and the MAC", async (store, text) => {
    const { text: before } = await sealed(text, store as StoreName);
    const file = load(before, store as StoreName);
    const after = await setInFile(file, pathOf(store as StoreName), leaf("changed"), { identities, now: later });
    const lines = changedLines(before, after);
    expect(lines).toHaveLength(3);
    expect(lines.filter((line) => /lastmodified|mac/.test(line))).toHaveLength(2);
    const clear = Buffer.from(await opened(after, store as StoreName)).toString();
    expect(clear).toBe(text.replace("three", "changed"));
    expect(ivs(lines.join("\n")).some((iv) => before.includes(iv))).toBe(false);
    expect(
      await setInFile(load(after, store as StoreName), pathOf(store as StoreName), leaf("changed"), {
        identities,
        now,
      }),
    ).toBe(after);
  });

  it.each(Object.entries(plain))(
    "edits, removes and adds in %s, and everything else keeps its text",
    async (store, text) => {
      const name = store as StoreName;
      const { text: before } = await sealed(text, name);
      const edited = text.replace("three", "four");
      const { text: after } = await resealFile(load(before, name), Buffer.from(edited), { identities, now: later });
      expect(changedLines(before, after).length).toBeLessThanOrEqual(3);
      expect(Buffer.from(await opened(after, name)).toString()).toBe(edited);
      const removed = await unsetInFile(load(after, name), pathOf(name), { identities, now });
      expect(Buffer.from(await opened(removed, name)).toString()).not.toContain("four");
      const added = await setInFile(load(removed, name), pathOf(name), leaf("five"), { identities, now });
      expect(Buffer.from(await opened(added, name)).toString()).toContain("five");
    },
  );

  it("gives a new data key to values and comments, and keeps what it does not know", async () => {
    const { text } = await sealed("a: one # c\nb: 0x1F\n", "yaml");
    const known = text.replace("    version:", "    something: else\n    version:");
    const rekeyed = await rekeyFile(load(known, "yaml"), { identities, now: later });
    expect(Buffer.from(await opened(rekeyed, "yaml")).toString()).toBe("a: one # c\nb: 0x1F\n");
    expect(ivs(rekeyed).some((iv) => text.includes(iv))).toBe(false);
    expect(rekeyed).toContain("    something: else\n");
  });

  it("takes recipients in and out under the same data key, and keeps entries of other kinds", async () => {
    const { text } = await sealed("a: one\n", "yaml");
    const pgp =
      '    pgp:\n        - created_at: "2024-01-02T03:04:05Z"\n          enc: |-\n            x\n          fp: ABCD\n';
    const withPgp = text.replace("    lastmodified", `${pgp}    lastmodified`);
    const both = { groups: [[own.identity.recipient, other.identity.recipient]] };
    const wide = await rewrapFile(load(withPgp, "yaml"), both, { identities, now });
    expect(wide).toContain(pgp);
    expect(changedLines(withPgp, wide).every((line) => /^ {8}/.test(line))).toBe(true);
    const opensForOther = await openFile(load(wide, "yaml"), { identities: [other.identity] });
    expect(clearBytes(opensForOther).toString()).toBe("a: one\n");
    expect(
      metadataOf(load(wide, "yaml"))
        .recipients.map(({ kind }) => kind)
        .sort(),
    ).toEqual(["age", "age", "pgp"]);
    const error = await expectRefusal(
      () => rekeyFile(load(withPgp, "yaml"), { identities, now }),
      "recipient-unsupported",
    );
    expect(error.message).toContain("pgp ABCD");
  });
});
