// Where the embedded API server keeps its objects: one growing resourceVersion for everything, the history that watches
// replay, and its compaction. Knows no kinds, no rules and no HTTP; it believes what it is given.
import type { KubeObject } from "./embedded-objects.ts";

export interface Change {
  readonly version: number;
  readonly storage: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  /** What it is now; of a deletion the last state, with the resourceVersion of the deletion. */
  readonly object: KubeObject;
}

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ""}/${name}`;

/** Every kind has a storage of its own, by the name that Kind.storage gives it. */
export class Store {
  #version = 1;
  #compacted = 0;
  #history: Change[] = [];
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(change: Change) => void>();

  get version(): number {
    return this.#version;
  }

  get(storage: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(storage)?.get(keyOf(namespace, name));
  }

  /** Sorted by namespace and name, as etcd gives them. */
  list(storage: string, namespace?: string): KubeObject[] {
    const all = [...(this.#objects.get(storage) ?? [])];
    const wanted = namespace === undefined ? all : all.filter(([key]) => key.startsWith(`${namespace}/`));
    return wanted.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Everything there is, of every kind. */
  all(): { storage: string; object: KubeObject }[] {
    return [...this.#objects.keys()].flatMap((storage) => this.list(storage).map((object) => ({ storage, object })));
  }

  put(storage: string, given: KubeObject): KubeObject {
    const objects = this.#objects.get(storage) ?? new Map<string, KubeObject>();
    this.#objects.set(storage, objects);
    const key = keyOf(given.metadata.namespace, given.metadata.name);
    const type = objects.has(key) ? "MODIFIED" : "ADDED";
    const object = this.#stamped(given);
    objects.set(key, object);
    this.#record(storage, type, object);
    return object;
  }

  remove(storage: string, { metadata: { namespace, name } }: KubeObject): void {
    const last = this.get(storage, namespace, name);
    if (last === undefined) return;
    this.#objects.get(storage)?.delete(keyOf(namespace, name));
    this.#record(storage, "DELETED", this.#stamped(last));
  }

  /** What happened to one kind after a version; undefined when that is no longer known. */
  since(storage: string, version: number): Change[] | undefined {
    // As etcd: a watch starts at version + 1, and the compacted version itself can still be asked for.
    if (version + 1 < this.#compacted) return undefined;
    return this.#history.filter((change) => change.version > version && change.storage === storage);
  }

  /** Calls the listener with every change from now on, until the function it gives is called. */
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

  #record(storage: string, type: Change["type"], object: KubeObject): void {
    const change: Change = { version: this.#version, storage, type, object };
    this.#history.push(change);
    for (const listener of this.#listeners) listener(change);
  }
}
