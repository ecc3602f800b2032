import { describe, expect, it } from "vitest";
import { compileSelection, type SelectionRule, selectionRules } from "../../src/selection.ts";
import { expectRefusal } from "../support/sealing.ts";

describe("compileSelection()", () => {
  /** True where a value at the path would be encrypted. */
  const selects = async (rule: SelectionRule | null, ...path: string[]) => {
    const { matches, encryptsMatches } = await compileSelection(rule);
    return path.some(matches) === encryptsMatches;
  };

  it.each<[SelectionRule | null, string[], boolean]>([
    [null, ["a"], true],
    [null, ["a_unencrypted"], false],
    [null, ["a_unencrypted", "b"], false],
    [{ name: "unencrypted_suffix", pattern: "_clear" }, ["a_unencrypted"], true],
    [{ name: "encrypted_suffix", pattern: "_secret" }, ["a_secret", "b"], true],
    [{ name: "encrypted_suffix", pattern: "_secret" }, ["a"], false],
    [{ name: "encrypted_regex", pattern: "^(data|stringData)$" }, ["data", "a"], true],
    [{ name: "encrypted_regex", pattern: "^(data|stringData)$" }, ["spec", "template", "data"], true],
    [{ name: "encrypted_regex", pattern: "^(data|stringData)$" }, ["metadata", "name"], false],
    [{ name: "encrypted_regex", pattern: "^(a\\.b|c)$" }, ["a.b"], true],
    [{ name: "encrypted_regex", pattern: "^(a\\.b|c)$" }, ["axb"], false],
    [{ name: "encrypted_regex", pattern: "^(a.b|c)$" }, ["axb"], true],
    [{ name: "encrypted_regex", pattern: "data" }, ["metadata"], true],
    [{ name: "encrypted_regex", pattern: "(?i)^DATA$" }, ["data"], true],
    [{ name: "encrypted_regex", pattern: "\\Adata\\z" }, ["data"], true],
    [{ name: "encrypted_regex", pattern: "\\Qa.b\\E" }, ["a.b"], true],
    [{ name: "encrypted_regex", pattern: "\\Qa.b\\E" }, ["axb"], false],
    [{ name: "encrypted_regex", pattern: "[[:upper:]]" }, ["A"], true],
    [{ name: "encrypted_regex", pattern: "\\pL" }, ["ü"], true],
    [{ name: "unencrypted_regex", pattern: "^(metadata|kind)$" }, ["metadata", "name"], false],
    [{ name: "unencrypted_regex", pattern: "^(metadata|kind)$" }, ["data"], true],
    [
      { name: "encrypted_regex", pattern: "^(data|stringData|sealward\\.dev/binding)$" },
      ["metadata", "annotations", "sealward.dev/binding"],
      true,
    ],
    [
      { name: "encrypted_regex", pattern: "^(data|stringData|sealward\\.dev/binding)$" },
      ["metadata", "annotations", "sealwardxdev/binding"],
      false,
    ],
  ])("%j selects %j: %s", async (rule, path, expected) => {
    expect(await selects(rule, ...path)).toBe(expected);
  });

  it.each(["(?=data)", "(?<!x)y", "(a)\\1", "(", "[", "*", "a**", "(?P<n>a)(?P<n>b)", "\\8", "a{1001}"])(
    "refuses %j, which SOPS would take for a pattern that matches nothing",
    async (pattern) => {
      for (const name of ["encrypted_regex", "unencrypted_regex", "encrypted_comment_regex"] as const)
        await expectRefusal(() => compileSelection({ name, pattern }), "pattern-invalid");
    },
  );

  it("asks comments where the rule names them", async () => {
    for (const name of selectionRules) {
      const { asks, encryptsMatches } = await compileSelection({ name, pattern: "x" });
      expect(asks).toBe(name.includes("comment") ? "comment" : "key");
      expect(encryptsMatches).toBe(name.startsWith("encrypted"));
    }
  });

  it("takes a hostile pattern in linear time", async () => {
    const { matches } = await compileSelection({ name: "encrypted_regex", pattern: "^(a+)+$" });
    expect(matches(`${"a".repeat(5000)}b`)).toBe(false);
  });
});
