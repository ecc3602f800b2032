// From the body of a write to an object of the kind and place that its path names, and what a write demands of the
// object before it: same uid, same version. Knows no storage.
import type { Kind } from "./embedded-kinds.ts";
import {
  isObject,
  type KubeObject,
  type Metadata,
  objectOf,
  textOf,
  without,
  withoutNulls,
} from "./embedded-objects.ts";
import { ApiError, badRequest, conflict } from "./embedded-status.ts";

export interface Target {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  /** "" where the path names none. */
  readonly name: string;
  readonly subresource: string;
}

// etcd's own limit.
const maxObjectBytes = 1_572_864;

function assertSays(what: string, said: unknown, expected: string, needed: boolean): void {
  if ((said === undefined || said === "") && !needed) return;
  if (said !== expected)
    throw badRequest(`the ${what} of the object (${textOf(said)}) does not match the one expected (${expected})`);
}

/** Nulls stand for nothing. With `complete`, the body has to say its own apiVersion, kind and name, as for an apply. */
export function decode({ kind, namespace, name }: Target, written: unknown, complete = false): KubeObject {
  if (!isObject(written)) throw badRequest(`the object provided is unrecognized (must be of type ${kind.kind})`);
  const body = withoutNulls(written);
  const given = objectOf(body["metadata"]);
  // Built-in kinds are decoded as what the path says; custom resources have no other way to be known.
  assertSays("API version", body["apiVersion"], kind.apiVersion, kind.custom || complete);
  assertSays("kind", body["kind"], kind.kind, kind.custom || complete);
  if (name !== "") assertSays("name", given["name"], name, complete);
  assertSays("namespace", given["namespace"], namespace ?? "", false);
  const metadata: Metadata = {
    ...given,
    name: textOf(given["name"]) || name,
    uid: textOf(given["uid"]),
    resourceVersion: textOf(given["resourceVersion"]),
    creationTimestamp: textOf(given["creationTimestamp"]),
    ...(namespace === undefined ? {} : { namespace }),
  };
  return { ...body, apiVersion: kind.apiVersion, kind: kind.kind, metadata };
}

/** Only the side of an applied configuration that this path may speak about. */
export function sideOf({ kind, subresource }: Target, config: KubeObject): KubeObject {
  if (subresource === "") return kind.status ? without(config, "status") : config;
  const { apiVersion, kind: kindName, metadata } = config;
  const place = without(metadata, "labels", "annotations", "ownerReferences", "finalizers");
  const status = config["status"] === undefined ? {} : { status: config["status"] };
  return { apiVersion, kind: kindName, metadata: place, ...status };
}

export function assertPreconditions(
  kind: Kind,
  old: KubeObject,
  given: { uid?: unknown; resourceVersion?: unknown },
): void {
  const { name, uid, resourceVersion } = old.metadata;
  if (textOf(given.uid) !== "" && given.uid !== uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${textOf(given.uid)}, UID in object meta: ${uid}`,
    );
  }
  if (textOf(given.resourceVersion) !== "" && given.resourceVersion !== resourceVersion) {
    throw conflict(kind, name, "the object has been modified; please apply your changes to the latest version");
  }
}

export function assertSize(object: KubeObject): void {
  if (Buffer.byteLength(JSON.stringify(object)) <= maxObjectBytes) return;
  throw new ApiError(500, "InternalError", "etcdserver: request is too large");
}
