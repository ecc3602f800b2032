// Which kinds the embedded API server serves, built in and from CustomResourceDefinitions, with what decides how each is
// stored and owned. Knows no objects of these kinds.
import { isObject, type KubeObject, listOf, objectOf, textOf } from "./embedded-objects.ts";
import type { Schema } from "./embedded-schema.ts";
import { invalid, type Resource, required } from "./embedded-status.ts";

export interface Kind extends Resource {
  readonly version: string;
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

const listMap = (...keys: readonly string[]): Schema => ({
  type: "array",
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": keys,
  items: {},
});

const metadataSchema: Schema = {
  properties: { ownerReferences: listMap("uid"), finalizers: { "x-kubernetes-list-type": "set" } },
};

const container: Schema = {
  ...listMap("name"),
  items: {
    properties: {
      env: listMap("name"),
      ports: listMap("containerPort", "protocol"),
      volumeMounts: listMap("mountPath"),
    },
  },
};
const podTemplate: Schema = {
  properties: { spec: { properties: { containers: container, initContainers: container, volumes: listMap("name") } } },
};

// Only what is owned item by item needs to be said here: undeclared lists are atomic and undeclared maps are not.
const builtInSchemas: Readonly<Record<string, Schema>> = {
  Deployment: {
    properties: { spec: { properties: { selector: { "x-kubernetes-map-type": "atomic" }, template: podTemplate } } },
  },
  Service: { properties: { spec: { properties: { ports: listMap("port", "protocol") } } } },
  ServiceAccount: { properties: { secrets: listMap("name") } },
  CustomResourceDefinition: { properties: { status: { properties: { conditions: listMap("type") } } } },
};

type Row = readonly [group: string, version: string, plural: string, kind: string, marks: string];

// Marks: n namespaced, s has a status subresource, g counts generations.
const builtIn: readonly Row[] = [
  ["", "v1", "namespaces", "Namespace", "s"],
  ["", "v1", "secrets", "Secret", "n"],
  ["", "v1", "configmaps", "ConfigMap", "n"],
  ["", "v1", "events", "Event", "n"],
  ["", "v1", "serviceaccounts", "ServiceAccount", "n"],
  ["", "v1", "services", "Service", "ns"],
  ["", "v1", "pods", "Pod", "ns"],
  ["events.k8s.io", "v1", "events", "Event", "n"],
  ["coordination.k8s.io", "v1", "leases", "Lease", "n"],
  ["apps", "v1", "deployments", "Deployment", "nsg"],
  ["batch", "v1", "jobs", "Job", "nsg"],
  ["networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "ng"],
  ["policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "nsg"],
  ["rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", ""],
  ["rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", ""],
  ["rbac.authorization.k8s.io", "v1", "roles", "Role", "n"],
  ["rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "n"],
  ["apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", "sg"],
];

const storageOf = (plural: string, group: string): string => (group === "" ? plural : `${plural}.${group}`);

const withMetadata = (schema: Schema): Schema => ({
  ...schema,
  properties: { ...objectOf(schema["properties"]), metadata: metadataSchema },
});

export class Kinds {
  readonly #kinds: Kind[];

  constructor() {
    this.#kinds = builtIn.map(([group, version, plural, kind, marks]) => ({
      group,
      version,
      plural,
      kind,
      namespaced: marks.includes("n"),
      status: marks.includes("s"),
      counted: marks.includes("g"),
      custom: false,
      storage: storageOf(plural, group),
      schema: withMetadata(builtInSchemas[kind] ?? {}),
    }));
  }

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
    this.undefine(definition);
    for (const version of listOf(objectOf(definition["spec"])["versions"])) {
      const kind = customKind(definition, objectOf(version));
      if (objectOf(version)["served"] === true) this.#kinds.push(kind);
    }
  }

  undefine(definition: KubeObject): void {
    const kept = this.#kinds.filter((kind) => kind.storage !== definition.metadata.name || !kind.custom);
    this.#kinds.splice(0, this.#kinds.length, ...kept);
  }
}

function customKind(definition: KubeObject, version: Schema): Kind {
  const spec = objectOf(definition["spec"]);
  const names = objectOf(spec["names"]);
  const status = isObject(objectOf(version["subresources"])["status"]);
  return {
    group: textOf(spec["group"]),
    version: textOf(version["name"]),
    plural: textOf(names["plural"]),
    kind: textOf(names["kind"]),
    namespaced: spec["scope"] === "Namespaced",
    status,
    counted: true,
    custom: true,
    storage: storageOf(textOf(names["plural"]), textOf(spec["group"])),
    schema: withMetadata(objectOf(objectOf(version["schema"])["openAPIV3Schema"])),
  };
}

const condition = (type: string, reason: string, message: string, now: string): Schema => ({
  type,
  status: "True",
  lastTransitionTime: now,
  reason,
  message,
});

/** The definition with the status that a server gives it: accepted and established at once. */
export function established(definition: KubeObject, now: string): KubeObject {
  const spec = objectOf(definition["spec"]);
  const names = objectOf(spec["names"]);
  const group = textOf(spec["group"]);
  const versions = listOf(spec["versions"]).map(objectOf);
  const causes = [
    ...(definition.metadata.name === storageOf(textOf(names["plural"]), group)
      ? []
      : [required("metadata.name", 'must be spec.names.plural+"."+spec.group')]),
    ...(versions.filter((version) => version["storage"] === true).length === 1
      ? []
      : [required("spec.versions", "must have exactly one version marked as storage version")]),
    ...versions.flatMap((version, index) =>
      isObject(objectOf(version["schema"])["openAPIV3Schema"])
        ? []
        : [required(`spec.versions[${index}].schema.openAPIV3Schema`, "schemas are required")],
    ),
  ];
  if (causes.length > 0)
    throw invalid(
      { group: "apiextensions.k8s.io", kind: "CustomResourceDefinition" },
      definition.metadata.name,
      causes,
    );
  if (isObject(definition["status"])) return definition;
  const stored = versions.filter((version) => version["storage"] === true).map((version) => version["name"]);
  const acceptedNames = {
    listKind: `${textOf(names["kind"])}List`,
    singular: textOf(names["kind"]).toLowerCase(),
    ...names,
  };
  const conditions = [
    condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
    condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
  ];
  return { ...definition, status: { conditions, acceptedNames, storedVersions: stored } };
}
