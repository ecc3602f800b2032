import { describe, expect, it } from "vitest";
import { entriesOf } from "../../src/sops-tree.ts";
import { loadYaml } from "../../src/yaml-store.ts";
import type { YamlLeaf } from "../../src/yaml-tree.ts";
import { expectRefusal } from "../support/sealing.ts";

/** Every value as a path, its type and its canonical text. */
function valuesOf(text: string): string[] {
  const selection = { asks: "key", matches: () => false, encryptsMatches: true } as const;
  return entriesOf(loadYaml(text).documents, selection, { isEncrypted: false }).leaves.map(
    ({ path, item }) => `${path.join(".")} ${item.type} ${Buffer.from(item.bytes).toString()}`,
  );
}

describe("readYamlTree()", () => {
  it("says of every leaf where it stands", () => {
    const { documents } = loadYaml("a: 1\nb:\n  c: [x, {d: y}]\n");
    const { leaves } = entriesOf(
      documents,
      { asks: "key", matches: () => false, encryptsMatches: true },
      { isEncrypted: false },
    );
    expect(leaves.map(({ item }) => item as YamlLeaf).map(({ inList, inFlow }) => [inList, inFlow])).toEqual([
      [false, false],
      [true, true],
      [false, true],
    ]);
  });

  it("takes quoted keys and texts for what they are", () => {
    expect(valuesOf("\"1\": '1'\n'true': \"x\"\n")).toEqual(["1 str 1", "true str x"]);
  });

  it.each<[string, string[]]>([
    ["a: &x 1\n", ["a int 1"]],
    ["a: &x\n  b: 1\n", ["a.b int 1"]],
    ["a: &x 1\nb: *x\n", ["a int 1", "b int 1"]],
    ["a: &x {b: [y]}\nc: *x\n", ["a.b str y", "c.b str y"]],
    ["a: !!binary aGk=\n", ["a str hi"]],
    ["a: !!str 1\n", ["a str 1"]],
    ["a: !!float 1\n", ["a float 1"]],
  ])("reads %j as SOPS does", (text, expected) => {
    expect(valuesOf(text)).toEqual(expected);
  });

  it.each(["1: x\n", "true: x\n", "~: x\n", "2024-01-02: x\n", "a: 9223372036854775808\n", "a: !!int x\n"])(
    "refuses %j, which SOPS reads in its own way",
    async (text) => {
      await expectRefusal(() => loadYaml(text), "sops-unsupported");
    },
  );

  it.each(["a: *x\n", "a: *x\nb: &x 1\n", "a: &x\n  b: *x\n"])(
    "refuses %j, whose alias names nothing before it",
    async (text) => {
      await expectRefusal(() => loadYaml(text), "not-yaml");
    },
  );

  it.each(["a: {} # note\n", "a: [] # note\n", "a: {\n  # note\n}\n", "a: [\n  # note\n]\n"])(
    "keeps the comment of an empty map or list: %j",
    (text) => {
      const { comments } = entriesOf(
        loadYaml(text).documents,
        { asks: "key", matches: () => false, encryptsMatches: false },
        { isEncrypted: false },
      );
      expect(comments).toMatchObject([{ text: " note", aad: "a:", encrypted: true }]);
    },
  );

  it("refuses aliases that stand for very many values", async () => {
    const levels = [..."abcdefghi"].map(
      (name, level, all) => `${name}: &${name} [${`*${all[level - 1]}, `.repeat(level && 9)}x]\n`,
    );
    await expectRefusal(() => loadYaml(levels.join("")), "too-large");
  });
});
