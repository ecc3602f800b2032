// Server-side apply: who owns which field, what an apply merges and removes, and when it conflicts. The algorithm of
// structured-merge-diff, on whole objects in memory. Knows no storage and no rules of any kind.
import {
  decodeFields,
  describePath,
  encodeFields,
  type FieldPath,
  type FieldSet,
  fieldSetOf,
  itemElement,
  leavesOf,
  ownsUnder,
  removeAt,
} from "./embedded-fields.ts";
import {
  equal,
  isObject,
  type JsonObject,
  type KubeObject,
  listOf,
  objectOf,
  textOf,
  without,
} from "./embedded-objects.ts";
import { fieldSchema, isAtomicMap, itemSchema, listKeys, type Schema } from "./embedded-schema.ts";
import { ApiError } from "./embedded-status.ts";

export interface Author {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  /** "" or "status": the same manager owns apart what it writes to each. */
  readonly subresource: string;
  readonly apiVersion: string;
  readonly time: string;
}

interface Owner extends Author {
  readonly fields: FieldSet;
}

const sameAuthor = (a: Author, b: Author): boolean =>
  a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;

function ownersOf(object: JsonObject | undefined): Owner[] {
  return listOf(objectOf(object?.["metadata"])["managedFields"]).map((entry) => {
    const { manager, operation, apiVersion, time, fieldsV1, subresource } = objectOf(entry);
    return {
      manager: textOf(manager),
      operation: operation === "Apply" ? "Apply" : "Update",
      subresource: textOf(subresource),
      apiVersion: textOf(apiVersion),
      time: textOf(time),
      fields: decodeFields(objectOf(fieldsV1)),
    };
  });
}

function encodeOwner({ manager, operation, apiVersion, time, fields, subresource }: Owner): JsonObject {
  const entry = { manager, operation, apiVersion, time, fieldsType: "FieldsV1", fieldsV1: encodeFields(fields) };
  return subresource === "" ? entry : { ...entry, subresource };
}

function withOwners(object: KubeObject, owners: readonly Owner[]): KubeObject {
  const managedFields = owners
    .filter(({ fields }) => fields.size > 0)
    .sort(
      (a, b) =>
        a.operation.localeCompare(b.operation) || a.time.localeCompare(b.time) || a.manager.localeCompare(b.manager),
    )
    .map(encodeOwner);
  const metadata = without(object.metadata, "managedFields");
  return { ...object, metadata: managedFields.length === 0 ? metadata : { ...metadata, managedFields } };
}

interface Difference {
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

function differenceOf(before: JsonObject | undefined, after: JsonObject, schema: Schema): Difference {
  const old = leavesOf(before ?? {}, schema);
  const current = leavesOf(after, schema);
  const changed = [...current].filter(([text, leaf]) => !old.has(text) || !equal(old.get(text)?.value, leaf.value));
  const removed = [...old].filter(([text]) => !current.has(text));
  return {
    changed: fieldSetOf(changed.map(([, leaf]) => leaf)),
    removed: fieldSetOf(removed.map(([, leaf]) => leaf)),
  };
}

const minus = (set: FieldSet, ...others: readonly FieldSet[]): FieldSet =>
  new Map([...set].filter(([text]) => !others.some((other) => other.has(text))));

/** The object with managedFields as they are after an ordinary write: who changes a field owns it, alone. */
export function trackUpdate(
  live: KubeObject | undefined,
  next: KubeObject,
  schema: Schema,
  author: Author,
): KubeObject {
  const { changed, removed } = differenceOf(live, next, schema);
  const owners = ownersOf(live);
  const own = owners.find((owner) => sameAuthor(owner, author));
  const others = owners
    .filter((owner) => owner !== own)
    .map((owner) => ({ ...owner, fields: minus(owner.fields, changed, removed) }));
  const fields = new Map([...minus(own?.fields ?? new Map(), removed), ...changed]);
  // An unchanged set keeps its time, or writing the same again would be a change.
  const time =
    own !== undefined && equal([...own.fields.keys()].sort(), [...fields.keys()].sort()) ? own.time : author.time;
  return withOwners(next, [...others, { ...author, time, fields }]);
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

function removeAbandoned(
  merged: JsonObject,
  abandoned: FieldSet,
  owners: readonly Owner[],
  schema: Schema,
): JsonObject {
  const ownedByAnyone = (path: FieldPath): boolean => owners.some(({ fields }) => ownsUnder(fields, path));
  let left: unknown = merged;
  // Whole items first: without the fields that name it, an item could no longer be found.
  for (const path of [...abandoned.values()].sort((a, b) => a.length - b.length)) {
    if (!ownedByAnyone(path)) left = removeAt(left, path, schema);
  }
  return objectOf(left);
}

function conflictError(conflicts: readonly { owner: Owner; fields: FieldSet }[]): ApiError {
  const causes = conflicts.flatMap(({ owner, fields }) =>
    [...fields.values()].map((path) => ({
      reason: "FieldManagerConflict",
      message: `conflict with "${owner.manager}"${owner.operation === "Apply" ? "" : ` using ${owner.apiVersion}`}`,
      field: describePath(path),
    })),
  );
  const said = causes.map(({ message, field }) => `${message}: ${field}`).join(", ");
  const message = `Apply failed with ${causes.length} conflict${causes.length === 1 ? "" : "s"}: ${said}`;
  return new ApiError(409, "Conflict", message, { causes });
}

/** The live object (or none) with the configuration applied, and managedFields to match. Throws the 409 of a conflict. */
export function applyConfiguration(
  live: KubeObject | undefined,
  config: KubeObject,
  options: { readonly schema: Schema; readonly author: Author; readonly force: boolean },
): KubeObject {
  const { schema, author, force } = options;
  const owners = ownersOf(live);
  const previous = owners.find((owner) => sameAuthor(owner, author));
  const others = owners.filter((owner) => owner !== previous);
  const fields = fieldSetOf(leavesOf(config, schema).values());
  const time =
    previous !== undefined && equal([...previous.fields.keys()].sort(), [...fields.keys()].sort())
      ? previous.time
      : author.time;
  const own: Owner = { ...author, time, fields };

  const merged = objectOf(merge(live ?? {}, config, schema));
  const abandoned = minus(previous?.fields ?? new Map(), fields);
  const result = removeAbandoned(merged, abandoned, [...others, own], schema);
  const { changed, removed } = differenceOf(live, result, schema);

  const conflicts = others
    .map((owner) => ({ owner, fields: new Map([...owner.fields].filter(([text]) => changed.has(text))) }))
    .filter((found) => found.fields.size > 0);
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const left = others.map((owner) => ({ ...owner, fields: minus(owner.fields, changed, removed) }));
  const object: KubeObject = {
    ...result,
    apiVersion: config.apiVersion,
    kind: config.kind,
    metadata: { ...config.metadata, ...objectOf(result["metadata"]), name: config.metadata.name },
  };
  return withOwners(object, [...left, own]);
}
