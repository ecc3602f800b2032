// What looks at files and surroundings and changes nothing: names, flags, help.
import { Option } from "commander";
import { checkOutputs } from "../check/finding.ts";
import type { Declarations } from "./declaration.ts";
import { collect, formats, inputFormat, opening } from "./flags.ts";

export const views: Declarations = {
  check: (command, io) => {
    command("check [paths...]", "check sealed files without a key, and find what should be sealed and is not")
      .option("--env <name>", "the environment that every file must belong to")
      .option("--staged", "check what is staged in Git, not the work tree: for a pre-commit hook")
      .option("--strict", "fail for warnings, too")
      .option("--open", "open what your identities open, and find values that two environments share")
      .option("--identity <file>", "with --open: an age identity file (repeatable)", collect)
      .option("--fix", "seal Secrets in place whose environment is certain")
      .option("--no-gitleaks", "do not run gitleaks, which is run where it is installed")
      .addOption(new Option("--output <format>", "what stdout gets").choices(checkOutputs).default("text"))
      .addHelpText("after", "\nExample:\n  $ seal check --output sarif > seal.sarif")
      .action(async (paths: string[], options) => (await import("../commands/check.ts")).check(io, paths, options));
  },
  explain: (command, io) => {
    formats(command("explain <file>", "say who can open a file, what of it is encrypted, and which line decided that"))
      .option("--env <name>", "the environment the file must belong to")
      .option("--config <file>", "the .sops.yaml to use")
      .addHelpText("after", "\nExample:\n  $ seal explain deploy/prod/db.sealed.yaml")
      .action(async (file: string, options) => (await import("../commands/explain.ts")).explain(io, file, options));
  },
  status: (command, io) => {
    inputFormat(
      opening(command("status [paths...]", "list every sealed file, what needs attention first; needs no key")),
    )
      .option("--open", "open FILES with your keys, and say by whom and by which KMS key material")
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .addHelpText("after", "\nExample:\n  $ seal status --env prod\n  $ seal status --open deploy/prod/db.sealed.yaml")
      .action(async (paths: string[], { open, ...options }) =>
        open === true
          ? (await import("../commands/status-open.ts")).statusOpen(io, paths, options)
          : (await import("../commands/status.ts")).status(io, paths, options),
      );
  },
  doctor: (command, io) => {
    command("doctor", "look at configuration, Git, identities, machine and AWS KMS, and say what mends what is wrong")
      .option("--env <name>", "the one environment whose KMS keys to look at")
      .option("--cluster", "also ask the cluster of kubectl's current context")
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .addHelpText("after", "\nExample:\n  $ seal doctor --cluster")
      .action(async (options) => (await import("../commands/doctor.ts")).doctor(io, options));
  },
};
