// What the embedded API server demands of an object before it keeps it: names, metadata, and the rules of Secrets,
// ConfigMaps, Events and custom resources. Knows no storage, no ownership and no HTTP.
import type { Kind } from "./embedded-kinds.ts";
import { equal, isObject, type KubeObject, objectOf, only, textOf, without, withoutNulls } from "./embedded-objects.ts";
import { causesIn, pruneAndDefault } from "./embedded-schema.ts";
import { badRequest, type Cause, forbiddenField, invalid, invalidValue, required, tooLong } from "./embedded-status.ts";

type TextMap = Readonly<Record<string, string>>;

const subdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const pathSegment = /^(?!\.\.?$)[^/%]+$/;
const qualifiedName = /^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const dataKey = /^(?!\.\.?$|\.\.)[-._a-zA-Z0-9]{1,253}$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const maxDataBytes = 1_048_576;

function namePattern({ kind, group }: Kind): RegExp {
  if (group === "rbac.authorization.k8s.io") return pathSegment;
  return kind === "Namespace" || kind === "Service" ? dnsLabel : subdomain;
}

function* metadataCauses(kind: Kind, { metadata }: KubeObject): Generator<Cause> {
  const { name, labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  if (name === "") yield required("metadata.name");
  else if (!namePattern(kind).test(name)) yield invalidValue("metadata.name", `"${name}" is not a valid name`);
  for (const [key, value] of Object.entries(labels)) {
    if (!qualifiedName.test(key)) yield invalidValue("metadata.labels", `"${key}" is not a qualified name`);
    if (!labelValue.test(value)) yield invalidValue("metadata.labels", `"${value}" is not a valid label value`);
  }
  for (const key of Object.keys(annotations)) {
    if (!qualifiedName.test(key.toLowerCase()))
      yield invalidValue("metadata.annotations", `"${key}" is not a qualified name`);
  }
  for (const field of ["apiVersion", "kind", "name", "uid"] as const) {
    const at = `metadata.ownerReferences.${field}`;
    if (ownerReferences.some((owner) => !owner[field])) yield invalidValue(at, `${field} must not be empty`);
  }
  if (ownerReferences.filter((owner) => owner.controller === true).length > 1) {
    yield invalidValue("metadata.ownerReferences", "Only one reference can have Controller set to true");
  }
}

function textMap(content: object, field: string): TextMap {
  const value: unknown = Reflect.get(content, field) ?? {};
  if (!isObject(value)) throw badRequest(`${field}: must be a map of strings`);
  const texts = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== "string") throw badRequest(`${field}: must be a map of strings`);
    return [key, text];
  });
  return Object.fromEntries(texts);
}

const filled = (field: string, map: TextMap): object => (Object.keys(map).length === 0 ? {} : { [field]: map });

/** As stored: stringData folded into data, the default type, nothing undeclared. */
function storedSecret(secret: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, type } = secret;
  const given = Object.entries(textMap(secret, "stringData"));
  const folded = given.map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
  const data: TextMap = { ...textMap(secret, "data"), ...Object.fromEntries(folded) };
  if (!Object.values(data).every((value) => base64.test(value)))
    throw badRequest("v1.Secret.Data: illegal base64 data");
  return {
    apiVersion,
    kind,
    metadata,
    ...filled("data", data),
    ...only(secret, "immutable"),
    type: textOf(type) || "Opaque",
  };
}

function storedConfigMap(configMap: KubeObject): KubeObject {
  const { apiVersion, kind, metadata } = configMap;
  const data = filled("data", textMap(configMap, "data"));
  return {
    apiVersion,
    kind,
    metadata,
    ...data,
    ...filled("binaryData", textMap(configMap, "binaryData")),
    ...only(configMap, "immutable"),
  };
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

function* secretCauses(secret: KubeObject, data: TextMap): Generator<Cause> {
  const type = textOf(secret["type"]);
  for (const key of requiredKeys[type] ?? []) {
    const value = data[key];
    if (value === undefined) yield required(`data[${key}]`);
    else if (key.startsWith(".docker") && !isJsonObject(Buffer.from(value, "base64").toString())) {
      yield invalidValue(`data[${key}]`, "invalid JSON");
    }
  }
  if (type === "kubernetes.io/basic-auth" && data["username"] === undefined && data["password"] === undefined) {
    for (const key of ["username", "password"]) yield required(`data[${key}]`);
  }
  const account = "kubernetes.io/service-account.name";
  if (type === "kubernetes.io/service-account-token" && !secret.metadata.annotations?.[account]) {
    yield required(`metadata.annotations[${account}]`);
  }
}

function* changeCauses(object: KubeObject, old: KubeObject): Generator<Cause> {
  for (const field of ["type", "roleRef"]) {
    const isFixed = field === "roleRef" || object.kind === "Secret";
    if (isFixed && !equal(object[field], old[field])) yield invalidValue(field, "field is immutable");
  }
  if (old["immutable"] !== true) return;
  for (const field of ["immutable", "data", "binaryData"]) {
    if (!equal(object[field], old[field])) yield forbiddenField(field, "field is immutable when `immutable` is set");
  }
}

function* dataCauses(object: KubeObject): Generator<Cause> {
  const data = { ...textMap(object, "data"), ...textMap(object, "binaryData") };
  for (const key of Object.keys(data)) if (!dataKey.test(key)) yield invalidValue(`data[${key}]`, "not a valid key");
  const encoding = object.kind === "Secret" ? "base64" : "utf8";
  const size = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, encoding), 0);
  if (size > maxDataBytes) yield tooLong(object.kind === "Secret" ? "data" : "", maxDataBytes);
}

function* eventCauses(event: KubeObject, { group }: Kind): Generator<Cause> {
  const namespace = textOf(objectOf(event["involvedObject"] ?? event["regarding"])["namespace"]);
  // Events about cluster-scoped objects have their place; the newer API does not compare the others.
  const expected = group === "" ? namespace || "default" : namespace && event.metadata.namespace;
  if (event.metadata.namespace !== (expected || "kube-system")) {
    yield invalidValue("involvedObject.namespace", "does not match event.namespace");
  }
  if (group === "") return;
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
  const { apiVersion, kind: kindName, metadata, ...content } = given;
  for (const field of ["labels", "annotations"]) textMap(metadata, field);
  // An apply that empties a container leaves null: nothing to what is typed, and mostly invalid in custom resources.
  const identity = { apiVersion, kind: kindName, metadata: withoutNulls(metadata) };
  if (kind.custom) return { ...identity, ...objectOf(pruneAndDefault(content, kind.schema)) };
  const object = { ...identity, ...withoutNulls(content) };
  if (kind.storage === "secrets") return storedSecret(object);
  return kind.storage === "configmaps" ? storedConfigMap(object) : object;
}

/** Throws the 422 that lists everything wrong with the object. */
export function assertValid(kind: Kind, object: KubeObject, old: KubeObject | undefined): void {
  const causes = [...metadataCauses(kind, object)];
  if (kind.custom) causes.push(...causesIn(without(object, "apiVersion", "kind", "metadata"), kind.schema, ""));
  if (kind.storage === "secrets" || kind.storage === "configmaps") causes.push(...dataCauses(object));
  if (kind.storage === "secrets") causes.push(...secretCauses(object, textMap(object, "data")));
  if (kind.plural === "events" && old === undefined) causes.push(...eventCauses(object, kind));
  if (old !== undefined && !kind.custom) causes.push(...changeCauses(object, old));
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes);
}
