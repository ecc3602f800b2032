// What seals, opens and changes files: names, flags, help.
import { type Command, Option } from "commander";
import type { Declarations } from "./declaration.ts";
import { collect, formats, inputFormat, opening, sealing, selecting, withOutput } from "./flags.ts";

export const files: Declarations = {
  encrypt: (command, io) => {
    selecting(
      sealing(
        command("encrypt [files...]", "seal a file (the default command); - or no FILE is stdin", { isDefault: true }),
      ),
    )
      .option("-i, --in-place", "replace each file by its sealed form")
      .option("--wrap", "write a BoundSecret that carries the sealed file")
      .option("--force", "replace an existing output whatever it is")
      .addHelpText("after", "\nExample:\n  $ seal encrypt --env prod db.plain.yaml -o deploy/prod/db.sealed.yaml")
      .action(async (files: string[], options) =>
        (await import("../commands/encrypt.ts")).encrypt(io, files, withOutput(options)),
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
      .addHelpText("after", "\nExample:\n  $ seal decrypt deploy/prod/db.sealed.yaml -o db.plain.yaml")
      .action(async (files: string[], options) =>
        (await import("../commands/decrypt.ts")).decrypt(io, files, withOutput(options)),
      );
  },
  edit: (command, io) => {
    inputFormat(
      opening(command("edit <file>", "open a sealed file in $SEAL_EDITOR, $VISUAL or $EDITOR and seal what changed")),
    )
      .addHelpText("after", "\nExample:\n  $ SEAL_EDITOR='code --wait' seal edit deploy/prod/db.sealed.yaml")
      .action(async (file: string, options) => (await import("../commands/edit.ts")).edit(io, file, options));
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
      .addHelpText("after", "\nExample:\n  $ seal set deploy/prod/db.sealed.yaml PASSWORD --trim < new-password")
      .action(async (file: string, key: string, options, { args }: Command) =>
        (await import("../commands/set.ts")).set(io, file, key, { ...options, hasValue: args.length > 2 }),
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
      .addHelpText("after", "\nExample:\n  $ seal bind deploy/prod/db.sealed.yaml --env prod")
      .action(async (file: string, options) => (await import("../commands/bind.ts")).bind(io, file, options));
  },
  wrap: (command, io) => {
    command("wrap [file]", "print the BoundSecret that carries a sealed file into the cluster; needs no key")
      .option("--env <name>", "the environment the file must belong to")
      .option("-o, --out <file>", "write to a file instead of stdout")
      .option("--force", "replace an existing output whatever it is")
      .addHelpText("after", "\nExample:\n  $ seal wrap deploy/prod/db.sealed.yaml -o deploy/prod/db.bound.yaml")
      .action(async (file: string | undefined, options) =>
        (await import("../commands/wrap.ts")).wrap(io, file, options),
      );
  },
};
