// seal keys: every place where an identity is looked for with what was found there, and which of them open the files named.
// Shows recipients and sources, never key text.
import {
  type AgeIdentity,
  describeSops,
  type ErrorCode,
  isSameRecipient,
  openersOf,
  type RecipientEntry,
  SealwardError,
  type SopsDescription,
  type SopsSource,
} from "../../src/index.ts";
import { documentIn, readInput } from "../document.ts";
import { openWith, shortRecipient, wantsIdentity } from "../identities.ts";
import { identitySources, type OwnSource } from "../identity-sources.ts";
import type { Io } from "../io.ts";
import { Keyring, type KeyringEntry } from "../keyring.ts";
import { isManifest } from "../kinds.ts";
import { HintedError, safeJson, safeText } from "../report.ts";
import { findSettings, SettingsCache } from "../settings.ts";
import { type StoreFlags, sourceOf } from "../store-choice.ts";

export interface KeysOptions extends StoreFlags {
  readonly identity?: readonly string[];
  readonly output: "text" | "json";
}

interface FoundSource {
  readonly source: string;
  readonly status: "found" | "absent" | "unusable" | "locked";
  readonly recipients: readonly string[];
  readonly message?: string;
  readonly line?: number;
}

interface Holder {
  readonly recipient: string;
  readonly source: string;
}

interface FileAnswer {
  readonly file: string;
  /** `asked` of AWS only when the file is opened: no age identity here opens it, and a KMS key may. */
  readonly status: "opened" | "refused" | "unasked";
  /** Key groups, in order; `source` is where the entry's identity is, null where none opens it. */
  readonly groups: readonly (readonly (RecipientEntry & { readonly source: string | null })[])[];
  /** How many groups it takes. */
  readonly threshold?: number;
  readonly openedBy: readonly Holder[];
  readonly code?: ErrorCode;
  readonly message?: string;
}

/** @throws check-failed where a file is opened by none; what is wrong with a file of --identity; config-invalid */
export async function keys(io: Io, files: readonly string[], options: KeysOptions): Promise<void> {
  const own = await ownSources(io, files);
  const keyring = new Keyring(io, identitySources(io, { identity: options.identity, own }));
  await keyring.read({ late: true });
  const answers: FileAnswer[] = [];
  for (const file of files) answers.push(await answerFor(io, file, keyring, options));
  const sources = keyring.entries.map(foundIn);
  if (options.output === "json") await io.stdout.write(`${safeJson({ sources, files: answers })}\n`);
  else
    for (const line of [...sources.map(sourceLine), ...answers.flatMap(fileLines)]) await io.stdout.write(`${line}\n`);
  const refused = answers.filter(({ status }) => status === "refused");
  if (refused.length === 0) return;
  throw new HintedError(
    "check-failed",
    `${refused.length} of ${answers.length} files ${refused.length === 1 ? "is" : "are"} not opened by the identities found`,
    { hint: "name a file with a fitting identity, `--identity FILE`, or ask a holder of one to add your recipient" },
  );
}

/** What `seal init` wrote for all environments of the working folder's seal.yaml and of those that govern the files. */
async function ownSources(io: Io, files: readonly string[]): Promise<readonly OwnSource[]> {
  const known = new SettingsCache();
  const own = new Map<string, readonly OwnSource[]>();
  for (const file of [null, ...files.filter((name) => name !== "-")]) {
    const settings = await findSettings(io, file, known).catch((problem: unknown) => {
      // What is wrong with the file itself is told where it is read.
      if (file !== null && problem instanceof SealwardError && problem.code !== "config-invalid") return null;
      throw problem;
    });
    if (settings === null) continue;
    const environments = [...settings.config.environments.keys()];
    const { folder } = settings;
    own.set(
      folder,
      environments.map((environment) => ({ folder, environment })),
    );
  }
  return [...own.values()].flat();
}

async function answerFor(io: Io, file: string, keyring: Keyring, options: KeysOptions): Promise<FileAnswer> {
  let description: SopsDescription | null = null;
  /** With the source of each entry that counts as opened. */
  const described = (opens: (id: string) => boolean): Pick<FileAnswer, "groups" | "threshold"> => {
    if (description === null) return { groups: [] };
    const { groups, threshold } = description;
    const sourced = (entry: RecipientEntry) => ({
      ...entry,
      source: opens(entry.id) ? sourceOfIdentity(keyring, entry.id) : null,
    });
    return { groups: groups.map((group) => group.map(sourced)), threshold };
  };
  try {
    const source = await sealedIn(io, file, options);
    description = await describeSops(source);
    const isOneGroup = description.groups.length === 1;
    const openers = await openersIn(source, isOneGroup, keyring);
    const openedBy = openers.map((recipient) => ({ recipient, source: sourceOfIdentity(keyring, recipient) ?? "" }));
    // A group that was not needed was not tried either; there the entry's own word has to do.
    const opens = (id: string): boolean => !isOneGroup || openers.some((recipient) => isSameRecipient(recipient, id));
    return { file, status: "opened", ...described(opens), openedBy };
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "cancelled") throw problem;
    const { code, message } = problem;
    const hasKmsKey = description?.groups.some((group) => group.some(({ kind }) => kind === "kms")) === true;
    if (hasKmsKey && wantsIdentity(problem))
      return { file, status: "unasked", ...described(() => false), openedBy: [] };
    const isShort = code === "identity-unmatched";
    return { file, status: "refused", ...described(() => isShort), openedBy: [], code, message };
  }
}

/** The first source with an identity for the recipient. */
function sourceOfIdentity({ entries }: Keyring, recipient: string): string | null {
  const holds = ({ outcome }: KeyringEntry): boolean =>
    outcome.kind === "found" && outcome.identities.some((identity) => isSameRecipient(identity.recipient, recipient));
  return entries.find(holds)?.source.name ?? null;
}

async function sealedIn(io: Io, file: string, options: KeysOptions): Promise<SopsSource> {
  const input = await readInput(io, file, "seal keys");
  const source = sourceOf(input, options);
  const isCarrier = source.store === "yaml" && isManifest(input.bytes);
  return isCarrier ? { ...source, bytes: Buffer.from(documentIn(input).content) } : source;
}

/** The recipients that open it: of one key group all that do, of several one of each. */
async function openersIn(source: SopsSource, isOneGroup: boolean, keyring: Keyring): Promise<readonly string[]> {
  const together = await openWith(keyring, (identities) => openersOf(source, identities));
  if (!isOneGroup) return together;
  const openers = new Set(together);
  for (const identity of keyring.identities) {
    if (await opensAlone(source, identity)) openers.add(identity.recipient);
  }
  return [...openers];
}

async function opensAlone(source: SopsSource, identity: AgeIdentity): Promise<boolean> {
  try {
    return (await openersOf(source, [identity])).length > 0;
  } catch (problem) {
    if (problem instanceof SealwardError) return false;
    throw problem;
  }
}

function foundIn({ source, outcome }: KeyringEntry): FoundSource {
  const found = { source: source.name, recipients: [] };
  switch (outcome.kind) {
    case "found":
      return { ...found, status: "found", recipients: outcome.identities.map(({ recipient }) => recipient) };
    case "locked":
      return { ...found, status: "locked" };
    case "unusable": {
      const { message, line } = outcome.problem;
      return { ...found, status: "unusable", message, ...(line === undefined ? {} : { line }) };
    }
    default:
      return { ...found, status: "absent" };
  }
}

function sourceLine({ source, status, recipients, message, line }: FoundSource): string {
  const place = `${source}${line === undefined ? "" : `:${line}`}`;
  if (status === "found") {
    const held = recipients.map(shortRecipient).join(", ");
    return safeText(`${place}: ${held === "" ? "holds no identity" : held}`);
  }
  if (status === "locked") return safeText(`${place}: encrypted with a passphrase, which was not needed`);
  return safeText(`${place}: ${status === "absent" ? "absent" : `unusable: ${message}`}`);
}

const unasked = "no age identity here opens it; an AWS KMS key may: `seal status` asks";

function fileLines({ file, status, groups, threshold, openedBy, code, message }: FileAnswer): readonly string[] {
  const by = openedBy.map(({ recipient, source }) => `${shortRecipient(recipient)} (${source})`).join(", ");
  const entries = groups.flatMap((group, index) =>
    group.map(({ kind, id, source }) => {
      const label = groups.length > 1 ? `group ${index + 1}: ` : "";
      const otherwise = kind === "kms" ? "AWS is asked only when the file is opened" : "no identity here";
      return `  ${label}${kind === "age" ? "" : `${kind} `}${shortRecipient(id)}: ${source ?? otherwise}`;
    }),
  );
  return [
    `${file}: ${status === "opened" ? `opened by ${by}` : status === "unasked" ? unasked : `not opened: ${message} (${code})`}`,
    ...(groups.length > 1 ? [`  ${threshold} of ${groups.length} key groups open it`] : []),
    ...entries,
  ].map(safeText);
}
