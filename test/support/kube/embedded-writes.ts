// The writes of the embedded API server: create, merge patch, server-side apply and delete, each as a real one orders
// them: decode, preconditions, strategy, validation, ownership, and no new version where nothing changed.
// Knows no HTTP and no permissions.
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { applyConfiguration, mergePatch, trackUpdate } from "./embedded-apply.ts";
import type { Kind, Kinds } from "./embedded-kinds.ts";
import {
  type Author,
  isObject,
  type KubeObject,
  type Metadata,
  metadataOfServer,
  objectOf,
  only,
  textOf,
  without,
  withoutNulls,
} from "./embedded-objects.ts";
import { assertValid, normalized } from "./embedded-rules.ts";
import { alreadyExists, badRequest, conflict, forbidden, notFound } from "./embedded-status.ts";
import type { Store } from "./embedded-store.ts";

/** What a request is about, by its path. */
export interface Target {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  /** "" where the path names none. */
  readonly name: string;
  readonly subresource: string;
}

const time = (): string => `${new Date().toISOString().slice(0, 19)}Z`;

/** The object in a body, as one of the kind and place that the path names. */
function decode({ kind, namespace, name }: Target, written: unknown): KubeObject {
  if (!isObject(written)) throw badRequest(`a ${kind.kind} is expected`);
  const body = withoutNulls(written);
  const given = objectOf(body["metadata"]);
  const claims = [
    [body["apiVersion"], kind.apiVersion],
    [body["kind"], kind.kind],
    [given["namespace"], namespace],
    [given["name"], name || given["name"]],
  ];
  const wrong = claims.find(([said, expected]) => said !== undefined && said !== expected);
  if (wrong !== undefined) throw badRequest(`the object says "${textOf(wrong[0])}", its path "${textOf(wrong[1])}"`);
  const metadata: Metadata = {
    ...given,
    name: textOf(given["name"]) || name,
    uid: textOf(given["uid"]),
    resourceVersion: textOf(given["resourceVersion"]),
    creationTimestamp: "",
    ...(namespace === undefined ? {} : { namespace }),
  };
  return { ...body, apiVersion: kind.apiVersion, kind: kind.kind, metadata };
}

/** A version that a write names must be that of what it changes; no other object ever has it. */
function assertCurrent(kind: Kind, { metadata }: KubeObject, given: KubeObject): void {
  const { resourceVersion } = given.metadata;
  if (resourceVersion !== "" && resourceVersion !== metadata.resourceVersion)
    throw conflict(kind, metadata.name, "it has been modified; apply your changes to the latest version");
}

export class Writes {
  readonly #store: Store;
  readonly #kinds: Kinds;

  constructor(store: Store, kinds: Kinds) {
    this.#store = store;
    this.#kinds = kinds;
  }

  existing({ kind, namespace, name }: Target): KubeObject {
    const found = this.#store.get(kind.storage, namespace, name);
    if (found === undefined) throw notFound(kind, name);
    return found;
  }

  create(target: Target, body: unknown, manager: string): KubeObject {
    const { kind, namespace } = target;
    const given = decode(target, body);
    const { name, resourceVersion } = given.metadata;
    if (resourceVersion !== "") throw badRequest("resourceVersion should not be set on objects to be created");
    if (this.#store.get(kind.storage, namespace, name) !== undefined) throw alreadyExists(kind, name);
    return this.#update(target, undefined, given, manager);
  }

  merge(target: Target, patch: unknown, manager: string): KubeObject {
    const live = this.existing(target);
    const given = decode(target, mergePatch(live, patch));
    assertCurrent(target.kind, live, given);
    return this.#update(target, live, given, manager);
  }

  apply(target: Target, body: unknown, manager: string, force: boolean): KubeObject {
    const { kind, namespace, name } = target;
    const given = decode(target, body);
    const config = kind.status ? without(given, "status") : given;
    const live = this.#store.get(kind.storage, namespace, name);
    if (live !== undefined) assertCurrent(kind, live, given);
    else if (given.metadata.uid !== "") throw conflict(kind, name, "the object that its uid names does not exist");
    const author: Author = { ...this.#author(target, manager), operation: "Apply" };
    const applied = applyConfiguration(live, config, { schema: kind.schema, author, force });
    return this.#save(target, live, applied, (object) => {
      const metadata = { ...without(object.metadata, "managedFields"), ...only(applied.metadata, "managedFields") };
      return { ...object, metadata: metadata as Metadata };
    });
  }

  /** A namespace is only marked: the controllers beside the server empty it first. */
  remove(target: Target): void {
    const { storage } = target.kind;
    const live = this.existing(target);
    if (target.kind.kind !== "Namespace") this.#store.remove(storage, live);
    else if (live.metadata.deletionTimestamp === undefined) {
      const metadata = { ...live.metadata, deletionTimestamp: time() };
      this.#store.put(storage, { ...live, metadata, status: { phase: "Terminating" } });
    }
  }

  #author({ kind: { apiVersion }, subresource }: Target, manager: string): Author {
    const side = subresource === "" ? {} : { subresource };
    return { manager, operation: "Update", ...side, apiVersion, time: time() };
  }

  #update(target: Target, live: KubeObject | undefined, given: KubeObject, manager: string): KubeObject {
    const author = this.#author(target, manager);
    return this.#save(target, live, given, (object) => trackUpdate(live, object, target.kind.schema, author));
  }

  /** Stores the object as it may be, with the managedFields that `own` gives it; or nothing, if nothing is new. */
  #save(
    target: Target,
    live: KubeObject | undefined,
    given: KubeObject,
    own: (object: KubeObject) => KubeObject,
  ): KubeObject {
    const { kind } = target;
    const next = live === undefined ? this.#begun(target, given) : changed(target, live, given);
    const object = normalized(kind, next);
    assertValid(kind, object, live);
    const owned = own(live === undefined ? object : counted(kind, live, object));
    if (live !== undefined && isDeepStrictEqual(owned, live)) return live;
    if (kind.kind === "CustomResourceDefinition") this.#kinds.define(owned);
    return this.#store.put(kind.storage, owned);
  }

  #begun({ kind, namespace }: Target, given: KubeObject): KubeObject {
    if (namespace !== undefined) this.#assertOpen(kind, namespace, given.metadata.name);
    const metadata = {
      ...without(given.metadata, ...metadataOfServer),
      ...only(given.metadata, "name", "namespace"),
      ...{ uid: randomUUID(), resourceVersion: "", creationTimestamp: time() },
      ...(kind.custom ? { generation: 1 } : {}),
    } as Metadata;
    const begun = { ...(kind.status ? without(given, "status") : given), metadata };
    if (kind.kind === "Namespace") return { ...begun, status: { phase: "Active" } };
    if (kind.kind !== "CustomResourceDefinition") return begun;
    return { ...begun, status: { conditions: [{ type: "Established", status: "True" }] } };
  }

  #assertOpen(kind: Kind, namespace: string, name: string): void {
    const found = this.#store.get("v1/namespaces", undefined, namespace);
    if (found === undefined) throw notFound({ group: "", plural: "namespaces" }, namespace);
    if (found.metadata.deletionTimestamp !== undefined)
      throw forbidden(kind, name, `namespace ${namespace} is being terminated`);
  }
}

/** What the request may change of the object; everything else as it was. */
function changed({ kind, subresource }: Target, live: KubeObject, given: KubeObject): KubeObject {
  if (subresource === "status") return { ...without(live, "status"), ...only(given, "status") } as KubeObject;
  const metadata = { ...without(given.metadata, ...metadataOfServer), ...only(live.metadata, ...metadataOfServer) };
  const next = { ...given, metadata: metadata as Metadata };
  return kind.status ? { ...without(next, "status"), ...only(live, "status") } : next;
}

function counted(kind: Kind, live: KubeObject, object: KubeObject): KubeObject {
  if (!kind.custom || isDeepStrictEqual(object["spec"], live["spec"])) return object;
  return { ...object, metadata: { ...object.metadata, generation: (live.metadata.generation ?? 0) + 1 } };
}
