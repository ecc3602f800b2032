import { createHash, createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { assertMac, clearValue, leavesOf, macOf, openLeaves, type Selection, sealMac } from "../../src/sops-tree.ts";
import { encryptValue } from "../../src/sops-value.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { expectRefusal } from "../support/sealing.ts";

const key = createSecretKey(randomBytes(32));
const nothing: Selection = () => false;
const everything: Selection = () => true;

function clearLeaves(text: string) {
  const source = parseYaml(text);
  return openLeaves(source, leavesOf(source), { key, selected: nothing });
}

function macOfClear(text: string): string {
  return macOf(clearLeaves(text), { onlyEncrypted: false, selected: nothing });
}

const sha512 = (text: string) => createHash("sha512").update(text).digest("hex").toUpperCase();

describe("leavesOf()", () => {
  it("gives every scalar with its path, lists adding nothing to it, and leaves the sops block out", () => {
    const leaves = leavesOf(parseYaml("a: 1\nb:\n  c: [x, {d: y}]\nsops:\n  mac: z\ne:\n  sops: w\n"));
    expect(leaves.map(({ path, inList, inFlow }) => [path.join("."), inList, inFlow])).toEqual([
      ["a", false, false],
      ["b.c", true, true],
      ["b.c.d", false, true],
      ["e.sops", false, false],
    ]);
  });

  it("skips nulls and empty containers", () => {
    expect(leavesOf(parseYaml("a:\nb: ~\nc: null\nd: {}\ne: []\nf: ''\n")).map(({ path }) => path)).toEqual([["f"]]);
  });

  it.each([
    "a: &x 1\n",
    "a: &x\n  b: 1\n",
    "a: &x 1\nb: *x\n",
    "a: !!binary aGk=\n",
    "1: x\n",
    "true: x\n",
    "~: x\n",
    "2024-01-02: x\n",
  ])("refuses %j, which SOPS reads in its own way", async (text) => {
    await expectRefusal(() => leavesOf(parseYaml(text)), "sops-unsupported");
  });

  it("takes quoted keys and texts for what they are", () => {
    const source = parseYaml("\"1\": '1'\n'true': \"x\"\n");
    expect(leavesOf(source).map((leaf) => clearValue(source, leaf).type)).toEqual(["str", "str"]);
  });
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

  it("leaves encrypted comments of lists out", () => {
    const enc = (text: string, type: "str" | "comment") => encryptValue(Buffer.from(text), { key, aad: "l:", type });
    const source = parseYaml(`l:\n- ${enc(" note", "comment")}\n- ${enc("x", "str")}\n`);
    const leaves = openLeaves(source, leavesOf(source), { key, selected: everything });
    expect(macOf(leaves, { onlyEncrypted: false, selected: everything })).toBe(sha512("x"));
  });

  it("with mac_only_encrypted is primed with SHA-256 of sops, and takes selected values only", () => {
    const source = parseYaml(`a: x\nb: ${encryptValue(Buffer.from("y"), { key, aad: "b:", type: "str" })}\n`);
    const selected: Selection = ([name]) => name === "b";
    const leaves = openLeaves(source, leavesOf(source), { key, selected });
    const primed = createHash("sha512")
      .update(createHash("sha256").update("sops").digest())
      .update("y")
      .digest("hex")
      .toUpperCase();
    expect(macOf(leaves, { onlyEncrypted: true, selected })).toBe(primed);
  });
});

describe("openLeaves()", () => {
  const enc = encryptValue(Buffer.from("hello"), { key, aad: "a:", type: "str" });

  it("opens what is selected and takes the rest as it stands, even an ENC", () => {
    const source = parseYaml(`a: ${enc}\nb: ${enc}\nc: ""\n`);
    const leaves = openLeaves(source, leavesOf(source), { key, selected: ([name]) => name !== "b" });
    expect(leaves.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(["hello", enc, ""]);
    expect(leaves.map(({ wasEncrypted }) => wasEncrypted)).toEqual([true, false, false]);
  });

  it.each<[string, string]>([
    ["a clear value", "a: hello\n"],
    ["a value of another path", `b: ${enc}\n`],
    ["text after the bracket", `a: ${enc}x\n`],
    ["a number", "a: 1\n"],
  ])("refuses %s where an encrypted one is expected, without saying why", async (_, text) => {
    const source = parseYaml(text);
    const error = await expectRefusal(
      () => openLeaves(source, leavesOf(source), { key, selected: everything }),
      "not-authentic",
    );
    expect([error.line, error.column]).toEqual([undefined, undefined]);
  });
});

describe("clearValue()", () => {
  it("refuses an integer that SOPS has no type for", async () => {
    const source = parseYaml("a: 9223372036854775808\n");
    const [leaf] = leavesOf(source);
    await expectRefusal(() => leaf && clearValue(source, leaf), "sops-unsupported");
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
