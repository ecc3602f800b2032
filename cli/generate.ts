// Run by the build, and by nobody else: what is made from the command table, as texts by the name of their file.
import { shellNames } from "./declarations/flags.ts";
import { type Io, nodeIo } from "./io.ts";
import { manPage } from "./man.ts";
import { createProgram } from "./program.ts";
import { type CommandReference, referenceOf } from "./reference.ts";
import { run } from "./run.ts";
import { version } from "./version.ts";

/** `page`: the text of docs/cli.md. */
export async function generated(process: NodeJS.Process, page: string): Promise<Readonly<Record<string, string>>> {
  const io = nodeIo(process);
  const table = referenceOf(createProgram(io, () => undefined));
  return {
    "commands.json": JSON.stringify(table),
    "answers.json": JSON.stringify(await answersTo(io, table)),
    "seal.1": manPage(table, page, version),
  };
}

/** What the program prints for arguments to which the answer is always the same, for the launcher to print without it. */
async function answersTo(io: Io, table: readonly CommandReference[]): Promise<Readonly<Record<string, string>>> {
  const answers: Record<string, string> = {};
  for (const { path } of table) {
    const help = await printed(io, [...path, "--help"]);
    for (const flag of ["--help", "-h"]) answers[[...path, flag].join(" ")] = help;
    if (path.length < 2) answers[["help", ...path].join(" ")] = help;
  }
  for (const shell of shellNames) answers[`completion ${shell}`] = await printed(io, ["completion", shell]);
  return answers;
}

async function printed(io: Io, argv: readonly string[]): Promise<string> {
  let text = "";
  const write = async (data: string | Uint8Array): Promise<void> => {
    text += typeof data === "string" ? data : Buffer.from(data).toString();
  };
  const code = await run(argv, Object.assign(Object.create(io), { stdout: { isTty: false, write } }));
  if (code !== 0) throw new Error(`seal ${argv.join(" ")} ended with ${code}`);
  return text;
}
