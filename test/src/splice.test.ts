import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { isAmbiguousString } from "../../src/go-scalar.ts";
import { applyEdits, formatText, quoted, type TextStyle } from "../../src/splice.ts";
import { parseYaml } from "../../src/yaml-source.ts";

describe("applyEdits()", () => {
  it("replaces by offset, whatever the order given; insertions at one place stay in their order", () => {
    const edits = [
      { start: 4, end: 5, text: "E" },
      { start: 1, end: 1, text: "1" },
      { start: 1, end: 1, text: "2" },
      { start: 1, end: 3, text: "-" },
    ];
    expect(applyEdits("abcdef", edits)).toBe("a12-dEf");
  });

  it("refuses edits that overlap", () => {
    expect(() =>
      applyEdits("abcdef", [
        { start: 0, end: 3, text: "" },
        { start: 2, end: 4, text: "" },
      ]),
    ).toThrow(RangeError);
  });
});

const base: TextStyle = { style: undefined, inFlow: false, indent: 2, newline: "\n", lineGoesOn: false };

describe("formatText()", () => {
  it.each<[string, Partial<TextStyle>, string]>([
    ["hello", {}, "hello"],
    ["hello there", {}, "hello there"],
    ["hello there", { inFlow: true }, '"hello there"'],
    ["a: b", {}, '"a: b"'],
    ["a:b", {}, "a:b"],
    ["a:", {}, '"a:"'],
    ["a #b", {}, '"a #b"'],
    ["a  b", {}, "a  b"],
    ["- a", {}, '"- a"'],
    ["", {}, '""'],
    ["yes", {}, '"yes"'],
    ["2024-01-02 03:04:05", {}, '"2024-01-02 03:04:05"'],
    ["123", {}, '"123"'],
    ["it's", { style: "QUOTE_SINGLE" }, "'it''s'"],
    ["a\nb", { style: "QUOTE_SINGLE" }, "|-\n    a\n    b"],
    ["a\nb\n", {}, "|\n    a\n    b"],
    ["a\n\n  b\n", { step: 4 }, "|\n      a\n\n        b"],
    ["a\nb", { newline: "\r\n" }, "|-\r\n    a\r\n    b"],
    ["a\nb", { lineGoesOn: true }, '"a\\nb"'],
    ["a\nb", { inFlow: true }, '"a\\nb"'],
    ["a\nb\n\n", {}, '"a\\nb\\n\\n"'],
    [" a\nb", {}, '" a\\nb"'],
    ["a\r\nb", {}, '"a\\r\\nb"'],
    ["a\u2028b", { style: "QUOTE_SINGLE" }, '"a\\u2028b"'],
    ["\ufeff\u007f\u0085", {}, '"\\ufeff\\u007f\\u0085"'],
    ["🎉", {}, '"🎉"'],
  ])("%j with %j is %s", (value, style, expected) => {
    expect(formatText(value, { ...base, ...style })).toBe(expected);
  });

  it("is the same text for us and for another reader, in every style and place", () => {
    const value = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.string({
        unit: fc.constantFrom(
          "a",
          "1",
          " ",
          "\n",
          "\t",
          "\r",
          ":",
          "#",
          "-",
          "'",
          '"',
          ",",
          "{",
          "}",
          "[",
          "]",
          "&",
          "*",
          "!",
          "|",
          ">",
          "%",
          "@",
          "`",
          "?",
          "\\",
          "~",
          "=",
          "<",
          ".",
          "\u0085",
          "\u2028",
          "\ufeff",
          "é",
          "🎉",
        ),
      }),
    );
    const style = fc.record({
      style: fc.constantFrom(
        "PLAIN",
        "QUOTE_SINGLE",
        "QUOTE_DOUBLE",
        "BLOCK_LITERAL",
        "BLOCK_FOLDED",
        undefined,
      ) as fc.Arbitrary<TextStyle["style"]>,
      inFlow: fc.boolean(),
      lineGoesOn: fc.boolean(),
      newline: fc.constantFrom("\n", "\r\n"),
      step: fc.constantFrom(1, 2, 4),
    });
    fc.assert(
      fc.property(value, style, (text, how) => {
        const written = formatText(text, { ...base, ...how });
        const { newline } = how;
        const [before, after] = how.inFlow
          ? ["{k: ", ", l: m}"]
          : ["", `${how.lineGoesOn ? " # c" : ""}${newline}  l: m`];
        const document = how.inFlow
          ? `a: ${before}${written}${after}${newline}`
          : `a:${newline}  k: ${written}${after}${newline}`;
        const expected = { a: { k: text, l: "m" } };
        expect(parseYaml(document).root.toJSON()).toEqual(expected);
        expect(parse(document)).toEqual(expected);
        if (!/^["'|]/.test(written)) expect(isAmbiguousString(written)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("quoted()", () => {
  it("stands on one line of printable characters", () => {
    expect(quoted("a\n\u0000\u009f\u2029\uffff")).toBe('"a\\n\\u0000\\u009f\\u2029\\uffff"');
  });
});
