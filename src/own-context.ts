// What a file that no seal.yaml governs says of where it belongs, held against itself: its binding stands in one manifest, and
// its KMS entries say the same as that. Confirms no environment: it only keeps what was copied from opening something else.
import { bindingPath } from "./binding.ts";
import { SealwardError } from "./errors.ts";
import { holdsSecret, matchNothing, type ReadValue, valuesIn } from "./holds-secret.ts";
import { contextOf, type EncryptionContext, isOurContext } from "./kms.ts";
import { environmentAnnotation, readManifestShape, scopeAnnotation, scopes } from "./manifest.ts";
import { assertContexts, assertEnvironmentContext, type RefuseAs } from "./recipients.ts";
import type { KmsEntry, SopsMetadata } from "./sops-metadata.ts";
import { entriesOf } from "./sops-tree.ts";
import { aadOfPath } from "./sops-value.ts";
import type { StoreFile, Value } from "./store.ts";
import type { YamlSource } from "./yaml-source.ts";
import { YamlFile } from "./yaml-store.ts";

/**
 * The manifest of a file that has a binding, null for one that has none. One that is written in another format, has further
 * documents, or spells the way to its binding otherwise, would be read as a file without a binding.
 * @throws several-documents, shape-invalid
 */
export function boundManifest(file: StoreFile): YamlSource | null {
  if (!holdsBinding(file)) return null;
  const [source, second] = file instanceof YamlFile ? file.sources : [];
  const isPlain = file.documents.some((document) => hasPath(document, bindingPath));
  if (isPlain && source !== undefined && second === undefined && source.root.get("kind") === "Secret") return source;
  throw new SealwardError(
    second === undefined ? "shape-invalid" : "several-documents",
    "The file has a binding, and is not a Secret in one YAML document as a sealed file is",
    { file: file.file },
  );
}

/**
 * True where some value would open as a binding, however its file is written: SOPS puts names together with colons and leaves
 * lists out, so other names can lead to the same additional data, and the MAC knows no names at all.
 */
export function holdsBinding(file: StoreFile): boolean {
  const { leaves } = entriesOf(file.documents, matchNothing, { isEncrypted: false });
  return leaves.some(({ aad }) => aad === bindingAad);
}

const bindingAad = aadOfPath(bindingPath);

function hasPath(value: Value, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return true;
  if (value.kind !== "map") return false;
  return value.items.some((item) => item.kind === "pair" && item.key === name && hasPath(item.value, rest));
}

/**
 * KMS entries that say where they belong agree with what the file says of itself, before KMS is asked: a file that was
 * copied brings its entries along. @throws context-mismatch; unbound for a Secret that has such an entry and no binding
 */
export function assertOwnContexts(file: StoreFile, metadata: SopsMetadata): void {
  const own = ownEntry(metadata);
  if (own === undefined) return;
  const source = boundManifest(file);
  if (source === null && holdsSecret(valuesIn(file.documents))) throw unbound(file);
  const place = file.placeOf(file.metadataOffset);
  const refuse: RefuseAs = (code, message) => new SealwardError(code, message, place);
  if (source === null) assertEnvironmentContext(metadata, own.context["sealward-environment"] ?? "", refuse);
  else assertContexts(metadata, ownContext(source), refuse);
}

/** Where everything is encrypted, it shows only when it is open that the file is a Secret. @throws unbound */
export function assertNoHiddenSecret(file: StoreFile, metadata: SopsMetadata, values: readonly ReadValue[]): void {
  const isClaimed = ownEntry(metadata) !== undefined && boundManifest(file) === null;
  if (isClaimed && holdsSecret(values)) throw unbound(file);
}

const ownEntry = ({ kms }: SopsMetadata): KmsEntry | undefined => kms.find(({ context }) => isOurContext(context));

function unbound(file: StoreFile): SealwardError {
  const message = "The file's KMS entry says where it belongs, and the file has no binding that confirms it";
  return new SealwardError("unbound", message, file.placeOf(file.metadataOffset));
}

function ownContext(source: YamlSource): EncryptionContext {
  const { annotations, namespace, name } = readManifestShape(source);
  const environment = annotations.get(environmentAnnotation)?.value ?? "";
  const scope = scopes.find((known) => known === annotations.get(scopeAnnotation)?.value) ?? "strict";
  return contextOf({ environment, scope, namespace, name });
}
