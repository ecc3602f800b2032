// What the embedded API server demands of an object before it keeps it: names, metadata, and the rules of Secrets,
// ConfigMaps, Events and custom resources. Knows no storage, no ownership and no HTTP.

import type { Kind } from "./embedded-kinds.ts";
import { equal, isObject, type JsonObject, type KubeObject, listOf, objectOf, textOf } from "./embedded-objects.ts";
import { causesIn, pruneAndDefault } from "./embedded-schema.ts";
import { badRequest, type Cause, invalid, invalidValue, required } from "./embedded-status.ts";

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedName = /^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const dataKey = /^[-._a-zA-Z0-9]{1,253}$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const maxDataBytes = 1_048_576;

function* nameCauses(kind: Kind, name: string): Generator<Cause> {
  if (name === "") {
    yield required("metadata.name", "name or generateName is required");
    return;
  }
  if (kind.group === "rbac.authorization.k8s.io") {
    if (/[/%]/.test(name) || name === "." || name === "..")
      yield invalidValue("metadata.name", "may not contain '/' or '%'");
    return;
  }
  const short = kind.kind === "Namespace" || kind.kind === "Service";
  if (!(short ? dnsLabel : subdomain).test(name) || name.length > (short ? 63 : 253)) {
    const rule = short ? "a lowercase RFC 1123 label" : "a lowercase RFC 1123 subdomain";
    yield invalidValue(
      "metadata.name",
      `${JSON.stringify(name)}: ${rule} must consist of lower case alphanumeric characters, '-'${short ? "" : " or '.'"}`,
    );
  }
}

function* metadataCauses(kind: Kind, { metadata }: KubeObject): Generator<Cause> {
  yield* nameCauses(kind, metadata.name);
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (!qualifiedName.test(key))
      yield invalidValue(
        "metadata.labels",
        `${JSON.stringify(key)}: name part must consist of alphanumeric characters`,
      );
    if (!labelValue.test(value))
      yield invalidValue(
        "metadata.labels",
        `${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters`,
      );
  }
  for (const key of Object.keys(metadata.annotations ?? {})) {
    if (!qualifiedName.test(key.toLowerCase()))
      yield invalidValue(
        "metadata.annotations",
        `${JSON.stringify(key)}: name part must consist of alphanumeric characters`,
      );
  }
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    for (const field of ["apiVersion", "kind", "name", "uid"] as const) {
      if (!owner[field])
        yield invalidValue(`metadata.ownerReferences[${index}].${field}`, `${field} must not be empty`);
    }
  }
}

const textMap = (object: KubeObject, field: string): Record<string, string> => {
  const value = object[field];
  if (value === undefined || value === null) return {};
  const wrong = !isObject(value) || Object.values(value).some((item) => typeof item !== "string");
  if (wrong)
    throw badRequest(
      `${object.kind} in version "v1" cannot be handled as a ${object.kind}: ${field}: must be a map of strings`,
    );
  return value as Record<string, string>;
};

/** The Secret as stored: stringData folded into data, the default type, nothing undeclared. */
function storedSecret(secret: KubeObject): KubeObject {
  const data = textMap(secret, "data");
  for (const value of Object.values(data)) {
    if (!base64.test(value))
      throw badRequest('Secret in version "v1" cannot be handled as a Secret: v1.Secret.Data: illegal base64 data');
  }
  const given = Object.entries(textMap(secret, "stringData"));
  const folded = {
    ...data,
    ...Object.fromEntries(given.map(([key, text]) => [key, Buffer.from(text).toString("base64")])),
  };
  const { apiVersion, kind, metadata, immutable, type } = secret;
  return {
    apiVersion,
    kind,
    metadata,
    ...(Object.keys(folded).length === 0 ? {} : { data: folded }),
    ...(typeof immutable === "boolean" ? { immutable } : {}),
    type: textOf(type) === "" ? "Opaque" : textOf(type),
  };
}

function storedConfigMap({ apiVersion, kind, metadata, ...content }: KubeObject): KubeObject {
  const object: KubeObject = { apiVersion, kind, metadata };
  for (const field of ["data", "binaryData"]) {
    const map = textMap({ apiVersion, kind, metadata, ...content }, field);
    if (Object.keys(map).length > 0) object[field] = map;
  }
  return typeof content["immutable"] === "boolean" ? { ...object, immutable: content["immutable"] } : object;
}

function parses(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

// In the order of the real server's switch; a key that may be empty needs only to be there.
const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};

function* secretTypeCauses(secret: KubeObject, data: Record<string, string>): Generator<Cause> {
  const type = textOf(secret["type"]);
  for (const key of requiredKeys[type] ?? []) {
    if (data[key] === undefined) yield required(`data[${key}]`);
    else if (key.startsWith(".docker") && parses(Buffer.from(data[key], "base64").toString()) === undefined) {
      yield invalidValue(`data[${key}]`, '"<secret contents redacted>": invalid JSON');
    }
  }
  if (type === "kubernetes.io/ssh-auth" && data["ssh-privatekey"] === "") yield required("data[ssh-privatekey]");
  if (type === "kubernetes.io/basic-auth" && data["username"] === undefined && data["password"] === undefined) {
    yield required("data[username]");
    yield required("data[password]");
  }
  if (
    type === "kubernetes.io/service-account-token" &&
    !secret.metadata.annotations?.["kubernetes.io/service-account.name"]
  ) {
    yield required("metadata.annotations[kubernetes.io/service-account.name]");
  }
}

function* immutableCauses(object: KubeObject, old: KubeObject): Generator<Cause> {
  const fixed = (field: string, why = "field is immutable"): Cause => invalidValue(field, why);
  if (object.kind === "Secret" && object["type"] !== old["type"]) yield fixed("type");
  if (old["immutable"] !== true) return;
  const why = "field is immutable when `immutable` is set";
  if (object["immutable"] !== true)
    yield { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field: "immutable" };
  for (const field of ["data", "binaryData"]) {
    if (!equal(object[field] ?? {}, old[field] ?? {}))
      yield { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field };
  }
}

function* dataCauses(object: KubeObject, old: KubeObject | undefined): Generator<Cause> {
  const data = { ...textMap(object, "data"), ...textMap(object, "binaryData") };
  const encoded = object.kind === "Secret" ? "base64" : "utf8";
  let size = 0;
  for (const [key, value] of Object.entries(data)) {
    if (!dataKey.test(key) || key === "." || key.startsWith("..")) {
      yield invalidValue(
        `data[${key}]`,
        `${JSON.stringify(key)}: a valid config key must consist of alphanumeric characters, '-', '_' or '.'`,
      );
    }
    size += Buffer.byteLength(value, encoded);
  }
  if (size > maxDataBytes) {
    yield {
      reason: "FieldValueTooLong",
      message: `Too long: must have at most ${maxDataBytes} bytes`,
      field: object.kind === "Secret" ? "data" : "",
    };
  }
  if (object.kind === "Secret") yield* secretTypeCauses(object, textMap(object, "data"));
  if (old !== undefined) yield* immutableCauses(object, old);
}

function* eventCauses(event: KubeObject, kind: Kind): Generator<Cause> {
  const about = objectOf(event[kind.group === "" ? "involvedObject" : "regarding"]);
  // Events about cluster-scoped objects live in "default".
  const expected = textOf(about["namespace"]) || "default";
  if (event.metadata.namespace !== expected)
    yield invalidValue("involvedObject.namespace", "does not match event.namespace");
  if (kind.group === "") return;
  if (textOf(event["eventTime"]) === "") yield required("eventTime");
  for (const field of ["reportingController", "reportingInstance", "action", "reason"]) {
    if (textOf(event[field]) === "") yield required(field);
  }
  if (!["Normal", "Warning"].includes(textOf(event["type"]))) yield invalidValue("type", "has invalid value");
  if (textOf(event["note"]).length > 1024) yield invalidValue("note", "can have at most 1024 characters");
  if (textOf(event["reportingInstance"]).length > 128)
    yield invalidValue("reportingInstance", "can have at most 128 characters");
  if (textOf(event["reason"]).length > 128) yield invalidValue("reason", "can have at most 128 characters");
}

/** The object as it will be stored: undeclared fields gone, defaults in. Throws the 400 of what cannot be decoded. */
export function normalized(kind: Kind, object: KubeObject): KubeObject {
  for (const field of ["labels", "annotations"] as const) {
    const map: unknown = object.metadata[field];
    if (map !== undefined && (!isObject(map) || Object.values(map).some((value) => typeof value !== "string"))) {
      throw badRequest(
        `${kind.kind} in version "${kind.version}" cannot be handled: metadata.${field}: must be a map of strings`,
      );
    }
  }
  if (kind.custom) {
    const { apiVersion, kind: kindName, metadata, ...content } = object;
    return { apiVersion, kind: kindName, metadata, ...objectOf(pruneAndDefault(content, kind.schema)) };
  }
  if (kind.storage === "secrets") return storedSecret(object);
  return kind.storage === "configmaps" ? storedConfigMap(object) : object;
}

/** Throws the 422 that lists everything wrong with the object. */
export function assertValid(kind: Kind, object: KubeObject, old: KubeObject | undefined): void {
  const causes = [...metadataCauses(kind, object)];
  if (kind.custom) {
    const { apiVersion: _version, kind: _kind, metadata: _metadata, ...content } = object;
    causes.push(...causesIn(content, kind.schema, ""));
  } else if (kind.storage === "secrets" || kind.storage === "configmaps") causes.push(...dataCauses(object, old));
  else if (kind.kind === "Event" && old === undefined) causes.push(...eventCauses(object, kind));
  else if (
    kind.storage.endsWith("bindings.rbac.authorization.k8s.io") &&
    old !== undefined &&
    !equal(object["roleRef"], old["roleRef"])
  ) {
    causes.push(invalidValue("roleRef", "cannot change roleRef"));
  }
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes);
}

export const finalizersOf = (object: KubeObject): readonly unknown[] => listOf(object.metadata.finalizers);
