// The encryption contexts of a file that no seal.yaml governs, held against what the file says of itself. Confirms no
// environment: it only keeps entries that say where they belong from opening something else.
import { SealwardError } from "./errors.ts";
import { contextOf, type EncryptionContext, environmentContext, isOurContext } from "./kms.ts";
import { bindingAnnotation, environmentAnnotation, readManifestShape, scopeAnnotation, scopes } from "./manifest.ts";
import { assertContexts, type RefuseAs } from "./recipients.ts";
import type { SopsMetadata } from "./sops-metadata.ts";
import type { StoreFile } from "./store.ts";
import type { YamlSource } from "./yaml-source.ts";
import { YamlFile } from "./yaml-store.ts";

/**
 * KMS entries that say where they belong agree with what the file says of itself, before KMS is asked: a file that was
 * copied brings its entries along. @throws context-mismatch; unbound for a Secret that has such an entry and no binding
 */
export function assertOwnContexts(file: StoreFile, metadata: SopsMetadata): void {
  const own = metadata.kms.find(({ context }) => isOurContext(context));
  if (own === undefined) return;
  const place = file.placeOf(file.metadataOffset);
  const refuse: RefuseAs = (code, message) => new SealwardError(code, message, place);
  const [source, second] = file instanceof YamlFile ? file.sources : [];
  const isSecret = source !== undefined && second === undefined && source.root.get("kind") === "Secret";
  const expected = isSecret
    ? ownContext(source, refuse)
    : environmentContext(own.context["sealward-environment"] ?? "");
  assertContexts(metadata, expected, refuse);
}

function ownContext(source: YamlSource, refuse: RefuseAs): EncryptionContext {
  const { annotations, namespace, name } = readManifestShape(source);
  if (!annotations.has(bindingAnnotation))
    throw refuse("unbound", "The file's KMS entry says where it belongs, and the file has no binding that confirms it");
  const environment = annotations.get(environmentAnnotation)?.value ?? "";
  const scope = scopes.find((known) => known === annotations.get(scopeAnnotation)?.value) ?? "strict";
  return contextOf({ environment, scope, namespace, name });
}
