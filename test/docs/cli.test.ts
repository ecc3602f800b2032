// docs/cli.md against the CLI: the help of each command as it is printed, the exit codes, the environment variables.
// UPDATE_DOCS=1 writes the help texts into the page instead of comparing them.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exitOf } from "../../cli/report.ts";
import { errorCodes } from "../../src/errors.ts";
import { gitdir } from "../cli/gitdir.ts";
import { fencedBlocks, sectionOf } from "./markdown.ts";

const file = "docs/cli.md";
const page = readFileSync(file, "utf8");
const commands = [...page.matchAll(/^## (seal.*)$/gm)].map(([, command = ""]) => command);

async function helpOf(command: string): Promise<string> {
  const { stdout, code } = await gitdir().run([...command.split(" ").slice(1), "--help"]);
  expect(code).toBe(0);
  return stdout.replace(/ +$/gm, "");
}

function replaceHelp(command: string, help: string): void {
  const [before = "", after = ""] = readFileSync(file, "utf8").split(`## ${command}\n`);
  const replaced = after.replace(/^```text\n[\s\S]*?^```$/m, () => `\`\`\`text\n${help}\`\`\``);
  writeFileSync(file, `${before}## ${command}\n${replaced}`);
}

test.each(commands.map((command): [string] => [command]))("the page shows the help of %s", async (command) => {
  const help = await helpOf(command);
  if (process.env["UPDATE_DOCS"]) replaceHelp(command, help);
  expect(fencedBlocks(sectionOf(readFileSync(file, "utf8"), `## ${command}`), "text")[0]).toBe(help);
});

test("the page has every command", async () => {
  const listed = async (command: string): Promise<string[]> => {
    const [, table = ""] = (await helpOf(command)).split("\nCommands:\n");
    const names = [...(table.split("\n\n")[0]?.matchAll(/^ {2}([a-z]+) /gm) ?? [])].map(
      ([, name]) => `${command} ${name}`,
    );
    return names.filter((name) => !name.endsWith(" help"));
  };
  const groups = await Promise.all(["seal", "seal env", "seal git", "seal kms"].map(listed));
  const all = ["seal", ...groups.flat()];
  expect([...commands].sort()).toEqual(all.sort());
});

test("the table of exit codes has those that errors have, success, a bug and a closed pipe", () => {
  const stated = [...sectionOf(page, "## Exit codes").matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  const used = new Set([0, 70, 141, ...errorCodes.map(exitOf)]);
  expect(stated).toEqual([...used].sort((a, b) => a - b));
});

test("every environment variable that the CLI reads is in the table", () => {
  const sources = readdirSync("cli", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const text = sources.map((name) => readFileSync(`cli/${name}`, "utf8")).join("\n");
  const read = [...text.matchAll(/\benv\["(\w+)"\]/g)].map(([, name]) => name);
  const table = sectionOf(page, "## Environment variables");
  expect(read.length).toBeGreaterThan(5);
  for (const name of read) expect(table).toContain(`\`${name}\``);
});
