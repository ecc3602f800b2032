// The writes of the embedded API server: create, replace, merge patch, server-side apply and delete, each as a real one
// orders them: decode, preconditions, strategy, validation, ownership, and no new version where nothing changed.
// Knows no HTTP and no permissions.
import { randomBytes, randomUUID } from "node:crypto";
import { type Author, applyConfiguration, trackUpdate } from "./embedded-apply.ts";
import { established, type Kind, type Kinds } from "./embedded-kinds.ts";
import {
  equal,
  isObject,
  type JsonObject,
  type KubeObject,
  type Metadata,
  mergePatch,
  objectOf,
  textOf,
  without,
  withoutNulls,
} from "./embedded-objects.ts";
import { assertValid, finalizersOf, normalized } from "./embedded-rules.ts";
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  modifiedMeanwhile,
  notFound,
  required,
} from "./embedded-status.ts";
import type { Store } from "./embedded-store.ts";

export interface Target {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly subresource: string;
}

export interface WriteOptions {
  readonly manager: string;
  readonly dryRun: boolean;
}

const maxObjectBytes = 1_572_864;

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
    const given = decode(target, body);
    const { kind } = target;
    const prefix = given.metadata.generateName;
    if (given.metadata.name === "" && prefix !== undefined)
      given.metadata.name = `${prefix}${randomBytes(4).toString("hex").slice(0, 5)}`;
    if (textOf(given.metadata.resourceVersion) !== "")
      throw badRequest("resourceVersion should not be set on objects to be created");
    if (
      given.metadata.name !== "" &&
      this.#store.get(kind.storage, target.namespace, given.metadata.name) !== undefined
    ) {
      throw alreadyExists(kind, given.metadata.name);
    }
    const author = this.#author(target, "Update", options);
    return this.#insert(target, given, options, (object) => trackUpdate(undefined, object, kind.schema, author));
  }

  replace(target: Target, body: unknown, options: WriteOptions): KubeObject {
    const old = this.existing(target);
    const given = decode(target, body);
    if (given.metadata.resourceVersion === "" && target.kind.custom) {
      const missing = {
        ...required("metadata.resourceVersion"),
        reason: "FieldValueInvalid",
        message: "Invalid value: 0x0: must be specified for an update",
      };
      throw invalid(target.kind, target.name, [missing]);
    }
    return this.#change(target, old, given, options);
  }

  merge(target: Target, patch: unknown, options: WriteOptions): KubeObject {
    const old = this.existing(target);
    return this.#change(target, old, decode(target, mergePatch(old, patch)), options);
  }

  apply(target: Target, body: unknown, options: WriteOptions & { readonly force: boolean }): KubeObject {
    const { kind, subresource } = target;
    if (isObject(body) && objectOf(body["metadata"])["managedFields"] !== undefined) {
      throw badRequest("metadata.managedFields must be nil");
    }
    const old = this.#store.get(kind.storage, target.namespace, target.name);
    if (old === undefined && subresource !== "") throw notFound(kind, target.name);
    const decoded = decode(target, isObject(body) ? withoutNulls(body) : body);
    if (old === undefined && textOf(decoded.metadata.uid) !== "")
      throw conflict(
        kind,
        target.name,
        "uid mismatch: the provided object specified uid, and no existing object was found",
      );
    if (old !== undefined) assertPreconditions(kind, old, decoded.metadata);
    const config = side(target, decoded);
    const author = this.#author(target, "Apply", options);
    const applied = applyConfiguration(old, config, { schema: kind.schema, author, force: options.force });
    if (old === undefined)
      return this.#insert(target, applied, options, (object) => ({
        ...object,
        metadata: { ...object.metadata, managedFields: applied.metadata.managedFields ?? [] },
      }));
    const prepared = this.#prepare(target, old, applied);
    const owned = {
      ...prepared,
      metadata: { ...prepared.metadata, managedFields: applied.metadata.managedFields ?? [] },
    };
    return this.#save(target, old, owned, options);
  }

  /** What is left of the object: itself while finalizers hold it, or its last state. */
  remove(target: Target, body: unknown, options: WriteOptions): KubeObject {
    const { kind } = target;
    const old = this.existing(target);
    if (kind.kind === "Namespace" && ["default", "kube-system", "kube-public"].includes(target.name)) {
      throw forbidden(kind, target.name, "this namespace may not be deleted");
    }
    const preconditions = objectOf(objectOf(body)["preconditions"]);
    for (const [field, label] of [
      ["uid", "UID"],
      ["resourceVersion", "ResourceVersion"],
    ] as const) {
      const wanted = preconditions[field];
      const actual = old.metadata[field];
      if (typeof wanted === "string" && wanted !== actual) {
        throw conflict(
          kind,
          target.name,
          `Precondition failed: ${label} in precondition: ${wanted}, ${label} in object meta: ${actual}`,
        );
      }
    }
    if (options.dryRun) return old;
    if (objectOf(body)["propagationPolicy"] === "Orphan") this.#orphan(old);
    const waits = finalizersOf(old).length > 0 || kind.kind === "Namespace";
    if (!waits) return this.#erase(kind, old);
    if (old.metadata.deletionTimestamp !== undefined) return old;
    const metadata = { ...old.metadata, deletionTimestamp: this.time(), deletionGracePeriodSeconds: 0 };
    const phase = kind.kind === "Namespace" ? { status: { phase: "Terminating" } } : {};
    return this.#store.put(kind.storage, { ...old, ...phase, metadata });
  }

  /** The last step of a namespace's deletion, once nothing is left in it. */
  finalizeNamespace(namespace: KubeObject): void {
    if (finalizersOf(namespace).length === 0) this.#store.remove("namespaces", undefined, namespace.metadata.name);
  }

  time(): string {
    return `${this.#now().toISOString().slice(0, 19)}Z`;
  }

  #author({ kind, subresource }: Target, operation: Author["operation"], { manager }: WriteOptions): Author {
    const apiVersion = apiVersionOf(kind);
    return { manager, operation, subresource, apiVersion, time: this.time() };
  }

  #insert(
    target: Target,
    given: KubeObject,
    options: WriteOptions,
    own: (object: KubeObject) => KubeObject,
  ): KubeObject {
    const { kind, namespace } = target;
    const content = kind.status ? without(given, "status") : given;
    const metadata: Metadata = {
      ...without(
        given.metadata,
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
        "generation",
      ),
      name: given.metadata.name,
      ...(namespace === undefined ? {} : { namespace }),
      uid: randomUUID(),
      resourceVersion: "",
      creationTimestamp: this.time(),
      ...(kind.counted ? { generation: 1 } : {}),
    };
    const initial =
      kind.kind === "Namespace" ? { spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } } : {};
    const object = normalized(kind, {
      ...content,
      ...initial,
      apiVersion: given.apiVersion,
      kind: given.kind,
      metadata,
    });
    if (namespace !== undefined) this.#assertNamespaceOpen(target, namespace, metadata.name);
    assertValid(kind, object, undefined);
    const owned = own(object);
    const ready = kind.kind === "CustomResourceDefinition" ? established(owned, this.time()) : owned;
    assertSize(ready);
    if (options.dryRun) return ready;
    const stored = this.#store.put(kind.storage, ready);
    if (kind.kind === "CustomResourceDefinition") this.#kinds.define(stored);
    return stored;
  }

  #assertNamespaceOpen(target: Target, namespace: string, name: string): void {
    const found = this.#store.get("namespaces", undefined, namespace);
    if (found === undefined) throw notFound({ group: "", plural: "namespaces", kind: "Namespace" }, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const message = `namespace ${namespace} is being terminated`;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(target.kind, name, why, [{ reason: "NamespaceTerminating", message, field: "metadata.namespace" }]);
  }

  #change(target: Target, old: KubeObject, given: KubeObject, options: WriteOptions): KubeObject {
    assertPreconditions(target.kind, old, given.metadata);
    const prepared = this.#prepare(target, old, given);
    const author = this.#author(target, "Update", options);
    return this.#save(target, old, trackUpdate(old, prepared, target.kind.schema, author), options);
  }

  /** What the request may change of the object, normalized and valid; everything else as it was. */
  #prepare(target: Target, old: KubeObject, given: KubeObject): KubeObject {
    const { kind, subresource } = target;
    const { uid, resourceVersion, creationTimestamp, deletionTimestamp, generation, managedFields } = old.metadata;
    const kept = {
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      generation,
      managedFields,
      namespace: old.metadata.namespace,
      generateName: old.metadata.generateName,
    };
    const known = Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined));
    const ofServer = [...Object.keys(kept), "selfLink"];
    const metadata = { ...without(given.metadata, ...ofServer), ...known, name: old.metadata.name } as Metadata;
    const status = (from: KubeObject): JsonObject => (from["status"] === undefined ? {} : { status: from["status"] });
    const identity = { apiVersion: given.apiVersion, kind: given.kind };
    let next: KubeObject;
    if (subresource === "status") next = { ...(without(old, "status") as KubeObject), ...identity, ...status(given) };
    else if (kind.status) next = { ...(without(given, "status") as KubeObject), ...identity, metadata, ...status(old) };
    else next = { ...given, metadata };
    const object = normalized(kind, next);
    assertValid(kind, object, old);
    if (!kind.counted || sameContent(object, old)) return object;
    return { ...object, metadata: { ...object.metadata, generation: (generation ?? 0) + 1 } };
  }

  #save({ kind }: Target, old: KubeObject, next: KubeObject, options: WriteOptions): KubeObject {
    if (equal({ ...next, apiVersion: old.apiVersion }, old)) return old;
    assertSize(next);
    if (options.dryRun) return next;
    const done =
      next.metadata.deletionTimestamp !== undefined && finalizersOf(next).length === 0 && kind.kind !== "Namespace";
    const stored = this.#store.put(kind.storage, next);
    if (done) return this.#erase(kind, stored);
    if (kind.kind === "CustomResourceDefinition") this.#kinds.define(stored);
    return stored;
  }

  #erase(kind: Kind, old: KubeObject): KubeObject {
    const { namespace, name } = old.metadata;
    if (kind.kind === "CustomResourceDefinition") {
      for (const object of this.#store.list(name))
        this.#store.remove(name, object.metadata.namespace, object.metadata.name);
      this.#kinds.undefine(old);
    }
    return this.#store.remove(kind.storage, namespace, name) ?? old;
  }

  #orphan(owner: KubeObject): void {
    for (const storage of this.#store.storages()) {
      for (const object of this.#store.list(storage)) {
        const references = object.metadata.ownerReferences ?? [];
        const left = references.filter(({ uid }) => uid !== owner.metadata.uid);
        if (left.length < references.length)
          this.#store.put(storage, { ...object, metadata: { ...object.metadata, ownerReferences: left } });
      }
    }
  }
}

export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group === "" ? version : `${group}/${version}`;
}

const sameContent = (a: KubeObject, b: KubeObject): boolean =>
  equal(without(a, "metadata", "status", "apiVersion"), without(b, "metadata", "status", "apiVersion"));

/** Only the side that a write through this subresource may speak about. */
function side({ kind, subresource }: Target, config: KubeObject): KubeObject {
  const { apiVersion, kind: kindName, metadata } = config;
  if (subresource === "status") {
    const { name, namespace } = metadata;
    const bare = {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid: "",
      resourceVersion: "",
      creationTimestamp: "",
    };
    return {
      apiVersion,
      kind: kindName,
      metadata: bare,
      ...(config["status"] === undefined ? {} : { status: config["status"] }),
    };
  }
  return kind.status ? (without(config, "status") as KubeObject) : config;
}

function assertPreconditions(kind: Kind, old: KubeObject, given: Metadata): void {
  const { name, uid, resourceVersion } = old.metadata;
  if (textOf(given.uid) !== "" && given.uid !== uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${uid}`);
  }
  if (textOf(given.resourceVersion) !== "" && given.resourceVersion !== resourceVersion)
    throw conflict(kind, name, modifiedMeanwhile);
}

function assertSize(object: KubeObject): void {
  if (Buffer.byteLength(JSON.stringify(object)) > maxObjectBytes)
    throw new ApiError(500, "InternalError", "etcdserver: request is too large");
}

/** The body as an object of the kind and place that the path names. */
function decode(target: Target, body: unknown): KubeObject {
  const { kind, namespace, name } = target;
  if (!isObject(body)) throw badRequest("the object provided is unrecognized (must be of type Object)");
  const apiVersion = apiVersionOf(kind);
  const [saidVersion, saidKind] = [body["apiVersion"] ?? apiVersion, body["kind"] ?? kind.kind];
  if (saidKind !== kind.kind)
    throw badRequest(`${textOf(saidKind)} in version "${textOf(saidVersion)}" cannot be handled as a ${kind.kind}`);
  if (saidVersion !== apiVersion)
    throw badRequest(
      `the API version in the data (${textOf(saidVersion)}) does not match the expected API version (${apiVersion})`,
    );
  const given = objectOf(body["metadata"]);
  const saidName = textOf(given["name"]);
  const saidNamespace = textOf(given["namespace"]);
  if (name !== "" && saidName !== "" && saidName !== name) {
    throw badRequest(`the name of the object (${saidName}) does not match the name on the URL (${name})`);
  }
  if (saidNamespace !== "" && saidNamespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  const metadata: Metadata = {
    ...withoutNulls(given),
    name: saidName || name,
    uid: textOf(given["uid"]),
    resourceVersion: textOf(given["resourceVersion"]),
    creationTimestamp: textOf(given["creationTimestamp"]),
    ...(namespace === undefined ? {} : { namespace }),
  };
  return { ...body, apiVersion, kind: kind.kind, metadata };
}
