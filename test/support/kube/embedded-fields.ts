// Field sets as server-side apply keeps them in managedFields: paths of "f:name", "k:{…}" (an item of a list map) and
// "v:…" (an item of a set). Leaves of an object, sets to and from fieldsV1, removal at a path. Knows no managers.
import { isObject, type JsonObject, metadataOfServer, objectOf, without } from "./embedded-objects.ts";
import { fieldSchema, isAtomicMap, itemSchema, listKeys, type Schema } from "./embedded-schema.ts";

type FieldPath = readonly string[];
/** Paths, each as its JSON text. */
export type FieldSet = ReadonlySet<string>;
/** What stands at each of the paths. */
export type Leaves = ReadonlyMap<string, unknown>;

const textOfPath = (path: FieldPath): string => JSON.stringify(path);
const pathOf = (text: string): FieldPath => JSON.parse(text) as string[];

/** How an item of a list is called in a path; undefined where the list is owned as a whole. */
export function itemElement(item: unknown, schema: Schema): string | undefined {
  const keys = listKeys(schema);
  if (keys === "atomic") return undefined;
  if (keys === "set") return `v:${JSON.stringify(item)}`;
  const named = [...keys].sort().map((key) => [key, objectOf(item)[key]]);
  return `k:${JSON.stringify(Object.fromEntries(named))}`;
}

function collect(value: unknown, schema: Schema, path: FieldPath, leaves: Map<string, unknown>): void {
  if (isObject(value) && !isAtomicMap(schema)) {
    const members = Object.entries(value);
    if (members.length === 0 && path.length > 1) leaves.set(textOfPath(path), value);
    for (const [key, member] of members) collect(member, fieldSchema(schema, key), [...path, `f:${key}`], leaves);
    return;
  }
  if (Array.isArray(value) && value.length > 0 && listKeys(schema) !== "atomic") {
    for (const item of value) {
      const itemPath = [...path, itemElement(item, schema) ?? ""];
      leaves.set(textOfPath(itemPath), true);
      if (isObject(item)) collect(item, itemSchema(schema), itemPath, leaves);
    }
    return;
  }
  leaves.set(textOfPath(path), value);
}

/** Every field of the object that somebody can own, with its value. */
export function leavesOf(object: JsonObject, schema: Schema): Leaves {
  const leaves = new Map<string, unknown>();
  const metadata = without(objectOf(object["metadata"]), ...metadataOfServer);
  collect({ ...without(object, "apiVersion", "kind"), metadata }, schema, [], leaves);
  return leaves;
}

export function encodeFields(set: FieldSet): JsonObject {
  const root: JsonObject = {};
  for (const text of set) {
    let node = root;
    for (const element of pathOf(text)) {
      const child = objectOf(node[element]);
      node[element] = child;
      node = child;
    }
    // A path that is owned itself and has owned fields below it says so with a dot.
    if (ownsBelow(set, text)) node["."] = {};
  }
  return root;
}

export function decodeFields(tree: JsonObject, path: FieldPath = []): string[] {
  return Object.entries(tree).flatMap(([element, child]) => {
    if (element === ".") return [textOfPath(path)];
    const below = [...path, element];
    const members = objectOf(child);
    return Object.keys(members).length === 0 ? [textOfPath(below)] : decodeFields(members, below);
  });
}

const ownsBelow = (set: FieldSet, text: string): boolean =>
  [...set].some((owned) => owned.startsWith(`${text.slice(0, -1)},`));

/** Whether the set owns the path or anything below it. */
export const ownsUnder = (set: FieldSet, text: string): boolean => set.has(text) || ownsBelow(set, text);

function removeFrom(value: unknown, [element = "", ...rest]: FieldPath, schema: Schema): unknown {
  if (Array.isArray(value)) {
    const left = value.flatMap((item) => {
      if (itemElement(item, schema) !== element) return [item];
      return rest.length === 0 ? [] : [removeFrom(item, rest, itemSchema(schema))];
    });
    return left.length === 0 ? null : left;
  }
  const key = element.slice(2);
  if (!isObject(value) || !(key in value)) return value;
  if (rest.length > 0) return { ...value, [key]: removeFrom(value[key], rest, fieldSchema(schema, key)) };
  const left = without(value, key);
  return Object.keys(left).length === 0 ? null : left;
}

/** The object without what is at the path. A container that this empties is left as null. */
export function removeAt(object: JsonObject, text: string, schema: Schema): JsonObject {
  return objectOf(removeFrom(object, pathOf(text), schema));
}

/** ".data.a": how an error writes a path. */
export function describePath(text: string): string {
  const described = pathOf(text).map((element) => (element.startsWith("f:") ? `.${element.slice(2)}` : `[${element}]`));
  return described.join("");
}
