// Seals a plain Secret manifest for one environment: normalises what servers added, states the claims, encrypts every value
// and comment of data and stringData in place, and closes the file with a SOPS block. The finished text is read again and
// opened with the data key before it is given out.
import { type KeyObject, randomBytes } from "node:crypto";
import type { YAMLMap } from "yaml";
import { wrapDataKey } from "./age.ts";
import { type Binding, bindingOf, bindingPath, encodeBinding, type Place } from "./binding.ts";
import { secretComments } from "./clear-leak.ts";
import { isSealedPath, type SealedInfo, sealedRegex, takeKey, verify } from "./gate.ts";
import { bindingAnnotation, type Entry, type Manifest, readManifestShape, scopeAnnotation } from "./manifest.ts";
import { type Prepared, prepare, type SealOptions } from "./prepare.ts";
import { type AgeEntry, formatSopsBlock, formatTime, metadataNode, readSopsMetadata } from "./sops-metadata.ts";
import { leavesOf, macOf, openLeaves, sealMac } from "./sops-tree.ts";
import { aadOfPath, dataKeyLength, encryptValue, looksEncrypted } from "./sops-value.ts";
import { applyEdits, type Edit, insertPairs, quoted, replaceScalar } from "./splice.ts";
import { isMap, pairNamed, parseYaml, type YamlSource } from "./yaml-source.ts";

export interface Sealed {
  readonly text: string;
  readonly info: SealedInfo;
  /** What was removed or added beyond encrypting, for people. */
  readonly notices: readonly string[];
}

/**
 * A sealed file from a plain manifest, under a fresh data key.
 * @throws not-yaml and its kin, not-a-secret, shape-invalid, secret-type-forbidden, already-sealed, clear-leak,
 *   namespace-missing, environment-mismatch, scope-not-allowed, target-mismatch
 */
export function sealManifest(text: string, options: SealOptions): Sealed {
  const prepared = prepare(text, options);
  const { manifest, place } = prepared;
  const sealed = encryptUnderNewKey(prepared, options);
  const { environment, scope, namespace, name } = place;
  return {
    text: sealed,
    info: { environment, scope, namespace, name, type: manifest.type },
    notices: prepared.notices,
  };
}

/** The sealed text of a prepared manifest under a fresh data key, wrapped for every recipient of the environment. */
export function encryptUnderNewKey({ manifest, place }: Prepared, { environment, now }: SealOptions): string {
  const raw = randomBytes(dataKeyLength);
  const age = environment.ageRecipients.map((recipient) => ({ recipient, enc: wrapDataKey(raw, recipient) }));
  return encryptManifest(manifest, { place, key: takeKey(raw), block: newBlock(age), now });
}

/** What a re-sealing keeps of the previous file: the text of whatever did not change. */
export interface Previous {
  /** The ENC text of a value at a path, if it was this plaintext before. */
  valueText(path: readonly string[], plaintext: Uint8Array): string | undefined;
  /** The same for a comment. */
  commentText(aad: string, text: string): string | undefined;
  readonly binding: Binding | undefined;
}

export interface EncryptOptions {
  readonly place: Place;
  readonly key: KeyObject;
  /** The lines of the SOPS block for a time and a MAC. */
  readonly block: (lastModified: string, mac: string) => string;
  readonly now: Date;
  readonly previous?: Previous | undefined;
}

/** Encrypts a prepared manifest in place and proves the result. */
export function encryptManifest(manifest: Manifest, options: EncryptOptions): string {
  const { source } = manifest;
  const lastModified = formatTime(options.now);
  const { newline } = source;
  const body = applyEdits(source.text, [
    ...valueEdits(manifest, options),
    ...commentEdits(manifest, options),
    bindingEdit(manifest, options),
  ]);
  const closed = body === "" || body.endsWith("\n") ? body : body + newline;
  const withBlock = closed + options.block(lastModified, '""').replaceAll("\n", newline);
  const result = parseYaml(withBlock, { file: source.file });
  const mac = macOf(openLeaves(result, leavesOf(result), { key: options.key, selected: isSealedPath }), {
    onlyEncrypted: false,
    selected: isSealedPath,
  });
  const { block } = readSopsMetadata(result);
  const macNode = metadataNode(block, "mac");
  if (macNode === null) throw new TypeError("the SOPS block has no mac to fill in");
  const text = applyEdits(withBlock, [
    replaceScalar(result, macNode, flowSafe(sealMac(mac, options.key, lastModified), block.flow === true)),
  ]);
  assertProven(manifest, text, options);
  return text;
}

function valueEdits(manifest: Manifest, options: EncryptOptions): Edit[] {
  const { source, entries } = manifest;
  const { key, previous } = options;
  const headers = new Map(secretComments(manifest).map(({ comment, header }) => [header, comment.text]));
  return entries
    .filter(({ value }) => value !== "")
    .map(({ map, key: name, value, node }) => {
      const path = [map, name];
      const plaintext = Buffer.from(value);
      const kept = previous?.valueText(path, plaintext);
      const flow = inFlowMap(source, map);
      const text =
        kept === undefined
          ? quotedLike(node.type, encryptValue(plaintext, { key, aad: aadOfPath(path), type: "str" }), flow)
          : flowSafe(kept, flow);
      const comment = headers.get(node);
      if (comment === undefined) return replaceScalar(source, node, text);
      const suffix = isOpenComment(comment) ? encryptComment(comment, map, options) : `#${comment}`;
      return replaceScalar(source, node, `${text} ${suffix}`);
    });
}

/** Quotes are kept, so that the value in the clear gets them back; a plain ENC is not YAML inside a flow map. */
function quotedLike(style: string | undefined, text: string, inFlow: boolean): string {
  if (style === "QUOTE_SINGLE") return `'${text}'`;
  return style === "QUOTE_DOUBLE" || inFlow ? quoted(text) : text;
}

/** Kept text may come from a block map. */
function flowSafe(text: string, inFlow: boolean): string {
  return inFlow && !/^["']/.test(text) ? quoted(text) : text;
}

function inFlowMap(source: YamlSource, name: Entry["map"]): boolean {
  const map = source.root.get(name);
  return isMap(map) && map.flow === true;
}

/** Comments of data and stringData say too much to stay in the clear; SOPS encrypts them as well. */
function commentEdits(manifest: Manifest, options: EncryptOptions): Edit[] {
  return secretComments(manifest)
    .filter(({ comment, header }) => isOpenComment(comment.text) && header === undefined)
    .map(({ comment: { offset, text }, map }) => ({
      start: offset,
      end: offset + 1 + text.length,
      text: encryptComment(text, map, options),
    }));
}

/** An empty comment is never encrypted, and one that the key did not open stays as it is. */
function isOpenComment(text: string): boolean {
  return text !== "" && !looksEncrypted(text);
}

function encryptComment(text: string, map: Entry["map"], { key, previous }: EncryptOptions): string {
  const aad = aadOfPath([map]);
  return `#${previous?.commentText(aad, text) ?? encryptValue(Buffer.from(text), { key, aad, type: "comment" })}`;
}

function bindingEdit(manifest: Manifest, { place, key, previous }: EncryptOptions): Edit {
  const fresh = bindingOf(manifest, place, previous?.binding?.nonce);
  const kept = previous?.binding === undefined ? undefined : previous.valueText(bindingPath, encodeBinding(fresh));
  // A nonce never serves two statements.
  const plaintext = encodeBinding(kept === undefined ? bindingOf(manifest, place) : fresh);
  const { source, metadata } = manifest;
  const annotations = metadata.get("annotations");
  const flow = metadata.flow === true || (isMap(annotations) && annotations.flow === true);
  const text = kept ?? encryptValue(plaintext, { key, aad: aadOfPath(bindingPath), type: "str" });
  if (!isMap(annotations)) throw source.refusal("shape-invalid", "annotations must be a map", metadata);
  const pair = { key: bindingAnnotation, text: flowSafe(text, flow) };
  return insertPairs(source, annotations as YAMLMap, [pair], pairNamed(annotations as YAMLMap, scopeAnnotation));
}

export function newBlock(age: readonly AgeEntry[]): EncryptOptions["block"] {
  return (lastModified, mac) =>
    `${formatSopsBlock({ age, encryptedRegex: sealedRegex, lastModified, mac }).join("\n")}\n`;
}

/** Opens what was just sealed and compares: nothing leaves here that would not come back. */
function assertProven(manifest: Manifest, text: string, { key }: EncryptOptions): void {
  const source = parseYaml(text, { file: manifest.source.file });
  const sealed = readManifestShape(source);
  const leaves = verify(sealed, readSopsMetadata(source), { key, selected: isSealedPath });
  const values = new Map(leaves.map(({ leaf, bytes }) => [JSON.stringify(leaf.path), Buffer.from(bytes).toString()]));
  const same = manifest.entries.every(({ map, key: name, value }) => values.get(JSON.stringify([map, name])) === value);
  if (
    !same ||
    sealed.entries.length !== manifest.entries.length ||
    sealed.name !== manifest.name ||
    sealed.namespace !== manifest.namespace
  ) {
    throw new TypeError("the sealed text does not open to the manifest that was given");
  }
}
