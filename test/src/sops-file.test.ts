import { createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { wrapDataKey } from "../../src/age.ts";
import { decryptSops, generateAgeIdentity } from "../../src/index.ts";
import { compileSelection, formatSopsBlock, type SelectionRule } from "../../src/sops-metadata.ts";
import { type ClearLeaf, leavesOf, macOf, sealMac } from "../../src/sops-tree.ts";
import { aadOfPath, encryptValue, parseEncrypted, type ValueType } from "../../src/sops-value.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { expectRefusal, mutate } from "../support/sealing.ts";

const { identity } = generateAgeIdentity();
const raw = randomBytes(32);
const key = createSecretKey(raw);
const time = "2026-01-02T03:04:05Z";

/** The ENC text of a value at a path (or of a comment of a container). */
function enc(text: string, path: string, type: ValueType = "str"): string {
  return encryptValue(Buffer.from(text), { key, aad: path === "" ? ":" : aadOfPath(path.split(".")), type });
}

/** A SOPS file around a body whose values are encrypted already, MAC and all. */
async function sops(body: string, rule: SelectionRule | null = null): Promise<string> {
  const source = parseYaml(body);
  const selected = await compileSelection(source, rule);
  const leaves = leavesOf(source).map((leaf): ClearLeaf => {
    const text = String(leaf.node.value);
    const encrypted = parseEncrypted(text);
    return {
      leaf,
      type: encrypted?.type ?? "str",
      bytes: opened.get(text) ?? Buffer.from(text),
      wasEncrypted: encrypted !== null,
    };
  });
  const mac = sealMac(macOf(leaves, { onlyEncrypted: false, selected }), key, time);
  const age = [{ recipient: identity.recipient, enc: wrapDataKey(raw, identity.recipient) }];
  const block = formatSopsBlock({ age, encryptedRegex: rule?.pattern ?? ".", lastModified: time, mac });
  return `${body}${block.join("\n")}\n`;
}

/** Plaintexts of ENC texts, for the MAC of a file made by hand. */
const opened = new Map<string, Uint8Array>();
function value(text: string, path: string, type: ValueType = "str"): string {
  const encrypted = enc(text, path, type);
  opened.set(encrypted, Buffer.from(text));
  return encrypted;
}

const clearOf = async (body: string) => (await decryptSops(await sops(body), [identity])).text;

describe("decryptSops() keeps the layout of a file that other tools wrote", () => {
  it("types, quotes and places", async () => {
    const body = [
      `text: ${value("hello there", "text")} # inline`,
      `quoted: '${value("it's", "quoted")}'`,
      `word: ${value("yes", "word")}`,
      `number: ${value("31", "number", "int")}`,
      `float: ${value("0.5", "float", "float")}`,
      `none: ${value("NaN", "none", "float")}`,
      `most: ${value("+Inf", "most", "float")}`,
      `least: ${value("-Inf", "least", "float")}`,
      `flag: ${value("True", "flag", "bool")}`,
      `when: ${value("2024-01-02T00:00:00Z", "when", "time")}`,
      `lines: ${value("a\nb\n", "lines")}`,
      "empty: ''",
      "nothing: null",
      "map:",
      `    inner: ${value("a\nb", "map.inner")}`,
      `flow: {a: "${value("x y", "flow.a")}", b: ["${value("z", "flow.b")}"]}`,
      "list:",
      `    - ${enc(" of the first", "list", "comment")}`,
      `    - ${value("first", "list")}`,
      `    - k: ${value("second", "list.k")}`,
      `#${enc(" whole", "", "comment")}`,
      "",
    ].join("\n");
    expect(await clearOf(body)).toBe(`text: hello there # inline
quoted: 'it''s'
word: "yes"
number: 31
float: 0.5
none: .nan
most: .inf
least: -.inf
flag: true
when: 2024-01-02T00:00:00Z
lines: |
  a
  b
empty: ''
nothing: null
map:
    inner: |-
        a
        b
flow: {a: "x y", b: ["z"]}
list:
    # of the first
    - first
    - k: second
# whole
`);
  });

  it("leaves a comment that does not open as it is, and one that would break the line", async () => {
    const foreign = encryptValue(Buffer.from(" x"), {
      key: createSecretKey(randomBytes(32)),
      aad: ":",
      type: "comment",
    });
    const breaking = enc(" x\ninjected: y", "", "comment");
    const body = `a: ${value("b", "a")}\n#${foreign}\n#${breaking}\n`;
    expect(await clearOf(body)).toBe(`a: b\n#${foreign}\n#${breaking}\n`);
  });

  it("takes no comment for a value, nor a value for a comment", async () => {
    const asComment = value("b", "a");
    const text = await sops(`a: ${asComment}\n`);
    await expectRefusal(
      () => decryptSops(mutate(text, `a: ${asComment}`, `a: ${enc("b", "a", "comment")}`), [identity]),
      "not-authentic",
    );
  });

  it("does not write bytes that are no text", async () => {
    const bytes = encryptValue(Uint8Array.from([0xff]), { key, aad: "a:", type: "str" });
    opened.set(bytes, Uint8Array.from([0xff]));
    const text = await sops(`a: ${bytes}\n`);
    await expectRefusal(() => decryptSops(text, [identity]), "sops-unsupported");
  });

  it("a comment within a value that is replaced goes with it", async () => {
    const hidden = enc(" x", "", "comment");
    const body = `a: |- #${hidden}\n  ${value("b", "a")}\n`;
    expect(await clearOf(body)).toBe("a: b\n");
  });
});

describe("decryptSops() and identities", () => {
  it("takes whatever opens an entry, the one it names first, as SOPS does", async () => {
    const other = generateAgeIdentity().identity;
    const text = await sops(`a: ${value("b", "a")}\n`);
    const relabelled = text.replace(identity.recipient, other.recipient);
    expect((await decryptSops(relabelled, [other, identity])).text).toBe("a: b\n");
    await expectRefusal(() => decryptSops(relabelled, [other]), "not-authentic");
    await expectRefusal(() => decryptSops(text, [other]), "identity-unmatched");
  });

  it("an entry that holds no 32 bytes is none", async () => {
    const short = wrapDataKey(randomBytes(31), identity.recipient);
    const text = await sops(`a: ${value("b", "a")}\n`);
    const [blob = ""] = / {12}-----BEGIN[\s\S]*?END.*/.exec(text) ?? [];
    await expectRefusal(
      () => decryptSops(text.replace(blob, short.trimEnd().replace(/^/gm, " ".repeat(12))), [identity]),
      "not-authentic",
    );
  });
});
