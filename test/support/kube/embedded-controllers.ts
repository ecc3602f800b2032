// What kube-controller-manager does beside the embedded API server: deletes what lost its owners, and empties namespaces
// that are being deleted. Acts soon after a change, not at once.
import type { KubeObject, OwnerReference } from "./embedded-objects.ts";
import type { Store } from "./embedded-store.ts";

const delayMs = 10;

function emptyNamespaces(store: Store): void {
  for (const namespace of store.list("v1/namespaces")) {
    if (namespace.metadata.deletionTimestamp === undefined) continue;
    for (const { storage, object } of store.all())
      if (object.metadata.namespace === namespace.metadata.name) store.remove(storage, object);
    store.remove("v1/namespaces", namespace);
  }
}

function isOwner({ kind, metadata }: KubeObject, reference: OwnerReference, namespace: string | undefined): boolean {
  // An owner in another namespace is none.
  const isReachable = metadata.namespace === undefined || metadata.namespace === namespace;
  return isReachable && metadata.uid === reference.uid && metadata.name === reference.name && kind === reference.kind;
}

function collectGarbage(store: Store): void {
  const all = store.all();
  for (const { storage, object } of all) {
    const { namespace, ownerReferences = [] } = object.metadata;
    const isThere = (reference: OwnerReference): boolean =>
      all.some((owner) => isOwner(owner.object, reference, namespace));
    if (ownerReferences.length > 0 && !ownerReferences.some(isThere)) store.remove(storage, object);
  }
}

/** Looks after the store from now on, until the function it gives is called. */
export function runControllers(store: Store): () => void {
  let timer: NodeJS.Timeout | undefined;
  const wake = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      emptyNamespaces(store);
      collectGarbage(store);
    }, delayMs).unref();
  };
  const unsubscribe = store.subscribe(wake);
  wake();
  return () => {
    clearTimeout(timer);
    unsubscribe();
  };
}
