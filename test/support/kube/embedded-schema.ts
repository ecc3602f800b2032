// Structural schemas (openAPIV3Schema of a CustomResourceDefinition): pruning, defaults and validation, and where a list
// is a set or a map for server-side apply. No CEL. Knows no resources; a schema in, a value in, the answer out.
import { equal, isObject, type JsonObject, listOf, objectOf, stringsOf, textOf } from "./embedded-objects.ts";
import { type Cause, invalidValue, required } from "./embedded-status.ts";

export type Schema = JsonObject;

export function fieldSchema(schema: Schema, name: string): Schema {
  const declared = objectOf(schema["properties"])[name];
  if (isObject(declared)) return declared;
  return objectOf(schema["additionalProperties"]);
}

export const itemSchema = (schema: Schema): Schema => objectOf(schema["items"]);

export function isAtomicMap(schema: Schema): boolean {
  return schema["x-kubernetes-map-type"] === "atomic";
}

/** How a list is owned: as a whole, item by item (a set), or by the keys that identify an item (a map). */
export function listKeys(schema: Schema): "atomic" | "set" | readonly string[] {
  const type = schema["x-kubernetes-list-type"];
  if (type === "set") return "set";
  return type === "map" ? stringsOf(schema["x-kubernetes-list-map-keys"]) : "atomic";
}

const keepsUnknown = (schema: Schema): boolean => schema["x-kubernetes-preserve-unknown-fields"] === true;
const isWholeObject = (schema: Schema): boolean => schema["x-kubernetes-embedded-resource"] === true;

/** Without the fields that the schema does not declare, and with its defaults. */
export function pruneAndDefault(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value)) return value.map((item) => pruneAndDefault(item, itemSchema(schema)));
  if (!isObject(value)) return value;
  const properties = objectOf(schema["properties"]);
  const open = schema["additionalProperties"] !== undefined && schema["additionalProperties"] !== false;
  const kept: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    const child = properties[key];
    const reserved = isWholeObject(schema) && ["apiVersion", "kind", "metadata"].includes(key);
    if (isObject(child)) {
      const dropped = member === null && child["default"] !== undefined && child["nullable"] !== true;
      if (!dropped) kept[key] = pruneAndDefault(member, child);
    } else if (open) kept[key] = pruneAndDefault(member, fieldSchema(schema, key));
    else if (keepsUnknown(schema) || reserved) kept[key] = member;
  }
  for (const [key, child] of Object.entries(properties)) {
    const byDefault = objectOf(child)["default"];
    if (byDefault !== undefined && kept[key] === undefined) kept[key] = pruneAndDefault(byDefault, objectOf(child));
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
  const wanted = schema["type"];
  if (wanted === undefined) return true;
  return type === wanted || (wanted === "number" && type === "integer");
}

const limit = (schema: Schema, name: string, fallback: number): number => {
  const value = schema[name];
  return typeof value === "number" ? value : fallback;
};

function* textCauses(value: string, schema: Schema, field: string): Generator<Cause> {
  const length = [...value].length;
  const [min, max] = [limit(schema, "minLength", 0), limit(schema, "maxLength", Number.POSITIVE_INFINITY)];
  if (length < min) yield invalidValue(field, `${field} in body should be at least ${min} chars long`);
  if (length > max) yield { reason: "FieldValueTooLong", message: `Too long: may not be longer than ${max}`, field };
  const pattern = schema["pattern"];
  if (typeof pattern === "string" && !new RegExp(pattern, "u").test(value)) {
    yield invalidValue(field, `${field} in body should match '${pattern}'`);
  }
}

function* numberCauses(value: number, schema: Schema, field: string): Generator<Cause> {
  const [min, max] = [limit(schema, "minimum", -Infinity), limit(schema, "maximum", Infinity)];
  if (value < min) yield invalidValue(field, `${field} in body should be greater than or equal to ${min}`);
  if (value > max) yield invalidValue(field, `${field} in body should be less than or equal to ${max}`);
}

function* listCauses(value: readonly unknown[], schema: Schema, field: string): Generator<Cause> {
  const [min, max] = [limit(schema, "minItems", 0), limit(schema, "maxItems", Number.POSITIVE_INFINITY)];
  if (value.length < min) yield invalidValue(field, `${field} in body should have at least ${min} items`);
  if (value.length > max) yield invalidValue(field, `${field} in body should have at most ${max} items`);
  for (const [index, item] of value.entries()) yield* causesIn(item, itemSchema(schema), `${field}[${index}]`);
  const keys = listKeys(schema);
  if (keys === "atomic") return;
  const identity = (item: unknown): unknown => (keys === "set" ? item : keys.map((key) => objectOf(item)[key]));
  for (const [index, item] of value.entries()) {
    if (value.slice(0, index).some((earlier) => equal(identity(earlier), identity(item)))) {
      yield { reason: "FieldValueDuplicate", message: "Duplicate value", field: `${field}[${index}]` };
    }
  }
}

function* objectCauses(value: JsonObject, schema: Schema, field: string): Generator<Cause> {
  const at = (key: string): string => (field === "" ? key : `${field}.${key}`);
  for (const key of stringsOf(schema["required"])) if (value[key] === undefined) yield required(at(key));
  const count = Object.keys(value).length;
  const [min, max] = [limit(schema, "minProperties", 0), limit(schema, "maxProperties", Number.POSITIVE_INFINITY)];
  if (count < min) yield invalidValue(field, `${field} in body should have at least ${min} properties`);
  if (count > max) yield invalidValue(field, `${field} in body should have at most ${max} properties`);
  for (const [key, member] of Object.entries(value)) yield* causesIn(member, fieldSchema(schema, key), at(key));
}

function* combinationCauses(value: unknown, schema: Schema, field: string): Generator<Cause> {
  const passing = (name: string): number =>
    listOf(schema[name]).filter((option) => [...causesIn(value, objectOf(option), field)].length === 0).length;
  for (const option of listOf(schema["allOf"])) yield* causesIn(value, objectOf(option), field);
  if (schema["anyOf"] !== undefined && passing("anyOf") === 0) {
    yield invalidValue(field, `${field} in body must validate at least one schema (anyOf)`);
  }
  if (schema["oneOf"] !== undefined && passing("oneOf") !== 1) {
    yield invalidValue(field, `${field} in body must validate one and only one schema (oneOf)`);
  }
  if (isObject(schema["not"]) && [...causesIn(value, schema["not"], field)].length === 0) {
    yield invalidValue(field, `${field} in body must not validate the schema (not)`);
  }
}

/** Everything the schema has against the value. */
export function* causesIn(value: unknown, schema: Schema, field: string): Generator<Cause> {
  if (value === undefined || (value === null && schema["nullable"] === true)) return;
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
  else if (typeof value === "number") yield* numberCauses(value, schema, field);
  else if (Array.isArray(value)) yield* listCauses(value, schema, field);
  else if (isObject(value)) yield* objectCauses(value, schema, field);
  yield* combinationCauses(value, schema, field);
}
