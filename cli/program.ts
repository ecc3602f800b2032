// The command table (declarations/) as a program: the one command that was called, help, and what to do with a word that is
// no command. Each action loads its command's file when it is called, which keeps the start short.
import { resolve } from "node:path";
import { Command } from "commander";
import type { Declarations } from "./declarations/declaration.ts";
import { files } from "./declarations/files.ts";
import { git } from "./declarations/git.ts";
import { setup } from "./declarations/setup.ts";
import { values } from "./declarations/values.ts";
import { views } from "./declarations/views.ts";
import { globalFlags } from "./global-flags.ts";
import type { Io } from "./io.ts";
import { version } from "./version.ts";

const example = `
Example:
  $ seal init                                        # once: seal.yaml and a key for each environment
  $ seal git install                                 # once in each clone: merge by key, check each commit
  $ kubectl create secret generic db -n payments --from-literal=PASSWORD=… \\
      --dry-run=client -o yaml | seal --env prod -o deploy/prod/db.sealed.yaml
  $ seal set deploy/prod/db.sealed.yaml PASSWORD < new-password
  $ seal check                                       # in CI: needs no key

Exit codes: 0 done, 1 refused or findings, 2 usage, 3 input file, 4 configuration, 5 keys, 6 file system, 70 bug, 130 cancelled.`;

const declarations: Declarations = { ...setup, ...files, ...values, ...views, ...git };

const commandNames = [...Object.keys(declarations), "help"];

/** `wanted`: the first word of the arguments, if any. */
export function createProgram(
  io: Io,
  write: (stream: "stdout" | "stderr", text: string) => void,
  wanted?: string,
): Command {
  const program = new Command("seal")
    .description("Kubernetes Secrets in Git, sealed for one environment and opened in no other")
    .version(version)
    .usage("[command] [options]")
    .addHelpText("after", example)
    .showHelpAfterError("hint: see `seal help` and `seal help COMMAND`")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => write("stdout", text),
      writeErr: (text) => write("stderr", text),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  // For the help: run.ts has taken them out of the arguments.
  for (const [flag, what] of Object.entries(globalFlags)) program.option(flag, what);
  const command: Parameters<Declarations[string]>[0] = (spec, summary, options = {}) =>
    program.command(spec, options).description(summary);

  // `help` and what is no command want to know them all.
  for (const [name, declare] of Object.entries(declarations))
    if (wanted === undefined || !Object.hasOwn(declarations, wanted) || wanted === name) declare(command, io);
  return program;
}

/**
 * Refuses a first word that is neither a command nor a file. Commander would take it for the default command's FILE, and
 * what follows for one argument too many. A word with a dot or a slash was meant as a file, which says so itself.
 */
export async function rejectUnknownCommand(program: Command, io: Io, word: string | undefined): Promise<void> {
  if (word === undefined || !/^[a-z][\w-]*$/i.test(word) || commandNames.includes(word)) return;
  if ((await io.fs.kind(resolve(io.cwd, word))) !== null) return;
  const close = word === "version" ? "--version" : commandNames.find((name) => isMeant(word, name));
  program.error(`error: unknown command '${word}'${close === undefined ? "" : ` (did you mean ${close}?)`}`);
}

/** A beginning of the name, or one letter too many, missing, wrong, or two swapped. */
function isMeant(typed: string, name: string): boolean {
  const word = typed.toLowerCase();
  if (word.length > 2 && name.startsWith(word)) return true;
  let start = 0;
  while (start < word.length && word[start] === name[start]) start++;
  const [a, b] = [word.slice(start), name.slice(start)];
  if (a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1)) return true;
  return a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2);
}
