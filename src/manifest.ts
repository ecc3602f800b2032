// The closed shape of a Secret manifest, plain or sealed: what may stand in it, and where each part stands in the text.
// Everything unknown is refused, because what we do not know we cannot bind. Knows no keys and no environments.
import type { Node, Pair, Scalar, YAMLMap } from "yaml";
import { canonicalJson, fromBase64, type Json, sha256Hex } from "./bytes.ts";
import { quoteName, SealwardError } from "./errors.ts";
import { isAmbiguousString, resolveGoScalar } from "./go-scalar.ts";
import { looksEncrypted, parseEncrypted } from "./sops-value.ts";
import { isAlias, isMap, isScalar, pairsOf, type YamlSource } from "./yaml-source.ts";

export type Scope = "strict" | "namespace" | "environment";
/** From the narrowest to the widest. */
export const scopes: readonly Scope[] = ["strict", "namespace", "environment"];

export const environmentAnnotation = "sealward.dev/environment";
export const scopeAnnotation = "sealward.dev/scope";
export const bindingAnnotation = "sealward.dev/binding";

/** A text field and its node. */
export interface Field {
  readonly value: string;
  readonly node: Scalar;
}

/** One entry of `data` or `stringData`; `value` is as written: base64 in `data`, ENC where it is sealed. */
export interface Entry extends Field {
  readonly key: string;
  readonly map: "data" | "stringData";
}

export interface Manifest {
  readonly source: YamlSource;
  readonly sealed: boolean;
  readonly metadata: YAMLMap;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly type: string;
  readonly immutable: boolean | undefined;
  readonly labels: ReadonlyMap<string, Field>;
  readonly annotations: ReadonlyMap<string, Field>;
  readonly entries: readonly Entry[];
}

const serverFields = [
  "creationTimestamp",
  "uid",
  "resourceVersion",
  "generation",
  "managedFields",
  "selfLink",
  "ownerReferences",
];
export const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";
const rootKeys = new Set(["apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData", "sops"]);
const metadataKeys = new Set(["name", "namespace", "labels", "annotations"]);
/** Types that make the API server or the bootstrap signer hand out credentials to whoever writes the Secret. */
const mintingTypes = new Set(["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"]);
/** What the API server allows for all annotations together. */
const maxAnnotationBytes = 256 * 1024;

const subdomain = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const dataKey = /^[-._a-zA-Z0-9]{1,253}$/;

/**
 * What servers and kubectl add and sealing removes: `status`, server-set metadata, last-applied-configuration (which
 * repeats every value in the clear). Each with the map it stands in.
 */
export function serverSetPairs(
  source: YamlSource,
): { readonly map: YAMLMap; readonly pair: Pair; readonly name: string }[] {
  const metadata = source.root.get("metadata");
  const annotations = isMap(metadata) ? metadata.get("annotations") : undefined;
  const found = (map: unknown, unwanted: readonly string[]) =>
    !isMap(map)
      ? []
      : pairsOf(map)
          .filter(([key]) => unwanted.includes(key))
          .map(([name, pair]) => ({ map: map as YAMLMap, pair, name }));
  return [
    ...found(source.root, ["status"]),
    ...found(metadata, serverFields),
    ...found(annotations, [lastAppliedAnnotation]),
  ];
}

/** Refuses anything but `v1` `Secret` first, so that the reason is the useful one. @throws not-a-secret */
export function assertSecret(source: YamlSource): void {
  const apiVersion = source.root.get("apiVersion");
  const kind = source.root.get("kind");
  if (kind === "List" || (typeof kind === "string" && kind.endsWith("List"))) {
    throw source.refusal("not-a-secret", "A List holds several objects; one Secret is sealed to one file", source.root);
  }
  if (apiVersion !== "v1" || kind !== "Secret") {
    if (typeof kind === "string" && looksEncrypted(kind)) {
      throw source.refusal(
        "not-a-secret",
        "Every field of this SOPS file is encrypted, its kind too: it is no sealed Secret",
        source.root,
      );
    }
    const found = typeof kind === "string" && kind !== "" ? quoteName(kind) : "no kind";
    const group = typeof apiVersion === "string" && apiVersion !== "v1" ? ` of ${quoteName(apiVersion)}` : "";
    throw source.refusal("not-a-secret", `Expected a v1 Secret, found ${found}${group}`, source.root);
  }
}

/** @throws not-a-secret, shape-invalid, secret-type-forbidden */
export function readManifestShape(source: YamlSource): Manifest {
  assertSecret(source);
  assertKeys(source, source.root, { allowed: rootKeys, where: "A Secret" });
  const metadata = source.root.get("metadata");
  if (!isMap(metadata)) throw source.refusal("shape-invalid", "metadata must be a map", source.root);
  assertKeys(source, metadata as YAMLMap, { allowed: metadataKeys, where: "metadata of a sealed Secret" });
  const sealed = source.root.has("sops");
  if (sealed && pairsOf(source.root).at(-1)?.[0] !== "sops")
    throw source.refusal("shape-invalid", "sops must be the last key", source.root);
  if (sealed && !isMap(source.root.get("sops")))
    throw source.refusal("shape-invalid", "sops must be a map", source.root);
  const text = (map: YAMLMap, key: string) => {
    const node = map.get(key, true) as Node | undefined;
    return node === undefined ? undefined : textOf(source, node, key).value;
  };
  const name = text(metadata as YAMLMap, "name");
  if (name === undefined || !subdomain.test(name))
    throw source.refusal("shape-invalid", "metadata.name must be a Kubernetes name", metadata as YAMLMap);
  const namespace = text(metadata as YAMLMap, "namespace");
  if (namespace !== undefined && !label.test(namespace))
    throw source.refusal("shape-invalid", "metadata.namespace must be a Kubernetes name", metadata as YAMLMap);
  const type = text(source.root, "type") ?? "Opaque";
  if (mintingTypes.has(type)) {
    throw source.refusal(
      "secret-type-forbidden",
      `A Secret of type ${type} makes the cluster hand out credentials; it is never sealed nor opened`,
      source.root,
    );
  }
  const annotations = textMap(source, metadata as YAMLMap, "annotations");
  const annotationBytes = [...annotations].reduce((sum, [key, { value }]) => sum + key.length + value.length, 0);
  if (annotationBytes > maxAnnotationBytes)
    throw source.refusal(
      "shape-invalid",
      `The annotations have more than ${maxAnnotationBytes} bytes`,
      metadata as YAMLMap,
    );
  return {
    source,
    sealed,
    metadata: metadata as YAMLMap,
    name,
    namespace,
    type,
    immutable: immutableOf(source),
    labels: textMap(source, metadata as YAMLMap, "labels"),
    annotations,
    entries: entriesOf(source, sealed),
  };
}

function assertKeys(
  source: YamlSource,
  map: YAMLMap,
  { allowed, where }: { readonly allowed: ReadonlySet<string>; readonly where: string },
): void {
  for (const [name, pair] of pairsOf(map)) {
    if (!allowed.has(name))
      throw source.refusal("shape-invalid", `${where} has no field ${quoteName(name)}`, pair.key as Node);
    assertKey(source, pair);
  }
  assertBare(source, map);
}

/** A key that every reader takes for the same text, and that stands where lines can be inserted and removed around it. */
function assertKey(source: YamlSource, { key, srcToken }: Pair): void {
  const node = key as Node;
  assertBare(source, node);
  if (srcToken?.start.some(({ type }) => type === "explicit-key-ind"))
    throw source.refusal("shape-invalid", "A key is written without a question mark", node);
  if (isScalar(node) && node.type === "PLAIN" && isAmbiguousString(String(node.value))) {
    throw source.refusal(
      "shape-invalid",
      `Not every reader takes the key ${quoteName(String(node.value))} for a text: put it in quotes`,
      node,
    );
  }
}

/** No anchors, aliases or tags: each gives one text two meanings. */
function assertBare(source: YamlSource, node: Node): void {
  if (isAlias(node) || ("anchor" in node && node.anchor !== undefined)) {
    throw source.refusal("shape-invalid", "Anchors and aliases are not allowed in a Secret: write the value out", node);
  }
  if (node.tag !== undefined)
    throw source.refusal("shape-invalid", "A tag is not allowed in a Secret: write the value without it", node);
}

/** A scalar that every reader takes for the same text. */
function textOf(source: YamlSource, node: Node | null, what: string): Field {
  if (node === null || !isScalar(node))
    throw source.refusal("shape-invalid", `${what} must be a text`, node ?? undefined);
  assertBare(source, node);
  const value = String(node.value);
  if (node.type === "PLAIN" && isAmbiguousString(value)) {
    throw source.refusal(
      "shape-invalid",
      `${what} must be a text, and not every reader takes this one for a text: put it in quotes`,
      node,
    );
  }
  if (value.includes("\0")) throw source.refusal("shape-invalid", `${what} has a NUL character`, node);
  return { value, node };
}

function textMap(source: YamlSource, parent: YAMLMap, key: string): Map<string, Field> {
  const fields = new Map<string, Field>();
  for (const [name, pair] of pairsOf(childMap(source, parent, key))) {
    assertKey(source, pair);
    // SOPS selects by any component of a path: such a name would be encrypted where we read it in the clear.
    if (name === "data" || name === "stringData" || (name === bindingAnnotation && key === "labels")) {
      throw source.refusal("shape-invalid", `${key} must not have the key ${quoteName(name)}`, pair.key as Node);
    }
    fields.set(name, textOf(source, pair.value as Node | null, `${key}.${name}`));
  }
  return fields;
}

/** The map under a key; absent and null read as empty. */
function childMap(source: YamlSource, parent: YAMLMap, key: string): YAMLMap | { readonly items: [] } {
  const node = parent.get(key, true) as Node | undefined;
  if (node === undefined || isEmptyNode(node)) return { items: [] };
  if (!isMap(node)) throw source.refusal("shape-invalid", `${key} must be a map`, node);
  assertBare(source, node);
  return node as YAMLMap;
}

/** A key without a value, or with an explicit null. */
export function isEmptyNode(node: unknown): boolean {
  return (
    isScalar(node) &&
    node.type === "PLAIN" &&
    node.tag === undefined &&
    resolveGoScalar(String(node.value)).type === "null"
  );
}

function immutableOf(source: YamlSource): boolean | undefined {
  const node = source.root.get("immutable", true) as Node | undefined;
  if (node === undefined) return undefined;
  assertBare(source, node);
  if (isScalar(node) && node.type === "PLAIN" && (node.value === "true" || node.value === "false"))
    return node.value === "true";
  throw source.refusal("shape-invalid", "immutable must be true or false", node);
}

/** @throws shape-invalid unless Kubernetes allows it as a key of a Secret */
export function assertDataKey(key: string): void {
  if (!dataKey.test(key))
    throw new SealwardError(
      "shape-invalid",
      `Kubernetes does not allow the key ${quoteName(key)}: letters, digits, "-", "_" and "." only, at most 253`,
    );
}

function entriesOf(source: YamlSource, sealed: boolean): Entry[] {
  const entries: Entry[] = [];
  const seen = new Map<string, string>();
  for (const [mapName] of pairsOf(source.root)) {
    if (mapName !== "data" && mapName !== "stringData") continue;
    for (const [key, pair] of pairsOf(childMap(source, source.root, mapName))) {
      assertKey(source, pair);
      if (!dataKey.test(key))
        throw source.refusal(
          "shape-invalid",
          `${mapName} has the key ${quoteName(key)}, which Kubernetes does not allow`,
          pair.key as Node,
        );
      if (seen.has(key))
        throw source.refusal(
          "shape-invalid",
          `The key ${quoteName(key)} stands in both data and stringData`,
          pair.key as Node,
        );
      seen.set(key, mapName);
      const field = textOf(source, pair.value as Node | null, `${mapName}.${key}`);
      if (sealed) assertSealedValue(source, field, `${mapName}.${key}`);
      else if (mapName === "data" && fromBase64(field.value) === null) {
        throw source.refusal("shape-invalid", `data.${key} is not base64; did you mean stringData?`, field.node);
      }
      entries.push({ ...field, key, map: mapName });
    }
  }
  return entries;
}

/** Every value that is not empty is one ENC of type str. */
export function assertSealedValue(source: YamlSource, field: Field, what: string): void {
  if (field.value === "") return;
  if (parseEncrypted(field.value)?.type !== "str") {
    throw source.refusal("shape-invalid", `${what} must be an encrypted text (ENC[AES256_GCM,…,type:str])`, field.node);
  }
}

/**
 * The binding's `plain`: digest of everything that stays in the clear and reaches the Secret, names included, with the
 * sorted key names and which of them are empty (SOPS neither encrypts nor hashes an empty value).
 */
export function plainDigest(manifest: Manifest): string {
  const fields = (map: ReadonlyMap<string, Field>): Json =>
    Object.fromEntries([...map].filter(([key]) => key !== bindingAnnotation).map(([key, { value }]) => [key, value]));
  const keysOf = (name: Entry["map"]) =>
    manifest.entries
      .filter(({ map }) => map === name)
      .map(({ key }) => key)
      .sort();
  return sha256Hex(
    canonicalJson({
      annotations: fields(manifest.annotations),
      data: keysOf("data"),
      empty: manifest.entries
        .filter(({ value }) => value === "")
        .map(({ key }) => key)
        .sort(),
      immutable: manifest.immutable ?? null,
      labels: fields(manifest.labels),
      stringData: keysOf("stringData"),
    }),
  );
}
