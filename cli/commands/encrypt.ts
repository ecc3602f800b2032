// seal encrypt: a plain manifest becomes a sealed file of one environment. The recipients come from seal.yaml alone.
import { readManifest, type Scope, SealwardError, sealManifest, wrapDocument } from "../../src/index.ts";
import { readChangeable, readDocument } from "../document.ts";
import { configMissing, findGoverning, type Governed } from "../environment.ts";
import type { Io } from "../io.ts";
import { isTrackedByGit } from "../listing.ts";
import { assertFolder, assertMayWrite, deliver, deliverBack } from "../output.ts";
import { hinting, printDone, printNote, UsageError } from "../report.ts";

export interface EncryptOptions {
  readonly env?: string;
  readonly namespace?: string;
  readonly scope?: Scope;
  readonly out?: string;
  readonly inPlace?: boolean;
  readonly wrap?: boolean;
  readonly force?: boolean;
}

export async function encrypt(io: Io, file: string | undefined, options: EncryptOptions): Promise<void> {
  assertOneDestination(file, options);
  const inPlace = options.inPlace && file !== undefined ? await readChangeable(io, file) : null;
  const document = inPlace ?? (await readDocument(io, file, "seal"));
  if (document.carrier !== null) throw alreadySealed(document.name);
  await assertFolder(io, options.out);
  const yamlHint = { "not-yaml": "correct the YAML at the place named; nothing was sealed" } as const;
  const manifest = await hinting(yamlHint, () => readManifest(document.text, document.name));
  // Before the environment: the advice for a sealed file does not depend on where it belongs.
  if (manifest.sealed) throw alreadySealed(document.name);
  const { environment } = await requireGoverned(
    await findGoverning(io, document, manifest, { ...options, isPlainInput: !options.inPlace }),
    io,
    document.name,
  );
  await assertMayWrite(io, document, options, {
    environment: environment.name,
    namespace: manifest.namespace ?? options.namespace,
    name: manifest.name,
    isBoundSecret: options.wrap === true,
  });

  const { text, info, notices } = sealManifest(document.text, {
    environment,
    ...(options.scope === undefined ? {} : { scope: options.scope }),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    now: io.now(),
    file: document.name,
  });
  for (const notice of notices) await printNote(io, notice);
  const out = options.inPlace ? file : options.out;
  const outcome = options.wrap ? wrapDocument(text, document.name) : text;
  const isTracked = inPlace !== null && (await isTrackedByGit(io, inPlace.path));
  if (inPlace === null) await deliver(io, outcome, options);
  else await deliverBack(io, inPlace, outcome);
  if (out !== undefined)
    await printDone(
      io,
      `sealed ${[info.namespace, info.name].filter(Boolean).join("/")} for ${info.environment} (${info.scope}): ${out}`,
    );
  if (isTracked)
    await printNote(io, `Git tracks ${file}: its history still holds the values in the clear, so they need new ones`);
}

function assertOneDestination(file: string | undefined, options: EncryptOptions): void {
  if (!options.inPlace) return;
  if (file === undefined || file === "-")
    throw new UsageError("Cannot seal stdin in place", "write to a file instead: `-o FILE`");
  if (options.out !== undefined)
    throw new UsageError("Cannot seal in place and to another file: both -i and -o are given", "leave one of them out");
}

async function requireGoverned(governed: Governed | null, io: Io, file: string): Promise<Governed> {
  if (governed === null) throw configMissing("Cannot seal", file);
  const given = recipientVariables.find((name) => (io.env[name] ?? "") !== "");
  if (given !== undefined) {
    throw new UsageError(
      `Cannot seal with the recipients in ${given}: under a seal.yaml its recipients are the only ones`,
      `take it out of the environment for this command: \`env -u ${given} seal …\``,
    );
  }
  return governed;
}

/** The variables with which sops chooses recipients. */
const recipientVariables = [
  "SOPS_AGE_RECIPIENTS",
  "SOPS_KMS_ARN",
  "SOPS_PGP_FP",
  "SOPS_GCP_KMS_IDS",
  "SOPS_AZURE_KEYVAULT_URLS",
  "SOPS_VAULT_URIS",
  "SOPS_HUAWEICLOUD_KMS_IDS",
];

const alreadySealed = (file: string): SealwardError =>
  new SealwardError("already-sealed", "Cannot seal the file: it is sealed already", { file });
