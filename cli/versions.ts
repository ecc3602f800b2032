// Versions of one sealed file, from wherever they come: what each is, where the path says that they belong, and their merge.
// Knows nothing of Git and asks nobody.
import {
  bindSealed,
  checkPlain,
  checkSealed,
  type EnvironmentPolicy,
  isSopsFile,
  kmsKeysIn,
  mergeSealed,
  mergeSops,
  rewrapPlain,
  type SealedMerge,
  SealwardError,
  type SopsSource,
  storeOf,
} from "../src/index.ts";
import { kmsOf } from "./aws.ts";
import { type Document, decodeText, documentOf, withContent } from "./document.ts";
import { findExpectation, findGoverning, isGoverned, recipientsElsewhere } from "./environment.ts";
import { shortRecipient, withIdentities } from "./identities.ts";
import type { Io } from "./io.ts";
import { isManifest } from "./kinds.ts";

export interface VersionOptions {
  readonly env?: string;
  readonly identity?: readonly string[];
}

/** Three versions of the file at `path`, which need not be there itself. */
export interface ThreeVersions {
  /** As messages show it. */
  readonly name: string;
  readonly path: string;
  /** Null where both sides made the file. */
  readonly base: Uint8Array | null;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}

export interface MergedVersions {
  readonly merge: SealedMerge;
  /** The whole file around a sealed text: a BoundSecret, or nothing. */
  readonly around: (sealed: string) => string;
  /** Whom the environment lists and the sealed text lacks is added. What cannot be added is said. */
  readonly complete: (sealed: string) => Promise<{ readonly text: string; readonly notices: readonly string[] }>;
}

/** Whether bytes are a sealed file or a BoundSecret that carries one; false for what cannot be read. */
export function isSealedVersion(bytes: Uint8Array, name: string): boolean {
  if (isSopsFile({ bytes, store: storeOf(name), file: name })) return true;
  try {
    return isManifest(bytes) && documentOf(decodeText(bytes, name), name, null).carrier !== null;
  } catch (problem) {
    if (problem instanceof SealwardError) return false;
    throw problem;
  }
}

/** @throws what opening and sealing throw; merge-conflict where the versions cannot be merged by key */
export function mergeVersions(io: Io, versions: ThreeVersions, options: VersionOptions): Promise<MergedVersions> {
  return isManifest(versions.ours) && isManifest(versions.theirs)
    ? mergeSecrets(io, versions, options)
    : mergeOthers(io, versions, options);
}

async function mergeSecrets(io: Io, versions: ThreeVersions, options: VersionOptions): Promise<MergedVersions> {
  const { name, path } = versions;
  const read = (bytes: Uint8Array): Document => documentOf(decodeText(bytes, name), name, path);
  const [ours, theirs] = [read(versions.ours), read(versions.theirs)];
  assertSameCarrier(ours, theirs);
  const found = await findExpectation(io, ours, options);
  if (found === null)
    return mergeOthers(io, { ...versions, ...contentsOf({ ours, theirs, base: versions.base }, read) }, options, ours);
  // The other side has to belong to the same place by its own words, too.
  await findExpectation(io, theirs, options);
  const base = versions.base === null ? null : contentOf(versions.base, read);
  const contents = { base, ours: ours.content, theirs: theirs.content };
  const { expectation, environment } = found;
  const merge = await withIdentities(io, { ...options, ...found }, (identities) =>
    mergeSealed(contents, expectation, { identities, now: io.now(), file: name }),
  );
  const wanted = without(environment, merge.removed);
  const complete = (sealed: string) =>
    completed(merge, {
      sealed,
      check: (text) => checkSealed(text, { ...expectation, environment: wanted }, name).notices,
      seal: async (text) => {
        const kms = await kmsOf(io, found);
        const bind = {
          environment: wanted,
          otherRecipients: recipientsElsewhere(found),
          kms,
          now: io.now(),
          file: name,
        };
        return withIdentities(
          io,
          { ...options, ...found },
          async (identities) => (await bindSealed(text, bind, identities)).text,
        );
      },
    });
  return { merge, around: (sealed) => withContent(ours, sealed), complete };
}

/** Null for a base that is nothing like the sides: it is as if there were none. */
function contentOf(bytes: Uint8Array, read: (bytes: Uint8Array) => Document): string | null {
  try {
    return read(bytes).content;
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}

function contentsOf(
  { ours, theirs, base }: { readonly ours: Document; readonly theirs: Document; readonly base: Uint8Array | null },
  read: (bytes: Uint8Array) => Document,
): Pick<ThreeVersions, "ours" | "theirs" | "base"> {
  const before = base === null ? null : contentOf(base, read);
  return {
    ours: Buffer.from(ours.content),
    theirs: Buffer.from(theirs.content),
    base: before === null ? null : Buffer.from(before),
  };
}

/** What stands around the sealed document is not merged: whoever changed it has to look. */
function assertSameCarrier(ours: Document, theirs: Document): void {
  const isSame = ours.carrier === null ? theirs.carrier === null : withContent(ours, theirs.content) === theirs.text;
  if (isSame) return;
  throw new SealwardError("merge-conflict", "Both sides differ in the BoundSecret around the sealed file, too", {
    file: ours.name,
  });
}

async function mergeOthers(
  io: Io,
  versions: ThreeVersions,
  options: VersionOptions,
  around?: Document,
): Promise<MergedVersions> {
  const { name, path } = versions;
  const source = (bytes: Uint8Array): SopsSource => ({ bytes, store: storeOf(name), file: name });
  const located = { name, path };
  const governed = (await isGoverned(io, located, options))
    ? await findGoverning(io, located, { sealed: true }, options)
    : null;
  const keys = governed === null ? kmsKeysIn(source(versions.ours)) : {};
  const sources = {
    base: versions.base === null ? null : source(versions.base),
    ours: source(versions.ours),
    theirs: source(versions.theirs),
  };
  const merge = await withIdentities(io, { ...options, ...governed, ...keys }, (identities) =>
    mergeSops(sources, governed?.environment ?? null, { identities, now: io.now(), file: name }),
  );
  const complete = async (sealed: string) => {
    if (governed === null) return { text: sealed, notices: [] };
    const wanted = without(governed.environment, merge.removed);
    return completed(merge, {
      sealed,
      check: (text) => checkPlain(source(Buffer.from(text)), wanted).notices,
      seal: async (text) => {
        const kms = await kmsOf(io, governed);
        return withIdentities(io, { ...options, ...governed }, (identities) =>
          rewrapPlain(source(Buffer.from(text)), wanted, { identities, kms, now: io.now() }),
        );
      },
    });
  };
  return { merge, around: (sealed) => (around === undefined ? sealed : withContent(around, sealed)), complete };
}

/**
 * The environment without recipients that one side took out: its seal.yaml, which Git merges in the same run, may not say so
 * yet.
 */
function without(environment: EnvironmentPolicy, removed: readonly string[]): EnvironmentPolicy {
  const kept = (recipients: readonly string[]): readonly string[] => recipients.filter((one) => !removed.includes(one));
  const { ageRecipients, kmsRecipients } = environment;
  return {
    ...environment,
    strictRecipients: false,
    ageRecipients: kept(ageRecipients),
    kmsRecipients: kept(kmsRecipients),
  };
}

interface Completing {
  readonly sealed: string;
  /** Names a missing recipient, and throws for one that has to go. */
  readonly check: (text: string) => readonly { readonly code: string }[];
  readonly seal: (text: string) => Promise<string>;
}

/** That a key service is away does not undo a merge; a recipient that has to go does. */
async function completed(
  { removed }: SealedMerge,
  { sealed, check, seal }: Completing,
): Promise<{ readonly text: string; readonly notices: readonly string[] }> {
  const left = removed.map((id) => `not sealed for ${shortRecipient(id)}, which one side took out`);
  let isForeign = false;
  try {
    if (!check(sealed).some(({ code }) => code === "recipient-missing")) return { text: sealed, notices: left };
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code !== "recipient-foreign") throw problem;
    isForeign = true;
  }
  try {
    return { text: await seal(sealed), notices: left };
  } catch (problem) {
    if (!(problem instanceof SealwardError) || isForeign) throw problem;
    return { text: sealed, notices: [...left, `not yet sealed for every recipient: ${problem.message}`] };
  }
}
