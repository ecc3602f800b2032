// What reads, changes and hands on single values: names, flags, help.
import { type Command, Option } from "commander";
import { UsageError } from "../report.ts";
import type { Declarations } from "./declaration.ts";
import { collect, formats, inputFormat, opening } from "./flags.ts";

export const values: Declarations = {
  edit: (command, io) => {
    inputFormat(
      opening(command("edit <file>", "open a sealed file in $SEAL_EDITOR, $VISUAL or $EDITOR and seal what changed")),
    )
      .addHelpText("after", "\nExample:\n  $ SEAL_EDITOR='code --wait' seal edit deploy/prod/db.sealed.yaml")
      .action(async (file: string, options) => (await import("../commands/edit.ts")).edit(io, file, options));
  },
  get: (command, io) => {
    inputFormat(opening(command("get <file> <key>", "print one value of a sealed file, byte for byte")))
      .option("-o, --out <file>", "write the value to a file that only you can read")
      .option("--force", "replace an existing output")
      .addHelpText("after", "\nExample:\n  $ seal get deploy/prod/db.sealed.yaml PASSWORD | psql-login")
      .action(async (file: string, key: string, options) =>
        (await import("../commands/get.ts")).get(io, file, key, options),
      );
  },
  set: (command, io) => {
    formats(
      opening(
        command(
          "set <file> <key> [value]",
          "set one value of a sealed file: from stdin, a file, a prompt or a generator",
        ),
      ),
    )
      .option("--generate [policy]", "a fresh password, never printed: `length=40,letters,digits,symbols`")
      .option("--json", "the value is JSON and keeps its type (files that are no Secrets)")
      .option("--ignore-mac", "change a file whose MAC does not agree, where no seal.yaml governs it")
      .option("--from-file <path>", "read the value from this file")
      .option("--trim", "drop one line break at the end of the value")
      .option("--allow-empty", "accept an empty value")
      .addHelpText("after", "\nExample:\n  $ seal set deploy/prod/db.sealed.yaml PASSWORD --generate")
      // A value of several words without quotes is not repeated in a message.
      .allowExcessArguments()
      .action(async (file: string, key: string, argument: string | undefined, options, { args }: Command) => {
        if (args.length > 3)
          throw new UsageError("Cannot set several values", "put the value in quotes, or pipe it in");
        await (await import("../commands/set.ts")).set(io, file, key, { ...options, argument });
      });
  },
  unset: (command, io) => {
    formats(opening(command("unset <file> <key>", "remove one value of a sealed file")))
      .option("--ignore-mac", "change a file whose MAC does not agree, where no seal.yaml governs it")
      .addHelpText("after", "\nExample:\n  $ seal unset deploy/prod/db.sealed.yaml OLD_PASSWORD")
      .action(async (file: string, key: string, options) =>
        (await import("../commands/unset.ts")).unset(io, file, key, options),
      );
  },
  view: (command, io) => {
    opening(command("view [file]", "print the values of a sealed file, masked"))
      .option("--reveal", "show the values")
      .option("--keys", "print the names of sealed values only; needs no key")
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .addHelpText("after", "\nExample:\n  $ seal view deploy/prod/db.sealed.yaml")
      .action(async (file: string | undefined, options) =>
        (await import("../commands/view.ts")).view(io, file, options),
      );
  },
  promote: (command, io) => {
    command("promote <file>", "seal a Secret of one environment anew for another, value by value")
      .requiredOption("--from <name>", "the environment the file belongs to")
      .requiredOption("--to <name>", "the environment to seal for")
      .option("-o, --out <file>", "the file to write (default: FILE with the folder of --from called like --to)")
      .option("-n, --namespace <namespace>", "the namespace, where it is another")
      .option("--keep <key>", "take the value over as it is (repeatable)", collect)
      .option("--set <key>", "a new value: KEY asks for it, KEY=VALUE has it (repeatable)", collect)
      .option("--from-file <key=path>", "a new value from a file (repeatable)", collect)
      .option("--generate <key>", "a fresh password: KEY or KEY=POLICY (repeatable)", collect)
      .option("--skip <key>", "leave the key out, or as the target has it (repeatable)", collect)
      .option("--allow-same <key>", "accept that both environments have the same value (repeatable)", collect)
      .option("--dry-run", "show the plan and write nothing")
      .option("--identity <file>", "an age identity file to open them with (repeatable)", collect)
      .addHelpText(
        "after",
        "\nExample:\n  $ seal promote deploy/staging/db.sealed.yaml --from staging --to prod --keep USER --generate PASSWORD",
      )
      .action(async (file: string, options) => (await import("../commands/promote.ts")).promote(io, file, options));
  },
  exec: (command, io) => {
    opening(command("exec [files...]", "run a program with opened values: as files, a descriptor or variables"))
      .usage("[options] [files...] -- PROGRAM [ARGUMENTS]")
      .option(
        "--mount <file>",
        "as files in a private folder, named in SEAL_MOUNT and for {} (as FILES; repeatable)",
        collect,
      )
      .option("--fd <file>", "as JSON through the file descriptor that SEAL_FD names (repeatable)", collect)
      .option(
        "--env-file <file>",
        "as environment variables, which other programs of yours can read (repeatable)",
        collect,
      )
      .option("--allow-env <name>", "accept a variable that changes how programs start (repeatable)", collect)
      .option("--redact", "take the values out of what the program prints")
      .option("--keep-identities", "leave the program the variables that name your identities")
      .addHelpText(
        "after",
        "\nExample:\n  $ seal exec deploy/dev/db.sealed.yaml -- psql-with-password-file {}/PASSWORD",
      )
      .allowExcessArguments()
      .action(async (_: string[], options, { args, parent }: Command) => {
        const raw = (parent as (Command & { readonly rawArgs?: readonly string[] }) | null)?.rawArgs ?? [];
        const end = raw.indexOf("--");
        const program = end < 0 ? [] : raw.slice(end + 1);
        const files = args.slice(0, args.length - program.length);
        await (await import("../commands/exec.ts")).exec(io, files, program, options);
      });
  },
};
