// The quick reader against the parser: what it gives is what the parser gives, place by place; what it does not know it
// leaves alone. Texts are made of the pieces on which readers differ, in and out of place.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Composer, isMap, isScalar, isSeq, LineCounter, type Node, Parser, type YAMLMap } from "yaml";
import { readBlockStyle } from "../../src/block-style.ts";
import { type AttachedComment, attachComments } from "../../src/yaml-comments.ts";
import { parseYaml, YamlSource } from "../../src/yaml-source.ts";

/** All of a node that anyone looks at. */
function described(node: unknown): unknown {
  if (isScalar(node)) return [node.type, node.value, node.source, node.range, node.tag, node.anchor];
  if (isMap(node))
    return ["map", node.flow, node.range, node.items.map(({ key, value }) => [described(key), described(value)])];
  if (isSeq(node)) return ["list", node.flow, node.range, node.items.map(described)];
  return String(node);
}

function parsed(text: string): { readonly root: Node | null; readonly lines: LineCounter } | null {
  const lines = new LineCounter();
  const composer = new Composer({ schema: "failsafe", uniqueKeys: true, keepSourceTokens: true, lineCounter: lines });
  const documents = [...composer.compose(new Parser(lines.addNewLine).parse(text), false, text.length)];
  const [first, second] = documents;
  if (first === undefined || second !== undefined || first.errors.length + first.warnings.length > 0) return null;
  return { root: first.contents, lines };
}

/** Each comment with the container it is in: two of one place are in an order that no container has. */
function commentsIn(comments: readonly AttachedComment[]): unknown[] {
  const ordered = [...comments].sort((a, b) => a.offset - b.offset);
  return ordered.map(({ offset, text, container, before }) => [offset, text, container.range, before]);
}

function agrees(text: string): boolean {
  const quick = readBlockStyle(text);
  if (quick === null) return false;
  const other = parsed(text);
  expect(other, JSON.stringify(text)).not.toBeNull();
  expect(described(quick.root), JSON.stringify(text)).toEqual(described(other?.root));
  const source = new YamlSource(text, { file: undefined, root: other?.root as YAMLMap, lines: other?.lines });
  expect(commentsIn(quick.comments), JSON.stringify(text)).toEqual(commentsIn(attachComments(source)));
  const offset = text.length >> 1;
  const { line, col } = other?.lines.linePos(offset) ?? {};
  expect(parseYaml(text).placeOf(offset)).toMatchObject({ line, column: col });
  return true;
}

const scalar = fc.constantFrom(
  ...[
    "v1",
    "a b  c",
    "a:b",
    "http://x/y?z=[1]",
    "ENC[AES256_GCM,data:a+/=,iv:b,tag:c,type:str]",
    '"q: # r"',
    "'s \" t'",
  ],
  ...[
    '[a, b-c, "d e"]',
    "[ a ]",
    "[]",
    "{}",
    "[a,]",
    "[a, [b]]",
    "[a: b]",
    "|",
    "|-",
    ">",
    "|+",
    "|2",
    "- x",
    "-1",
    "- - y",
  ],
  ...[
    "",
    " ",
    "~",
    "null",
    "a #b",
    "a#b",
    "a: b",
    "a:",
    "'it''s'",
    '"\\n"',
    '"{\\"a\\":\\"\\\\b\\"}"',
    '"a\\"',
    '"a" b',
    "*x",
    "&x y",
    "!t z",
    "? k",
    "@a",
    "...",
    "---",
  ],
);
const key = fc.constantFrom("a", "b", "c-d", "e.f/g", "'h'", '"i"', "<<", "1", "? j", "k l", "-", "a ");
/** Now and then something odd, and keys that differ mostly. */
const odd = fc.oneof(
  fc.tuple(key, scalar).map(([name, value]) => `${name}: ${value}`),
  key.map((name) => `${name}:`),
  fc.tuple(key, scalar).map(([name, value]) => `- ${name}: ${value}`),
  scalar.map((value) => `- ${value}`),
  scalar,
  fc.constantFrom("# note", "", "---", "...", "\t", "%YAML 1.2", "x # y", "\u00e9: 1", "a: b\r"),
);
const usual = fc
  .tuple(fc.stringMatching(/^[a-z]{3}$/), fc.constantFrom(": v", ":", ": |", ': "q"', ": [x, y]", ": # c", " "))
  .map(([name, rest]) => name + rest);
const line = fc.oneof(
  { weight: 6, arbitrary: usual },
  { weight: 1, arbitrary: usual.map((text) => `- ${text}`) },
  { weight: 1, arbitrary: fc.constantFrom("# note", "", "- x") },
  { weight: 2, arbitrary: odd },
);
const indented = fc
  .tuple(fc.constantFrom(0, 0, 0, 0, 2, 2, 4, 1, 3, 6), line)
  .map(([depth, text]) => " ".repeat(depth) + text);
const wild = fc.tuple(fc.array(indented, { maxLength: 6 }), fc.constantFrom("\n", "", "\n\n", " \n"));

/** Texts as tools write them, which the quick reader should know: each piece says how it is written at an indentation. */
type Piece = (indent: number) => string;
const pad = (indent: number): string => " ".repeat(indent);
const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9+/=_.:-]{0,20}[A-Za-z0-9]$/);
const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,9}$/);
const gap = fc.constantFrom<Piece>(
  ...[() => "", () => "", () => "\n", (indent: number) => `${pad(indent)}# note\n\n`, () => "# further out\n"],
);
const { piece } = fc.letrec<{ piece: Piece; map: Piece }>((tie) => ({
  piece: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    word.map(
      (text): Piece =>
        () =>
          ` ${text}\n`,
    ),
    fc.array(word, { minLength: 1, maxLength: 3 }).map(
      (lines): Piece =>
        (indent) =>
          ` |\n${lines.map((text) => `${pad(indent)}${text}\n`).join("")}`,
    ),
    fc.array(tie("piece"), { minLength: 1, maxLength: 3 }).map(
      (items): Piece =>
        (indent) =>
          `\n${items.map((item) => `${pad(indent)}- k:${item(indent + 4)}`).join("")}`,
    ),
    fc.array(word, { minLength: 1, maxLength: 3 }).map(
      (items): Piece =>
        (indent) =>
          `\n${items.map((item) => `${pad(indent - 2)}- ${item}\n`).join("")}`,
    ),
    tie("map"),
  ),
  map: fc.uniqueArray(fc.tuple(name, tie("piece"), gap), { minLength: 1, maxLength: 4, selector: ([key]) => key }).map(
    (pairs): Piece =>
      (indent) =>
        `\n${pairs.map(([key, value, before]) => `${before(indent)}${pad(indent)}${key}:${value(indent + 2)}`).join("")}`,
  ),
}));

describe("the quick reader", () => {
  test("agrees with the parser on every text that it reads", () => {
    let read = 0;
    fc.assert(
      fc.property(wild, ([lines, end]) => {
        if (agrees(lines.join("\n") + end)) read++;
      }),
      { seed: 1, numRuns: 20_000 },
    );
    expect(read).toBeGreaterThan(300);
  });

  test("agrees with it on texts as tools write them, and reads nearly all", () => {
    let read = 0;
    fc.assert(
      fc.property(piece, (value) => {
        if (agrees(`root:${value(2)}`)) read++;
      }),
      { seed: 2, numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(1400);
  });

  test("agrees with it on a sealed file whatever letter is put in, taken out or changed", () => {
    const text = readFileSync("bench/secret.yaml", "utf8");
    const sealed = `${text}sops:\n    age:\n        - enc: |\n            -----BEGIN-----\n            YQ==\n          recipient: age1\n    lastmodified: "2026-01-01T00:00:00Z"\n`;
    expect(agrees(sealed)).toBe(true);
    fc.assert(
      fc.property(
        fc.nat(sealed.length),
        fc.constantFrom(0, 1),
        fc.constantFrom(..." \n\t\r:-#'\"[]{},&*!|>%@`?~<=.a1\\\u0085\u2028\ufeff"),
        (at, cut, letter) => void agrees(sealed.slice(0, at) + letter + sealed.slice(at + cut)),
      ),
      { seed: 3, numRuns: 5000 },
    );
  });

  test("reads a list of names in brackets, which seal.yaml has", () => {
    expect(agrees('a:\n  age: [x, y]\n  paths: ["**/prod/**"]\nb: 1\n')).toBe(true);
  });

  test.each([
    ["an alias", "a: &x b\nc: *x\n"],
    ["a tag", "a: !!str b\n"],
    ["a text over two lines", "a: b\n  c\n"],
    ["a comment behind a value", "a: b # c\n"],
    ["a key that stands twice", "a: b\na: c\n"],
    ["a second document", "a: b\n---\nc: d\n"],
    ["a folded text", "a: >\n  b\n"],
    ["letters beyond ASCII", "a: \u00e9\n"],
    ["an escape", 'a: "\\u0041"\n'],
    ["nothing", ""],
  ])("leaves %s to the parser", (_, text) => expect(readBlockStyle(text)).toBeNull());
});
