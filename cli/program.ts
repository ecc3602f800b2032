// The command table: names, flags, help. Declares only; each action loads its command's file when it is called, which
// keeps the start short.
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { scopes } from "../src/index.ts";
import type { Io } from "./io.ts";

const example = `
Example:
  $ seal init                                        # once: seal.yaml and a key for each environment
  $ kubectl create secret generic db -n payments --from-literal=PASSWORD=… \\
      --dry-run=client -o yaml | seal --env prod -o deploy/prod/db.sealed.yaml
  $ seal set deploy/prod/db.sealed.yaml PASSWORD < new-password
  $ seal check                                       # in CI: needs no key

Exit codes: 0 done, 1 refused or findings, 2 usage, 3 input file, 4 configuration, 5 keys, 6 file system, 70 bug, 130 cancelled.`;

const commandNames = ["init", "keygen", "env", "encrypt", "decrypt", "edit", "set", "bind", "check", "wrap", "help"];

/** The version stands in package.json; the build and a test keep this equal. */
export const version = "0.1.0";

export function createProgram(io: Io, write: (stream: "stdout" | "stderr", text: string) => void): Command {
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
  const command = (spec: string, summary: string, options: { readonly isDefault?: boolean } = {}): Command =>
    program.command(spec, options).description(summary);

  command("init", "write seal.yaml, with a fresh key for each environment kept outside the repository")
    .option("--env <name...>", "environments to define (default: staging prod)")
    .option(
      "--recipient <name=recipient...>",
      "an existing recipient (age1…) of an environment; no key is made for that one (repeatable)",
      collect,
    )
    .option("--namespace <name=namespace...>", "a namespace of an environment (repeatable)", collect)
    .option("--recovery <recipient>", "an existing recovery recipient, instead of a fresh one")
    .option(
      "--keys-dir <folder>",
      "where the fresh keys go (default: sealward/<repository> in your configuration folder)",
    )
    .action(async (options) => (await import("./commands/init.ts")).init(io, options));

  command("keygen", "make an age identity; its recipient is printed to stderr")
    .option("-o, --out <file>", "write the identity to a new file that only you can read")
    .option("--secret", "print the Secret that gives the controller its identity, for `kubectl create -f -`")
    .option("--env <name>", "with --secret: the environment it is for")
    .option("--namespace <namespace>", "with --secret: the controller's namespace", "sealward-system")
    .option("--from <file>", "with --secret: use the identity in this file instead of a new one")
    .action(async (options) => (await import("./commands/keygen.ts")).keygen(io, options));

  command("env", "environments of seal.yaml")
    .command("manifest <name>")
    .description("print the Environment resource of an environment, for `kubectl apply -f -`")
    .option("--namespace <namespace>", "a namespace it governs, where seal.yaml names none (repeatable)", collect)
    .action(async (name: string, options) => (await import("./commands/env.ts")).envManifest(io, name, options));

  sealing(
    command("encrypt [file]", "seal a manifest (the default command); - or no FILE is stdin", { isDefault: true }),
  )
    .option("-i, --in-place", "replace the file by its sealed form")
    .option("--wrap", "write a BoundSecret that carries the sealed file")
    .option("--force", "replace an existing output whatever it is")
    .action(async (file: string | undefined, options) =>
      (await import("./commands/encrypt.ts")).encrypt(io, file, options),
    );

  opening(command("decrypt [file]", "open a sealed file; - or no FILE is stdin"))
    .option("-o, --out <file>", "write the plaintext to a file that only you can read")
    .option("--force", "replace an existing output")
    .action(async (file: string | undefined, options) =>
      (await import("./commands/decrypt.ts")).decrypt(io, file, options),
    );

  opening(
    command("edit <file>", "open a sealed file in $SEAL_EDITOR, $VISUAL or $EDITOR and seal what changed"),
  ).action(async (file: string, options) => (await import("./commands/edit.ts")).edit(io, file, options));

  opening(command("set <file> <key>", "set one value of a sealed file, read from stdin or a file, byte for byte"))
    .option("--from-file <path>", "read the value from this file")
    .option("--trim", "drop one line break at the end of the value")
    .option("--allow-empty", "accept an empty value")
    // What is too much here is a value, and deserves a better answer.
    .allowExcessArguments()
    .action(async (file: string, key: string, options, { args }: Command) =>
      (await import("./commands/set.ts")).set(io, file, key, { ...options, hasValue: args.length > 2 }),
    );

  sealing(
    command("bind <file>", "bind a file anew, after a change with other tools, by someone who can open it"),
    "write to another file and leave FILE as it is",
  )
    .option("-i, --in-place", "replace the file (what happens without -o)")
    .option("--move", "let a bound file be bound to another namespace or name than it is")
    .option("--identity <file>", "an age identity file to open it with (repeatable)", collect)
    .action(async (file: string, options) => (await import("./commands/bind.ts")).bind(io, file, options));

  command("check [paths...]", "check sealed files without a key, and find Secrets that are not sealed")
    .option("--env <name>", "the environment that every file must belong to")
    .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
    .action(async (paths: string[], options) => (await import("./commands/check.ts")).check(io, paths, options));

  command("wrap [file]", "print the BoundSecret that carries a sealed file into the cluster; needs no key")
    .option("--env <name>", "the environment the file must belong to")
    .option("-o, --out <file>", "write to a file instead of stdout")
    .option("--force", "replace an existing output whatever it is")
    .action(async (file: string | undefined, options) => (await import("./commands/wrap.ts")).wrap(io, file, options));

  return program;
}

const sealing = (command: Command, out = "write to a file instead of stdout"): Command =>
  command
    .option("--env <name>", "the environment to seal for")
    .option("-n, --namespace <namespace>", "the namespace, where the manifest names none")
    .addOption(new Option("--scope <scope>", "how much the binding pins").choices(scopes))
    .option("-o, --out <file>", out);

const opening = (command: Command): Command =>
  command
    .option("--env <name>", "the environment the file must belong to")
    .option(
      "--identity <file>",
      "an age identity file, besides SOPS_AGE_KEY, SOPS_AGE_KEY_FILE and the usual places (repeatable)",
      collect,
    );

const collect = (value: string, previous: readonly string[] = []): readonly string[] => [...previous, value];

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
