// The shape of what the embedded API server keeps, and the few operations on JSON values that its parts share.
// Stored objects are never changed in place: every write makes a new one. Knows no kinds and no HTTP.

export type JsonObject = { [key: string]: unknown };

export interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** Who wrote fields, and how. The same manager owns apart what it applies, updates, and writes to /status. */
export interface Author {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly subresource?: string;
  readonly apiVersion: string;
  readonly time: string;
}

export interface Metadata {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  managedFields?: (Author & { readonly fieldsType: "FieldsV1"; readonly fieldsV1: JsonObject })[];
  [other: string]: unknown;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
  [field: string]: unknown;
}

/** What of the metadata is the server's: no request sets or changes it, and nobody owns it. */
export const metadataOfServer = [
  ...["name", "namespace", "uid", "resourceVersion", "generation", "managedFields"],
  ...["creationTimestamp", "deletionTimestamp"],
] as const;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an object; an empty one where it is none. */
export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The strings of a list; anything else in it is left out. */
export function stringsOf(value: unknown): string[] {
  return listOf(value).filter((item): item is string => typeof item === "string");
}

/** A copy without the given keys, which must not be among those that its type demands. */
export function without<T extends object>(object: T, ...keys: readonly string[]): T {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key))) as T;
}

/** Of the given keys, those that the object has. */
export function only<T extends object>(object: T, ...keys: readonly string[]): Partial<T> {
  return Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key))) as Partial<T>;
}

/** A copy without null members at any depth, which is how a typed server reads them. Lists keep theirs. */
export function withoutNulls<T extends object>(value: T): T {
  const kept = Object.entries(value).filter(([, member]) => member !== null && member !== undefined);
  return Object.fromEntries(kept.map(([key, member]) => [key, isObject(member) ? withoutNulls(member) : member])) as T;
}
