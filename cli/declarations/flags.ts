// Flags that several commands have in common.
import { type Command, Option } from "commander";
import { scopes, storeNames } from "../../src/index.ts";

export const shellNames = ["bash", "zsh", "fish"] as const;

export const sealing = (command: Command, out = "write to a file instead of stdout"): Command =>
  command
    .option("--env <name>", "the environment to seal for")
    .option("-n, --namespace <namespace>", "the namespace, where the manifest names none")
    .addOption(new Option("--scope <scope>", "how much the binding pins").choices(scopes))
    .option("-o, --out <file>", out);

/** `--output` is what sops calls `--out`. */
export const withOutput = <T extends { readonly output?: string; readonly out?: string }>({
  output,
  ...options
}: T): Omit<T, "output"> => (output === undefined || options.out !== undefined ? options : { ...options, out: output });

export const inputFormat = (command: Command): Command =>
  command.addOption(
    new Option("--input-type <type>", "the format of the input, if not by its name").choices(storeNames),
  );

export const formats = (command: Command): Command =>
  inputFormat(command)
    .addOption(new Option("--output-type <type>", "the format of the output").choices(storeNames))
    .option("--filename-override <path>", "the name by which format and creation rule are chosen");

/** What `sops encrypt` has, for files that no seal.yaml governs; the rules also for files of an environment that are no Secrets. */
export const selecting = (command: Command): Command => {
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

export const opening = (command: Command): Command =>
  command
    .option("--env <name>", "the environment the file must belong to")
    .option(
      "--identity <file>",
      "an age identity file, besides SOPS_AGE_KEY, SOPS_AGE_KEY_FILE and the usual places (repeatable)",
      collect,
    );

export const collect = (value: string, previous: readonly string[] = []): readonly string[] => [...previous, value];
