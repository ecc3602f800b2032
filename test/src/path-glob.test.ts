import fc from "fast-check";
import picomatch from "picomatch";
import { describe, expect, it } from "vitest";
import { globsOfPathRegex, matchEverything, overlapOf } from "../../src/path-glob.ts";

const matchesGlob = (path: string, globs: readonly string[]): boolean =>
  picomatch.isMatch(path, [...globs], { dot: true, nonegate: true, noextglob: true, nobracket: true });

describe("the globs of a path_regex", () => {
  it.each([
    ["^prod/.*", ["prod/**/*"]],
    ["^prod/", ["prod/**/*"]],
    ["secrets/prod/", ["**/*secrets/prod/**/*"]],
    ["/prod/", ["**/*/prod/**/*"]],
    [".*\\.prod\\.yaml$", ["**/*.prod.yaml"]],
    ["\\.enc\\.ya?ml$", ["**/*.enc.yaml", "**/*.enc.yml"]],
    [
      "^secrets/(staging|dev)/[^/]+\\.yaml$",
      ["secrets/staging/*.yaml", "secrets/dev/*.yaml"].map((g) => g.replace("/*.", "/?*.")),
    ],
    ["^clusters/.*/prod/", ["clusters/**/*/prod/**/*"]],
    ["^prod$", ["prod"]],
    [".*", ["**/*"]],
  ])("%s: %j", (pattern, globs) => {
    expect(globsOfPathRegex(pattern)).toEqual(globs);
  });

  it.each([
    ["a dot that stands for any character", "prod.yaml$"],
    ["an alternation over the whole", "^prod/|^live/"],
    ["a class of characters", "^[a-z]+/prod/"],
    ["a flag", "(?i)prod"],
    ["a repetition", "^(a|b)+/"],
    ["a boundary", "\\bprod\\b"],
    ["more stars in a name than seal.yaml takes", "a[^/]*b[^/]*c[^/]*d"],
    ["more ** than seal.yaml takes", "a/.*/b/.*/c/"],
    ["an absolute path", "^/srv/prod/"],
    ["an anchor in the middle", "a^b"],
    ["a line break", "a\nb"],
  ])("there are none for %s", (_, pattern) => {
    expect(globsOfPathRegex(pattern)).toBeNull();
  });

  const piece = fc.constantFrom(
    "a",
    "b",
    "/",
    "a/",
    "/b",
    "\\.",
    "ab",
    ".*",
    ".+",
    "[^/]*",
    "[^/]+",
    "(a|b)",
    "(?:a/|b)",
    "a?",
    "(b/)?",
  );
  const patterns = fc
    .tuple(fc.constantFrom("", "^"), fc.array(piece, { maxLength: 6 }), fc.constantFrom("", "$"))
    .map(([start, pieces, end]) => `${start}${pieces.join("")}${end}`);
  const paths = fc
    .array(
      fc.array(fc.constantFrom("a", "b", ".", "ab"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .filter((names) => !names.some((name) => /^\.+$/.test(name)))
    .map((names) => names.join("/"));

  it("match exactly the paths that the pattern matches", () => {
    let translated = 0;
    fc.assert(
      fc.property(patterns, fc.array(paths, { minLength: 20, maxLength: 20 }), (pattern, candidates) => {
        const globs = globsOfPathRegex(pattern);
        if (globs === null) return;
        translated++;
        const expression = new RegExp(pattern);
        for (const path of candidates)
          expect([path, globs, matchesGlob(path, globs)]).toEqual([path, globs, expression.test(path)]);
      }),
      { seed: 7, numRuns: 3000 },
    );
    expect(translated).toBeGreaterThan(1000);
  });

  it("that do not overlap share no path", () => {
    fc.assert(
      fc.property(patterns, patterns, fc.array(paths, { minLength: 10, maxLength: 10 }), (one, other, candidates) => {
        const [a, b] = [globsOfPathRegex(one), globsOfPathRegex(other)];
        if (a === null || b === null || overlapOf(a, b) !== "none") return;
        for (const path of candidates) expect(matchesGlob(path, a) && matchesGlob(path, b)).toBe(false);
      }),
      { seed: 8, numRuns: 3000 },
    );
  });

  it.each<[string, string, string]>([
    ["^prod/", "^(staging|dev)/", "none"],
    ["\\.prod\\.yaml$", "\\.dev\\.yaml$", "none"],
    ["^prod/", "\\.yaml$", "usual"],
    ["^prod/", "^prod/db/", "odd"],
    ["^prod/db/", "^prod/", "usual"],
    ["/prod/", "/staging/", "odd"],
  ])("%s and then %s overlap: %s", (one, other, overlap) => {
    expect(overlapOf(globsOfPathRegex(one) ?? [], globsOfPathRegex(other) ?? [])).toBe(overlap);
  });

  it("of a pattern for every path are known as such", () => {
    const all = [".*", "^.*$", "^", ""].map((pattern) => matchEverything(globsOfPathRegex(pattern) ?? []));
    expect(all).toEqual([true, true, true, true]);
    expect(matchEverything(globsOfPathRegex("a") ?? [])).toBe(false);
  });
});
