// The binding of an opened SOPS file, held against the file's own fields: for files that no seal.yaml governs, and for
// binding anew. Confirms no environment.
import type { KeyObject } from "node:crypto";
import { type Binding, bindingDifference, bindingOf } from "./binding.ts";
import { openBinding } from "./gate.ts";
import { environmentAnnotation, readManifestShape } from "./manifest.ts";
import { boundManifest } from "./own-context.ts";
import { type OpenedFile, type OpenFileOptions, openFile } from "./sops-file.ts";
import type { StoreFile } from "./store.ts";

/**
 * Null for a file that is not bound. @throws not-authentic, binding-mismatch where it must agree and does not, and
 * several-documents or shape-invalid where something else than one manifest has a binding
 */
export function ownBinding(
  file: StoreFile,
  key: KeyObject,
  { mustAgree }: { readonly mustAgree: boolean },
): Binding | null {
  const source = boundManifest(file);
  if (source === null) return null;
  const manifest = readManifestShape(source);
  const binding = openBinding(manifest, key);
  if (!mustAgree) return binding;
  const environment = manifest.annotations.get(environmentAnnotation)?.value ?? "";
  const own = { environment, scope: binding.scope, namespace: manifest.namespace, name: manifest.name };
  const difference = bindingDifference(binding, bindingOf(manifest, own, binding.nonce));
  if (difference !== null) throw source.refusal("binding-mismatch", `The file is not as it was bound: ${difference}`);
  return binding;
}

/** Opens a file as SOPS would; a binding that is there must agree with the file's own fields, before any value is opened. */
export async function openConfirmed(
  file: StoreFile,
  options: OpenFileOptions,
): Promise<{ readonly opened: OpenedFile; readonly bound: boolean }> {
  // Known without a key, so none is used for what will be refused.
  boundManifest(file);
  let bound = false;
  const opened = await openFile(file, {
    ...options,
    confirm: (_, key) => {
      bound = ownBinding(file, key, { mustAgree: true }) !== null;
    },
  });
  return { opened, bound };
}
