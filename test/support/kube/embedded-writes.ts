// The writes of the embedded API server: create, replace, merge patch, server-side apply and delete, each as a real one
// orders them: decode, preconditions, strategy, validation, ownership, and no new version where nothing changed.
// Knows no HTTP and no permissions.
import { randomBytes, randomUUID } from "node:crypto";
import { type Author, applyConfiguration, trackUpdate } from "./embedded-apply.ts";
import { assertPreconditions, assertSize, decode, sideOf, type Target } from "./embedded-decode.ts";
import { established, type Kind, type Kinds } from "./embedded-kinds.ts";
import {
  equal,
  type KubeObject,
  type Metadata,
  mergePatch,
  objectOf,
  only,
  textOf,
  without,
} from "./embedded-objects.ts";
import { assertValid, normalized } from "./embedded-rules.ts";
import { alreadyExists, badRequest, conflict, forbidden, invalid, invalidValue, notFound } from "./embedded-status.ts";
import type { Store } from "./embedded-store.ts";

export interface WriteOptions {
  readonly manager: string;
  readonly dryRun: boolean;
}

// What of the metadata is the server's: a request neither sets nor changes it.
const ofServer = [
  ...["name", "namespace", "generateName", "uid", "resourceVersion", "generation", "managedFields", "selfLink"],
  ...["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"],
];

const keptNamespaces = ["default", "kube-system", "kube-public"];
const isDefinition = (kind: Kind): boolean => kind.kind === "CustomResourceDefinition";
const isHeld = (object: KubeObject): boolean =>
  (object.metadata.finalizers ?? []).length > 0 || object.kind === "Namespace";

export class Writes {
  readonly #store: Store;
  readonly #kinds: Kinds;
  readonly #now: () => Date;

  constructor(store: Store, kinds: Kinds, now: () => Date) {
    this.#store = store;
    this.#kinds = kinds;
    this.#now = now;
  }

  existing({ kind, namespace, name }: Target): KubeObject {
    const found = this.#store.get(kind.storage, namespace, name);
    if (found === undefined) throw notFound(kind, name);
    return found;
  }

  create(target: Target, body: unknown, options: WriteOptions): KubeObject {
    const { kind, namespace } = target;
    const { metadata, ...content } = decode(target, body);
    const suffix = randomBytes(4).toString("hex").slice(0, 5);
    const name = metadata.name || (metadata.generateName === undefined ? "" : `${metadata.generateName}${suffix}`);
    if (metadata.resourceVersion !== "") throw badRequest("resourceVersion should not be set on objects to be created");
    if (this.#store.get(kind.storage, namespace, name) !== undefined) throw alreadyExists(kind, name);
    const author = this.#author(target, "Update", options);
    const own = (object: KubeObject): KubeObject => trackUpdate(undefined, object, kind.schema, author);
    return this.#insert(target, { ...content, metadata: { ...metadata, name } } as KubeObject, options, own);
  }

  replace(target: Target, body: unknown, options: WriteOptions): KubeObject {
    const old = this.existing(target);
    const given = decode(target, body);
    if (textOf(objectOf(objectOf(body)["metadata"])["name"]) === "") throw badRequest("name must be provided");
    if (given.metadata.resourceVersion === "" && target.kind.custom) {
      throw invalid(target.kind, target.name, [
        invalidValue("metadata.resourceVersion", "must be specified for an update"),
      ]);
    }
    return this.#change(target, old, given, options);
  }

  merge(target: Target, patch: unknown, options: WriteOptions): KubeObject {
    const old = this.existing(target);
    return this.#change(target, old, decode(target, mergePatch(old, patch)), options);
  }

  apply(target: Target, body: unknown, options: WriteOptions & { readonly force: boolean }): KubeObject {
    const { kind, subresource, namespace, name } = target;
    const given = decode(target, body, true);
    if (given.metadata.managedFields !== undefined) throw badRequest("metadata.managedFields must be nil");
    const old = this.#store.get(kind.storage, namespace, name);
    if (old === undefined && subresource !== "") throw notFound(kind, name);
    if (old === undefined && given.metadata.uid !== "")
      throw conflict(kind, name, "the object that its uid names does not exist");
    if (old !== undefined) assertPreconditions(kind, old, given.metadata);
    const author = this.#author(target, "Apply", options);
    const applied = applyConfiguration(old, sideOf(target, given), {
      schema: kind.schema,
      author,
      force: options.force,
    });
    const own = (object: KubeObject): KubeObject => ({
      ...object,
      metadata: { ...object.metadata, ...only(applied.metadata, "managedFields") },
    });
    if (old === undefined) return this.#insert(target, applied, options, own);
    return this.#save(target, old, own(this.#prepare(target, old, applied)), options);
  }

  /** What is left of the object: itself while finalizers hold it, or its last state. */
  remove(target: Target, body: unknown, options: WriteOptions): KubeObject {
    const { kind, name } = target;
    const old = this.existing(target);
    if (kind.storage === "namespaces" && keptNamespaces.includes(name)) {
      throw forbidden(kind, name, "this namespace may not be deleted");
    }
    assertPreconditions(kind, old, objectOf(objectOf(body)["preconditions"]));
    if (options.dryRun) return old;
    if (objectOf(body)["propagationPolicy"] === "Orphan") this.#orphan(old);
    if (!isHeld(old)) return this.#erase(kind, old);
    if (old.metadata.deletionTimestamp !== undefined) return old;
    const metadata = { ...old.metadata, deletionTimestamp: this.#time(), deletionGracePeriodSeconds: 0 };
    const phase = kind.storage === "namespaces" ? { status: { phase: "Terminating" } } : {};
    return this.#store.put(kind.storage, { ...old, ...phase, metadata });
  }

  #time(): string {
    return `${this.#now().toISOString().slice(0, 19)}Z`;
  }

  #author(
    { kind: { apiVersion }, subresource }: Target,
    operation: Author["operation"],
    { manager }: WriteOptions,
  ): Author {
    return { manager, operation, subresource, apiVersion, time: this.#time() };
  }

  #insert(
    target: Target,
    given: KubeObject,
    options: WriteOptions,
    own: (object: KubeObject) => KubeObject,
  ): KubeObject {
    const { kind, namespace } = target;
    const metadata: Metadata = {
      ...without(given.metadata, ...ofServer),
      ...only(given.metadata, "name", "namespace", "generateName"),
      uid: randomUUID(),
      resourceVersion: "",
      creationTimestamp: this.#time(),
      ...(kind.counted ? { generation: 1 } : {}),
    };
    const content = kind.status ? without(given, "status") : given;
    const asNamespace = { spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } };
    const object = normalized(kind, { ...content, ...(kind.storage === "namespaces" ? asNamespace : {}), metadata });
    if (namespace !== undefined) this.#assertNamespaceOpen(kind, namespace, metadata.name);
    assertValid(kind, object, undefined);
    const owned = isDefinition(kind) ? established(own(object), this.#time()) : own(object);
    assertSize(owned);
    return options.dryRun ? owned : this.#keep(kind, owned);
  }

  #assertNamespaceOpen(kind: Kind, namespace: string, name: string): void {
    const found = this.#store.get("namespaces", undefined, namespace);
    if (found === undefined) throw notFound({ group: "", plural: "namespaces" }, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const message = `namespace ${namespace} is being terminated`;
    const cause = { reason: "NamespaceTerminating", message, field: "metadata.namespace" };
    throw forbidden(kind, name, `unable to create new content because ${message}`, [cause]);
  }

  #change(target: Target, old: KubeObject, given: KubeObject, options: WriteOptions): KubeObject {
    assertPreconditions(target.kind, old, given.metadata);
    const author = this.#author(target, "Update", options);
    const prepared = this.#prepare(target, old, given);
    return this.#save(target, old, trackUpdate(old, prepared, target.kind.schema, author), options);
  }

  /** What the request may change of the object, normalized and valid; everything else as it was. */
  #prepare({ kind, subresource }: Target, old: KubeObject, given: KubeObject): KubeObject {
    const metadata = { ...without(given.metadata, ...ofServer), ...only(old.metadata, ...ofServer) } as Metadata;
    const { apiVersion, kind: kindName } = given;
    let next: KubeObject = { ...given, metadata };
    if (subresource === "status")
      next = { ...without(old, "status"), apiVersion, kind: kindName, ...only(given, "status") };
    else if (kind.status) next = { ...without(next, "status"), ...only(old, "status") };
    const object = normalized(kind, next);
    assertValid(kind, object, old);
    const content = (of: KubeObject): object => without(of, "metadata", "status", "apiVersion");
    if (!kind.counted || equal(content(object), content(old))) return object;
    return { ...object, metadata: { ...object.metadata, generation: (old.metadata.generation ?? 0) + 1 } };
  }

  #save({ kind }: Target, old: KubeObject, next: KubeObject, options: WriteOptions): KubeObject {
    if (equal({ ...next, apiVersion: old.apiVersion }, old)) return old;
    assertSize(next);
    if (options.dryRun) return next;
    const stored = this.#keep(kind, next);
    return next.metadata.deletionTimestamp === undefined || isHeld(next) ? stored : this.#erase(kind, stored);
  }

  #keep(kind: Kind, object: KubeObject): KubeObject {
    const stored = this.#store.put(kind.storage, object);
    if (isDefinition(kind)) this.#kinds.define(stored);
    return stored;
  }

  #erase(kind: Kind, { metadata: { namespace, name } }: KubeObject): KubeObject {
    if (isDefinition(kind)) {
      for (const { metadata } of this.#store.list(name)) this.#store.remove(name, metadata.namespace, metadata.name);
      this.#kinds.undefine(name);
    }
    return this.#store.remove(kind.storage, namespace, name);
  }

  #orphan({ metadata: { uid } }: KubeObject): void {
    for (const storage of this.#store.storages()) {
      for (const object of this.#store.list(storage))
        this.#store.keepOwners(storage, object, (owner) => owner.uid !== uid);
    }
  }
}
