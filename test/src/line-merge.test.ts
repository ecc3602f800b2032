import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstMarker, mergeLines, sidesOf, withMarkers } from "../../src/line-merge.ts";

const style = { size: 7, labels: { ours: "ours", theirs: "theirs" } };
const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");
const line = fc.constantFrom("a", "b", "c", "PASSWORD: x", "# note", "", "=======", "<<<<<<", "======= x");
const harmless = fc.constantFrom("a", "b", "c", "PASSWORD: x", "# note", "", "  =======", "<<<<<< six");

describe("mergeLines()", () => {
  it("takes what one side changed, wherever it is", () => {
    fc.assert(
      fc.property(fc.array(line), fc.array(line), (base, changed) => {
        const [before, after] = [text(base), text(changed)];
        expect(mergeLines(before, before, after)).toEqual({ text: after, isClean: true });
        expect(mergeLines(after, before, before)).toEqual({ text: after, isClean: true });
        expect(mergeLines(after, before, after)).toEqual({ text: after, isClean: true });
      }),
    );
  });

  it("takes changes of both sides, and ours where they meet", () => {
    const base = text(["1", "2", "3", "4", "5"]);
    expect(mergeLines(text(["one", "2", "3", "4", "5"]), base, text(["1", "2", "3", "4", "five"]))).toEqual({
      text: text(["one", "2", "3", "4", "five"]),
      isClean: true,
    });
    expect(mergeLines(text(["1", "2", "three", "4", "5"]), base, text(["1", "2", "III", "4", "5"]))).toEqual({
      text: text(["1", "2", "three", "4", "5"]),
      isClean: false,
    });
  });

  it("gives up on texts that are made to be slow to compare", () => {
    const many = text(Array.from({ length: 2000 }, () => "x"));
    expect(mergeLines(many, many, `${many}y\n`)).toBeNull();
  });
});

describe("withMarkers() and sidesOf()", () => {
  it("give both sides back byte for byte", () => {
    fc.assert(
      fc.property(fc.array(harmless), fc.array(harmless), fc.integer({ min: 7, max: 12 }), (a, b, size) => {
        fc.pre(text(a) !== text(b));
        const both = withMarkers(text(a), text(b), { ...style, size });
        expect(sidesOf(both)).toEqual({ ours: text(a), theirs: text(b) });
        expect(firstMarker(both)).not.toBeNull();
      }),
    );
  });

  it("give back a side without a last line break with one, which is all that is added", () => {
    expect(sidesOf(withMarkers("a\nb", "a\nc", style))).toEqual({ ours: "a\nb\n", theirs: "a\nc\n" });
  });

  it("read what Git writes, its third side passed over", () => {
    const conflict = "x\r\n<<<<<<< HEAD\r\na\r\n||||||| 1234567\r\no\r\n=======\r\nb\r\n>>>>>>> topic\r\ny\r\n";
    expect(sidesOf(conflict)).toEqual({ ours: "x\r\na\r\ny\r\n", theirs: "x\r\nb\r\ny\r\n" });
  });

  it.each([
    ["no marker", "a\nb\n"],
    ["a conflict that does not end", "<<<<<<< a\nx\n=======\ny\n"],
    ["an end without a beginning", "x\n>>>>>>> b\n"],
    ["a second beginning within", "<<<<<<< a\n<<<<<<< b\n=======\n>>>>>>> b\n"],
    ["two middles", "<<<<<<< a\nx\n=======\ny\n=======\nz\n>>>>>>> b\n"],
  ])("refuse %s", (_, broken) => {
    expect(sidesOf(broken)).toBeNull();
  });

  it("compare nothing that would take too long, and mark the whole of it", () => {
    const [a, b] = ["x\n".repeat(2000), `${"x\n".repeat(2000)}y\n`];
    expect(sidesOf(withMarkers(a, b, style))).toEqual({ ours: a, theirs: b });
  });
});
