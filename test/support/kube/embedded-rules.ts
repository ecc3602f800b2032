// What the embedded API server demands of an object before it keeps it: names, metadata, and the rules of Secrets, Events
// and custom resources. Knows no storage, no ownership and no HTTP.
import { isDeepStrictEqual } from "node:util";
import type { Kind } from "./embedded-kinds.ts";
import { isObject, type KubeObject, objectOf, only, textOf, without, withoutNulls } from "./embedded-objects.ts";
import { causesIn, pruneAndDefault } from "./embedded-schema.ts";
import { badRequest, type Cause, invalid, invalidValue, required, tooLong } from "./embedded-status.ts";

type TextMap = Readonly<Record<string, string>>;

const subdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedName = /^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const dataKey = /^(?!\.\.?$|\.\.)[-._a-zA-Z0-9]{1,253}$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const maxDataBytes = 1_048_576;

function* metadataCauses({ metadata: { name, labels = {}, annotations = {} } }: KubeObject): Generator<Cause> {
  if (name === "") yield required("metadata.name");
  else if (!subdomain.test(name)) yield invalidValue("metadata.name", "not a valid name");
  for (const [key, value] of Object.entries(labels)) {
    if (!qualifiedName.test(key) || !labelValue.test(value)) yield invalidValue("metadata.labels", `"${key}"`);
  }
  for (const key of Object.keys(annotations)) {
    if (!qualifiedName.test(key.toLowerCase())) yield invalidValue("metadata.annotations", `"${key}"`);
  }
}

function textMap(content: object, field: string): TextMap {
  const value: unknown = Reflect.get(content, field) ?? {};
  const isMapOfStrings = isObject(value) && Object.values(value).every((text) => typeof text === "string");
  if (!isMapOfStrings) throw badRequest(`${field}: must be a map of strings`);
  return value as TextMap;
}

/** As stored: stringData folded into data, the default type, nothing undeclared. */
function storedSecret(secret: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, type } = secret;
  const given = Object.entries(textMap(secret, "stringData"));
  const folded = given.map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
  const data: TextMap = { ...textMap(secret, "data"), ...Object.fromEntries(folded) };
  if (!Object.values(data).every((value) => base64.test(value))) throw badRequest("Secret.Data: illegal base64 data");
  const filled = Object.keys(data).length === 0 ? {} : { data };
  return { apiVersion, kind, metadata, ...filled, ...only(secret, "immutable"), type: textOf(type) || "Opaque" };
}

function isJsonObject(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}

const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};

function* secretCauses(secret: KubeObject): Generator<Cause> {
  const data = textMap(secret, "data");
  const type = textOf(secret["type"]);
  for (const key of Object.keys(data)) if (!dataKey.test(key)) yield invalidValue(`data[${key}]`, "not a valid key");
  const size = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, "base64"), 0);
  if (size > maxDataBytes) yield tooLong("data", maxDataBytes);
  for (const key of requiredKeys[type] ?? []) {
    const value = data[key];
    if (value === undefined) yield required(`data[${key}]`);
    else if (key.startsWith(".docker") && !isJsonObject(Buffer.from(value, "base64").toString()))
      yield invalidValue(`data[${key}]`, "invalid JSON");
  }
  if (type === "kubernetes.io/basic-auth" && data["username"] === undefined && data["password"] === undefined) {
    for (const key of ["username", "password"]) yield required(`data[${key}]`);
  }
}

function* secretChangeCauses(secret: KubeObject, old: KubeObject): Generator<Cause> {
  if (secret["type"] !== old["type"]) yield invalidValue("type", "field is immutable");
  if (old["immutable"] !== true) return;
  for (const field of ["immutable", "data"]) {
    const message = "Forbidden: field is immutable when `immutable` is set";
    if (!isDeepStrictEqual(secret[field], old[field])) yield { reason: "FieldValueForbidden", message, field };
  }
}

function* eventCauses(event: KubeObject): Generator<Cause> {
  // Events about cluster-scoped objects have their place; for others it is not compared.
  const isPlaced =
    objectOf(event["regarding"])["namespace"] !== undefined || event.metadata.namespace === "kube-system";
  if (!isPlaced) yield invalidValue("involvedObject.namespace", "does not match event.namespace");
  for (const field of ["eventTime", "reportingController", "reportingInstance", "action", "reason"]) {
    if (textOf(event[field]) === "") yield required(field);
  }
  if (!["Normal", "Warning"].includes(textOf(event["type"]))) yield invalidValue("type", "has invalid value");
  for (const [field, max] of Object.entries({ note: 1024, reportingInstance: 128, action: 128, reason: 128 })) {
    if (textOf(event[field]).length > max) yield invalidValue(field, `can have at most ${max} characters`);
  }
}

/** The object as it will be stored: undeclared fields gone, defaults in. Throws the 400 of what cannot be decoded. */
export function normalized(kind: Kind, given: KubeObject): KubeObject {
  for (const field of ["labels", "annotations"]) textMap(given.metadata, field);
  const object = withoutNulls(given);
  if (kind.kind === "Secret") return storedSecret(object);
  if (!kind.custom) return object;
  const identity = only(object, "apiVersion", "kind", "metadata") as KubeObject;
  return { ...objectOf(pruneAndDefault(without(object, ...Object.keys(identity)), kind.schema)), ...identity };
}

/** Throws the 422 that lists everything wrong with the object. */
export function assertValid(kind: Kind, object: KubeObject, old: KubeObject | undefined): void {
  const causes = [...metadataCauses(object)];
  if (kind.custom) causes.push(...causesIn(without(object, "apiVersion", "kind", "metadata"), kind.schema, ""));
  if (kind.kind === "Secret") causes.push(...secretCauses(object));
  if (kind.kind === "Secret" && old !== undefined) causes.push(...secretChangeCauses(object, old));
  if (kind.kind === "Event") causes.push(...eventCauses(object));
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes);
}
