// What kube-controller-manager does beside the embedded API server: deletes what lost its owners, empties namespaces that
// are being deleted, and gives every namespace its `default` ServiceAccount. Acts soon after a change, not at once.
import type { Kinds } from "./embedded-kinds.ts";
import type { KubeObject, OwnerReference } from "./embedded-objects.ts";
import type { Store } from "./embedded-store.ts";
import type { Writes } from "./embedded-writes.ts";

const delayMs = 10;
const options = { manager: "kube-controller-manager", dryRun: false };
const ofNamespace = {
  serviceaccounts: { metadata: { name: "default" } },
  configmaps: { metadata: { name: "kube-root-ca.crt" } },
};

export class Controllers {
  readonly #store: Store;
  readonly #kinds: Kinds;
  readonly #writes: Writes;
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, kinds: Kinds, writes: Writes) {
    this.#store = store;
    this.#kinds = kinds;
    this.#writes = writes;
    this.#unsubscribe = store.subscribe(({ object, deleted, storage }) => {
      if (deleted || storage === "namespaces" || object.metadata.ownerReferences !== undefined) this.#wake();
    });
    this.#wake();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#unsubscribe();
  }

  #wake(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const namespace of this.#store.list("namespaces")) {
        if (namespace.metadata.deletionTimestamp === undefined) this.#furnish(namespace.metadata.name);
        else this.#empty(namespace.metadata.name);
      }
      for (const storage of this.#store.storages()) {
        for (const object of this.#store.list(storage)) this.#collect(storage, object);
      }
    }, delayMs).unref();
  }

  #furnish(namespace: string): void {
    for (const [plural, body] of Object.entries(ofNamespace)) {
      const kind = this.#kinds.find("", "v1", plural);
      const missing = this.#store.get(plural, namespace, body.metadata.name) === undefined;
      if (kind !== undefined && missing)
        this.#writes.create({ kind, namespace, name: "", subresource: "" }, body, options);
    }
  }

  #empty(namespace: string): void {
    const storages = this.#store.storages();
    for (const storage of storages)
      for (const object of this.#store.list(storage, namespace)) this.#remove(storage, object);
    const isLeft = storages.some((storage) => this.#store.list(storage, namespace).length > 0);
    if (!isLeft) this.#store.remove("namespaces", undefined, namespace);
  }

  #remove(storage: string, { metadata: { namespace, name } }: KubeObject): void {
    const kind = this.#kinds.byStorage(storage);
    // An earlier removal of the same round may have taken it along.
    if (kind === undefined || this.#store.get(storage, namespace, name) === undefined) return;
    this.#writes.remove({ kind, namespace, name, subresource: "" }, {}, options);
  }

  #isThere(reference: OwnerReference, namespace: string | undefined): boolean {
    const owner = this.#store.byUid(reference.uid);
    if (owner === undefined || owner.kind !== reference.kind || owner.metadata.name !== reference.name) return false;
    // An owner in another namespace is none.
    return owner.metadata.namespace === undefined || owner.metadata.namespace === namespace;
  }

  #collect(storage: string, object: KubeObject): void {
    const { namespace, ownerReferences = [] } = object.metadata;
    const isKept = (owner: OwnerReference): boolean => this.#isThere(owner, namespace);
    if (ownerReferences.some(isKept)) this.#store.keepOwners(storage, object, isKept);
    else if (ownerReferences.length > 0) this.#remove(storage, object);
  }
}
