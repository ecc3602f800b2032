// Runs the tour of README.md as it stands: its `sh` blocks, one after another.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseYaml } from "../../src/yaml-source.ts";
import { fencedBlocks } from "./markdown.ts";
import { runAsReader } from "./shell.ts";

const page = readFileSync("README.md", "utf8");
const tour = fencedBlocks(page, "sh").join("\n");

test("the tour of the README runs as it stands, and what it calls refused is refused with that code", () => {
  const { stdout } = runAsReader([tour]);
  expect(stdout).toContain("DATABASE_URL: postgres://shop:example@db/shop # changed every quarter");
  // Three lines, or two when sealing and changing fell into one second and `lastmodified` stayed.
  expect(stdout).toMatch(/1 file changed, [23] insertions\(\+\), [23] deletions\(-\)/);
});

test("the tour has refusals, and each is marked on a line of its own", () => {
  expect(tour.match(/# refused: /g)).toHaveLength(4);
});

test("the manifest before sealing is the one of the tour", () => {
  const [before = "", after = ""] = fencedBlocks(page, "yaml");
  expect(tour).toContain(before);
  expect(parseYaml(after).root.has("sops")).toBe(true);
});
