// The gate: the one place that decides whether a sealed file may be opened here. Named steps in a fixed order; the first
// that fails throws and nothing is decrypted after it. Steps 1 to 5 need no key (`checkSealed`).
// One step of the design comes with what it checks: `sealer` with signatures.
import type { KeyObject } from "node:crypto";
import type { Node } from "yaml";
import { isSameRecipient } from "./age-keys.ts";
import { type Binding, bindingDifference, bindingOf, bindingPath, type Place, parseBinding } from "./binding.ts";
import { documentDigest } from "./bytes.ts";
import { type Identity, noIdentity, type Unwrapped, unwrapFile } from "./data-key.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { quoteName } from "./errors.ts";
import { contextOf, type EncryptionContext, isSameKey, KmsIdentity } from "./kms.ts";
import {
  assertSealedValue,
  assertSecret,
  bindingAnnotation,
  environmentAnnotation,
  type Manifest,
  readManifestShape,
  type Scope,
  scopeAnnotation,
  scopes,
} from "./manifest.ts";
import {
  assertContexts,
  assertRecipients,
  checkRecipients,
  isListed,
  type Notice,
  type RefuseAs,
} from "./recipients.ts";
import type { Selection, SelectionRule } from "./selection.ts";
import { type Opened as OpenedSops, openWith } from "./sops-file.ts";
import { readSopsMetadata, type SopsMetadata } from "./sops-metadata.ts";
import { notAuthentic } from "./sops-tree.ts";
import { aadOfPath, decryptValue, parseEncrypted } from "./sops-value.ts";
import { metadataPair, readYamlMetadata } from "./yaml-metadata.ts";
import { parseYaml, type YamlSource } from "./yaml-source.ts";
import { YamlFile } from "./yaml-store.ts";

/** Selects the binding and all of data and stringData, and is compared as text: no reader can take it another way. */
export const sealedRule: SelectionRule = {
  name: "encrypted_regex",
  pattern: "^(data|stringData|sealward\\.dev/binding)$",
};
/** What unbound files of other tools have; accepted only for documents that an environment lists by digest. */
export const unboundRule: SelectionRule = { name: "encrypted_regex", pattern: "^(data|stringData)$" };

const secretMaps = ["data", "stringData"];
/** The meaning of {@link sealedRule}. */
export const sealedSelection: Selection = selectionOf([...secretMaps, bindingAnnotation]);
const unboundSelection: Selection = selectionOf(secretMaps);

function selectionOf(names: readonly string[]): Selection {
  return { asks: "key", matches: (component) => names.includes(component), encryptsMatches: true };
}

/** Where a file is expected to belong and where it is about to be opened. */
export interface Expectation {
  readonly environment: EnvironmentPolicy;
  /** `own`: the file's own namespace and name, for a front end that writes nowhere. */
  readonly target: { readonly namespace?: string | undefined; readonly name: string } | "own";
}

export interface SealedInfo {
  readonly environment: string;
  readonly scope: Scope;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly type: string;
}

/** A file that passed the keyless steps. */
export interface Checked {
  readonly manifest: Manifest;
  readonly metadata: SopsMetadata;
  readonly place: Place;
  readonly bound: boolean;
  readonly info: SealedInfo;
  readonly notices: readonly Notice[];
  /** What every KMS entry carries, worked out here. */
  readonly context: EncryptionContext;
}

/** A file that passed the whole gate. `dataKey` stays within src. */
export interface Opened extends Checked {
  readonly binding: Binding | null;
  readonly opened: OpenedSops;
  readonly unwrapped: Unwrapped;
}

/** Steps 1 to 5. Throws the first step's refusal. */
export function check(document: string, expectation: Expectation, file?: string): Checked {
  const sealed = wellFormed(document, file);
  const bound = sealed.manifest.annotations.has(bindingAnnotation);
  if (!bound) acceptUnbound(sealed, expectation.environment, documentDigest(document));
  const place = environment(sealed.manifest, expectation, bound);
  const { source } = sealed.manifest;
  const refuse: RefuseAs = (code, message) => source.refusal(code, message, blockOf(source));
  const notices = checkRecipients(sealed.metadata, expectation.environment, refuse);
  const context = contextOf(place);
  assertContexts(sealed.metadata, context, refuse);
  const { namespace, name, scope } = place;
  return {
    ...sealed,
    place,
    bound,
    notices,
    context,
    info: { environment: place.environment, scope, namespace, name, type: sealed.manifest.type },
  };
}

/** All steps. */
export async function open(
  document: string,
  expectation: Expectation,
  options: { readonly identities: readonly Identity[]; readonly file?: string | undefined },
): Promise<Opened> {
  const checked = check(document, expectation, options.file);
  const unwrapped = await unwrap(checked, {
    identities: options.identities,
    environment: expectation.environment,
    file: options.file,
  });
  const { key } = unwrapped;
  const binding = checked.bound ? matchingBinding(checked, key) : null;
  return { ...checked, binding, opened: integrity(checked, key), unwrapped };
}

/** Step 1: parses one way for every reader, within limits, and has the closed shape. */
function wellFormed(
  document: string,
  file: string | undefined,
): { readonly manifest: Manifest; readonly metadata: SopsMetadata } {
  const source = parseYaml(document, { file });
  assertSecret(source);
  if (!source.root.has("sops")) throw source.refusal("not-sealed", "The file has no sops block: it is not sealed");
  const manifest = readManifestShape(source);
  const metadata = secretMetadata(source);
  const block = blockOf(source);
  const binding = manifest.annotations.get(bindingAnnotation);
  const { name, pattern } = binding === undefined ? unboundRule : sealedRule;
  if (metadata.rule?.name !== name || metadata.rule.pattern !== pattern) {
    const message = binding === undefined ? "The file has no binding" : `encrypted_regex must be exactly ${pattern}`;
    throw source.refusal(binding === undefined ? "unbound" : "shape-invalid", message, block);
  }
  if (metadata.onlyEncrypted)
    throw source.refusal(
      "shape-invalid",
      "mac_only_encrypted is not allowed: clear fields would not be part of the MAC",
      block,
    );
  assertRecipients(metadata, (code, message) => source.refusal(code, message, block));
  if (metadata.hasKeyGroups)
    throw source.refusal("shape-invalid", "key_groups are not allowed in a sealed file", block);
  if (binding !== undefined) assertBindingLeaf(manifest);
  return { manifest, metadata };
}

/** @throws not-sealed, sops-metadata-invalid */
export function secretMetadata(source: YamlSource): SopsMetadata {
  const raw = readYamlMetadata(source);
  if (raw === null) throw source.refusal("not-sealed", "The file has no sops block: it is not sealed");
  return readSopsMetadata(raw, (message) => source.refusal("sops-metadata-invalid", message, blockOf(source)));
}

function blockOf(source: YamlSource): Node | undefined {
  return (metadataPair(source)?.value ?? undefined) as Node | undefined;
}

function assertBindingLeaf({ source, annotations }: Manifest): void {
  const field = annotations.get(bindingAnnotation);
  if (field === undefined) return;
  // An empty or clear binding would pass SOPS: it is the ENC that authenticates the path.
  if (field.value === "")
    throw source.refusal("shape-invalid", `${bindingAnnotation} must be an encrypted text`, field.node);
  assertSealedValue(source, field, bindingAnnotation);
}

/** A file without a binding opens only where the environment lists that very document. */
function acceptUnbound(
  { manifest, metadata }: { readonly manifest: Manifest; readonly metadata: SopsMetadata },
  policy: EnvironmentPolicy,
  digest: string,
): void {
  if (policy.acceptedUnbound.includes(digest) && !metadata.recipients.some(({ kind }) => kind === "kms")) return;
  throw manifest.source.refusal(
    "unbound",
    `The file is not bound to an environment, so ${policy.name} does not open it`,
    blockOf(manifest.source),
  );
}

/** Step 2: the file's environment, scope and target are the ones expected here. */
function environment(manifest: Manifest, { environment: policy, target }: Expectation, bound: boolean): Place {
  const { source, annotations } = manifest;
  const claimed = annotations.get(environmentAnnotation);
  if (claimed === undefined ? bound : claimed.value !== policy.name) {
    const side = claimed === undefined ? "names no environment" : `is sealed for ${quoteName(claimed.value)}`;
    throw source.refusal(
      "environment-mismatch",
      `The file ${side}, this place is ${quoteName(policy.name)}`,
      claimed?.node ?? manifest.metadata,
    );
  }
  const scope = claimedScope(manifest, policy, bound);
  const own = { namespace: manifest.namespace, name: manifest.name };
  const { namespace, name } = target === "own" ? own : target;
  if (scope !== "environment" && manifest.namespace === undefined) {
    throw source.refusal("namespace-missing", `Scope ${scope} needs metadata.namespace`, manifest.metadata);
  }
  const differs = (what: string, mine: string | undefined, theirs: string | undefined) =>
    source.refusal(
      "target-mismatch",
      `The file is sealed for the ${what} ${quoteName(mine)}, this place is ${quoteName(theirs)}`,
      manifest.metadata,
    );
  if (scope !== "environment" && manifest.namespace !== namespace)
    throw differs("namespace", manifest.namespace, namespace);
  if (scope === "strict" && manifest.name !== name) throw differs("name", manifest.name, name);
  return { environment: policy.name, scope, namespace, name };
}

function claimedScope({ source, annotations, metadata }: Manifest, policy: EnvironmentPolicy, bound: boolean): Scope {
  const claim = annotations.get(scopeAnnotation);
  const scope = claim === undefined && !bound ? "strict" : scopes.find((known) => known === claim?.value);
  if (scope === undefined) {
    throw source.refusal(
      "shape-invalid",
      `${scopeAnnotation} must be one of ${scopes.join(", ")}`,
      claim?.node ?? metadata,
    );
  }
  if (!policy.scopes.includes(scope)) {
    throw source.refusal(
      "scope-not-allowed",
      `The file has scope ${scope}, ${policy.name} allows ${policy.scopes.join(", ")}`,
      claim?.node ?? metadata,
    );
  }
  return scope;
}

/** Step 6: an identity of the environment opens the entry that names it. No other identity is tried: a label proves nothing. */
async function unwrap(
  { metadata, context }: Checked,
  {
    identities,
    environment: policy,
    file,
  }: {
    readonly identities: readonly Identity[];
    readonly environment: EnvironmentPolicy;
    readonly file: string | undefined;
  },
): Promise<Unwrapped> {
  const own = identities.filter(({ recipient }) => isListed(policy, recipient));
  if (!own.some((identity) => isNamed(identity, metadata)))
    throw noIdentity(identities, { age: metadata.age, kms: metadata.kms, environment: policy.name, file });
  return unwrapFile(metadata, { identities: own, namedOnly: true, contextOf: () => context, file });
}

function isNamed(identity: Identity, { age, kms }: SopsMetadata): boolean {
  return identity instanceof KmsIdentity
    ? kms.some(({ arn }) => isSameKey(arn, identity.recipient))
    : age.some(({ recipient }) => isSameRecipient(recipient, identity.recipient));
}

/** Step 7: what the file is bound to is where it is about to be opened. */
function matchingBinding({ manifest, place }: Checked, dataKey: KeyObject): Binding {
  const binding = openBinding(manifest, dataKey);
  const difference = bindingDifference(binding, bindingOf(manifest, place, binding.nonce));
  if (difference !== null)
    throw manifest.source.refusal(
      "binding-mismatch",
      `The file is ${difference.startsWith("bound") ? difference : `not as it was bound: ${difference}`}`,
    );
  return binding;
}

/** The decrypted binding. @throws not-authentic */
export function openBinding({ source, annotations }: Manifest, dataKey: KeyObject): Binding {
  const encrypted = parseEncrypted(annotations.get(bindingAnnotation)?.value ?? "");
  const bytes = encrypted === null ? null : decryptValue(encrypted, dataKey, aadOfPath(bindingPath));
  const binding = bytes === null ? null : parseBinding(bytes);
  if (binding === null) throw notAuthentic(source.file);
  return binding;
}

/** Step 8: every value opens, and the MAC agrees. */
function integrity({ manifest, metadata, bound }: Checked, key: KeyObject): OpenedSops {
  const { text, file } = manifest.source;
  const selection = bound ? sealedSelection : unboundSelection;
  return openWith(new YamlFile(text, file, [manifest.source]), metadata, { key, selection });
}
