// The gate: the one place that decides whether a sealed file may be opened here. Named steps in a fixed order; the first
// that fails throws and nothing is decrypted after it. Steps 1 to 3 need no key (`checkSealed`).
// Two steps of the design come with what they check: `sealer` with signatures, `context` with KMS recipients. Until then
// no environment can list a KMS recipient, so a file with a KMS entry ends at `recipients`.
import { createSecretKey, type KeyObject } from "node:crypto";
import { isWrappedForOne, stanzaKinds, unwrapDataKey } from "./age.ts";
import type { AgeIdentity } from "./age-keys.ts";
import { type Binding, bindingDifference, bindingOf, bindingPath, type Place, parseBinding } from "./binding.ts";
import { documentDigest } from "./bytes.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { type ErrorCode, quoteName, SealwardError } from "./errors.ts";
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
import { metadataNode, readSopsMetadata, type SopsMetadata, unknownCollection } from "./sops-metadata.ts";
import { assertMac, type ClearLeaf, leavesOf, macOf, notAuthentic, openLeaves, type Selection } from "./sops-tree.ts";
import { aadOfPath, dataKeyLength, decryptValue, parseEncrypted } from "./sops-value.ts";
import { parseYaml } from "./yaml-source.ts";

/** Selects the binding and all of data and stringData, and is compared as text: no reader can take it another way. */
export const sealedRegex = "^(data|stringData|sealward\\.dev/binding)$";
/** What unbound files of other tools have; accepted only for documents that an environment lists by digest. */
export const unboundRegex = "^(data|stringData)$";

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

/** Something that does not stop an opening but that someone should know. */
export interface Notice {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A file that passed the keyless steps. */
export interface Checked {
  readonly manifest: Manifest;
  readonly metadata: SopsMetadata;
  readonly place: Place;
  readonly bound: boolean;
  readonly info: SealedInfo;
  readonly notices: readonly Notice[];
  readonly digest: string;
}

/** A file that passed the whole gate. `dataKey` stays within src. */
export interface Opened extends Checked {
  readonly binding: Binding | null;
  readonly leaves: readonly ClearLeaf[];
  readonly dataKey: KeyObject;
}

/** Steps 1 to 3. Throws the first step's refusal. */
export function check(document: string, expectation: Expectation, file?: string): Checked {
  const digest = documentDigest(document);
  const sealed = wellFormed(document, file);
  const bound = sealed.manifest.annotations.has(bindingAnnotation);
  if (!bound) acceptUnbound(sealed, expectation.environment, digest);
  const place = environment(sealed.manifest, expectation, bound);
  const notices = recipients(sealed, expectation.environment);
  const { namespace, name, scope } = place;
  return {
    ...sealed,
    place,
    bound,
    notices,
    digest,
    info: { environment: place.environment, scope, namespace, name, type: sealed.manifest.type },
  };
}

/** All steps. */
export async function open(
  document: string,
  expectation: Expectation,
  options: { readonly identities: readonly AgeIdentity[]; readonly file?: string | undefined },
): Promise<Opened> {
  const checked = check(document, expectation, options.file);
  const dataKey = unwrap(checked.metadata, {
    identities: options.identities,
    environment: expectation.environment,
    file: options.file,
  });
  const binding = checked.bound ? matchingBinding(checked, dataKey) : null;
  const leaves = integrity(checked, dataKey);
  return { ...checked, binding, leaves, dataKey };
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
  const metadata = readSopsMetadata(source);
  const binding = manifest.annotations.get(bindingAnnotation);
  const regex = binding === undefined ? unboundRegex : sealedRegex;
  if (metadata.rule?.name !== "encrypted_regex" || metadata.rule.pattern !== regex) {
    const message =
      binding === undefined ? "The file has no binding" : `encrypted_regex must be exactly ${sealedRegex}`;
    throw source.refusal(binding === undefined ? "unbound" : "shape-invalid", message, metadata.block);
  }
  if (metadata.onlyEncrypted)
    throw source.refusal(
      "shape-invalid",
      "mac_only_encrypted is not allowed: clear fields would not be part of the MAC",
      metadata.block,
    );
  const unknown = unknownCollection(metadata.block);
  if (unknown !== undefined)
    throw source.refusal(
      "recipient-foreign",
      `The sops block has entries under ${quoteName(unknown)}, a kind of recipient that no environment can list`,
      metadata.block,
    );
  if (metadata.hasKeyGroups)
    throw source.refusal("shape-invalid", "key_groups are not allowed in a sealed file", metadata.block);
  if (binding !== undefined) assertBindingLeaf(manifest);
  const ids = metadata.recipients.map(({ kind, id }) => `${kind} ${id}`);
  if (new Set(ids).size < ids.length)
    throw source.refusal("sops-metadata-invalid", "The sops block lists a recipient twice", metadata.block);
  return { manifest, metadata };
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
    metadata.block,
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

/** Step 3: nobody outside the environment can open the file; who inside cannot is told. */
function recipients(
  { manifest, metadata }: { readonly manifest: Manifest; readonly metadata: SopsMetadata },
  policy: EnvironmentPolicy,
): Notice[] {
  const foreign = metadata.recipients.find(({ kind, id }) => kind !== "age" || !policy.ageRecipients.includes(id));
  if (foreign !== undefined) {
    throw manifest.source.refusal(
      "recipient-foreign",
      `The file can be opened by the ${foreign.kind} recipient ${printableId(foreign.id)}, which is none of ${policy.name}`,
      metadata.block,
    );
  }
  for (const { recipient, enc } of metadata.age) {
    const kinds = stanzaKinds(enc);
    if (kinds === null)
      throw manifest.source.refusal(
        "sops-metadata-invalid",
        `The entry of ${recipient} is no age file`,
        metadata.block,
      );
    if (!isWrappedForOne(enc))
      throw manifest.source.refusal(
        "recipient-foreign",
        `The entry of ${recipient} is wrapped for ${kinds.length} keys, one is allowed: somebody else can open it`,
        metadata.block,
      );
  }
  if (metadata.age.length === 0)
    throw manifest.source.refusal("sops-metadata-invalid", "The sops block lists no recipient", metadata.block);
  const missing = policy.ageRecipients.filter(
    (recipient) => !metadata.age.some((entry) => entry.recipient === recipient),
  );
  if (missing.length === 0) return [];
  const message = `The file cannot be opened by ${missing.join(", ")}, which ${policy.name} lists`;
  if (policy.strictRecipients) throw manifest.source.refusal("recipient-missing", message, metadata.block);
  return [{ code: "recipient-missing", message }];
}

/** An identifier from a file, safe to print: a secret key pasted in its place must not reach a terminal. */
export function printableId(id: string): string {
  return /^[A-Za-z0-9:/._@+-]{1,200}$/.test(id) && !/secret/i.test(id) ? id : "(not printable)";
}

/** Step 6: an identity of the environment opens the entry that names it. No other identity is tried: a label proves nothing. */
function unwrap(
  { age }: SopsMetadata,
  {
    identities,
    environment: policy,
    file,
  }: {
    readonly identities: readonly AgeIdentity[];
    readonly environment: EnvironmentPolicy;
    readonly file: string | undefined;
  },
): KeyObject {
  const own = identities.filter(({ recipient }) => policy.ageRecipients.includes(recipient));
  const pairs = age.flatMap((entry) =>
    own.filter(({ recipient }) => recipient === entry.recipient).map((identity) => ({ entry, identity })),
  );
  if (pairs.length === 0) throw noIdentity(identities.length, { age, environment: policy.name, file });
  for (const { entry, identity } of pairs) {
    const dataKey = unwrapDataKey(entry.enc, identity);
    if (dataKey?.length === dataKeyLength) return takeKey(dataKey);
  }
  throw notAuthentic(file);
}

/** A key object from key bytes, which are wiped. */
export function takeKey(bytes: Uint8Array): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** The refusal where no identity at hand opens any entry. */
export function noIdentity(
  count: number,
  {
    age,
    environment: name,
    file,
  }: { readonly age: SopsMetadata["age"]; readonly environment?: string; readonly file: string | undefined },
): SealwardError {
  const wanted = age.map(({ recipient }) => printableId(recipient)).join(", ");
  const whose = name === undefined ? "" : ` of ${name}`;
  if (count === 0)
    return new SealwardError(
      "identity-missing",
      `No age identity was found; the file opens with an identity${whose} for ${wanted}`,
      { file },
    );
  return new SealwardError(
    "identity-unmatched",
    `None of the ${count} age identities found opens the file; it opens with an identity${whose} for ${wanted}`,
    { file },
  );
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
function integrity({ manifest, metadata, bound }: Checked, dataKey: KeyObject): ClearLeaf[] {
  return verify(manifest, metadata, { key: dataKey, selected: bound ? isSealedPath : isUnboundPath });
}

export function verify(
  { source }: Manifest,
  metadata: SopsMetadata,
  options: { readonly key: KeyObject; readonly selected: Selection },
): ClearLeaf[] {
  const leaves = openLeaves(source, leavesOf(source), options);
  const computed = macOf(leaves, { onlyEncrypted: false, selected: options.selected });
  assertMac(metadataNode(metadata.block, "mac") === null ? "" : metadata.mac, computed, {
    key: options.key,
    lastModified: metadata.lastModified,
    file: source.file,
  });
  return leaves;
}

/** The meaning of {@link sealedRegex}: any component of the path is one of the three names. */
export const isSealedPath: Selection = (path) =>
  path.some((part) => part === "data" || part === "stringData" || part === bindingAnnotation);
export const isUnboundPath: Selection = (path) => path.some((part) => part === "data" || part === "stringData");
