// What seals, opens and changes files: names, flags, help.
import { Option } from "commander";
import type { Declarations } from "./declaration.ts";
import { collect, formats, opening, sealing, selecting, withOutput } from "./flags.ts";

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
