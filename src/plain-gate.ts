// The gate for SOPS files that are no Secrets (Helm values, dotenv, ini, binary): environment by path, recipients, MAC. They
// carry no binding, so what confirms them is the place they lie in, who can open them, and nothing else.
import { type Identity, noIdentity } from "./data-key.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { SealwardError } from "./errors.ts";
import { holdsSecret, type ReadValue, valuesIn } from "./holds-secret.ts";
import { environmentContext } from "./kms.ts";
import { holdsBinding } from "./own-context.ts";
import {
  assertEnvironmentContext,
  assertNoneExpired,
  assertRecipients,
  checkRecipients,
  expiredIn,
  isListed,
  isListedEntry,
  type Notice,
  recipientsOf,
} from "./recipients.ts";
import {
  type ChangeSopsOptions,
  type EditableSops,
  editable,
  type OpenSopsOptions,
  outputOf,
  rekeySops,
  rewrapSops,
  type SopsSource,
  sealSops,
} from "./sops-document.ts";
import { metadataOf, type OpenedFile, openFile } from "./sops-file.ts";
import type { SealedFile } from "./sops-seal.ts";
import type { StoreFile } from "./store.ts";
import { storeNamed } from "./stores.ts";

/** The keyless steps; with a time also whose time is over. The environment is the one that the path, and whatever else speaks, has decided on. */
export function checkPlain(
  { bytes, store, file }: SopsSource,
  environment: EnvironmentPolicy,
  now?: Date,
): { readonly notices: readonly Notice[] } {
  const loaded = storeNamed(store).load(bytes, { file });
  const notices = keyless(loaded, environment);
  return { notices: now === undefined ? notices : [...notices, ...expiredIn(metadataOf(loaded), environment, now)] };
}

function keyless(file: StoreFile, environment: EnvironmentPolicy): readonly Notice[] {
  assertNoSecret(valuesIn(file.documents), file);
  assertNoBinding(file);
  const metadata = metadataOf(file);
  const place = file.metadataOffset < 0 ? { file: file.file } : file.placeOf(file.metadataOffset);
  const refuse = (code: Notice["code"], message: string) => new SealwardError(code, message, place);
  assertRecipients(metadata, refuse);
  const notices = checkRecipients(metadata, environment, refuse);
  assertEnvironmentContext(metadata, environment.name, refuse);
  return notices;
}

export interface OpenedPlain {
  readonly bytes: Uint8Array;
  readonly notices: readonly Notice[];
  /** What the file says of when it was last sealed, as its MAC confirms. */
  readonly lastModified: string;
  /** The recipients whose identities opened it. */
  readonly openedBy: readonly string[];
  /** By ARN, the material of the KMS key that had wrapped the data key, where KMS says it. */
  readonly keyMaterialIds: ReadonlyMap<string, string>;
}

/** All steps. @throws the first refusal, and decrypts nothing after it */
export async function openPlain(
  source: SopsSource,
  environment: EnvironmentPolicy,
  options: Omit<OpenSopsOptions, "ignoreMac">,
): Promise<OpenedPlain> {
  const { opened, notices } = await openGoverned(source, environment, options.identities);
  const { openedBy, keyMaterialIds } = opened;
  const { lastModified } = opened.metadata;
  return { bytes: outputOf(opened, source, options), notices, lastModified, openedBy, keyMaterialIds };
}

/** The same, to be changed. */
export async function editPlain(
  source: SopsSource,
  environment: EnvironmentPolicy,
  identities: readonly Identity[],
): Promise<EditableSops> {
  const { bytes, reseal } = editable((await openGoverned(source, environment, identities)).opened);
  return {
    bytes,
    reseal: (edited, now) => {
      assertNoneExpired(environment, now, source.file);
      return reseal(edited, now);
    },
  };
}

export async function openGoverned(
  source: SopsSource,
  environment: EnvironmentPolicy,
  held: readonly Identity[],
): Promise<{ readonly opened: OpenedFile; readonly notices: readonly Notice[] }> {
  const file = storeNamed(source.store).load(source.bytes, { file: source.file });
  const notices = keyless(file, environment);
  const identities = ownIdentities(held, environment);
  if (identities.length === 0)
    throw noIdentity(held, { ...metadataOf(file), environment: environment.name, file: source.file });
  const context = environmentContext(environment.name);
  const opened = await openFile(file, { identities, namedOnly: true, contextOf: () => context });
  // A file of which everything is encrypted shows only now what it is.
  assertNoSecret(
    opened.leaves.map(({ entry, bytes }) => ({ path: entry.path, bytes })),
    file,
  );
  return { opened, notices };
}

/**
 * The file for everybody whom the environment lists and nobody else: under the same data key where nobody has to go.
 * @throws what opening and wrapping throw
 */
export async function rewrapPlain(
  source: SopsSource,
  environment: EnvironmentPolicy,
  { identities, ...options }: Pick<ChangeSopsOptions, "identities" | "kms" | "now">,
): Promise<string> {
  assertNoneExpired(environment, options.now, source.file);
  const context = environmentContext(environment.name);
  const recipients = { groups: [recipientsOf(environment, context)] };
  const own = ownIdentities(identities, environment);
  const opening = { ...options, identities: own, namedOnly: true, contextOf: () => context };
  const present = metadataOf(storeNamed(source.store).load(source.bytes, { file: source.file })).recipients;
  return present.every((entry) => isListedEntry(environment, entry))
    ? rewrapSops(source, recipients, opening)
    : rekeySops(source, { ...opening, recipients });
}

/**
 * Seals a file that is no Secret for an environment's recipients.
 * @throws unbound for a Secret, and what sealSops throws
 */
export async function sealPlain(
  source: SopsSource,
  environment: EnvironmentPolicy,
  options: Omit<Parameters<typeof sealSops>[1], "recipients">,
): Promise<SealedFile> {
  const file = storeNamed(source.store).load(source.bytes, { file: source.file });
  assertNoSecret(valuesIn(file.documents), file);
  assertNoneExpired(environment, options.now, source.file);
  return sealSops(source, {
    ...options,
    recipients: { groups: [recipientsOf(environment, environmentContext(environment.name))] },
  });
}

/** Under a seal.yaml a Secret opens by its binding only: none passes for a file of another kind. @throws unbound */
function assertNoSecret(values: readonly ReadValue[], file: StoreFile): void {
  if (holdsSecret(values))
    throw new SealwardError(
      "unbound",
      "The file holds a Secret that is not sealed as one: under a seal.yaml a Secret is a file of its own, with a binding",
      { file: file.file },
    );
}

/** A Secret whose clear names were changed, so that it passes for another file, keeps its binding: that opens in one place only. */
function assertNoBinding(file: StoreFile): void {
  if (holdsBinding(file))
    throw new SealwardError("shape-invalid", "The file has the binding of a sealed Secret, and is none", {
      file: file.file,
    });
}

/** Identities of other environments open nothing here, whatever an entry is called. */
export function ownIdentities(identities: readonly Identity[], environment: EnvironmentPolicy): readonly Identity[] {
  return identities.filter(({ recipient }) => isListed(environment, recipient));
}
