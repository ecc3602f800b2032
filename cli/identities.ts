// Opens with the age identities a person holds, from the places where `sops` looks and from the folder `seal init` writes
// to. No more is read than is needed to open; a source that cannot be used is mentioned only if opening fails.
import {
  type AgeIdentity,
  type Config,
  type EnvironmentPolicy,
  type ErrorCode,
  type Identity,
  includesRecipient,
  KmsIdentity,
  SealwardError,
} from "../src/index.ts";
import { kmsFor, type Load } from "./aws.ts";
import { identitySources } from "./identity-sources.ts";
import type { Io } from "./io.ts";
import { Keyring, type KeyringEntry } from "./keyring.ts";
import { HintedError, printNote, shellQuote } from "./report.ts";
import type { Settings } from "./settings.ts";

export { keysFolder, repositoryLine } from "./identity-sources.ts";

/**
 * Calls `open` with the identities found, and again with more of them while it fails for want of an identity: SSH keys and
 * what commands print come after what merely has to be read, passphrases after both. When nothing is left, notes say which
 * sources were unusable, and whose the identities found are.
 * @throws what `open` throws; cancelled; for a file named with `--identity` also `file-missing`, `file-unreadable`,
 * `identity-invalid`
 */
export async function withIdentities<T>(
  io: Io,
  options: {
    readonly identity?: readonly string[];
    readonly environment?: EnvironmentPolicy;
    readonly settings?: Settings;
    /** KMS keys that a file names which no seal.yaml governs, and whether age opens it as well. */
    readonly kmsKeys?: readonly string[];
    readonly hasAge?: boolean;
    readonly load?: Load;
    /** The file, where it is opened in order to be changed. */
    readonly changes?: { readonly file: string; readonly isSecret: boolean };
  },
  open: (identities: readonly Identity[]) => Promise<T>,
): Promise<T> {
  const { identity, settings, environment } = options;
  const own =
    settings === undefined || environment === undefined
      ? undefined
      : [{ folder: settings.folder, environment: environment.name }];
  const [recipient, second] = environment?.ageRecipients ?? [];
  const only = second === undefined ? recipient : undefined;
  const keyring = new Keyring(io, identitySources(io, { identity, own, recipient: only }));
  const keys = await kmsIdentities(io, options);
  // Where age identities open the file as well, those that lie here come before a call.
  await keyring.read({ late: keys.length > 0 && isMixed(options) });
  try {
    const hasAge = environment === undefined ? options.hasAge : environment.ageRecipients.length > 0;
    const isMendable = hasAge === false ? wantsIdentity : wantsOtherIdentity;
    return await openWith(keyring, (identities) => open([...identities, ...keys]), isMendable);
  } catch (problem) {
    if (!wantsIdentity(problem)) throw forWriters(problem, options);
    const unusable = keyring.entries.filter(({ outcome }) => outcome.kind === "unusable");
    for (const entry of unusable) await printNote(io, `unusable identities: ${whyUnusable(entry)}`);
    for (const found of new Set(keyring.identities.map((one) => one.recipient)))
      await printNote(
        io,
        `found an identity for ${shortRecipient(found)}${settings === undefined ? "" : `, ${ownerIn(settings.config, found)}`}`,
      );
    // Nobody has meant an SSH key that merely lies about.
    const isMeant = unusable.some(({ source }) => source.origin !== "usual" || !source.isLate);
    if (keyring.identities.length > 0 || !isMeant) throw problem;
    const message = problem.message.replace(
      /^No age identity was found/,
      "No age identity could be used of those named",
    );
    const hint = "correct the source that the note names, or name a file with your identity: `--identity FILE`";
    throw new HintedError(problem.code, message, { hint, file: problem.file });
  }
}

/** Who may encrypt but not decrypt can seal, and change nothing of what is sealed. */
function forWriters(problem: unknown, { changes, environment }: Named): unknown {
  const isRefused =
    problem instanceof SealwardError &&
    problem.code === "key-refused" &&
    /kms:Decrypt .*no permission/.test(problem.message);
  if (!isRefused || changes === undefined) return problem;
  const { file, isSecret } = changes;
  const flags = [...(environment === undefined ? [] : [`--env ${environment.name}`]), ...(isSecret ? [] : ["--force"])];
  const command = ["seal encrypt", isSecret ? "MANIFEST" : "PLAIN_FILE", ...flags, "-o", shellQuote(file)].join(" ");
  const message = `Cannot change the file without opening it: ${problem.message}`;
  const hint = [
    `whoever may encrypt but not decrypt replaces the whole file: \`${command}\``,
    environment === undefined
      ? "or ask whoever owns the key for kms:Decrypt"
      : `or ask for kms:Decrypt: \`seal kms policy --env ${environment.name}\` prints the statement`,
  ];
  return new HintedError(problem.code, message, { hint, file: problem.file });
}

type Named = Parameters<typeof withIdentities>[1];

/** The KMS keys of the environment, or those of the file. Nothing is asked of AWS yet. */
async function kmsIdentities(
  io: Io,
  { environment, settings, kmsKeys = [], load }: Named,
): Promise<readonly KmsIdentity[]> {
  const arns = environment?.kmsRecipients ?? kmsKeys;
  if (arns.length === 0) return [];
  const kms = await kmsFor(
    io,
    environment === undefined || settings === undefined ? null : { environment, settings },
    load,
  );
  return arns.map((arn) => new KmsIdentity(arn, kms));
}

/** Whether age identities of its own belong to the environment; the recovery recipient's is kept elsewhere. */
function isMixed({ environment, settings, hasAge = true }: Named): boolean {
  const recovery = settings?.config.recovery.age ?? [];
  return environment?.ageRecipients.some((recipient) => !includesRecipient(recovery, recipient)) ?? hasAge;
}

/** Calls `open` until it has what it needs, or nothing more is to be had. @throws what the last call threw */
export async function openWith<T>(
  keyring: Keyring,
  open: (identities: readonly AgeIdentity[]) => Promise<T>,
  isMendable: (problem: unknown) => boolean = wantsIdentity,
): Promise<T> {
  for (;;) {
    try {
      return await open(keyring.identities);
    } catch (problem) {
      if (!isMendable(problem) || !(await keyring.more())) throw problem;
    }
  }
}

const identityCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["identity-missing", "identity-unmatched"]);
const kmsCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["credentials-missing", "key-refused", "key-unreachable"]);

export function wantsIdentity(problem: unknown): problem is SealwardError {
  return problem instanceof SealwardError && identityCodes.has(problem.code);
}

/** KMS may be out of reach where an identity behind a passphrase is not. */
function wantsOtherIdentity(problem: unknown): boolean {
  return wantsIdentity(problem) || (problem instanceof SealwardError && kmsCodes.has(problem.code));
}

/** The source, the line and the reason; empty where it is usable. */
export function whyUnusable({ source, outcome }: KeyringEntry): string {
  if (outcome.kind !== "unusable") return "";
  const { line, message } = outcome.problem;
  return `${source.name}${line === undefined ? "" : `:${line}`}: ${message}`;
}

/** Post-quantum recipients and RSA keys fill screens. */
export function shortRecipient(recipient: string): string {
  return recipient.length <= 100 ? recipient : `${recipient.slice(0, 40)}…${recipient.slice(-12)}`;
}

const lists = ({ ageRecipients, kmsRecipients }: EnvironmentPolicy, recipient: string): boolean =>
  includesRecipient(ageRecipients, recipient) || kmsRecipients.includes(recipient);

/** Whose a recipient is by seal.yaml, as the end of a sentence. */
export function ownerIn(config: Config, recipient: string): string {
  if (includesRecipient(config.recovery.age, recipient) || config.recovery.kms.includes(recipient))
    return "which is the recovery recipient";
  const names = [...config.environments.values()]
    .filter((environment) => lists(environment, recipient))
    .map(({ name }) => name);
  return names.length === 0 ? "which seal.yaml lists nowhere" : `which seal.yaml lists for ${names.join(", ")}`;
}
