// Structural schemas (openAPIV3Schema of a CustomResourceDefinition), as far as deploy/crds uses them: pruning, defaults
// and validation, and where a list is a set or a map for server-side apply. Knows no resources.
import { isDeepStrictEqual } from "node:util";
import { isObject, type JsonObject, objectOf, stringsOf, textOf } from "./embedded-objects.ts";
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
  const kept: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    const declared = key in properties || isObject(schema["additionalProperties"]);
    if (declared) kept[key] = pruneAndDefault(member, fieldSchema(schema, key));
  }
  for (const [key, declared] of Object.entries(properties)) {
    const { default: byDefault } = objectOf(declared);
    if (byDefault !== undefined) kept[key] ??= byDefault;
  }
  return kept;
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (Number.isInteger(value)) return "integer";
  return value === null ? "null" : typeof value;
}

function* sizeCauses(size: number, schema: Schema, field: string, names: readonly [string, string?]): Generator<Cause> {
  const [min, max] = names.map((name) => schema[name ?? ""]);
  if (typeof min === "number" && size < min) yield invalidValue(field, `should be at least ${min} (${names[0]})`);
  if (typeof max === "number" && size > max) yield tooLong(field, max);
}

function* textCauses(value: string, schema: Schema, field: string): Generator<Cause> {
  yield* sizeCauses([...value].length, schema, field, ["minLength", "maxLength"]);
  const pattern = schema["pattern"];
  if (typeof pattern === "string" && !new RegExp(pattern, "u").test(value))
    yield invalidValue(field, `should match '${pattern}'`);
}

function* listCauses(value: readonly unknown[], schema: Schema, field: string): Generator<Cause> {
  yield* sizeCauses(value.length, schema, field, ["minItems", "maxItems"]);
  for (const [index, item] of value.entries()) yield* causesIn(item, itemSchema(schema), `${field}[${index}]`);
  const keys = listKeys(schema);
  if (keys === "atomic") return;
  const names = value.map((item) => (keys === "set" ? item : keys.map((key) => objectOf(item)[key])));
  for (const [index, name] of names.entries()) {
    const isRepeated = names.findIndex((earlier) => isDeepStrictEqual(earlier, name)) < index;
    if (isRepeated) yield { reason: "FieldValueDuplicate", message: "Duplicate value", field: `${field}[${index}]` };
  }
}

function* objectCauses(value: JsonObject, schema: Schema, field: string): Generator<Cause> {
  const at = (key: string): string => (field === "" ? key : `${field}.${key}`);
  for (const key of stringsOf(schema["required"])) if (value[key] === undefined) yield required(at(key));
  for (const [key, member] of Object.entries(value)) yield* causesIn(member, fieldSchema(schema, key), at(key));
}

/** Everything the schema has against the value. */
export function* causesIn(value: unknown, schema: Schema, field: string): Generator<Cause> {
  const type = typeOf(value);
  if (type !== (schema["type"] ?? type)) {
    yield invalidValue(field, `must be of type ${textOf(schema["type"])}, not ${type}`);
    return;
  }
  const allowed = schema["enum"];
  if (Array.isArray(allowed) && !allowed.includes(value))
    yield { reason: "FieldValueNotSupported", message: `Unsupported value: supported: ${allowed.join(", ")}`, field };
  if (typeof value === "string") yield* textCauses(value, schema, field);
  else if (typeof value === "number") yield* sizeCauses(value, schema, field, ["minimum"]);
  else if (Array.isArray(value)) yield* listCauses(value, schema, field);
  else if (isObject(value)) yield* objectCauses(value, schema, field);
}
