// Opens with the age identities a person holds, from the places where `sops` looks and from the folder `seal init` writes
// to. No more is read than is needed to open; a source that cannot be used is mentioned only if opening fails.
import {
  type AgeIdentity,
  type Config,
  type EnvironmentPolicy,
  type ErrorCode,
  includesRecipient,
  SealwardError,
} from "../src/index.ts";
import { identitySources } from "./identity-sources.ts";
import type { Io } from "./io.ts";
import { Keyring, type KeyringEntry } from "./keyring.ts";
import { HintedError, printNote } from "./report.ts";
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
  },
  open: (identities: readonly AgeIdentity[]) => Promise<T>,
): Promise<T> {
  const { identity, settings, environment } = options;
  const own =
    settings === undefined || environment === undefined
      ? undefined
      : [{ folder: settings.folder, environment: environment.name }];
  const [recipient, second] = environment?.ageRecipients ?? [];
  const only = second === undefined ? recipient : undefined;
  const keyring = new Keyring(io, identitySources(io, { identity, own, recipient: only }));
  await keyring.read({ late: false });
  try {
    return await openWith(keyring, open);
  } catch (problem) {
    if (!wantsIdentity(problem)) throw problem;
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

/** Calls `open` until it has what it needs, or nothing more is to be had. @throws what the last call threw */
export async function openWith<T>(
  keyring: Keyring,
  open: (identities: readonly AgeIdentity[]) => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await open(keyring.identities);
    } catch (problem) {
      if (!wantsIdentity(problem) || !(await keyring.more())) throw problem;
    }
  }
}

const identityCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["identity-missing", "identity-unmatched"]);

export function wantsIdentity(problem: unknown): problem is SealwardError {
  return problem instanceof SealwardError && identityCodes.has(problem.code);
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

/** Whose a recipient is by seal.yaml, as the end of a sentence. */
export function ownerIn(config: Config, recipient: string): string {
  if (includesRecipient(config.recovery, recipient)) return "which is the recovery recipient";
  const names = [...config.environments.values()]
    .filter(({ ageRecipients }) => includesRecipient(ageRecipients, recipient))
    .map(({ name }) => name);
  return names.length === 0 ? "which seal.yaml lists nowhere" : `which seal.yaml lists for ${names.join(", ")}`;
}
