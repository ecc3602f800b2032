// Seals a plain Secret manifest for one environment: normalises what servers added, states the claims, encrypts every value
// and comment of data and stringData in place, and closes the file with a SOPS block. The finished text is read again and
// opened with the data key before it is given out.
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { Pair, YAMLMap } from "yaml";
import { wrapDataKey } from "./age.ts";
import { type Binding, bindingOf, bindingPath, encodeBinding, type Place } from "./binding.ts";
import { fromBase64, toBase64 } from "./bytes.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { isSealedPath, type SealedInfo, sealedRegex, verify } from "./gate.ts";
import {
  assertSecret,
  bindingAnnotation,
  type Entry,
  environmentAnnotation,
  type Manifest,
  readManifestShape,
  type Scope,
  scopeAnnotation,
  serverSetPairs,
} from "./manifest.ts";
import { type AgeEntry, formatSopsBlock, formatTime, metadataNode, readSopsMetadata } from "./sops-metadata.ts";
import { leavesOf, macOf, openLeaves, sealMac } from "./sops-tree.ts";
import { aadOfPath, dataKeyLength, encryptValue, looksEncrypted } from "./sops-value.ts";
import {
  applyEdits,
  type Edit,
  fillMap,
  formatText,
  insertPairs,
  isBlockMap,
  isEmptyMap,
  type NewPair,
  quoted,
  rangeOf,
  removePair,
  replaceScalar,
} from "./splice.ts";
import { commentsOf, isMap, maxDocumentBytes, parseYaml, type YamlSource } from "./yaml-source.ts";

export interface SealOptions {
  readonly environment: EnvironmentPolicy;
  /** Default: what the manifest claims, else the environment's default. */
  readonly scope?: Scope | undefined;
  /** Used where the manifest has none, and written into the file. Must not contradict the manifest. */
  readonly namespace?: string | undefined;
  readonly now: Date;
  readonly file?: string | undefined;
}

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
  const raw = randomBytes(dataKeyLength);
  const age = options.environment.ageRecipients.map((recipient) => ({ recipient, enc: wrapDataKey(raw, recipient) }));
  const key = createSecretKey(raw);
  raw.fill(0);
  const sealed = encryptManifest(manifest, { place, key, block: newBlock(age), now: options.now });
  const { environment, scope, namespace, name } = place;
  return {
    text: sealed,
    info: { environment, scope, namespace, name, type: manifest.type },
    notices: prepared.notices,
  };
}

/** A plain manifest in its final clear form, and where it will be bound. */
export interface Prepared {
  readonly manifest: Manifest;
  readonly place: Place;
  readonly notices: readonly string[];
}

/** Reads, strips what servers set, and writes namespace, environment and scope into the text. */
export function prepare(text: string, options: SealOptions): Prepared {
  const { file, environment } = options;
  const source = parseYaml(text, { file });
  assertSecret(source);
  if (source.root.has("sops"))
    throw source.refusal(
      "already-sealed",
      "The file is sealed already; a sealed file is never sealed twice",
      source.root,
    );
  assertBlockStyle(source);
  const stripped = serverSetPairs(source);
  const notices = stripped.map(({ name }) => `removed ${name}, which servers set`);
  const bare = reparse(
    source,
    stripped.map(({ map, pair }) => removePair(source, map, pair)),
  );
  const manifest = readManifestShape(bare);
  assertNothingSealed(manifest);
  if (!manifest.entries.some(({ value }) => value !== ""))
    throw bare.refusal("shape-invalid", "The Secret holds no value to seal", bare.root);
  assertFits(manifest);
  assertNoLeak(manifest);
  const place = placeOf(manifest, options);
  const claimed = reparse(bare, claimEdits(manifest, place, notices));
  return { manifest: readManifestShape(claimed), place: { ...place, environment: environment.name }, notices };
}

function reparse(source: YamlSource, edits: readonly Edit[]): YamlSource {
  return edits.length === 0 ? source : parseYaml(applyEdits(source.text, edits), { file: source.file });
}

function assertBlockStyle(source: YamlSource): void {
  if (source.root.flow === true)
    throw source.refusal(
      "shape-invalid",
      "The manifest is JSON or a flow map; write it as block YAML (kubectl: -o yaml)",
      source.root,
    );
  if (/^(?:%|\.\.\.)/m.test(source.text))
    throw source.refusal("shape-invalid", "YAML directives and end markers are not allowed in a manifest", 0);
}

/** What an ENC adds to a value of n bytes: its fixed parts, and base64. */
const encryptedOverhead = 134;

/** Refuses before encrypting what could not be stored afterwards. */
function assertFits({ source, entries }: Manifest): void {
  const bytes = entries.reduce(
    (sum, { key, value }) => sum + key.length + Math.ceil(value.length / 3) * 4 + encryptedOverhead,
    0,
  );
  if (bytes > maxDocumentBytes) {
    throw source.refusal(
      "too-large",
      `Sealed, the ${entries.length} values would have about ${bytes} bytes; at most ${maxDocumentBytes} fit into one sealed file`,
      source.root,
    );
  }
}

function assertNothingSealed({ source, entries, annotations }: Manifest): void {
  const sealed = entries.find(({ value }) => looksEncrypted(value)) ?? annotations.get(bindingAnnotation);
  if (sealed !== undefined)
    throw source.refusal(
      "already-sealed",
      "The manifest holds an encrypted value or a binding; a sealed file is never sealed twice",
      sealed.node,
    );
}

function placeOf(manifest: Manifest, { environment, scope: wanted, namespace: given }: SealOptions): Place {
  const { source, metadata, annotations } = manifest;
  const claimedEnvironment = annotations.get(environmentAnnotation);
  if (claimedEnvironment !== undefined && claimedEnvironment.value !== environment.name) {
    throw source.refusal(
      "environment-mismatch",
      `The manifest names the environment ${JSON.stringify(claimedEnvironment.value)}, it is being sealed for ${JSON.stringify(environment.name)}`,
      claimedEnvironment.node,
    );
  }
  const claimedScope = annotations.get(scopeAnnotation);
  const scope = wanted ?? (claimedScope === undefined ? environment.defaultScope : (claimedScope.value as Scope));
  if (claimedScope !== undefined && claimedScope.value !== scope) {
    throw source.refusal(
      "target-mismatch",
      `The manifest has scope ${JSON.stringify(claimedScope.value)}, ${JSON.stringify(scope)} was asked for`,
      claimedScope.node,
    );
  }
  if (!environment.scopes.includes(scope)) {
    throw source.refusal(
      "scope-not-allowed",
      `Scope ${JSON.stringify(scope)} was asked for, ${environment.name} allows ${environment.scopes.join(", ")}`,
      claimedScope?.node ?? metadata,
    );
  }
  if (manifest.namespace !== undefined && given !== undefined && manifest.namespace !== given) {
    throw source.refusal(
      "target-mismatch",
      `The manifest has the namespace ${JSON.stringify(manifest.namespace)}, ${JSON.stringify(given)} was asked for`,
      metadata,
    );
  }
  const [only, another] = environment.namespaces;
  const namespace = manifest.namespace ?? given ?? (another === undefined ? only : undefined);
  if (namespace === undefined && scope !== "environment") {
    throw source.refusal(
      "namespace-missing",
      `The manifest has no namespace, and ${environment.name} does not give exactly one`,
      metadata,
    );
  }
  return { environment: environment.name, scope, namespace, name: manifest.name };
}

/** Edits that write namespace, environment and scope into the metadata where they are not there yet. */
function claimEdits(manifest: Manifest, place: Place, notices: string[]): Edit[] {
  const { source, metadata, annotations } = manifest;
  const edits: Edit[] = [];
  if (manifest.namespace === undefined && place.namespace !== undefined) {
    edits.push(
      insertPairs(
        source,
        metadata,
        [{ key: "namespace", text: quotedIfNeeded(place.namespace) }],
        pairOf(metadata, "name"),
      ),
    );
    notices.push(`wrote namespace ${place.namespace} into the file`);
  }
  const claims: NewPair[] = [];
  if (!annotations.has(environmentAnnotation))
    claims.push({ key: environmentAnnotation, text: quotedIfNeeded(place.environment) });
  if (!annotations.has(scopeAnnotation)) claims.push({ key: scopeAnnotation, text: place.scope });
  if (claims.length > 0) edits.push(annotationEdit(manifest, claims));
  return edits;
}

function quotedIfNeeded(text: string): string {
  return formatText(text, { style: undefined, inFlow: true, indent: 0, newline: "\n", lineGoesOn: true });
}

/** Inserts annotations: after `after`, at the end, or as the first ones there are. */
function annotationEdit({ source, metadata }: Manifest, pairs: readonly NewPair[], after?: Pair): Edit {
  const own = pairOf(metadata, "annotations");
  const inner = metadata.flow === true ? 0 : source.columnOf(rangeOf((metadata.items[0] as Pair).key as never)[0]);
  const step = Math.max(2, inner);
  if (own === undefined) {
    if (metadata.flow === true) return insertPairs(source, metadata, [{ key: "annotations", text: flowMap(pairs) }]);
    const pad = " ".repeat(inner + step);
    const text = pairs.map(({ key, text: value }) => `${source.newline}${pad}${key}: ${value}`).join("");
    return insertPairs(source, metadata, [{ key: "annotations", text }]);
  }
  if (isBlockMap(own.value)) return insertPairs(source, own.value, pairs, after);
  if (isEmptyMap(own.value) && metadata.flow !== true) return fillMap(source, own, pairs, inner + step);
  if (isMap(own.value)) return insertPairs(source, own.value as YAMLMap, pairs, after);
  throw source.refusal("shape-invalid", "annotations must be a map", metadata);
}

function flowMap(pairs: readonly NewPair[]): string {
  return `{${pairs.map(({ key, text }) => `${JSON.stringify(key)}: ${text}`).join(", ")}}`;
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return (map.items as Pair[]).find((pair) => String((pair.key as { value?: unknown }).value) === key);
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
  const macNode = metadataNode(readSopsMetadata(result).block, "mac");
  if (macNode === null) throw new TypeError("the SOPS block has no mac to fill in");
  const text = applyEdits(withBlock, [replaceScalar(result, macNode, sealMac(mac, options.key, lastModified))]);
  assertProven(manifest, text, options);
  return text;
}

function valueEdits({ source, entries }: Manifest, { key, previous }: EncryptOptions): Edit[] {
  return entries
    .filter(({ value }) => value !== "")
    .map(({ map, key: name, value, node }) => {
      const path = [map, name];
      const plaintext = Buffer.from(value);
      const kept = previous?.valueText(path, plaintext);
      const text =
        kept ??
        quotedLike(
          node.type,
          encryptValue(plaintext, { key, aad: aadOfPath(path), type: "str" }),
          inFlowMap(source, map),
        );
      return replaceScalar(source, node, text);
    });
}

/** Quotes are kept, so that the value in the clear gets them back; a plain ENC is not YAML inside a flow map. */
function quotedLike(style: string | undefined, text: string, inFlow: boolean): string {
  if (style === "QUOTE_SINGLE") return `'${text}'`;
  return style === "QUOTE_DOUBLE" || inFlow ? quoted(text) : text;
}

function inFlowMap(source: YamlSource, name: Entry["map"]): boolean {
  const map = source.root.get(name);
  return isMap(map) && map.flow === true;
}

/** Comments of data and stringData say too much to stay in the clear; SOPS encrypts them as well. */
function commentEdits(manifest: Manifest, { key, previous }: EncryptOptions): Edit[] {
  return secretComments(manifest)
    .filter(({ comment }) => comment.text !== "")
    .map(({ comment: { offset, text }, map }) => {
      const aad = aadOfPath([map]);
      const kept = previous?.commentText(aad, text);
      return {
        start: offset,
        end: offset + 1 + text.length,
        text: `#${kept ?? encryptValue(Buffer.from(text), { key, aad, type: "comment" })}`,
      };
    });
}

/** Comments that stand between the key `data` or `stringData` and the next key of the document, unless they start a line of it. */
function secretComments({
  source,
}: Manifest): { readonly comment: { readonly offset: number; readonly text: string }; readonly map: Entry["map"] }[] {
  const keys = (source.root.items as Pair[]).map(({ key }) => ({
    name: String((key as { value?: unknown }).value),
    offset: rangeOf(key as never)[0],
  }));
  const column = source.columnOf(keys[0]?.offset ?? 0);
  return commentsOf(source.text).flatMap((comment) => {
    const owner = keys.findLast(({ offset }) => offset < comment.offset);
    const secret = owner?.name === "data" || owner?.name === "stringData" ? owner.name : undefined;
    return secret === undefined || source.columnOf(comment.offset) <= column ? [] : [{ comment, map: secret }];
  });
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
  const pair = { key: bindingAnnotation, text: flow && !text.startsWith('"') ? quoted(text) : text };
  return insertPairs(source, annotations as YAMLMap, [pair], pairOf(annotations as YAMLMap, scopeAnnotation));
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

/** Shorter values are words that turn up by chance. */
const shortestLeak = 8;

/**
 * Refuses a manifest whose clear part repeats a value that is about to be sealed. A value that is part of the Secret's own
 * name or namespace gives nothing away.
 */
function assertNoLeak(manifest: Manifest): void {
  const { source, labels, annotations, name, namespace = "" } = manifest;
  const clear: { readonly what: string; readonly text: string; readonly offset: number }[] = [];
  for (const [what, fields] of [
    ["label", labels],
    ["annotation", annotations],
  ] as const) {
    for (const [key, { value, node }] of fields)
      clear.push({ what: `The ${what} ${key}`, text: `${key}\n${value}`, offset: rangeOf(node)[0] });
  }
  const secret = new Set(secretComments(manifest).map(({ comment }) => comment.offset));
  for (const { offset, text } of commentsOf(source.text))
    if (!secret.has(offset)) clear.push({ what: "A comment", text, offset });
  if (clear.length === 0) return;
  for (const { needle, entry } of needlesOf(manifest)) {
    if (name.includes(needle) || namespace.includes(needle)) continue;
    const leak = clear.find(({ text }) => text.includes(needle));
    if (leak !== undefined) {
      throw source.refusal(
        "clear-leak",
        `${leak.what} stays in the clear and repeats the value of ${entry.map}.${entry.key}`,
        leak.offset,
      );
    }
  }
}

function* needlesOf({ entries }: Manifest): Generator<{ readonly needle: string; readonly entry: Entry }> {
  for (const entry of entries) {
    const raw = entry.map === "data" ? fromBase64(entry.value) : Buffer.from(entry.value);
    if (raw === null || raw.length < shortestLeak) continue;
    const text = Buffer.from(raw).toString();
    for (const needle of new Set([text, text.trim(), toBase64(raw), entry.value]))
      if (needle.length >= shortestLeak) yield { needle, entry };
  }
}
