// The Kubernetes shapes this controller reads and writes, and where the API server keeps them.
// Knows no behaviour: what an Environment means is environment-resource.ts, what a refusal means is conditions.ts.

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** Enough of any object to cache it, to requeue it and to see who owns it. */
export interface KubeObject {
  readonly metadata: ObjectMeta;
}

export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

export interface BoundSecret extends KubeObject {
  readonly spec?: { readonly document?: unknown };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly environment?: string;
    readonly documentDigest?: string;
    readonly conditions?: readonly Condition[];
  };
}

export interface EnvironmentObject extends KubeObject {
  readonly spec?: unknown;
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
}

/** A key Secret; `data` is base64, as the API server gives it. */
export interface KeySecret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export const fieldManager = "sealward-controller";
export const apiVersion = "sealward.dev/v1alpha1";

const group = `/apis/${apiVersion}`;

/** API paths. Names come from the API server itself, so they are DNS labels; they are escaped all the same. */
export const paths: {
  readonly boundSecrets: string;
  readonly environments: string;
  readonly namespaces: string;
  boundSecret(namespace: string, name: string): string;
  environment(name: string): string;
  namespace(name: string): string;
  secrets(namespace: string): string;
  secret(namespace: string, name: string): string;
  events(namespace: string): string;
} = {
  boundSecrets: `${group}/boundsecrets`,
  environments: `${group}/environments`,
  namespaces: "/api/v1/namespaces",
  boundSecret: (namespace, name) =>
    `${group}/namespaces/${encodeURIComponent(namespace)}/boundsecrets/${encodeURIComponent(name)}`,
  environment: (name) => `${group}/environments/${encodeURIComponent(name)}`,
  namespace: (name) => `${paths.namespaces}/${encodeURIComponent(name)}`,
  secrets: (namespace) => `${paths.namespace(namespace)}/secrets`,
  secret: (namespace, name) => `${paths.secrets(namespace)}/${encodeURIComponent(name)}`,
  events: (namespace) => `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`,
};
