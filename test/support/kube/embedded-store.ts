// Where the embedded API server keeps its objects: one growing resourceVersion for everything, the history that watches
// replay, and its compaction. Knows no kinds, no rules and no HTTP; it believes what it is given.
import { type KubeObject, keyOf, type OwnerReference, without } from "./embedded-objects.ts";

export interface Change {
  readonly version: number;
  readonly storage: string;
  readonly previous: KubeObject | undefined;
  /** What it is now; of a deletion the last state, with the resourceVersion of the deletion. */
  readonly object: KubeObject;
  readonly deleted: boolean;
}

const maxHistory = 50_000;

export class Store {
  #version = 1;
  #compacted = 0;
  #history: Change[] = [];
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #byUid = new Map<string, KubeObject>();
  readonly #listeners = new Set<(change: Change) => void>();

  get version(): number {
    return this.#version;
  }

  /** History up to this version is gone: whoever wants to hear what came after an older one must list again. */
  get compacted(): number {
    return this.#compacted;
  }

  get(storage: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(storage)?.get(keyOf(namespace, name));
  }

  byUid(uid: string): KubeObject | undefined {
    return this.#byUid.get(uid);
  }

  /** Sorted by namespace and name, as etcd gives them. */
  list(storage: string, namespace?: string): KubeObject[] {
    const all = [...(this.#objects.get(storage) ?? [])];
    const wanted = namespace === undefined ? all : all.filter(([key]) => key.startsWith(`${namespace}/`));
    return wanted.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  storages(): string[] {
    return [...this.#objects.keys()];
  }

  put(storage: string, given: KubeObject): KubeObject {
    const object = this.#stamped(given);
    const objects = this.#objects.get(storage) ?? new Map<string, KubeObject>();
    this.#objects.set(storage, objects);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = objects.get(key);
    objects.set(key, object);
    this.#byUid.set(object.metadata.uid, object);
    this.#record({ version: this.#version, storage, previous, object, deleted: false });
    return object;
  }

  /** The last state of what must be there. */
  remove(storage: string, namespace: string | undefined, name: string): KubeObject {
    const key = keyOf(namespace, name);
    const previous = this.#objects.get(storage)?.get(key);
    if (previous === undefined) throw new Error(`cannot remove ${storage} ${key}: it is not there`);
    this.#objects.get(storage)?.delete(key);
    this.#byUid.delete(previous.metadata.uid);
    const object = this.#stamped(previous);
    this.#record({ version: this.#version, storage, previous, object, deleted: true });
    return object;
  }

  /** Drops the owner references that are not to be kept. */
  keepOwners(storage: string, object: KubeObject, isKept: (owner: OwnerReference) => boolean): void {
    const { ownerReferences = [] } = object.metadata;
    const kept = ownerReferences.filter(isKept);
    if (kept.length === ownerReferences.length) return;
    const metadata = {
      ...without(object.metadata, "ownerReferences"),
      ...(kept.length === 0 ? {} : { ownerReferences: kept }),
    };
    this.put(storage, { ...object, metadata });
  }

  /** What happened to one kind after a version; undefined when that is no longer known. */
  since(storage: string, version: number): Change[] | undefined {
    // As etcd: a watch starts at version + 1, and the compacted version itself can still be asked for.
    if (version + 1 < this.#compacted) return undefined;
    return this.#history.filter((change) => change.version > version && change.storage === storage);
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
  }

  #stamped(object: KubeObject): KubeObject {
    this.#version += 1;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
  }

  #record(change: Change): void {
    this.#history.push(change);
    if (this.#history.length > maxHistory) {
      this.#history = this.#history.slice(maxHistory / 2);
      this.#compacted = this.#history[0]?.version ?? this.#version;
    }
    for (const listener of [...this.#listeners]) listener(change);
  }
}
