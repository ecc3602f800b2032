// What kube-controller-manager does beside the embedded API server: deletes what lost its owners, empties namespaces that
// are being deleted, and gives every namespace its `default` ServiceAccount. Acts soon after a change, not at once.
import type { Kinds } from "./embedded-kinds.ts";
import type { KubeObject, OwnerReference } from "./embedded-objects.ts";
import type { Store } from "./embedded-store.ts";
import type { Writes } from "./embedded-writes.ts";

const delayMs = 10;
const options = { manager: "kube-controller-manager", dryRun: false };

export class Controllers {
  readonly #store: Store;
  readonly #kinds: Kinds;
  readonly #writes: Writes;
  #timer: NodeJS.Timeout | undefined;
  readonly #unsubscribe: () => void;

  constructor(store: Store, kinds: Kinds, writes: Writes) {
    this.#store = store;
    this.#kinds = kinds;
    this.#writes = writes;
    this.#unsubscribe = store.subscribe(({ object, storage }) => {
      const concerns =
        object === undefined || storage === "namespaces" || (object.metadata.ownerReferences?.length ?? 0) > 0;
      if (concerns) this.#wake();
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
      for (const namespace of this.#store.list("namespaces")) this.#tendNamespace(namespace);
      for (const storage of this.#store.storages())
        for (const object of this.#store.list(storage)) this.#collect(storage, object);
    }, delayMs).unref();
  }

  #tendNamespace(namespace: KubeObject): void {
    const { name, deletionTimestamp } = namespace.metadata;
    if (deletionTimestamp === undefined) {
      if (this.#store.get("serviceaccounts", name, "default") === undefined)
        this.#create("serviceaccounts", name, { metadata: { name: "default" } });
      if (this.#store.get("configmaps", name, "kube-root-ca.crt") === undefined)
        this.#create("configmaps", name, { metadata: { name: "kube-root-ca.crt" }, data: { "ca.crt": "" } });
      return;
    }
    for (const storage of this.#store.storages())
      for (const object of this.#store.list(storage, name)) this.#remove(storage, object);
    const left = this.#store.storages().some((storage) => this.#store.list(storage, name).length > 0);
    if (!left) this.#writes.finalizeNamespace(namespace);
  }

  #create(plural: string, namespace: string, body: object): void {
    const kind = this.#kinds.find("", "v1", plural);
    if (kind !== undefined) this.#writes.create({ kind, namespace, name: "", subresource: "" }, body, options);
  }

  #remove(storage: string, object: KubeObject): void {
    const kind = this.#kinds.byStorage(storage);
    const { namespace, name } = object.metadata;
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
    const references = object.metadata.ownerReferences ?? [];
    if (references.length === 0) return;
    const left = references.filter((reference) => this.#isThere(reference, object.metadata.namespace));
    if (left.length === 0) this.#remove(storage, object);
    else if (left.length < references.length) {
      this.#store.put(storage, { ...object, metadata: { ...object.metadata, ownerReferences: left } });
    }
  }
}
