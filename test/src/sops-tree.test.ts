import { createHash, createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Selection } from "../../src/selection.ts";
import { assertMac, entriesOf, macOf, openLeaves, sealMac } from "../../src/sops-tree.ts";
import { encryptValue } from "../../src/sops-value.ts";
import { loadYaml } from "../../src/yaml-store.ts";
import { expectRefusal } from "../support/sealing.ts";

const key = createSecretKey(randomBytes(32));
const selecting = (matches: (component: string) => boolean): Selection => ({
  asks: "key",
  matches,
  encryptsMatches: true,
});
const nothing = selecting(() => false);
const everything = selecting(() => true);

function entriesIn(text: string, selection = nothing, isEncrypted = true) {
  return entriesOf(loadYaml(text).documents, selection, { isEncrypted });
}

function opened(text: string, selection = nothing) {
  return openLeaves(entriesIn(text, selection).leaves, key, undefined);
}

function macOfClear(text: string): string {
  return macOf(opened(text), { onlyEncrypted: false });
}

const sha512 = (text: string) => createHash("sha512").update(text).digest("hex").toUpperCase();

describe("entriesOf()", () => {
  it("gives every scalar with its path, lists adding nothing to it, and leaves the sops block out", () => {
    const { leaves } = entriesIn("a: 1\nb:\n  c: [x, {d: y}]\nsops:\n  mac: z\ne:\n  sops: w\n");
    expect(leaves.map(({ path, aad }) => [path.join("."), aad])).toEqual([
      ["a", "a:"],
      ["b.c", "b:c:"],
      ["b.c.d", "b:c:d:"],
      ["e.sops", "e:sops:"],
    ]);
  });

  it("skips nulls and empty containers", () => {
    const { leaves } = entriesIn("a:\nb: ~\nc: null\nd: {}\ne: []\nf: ''\n");
    expect(leaves.map(({ path }) => path)).toEqual([["f"]]);
  });

  it("goes through all documents of a stream, each from its own root", () => {
    const { leaves } = entriesIn("a: 1\nsops:\n  mac: z\n---\nb:\n  a: 2\n---\na: 3\n");
    expect(leaves.map(({ path }) => path.join("."))).toEqual(["a", "b.a", "a"]);
  });

  it("asks for every component of a path, keys below included", () => {
    const selection = selecting((component) => component === "data");
    const { leaves } = entriesIn("a: 1\ndata:\n  b: 2\nc:\n  - data: [3]\n    d: 4\n", selection);
    expect(leaves.filter(({ encrypted }) => encrypted).map(({ path }) => path.join("."))).toEqual(["data.b", "c.data"]);
  });

  it("turned round, it spares what matches and all below it", () => {
    const selection: Selection = { ...selecting((component) => component === "data"), encryptsMatches: false };
    const { leaves } = entriesIn("a: 1\ndata:\n  b: 2\n", selection);
    expect(leaves.map(({ path, encrypted }) => [path.join("."), encrypted])).toEqual([
      ["a", true],
      ["data.b", false],
    ]);
  });

  it("takes an encrypted comment in a list for a comment, in an encrypted file alone", () => {
    const enc = encryptValue(Buffer.from(" note"), { key, aad: "l:", type: "comment" });
    const text = `l:\n- ${enc}\n- x\n`;
    const encrypted = entriesIn(text);
    expect(encrypted.comments.map(({ text: comment, path, aad }) => [comment, path, aad])).toEqual([
      [enc, ["l"], "l:"],
    ]);
    expect(encrypted.leaves).toHaveLength(1);
    expect(entriesIn(text, nothing, false)).toMatchObject({ comments: [], leaves: [{}, {}] });
  });

  it("gives a comment the path of what holds it, a colon alone for the root", () => {
    const { comments } = entriesIn("# top\na:\n  # inner\n  b: 1\n");
    expect(comments.map(({ text, path, aad }) => [text, path, aad])).toEqual([
      [" top", [], ":"],
      [" inner", ["a"], "a:"],
    ]);
  });

  it.each<[boolean, [string, boolean][]]>([
    [
      true,
      [
        ["a", false],
        ["b", true],
        ["b", true],
        ["d", false],
      ],
    ],
    [
      false,
      [
        ["a", true],
        ["b", false],
        ["b", false],
        ["d", true],
      ],
    ],
  ])(
    "a comment that matches governs the next value and everything in it, encrypting %s",
    (encryptsMatches, expected) => {
      const selection: Selection = { asks: "comment", matches: (text) => text.includes("mark"), encryptsMatches };
      const { leaves, comments } = entriesIn("a: 1\n# mark\nb:\n  c: 2\n  d: [3]\nd: 4\n", selection, false);
      expect(leaves.map(({ path: [name], encrypted }) => [name, encrypted])).toEqual(expected);
      expect(comments.map(({ encrypted }) => encrypted)).toEqual([false]);
    },
  );
});

describe("macOf()", () => {
  it("hashes the canonical bytes of all values in document order, without keys, types or boundaries", () => {
    expect(macOfClear("a: 0x1F\nb: true\nc: [1.0, 2024-01-02]\nd: 'x '\ne: yes\n")).toBe(
      sha512("31True12024-01-02T00:00:00Zx yes"),
    );
    expect(macOfClear("a: pay\nb: mentsdb\n")).toBe(macOfClear("x: payments\ny: db\n"));
  });

  it("takes neither nulls, nor empty values, nor comments in", () => {
    const bare = macOfClear("a: x\n");
    for (const text of ["# c\na: x # c\n", "a: x\nb:\n", "a: x\nb: ''\n", "a: x\nb: {}\nc: []\n"])
      expect(macOfClear(text)).toBe(bare);
  });

  it("depends on the order", () => {
    expect(macOfClear("a: x\nb: y\n")).not.toBe(macOfClear("b: y\na: x\n"));
  });

  it("takes what an alias names at every place, and all documents", () => {
    expect(macOfClear("a: &x 1\nb: *x\n---\nc: 2\n")).toBe(sha512("112"));
  });

  it("leaves encrypted comments of lists out", () => {
    const enc = (text: string, type: "str" | "comment") => encryptValue(Buffer.from(text), { key, aad: "l:", type });
    const leaves = opened(`l:\n- ${enc(" note", "comment")}\n- ${enc("x", "str")}\n`, everything);
    expect(macOf(leaves, { onlyEncrypted: false })).toBe(sha512("x"));
  });

  it("with mac_only_encrypted is primed with SHA-256 of sops, and takes selected values only", () => {
    const text = `a: x\nb: ${encryptValue(Buffer.from("y"), { key, aad: "b:", type: "str" })}\n`;
    const leaves = opened(
      text,
      selecting((name) => name === "b"),
    );
    const primed = createHash("sha512")
      .update(createHash("sha256").update("sops").digest())
      .update("y")
      .digest("hex")
      .toUpperCase();
    expect(macOf(leaves, { onlyEncrypted: true })).toBe(primed);
  });
});

describe("openLeaves()", () => {
  const enc = encryptValue(Buffer.from("hello"), { key, aad: "a:", type: "str" });

  it("opens what is selected and takes the rest as it stands, even an ENC", () => {
    const leaves = opened(
      `a: ${enc}\nb: ${enc}\nc: ""\n`,
      selecting((name) => name !== "b"),
    );
    expect(leaves.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(["hello", enc, ""]);
    expect(leaves.map((leaf) => leaf.enc)).toEqual([enc, null, null]);
  });

  it.each<[string, string]>([
    ["a clear value", "a: hello\n"],
    ["a value of another path", `b: ${enc}\n`],
    ["text after the bracket", `a: ${enc}x\n`],
    ["a number", "a: 1\n"],
  ])("refuses %s where an encrypted one is expected, without saying why", async (_, text) => {
    const error = await expectRefusal(() => opened(text, everything), "not-authentic");
    expect([error.line, error.column]).toEqual([undefined, undefined]);
  });
});

describe("assertMac()", () => {
  const time = "2026-01-02T03:04:05Z";
  const mac = sha512("x");
  const options = { key, lastModified: time, file: undefined };
  const stored = sealMac(mac, key, time);

  it("passes for the very MAC, time and key", () => {
    expect(() => assertMac(stored, mac, options)).not.toThrow();
  });

  it.each<[string, () => void]>([
    ["another MAC", () => assertMac(stored, sha512("y"), options)],
    ["lower case", () => assertMac(sealMac(mac.toLowerCase(), key, time), mac, options)],
    ["another time", () => assertMac(stored, mac, { ...options, lastModified: "2026-01-02T03:04:06Z" })],
    ["another key", () => assertMac(stored, mac, { ...options, key: createSecretKey(randomBytes(32)) })],
    ["no MAC", () => assertMac("", mac, options)],
    ["a MAC in the clear", () => assertMac(mac, mac, options)],
  ])("%s is not authentic", async (_, call) => {
    await expectRefusal(call, "not-authentic");
  });
});
