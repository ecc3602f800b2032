// Runs the example of docs/coming-from-sops.md as it stands, in an empty folder that no seal.yaml governs.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fencedBlocks } from "./markdown.ts";
import { runAsReader } from "./shell.ts";

const example = fencedBlocks(readFileSync("docs/coming-from-sops.md", "utf8"), "sh").join("\n");

test("the example for those who come from sops runs as it stands", () => {
  const { stdout } = runAsReader([example]);
  expect(stdout).toContain('encrypted: ["database"]["password"]\n');
  expect(stdout).toContain('clear: ["database"]["host"]\n');
  expect(stdout).toContain("\nnot a real one");
  expect(stdout).toContain('database:\n  host: db.internal # clear\n  password: "another"\n');
});
