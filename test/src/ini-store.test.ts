import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { iniStore } from "../../src/ini-store.ts";
import type { Leaf, MapValue } from "../../src/store.ts";
import { expectRefusal } from "../support/sealing.ts";
import {
  block,
  changedLines,
  enclosed,
  expectMetadataReversible,
  expectReversible,
  expectSealable,
  load,
  seed,
  treeOf,
} from "../support/stores.ts";

const leaf = (text: string, type: Leaf["type"] = "str"): Leaf => ({
  kind: "leaf",
  type,
  bytes: Buffer.from(text),
  offset: 0,
});
const mapOf = (...pairs: [string, Leaf | MapValue][]): MapValue => ({
  kind: "map",
  offset: 0,
  items: pairs.map(([key, value]) => ({ kind: "pair", key, value, offset: 0 })),
});

const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_. -]{0,6}[a-z]$/);
const value = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9 '"=:/.[\]-]{0,12}$/),
  fc.constantFrom('"quoted"', "'single'", "`a # b; c`", '"""x `y` z"""', '"""two\nlines"""', "`back\\`", "", "\u00e4"),
);
const keyLine = fc
  .tuple(fc.constantFrom("", "  ", "\t"), word, fc.constantFrom("=", " = ", ": ", " =", "   = "), value)
  .map(([indent, key, sign, text]) => ({ name: `key ${key}`, text: indent + key + sign + text }));
const commentLine = fc
  .tuple(fc.uuid(), fc.constantFrom(";", "; ", "#", "# ", ";; ", "  ; "), fc.stringMatching(/^[ -~]{0,10}$/))
  .map(([id, mark, text]) => ({ name: id, text: mark + text }));
const blankLine = fc.tuple(fc.uuid(), fc.constantFrom("", " ", "\t")).map(([id, text]) => ({ name: id, text }));
const lines = fc.uniqueArray(fc.oneof(keyLine, commentLine, blankLine), { selector: ({ name }) => name, maxLength: 6 });

const texts = fc
  .tuple(
    lines,
    fc.uniqueArray(fc.tuple(word, lines), { selector: ([name]) => name, maxLength: 3 }),
    fc.constantFrom("\n", "\r\n"),
    fc.boolean(),
  )
  .map(([first, sections, newline, isClosed]) => {
    const all = [
      ...first.map(({ text }) => text),
      ...sections.flatMap(([name, own]) => [`[${name}]`, ...own.map(({ text }) => text)]),
    ];
    return all.join("\n").replaceAll("\n", newline) + (isClosed && all.length > 0 ? newline : "");
  })
  .filter((text) => {
    try {
      load(iniStore, text);
      return true;
    } catch {
      return false;
    }
  });

const odd = [
  "",
  "\n",
  "[a]",
  "k = v",
  "[a]\nk=v\n\n; the end\n\n",
  "; file\n\n;  section\n[a]\n# key\nk = v\n",
  "[DEFAULT]\nk = v\n[b]\nempty =\nother=\n",
  "[a]\r\nk = v\r\n",
  '[a]\nk = """one\n  two\n"""\nl = `x`\n`a:b` = c\n',
  "k = 1\n\n\n[ spaced ]\nk: 2",
];

describe("the INI store", () => {
  it("gives back every text whose values were replaced, and its values without their spelling", () => {
    for (const text of odd) expectReversible(iniStore, text);
    fc.assert(
      fc.property(texts, (text) => expectReversible(iniStore, text)),
      { seed, numRuns: 300 },
    );
  });

  it("appends, changes and removes the block without touching anything else", () => {
    for (const text of odd) expectMetadataReversible(iniStore, text);
    fc.assert(
      fc.property(texts, (text) => expectMetadataReversible(iniStore, text)),
      { seed, numRuns: 200 },
    );
  });

  it("gives the engine back the very bytes that it encrypted", async () => {
    for (const text of odd) await expectSealable(iniStore, Buffer.from(text));
    await fc.assert(
      fc.asyncProperty(texts, async (text) => void (await expectSealable(iniStore, Buffer.from(text)))),
      { seed, numRuns: 25 },
    );
  });

  it("reads sections, values and comments as SOPS gets them from go-ini", () => {
    const text =
      '; about\n; two lines\n[a]\n# of k\nk = "v"\nq : \'x\' y\nm = """l1\nl2"""\ne =\n`x=y` = `# z`\n; the end\n';
    expect(treeOf(load(iniStore, text))).toEqual([
      [
        { key: "DEFAULT", value: [] },
        {
          key: "a",
          value: [
            { comment: "about\n; two lines" },
            { key: "k", value: ["str", "v"] },
            { comment: "of k" },
            { key: "q", value: ["str", "'x' y"] },
            { key: "m", value: ["str", "l1\nl2"] },
            { key: "e", value: ["str", ""] },
            { key: "x=y", value: ["str", "# z"] },
            { comment: "the end" },
          ],
        },
      ],
    ]);
  });

  it("writes the block as SOPS flattens and aligns it", () => {
    expect(enclosed(load(iniStore, "[a]\nk = v\n")).split("\n").slice(2)).toEqual([
      "",
      "[sops]",
      expect.stringMatching(/^age__list_0__map_enc {7}= -----BEGIN AGE ENCRYPTED FILE-----\\nYWdl=\\n/),
      expect.stringMatching(/^age__list_0__map_recipient = age1/),
      "lastmodified               = 2026-01-02T03:04:05Z",
      expect.stringMatching(/^mac {24}= ENC\[/),
      "unencrypted_suffix         = _unencrypted",
      "version                    = 3.13.3",
      "",
    ]);
  });

  it("reads a block whose values have real line breaks, as sops 3.13.0 wrote them", () => {
    const { metadata } = load(iniStore, '[a]\nk = v\n\n[sops]\nage__list_0__map_enc = """x\ny\n"""\nmac = m\n');
    expect(metadata).toEqual(
      new Map<string, unknown>([
        ["age", [new Map([["enc", "x\ny\n"]])]],
        ["mac", "m"],
      ]),
    );
  });

  it("sets and removes values by section and key, in the style of their neighbours", () => {
    const sealed = load(iniStore, enclosed(load(iniStore, "top=1\n\n[a]\nk      = 1\nlonger = 2\n\n[b]\nx=1\n")));
    const { text } = sealed;
    expect(sealed.set(["a", "n"], leaf("3"))).toBe(text.replace(/^(longer.*)$/m, "$1\nn      = 3"));
    expect(sealed.set(["b", "y"], leaf("a # b"))).toBe(text.replace(/^(x=.*)$/m, "$1\ny=`a # b`"));
    expect(sealed.set(["b", "x"], leaf("True", "bool"))).toBe(text.replace(/^x=.*$/m, "x=true"));
    expect(sealed.set(["DEFAULT", "z"], leaf("1"))).toBe(text.replace(/^(top=.*)$/m, "$1\nz=1"));
    expect(sealed.set(["new", "k"], leaf("v"))).toBe(text.replace("\n\n[sops]", "\n\n[new]\nk = v\n\n[sops]"));
    expect(sealed.unset(["a", "k"])).toBe(text.replace(/^k .*\n/m, ""));
    expect(sealed.unset(["a"])).toBe(text.replace(/^\[a\]\n.*\n.*\n\n/m, ""));
    expect(changedLines(text, sealed.set(["a", "n"], leaf("3")))).toBe(1);
    expect(load(iniStore, "[a]\nk=v").set(["a", "l"], leaf("w"))).toBe("[a]\nk=v\nl=w");
    expect(load(iniStore, "").set(["a", "l"], leaf("w"))).toBe("[a]\nl = w\n");
  });

  it("refuses what INI cannot hold", async () => {
    const file = load(iniStore, "[a]\nk = v\n");
    for (const path of [[], ["a", "k", "x"], ["a", 0]])
      await expectRefusal(() => file.set(path, leaf("x")), "path-missing");
    for (const path of [["b"], ["a", "x"], ["DEFAULT"]]) await expectRefusal(() => file.unset(path), "path-missing");
    await expectRefusal(() => file.set(["sops", "x"], leaf("x")), "sops-unsupported");
    await expectRefusal(() => file.set(["a", "k"], mapOf()), "sops-unsupported");
    await expectRefusal(() => file.set(["a", "k"], leaf('` """ \n')), "sops-unsupported");
    for (const name of ["-", "", " a", ";a", "[a", "a\nb"])
      await expectRefusal(() => file.set(["a", name], leaf("x")), "sops-unsupported");
    for (const name of ["", "a]b", "a\nb"])
      await expectRefusal(() => file.set([name, "k"], leaf("x")), "sops-unsupported");
  });

  it.each([
    ["a key without a value", "[a]\nkey\n", "not-ini", 2],
    ["a value without a key", "[a]\n= x\n", "not-ini", 2],
    ["a continued line", "[a]\nk = x \\\n y = z\n", "not-ini", 2],
    ["a comment behind a value", "[a]\nk = v ; c\n", "not-ini", 2],
    ["a value with a number sign", "[a]\npassword = a#b\n", "not-ini", 2],
    ["a comment behind a section", "[a] ; c\n", "not-ini", 1],
    ["a section that is not closed", "[a\nk = v\n", "not-ini", 1],
    ["a section without a name", "[]\n", "not-ini", 1],
    ["a bracket in a section's name", "[a]]\n", "not-ini", 1],
    ["a key in double quotes", '"k" = v\n', "not-ini", 1],
    ["a key that is a dash", "- = v\n", "not-ini", 1],
    ["a quoted value that is not closed", "k = `v\nl = w\n", "not-ini", 1],
    ["text behind a quoted value", 'k = """v""" w\n', "not-ini", 1],
    ["a section twice", "[a]\n[b]\n[a]\n", "duplicate-key", 3],
    ["a default section beside keys of the file's", "k = v\n[DEFAULT]\n", "duplicate-key", 2],
    ["a key twice", "[a]\nk = 1\nk = 2\n", "duplicate-key", 3],
    ["a carriage return without a line feed", "[a]\nk = v\rl = w\n", "not-ini", 2],
    ["a byte order mark", "\ufeff[a]\n", "not-utf8", 1],
  ] as const)("refuses %s", async (_, text, code, line) => {
    expect((await expectRefusal(() => load(iniStore, text), code)).line).toBe(line);
  });

  it("is done quickly with large and hostile files", async () => {
    const started = performance.now();
    const many = Array.from({ length: 100_000 }, (_, index) => `[s${index}]\n; c\nk = ${index}\n`).join("");
    expect(enclosed(load(iniStore, many)).length).toBeGreaterThan(many.length);
    expect(enclosed(load(iniStore, "; c\n\n".repeat(300_000)))).toContain("[sops]");
    await expectRefusal(() => load(iniStore, "k = `x\n".repeat(300_000)), "not-ini");
    await expectRefusal(() => load(iniStore, `${" ".repeat(3_000_000)}k`), "not-ini");
    expect(load(iniStore, `k = ${"\u2003".repeat(3_000_000)}\n`).documents).toHaveLength(1);
    const spaced = `k = x${" ".repeat(1_000_000)}y\n`;
    expect(load(iniStore, spaced).write({ leaves: new Map(), comments: new Map(), metadata: block })).toContain("mac");
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it("dumps sections of scalars in go-ini's layout, and refuses any other tree with the name of its key", async () => {
    const tree = mapOf(
      ["DEFAULT", mapOf()],
      ["a", mapOf(["k", leaf("v # w")], ["long", leaf("x\ny")], ["x=y", leaf(" z ")])],
    );
    expect(iniStore.dump([tree], new Map([["mac", "ENC[x]"]]))).toBe(
      '[a]\nk     = `v # w`\nlong  = """x\ny"""\n`x=y` = " z "\n\n[sops]\nmac = ENC[x]\n',
    );
    const error = await expectRefusal(() => iniStore.dump([mapOf(["k", leaf("v")])], null), "sops-unsupported");
    expect(error.message).toContain('"k"');
    const deep = await expectRefusal(
      () => iniStore.dump([mapOf(["a", mapOf(["b", mapOf(["c", leaf("v")])])])], null),
      "sops-unsupported",
    );
    expect(deep.message).toContain('"a.b"');
  });
});
