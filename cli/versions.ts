// Versions of one sealed file, from wherever they come: what each is, where the path says that they belong, and their merge.
// Knows nothing of Git and asks nobody.
import {
  bindSealed,
  checkPlain,
  checkSealed,
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
import { recipientsElsewhere } from "./commands/bind.ts";
import { type Document, decodeText, documentOf, withContent } from "./document.ts";
import { findExpectation, findGoverning, type Governed, isGoverned } from "./environment.ts";
import { withIdentities } from "./identities.ts";
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
  const complete = (sealed: string) =>
    completed(
      sealed,
      () => checkSealed(sealed, expectation, name).notices,
      async () => {
        const kms = await kmsOf(io, found);
        const bind = { environment, otherRecipients: recipientsElsewhere(found), kms, now: io.now(), file: name };
        return withIdentities(
          io,
          { ...options, ...found },
          async (identities) => (await bindSealed(sealed, bind, identities)).text,
        );
      },
    );
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
  const complete = async (sealed: string) =>
    governed === null
      ? { text: sealed, notices: [] }
      : completePlain(io, source(Buffer.from(sealed)), governed, options);
  return { merge, around: (sealed) => (around === undefined ? sealed : withContent(around, sealed)), complete };
}

function completePlain(io: Io, source: SopsSource, governed: Governed, options: VersionOptions) {
  const { environment } = governed;
  const sealed = Buffer.from(source.bytes).toString();
  return completed(
    sealed,
    () => checkPlain(source, environment).notices,
    async () => {
      const kms = await kmsOf(io, governed);
      return withIdentities(io, { ...options, ...governed }, (identities) =>
        rewrapPlain(source, environment, { identities, kms, now: io.now() }),
      );
    },
  );
}

/** Runs `add` where the check names a missing recipient. That a key service is away does not undo a merge. */
async function completed(
  sealed: string,
  check: () => readonly { readonly code: string; readonly message: string }[],
  add: () => Promise<string>,
): Promise<{ readonly text: string; readonly notices: readonly string[] }> {
  const isStrict = (problem: unknown): boolean =>
    problem instanceof SealwardError && problem.code === "recipient-missing";
  try {
    if (!check().some(({ code }) => code === "recipient-missing")) return { text: sealed, notices: [] };
  } catch (problem) {
    if (!isStrict(problem)) throw problem;
  }
  try {
    return { text: await add(), notices: [] };
  } catch (problem) {
    if (!(problem instanceof SealwardError)) throw problem;
    return { text: sealed, notices: [`not yet sealed for every recipient of the environment: ${problem.message}`] };
  }
}
