// Every Markdown file of the repository: its relative links and their anchors resolve, files named as code exist, and no
// line outside fences and help texts is longer than 120 characters.
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { anchorsOf, linksOf, markdownFiles, namedPaths, resolveFrom, withoutFences } from "./markdown.ts";

const files = markdownFiles().map((file): [string] => [file]);

test.each(files)("%s: every relative link and anchor resolves", (file) => {
  const broken = linksOf(readFileSync(file, "utf8")).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? file : resolveFrom(file, path);
    if (!existsSync(target)) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(target, "utf8")).has(anchor);
  });
  expect(broken).toEqual([]);
});

test.each(files)("%s: every reference link has a target", (file) => {
  const prose = withoutFences(readFileSync(file, "utf8")).replace(/`[^`\n]*`/g, "``");
  const defined = new Set([...prose.matchAll(/^\[([^\]]+)\]: /gm)].map(([, name]) => name));
  const used = [...prose.matchAll(/\[([a-z][a-z-]*)\](?![(:[])/g)].map(([, name]) => name);
  expect(used.filter((name) => !defined.has(name))).toEqual([]);
});

test.each(files)("%s: every file it names exists", (file) => {
  expect(namedPaths(readFileSync(file, "utf8")).filter((path) => !existsSync(path))).toEqual([]);
});

test.each(files)("%s: no line is longer than 120 characters", (file) => {
  const lines = withoutFences(readFileSync(file, "utf8")).split("\n");
  expect(lines.filter((line) => [...line].length > 120)).toEqual([]);
});

test("the pages that the README promises are found", () => {
  expect(files.map(([file]) => file)).toEqual(expect.arrayContaining(["README.md", "SECURITY.md", "docs/format.md"]));
});
