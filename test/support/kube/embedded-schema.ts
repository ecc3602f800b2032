// Structural schemas (openAPIV3Schema of a CustomResourceDefinition): pruning, defaults and validation, and where a list
// is a set or a map for server-side apply. No CEL. Knows no resources; a schema in, a value in, the answer out.
import { equal, isObject, type JsonObject, objectOf, stringsOf, textOf } from "./embedded-objects.ts";
import { type Cause, invalidValue, required, tooLong } from "./embedded-status.ts";

export type Schema = JsonObject;

export function fieldSchema(schema: Schema, name: string): Schema {
  const declared = objectOf(schema["properties"])[name];
  return objectOf(declared ?? schema["additionalProperties"]);
}

export const itemSchema = (schema: Schema): Schema => objectOf(schema["items"]);
export const isAtomicMap = (schema: Schema): boolean => schema["x-kubernetes-map-type"] === "atomic";

/** How a list is owned: as a whole, item by item (a set), or by the keys that identify an item (a map). */
export function listKeys(schema: Schema): "atomic" | "set" | readonly string[] {
  const type = schema["x-kubernetes-list-type"];
  if (type === "set") return "set";
  return type === "map" ? stringsOf(schema["x-kubernetes-list-map-keys"]) : "atomic";
}

/** Without the fields that the schema does not declare, and with its defaults. */
export function pruneAndDefault(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value)) return value.map((item) => pruneAndDefault(item, itemSchema(schema)));
  if (!isObject(value)) return value;
  const properties = objectOf(schema["properties"]);
  const open = isObject(schema["additionalProperties"]) || schema["additionalProperties"] === true;
  const kept: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    if (key in properties || open) kept[key] = pruneAndDefault(member, fieldSchema(schema, key));
    else if (schema["x-kubernetes-preserve-unknown-fields"] === true) kept[key] = member;
  }
  for (const [key, declared] of Object.entries(properties)) {
    const { default: byDefault, nullable } = objectOf(declared);
    const missing = kept[key] === undefined || (kept[key] === null && nullable !== true);
    if (byDefault !== undefined && missing) kept[key] = pruneAndDefault(byDefault, objectOf(declared));
  }
  return kept;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function hasType(value: unknown, schema: Schema): boolean {
  const type = typeOf(value);
  if (schema["x-kubernetes-int-or-string"] === true) return type === "integer" || type === "string";
  const wanted = schema["type"] ?? type;
  return type === wanted || (wanted === "number" && type === "integer");
}

const limit = (schema: Schema, name: string): number | undefined => {
  const value = schema[name];
  return typeof value === "number" ? value : undefined;
};

function* sizeCauses(size: number, schema: Schema, field: string, names: readonly [string, string]): Generator<Cause> {
  const [min, max] = [limit(schema, names[0]), limit(schema, names[1])];
  if (min !== undefined && size < min)
    yield invalidValue(field, `${field} in body should be at least ${min} (${names[0]})`);
  if (max !== undefined && size > max) yield tooLong(field, max);
}

function* textCauses(value: string, schema: Schema, field: string): Generator<Cause> {
  yield* sizeCauses([...value].length, schema, field, ["minLength", "maxLength"]);
  const pattern = schema["pattern"];
  if (typeof pattern === "string" && !new RegExp(pattern, "u").test(value)) {
    yield invalidValue(field, `${field} in body should match '${pattern}'`);
  }
}

function* listCauses(value: readonly unknown[], schema: Schema, field: string): Generator<Cause> {
  yield* sizeCauses(value.length, schema, field, ["minItems", "maxItems"]);
  for (const [index, item] of value.entries()) yield* causesIn(item, itemSchema(schema), `${field}[${index}]`);
  const keys = listKeys(schema);
  if (keys === "atomic") return;
  const identities = value.map((item) => (keys === "set" ? item : keys.map((key) => objectOf(item)[key])));
  const isRepeated = (index: number): boolean =>
    identities.slice(0, index).some((earlier) => equal(earlier, identities[index]));
  for (const index of value.keys()) {
    if (isRepeated(index))
      yield { reason: "FieldValueDuplicate", message: "Duplicate value", field: `${field}[${index}]` };
  }
}

function* objectCauses(value: JsonObject, schema: Schema, field: string): Generator<Cause> {
  yield* sizeCauses(Object.keys(value).length, schema, field, ["minProperties", "maxProperties"]);
  const at = (key: string): string => (field === "" ? key : `${field}.${key}`);
  const missing = stringsOf(schema["required"]).filter((key) => value[key] === undefined || value[key] === null);
  for (const key of missing) yield required(at(key));
  for (const [key, member] of Object.entries(value)) {
    if (!missing.includes(key)) yield* causesIn(member, fieldSchema(schema, key), at(key));
  }
}

/** Everything the schema has against the value. */
export function* causesIn(value: unknown, schema: Schema, field: string): Generator<Cause> {
  if (value === null && schema["nullable"] === true) return;
  if (!hasType(value, schema)) {
    yield invalidValue(field, `${field} in body must be of type ${textOf(schema["type"])}: "${typeOf(value)}"`);
    return;
  }
  const allowed = schema["enum"];
  if (Array.isArray(allowed) && !allowed.some((item) => equal(item, value))) {
    const supported = allowed.map((item) => JSON.stringify(item)).join(", ");
    yield { reason: "FieldValueNotSupported", message: `Unsupported value: supported values: ${supported}`, field };
  }
  if (typeof value === "string") yield* textCauses(value, schema, field);
  else if (typeof value === "number") yield* sizeCauses(value, schema, field, ["minimum", "maximum"]);
  else if (Array.isArray(value)) yield* listCauses(value, schema, field);
  else if (isObject(value)) yield* objectCauses(value, schema, field);
}
