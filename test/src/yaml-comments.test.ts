// Which container each comment goes to: what SOPS 3.13 reads, as recorded from its own tree of these documents.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attachComments } from "../../src/yaml-comments.ts";
import {
  commentsOf,
  isCollection,
  isPair,
  isScalar,
  parseYaml,
  parseYamlDocuments,
  type YamlSource,
} from "../../src/yaml-source.ts";
import { commentedYaml } from "../support/commented-yaml.ts";

/** Each container's path, and its comments with the number of items that stand before them. */
type Containers = Readonly<Record<string, string>>;

function containersOf(source: YamlSource): Containers {
  const paths = new Map<unknown, string>();
  const walk = (node: unknown, path: string) => {
    if (!isCollection(node)) return;
    paths.set(node, path === "" ? "/" : path);
    for (const [index, item] of node.items.entries()) {
      if (isPair(item)) walk(item.value, `${path}/${isScalar(item.key) ? item.key.value : ""}`);
      else walk(item, `${path}/${index}`);
    }
  };
  walk(source.root, "");
  const containers: Record<string, string> = {};
  for (const { container, text, before } of attachComments(source)) {
    const path = paths.get(container) ?? "?";
    const found = `${text.trim() || "-"}@${before}`;
    containers[path] = containers[path] === undefined ? found : `${containers[path]} ${found}`;
  }
  return containers;
}

describe("attachComments() puts a comment where SOPS has it", () => {
  it.each<[string, string[], Containers]>([
    [
      "at the beginning, on the line and at the end",
      ["# a", "k: 1 # b", "# c", "l: 2", "# d"],
      { "/": "a@0 b@0 c@1 d@2" },
    ],
    ["parted from the first key by an empty line", ["# a", "", "# b", "k: 1"], { "/": "a@0 b@0" }],
    ["before and behind an empty line", ["k: 1", "# a", "", "# b", "l: 2"], { "/": "a@1 b@1" }],
    ["behind an empty line", ["k: 1", "", "# a", "", "# b", "", "l: 2"], { "/": "a@1 b@1" }],
    ["at the end of a nested map", ["k:", "  l: 1", "  # a", "m: 2"], { "/k": "a@1" }],
    ["at the end of a nested map, less indented", ["k:", "  l: 1", " # a", "m: 2"], { "/k": "a@1" }],
    ["at the end of a nested map, not indented", ["k:", "  l: 1", "# a", "", "m: 2"], { "/": "a@1" }],
    ["at the end of a nested map, behind an empty line", ["k:", "  l: 1", "", "  # a", "", "m: 2"], { "/k": "a@1" }],
    [
      "at the end of two nested maps, each with its own",
      ["k:", "  l:", "    m: 1", "    # a", "  # b", "# c", "n: 2"],
      { "/k/l": "a@1", "/k": "b@1", "/": "c@1" },
    ],
    ["at the end of the file, indented", ["k:", "  l: 1", "  # a", "# b"], { "/k": "a@1", "/": "b@1" }],
    ["more indented than the keys", ["k: 1", "    # a", "l: 2"], { "/": "a@1" }],
    ["on the line of a key with a map", ["k: # a", "  l: 1"], { "/": "a@0" }],
    ["between a key and its map", ["k:", "  # a", "  l: 1"], { "/k": "a@0" }],
    ["between a key and its map, not indented", ["k:", "# a", "  l: 1"], { "/k": "a@0" }],
    ["between a key and its map, twice", ["k: # a", "  # b", "", "  # c", "  l: 1"], { "/": "a@0", "/k": "b@0 c@0" }],
    ["between a key and its value", ["k: # a", "  # b", "  1 # c"], { "/": "a@0 b@0 c@0" }],
    ["on the line of a key with a list", ["k: # a", "  - 1"], { "/": "a@0" }],
    ["on the line of a key with a list, not indented", ["k: # a", "- 1", "# b", "l: 2"], { "/": "a@0 b@1" }],
    [
      "around the elements of a list",
      ["k:", "  # a", "  - 1 # b", "  # c", "  - 2", "  # d", "l: 3"],
      { "/k": "a@0 b@0 c@1 d@2" },
    ],
    ["behind the elements of a list", ["k:", "  - 1", "  # a", "", "  - 2", "", "  # b", "l: 3"], { "/k": "a@1 b@2" }],
    ["behind a dash", ["k:", "  - # a", "    l: 1", "  - # b", "    m: 2"], { "/k/0": "a@0", "/k/1": "b@0" }],
    ["behind a dash, before a text", ["k:", "  - # a", "    x", "  -", "    # b", "    y"], { "/k": "a@0 b@1" }],
    [
      "before a dash and in its map",
      ["k:", "  # a", "  - l: 1 # b", "    # c", "    m: 2", "  # d"],
      { "/k": "a@0", "/k/0": "b@0 c@1", "/": "d@1" },
    ],
    [
      "between the maps of a list",
      ["k:", "  - l: 1", "    # a", "  # b", "  - l: 2", "    # c", "# d", "m: 3"],
      { "/k/0": "a@1", "/k": "b@1", "/k/1": "c@1", "/": "d@1" },
    ],
    [
      "in lists of lists",
      ["k:", "  # a", "  - - 1 # b", "    # c", "    - 2", "  # d", "  - # e", "    - 3"],
      { "/k": "a@0 d@1", "/k/0": "b@0 c@1", "/k/1": "e@0" },
    ],
    ["behind the header of a text", ["k: | # a", "  # not", "  x", "# b", "l: >- # c", "  y"], { "/": "a@0 b@1 c@1" }],
    ["behind a text of several lines", ["k: x", "  y # a", 'l: "x', '  y" # b'], { "/": "a@0 b@1" }],
    ["on the lines of values without text", ["k: # a", "l: ~ # b", "m:", "# c"], { "/": "a@0 b@1 c@3" }],
    ["behind a tag", ["k: !!str # a", "  x", "l: !!map # b", "  m: 1"], { "/": "a@0", "/l": "b@0" }],
    ["around a question mark", ["? k # a", "# b", ": 1 # c", "# d", "l: 2"], { "/": "a@0 b@0 c@0 d@1" }],
    [
      "alone on two lines behind a dedent",
      ["k:", "  l:", "    m: 1", "", "  # a", "  # b", "", "  n: 2"],
      { "/k": "a@1 b@1" },
    ],
    ["without a text", ["#", "k: 1 #", "#", "", "l: 2"], { "/": "-@0 -@0 -@1" }],
  ])("%s", (_, lines, containers) => {
    expect(containersOf(parseYaml(`${lines.join("\n")}\n`))).toEqual(containers);
  });

  it.each<[string, string[], Containers[]]>([
    ["between documents", ["k: 1", "# a", "---", "# b", "l: 2 # c"], [{ "/": "a@1" }, { "/": "b@0 c@0" }]],
    [
      "between documents, parted by empty lines",
      ["k: 1", "", "# a", "", "---", "# b", "", "# c", "l: 2"],
      // SOPS counts b to the first document; the path is the same.
      [{ "/": "a@1" }, { "/": "b@0 c@0" }],
    ],
  ])("%s", (_, lines, containers) => {
    const sources = parseYamlDocuments(`${lines.join("\n")}\n`, { maxBytes: 1000 });
    expect(sources.map(containersOf)).toEqual(containers);
  });
});

describe("attachComments() keeps in its place what SOPS loses", () => {
  it.each<[string, string[], Containers]>([
    [
      "in a map in braces",
      ["k: { # a", "  l: 1, # b", "  # c", "  m: 2 # d", "  # e", "} # f"],
      { "/k": "a@0 f@0 b@0 c@1 d@1 e@2" },
    ],
    [
      "in a list in brackets",
      ["k: [ # a", "  1, # b", "  # c", "  2 # d", "  # e", "] # f"],
      { "/k": "a@0 f@0 b@0 c@1 d@1 e@2" },
    ],
    ["in empty collections", ["k: { # a", "} # b", "l: [", "  # c", "]"], { "/k": "a@0 b@0", "/l": "c@0" }],
    [
      "before and behind the marks of a document",
      ["# a", "--- # b", "# c", "k: 1", "# d", "... # e", "# f"],
      { "/": "a@0 b@0 c@0 d@1 e@1 f@1" },
    ],
  ])("%s", (_, lines, containers) => {
    expect(containersOf(parseYaml(`${lines.join("\n")}\n`))).toEqual(containers);
  });
});

describe("attachComments()", () => {
  it("attaches every comment of a stream exactly once, in the order of each container", () => {
    fc.assert(
      fc.property(fc.gen(), fc.integer({ min: 1, max: 3 }), fc.boolean(), (gen, documents, crlf) => {
        const written = commentedYaml((bound) => gen(fc.nat, { max: bound - 1 }), documents);
        const text = crlf ? written.replaceAll("\n", "\r\n") : written;
        const attached = parseYamlDocuments(text, { maxBytes: 100_000 }).flatMap(attachComments);
        const found = attached.map(({ offset, text: comment }) => ({ offset, text: comment }));
        expect(found.sort((a, b) => a.offset - b.offset)).toEqual(commentsOf(text));
        const last = new Map<unknown, number>();
        for (const { container, before } of attached) {
          expect(before).toBeGreaterThanOrEqual(last.get(container) ?? 0);
          expect(before).toBeLessThanOrEqual(container.items.length);
          last.set(container, before);
        }
      }),
      { seed: 20260301, numRuns: 300 },
    );
  });

  it("leaves the comments of documents without content in these", () => {
    const sources = parseYamlDocuments("# a\n---\n# b\n---\nk: 1\n---\n# c\n---\n# d\nl: 2\n---\n# e\n", {
      maxBytes: 1000,
    });
    expect(sources.map(containersOf)).toEqual([{ "/": "a@0 b@0" }, {}, { "/": "c@0" }, { "/": "d@0" }, { "/": "e@0" }]);
  });

  it("has nothing to say of a text without comments", () => {
    expect(attachComments(parseYaml("k: 'x # y'\n"))).toEqual([]);
    expect(attachComments(parseYaml("k: |\n  # x\n"))).toEqual([]);
  });

  it("takes time by the size of the text only", () => {
    const texts = [
      "# head\nKEY: value # line\n",
      "KEY: # line\n  # head\n  - # first\n    l: [1, # in\n      2]\n\n# foot\n\n",
      "KEY: {} # line\n # less\n# none\n  # more\n",
    ].map((part) => Array.from({ length: 5000 }, (_, index) => part.replace("KEY", `k${index}`)).join(""));
    for (const text of texts) {
      const source = parseYaml(text);
      const start = performance.now();
      expect(attachComments(source)).toHaveLength(text.split("#").length - 1);
      // Some 50 ms; quadratic would be minutes.
      expect(performance.now() - start).toBeLessThan(5000);
    }
  });
});

describe("commentsOf()", () => {
  it("finds the comment between a key without a value and the end of its document", () => {
    expect(commentsOf("k:\n\n# a\n---\nl: 1\n")).toEqual([{ offset: 4, text: " a" }]);
  });
});
