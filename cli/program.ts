// The command table: names, flags, help. Declares only; each action loads its command's file when it is called, which
// keeps the start short.
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { scopes, storeNames } from "../src/index.ts";
import type { Io } from "./io.ts";
import { version } from "./version.ts";

const example = `
Example:
  $ seal init                                        # once: seal.yaml and a key for each environment
  $ kubectl create secret generic db -n payments --from-literal=PASSWORD=… \\
      --dry-run=client -o yaml | seal --env prod -o deploy/prod/db.sealed.yaml
  $ seal set deploy/prod/db.sealed.yaml PASSWORD < new-password
  $ seal check                                       # in CI: needs no key

Exit codes: 0 done, 1 refused or findings, 2 usage, 3 input file, 4 configuration, 5 keys, 6 file system, 70 bug, 130 cancelled.`;

type Declare = (spec: string, summary: string, options?: { readonly isDefault?: boolean }) => Command;

/** Each command's options and action. The others are not even made when one of them is called. */
const declarations: Readonly<Record<string, (command: Declare, io: Io) => void>> = {
  init: (command, io) => {
    command("init", "write seal.yaml, with a fresh key for each environment kept outside the repository")
      .option("--env <name...>", "environments to define (default: staging prod)")
      .option(
        "--recipient <name=recipient...>",
        "an existing recipient (age1…, or a KMS key's ARN) of an environment; no key is made for it (repeatable)",
        collect,
      )
      .option("--namespace <name=namespace...>", "a namespace of an environment (repeatable)", collect)
      .option("--recovery <recipient>", "an existing recovery recipient, instead of a fresh one")
      .option(
        "--keys-dir <folder>",
        "where the fresh keys go (default: sealward/<repository> in your configuration folder)",
      )
      .option("--from-sops [file]", "take environments and recipients over from .sops.yaml; makes no key")
      .action(async ({ fromSops, ...options }) =>
        fromSops === undefined
          ? (await import("./commands/init.ts")).init(io, options)
          : (await import("./commands/init-from-sops.ts")).initFromSops(io, fromSops, options),
      );
  },
  keygen: (command, io) => {
    command("keygen", "make an age identity; its recipient is printed to stderr")
      .option("-o, --out <file>", "write the identity to a new file that only you can read")
      .option("--pq", "a post-quantum identity; takes age 1.3 and sops 3.12 to use elsewhere")
      .option("--secret", "print the Secret that gives the controller its identity, for `kubectl create -f -`")
      .option("--env <name>", "with --secret: the environment it is for")
      .option("--namespace <namespace>", "with --secret: the controller's namespace", "sealward-system")
      .option("--from <file>", "with --secret: use the identity in this file instead of a new one")
      .action(async (options) => (await import("./commands/keygen.ts")).keygen(io, options));
  },
  keys: (command, io) => {
    inputFormat(
      command("keys [files...]", "where identities are looked for, what was found, and which of them open FILES"),
    )
      .option("--identity <file>", "an age identity file, looked at first (repeatable)", collect)
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .action(async (files: string[], options) => (await import("./commands/keys.ts")).keys(io, files, options));
  },
  env: (command, io) => {
    command("env", "environments of seal.yaml")
      .command("manifest <name>")
      .description("print the Environment resource of an environment, for `kubectl apply -f -`")
      .option("--namespace <namespace>", "a namespace it governs, where seal.yaml names none (repeatable)", collect)
      .action(async (name: string, options) => (await import("./commands/env.ts")).envManifest(io, name, options));
  },
  kms: (command, io) => {
    command("kms", "AWS KMS keys of seal.yaml")
      .command("policy")
      .description("print the key policy and the IAM policies that hold an environment's keys to it; calls nothing")
      .option("--env <name>", "the environment, where more than one has keys")
      .option("--key <arn...>", "this key only, or the key behind an alias of seal.yaml (repeatable)", collect)
      .option("--sealer <arn...>", "a role, user or account that seals (repeatable)", collect)
      .option("--opener <arn...>", "a role, user or account that opens: the controller's role (repeatable)", collect)
      .option(
        "--admin <arn...>",
        "who administers the key besides those whom the account's IAM lets (repeatable)",
        collect,
      )
      .option(
        "--pod-identity <pod...>",
        "CLUSTER/NAMESPACE/SERVICE-ACCOUNT of EKS: openers open as this one only (repeatable)",
        collect,
      )
      .option("--plain-files", "for files that are no Secrets too, which have no namespace and name to ask for")
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("json"))
      .action(async (options) => (await import("./commands/kms.ts")).kmsPolicy(io, options));
  },
  encrypt: (command, io) => {
    selecting(
      sealing(
        command("encrypt [files...]", "seal a file (the default command); - or no FILE is stdin", { isDefault: true }),
      ),
    )
      .option("-i, --in-place", "replace each file by its sealed form")
      .option("--wrap", "write a BoundSecret that carries the sealed file")
      .option("--force", "replace an existing output whatever it is")
      .action(async (files: string[], options) =>
        (await import("./commands/encrypt.ts")).encrypt(io, files, withOutput(options)),
      );
  },
  decrypt: (command, io) => {
    formats(opening(command("decrypt [files...]", "open a sealed file; - or no FILE is stdin")))
      .option("-o, --out <file>", "write the plaintext to a file that only you can read")
      .addOption(new Option("--output <file>").hideHelp())
      .option("-i, --in-place", "replace each file by its plaintext")
      .option("--extract <path>", `print one value or part: '["database"]["users"][0]'`)
      .option("--ignore-mac", "open a file whose MAC does not agree, where no seal.yaml governs it")
      .option("--force", "replace an existing output")
      .action(async (files: string[], options) =>
        (await import("./commands/decrypt.ts")).decrypt(io, files, withOutput(options)),
      );
  },
  edit: (command, io) => {
    inputFormat(
      opening(command("edit <file>", "open a sealed file in $SEAL_EDITOR, $VISUAL or $EDITOR and seal what changed")),
    ).action(async (file: string, options) => (await import("./commands/edit.ts")).edit(io, file, options));
  },
  set: (command, io) => {
    formats(
      opening(command("set <file> <key>", "set one value of a sealed file, read from stdin or a file, byte for byte")),
    )
      .option("--json", "the value is JSON and keeps its type (files that are no Secrets)")
      .option("--ignore-mac", "change a file whose MAC does not agree, where no seal.yaml governs it")
      .option("--from-file <path>", "read the value from this file")
      .option("--trim", "drop one line break at the end of the value")
      .option("--allow-empty", "accept an empty value")
      // What is too much here is a value, and deserves a better answer.
      .allowExcessArguments()
      .action(async (file: string, key: string, options, { args }: Command) =>
        (await import("./commands/set.ts")).set(io, file, key, { ...options, hasValue: args.length > 2 }),
      );
  },
  bind: (command, io) => {
    sealing(
      command("bind <file>", "bind a file anew, after a change with other tools, by someone who can open it"),
      "write to another file and leave FILE as it is",
    )
      .option("-i, --in-place", "replace the file (what happens without -o)")
      .option("--move", "let a bound file be bound to another namespace or name than it is")
      .option("--identity <file>", "an age identity file to open it with (repeatable)", collect)
      .action(async (file: string, options) => (await import("./commands/bind.ts")).bind(io, file, options));
  },
  check: (command, io) => {
    command("check [paths...]", "check sealed files without a key, and find Secrets that are not sealed")
      .option("--env <name>", "the environment that every file must belong to")
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .action(async (paths: string[], options) => (await import("./commands/check.ts")).check(io, paths, options));
  },
  explain: (command, io) => {
    formats(command("explain <file>", "say who can open a file, what of it is encrypted, and which line decided that"))
      .option("--env <name>", "the environment the file must belong to")
      .option("--config <file>", "the .sops.yaml to use")
      .action(async (file: string, options) => (await import("./commands/explain.ts")).explain(io, file, options));
  },
  status: (command, io) => {
    inputFormat(
      opening(command("status <files...>", "open sealed files and say by whom, and by which KMS key material")),
    )
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .action(async (files: string[], options) => (await import("./commands/status.ts")).status(io, files, options));
  },
  doctor: (command, io) => {
    command("doctor", "say as whom AWS is called, which state the KMS keys are in, and what may be done with them")
      .option("--env <name>", "the one environment to look at")
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .action(async (options) => (await import("./commands/doctor.ts")).doctor(io, options));
  },
  wrap: (command, io) => {
    command("wrap [file]", "print the BoundSecret that carries a sealed file into the cluster; needs no key")
      .option("--env <name>", "the environment the file must belong to")
      .option("-o, --out <file>", "write to a file instead of stdout")
      .option("--force", "replace an existing output whatever it is")
      .action(async (file: string | undefined, options) =>
        (await import("./commands/wrap.ts")).wrap(io, file, options),
      );
  },
};

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
  const command: Declare = (spec, summary, options = {}) => program.command(spec, options).description(summary);

  // `help` and what is no command want to know them all.
  for (const [name, declare] of Object.entries(declarations))
    if (wanted === undefined || !Object.hasOwn(declarations, wanted) || wanted === name) declare(command, io);
  return program;
}

const sealing = (command: Command, out = "write to a file instead of stdout"): Command =>
  command
    .option("--env <name>", "the environment to seal for")
    .option("-n, --namespace <namespace>", "the namespace, where the manifest names none")
    .addOption(new Option("--scope <scope>", "how much the binding pins").choices(scopes))
    .option("-o, --out <file>", out);

/** `--output` is what sops calls `--out`. */
const withOutput = <T extends { readonly output?: string; readonly out?: string }>({ output, ...options }: T) =>
  output === undefined || options.out !== undefined ? options : { ...options, out: output };

const inputFormat = (command: Command): Command =>
  command.addOption(
    new Option("--input-type <type>", "the format of the input, if not by its name").choices(storeNames),
  );

const formats = (command: Command): Command =>
  inputFormat(command)
    .addOption(new Option("--output-type <type>", "the format of the output").choices(storeNames))
    .option("--filename-override <path>", "the name by which format and creation rule are chosen");

/** What `sops encrypt` has, for files that no seal.yaml governs; the rules also for files of an environment that are no Secrets. */
const selecting = (command: Command): Command => {
  formats(command)
    .addOption(new Option("--output <file>").hideHelp())
    .option("--age <recipients>", "age recipients, with commas between them, where no seal.yaml governs")
    .option("--kms <arns>", "AWS KMS keys, with commas between them, where no seal.yaml governs")
    .option("--encryption-context <pairs>", "with --kms: NAME:VALUE,NAME:VALUE")
    .option("--aws-profile <name>", "with --kms: a profile that the file names, for sops; not used here")
    .option("--encrypted-regex <pattern>", "encrypt only what is under a key that matches")
    .option("--unencrypted-regex <pattern>", "leave in the clear what is under a key that matches")
    .option("--encrypted-suffix <suffix>", "encrypt only what is under a key with this ending")
    .option("--unencrypted-suffix <suffix>", "leave in the clear what is under a key with this ending")
    .option("--encrypted-comment-regex <pattern>", "encrypt only what follows a comment that matches")
    .option("--unencrypted-comment-regex <pattern>", "leave in the clear what follows a comment that matches")
    .option("--mac-only-encrypted", "let the MAC cover encrypted values only")
    .option("--shamir-secret-sharing-threshold <number>", "how many key groups open the file", Number)
    .option("--config <file>", "the .sops.yaml to use")
    .option("--allow-nothing-selected", "accept a rule that selects no value");
  // Known to fingers, and answered with what can be done instead.
  for (const flag of ["--pgp", "--gcp-kms", "--azure-kv", "--hc-vault-transit", "--hckms"])
    command.addOption(new Option(`${flag} <keys>`).hideHelp());
  return command;
};

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
