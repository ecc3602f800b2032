// docs/decisions/0006-dependencies.md against package.json: whoever adds or updates a dependency writes down why.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const page = readFileSync("docs/decisions/0006-dependencies.md", "utf8");
const {
  dependencies,
  devDependencies,
}: Record<string, Record<string, string>> = JSON.parse(readFileSync("package.json", "utf8"));

test.each(Object.entries({ ...dependencies, ...devDependencies }))("%s %s is justified", (name, version) => {
  // The versions of types follow those of what they describe.
  expect(page).toContain(name.startsWith("@types/") ? `\`${name}\`` : `\`${name}\` ${version}`);
});

test("no dependency is justified that is not there", () => {
  const [decided = ""] = page.split("## Consequences");
  const rows = [...decided.matchAll(/^\| `([^`]+)` [\d.]+ \|/gm)].map(([, name]) => name);
  const declared = Object.keys({ ...dependencies, ...devDependencies });
  expect(rows.filter((name) => name !== undefined && !declared.includes(name))).toEqual([]);
  expect(rows.length).toBeGreaterThan(10);
});
