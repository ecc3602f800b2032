// seal encrypt: a plain file becomes a sealed one. A Secret is sealed for one environment and bound to it; any other file
// gets the recipients of its environment; where no seal.yaml governs, those that flags or .sops.yaml name, as with sops.
import { resolve } from "node:path";
import {
  readManifest,
  type Scope,
  SealwardError,
  sealManifest,
  sealPlain,
  sealSops,
  wrapDocument,
} from "../../src/index.ts";
import { kmsFor, kmsOf, type Load, loadOf } from "../aws.ts";
import { documentIn, type Input, readChangeableInput, readInput } from "../document.ts";
import { configMissing, findGoverning, type Governed, isGoverned } from "../environment.ts";
import type { Io } from "../io.ts";
import { isManifest } from "../kinds.ts";
import { trackedByGit } from "../listing.ts";
import { assertFolder, assertMayWrite, deliver, replaceInput } from "../output.ts";
import { startProgress } from "../progress.ts";
import { hinting, printDone, printNote, UsageError } from "../report.ts";
import { SettingsCache } from "../settings.ts";
import { eachOf } from "../several.ts";
import { assertNoOtherRecipients, findSealing, ruleFromFlags, type SopsFlags } from "../sops-recipients.ts";
import { sourceOf } from "../store-choice.ts";

export interface EncryptOptions extends SopsFlags {
  readonly env?: string;
  readonly namespace?: string;
  readonly scope?: Scope;
  readonly out?: string;
  readonly inPlace?: boolean;
  readonly wrap?: boolean;
  readonly force?: boolean;
  /** Set for several files. */
  readonly load?: Load;
}

export async function encrypt(io: Io, files: readonly string[], options: EncryptOptions): Promise<void> {
  const [file, second] = files;
  const paths = options.inPlace ? files.filter((one) => one !== "-").map((one) => resolve(io.cwd, one)) : [];
  // Asked before anything is written: afterwards the files are others.
  const known = { settings: new SettingsCache(), tracked: await trackedByGit(io, paths) };
  if (second === undefined) return encryptOne(io, file, options, known);
  if (!options.inPlace)
    throw new UsageError(
      "Cannot seal several files to one place",
      "seal them in place, each for itself: `seal encrypt -i FILE…`",
    );
  await eachOf(
    files,
    (one) => encryptOne(io, one, { ...options, load: loadOf(files) }, known),
    startProgress(io, "sealing", files.length),
  );
}

/** What is asked once for all files. */
interface Known {
  readonly settings: SettingsCache;
  readonly tracked: ReadonlySet<string>;
}

async function encryptOne(io: Io, file: string | undefined, given: EncryptOptions, known: Known): Promise<void> {
  const options = { ...given, known: known.settings };
  assertOneDestination(file, options);
  const inPlace = options.inPlace && file !== undefined ? await readChangeableInput(io, file) : null;
  const input = inPlace ?? (await readInput(io, file, "seal"));
  await assertFolder(io, options.out);
  const sources = { ...options, isPlainInput: !options.inPlace };
  const governed = await isGoverned(io, input, sources);
  const { output, done } =
    // A format that was asked for is taken at its word.
    governed && options.inputType === undefined && isManifest(input.bytes)
      ? await sealSecret(io, input, options)
      : await sealOther(io, input, { ...options, governed });
  const isTracked = inPlace !== null && known.tracked.has(inPlace.path);
  if (inPlace === null) await deliver(io, output, options);
  else await replaceInput(io, inPlace, output);
  const out = options.inPlace ? file : options.out;
  if (out !== undefined) await printDone(io, `${done}: ${out}`);
  if (isTracked)
    await printNote(io, `Git tracks ${file}: its history still holds the values in the clear, so they need new ones`);
}

interface Outcome {
  readonly output: string;
  readonly done: string;
}

async function sealSecret(io: Io, input: Input, options: EncryptOptions): Promise<Outcome> {
  const document = documentIn(input);
  if (document.carrier !== null) throw alreadySealed(document.name);
  const yamlHint = { "not-yaml": "correct the YAML at the place named; nothing was sealed" } as const;
  const manifest = await hinting(yamlHint, () => readManifest(document.text, document.name));
  // Before the environment: the advice for a sealed file does not depend on where it belongs.
  if (manifest.sealed) throw alreadySealed(document.name);
  const governed = required(
    io,
    await findGoverning(io, document, manifest, { ...options, isPlainInput: !options.inPlace }),
    { ...options, name: document.name },
  );
  const { environment } = governed;
  if (ruleFromFlags(options) !== null)
    throw new UsageError(
      "Cannot seal a Secret by another selection rule: all of data and stringData is sealed",
      "leave the flag out",
    );
  await assertMayWrite(io, document, options, {
    environment: environment.name,
    namespace: manifest.namespace ?? options.namespace,
    name: manifest.name,
    isBoundSecret: options.wrap === true,
  });
  const { text, info, notices } = await sealManifest(document.text, {
    environment,
    ...(options.scope === undefined ? {} : { scope: options.scope }),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    kms: await kmsOf(io, governed, options.load),
    now: io.now(),
    file: document.name,
  });
  for (const notice of notices) await printNote(io, notice);
  return {
    output: options.wrap ? wrapDocument(text, document.name) : text,
    done: `sealed ${[info.namespace, info.name].filter(Boolean).join("/")} for ${info.environment} (${info.scope})`,
  };
}

async function sealOther(
  io: Io,
  input: Input,
  options: EncryptOptions & { readonly governed: boolean },
): Promise<Outcome> {
  if (options.wrap)
    throw new UsageError("Cannot wrap the file: a BoundSecret carries a Secret of an environment", "leave --wrap out");
  await assertMayWrite(io, input, options, null);
  const how = {
    output: options.outputType,
    allowNothingSelected: options.allowNothingSelected,
    now: io.now(),
  };
  const source = sourceOf(input, options);
  if (options.governed) {
    // Its path, or --env, says which environment it belongs to.
    const sources = { ...options, isPlainInput: !options.inPlace };
    const found = await findGoverning(io, input, { sealed: false }, sources);
    const governed = required(io, found, { ...options, name: input.name });
    const { environment } = governed;
    const onlyEncrypted = options.macOnlyEncrypted ?? false;
    const { text, notices } = await sealPlain(source, environment, {
      ...how,
      kms: await kmsOf(io, governed, options.load),
      rule: ruleFromFlags(options),
      onlyEncrypted,
    });
    for (const notice of notices) await printNote(io, notice);
    return { output: text, done: `sealed for ${environment.name}` };
  }
  const sealing = await findSealing(io, input, options);
  if (sealing === null) throw configMissing("Cannot seal", input.name);
  const hasKeys = sealing.recipients.groups.flat().some((recipient) => typeof recipient !== "string");
  const kms = hasKeys ? await kmsFor(io, null, options.load) : undefined;
  const { text, notices } = await sealSops(source, { ...how, ...sealing, kms });
  for (const notice of notices) await printNote(io, notice);
  const count = sealing.recipients.groups.flat().length;
  return { output: text, done: `sealed for ${count} ${count === 1 ? "recipient" : "recipients"}` };
}

function assertOneDestination(file: string | undefined, options: EncryptOptions): void {
  if (!options.inPlace) return;
  if (file === undefined || file === "-")
    throw new UsageError("Cannot seal stdin in place", "write to a file instead: `-o FILE`");
  if (options.out !== undefined)
    throw new UsageError("Cannot seal in place and to another file: both -i and -o are given", "leave one of them out");
}

function required(io: Io, governed: Governed | null, options: SopsFlags & { readonly name: string }): Governed {
  if (governed === null) throw configMissing("Cannot seal", options.name);
  assertNoOtherRecipients(io, options);
  return governed;
}

const alreadySealed = (file: string): SealwardError =>
  new SealwardError("already-sealed", "Cannot seal the file: it is sealed already", { file });
