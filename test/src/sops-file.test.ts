import { createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { wrapDataKey } from "../../src/age.ts";
import { decryptSops, generateAgeIdentity } from "../../src/index.ts";
import { compileSelection, type SelectionRule } from "../../src/selection.ts";
import { newMetadata } from "../../src/sops-metadata.ts";
import { sealFile } from "../../src/sops-seal.ts";
import { entriesOf, macOf, sealMac } from "../../src/sops-tree.ts";
import { aadOfPath, encryptValue, type ValueType } from "../../src/sops-value.ts";
import { formatMetadata } from "../../src/yaml-metadata.ts";
import { loadYaml, yamlStore } from "../../src/yaml-store.ts";
import { expectRefusal, mutate, now } from "../support/sealing.ts";

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
  const { leaves } = entriesOf(loadYaml(body).documents, await compileSelection(rule), { isEncrypted: true });
  const clear = leaves.map((entry) => {
    const { bytes } = entry.item;
    return { entry, bytes: opened.get(Buffer.from(bytes).toString()) ?? bytes };
  });
  const mac = sealMac(macOf(clear, { onlyEncrypted: false }), key, time);
  const age = [{ recipient: identity.recipient, enc: await wrapDataKey(raw, identity.recipient) }];
  const block = newMetadata({ groups: [{ age, kms: [] }], rule, lastModified: time, keyMade: null, mac });
  const [first = "", ...others] = body.split(/(?<=\n)(?=---\n)/);
  return `${first}sops:\n${formatMetadata(block, 4, "\n")}${others.join("")}`;
}

/** Plaintexts of ENC texts, for the MAC of a file made by hand. */
const opened = new Map<string, Uint8Array>();
function value(text: string, path: string, type: ValueType = "str"): string {
  const encrypted = enc(text, path, type);
  opened.set(encrypted, Buffer.from(text));
  return encrypted;
}

const clearOf = async (body: string, rule?: SelectionRule) =>
  (await decryptSops(await sops(body, rule), [identity])).text;

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

  it.each([
    ["further in than its key", "  ", "a:\n  # x\n    []\n"],
    ["below its key", "", "a:\n# x\n  []\n"],
  ])("leaves a list of nothing but comments a list: %s", async (_, indent, clear) => {
    expect(await clearOf(`a:\n${indent}- ${enc(" x", "a", "comment")}\nb: ${value("c", "b")}\n`)).toBe(
      `${clear}b: c\n`,
    );
  });

  it("writes bytes that are no text as SOPS does", async () => {
    const bytes = encryptValue(Uint8Array.from([0xff]), { key, aad: "a:", type: "str" });
    opened.set(bytes, Uint8Array.from([0xff]));
    const text = await sops(`a: ${bytes}\n`);
    expect((await decryptSops(text, [identity])).text).toBe("a: !!binary /w==\n");
  });

  it("leaves a comment that its rule does not encrypt as it is, as SOPS does", async () => {
    const body = `a: ${value("b", "a")}\n#${enc(" x", "", "comment")}\n`;
    const rule = { name: "encrypted_regex", pattern: "a" } as const;
    expect(await clearOf(body, rule)).toBe(body.replace(/ENC.*(?=\n#)/, "b"));
  });

  it("a comment behind the sign of a block text stays behind the value", async () => {
    const hidden = enc(" x", "", "comment");
    const body = `a: |- #${hidden}\n  ${value("b", "a")}\n`;
    expect(await clearOf(body)).toBe('a: "b" # x\n');
  });
});

describe("decryptSops() opens what SOPS writes and Kubernetes does not need", () => {
  it("several documents, under one MAC", async () => {
    const body = `a: ${value("b", "a")}\n---\n# of the second\nc:\n  d: ${value("e", "c.d")}\n`;
    expect(await clearOf(body)).toBe("a: b\n---\n# of the second\nc:\n  d: e\n");
    const text = await sops(body);
    await expectRefusal(() => decryptSops(text.slice(0, text.indexOf("---\n#")), [identity]), "not-authentic");
  });

  it("anchors and aliases, each place of a value counting for the MAC", async () => {
    const body = `clear_unencrypted: &x {k: v}\ncopy_unencrypted: *x\na: ${value("b", "a")}\n`;
    const rule = { name: "unencrypted_suffix", pattern: "_unencrypted" } as const;
    expect(await clearOf(body, rule)).toBe("clear_unencrypted: &x {k: v}\ncopy_unencrypted: *x\na: b\n");
    const text = await sops(body, rule);
    for (const [from, to] of [
      ["copy_unencrypted: *x\n", ""],
      ["{k: v}", "{k: w}"],
    ] as const)
      await expectRefusal(() => decryptSops(mutate(text, from, to), [identity]), "not-authentic");
  });

  it("tags that SOPS resolves, !!binary among them", async () => {
    const body = `a: ${value("b", "a")}\nbytes_unencrypted: !!binary aGk=\ntext_unencrypted: !!str 1\n`;
    const rule = { name: "unencrypted_suffix", pattern: "_unencrypted" } as const;
    expect(await clearOf(body, rule)).toBe("a: b\nbytes_unencrypted: !!binary aGk=\ntext_unencrypted: !!str 1\n");
  });

  it.each<[SelectionRule["name"], (clear: string, sealed: string) => string]>([
    ["encrypted_comment_regex", (clear, sealed) => `a: ${clear}\n# mark\nb: ${sealed}\nc: ${clear}\n`],
    ["unencrypted_comment_regex", (clear, sealed) => `a: ${sealed}\n# mark\nb: ${clear}\nc: ${sealed}\n`],
  ])("%s: a comment chooses the value after it", async (name, bodyOf) => {
    const plain = bodyOf("x", "x");
    const { text } = await sealFile(Buffer.from(plain), yamlStore, {
      recipients: { groups: [[identity.recipient]] },
      rule: { name, pattern: "mark" },
      now,
    });
    const [body = ""] = text.split("sops:\n");
    expect(body.replace(/ENC\[.*\]/g, "(sealed)")).toBe(bodyOf("x", "(sealed)"));
    expect((await decryptSops(text, [identity])).text).toBe(plain);
  });

  it("key groups: as many identities as the threshold, of different groups", async () => {
    const [a, b, c] = [generateAgeIdentity().identity, generateAgeIdentity().identity, generateAgeIdentity().identity];
    const { text } = await sealFile(Buffer.from("a: b\n"), yamlStore, {
      recipients: { groups: [[a.recipient], [b.recipient], [c.recipient]], threshold: 2 },
      rule: null,
      now,
    });
    for (const identities of [
      [a, b],
      [c, a],
      [b, c],
      [a, b, c],
    ])
      expect((await decryptSops(text, identities)).text).toBe("a: b\n");
    for (const identities of [[a], [b, b]])
      await expectRefusal(() => decryptSops(text, identities), "identity-unmatched");
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
    const short = await wrapDataKey(randomBytes(31), identity.recipient);
    const text = await sops(`a: ${value("b", "a")}\n`);
    const [blob = ""] = / {12}-----BEGIN[\s\S]*?END.*/.exec(text) ?? [];
    await expectRefusal(
      () => decryptSops(text.replace(blob, short.trimEnd().replace(/^/gm, " ".repeat(12))), [identity]),
      "not-authentic",
    );
  });
});
