// What works with Git: names, flags, help.
import { Option } from "commander";
import type { Declarations } from "./declaration.ts";
import { collect } from "./flags.ts";

export const git: Declarations = {
  diff: (command, io) => {
    command("diff [files...]", "what changed in sealed files since HEAD, by key; or between two files")
      .option("--rev <rev>", "compare with this commit instead of HEAD")
      .option("--staged", "compare what is staged, not the work tree")
      .option("--reveal", "show values instead of fingerprints")
      .option("--keyless", "open nothing, and compare ciphertext")
      .option("--exit-code", "end with 1 where something differs")
      .option("--env <name>", "the environment the files must belong to")
      .option("--identity <file>", "an age identity file to open them with (repeatable)", collect)
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .addHelpText("after", "\nExample:\n  $ seal diff deploy/staging/db.sealed.yaml deploy/prod/db.sealed.yaml")
      .action(async (files: string[], options) => (await import("../commands/diff.ts")).diff(io, files, options));
  },
  git: (command, io) => {
    const git = command("git", "merge, show and check sealed files in Git").addHelpText(
      "after",
      "\nExample:\n  $ seal git install",
    );
    git
      .command("install")
      .description("set Git up: merge sealed files by key, show them without ciphertext, check each commit")
      .option("--command <command>", "how Git starts seal", "seal")
      .option("--no-hooks", "leave hooks alone")
      .option("--remove", "take out what was installed")
      .addHelpText("after", "\nExample:\n  $ seal git install --command /opt/seal/bin/seal")
      .action(async (options) => (await import("../commands/git-install.ts")).gitInstall(io, options));
    git
      .command("resolve [files...]")
      .description("walk through the conflicts of sealed files, value by value; default: all that are unmerged")
      .option("--ours <key>", "keep our value of this key (repeatable)", collect)
      .option("--theirs <key>", "take their value of this key (repeatable)", collect)
      .addOption(new Option("--take <side>", "the side for whatever is left").choices(["ours", "theirs"]))
      .option("--no-add", "do not add the file to the index")
      .option("--env <name>", "the environment the files must belong to")
      .option("--identity <file>", "an age identity file to open them with (repeatable)", collect)
      .addHelpText("after", "\nExample:\n  $ seal git resolve deploy/prod/db.sealed.yaml --theirs PASSWORD")
      .action(async (files: string[], options) =>
        (await import("../commands/git-resolve.ts")).gitResolve(io, files, options),
      );
    git
      .command("merge <base> <ours> <theirs> <size> <path>")
      .description("merge three versions of a sealed file by key into OURS: for Git to run as a merge driver")
      .option("--identity <file>", "an age identity file to open them with (repeatable)", collect)
      .addHelpText("after", "\nExample:\n  $ git config merge.seal.driver 'seal git merge -- %O %A %B %L %P'")
      .action(async (base: string, ours: string, theirs: string, size: string, path: string, options) =>
        (await import("../commands/git-merge.ts")).gitMerge(io, { base, ours, theirs, size, path }, options),
      );
    git
      .command("textconv <file>")
      .description("print a sealed file with fingerprints in place of ciphertext: for Git to run; needs no key")
      .addHelpText("after", "\nExample:\n  $ git config diff.seal.textconv 'seal git textconv --'")
      .action(async (file: string) => (await import("../commands/git-textconv.ts")).gitTextconv(io, file));
  },
};
