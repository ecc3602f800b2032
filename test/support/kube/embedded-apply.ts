// Server-side apply: who owns which field, what an apply merges and removes, and when it conflicts. The algorithm of
// structured-merge-diff, on whole objects in memory; merge patches need a part of it. Knows no storage and no rules.
import { isDeepStrictEqual } from "node:util";
import {
  decodeFields,
  describePath,
  encodeFields,
  type FieldSet,
  itemElement,
  leavesOf,
  ownsUnder,
  removeAt,
} from "./embedded-fields.ts";
import { type Author, isObject, type JsonObject, type KubeObject, objectOf, without } from "./embedded-objects.ts";
import { fieldSchema, isAtomicMap, itemSchema, listKeys, type Schema } from "./embedded-schema.ts";
import { ApiError } from "./embedded-status.ts";

interface Owner {
  readonly author: Author;
  readonly fields: FieldSet;
}

const ownersOf = (object: KubeObject | undefined): Owner[] =>
  (object?.metadata.managedFields ?? []).map(({ fieldsType: _, fieldsV1, ...author }) => ({
    author,
    fields: new Set(decodeFields(fieldsV1)),
  }));

const isBy = (a: Author, b: Author): boolean =>
  a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;

/** What the author owns so far. */
const fieldsOf = (live: KubeObject | undefined, author: Author): FieldSet =>
  ownersOf(live).find((owner) => isBy(owner.author, author))?.fields ?? new Set();

const minus = (set: FieldSet, ...others: readonly FieldSet[]): FieldSet =>
  new Set([...set].filter((field) => !others.some((other) => other.has(field))));

/** The object with managedFields to match: `by` owns its fields, and nobody else what it took. */
function withOwners(object: KubeObject, live: KubeObject | undefined, by: Owner, taken: FieldSet[]): KubeObject {
  const isOwn = ({ author }: Owner): boolean => isBy(author, by.author);
  const owners = ownersOf(live).map((owner) => {
    // The time of an unchanged set stays, or writing the same again would be a change.
    if (isOwn(owner)) return isDeepStrictEqual(owner.fields, by.fields) ? owner : by;
    return { ...owner, fields: minus(owner.fields, ...taken) };
  });
  const managedFields = (owners.some(isOwn) ? owners : [...owners, by])
    .filter(({ fields }) => fields.size > 0)
    .map(({ author, fields }) => ({ ...author, fieldsType: "FieldsV1" as const, fieldsV1: encodeFields(fields) }));
  const metadata = without(object.metadata, "managedFields");
  return { ...object, metadata: managedFields.length === 0 ? metadata : { ...metadata, managedFields } };
}

/** Fields that are new or have another value, and fields that are there no more. */
function differenceOf(before: KubeObject | undefined, after: KubeObject, schema: Schema): [FieldSet, FieldSet] {
  const [old, current] = [leavesOf(before ?? {}, schema), leavesOf(after, schema)];
  const isChanged = (field: string): boolean =>
    !old.has(field) || !isDeepStrictEqual(old.get(field), current.get(field));
  const removed = [...old.keys()].filter((field) => !current.has(field));
  return [new Set([...current.keys()].filter(isChanged)), new Set(removed)];
}

/** The object with managedFields as they are after an ordinary write: who changes a field owns it, alone. */
export function trackUpdate(live: KubeObject | undefined, next: KubeObject, schema: Schema, by: Author): KubeObject {
  const [changed, removed] = differenceOf(live, next, schema);
  const fields = new Set([...minus(fieldsOf(live, by), removed), ...changed]);
  return withOwners(next, live, { author: by, fields }, [changed, removed]);
}

function mergeLists(live: readonly unknown[], config: readonly unknown[], schema: Schema): unknown[] {
  const named = new Map(live.map((item) => [itemElement(item, schema), item]));
  for (const item of config) {
    const element = itemElement(item, schema);
    named.set(element, merge(named.get(element), item, itemSchema(schema)));
  }
  return [...named.values()];
}

function merge(live: unknown, config: unknown, schema: Schema): unknown {
  if (isObject(live) && isObject(config) && !isAtomicMap(schema)) {
    const merged: JsonObject = { ...live };
    for (const [key, member] of Object.entries(config))
      merged[key] = merge(live[key], member, fieldSchema(schema, key));
    return merged;
  }
  if (Array.isArray(live) && Array.isArray(config) && listKeys(schema) !== "atomic")
    return mergeLists(live, config, schema);
  return config;
}

/** JSON Merge Patch: objects are merged, lists replaced. The nulls that remove something are left for the decoder. */
export const mergePatch = (live: KubeObject, patch: unknown): unknown => merge(live, patch, {});

function conflictError(conflicts: readonly { author: Author; field: string }[]): ApiError {
  const causes = conflicts.map(({ author: { manager, operation, apiVersion }, field }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with "${manager}"${operation === "Apply" ? "" : ` using ${apiVersion}`}`,
    field: describePath(field),
  }));
  const said = causes.map(({ message, field }) => `${message}: ${field}`).join(", ");
  return new ApiError(409, "Conflict", `Apply failed with conflicts: ${said}`, { causes });
}

/** The live object (or none) with the configuration applied, and managedFields to match. Throws the 409 of a conflict. */
export function applyConfiguration(
  live: KubeObject | undefined,
  config: KubeObject,
  { schema, author, force }: { readonly schema: Schema; readonly author: Author; readonly force: boolean },
): KubeObject {
  const others = ownersOf(live).filter((owner) => !isBy(owner.author, author));
  const fields: FieldSet = new Set(leavesOf(config, schema).keys());

  let merged = objectOf(merge(live ?? {}, config, schema));
  // Whole items first: without the fields that name it, an item could no longer be found.
  const abandoned = [...minus(fieldsOf(live, author), fields)].sort((a, b) => a.length - b.length);
  for (const field of abandoned) {
    if (![fields, ...others.map((owner) => owner.fields)].some((owned) => ownsUnder(owned, field)))
      merged = removeAt(merged, field, schema);
  }
  const metadata = { ...config.metadata, ...objectOf(merged["metadata"]) };
  const object: KubeObject = { ...merged, apiVersion: config.apiVersion, kind: config.kind, metadata };

  const [changed, removed] = differenceOf(live, object, schema);
  const conflicts = others.flatMap((owner) =>
    [...owner.fields].filter((field) => changed.has(field)).map((field) => ({ author: owner.author, field })),
  );
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  return withOwners(object, live, { author, fields }, [changed, removed]);
}
