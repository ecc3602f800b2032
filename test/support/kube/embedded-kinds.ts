// Which kinds the embedded API server serves, built in and from CustomResourceDefinitions, with what decides how each is
// stored and owned. Knows no objects of these kinds.
import { isObject, type JsonObject, type KubeObject, listOf, objectOf, textOf } from "./embedded-objects.ts";
import type { Schema } from "./embedded-schema.ts";
import { invalid, invalidValue, required } from "./embedded-status.ts";

export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Whether /status is its own resource: a write to one side leaves the other as it was. */
  readonly status: boolean;
  /** Whether metadata.generation counts the changes of what is not metadata or status. */
  readonly counted: boolean;
  readonly custom: boolean;
  /** One storage for all versions of a kind: "secrets", "boundsecrets.sealward.dev". */
  readonly storage: string;
  readonly schema: Schema;
}

const listMap = (keys: readonly string[], items: Schema = {}): Schema => ({
  items,
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": keys,
});
const object = (properties: JsonObject): Schema => ({ properties });

const metadataSchema = object({
  ownerReferences: listMap(["uid"]),
  finalizers: { "x-kubernetes-list-type": "set" },
});
const container = object({ env: listMap(["name"]), volumeMounts: listMap(["mountPath"]) });
const podSpec = object({ containers: listMap(["name"], container), volumes: listMap(["name"]) });
const deploymentSpec = object({ selector: { "x-kubernetes-map-type": "atomic" }, template: object({ spec: podSpec }) });

// Only what is owned item by item needs to be said here: undeclared lists are atomic and undeclared maps are not.
const builtInSchemas: Readonly<Record<string, Schema>> = {
  Deployment: object({ spec: deploymentSpec }),
  Service: object({ spec: object({ ports: listMap(["port", "protocol"]) }) }),
};

// Marks: n namespaced, s has a status subresource, g counts generations.
const builtIn: readonly (readonly [groupVersion: string, plural: string, kind: string, marks: string])[] = [
  ["v1", "namespaces", "Namespace", "s"],
  ["v1", "secrets", "Secret", "n"],
  ["v1", "configmaps", "ConfigMap", "n"],
  ["v1", "events", "Event", "n"],
  ["v1", "serviceaccounts", "ServiceAccount", "n"],
  ["v1", "services", "Service", "ns"],
  ["v1", "pods", "Pod", "ns"],
  ["events.k8s.io/v1", "events", "Event", "n"],
  ["coordination.k8s.io/v1", "leases", "Lease", "n"],
  ["apps/v1", "deployments", "Deployment", "nsg"],
  ["batch/v1", "jobs", "Job", "ns"],
  ["networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "ng"],
  ["policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "nsg"],
  ["rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", ""],
  ["rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", ""],
  ["rbac.authorization.k8s.io/v1", "roles", "Role", "n"],
  ["rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", "n"],
  ["apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", "sg"],
];

function kindOf(
  apiVersion: string,
  plural: string,
  kind: string,
  rest: Pick<Kind, "namespaced" | "status" | "counted" | "custom" | "schema">,
): Kind {
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  const schema = { ...rest.schema, properties: { ...objectOf(rest.schema["properties"]), metadata: metadataSchema } };
  return {
    ...rest,
    group,
    version,
    apiVersion,
    plural,
    kind,
    schema,
    storage: group === "" ? plural : `${plural}.${group}`,
  };
}

export class Kinds {
  #kinds: readonly Kind[] = builtIn.map(([apiVersion, plural, kind, marks]) => {
    const [namespaced, status, counted] = [marks.includes("n"), marks.includes("s"), marks.includes("g")];
    return kindOf(apiVersion, plural, kind, {
      namespaced,
      status,
      counted,
      custom: false,
      schema: builtInSchemas[kind] ?? {},
    });
  });

  all(): readonly Kind[] {
    return this.#kinds;
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    return this.#kinds.find((kind) => kind.group === group && kind.version === version && kind.plural === plural);
  }

  byStorage(storage: string): Kind | undefined {
    return this.#kinds.find((kind) => kind.storage === storage);
  }

  /** Serves what a CustomResourceDefinition defines, from now on. */
  define(definition: KubeObject): void {
    this.undefine(definition.metadata.name);
    const { group, names, scope, versions } = objectOf(definition["spec"]);
    const { plural, kind } = objectOf(names);
    const served = listOf(versions)
      .map(objectOf)
      .filter((version) => version["served"] === true);
    const defined = served.map((version) =>
      kindOf(`${textOf(group)}/${textOf(version["name"])}`, textOf(plural), textOf(kind), {
        namespaced: scope === "Namespaced",
        status: isObject(objectOf(version["subresources"])["status"]),
        counted: true,
        custom: true,
        schema: objectOf(objectOf(version["schema"])["openAPIV3Schema"]),
      }),
    );
    this.#kinds = [...this.#kinds, ...defined];
  }

  undefine(name: string): void {
    this.#kinds = this.#kinds.filter((kind) => kind.storage !== name || !kind.custom);
  }
}

/** The CustomResourceDefinition with the status that a server gives it: accepted and established at once. */
export function established(definition: KubeObject, now: string): KubeObject {
  const { group, names, versions } = objectOf(definition["spec"]);
  const all = listOf(versions).map(objectOf);
  const stored = all.filter((version) => version["storage"] === true).map((version) => version["name"]);
  const kind = textOf(objectOf(names)["kind"]);
  const { name } = definition.metadata;
  const causes = all.flatMap((version, index) =>
    isObject(objectOf(version["schema"])["openAPIV3Schema"])
      ? []
      : [required(`spec.versions[${index}].schema.openAPIV3Schema`)],
  );
  if (name !== `${textOf(objectOf(names)["plural"])}.${textOf(group)}`) {
    causes.push(invalidValue("metadata.name", 'must be spec.names.plural+"."+spec.group'));
  }
  if (stored.length !== 1)
    causes.push(invalidValue("spec.versions", "must have exactly one version marked as storage version"));
  if (causes.length > 0)
    throw invalid({ group: "apiextensions.k8s.io", kind: "CustomResourceDefinition" }, name, causes);
  const conditions = [
    { type: "NamesAccepted", status: "True", lastTransitionTime: now, reason: "NoConflicts" },
    { type: "Established", status: "True", lastTransitionTime: now, reason: "InitialNamesAccepted" },
  ];
  const acceptedNames = { listKind: `${kind}List`, singular: kind.toLowerCase(), ...objectOf(names) };
  return { ...definition, status: { conditions, acceptedNames, storedVersions: stored } };
}
