// Run by the build, and by nobody else: what is made from the command table, as texts by the name of their file.
import { nodeIo } from "./io.ts";
import { manPage } from "./man.ts";
import { createProgram } from "./program.ts";
import { referenceOf } from "./reference.ts";
import { version } from "./version.ts";

/** `page`: the text of docs/cli.md. */
export function generated(process: NodeJS.Process, page: string): Readonly<Record<string, string>> {
  const table = referenceOf(createProgram(nodeIo(process), () => undefined));
  return { "commands.json": JSON.stringify(table), "seal.1": manPage(table, page, version) };
}
