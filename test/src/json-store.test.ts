import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonStore } from "../../src/json-store.ts";
import type { Leaf, Value } from "../../src/store.ts";
import { expectRefusal } from "../support/sealing.ts";
import {
  block,
  changedLines,
  enclosed,
  expectMetadataReversible,
  expectReversible,
  expectSealable,
  itemsOf,
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
const pair = (key: string, value: Value) => ({ kind: "pair", key, value, offset: 0 }) as const;

const blank = fc.constantFrom("", " ", "  ");
const layouts = fc.constantFrom<[string, number | string]>(
  ["\n", 2],
  ["\n", 4],
  ["\n", "\t"],
  ["\r\n", 2],
  ["\n", 0],
  ["", 0],
);
const objects = fc.dictionary(
  fc.string().filter((key) => key !== "sops" && key !== "__proto__"),
  fc.jsonValue({ maxDepth: 3 }),
  { maxKeys: 5 },
);

/** JSON in some layout, with blanks around it. */
const texts = fc
  .tuple(objects, layouts, blank, fc.constantFrom("", "\n", "\r\n", "\n\n", " "))
  .map(([value, [newline, indent], before, after]) => {
    const text = JSON.stringify(value, null, indent);
    const body = newline === "\r\n" ? text.replaceAll("\n", "\r\n") : text;
    return before + body + after;
  });

const odd = [
  "{}",
  "{ }",
  "{\n}",
  " {\r\n\r\n} \n",
  '{"a":1}',
  '{ "a" : 1 , "b" : [ 1, "x" ] }',
  '{"a": {}, "b": [], "c": null}\n',
  '{\n"a": "\\u0041\\/\\n",\n"b": 1.50, "c": -0, "d": 1e3, "e": 12345678901234567890\n}\n',
  '{\n\t"k": {\n\t\t"x": [\n\t\t\t{}\n\t\t]\n\t}\n}',
  '{\n    "a": "<b> & \u2028",\n\n    "c": true}',
];

describe("the JSON store", () => {
  it("gives back every text whose values were replaced, and its values without their spelling", () => {
    fc.assert(
      fc.property(texts, (text) => expectReversible(jsonStore, text)),
      { seed, numRuns: 300 },
    );
    for (const text of odd) expectReversible(jsonStore, text);
  });

  it("appends, changes and removes the block without touching anything else", () => {
    fc.assert(
      fc.property(texts, (text) => expectMetadataReversible(jsonStore, text)),
      { seed, numRuns: 200 },
    );
    for (const text of odd) expectMetadataReversible(jsonStore, text);
  });

  it("gives the engine back the very bytes that it encrypted", async () => {
    for (const text of odd) await expectSealable(jsonStore, Buffer.from(text));
    await fc.assert(
      fc.asyncProperty(texts, async (text) => void (await expectSealable(jsonStore, Buffer.from(text)))),
      { seed, numRuns: 25 },
    );
  });

  it("reads values with the types and bytes of SOPS", () => {
    const text =
      '{"s":"a\\u00e9\\ud83d\\ude00","i":9223372036854775807,"big":9223372036854775808,' +
      '"f":1.0,"e":1e-7,"z":-0,"t":true,"n":null,"m":{},"l":[]}';
    expect(treeOf(load(jsonStore, text))).toEqual([
      [
        { key: "s", value: ["str", Buffer.from("aé😀").toString("latin1")] },
        { key: "i", value: ["int", "9223372036854775807"] },
        { key: "big", value: ["float", "9223372036854776000"] },
        { key: "f", value: ["float", "1"] },
        { key: "e", value: ["float", "0.0000001"] },
        { key: "z", value: ["int", "0"] },
        { key: "t", value: ["bool", "True"] },
        { key: "n", value: { empty: "null" } },
        { key: "m", value: { empty: "map" } },
        { key: "l", value: { empty: "list" } },
      ],
    ]);
  });

  it("writes the block in the layout of the document, as Flux looks for it", () => {
    const lines = load(jsonStore, enclosed(load(jsonStore, '{\n  "a": 1\n}\n'))).text.split("\n");
    expect(lines.slice(2, 8)).toEqual([
      '  "sops": {',
      '    "age": [',
      "      {",
      expect.stringMatching(/^ {8}"enc": "-----BEGIN/),
      expect.stringMatching(/^ {8}"recipient": "age1/),
      "      }",
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/^ {4}"mac": "ENC\[/));
    expect(enclosed(load(jsonStore, '{"a": 1}\n')).trimEnd()).not.toContain("\n");
    expect(enclosed(load(jsonStore, '{"a": 1}\n'))).toContain('"mac": "ENC[');
    expect(enclosed(load(jsonStore, "{}"))).toContain('{\n\t"sops": {\n\t\t"age": [');
  });

  it("sets and removes values by their path, in the style of their neighbours", () => {
    const text = '{\n  "a": {\n    "b": 1\n  },\n  "l": [\n    1\n  ],\n  "e": {},\n  "o": {"x": 1}\n}\n';
    const file = load(jsonStore, text);
    expect(file.set(["a", "c"], leaf("x"))).toBe(text.replace('"b": 1', '"b": 1,\n    "c": "x"'));
    expect(file.set(["a", "b"], leaf("True", "bool"))).toBe(text.replace('"b": 1', '"b": true'));
    expect(file.set(["l", 1], leaf("2", "int"))).toBe(text.replace("    1\n", "    1,\n    2\n"));
    expect(file.set(["e", "k"], leaf("v"))).toBe(text.replace("{}", '{\n    "k": "v"\n  }'));
    expect(file.set(["o", "y"], leaf("v"))).toBe(text.replace('{"x": 1}', '{"x": 1, "y": "v"}'));
    expect(file.set(["n", "m"], leaf("v"))).toBe(
      text.replace('{"x": 1}\n', '{"x": 1},\n  "n": {\n    "m": "v"\n  }\n'),
    );
    expect(file.unset(["a", "b"])).toBe(text.replace('{\n    "b": 1\n  }', "{}"));
    expect(file.unset(["a"])).toBe(text.replace('"a": {\n    "b": 1\n  },\n  ', ""));
    expect(file.unset(["o"])).toBe(text.replace(',\n  "o": {"x": 1}', ""));
    expect(file.unset(["l", 0])).toBe(text.replace("[\n    1\n  ]", "[]"));
  });

  it("keeps the block last when a key is added, and touches few lines", () => {
    fc.assert(
      fc.property(texts, fc.string(), fc.string(), (text, key, value) => {
        fc.pre(key !== "sops" && key !== "__proto__");
        const sealed = load(jsonStore, enclosed(load(jsonStore, text)));
        const set = sealed.set([key], leaf(value));
        const again = load(jsonStore, set);
        expect(again.metadata).toEqual(block);
        const isNew = !JSON.stringify(treeOf(sealed)).includes(JSON.stringify({ key }).slice(1, -1));
        if (isNew && set.includes("\n")) {
          expect(changedLines(sealed.text, set)).toBeLessThanOrEqual(2);
          expect(treeOf(load(jsonStore, again.unset([key])))).toEqual(treeOf(sealed));
        }
      }),
      { seed, numRuns: 200 },
    );
  });

  it("refuses paths that lead nowhere, and values that JSON cannot hold", async () => {
    const file = load(jsonStore, '{"a": 1, "l": [1]}');
    for (const path of [["a", "b"], ["l", 2], ["l", "x"], []])
      await expectRefusal(() => file.set(path, leaf("x")), "path-missing");
    for (const path of [["b"], ["a", "b"], ["l", 1], []]) await expectRefusal(() => file.unset(path), "path-missing");
    await expectRefusal(() => file.set(["sops"], leaf("x")), "sops-unsupported");
    await expectRefusal(() => file.set(["n"], leaf("NaN", "float")), "sops-unsupported");
    const bytes: Leaf = { kind: "leaf", type: "str", bytes: Buffer.from([0xff]), offset: 0 };
    await expectRefusal(() => file.set(["n"], bytes), "sops-unsupported");
  });

  it.each([
    ["a list", "[1]", "not-json"],
    ["a scalar", '"x"', "not-json"],
    ["nothing", "", "not-json"],
    ["text behind the object", "{} {}", "not-json"],
    ["a comma too many", '{"a":1,}', "not-json"],
    ["a comment", '{"a":1} // x', "not-json"],
    ["a raw control character", '{"a":"\n"}', "not-json"],
    ["an escape that is none", '{"a":"\\x41"}', "not-json"],
    ["a number with a leading zero", '{"a":01}', "not-json"],
    ["an unclosed text", '{"a":"x', "not-json"],
    ["an unclosed object", '{"a":{', "not-json"],
    ["a word", '{"a":nul}', "not-json"],
    ["a key twice", '{"a":1,"\\u0061":2}', "duplicate-key"],
    ["a number beyond float64", '{"a":1e999}', "sops-unsupported"],
    ["a byte order mark", "\ufeff{}", "not-utf8"],
  ] as const)("refuses %s", async (_, text, code) => {
    await expectRefusal(() => load(jsonStore, text), code);
  });

  it("says where a mistake is", async () => {
    const error = await expectRefusal(() => load(jsonStore, '{\n  "a": 1,\n  b: 2\n}'), "not-json");
    expect([error.line, error.column]).toEqual([3, 3]);
  });

  it("refuses bytes that are not UTF-8, and files that are too large", async () => {
    await expectRefusal(() => jsonStore.load(Buffer.from('{"a":"\xff"}', "latin1")), "not-utf8");
    await expectRefusal(() => jsonStore.load(Buffer.from('{"a":1}'), { maxBytes: 3 }), "too-large");
  });

  it("is done quickly with hostile and large files", async () => {
    const started = performance.now();
    await expectRefusal(() => load(jsonStore, `{"a":${"[".repeat(5_000_000)}`), "too-deep");
    await expectRefusal(() => load(jsonStore, `{"a":${'{"a":'.repeat(1_000_000)}`), "too-deep");
    await expectRefusal(() => load(jsonStore, `{"a":"${"\\u0041".repeat(1_000_000)}`), "not-json");
    await expectRefusal(() => load(jsonStore, `${" ".repeat(5_000_000)}`), "not-json");
    await expectRefusal(() => load(jsonStore, `{"a":${"9".repeat(1_000_000)}}`), "sops-unsupported");
    const many = `{${Array.from({ length: 200_000 }, (_, index) => `"k${index}": ${index}`).join(",\n")}}`;
    const file = load(jsonStore, many);
    expect(itemsOf(file).leaves).toHaveLength(200_000);
    expect(file.write({ leaves: new Map(), comments: new Map(), metadata: block }).length).toBeGreaterThan(many.length);
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it("dumps any tree in SOPS' layout, without comments", () => {
    const items = [
      { kind: "comment", text: " gone", offset: 0 } as const,
      pair("a", leaf("x<y")),
      pair("f", leaf("1e21", "float")),
      pair("l", { kind: "list", offset: 0, items: [leaf("1", "int"), { kind: "empty", value: "null", offset: 0 }] }),
      pair("m", { kind: "map", offset: 0, items: [] }),
    ];
    expect(jsonStore.dump([{ kind: "map", offset: 0, items }], new Map([["mac", "ENC[x]"]]))).toBe(
      '{\n\t"a": "x\\u003cy",\n\t"f": 1e+21,\n\t"l": [\n\t\t1,\n\t\tnull\n\t],\n\t"m": {},\n' +
        '\t"sops": {\n\t\t"mac": "ENC[x]"\n\t}\n}\n',
    );
  });
});
