// seal decrypt: opens a sealed file, through the whole gate where a seal.yaml governs it; elsewhere as sops would, and
// says that no environment was confirmed.
import { resolve } from "node:path";
import {
  kmsKeysIn,
  openPlain,
  openSealed,
  openSops,
  type Path,
  parsePath,
  plainAs,
  type StoreName,
} from "../../src/index.ts";
import { type Load, loadOf } from "../aws.ts";
import { documentIn, type Input, readChangeableInput, readInput } from "../document.ts";
import { configMissing, findExpectation, findGoverning, isGoverned, type Sources } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { isManifest } from "../kinds.ts";
import { assertFolder, assertMayWrite, deliver, replaceInput } from "../output.ts";
import { startProgress } from "../progress.ts";
import { printDone, printNote, UsageError } from "../report.ts";
import { findWorkTree, SettingsCache } from "../settings.ts";
import { eachOf } from "../several.ts";
import { type StoreFlags, sourceOf } from "../store-choice.ts";

export interface DecryptOptions extends StoreFlags {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly out?: string;
  readonly force?: boolean;
  readonly inPlace?: boolean;
  readonly extract?: string;
  readonly ignoreMac?: boolean;
  /** Set for several files. */
  readonly load?: Load;
}

export async function decrypt(io: Io, files: readonly string[], options: DecryptOptions): Promise<void> {
  const [file, second] = files;
  if (second === undefined) return decryptOne(io, file, options);
  if (!options.inPlace)
    throw new UsageError(
      "Cannot open several files to one place",
      "open them one by one, or in place, each for itself: `seal decrypt -i FILE…`",
    );
  const known = new SettingsCache();
  await eachOf(
    files,
    (one) => decryptOne(io, one, { ...options, load: loadOf(files) }, known),
    startProgress(io, "opening", files.length),
  );
}

async function decryptOne(
  io: Io,
  file: string | undefined,
  options: DecryptOptions,
  known = new SettingsCache(),
): Promise<void> {
  assertOneDestination(file, options);
  const inPlace = options.inPlace && file !== undefined ? await readChangeableInput(io, file) : null;
  const input = inPlace ?? (await readInput(io, file, "seal decrypt"));
  await assertFolder(io, options.out);
  await assertMayWrite(io, input, options, null);
  const plaintext = await openInput(io, input, { ...options, known });
  if (inPlace === null) await deliver(io, plaintext, { ...options, plaintext: true });
  else await replaceInput(io, inPlace, plaintext, true);
  const out = options.inPlace ? file : options.out;
  if (out === undefined) return;
  await printDone(io, `wrote ${out}: the plaintext of ${input.name}`);
  if (out.endsWith(".plain.yaml")) return;
  const real = await io.fs.realPath(resolve(io.cwd, out));
  if ((await findWorkTree(io, real)) !== null) {
    await printNote(
      io,
      `${out} is plaintext inside a Git work tree; Git ignores it only under a name like NAME.plain.yaml`,
    );
  }
}

function assertOneDestination(file: string | undefined, options: DecryptOptions): void {
  if (!options.inPlace) return;
  if (file === undefined || file === "-")
    throw new UsageError("Cannot open stdin in place", "write to a file instead: `-o FILE`");
  if (options.out !== undefined || options.extract !== undefined)
    throw new UsageError("Cannot open in place: -o or --extract is given, too", "leave one of them out");
}

/** What is in a sealed input, or the part of it that `extract` names. @throws what opening throws */
export async function openInput(
  io: Io,
  input: Input,
  options: DecryptOptions & { readonly known?: SettingsCache },
): Promise<Uint8Array> {
  const { known = new SettingsCache() } = options;
  // The plaintext may go anywhere, so only the sealed file's own path speaks, not the output's.
  const sources: Sources = options.env === undefined ? { known } : { env: options.env, known };
  const form = {
    output: options.outputType,
    extract: options.extract === undefined ? undefined : parsePath(options.extract),
  };
  if (!(await isGoverned(io, input, sources))) {
    if (options.env !== undefined) throw configMissing(`Cannot confirm the environment "${options.env}"`, input.name);
    return openUngoverned(io, input, options, form);
  }
  if (options.ignoreMac)
    throw new UsageError(
      "Cannot ignore the MAC of a file that a seal.yaml governs: it is what shows that nobody changed the file",
      "take the file back from Git, or open a copy of it elsewhere to save what can be saved",
    );
  const isSecret = options.inputType === undefined && isManifest(input.bytes);
  return isSecret
    ? openSecret(io, input, { ...options, sources }, form)
    : openOther(io, input, { ...options, sources }, form);
}

interface Form {
  readonly output: StoreName | undefined;
  readonly extract: Path | undefined;
}

async function openUngoverned(io: Io, input: Input, options: DecryptOptions, form: Form): Promise<Uint8Array> {
  const source = sourceOf(input, options);
  // A BoundSecret file carries a document of its own.
  const carried = source.store === "yaml" && isManifest(input.bytes) ? documentIn(input).content : null;
  const bytes = carried === null ? input.bytes : Buffer.from(carried);
  const carriedSource = { ...source, bytes };
  const opened = await withIdentities(io, { ...options, ...kmsKeysIn(carriedSource) }, (identities) =>
    openSops(carriedSource, { ...form, identities, ignoreMac: options.ignoreMac }),
  );
  const binding = opened.bound ? "its binding agrees with its own fields" : "it has no binding";
  await printNote(io, `${input.name}: no environment was confirmed, for no seal.yaml governs it; ${binding}`);
  if (options.ignoreMac) await printNote(io, `${input.name}: its MAC was not compared; anyone may have changed it`);
  return opened.bytes;
}

type Governing = DecryptOptions & { readonly sources: Sources };

async function openSecret(io: Io, input: Input, options: Governing, form: Form): Promise<Uint8Array> {
  const document = documentIn(input);
  const found = await findExpectation(io, document, options.sources);
  if (found === null) throw configMissing("Cannot confirm the environment", input.name);
  const opened = await withIdentities(io, { ...options, ...found }, (identities) =>
    openSealed(document.content, found.expectation, identities, document.name),
  );
  for (const notice of opened.notices) await printNote(io, `${notice.message} (${notice.code})`);
  const plain = { store: "yaml", bytes: Buffer.from(opened.plainText), file: input.name } as const;
  return form.output === undefined && form.extract === undefined ? plain.bytes : plainAs(plain, form);
}

async function openOther(io: Io, input: Input, options: Governing, form: Form): Promise<Uint8Array> {
  const governed = await findGoverning(io, input, { sealed: true }, options.sources);
  if (governed === null) throw configMissing("Cannot confirm the environment", input.name);
  const opened = await withIdentities(io, { ...options, ...governed }, (identities) =>
    openPlain(sourceOf(input, options), governed.environment, { ...form, identities }),
  );
  for (const notice of opened.notices) await printNote(io, `${notice.message} (${notice.code})`);
  return opened.bytes;
}
