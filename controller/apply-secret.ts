// Writes an opened Secret by server-side apply, owned by its BoundSecret. Never takes over, changes or deletes a Secret
// that is not ours; never reads what a Secret holds. Knows nothing about how the document was opened.
import { type OpenedSecret, SealwardError } from "../src/index.ts";
import { ClusterError } from "./cluster-error.ts";
import type { KubeClient } from "./kube-client.ts";
import { apiVersion, type BoundSecret, type KubeObject, type OwnerReference, paths } from "./resources.ts";

/** A version no stored object can have: etcd counts from 1 and the first write makes it 2. */
const absentVersion = "1";
const managedByLabel = "app.kubernetes.io/managed-by";

/**
 * Applying what is there already changes nothing.
 * @throws secret-not-owned, secret-rejected; a ClusterError of kind `conflict` when the Secret changed meanwhile
 */
export async function applySecret(client: KubeClient, bound: BoundSecret, opened: OpenedSecret): Promise<void> {
  const { namespace = "", name } = bound.metadata;
  const path = paths.secret(namespace, name);
  const existing = await client.get<KubeObject>(path, { metadataOnly: true });
  if (existing !== null && !isOwned(existing, bound)) {
    throw new SealwardError(
      "secret-not-owned",
      `Secret ${namespace}/${name} exists and BoundSecret ${namespace}/${name} does not own it: delete or rename that Secret to let this one be written`,
    );
  }
  try {
    await client.apply(path, manifest(bound, opened, existing), { force: existing !== null });
  } catch (error) {
    if (error instanceof ClusterError && error.kind === "invalid") throw toRejection(error, `${namespace}/${name}`);
    throw error;
  }
}

function isOwned(existing: KubeObject, bound: BoundSecret): boolean {
  return (existing.metadata.ownerReferences ?? []).some(({ uid }) => uid === bound.metadata.uid);
}

function manifest(bound: BoundSecret, opened: OpenedSecret, existing: KubeObject | null): object {
  const { namespace, name, uid } = bound.metadata;
  const owner: OwnerReference = {
    apiVersion,
    kind: "BoundSecret",
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  // Preconditions, so that nothing can slip in between our look and our write: an apply that carries a resourceVersion
  // fails if a Secret with another one exists, and one that carries a uid fails if there is none.
  const precondition =
    existing === null
      ? { resourceVersion: absentVersion }
      : { resourceVersion: existing.metadata.resourceVersion, uid: existing.metadata.uid };
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace,
      ...precondition,
      labels: { ...opened.labels, [managedByLabel]: "sealward" },
      annotations: opened.annotations,
      ownerReferences: [owner],
    },
    type: opened.type,
    ...(opened.immutable === undefined ? {} : { immutable: opened.immutable }),
    data: Object.fromEntries(Array.from(opened.data, ([key, value]) => [key, toBase64(value)])),
  };
}

function toBase64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
}

/** The server's message about a Secret may quote its values; field paths and rule names do not. */
function toRejection(error: ClusterError, target: string): SealwardError {
  const causes = error.causes.map(({ field, reason }) => `${field} (${reason})`).join(", ");
  const why = causes === "" ? "it gave no field" : causes;
  return new SealwardError(
    "secret-rejected",
    `The API server refused Secret ${target}: ${why}. The type, and the data of an immutable Secret, cannot change: delete the Secret to have it made anew`,
  );
}
