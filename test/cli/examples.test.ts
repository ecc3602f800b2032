// The help of every command has an example, and what the example names is there: the command, its flags, its environments.
import type { Command } from "commander";
import { expect, test } from "vitest";
import { nodeIo } from "../../cli/io.ts";
import { createProgram } from "../../cli/program.ts";

const program = createProgram(nodeIo(process), () => undefined);

function helpOf(command: Command): string {
  let help = "";
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  return help;
}

function* everyCommand(command: Command, path: readonly string[] = []): Generator<[string, Command]> {
  yield [["seal", ...path].join(" "), command];
  for (const sub of command.commands) yield* everyCommand(sub, [...path, sub.name()]);
}

const all = [...everyCommand(program)];

test("there are commands to look at, those of groups included", () => {
  expect(all.map(([name]) => name)).toEqual(expect.arrayContaining(["seal", "seal check", "seal env manifest"]));
});

test.each(all)("the help of `%s` has an example that the command understands", async (name, command) => {
  const [, examples = ""] = helpOf(command).split("\nExample:\n");
  const lines = examples.split("\n").filter((line) => /^ {2}\$ /.test(line));
  expect(lines.length).toBeGreaterThan(0);
  expect(examples).toContain(name);
  for (const line of lines) {
    const flags = [...(line.split(" | ")[0] ?? "").matchAll(/ (--[a-z-]+)/g)].map(([, flag]) => flag);
    const own = flags.filter((flag) => flag !== "--dry-run" && flag !== "--from-literal" && flag !== "--wait");
    const known = [...program.options, ...command.options].map(({ long }) => long);
    if (name !== "seal" && command.commands.length === 0) expect(known).toEqual(expect.arrayContaining(own));
  }
});
