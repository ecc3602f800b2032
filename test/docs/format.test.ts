// The worked example of docs/format.md, computed again with the code that seals.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bindingOf, encodeBinding, parseBinding } from "../../src/binding.ts";
import { sha256Hex } from "../../src/bytes.ts";
import { resolveGoScalar } from "../../src/go-scalar.ts";
import { plainDigest, readManifestShape } from "../../src/manifest.ts";
import { maxDocumentBytes, parseYaml } from "../../src/yaml-source.ts";
import { fencedBlocks, sectionOf } from "./markdown.ts";

const page = readFileSync("docs/format.md", "utf8");
const example = sectionOf(page, "### `plain`");
const [manifestText = ""] = fencedBlocks(example, "yaml");
const [hashed = "", binding = ""] = fencedBlocks(example, "json").map((text) => text.replaceAll("\n", ""));
const manifest = readManifestShape(parseYaml(manifestText));

test("the JSON of the worked example hashes to the digest that sealing computes", () => {
  expect(sha256Hex(hashed)).toBe(plainDigest(manifest));
});

test("the binding of the worked example is the one that sealing writes", () => {
  const place = { environment: "prod", scope: "strict", namespace: "payments", name: "db" } as const;
  const parsed = parseBinding(Buffer.from(binding));
  expect(parsed?.plain).toBe(plainDigest(manifest));
  expect(Buffer.from(encodeBinding(bindingOf(manifest, place, parsed?.nonce))).toString()).toBe(binding);
});

test("the scalars of the table are typed as it says", () => {
  const rows = sectionOf(page, "## Scalars").matchAll(/^\| (.*) \| (int|float|time|bool|str) \| (.*) \|$/gm);
  let compared = 0;
  for (const [, written = "", type = "", bytes = ""] of rows) {
    const [sources, results] = [written, bytes].map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text));
    if (type === "bool" || sources === undefined || sources.length === 0) continue;
    for (const [index, source = ""] of sources.entries()) {
      const expected = bytes === "as written" ? source : results?.[index];
      expect(resolveGoScalar(source), source).toEqual({ type, bytes: expected });
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(20);
});

test("the limit of a sealed file is the one that is written", () => {
  expect(page).toContain(`${maxDocumentBytes.toLocaleString("en-US")} bytes`);
});
