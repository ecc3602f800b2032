// The binding of an opened SOPS file, held against the file's own fields: for files that no seal.yaml governs, and for
// binding anew. Confirms no environment.
import type { KeyObject } from "node:crypto";
import { type Binding, bindingDifference, bindingOf } from "./binding.ts";
import { SealwardError } from "./errors.ts";
import { openBinding } from "./gate.ts";
import { contextOf, type EncryptionContext, environmentContext, isOurContext } from "./kms.ts";
import { bindingAnnotation, environmentAnnotation, readManifestShape, scopeAnnotation, scopes } from "./manifest.ts";
import { assertContexts, type RefuseAs } from "./recipients.ts";
import { metadataOf, type OpenedFile, type OpenFileOptions, openFile } from "./sops-file.ts";
import type { StoreFile } from "./store.ts";
import { isMap, type YamlSource } from "./yaml-source.ts";
import { YamlFile } from "./yaml-store.ts";

/** Null for a file that is not bound. @throws not-authentic, and binding-mismatch where it must agree and does not */
export function ownBinding(
  file: StoreFile,
  key: KeyObject,
  { mustAgree }: { readonly mustAgree: boolean },
): Binding | null {
  const [source, second] = file instanceof YamlFile ? file.sources : [];
  const annotations: unknown = source?.root.getIn(["metadata", "annotations"]);
  if (source === undefined || second !== undefined || !isMap(annotations) || !annotations.has(bindingAnnotation))
    return null;
  const manifest = readManifestShape(source);
  const binding = openBinding(manifest, key);
  if (!mustAgree) return binding;
  const environment = manifest.annotations.get(environmentAnnotation)?.value ?? "";
  const own = { environment, scope: binding.scope, namespace: manifest.namespace, name: manifest.name };
  const difference = bindingDifference(binding, bindingOf(manifest, own, binding.nonce));
  if (difference !== null) throw source.refusal("binding-mismatch", `The file is not as it was bound: ${difference}`);
  return binding;
}

/**
 * KMS entries that say where they belong agree with what the file says of itself, before KMS is asked: a file that was
 * copied brings its entries along. @throws context-mismatch; unbound for a Secret that has such an entry and no binding
 */
function assertOwnContexts(file: StoreFile): void {
  const metadata = metadataOf(file);
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

/** Opens a file as SOPS would; a binding that is there must agree with the file's own fields, before any value is opened. */
export async function openConfirmed(
  file: StoreFile,
  options: OpenFileOptions,
): Promise<{ readonly opened: OpenedFile; readonly bound: boolean }> {
  assertOwnContexts(file);
  let bound = false;
  const opened = await openFile(file, {
    ...options,
    confirm: (_, key) => {
      bound = ownBinding(file, key, { mustAgree: true }) !== null;
    },
  });
  return { opened, bound };
}
