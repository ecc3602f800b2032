// The command table as plain data: what completion and the manual page are made of when the program is built. Knows how a
// command is called, not what it does.
import type { Argument, Command, Option } from "commander";

export interface CommandReference {
  /** Without `seal`; empty for the program itself. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly usage: string;
  readonly arguments: readonly { readonly name: string; readonly isVariadic: boolean }[];
  readonly options: readonly OptionReference[];
  /** What stands under the options in the help. */
  readonly example: string;
}

export interface OptionReference {
  readonly flags: string;
  /** `--name`, and `-n` where there is one. */
  readonly names: readonly string[];
  /** What it takes, as the help calls it; null for a switch. */
  readonly value: string | null;
  readonly isVariadic: boolean;
  readonly choices: readonly string[];
  readonly description: string;
}

export function referenceOf(program: Command): readonly CommandReference[] {
  return [...walk(program, [])];
}

function* walk(command: Command, path: readonly string[]): Generator<CommandReference> {
  yield {
    path,
    summary: command.description(),
    usage: command.usage(),
    arguments: command.registeredArguments.map(argumentOf),
    options: command.options.filter(({ hidden }) => !hidden).map(optionOf),
    example: exampleOf(command),
  };
  for (const sub of command.commands) yield* walk(sub, [...path, sub.name()]);
}

const argumentOf = (argument: Argument) => ({ name: argument.name(), isVariadic: argument.variadic });

const optionOf = ({ flags, short, long, variadic, argChoices, description }: Option): OptionReference => ({
  flags,
  names: [long, short].filter((name) => typeof name === "string"),
  value: /[<[]([^>\]]+?)(?:\.\.\.)?[>\]]/.exec(flags)?.[1] ?? null,
  isVariadic: variadic,
  choices: argChoices ?? [],
  description,
});

function exampleOf(command: Command): string {
  let help = "";
  const writeOut = (text: string): void => {
    help += text;
  };
  command.configureOutput({ ...command.configureOutput(), writeOut });
  command.outputHelp();
  return help.split("\nExample:\n")[1]?.trimEnd() ?? "";
}
