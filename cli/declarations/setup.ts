// What sets environments and keys up: names, flags, help.
import { Argument, Option } from "commander";
import type { Declarations } from "./declaration.ts";
import { collect, inputFormat, shellNames } from "./flags.ts";

export const setup: Declarations = {
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
      .addHelpText("after", "\nExample:\n  $ seal init --env staging prod --namespace prod=payments")
      .action(async ({ fromSops, ...options }) =>
        fromSops === undefined
          ? (await import("../commands/init.ts")).init(io, options)
          : (await import("../commands/init-from-sops.ts")).initFromSops(io, fromSops, options),
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
      .addHelpText("after", "\nExample:\n  $ seal keygen --secret --env prod | kubectl create -f -")
      .action(async (options) => (await import("../commands/keygen.ts")).keygen(io, options));
  },
  keys: (command, io) => {
    inputFormat(
      command("keys [files...]", "where identities are looked for, what was found, and which of them open FILES"),
    )
      .option("--identity <file>", "an age identity file, looked at first (repeatable)", collect)
      .addOption(new Option("--output <format>", "what stdout gets").choices(["text", "json"]).default("text"))
      .addHelpText("after", "\nExample:\n  $ seal keys deploy/prod/db.sealed.yaml")
      .action(async (files: string[], options) => (await import("../commands/keys.ts")).keys(io, files, options));
  },
  env: (command, io) => {
    command("env", "environments of seal.yaml")
      .addHelpText("after", "\nExample:\n  $ seal env manifest prod | kubectl apply -f -")
      .command("manifest <name>")
      .description("print the Environment resource of an environment, for `kubectl apply -f -`")
      .option("--namespace <namespace>", "a namespace it governs, where seal.yaml names none (repeatable)", collect)
      .addHelpText("after", "\nExample:\n  $ seal env manifest prod --namespace payments | kubectl apply -f -")
      .action(async (name: string, options) => (await import("../commands/env.ts")).envManifest(io, name, options));
  },
  kms: (command, io) => {
    command("kms", "AWS KMS keys of seal.yaml")
      .addHelpText("after", "\nExample:\n  $ seal kms policy --env prod --output text")
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
      .addHelpText(
        "after",
        "\nExample:\n  $ seal kms policy --env prod --opener arn:aws:iam::111122223333:role/sealward > policy.json",
      )
      .action(async (options) => (await import("../commands/kms.ts")).kmsPolicy(io, options));
  },
  completion: (command, io) => {
    command("completion", "print the script that completes commands, flags, files, environments and keys in a shell")
      .addArgument(new Argument("<shell>", "the shell").choices(shellNames))
      .addHelpText("after", "\nExample:\n  $ source <(seal completion bash)")
      .action(async (shell) => (await import("../commands/completion.ts")).completion(io, shell));
  },
};
