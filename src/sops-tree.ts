// Walks a SOPS YAML document: its leaves with their key paths, what the selection rule makes of each, and the MAC over
// them. Rules: docs/format.md (SOPS 3.13). Knows neither recipients nor what a Secret is.
import { createHash, type KeyObject } from "node:crypto";
import type { Node, Scalar, YAMLMap } from "yaml";
import { quoteName, SealwardError } from "./errors.ts";
import { floatBytes, resolveGoScalar } from "./go-scalar.ts";
import { aadOfPath, decryptValue, encryptValue, parseEncrypted, type ValueType } from "./sops-value.ts";
import { isAlias, isMap, isScalar, isSeq, type YamlSource } from "./yaml-source.ts";

/** A scalar that is not null, in document order. */
export interface Leaf {
  readonly path: readonly string[];
  readonly node: Scalar;
  /** How deep in lists and maps it stands decides nothing; that it is a list's element decides how a comment is written. */
  readonly inList: boolean;
  /** True inside `{…}` or `[…]`, where a plain ENC is not YAML. */
  readonly inFlow: boolean;
}

/** What a leaf is in the clear: the bytes that are encrypted and hashed. */
export interface ClearLeaf {
  readonly leaf: Leaf;
  readonly type: ValueType;
  readonly bytes: Uint8Array;
  readonly wasEncrypted: boolean;
}

/** Decides by path whether a value is encrypted. */
export type Selection = (path: readonly string[]) => boolean;

/** The leaves of the document, the `sops` block left out. @throws sops-unsupported for anchors, aliases, odd tags and keys */
export function leavesOf(source: YamlSource): Leaf[] {
  const leaves: Leaf[] = [];
  const visitMap = (map: YAMLMap, path: readonly string[], flow: boolean) => {
    for (const { key, value } of map.items) {
      const name = keyText(source, key);
      if (path.length === 0 && name === "sops") continue;
      visitNode(value as Node | null, { path: [...path, name], inList: false, inFlow: flow || map.flow === true });
    }
  };
  const visitNode = (node: Node | null, at: Omit<Leaf, "node">): void => {
    if (node === null) return;
    if (isAlias(node) || ("anchor" in node && node.anchor !== undefined)) {
      throw source.refusal("sops-unsupported", "Anchors and aliases are not supported here: write the value out", node);
    }
    if (isMap(node)) visitMap(node, at.path, at.inFlow);
    else if (isSeq(node)) {
      for (const item of node.items)
        visitNode(item as Node | null, { path: at.path, inList: true, inFlow: at.inFlow || node.flow === true });
    } else if (isScalar(node)) {
      if (node.tag !== undefined && node.tag !== "tag:yaml.org,2002:str" && node.tag !== "!") {
        throw source.refusal("sops-unsupported", "Tags other than !!str are not supported here", node);
      }
      if (!isNull(node)) leaves.push({ ...at, node });
    }
  };
  visitMap(source.root, [], false);
  return leaves;
}

function keyText(source: YamlSource, key: unknown): string {
  if (!isScalar(key) || typeof key.value !== "string") throw source.refusal("sops-unsupported", "A key must be a text");
  if (isPlain(key) && resolveGoScalar(key.value).type !== "str") {
    throw source.refusal("sops-unsupported", `The key ${quoteName(key.value)} is not a text for SOPS: quote it`, key);
  }
  return key.value;
}

function isPlain(node: Scalar): boolean {
  return node.type === "PLAIN" && node.tag === undefined;
}

function isNull(node: Scalar): boolean {
  return isPlain(node) && resolveGoScalar(String(node.value)).type === "null";
}

/** The value of a leaf that stands in the clear, typed as SOPS types it. */
export function clearValue(source: YamlSource, leaf: Leaf): { readonly type: ValueType; readonly bytes: Uint8Array } {
  const text = String(leaf.node.value);
  if (!isPlain(leaf.node)) return { type: "str", bytes: Buffer.from(text) };
  const value = resolveGoScalar(text);
  if (value.type === "unsupported")
    throw source.refusal("sops-unsupported", "An integer above 9223372036854775807 is not supported", leaf.node);
  if (value.type === "null" || value.type === "merge") return { type: "str", bytes: Buffer.from(text) };
  return { type: value.type, bytes: Buffer.from(value.bytes) };
}

/**
 * Opens every leaf. Values that the selection encrypts must be ENC texts (or empty); the others are taken as they stand
 * even if they look like one.
 * @throws not-authentic for every failure once the key is involved, with no hint at which value or why
 */
export function openLeaves(
  source: YamlSource,
  leaves: readonly Leaf[],
  options: { readonly key: KeyObject; readonly selected: Selection },
): ClearLeaf[] {
  return leaves.map((leaf) => {
    if (!options.selected(leaf.path)) return { leaf, ...clearValue(source, leaf), wasEncrypted: false };
    const text = String(leaf.node.value);
    if (text === "") return { leaf, type: "str", bytes: new Uint8Array(0), wasEncrypted: false };
    const encrypted = parseEncrypted(text);
    const bytes = encrypted === null ? null : decryptValue(encrypted, options.key, aadOfPath(leaf.path));
    const canonical = encrypted === null || bytes === null ? null : canonicalBytes(encrypted.type, bytes, leaf);
    if (encrypted === null || canonical === null) throw notAuthentic(source.file);
    return { leaf, type: encrypted.type, bytes: canonical, wasEncrypted: true };
  });
}

/**
 * The plaintext as SOPS writes and hashes it, or null where it is none of its type: the type stands outside the GCM, and
 * a text called a number would be written back as another text.
 */
function canonicalBytes(type: ValueType, bytes: Uint8Array, leaf: Leaf): Uint8Array | null {
  if (type === "str") return bytes;
  if (type === "comment") return leaf.inList ? bytes : null;
  const text = Buffer.from(bytes).toString("latin1");
  if (type === "int") return /^[-+]?[0-9]+$/.test(text) ? Buffer.from(BigInt(text.replace("+", "")).toString()) : null;
  if (type === "bool") {
    if (/^(?:1|t|T|true|True|TRUE)$/.test(text)) return Buffer.from("True");
    return /^(?:0|f|F|false|False|FALSE)$/.test(text) ? Buffer.from("False") : null;
  }
  if (type === "float") {
    if (/^(?:NaN|[-+]Inf)$/.test(text)) return bytes;
    return /^[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/.test(text) ? Buffer.from(floatBytes(Number(text))) : null;
  }
  const time = resolveGoScalar(text);
  return time.type === "time" ? Buffer.from(time.bytes) : null;
}

/** The one public refusal once a key has been involved: telling the causes apart would make an oracle of us. */
export function notAuthentic(file: string | undefined): SealwardError {
  return new SealwardError(
    "not-authentic",
    "The file is not what was sealed: a value, the binding, a recipient entry or the MAC was changed or comes from another file",
    { file },
  );
}

/** SHA-256("sops"): what `mac_only_encrypted` primes the hash with. */
const onlyEncryptedPrefix = Buffer.from("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69", "hex");

/** The MAC's plaintext: upper-case hex SHA-512 over the bytes of all leaves in document order; comments are never part. */
export function macOf(
  leaves: readonly ClearLeaf[],
  options: { readonly onlyEncrypted: boolean; readonly selected: Selection },
): string {
  const hash = createHash("sha512");
  if (options.onlyEncrypted) hash.update(onlyEncryptedPrefix);
  for (const { leaf, type, bytes } of leaves) {
    if (type === "comment") continue;
    if (options.onlyEncrypted && !options.selected(leaf.path)) continue;
    hash.update(bytes);
  }
  return hash.digest("hex").toUpperCase();
}

/** The ENC text of a MAC; `lastModified` in the form of {@link canonicalTime}. */
export function sealMac(mac: string, key: KeyObject, lastModified: string): string {
  return encryptValue(Buffer.from(mac), { key, aad: lastModified, type: "str" });
}

/** @throws not-authentic unless the stored MAC opens and equals the computed one */
export function assertMac(
  stored: string,
  computed: string,
  options: { readonly key: KeyObject; readonly lastModified: string; readonly file: string | undefined },
): void {
  const encrypted = parseEncrypted(stored);
  const bytes = encrypted === null ? null : decryptValue(encrypted, options.key, options.lastModified);
  // Both are hashes of what we hold in the clear: nothing is learnt from how long the comparison takes.
  if (bytes === null || Buffer.from(bytes).toString("latin1") !== computed) throw notAuthentic(options.file);
}
