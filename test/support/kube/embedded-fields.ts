// Field sets as server-side apply keeps them in managedFields: paths of "f:name", "k:{…}" (an item of a list map) and
// "v:…" (an item of a set). Leaves of an object, sets to and from fieldsV1, removal at a path. Knows no managers.
import { isObject, type JsonObject, objectOf } from "./embedded-objects.ts";
import { fieldSchema, isAtomicMap, itemSchema, listKeys, type Schema } from "./embedded-schema.ts";

export type FieldPath = readonly string[];
/** Paths by their own JSON text. */
export type FieldSet = ReadonlyMap<string, FieldPath>;
export interface Leaf {
  readonly path: FieldPath;
  readonly value: unknown;
}

// What the server itself sets belongs to nobody.
const unowned = new Set([
  ...["f:apiVersion", "f:kind"],
  ...[
    "name",
    "namespace",
    "creationTimestamp",
    "deletionTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
  ].map((name) => `f:metadata/f:${name}`),
  ...["f:metadata/f:resourceVersion", "f:metadata/f:deletionGracePeriodSeconds"],
]);

const keyText = (path: FieldPath): string => JSON.stringify(path);

/** How an item of a list is called in a path; undefined where the list is owned as a whole. */
export function itemElement(item: unknown, schema: Schema): string | undefined {
  const keys = listKeys(schema);
  if (keys === "atomic") return undefined;
  if (keys === "set") return `v:${JSON.stringify(item)}`;
  const named = [...keys].sort().flatMap((key) => {
    const value = objectOf(item)[key] ?? objectOf(fieldSchema(itemSchema(schema), key))["default"];
    return value === undefined ? [] : [[key, value]];
  });
  return `k:${JSON.stringify(Object.fromEntries(named))}`;
}

function collect(value: unknown, schema: Schema, path: FieldPath, leaves: Map<string, Leaf>): void {
  if (path.length <= 2 && unowned.has(path.join("/"))) return;
  if (isObject(value) && !isAtomicMap(schema)) {
    const members = Object.entries(value);
    if (members.length === 0 && path.length > 1) leaves.set(keyText(path), { path, value });
    for (const [key, member] of members) collect(member, fieldSchema(schema, key), [...path, `f:${key}`], leaves);
    return;
  }
  if (Array.isArray(value) && value.length > 0 && listKeys(schema) !== "atomic") {
    for (const item of value) {
      const itemPath = [...path, itemElement(item, schema) ?? ""];
      leaves.set(keyText(itemPath), { path: itemPath, value: true });
      if (isObject(item)) collect(item, itemSchema(schema), itemPath, leaves);
    }
    return;
  }
  leaves.set(keyText(path), { path, value });
}

/** Every field of the object that somebody can own, with its value. */
export function leavesOf(object: JsonObject, schema: Schema): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  collect(object, schema, [], leaves);
  return leaves;
}

export function fieldSetOf(leaves: Iterable<Leaf>): Map<string, FieldPath> {
  return new Map([...leaves].map(({ path }) => [keyText(path), path]));
}

export function encodeFields(set: FieldSet): JsonObject {
  const root: JsonObject = {};
  const nodeAt = (path: FieldPath): JsonObject =>
    path.reduce<JsonObject>((node, element) => {
      const child = objectOf(node[element]);
      node[element] = child;
      return child;
    }, root);
  const paths = [...set.values()];
  for (const path of paths) nodeAt(path);
  // A path that is owned itself and has owned fields below it says so with a dot.
  for (const path of paths) {
    const node = nodeAt(path);
    if (Object.keys(node).length > 0) node["."] = {};
  }
  return root;
}

export function decodeFields(tree: JsonObject, path: FieldPath = []): Map<string, FieldPath> {
  const set = new Map<string, FieldPath>();
  for (const [element, child] of Object.entries(tree)) {
    if (element === ".") {
      set.set(keyText(path), path);
      continue;
    }
    const below = [...path, element];
    const members = objectOf(child);
    if (Object.keys(members).length === 0) set.set(keyText(below), below);
    else for (const [text, owned] of decodeFields(members, below)) set.set(text, owned);
  }
  return set;
}

const startsWith = (path: FieldPath, prefix: FieldPath): boolean =>
  prefix.every((element, index) => path[index] === element);

/** Whether the set owns the path or anything below it. */
export function ownsUnder(set: FieldSet, path: FieldPath): boolean {
  if (set.has(keyText(path))) return true;
  for (const owned of set.values()) if (owned.length > path.length && startsWith(owned, path)) return true;
  return false;
}

/** The value without what is at the path. A container that this empties is left as null, as the real one leaves it. */
export function removeAt(value: unknown, path: FieldPath, schema: Schema): unknown {
  const [element = "", ...rest] = path;
  if (Array.isArray(value)) {
    const left = value.flatMap((item) => {
      if (itemElement(item, schema) !== element) return [item];
      return rest.length === 0 ? [] : [removeAt(item, rest, itemSchema(schema))];
    });
    return left.length === 0 ? null : left;
  }
  const key = element.slice(2);
  if (!isObject(value) || !(key in value)) return value;
  const { [key]: member, ...others } = value;
  if (rest.length > 0) return { ...value, [key]: removeAt(member, rest, fieldSchema(schema, key)) };
  return Object.keys(others).length === 0 ? null : others;
}

/** ".data.a", ".status.conditions[type=\"Ready\"].status": how an error writes a path. */
export function describePath(path: FieldPath): string {
  return path
    .map((element) => {
      const text = element.slice(2);
      if (element.startsWith("f:")) return `.${text}`;
      if (element.startsWith("v:")) return `[=${text}]`;
      const pairs = Object.entries(objectOf(JSON.parse(text)));
      return `[${pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
    })
    .join("");
}
