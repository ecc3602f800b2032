// Which kinds the embedded API server serves, built in and from CustomResourceDefinitions, with what decides how each is
// stored and owned. Knows no objects of these kinds.
import { isObject, type KubeObject, listOf, objectOf, textOf } from "./embedded-objects.ts";
import type { Schema } from "./embedded-schema.ts";

export interface Kind {
  readonly group: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Whether /status is its own resource: a write to one side leaves the other as it was. */
  readonly status: boolean;
  /** Custom resources have a schema that is enforced, and metadata.generation counts the changes of their spec. */
  readonly custom: boolean;
  /** What the store calls its objects: apiVersion and plural. */
  readonly storage: string;
  readonly schema: Schema;
}

// Of built-in kinds, only what is owned item by item needs to be said: undeclared lists are atomic, undeclared maps not.
const listByUid: Schema = { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"] };
const metadataSchema: Schema = { properties: { ownerReferences: listByUid } };

const builtIn: readonly (readonly [apiVersion: string, plural: string, kind: string])[] = [
  ["v1", "namespaces", "Namespace"],
  ["v1", "secrets", "Secret"],
  ["v1", "serviceaccounts", "ServiceAccount"],
  ["events.k8s.io/v1", "events", "Event"],
  ["apps/v1", "deployments", "Deployment"],
  ["rbac.authorization.k8s.io/v1", "roles", "Role"],
  ["rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding"],
  ["rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole"],
  ["rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding"],
  ["apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition"],
];
const clusterScoped = ["Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"];

function kindOf({ schema, ...kind }: Omit<Kind, "group" | "storage">): Kind {
  const [, group = ""] = kind.apiVersion.split("/").reverse();
  const properties = { ...objectOf(schema["properties"]), metadata: metadataSchema };
  return { ...kind, group, storage: `${kind.apiVersion}/${kind.plural}`, schema: { ...schema, properties } };
}

/** What a CustomResourceDefinition defines: one kind, in the first of its versions. */
function kindDefinedBy(definition: KubeObject): Kind {
  const { group, names, scope, versions } = objectOf(definition["spec"]);
  const { name, subresources, schema } = objectOf(listOf(versions)[0]);
  return kindOf({
    apiVersion: `${textOf(group)}/${textOf(name)}`,
    plural: textOf(objectOf(names)["plural"]),
    kind: textOf(objectOf(names)["kind"]),
    namespaced: scope === "Namespaced",
    status: isObject(objectOf(subresources)["status"]),
    custom: true,
    schema: objectOf(objectOf(schema)["openAPIV3Schema"]),
  });
}

export class Kinds {
  #kinds: readonly Kind[] = builtIn.map(([apiVersion, plural, kind]) => {
    const namespaced = !clusterScoped.includes(kind);
    return kindOf({ apiVersion, plural, kind, namespaced, status: false, custom: false, schema: {} });
  });

  find(storage: string): Kind | undefined {
    return this.#kinds.find((kind) => kind.storage === storage);
  }

  define(definition: KubeObject): void {
    const defined = kindDefinedBy(definition);
    this.#kinds = [...this.#kinds.filter(({ storage }) => storage !== defined.storage), defined];
  }
}
