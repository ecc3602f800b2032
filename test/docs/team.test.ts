// Runs examples/team/README.md as it stands: three people, real Git, its merge driver and its hooks.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fencedBlocks } from "./markdown.ts";
import { runAsReader } from "./shell.ts";

const blocks = fencedBlocks(readFileSync("examples/team/README.md", "utf8"), "sh");

test("three people merge, conflict, resolve, are stopped and promote, as the example says", () => {
  const { stdout, stderr } = runAsReader(blocks);
  // The merge of two branches that changed different keys, and the choice where they changed the same.
  expect(stdout).toContain("  USER: shop2\n  PASSWORD: dev-only-2\n");
  expect(stdout).toContain("  API_KEY: cleo-key\n");
  expect(stdout).not.toContain("API_KEY: ben-key");
  expect(stdout).toMatch(/^-\s+USER: sealed#[0-9a-f]{8}$/m);
  expect(stdout).toMatch(/~ USER +#[0-9a-f]{8} -> #[0-9a-f]{8}/);
  expect(stdout).toContain("deploy/dev/mail.sealed.yaml\n");
  expect(stderr).toContain("resolved deploy/dev/mail.sealed.yaml and added it to the index");
  // Sealed anew, with another password and the same user.
  expect(stdout).toMatch(/~ PASSWORD +#[0-9a-f]{8} -> #[0-9a-f]{8}/);
});

test("the example has refusals, and each is marked on a line of its own", () => {
  expect(blocks.join("\n").match(/# refused: /g)).toHaveLength(5);
});
