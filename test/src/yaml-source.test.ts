import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ErrorCode, SealwardError } from "../../src/index.ts";
import { commentsOf, maxDocumentBytes, parseYaml, parseYamlStream } from "../../src/yaml-source.ts";
import { canary, expectRefusal } from "../support/sealing.ts";

describe("parseYaml() refuses what is read in two ways", () => {
  it.each<[string, string, ErrorCode, number?, number?]>([
    ["nothing", "", "not-yaml"],
    ["only comments", "# x\n", "not-yaml"],
    ["a list", "- a\n", "not-yaml", 1, 1],
    ["a text", "hello\n", "not-yaml", 1, 1],
    ["two documents", "a: 1\n---\nb: 2\n", "several-documents", 3, 1],
    ["a byte-order mark", "\ufeffa: 1\n", "not-utf8", 1, 1],
    ["the same key twice", "a: 1\nb: 2\na: 3\n", "duplicate-key", 3, 1],
    ["the same key twice, quoted once", 'a: 1\n"a": 3\n', "duplicate-key", 2, 1],
    ["the same key twice, far in", "x:\n  - y: {k: 1, k: 2}\n", "duplicate-key", 2, 15],
    ["the same key twice, once by escape", 'a: 1\n"\\x61": 3\n', "duplicate-key", 2, 1],
    ["a list as key", "? [a]\n: b\n", "not-yaml", 1, 1],
    ["an alias as key", "a: &x b\n*x : c\n", "not-yaml"],
    ["a NUL", "a: x\0y\n", "not-yaml", 1, 5],
    ["a bell in a comment", "a: x # \u0007\n", "not-yaml", 1, 8],
    ["a NEL", "a: x\u0085b: y\n", "not-yaml", 1, 5],
    ["a line separator", "a: x # c\u2028b: y\n", "not-yaml", 1, 9],
    ["a paragraph separator", 'a: "x\u2029y"\n', "not-yaml", 1, 6],
    ["a lone carriage return", "a: x # c\rb: y\n", "not-yaml", 1, 9],
    ["a lone carriage return among others", "a: x\r\nb: y\rc: z\r\n", "not-yaml", 2, 5],
    ["a carriage return at the end", "a: x\r", "not-yaml", 1, 5],
    ["half a character in an escape", 'a: "\\ud83d"\n', "not-yaml", 1, 4],
    ["two halves of a character in escapes", 'a: "\\\\\\uD83D\\uDE00"\n', "not-yaml", 1, 4],
    ["half a character in a long escape", '"\\U0000D83D": x\n', "not-yaml", 1, 1],
    ["a quote that only an escape seems to close", 'a:\n  b: "x\\"\n # y"\n', "not-yaml", 2, 6],
    ["a quote that only a doubled one seems to close", "a:\n  b: 'x''\n # y'\n", "not-yaml", 2, 6],
    ["an escaped slash", 'a: "x\\/y"\n', "not-yaml", 1, 4],
    ["an escaped line break before a blank line", 'a: "x\\\n\n  y"\n', "not-yaml", 1, 4],
    ["a tab that begins a block text", "a: |\n\n  \tx\n", "not-yaml", 1, 4],
    ["a block text of spaces, with an indentation digit", "a: |1\n   \nb: c\n", "not-yaml", 1, 4],
    ["a block text with a digit that ends in spaces", "a: |1-\n  x\n\n   \nb: c\n", "not-yaml", 1, 4],
    ["an escape that YAML does not have", 'a: "\\q"\n', "not-yaml", 1, 5],
    ["an open quote", 'a: "x\n', "not-yaml"],
    ["an open bracket", "a: [x\n", "not-yaml"],
    ["a tab for indentation", "a:\n\tb: c\n", "not-yaml"],
    ["an unknown directive", "%FOO bar\n---\na: 1\n", "not-yaml"],
    ["a reserved character", "a: @x\n", "not-yaml"],
    ["a map in a plain text", "a: b: c\n", "not-yaml"],
  ])("%s", async (_, text, code, line, column) => {
    const error = await expectRefusal(() => parseYaml(text, { file: "f.yaml" }), code);
    expect(error.file).toBe("f.yaml");
    if (line !== undefined) expect([error.line, error.column]).toEqual([line, column]);
  });

  it("shows nothing of the text in what it says", async () => {
    const texts = [`a: "${canary}`, `a: [${canary}`, `a: ${canary}: x\n`, `a: @${canary}\n`, `- ${canary}\n`];
    for (const text of texts) await expectRefusal(() => parseYaml(text), "not-yaml");
  });

  it("leaves a tag that it does not know to whoever reads the value", () => {
    expect(parseYaml("a: !mine x\n").root.get("a", true)).toMatchObject({ tag: "!mine", value: "x" });
  });

  it("takes quotes of every kind at the end of a quoted text", () => {
    const text = [`a: ''`, `b: ''''`, `c: 'x'''`, `d: 'x'''''`, `e: ""`, `f: "\\\\"`, `g: "x\\""`, `h: "'"`].join("\n");
    expect(parseYaml(`${text}\n`).root.toJSON()).toEqual({
      a: "",
      b: "'",
      c: "x'",
      d: "x''",
      e: "",
      f: "\\",
      g: 'x"',
      h: "'",
    });
  });

  it("takes a backslash before a u for a backslash", () => {
    expect(parseYaml('a: "\\\\ud83d"\n').root.get("a")).toBe("\\ud83d");
  });

  it("takes characters above U+FFFF, CRLF and a document marker", () => {
    expect(parseYaml("---\r\na: 🎉\r\nb: 'x'\r\n").root.toJSON()).toEqual({ a: "🎉", b: "x" });
  });
});

describe("limits", () => {
  it("a document of 1 MiB, counted in bytes; another limit where one is given", async () => {
    const fill = (bytes: number) => `a: ${"ü".repeat((bytes - 4) / 2)}\n`;
    expect(parseYaml(fill(maxDocumentBytes)).root.has("a")).toBe(true);
    await expectRefusal(() => parseYaml(fill(maxDocumentBytes + 2)), "too-large");
    await expectRefusal(() => parseYaml(fill(2 * maxDocumentBytes)), "too-large");
    await expectRefusal(() => parseYaml("a: hello\n", { maxBytes: 8 }), "too-large");
  });

  const blockNest = (depth: number) => Array.from({ length: depth }, (_, level) => `${" ".repeat(level)}a:`).join("\n");
  it.each<[string, string]>([
    ["block maps", blockNest(150)],
    ["flow maps", `a: ${"{a: ".repeat(150)}${"}".repeat(150)}`],
    ["flow lists", `a: ${"[".repeat(150)}${"]".repeat(150)}`],
    ["block lists", `a:\n${"- ".repeat(150)}x`],
    ["very many flow lists", `a: ${"[".repeat(5000)}${"]".repeat(5000)}`],
    ["very many open flow lists", `a: ${"[".repeat(100_000)}`],
    ["very many block lists", `a:\n${"- ".repeat(20_000)}x`],
    ["very many block maps", blockNest(1300)],
  ])("nesting in %s", async (_, text) => {
    await expect(async () => parseYaml(text)).rejects.toMatchObject({
      code: expect.stringMatching(/^(too-deep|not-yaml)$/),
    });
  });

  it("allows a hundred levels, and not one more", async () => {
    const flow = (depth: number) => `a: ${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}`;
    for (const nest of [blockNest, flow]) {
      expect(parseYaml(nest(100)).root.has("a")).toBe(true);
      await expectRefusal(() => parseYaml(nest(101)), "too-deep");
    }
  });

  it("an alias bomb stays a few nodes: nothing is expanded", () => {
    const lines = Array.from(
      { length: 30 },
      (_, level) => `k${level + 1}: &a${level + 1} [${`*a${level},`.repeat(9)}]`,
    );
    const started = process.cpuUsage();
    parseYaml(`k0: &a0 [x]\n${lines.join("\n")}\n`);
    expect(process.cpuUsage(started).user).toBeLessThan(2_000_000);
  });

  it("needs time in proportion to the keys: 50,000 are four times 12,500, not sixteen", () => {
    const cost = (keys: number) => {
      const text = Array.from({ length: keys }, (_, index) => `k${index}: v\n`).join("");
      const best = [1, 2].map(() => {
        const started = process.cpuUsage();
        parseYaml(text);
        return process.cpuUsage(started).user;
      });
      return Math.min(...best);
    };
    cost(5000);
    // Other workers' time counts as well, so the bounds are wide; quadratic time would be sixteen.
    const [small, middle, large] = [12_500, 25_000, 50_000].map(cost);
    expect((large ?? 0) / (small ?? 1)).toBeLessThan(13);
    expect((large ?? 0) / (middle ?? 1)).toBeLessThan(8);
  });
});

describe("any text at all", () => {
  it("is read or refused with a code, never with another error", () => {
    const pieces = fc.constantFrom(
      "a",
      "b: ",
      "c",
      ": ",
      "- ",
      "? ",
      "\n",
      "\n  ",
      "{",
      "}",
      "[",
      "]",
      ",",
      "&x ",
      "*x",
      "!t ",
      "!!str ",
      "|\n",
      ">-\n",
      '"',
      "'",
      "#",
      " # c",
      "---\n",
      "...\n",
      "%YAML 1.1\n",
      "\t",
      "\\u",
      "\r\n",
      "\0",
      "<<: ",
      "~",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join("")),
          fc.string({ unit: "binary" }),
        ),
        (text) => {
          try {
            const source = parseYaml(text);
            expect(source.root.items.length).toBeGreaterThanOrEqual(0);
          } catch (error) {
            expect(error).toBeInstanceOf(SealwardError);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("parseYamlStream()", () => {
  it("gives every document that has content", () => {
    const sources = parseYamlStream("---\n# nothing\n---\na: 1\n---\nb: 2\n", { maxBytes: 1000 });
    expect(sources.map(({ root }) => root.toJSON())).toEqual([{ a: "1" }, { b: "2" }]);
  });
});

describe("commentsOf()", () => {
  it("finds every comment with its place, and none in texts", () => {
    const text = "# top\na: b # c\nd: 'x # y'\ne: |\n  # not\nf: {g: h, # i\n  j: k} #\n# last";
    expect(commentsOf(text).map(({ offset, text: comment }) => [text[offset], comment])).toEqual(
      [" top", " c", " i", "", " last"].map((comment) => ["#", comment]),
    );
  });

  it("leaves the carriage return out", () => {
    expect(commentsOf("# a\r\nb: c # d\r\n").map(({ text }) => text)).toEqual([" a", " d"]);
  });
});
