// Changes SOPS files that are no Secrets in place: under a seal.yaml after the gate for such files, elsewhere as sops does.
import {
  assertNoneExpired,
  type ChangeSopsOptions,
  checkPlain,
  environmentContext,
  kmsKeysIn,
  ownIdentities,
  type SopsSource,
} from "../src/index.ts";
import { type Input, readChangeableInput } from "./document.ts";
import { configMissing, findGoverning, type Governed, isGoverned } from "./environment.ts";
import { withIdentities } from "./identities.ts";
import type { Io } from "./io.ts";
import { isManifest } from "./kinds.ts";
import { replaceInput } from "./output.ts";
import { ChangedMeanwhile, printDone, printNote, UsageError } from "./report.ts";
import { type StoreFlags, sourceOf } from "./store-choice.ts";

export interface OtherOptions extends StoreFlags {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly ignoreMac?: boolean;
}

export interface OtherChange {
  /** The next text of the file. */
  readonly change: (source: SopsSource, how: ChangeSopsOptions) => Promise<string>;
  /** What was done, for people. */
  readonly done: string;
}

/**
 * True for a file that is changed as sops would: one that is no manifest, and where no seal.yaml governs also a Secret, unless
 * it is bound; then whoever opens it expects it to stay so.
 */
export async function isOther(io: Io, input: Input, options: OtherOptions): Promise<boolean> {
  if (options.inputType !== undefined || !isManifest(input.bytes)) return true;
  const isBound = Buffer.from(input.bytes).includes("sealward.dev/");
  return !isBound && options.env === undefined && !(await isGoverned(io, input, {}));
}

const maxAttempts = 20;

/** Runs the change, again where someone else was quicker: it says nothing about the rest of the file. */
export async function changeOther(io: Io, file: string, options: OtherOptions, change: OtherChange): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await changeOnce(io, file, options, change);
    } catch (problem) {
      if (!(problem instanceof ChangedMeanwhile) || attempt === maxAttempts) throw problem;
    }
  }
}

async function changeOnce(io: Io, file: string, options: OtherOptions, { change, done }: OtherChange): Promise<void> {
  const input = await readChangeableInput(io, file);
  const source = sourceOf(input, options);
  const governed = await governing(io, source, { ...options, path: input.path });
  const changes = { file, isSecret: false };
  const keys = governed === null ? kmsKeysIn(source) : {};
  const text = await withIdentities(io, { ...options, ...governed, ...keys, changes }, (identities) =>
    change(source, {
      identities: governed === null ? identities : ownIdentities(identities, governed.environment),
      namedOnly: governed !== null,
      ...sending(governed),
      ignoreMac: options.ignoreMac,
      now: io.now(),
    }),
  );
  if (Buffer.from(text).equals(input.bytes)) return printDone(io, `nothing changed: ${file}`);
  await replaceInput(io, input, text);
  await printDone(io, `sealed ${file}: ${done}`);
}

/** What KMS is sent for a file of an environment. Elsewhere it is what the file says, as with sops. */
export function sending(governed: Governed | null): Pick<ChangeSopsOptions, "contextOf"> {
  if (governed === null) return {};
  const context = environmentContext(governed.environment.name);
  return { contextOf: () => context };
}

/** The environment of a file that is no Secret, its keyless checks passed; null where no seal.yaml governs it. */
export async function governing(
  io: Io,
  source: SopsSource & { readonly file?: string | undefined },
  options: OtherOptions & { readonly path: string | null },
): Promise<Governed | null> {
  const located = { name: source.file ?? "stdin", path: options.path };
  const sources = options.env === undefined ? {} : { env: options.env };
  if (!(await isGoverned(io, located, sources))) {
    if (options.env !== undefined) throw configMissing(`Cannot confirm the environment "${options.env}"`, located.name);
    return null;
  }
  if (options.ignoreMac)
    throw new UsageError(
      "Cannot ignore the MAC of a file that a seal.yaml governs: it is what shows that nobody changed the file",
      "take the file back from Git",
    );
  const governed = await findGoverning(io, located, { sealed: true }, sources);
  if (governed === null) throw configMissing("Cannot change the file", located.name);
  assertNoneExpired(governed.environment, io.now(), located.name);
  for (const notice of checkPlain(source, governed.environment).notices)
    await printNote(io, `${notice.message} (${notice.code})`);
  return governed;
}
