// docs/aws-kms.md against the CLI: the command of the page, run on the seal.yaml of the page, prints what the page shows.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { gitdir, succeed } from "../cli/gitdir.ts";
import { fencedBlocks, sectionOf } from "./markdown.ts";

const section = sectionOf(readFileSync("docs/aws-kms.md", "utf8"), "## The key policy");
const blockOf = (language: string): string => fencedBlocks(section, language)[0] ?? "";

interface Printed {
  readonly keys: readonly { readonly policy: { readonly Statement: readonly { readonly Sid: string }[] } }[];
}

test("the key policy is printed as the page shows it, and its table has every statement", async () => {
  const [command = ""] = blockOf("console").replaceAll("\\\n", "").split("\n");
  const argv = command.replace(/^\$ seal (.*) > .*$/, "$1").split(/ +/);
  const { stdout } = await succeed(gitdir({ "seal.yaml": blockOf("yaml") }).run(argv));
  const statements = (JSON.parse(stdout) as Printed).keys[0]?.policy.Statement ?? [];
  const shown = JSON.parse(blockOf("json")) as { readonly Sid: string }[];
  expect(shown).toEqual(statements.filter(({ Sid }) => shown.some((one) => one.Sid === Sid)));
  const listed = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, sid]) => sid);
  expect(listed).toEqual(statements.map(({ Sid }) => Sid));
});
