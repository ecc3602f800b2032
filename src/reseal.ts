// Changes a sealed file: edited text, one value, a new binding. Everything goes through the gate first, keeps the data key,
// and keeps the text of whatever did not change, so that a diff shows the change and nothing else.
import { type KeyObject, randomBytes } from "node:crypto";
import type { Pair, YAMLMap } from "yaml";
import { wrapDataKey } from "./age.ts";
import type { AgeIdentity } from "./age-keys.ts";
import type { Binding } from "./binding.ts";
import { decodeUtf8, toBase64 } from "./bytes.ts";
import { assertCommentsStaySecret, sealedComments } from "./clear-leak.ts";
import { type ClearComment, openComments } from "./clear-text.ts";
import { quoteName, SealwardError } from "./errors.ts";
import {
  type Expectation,
  type Opened,
  open,
  printableId,
  type SealedInfo,
  sealedRegex,
  takeKey,
  unboundRegex,
} from "./gate.ts";
import {
  assertDataKey,
  bindingAnnotation,
  type Manifest,
  readManifestShape,
  type Scope,
  scopeAnnotation,
} from "./manifest.ts";
import { type Prepared, prepare, type SealOptions } from "./prepare.ts";
import { type EncryptOptions, encryptManifest, newBlock, type Previous } from "./seal.ts";
import { openSops, plainTextOf, sopsBlockText } from "./sops-file.ts";
import { metadataNode, readSopsMetadata, type SopsMetadata } from "./sops-metadata.ts";
import type { ClearLeaf } from "./sops-tree.ts";
import { dataKeyLength, looksEncrypted } from "./sops-value.ts";
import {
  applyEdits,
  type Edit,
  fillMap,
  formatText,
  insertLines,
  insertPairs,
  isBlockMap,
  isEmptyMap,
  rangeOf,
  replaceScalar,
  wouldSwallow,
} from "./splice.ts";
import { commentsOf, isMap, isScalar, maxSopsFileBytes, pairNamed, parseYaml, type YamlSource } from "./yaml-source.ts";

export interface WriteOptions {
  readonly now: Date;
  readonly file?: string | undefined;
}

export interface Resealed {
  /** The document itself where nothing changed. */
  readonly text: string;
  /** Names of what changed (`stringData.PASSWORD`, `metadata`), never values. */
  readonly changed: readonly string[];
}

/**
 * Seals an edited manifest again. Environment, scope, namespace and name must be the ones the file has: moving a Secret is
 * for `bindSealed`. @throws every refusal of the gate and of sealing; target-mismatch for a moved Secret
 */
export async function resealEdited(
  document: string,
  plainText: string,
  expectation: Expectation,
  identities: readonly AgeIdentity[],
  options: WriteOptions,
): Promise<Resealed> {
  const opened = await open(document, expectation, { identities, file: options.file });
  return resealOpened(document, plainText, { opened, expectation, options });
}

function resealOpened(
  document: string,
  plainText: string,
  {
    opened,
    expectation,
    options,
  }: { readonly opened: Opened; readonly expectation: Expectation; readonly options: WriteOptions },
): Resealed {
  const { manifest, place, dataKey, binding } = opened;
  const comments = openComments(sealedComments(manifest), dataKey);
  const before = plainTextOf(manifest.source, opened.leaves, comments);
  if (plainText === before) return { text: document, changed: [] };
  const prepared = prepare(plainText, {
    environment: expectation.environment,
    scope: place.scope,
    namespace: manifest.namespace,
    ...options,
  });
  const moved =
    prepared.manifest.name !== manifest.name
      ? "name"
      : prepared.manifest.namespace !== manifest.namespace
        ? "namespace"
        : null;
  if (moved !== null) {
    throw prepared.manifest.source.refusal(
      "target-mismatch",
      `metadata.${moved} was ${quoteName(manifest[moved])} and is now ${quoteName(prepared.manifest[moved])}; an edit does not move a Secret`,
    );
  }
  const text = encryptManifest(prepared.manifest, {
    place,
    key: dataKey,
    now: options.now,
    block: previousBlock(manifest.source, opened.metadata),
    previous: previousOf(manifest.source, { leaves: opened.leaves, comments, binding }),
  });
  return { text, changed: changesBetween(readManifestShape(parseYaml(before)), prepared.manifest) };
}

/** Sets one key, which may be new. Text goes where the key is, else to stringData; bytes that are not text go to data. */
export async function setValue(
  document: string,
  key: string,
  value: Uint8Array,
  expectation: Expectation,
  identities: readonly AgeIdentity[],
  options: WriteOptions,
): Promise<Resealed> {
  const opened = await open(document, expectation, { identities, file: options.file });
  const comments = openComments(sealedComments(opened.manifest), opened.dataKey);
  const before = plainTextOf(opened.manifest.source, opened.leaves, comments);
  const plain = readManifestShape(parseYaml(before, { file: options.file }));
  const kept = applyEdits(before, [valueEdit(plain, key, value, false)]);
  const text = changesOnly(plain, kept, key, value) ? kept : applyEdits(before, [valueEdit(plain, key, value, true)]);
  if (text !== kept && !changesOnly(plain, text, key, value)) {
    throw plain.source.refusal(
      "shape-invalid",
      `The value of ${key} cannot be set without changing what stands around it`,
    );
  }
  return resealOpened(document, text, { opened, expectation, options });
}

/** True where the text is the manifest with this one value, and every comment. */
function changesOnly(before: Manifest, text: string, key: string, value: Uint8Array): boolean {
  try {
    const after = readManifestShape(parseYaml(text));
    const old = new Map(before.entries.map((entry) => [entry.key, entry.value]));
    old.delete(key);
    const set = after.entries.find((entry) => entry.key === key);
    return (
      set !== undefined &&
      set.value === (set.map === "data" ? toBase64(value) : decodeUtf8(value)) &&
      after.entries.length === old.size + 1 &&
      after.entries.every((entry) => entry === set || old.get(entry.key) === entry.value) &&
      commentsOf(text).length === commentsOf(before.source.text).length
    );
  } catch (error) {
    if (error instanceof SealwardError) return false;
    throw error;
  }
}

function valueEdit(manifest: Manifest, key: string, value: Uint8Array, plain: boolean): Edit {
  const { source, entries } = manifest;
  assertDataKey(key);
  const text = decodeUtf8(value);
  const entry = entries.find((candidate) => candidate.key === key);
  if (entry?.map === "stringData" && (text === null || text.includes("\0"))) {
    throw new SealwardError(
      "shape-invalid",
      `The new value of stringData.${key} is not text; remove the key first, so that it can go to data`,
      { file: source.file },
    );
  }
  const isText = text !== null && !text.includes("\0");
  const map =
    entry?.map ?? (isText && (hasMap(source, "stringData") || !hasMap(source, "data")) ? "stringData" : "data");
  const written = map === "data" ? toBase64(value) : (text ?? "");
  const style = { style: entry?.node.type, inFlow: false, indent: 2, newline: source.newline, lineGoesOn: plain };
  if (entry !== undefined) {
    const [start, end] = rangeOf(entry.node);
    const lineStart = source.text.lastIndexOf("\n", start - 1) + 1;
    const parent = source.root.get(map);
    return replaceScalar(
      source,
      entry.node,
      formatText(written, {
        ...style,
        inFlow: isMap(parent) && parent.flow === true,
        indent: Math.max(source.text.slice(lineStart).search(/[^ ]/), 0),
        lineGoesOn: plain || wouldSwallow(source.text, end, Math.max(source.text.slice(lineStart).search(/[^ ]/), 0)),
      }),
    );
  }
  return newEntryEdit(source, map, { key, value: written, style });
}

function hasMap(source: YamlSource, name: string): boolean {
  return source.root.has(name);
}

function newEntryEdit(
  source: YamlSource,
  map: string,
  {
    key,
    value,
    style,
  }: { readonly key: string; readonly value: string; readonly style: Parameters<typeof formatText>[1] },
): Edit {
  const pair = pairNamed(source.root, map);
  const base = source.columnOf(rangeOf((source.root.items[0] as Pair).key as never)[0]);
  const parent = pair?.value;
  const written = formatText(key, { ...style, lineGoesOn: true });
  if (isBlockMap(parent)) {
    const indent = source.columnOf(rangeOf((parent.items[0] as Pair).key as never)[0]);
    return insertPairs(source, parent, [{ key: written, text: formatText(value, { ...style, indent }) }]);
  }
  if (pair !== undefined && isMap(parent) && !isEmptyMap(parent)) {
    return insertPairs(source, parent as YAMLMap, [{ key, text: formatText(value, { ...style, inFlow: true }) }]);
  }
  const text = formatText(value, { ...style, indent: base + 2 });
  if (pair !== undefined) return fillMap(source, pair, [{ key: written, text }], base + 2);
  return insertLines(
    source,
    source.text.length,
    `${" ".repeat(base)}${map}:${source.newline}${" ".repeat(base + 2)}${written}: ${text}${source.newline}`,
  );
}

export interface BindOptions extends SealOptions {
  /** age recipients of the other environments that are not also this one's. */
  readonly otherRecipients?: readonly string[] | undefined;
}

export interface BindResult {
  readonly text: string;
  readonly info: SealedInfo;
  /** What is different now, for people. */
  readonly changes: readonly string[];
}

/**
 * Binds a SOPS Secret that has no binding, or binds again one whose labels, keys, name or recipients were changed on
 * purpose. The MAC must hold, and a binding that is there must be of the same environment. Recipients become the
 * environment's; one that could open the file and no longer should costs a new data key.
 * @throws environment-mismatch, not-authentic, identity-missing, identity-unmatched, and every refusal of sealing
 */
export async function bindSealed(
  document: string,
  options: BindOptions,
  identities: readonly AgeIdentity[],
): Promise<BindResult> {
  const { environment, file } = options;
  assertNotElsewhere(document, options);
  // Labels of entries are not authenticated: an identity of another environment opens nothing here, whatever it is called.
  const own = identities.filter(({ recipient }) => !options.otherRecipients?.includes(recipient));
  const opened = await openSops(document, { identities: own, file, checkBinding: false, namedOnly: true });
  const { binding, metadata, source, dataKey } = opened;
  if (binding !== null && binding.environment !== environment.name) {
    throw source.refusal(
      "environment-mismatch",
      `The file is bound to ${quoteName(binding.environment)}; binding does not move it to ${quoteName(environment.name)}`,
    );
  }
  const prepared = prepare(withScope(opened.plainText, options.scope), options);
  assertCommentsStaySecret(prepared.manifest, opened.comments, source);
  const foreign = metadata.recipients.filter(
    ({ kind, id }) => kind !== "age" || !environment.ageRecipients.includes(id),
  );
  const missing = environment.ageRecipients.filter(
    (recipient) => !metadata.age.some((entry) => entry.recipient === recipient),
  );
  const keepsKey = foreign.length === 0 && isOurSelection(metadata);
  const text = keepsKey
    ? encryptManifest(prepared.manifest, {
        ...base(prepared, options),
        key: dataKey,
        block:
          missing.length === 0 && metadata.rule?.pattern === sealedRegex
            ? previousBlock(source, metadata)
            : newBlock(entriesFor(environment.ageRecipients, metadata, dataKey)),
        previous: previousOf(source, opened),
      })
    : sealWithNewKey(prepared, options);
  const { scope, namespace, name } = prepared.place;
  const changes = [
    binding === null ? `bound to ${environment.name}, scope ${scope}` : "binding renewed",
    ...foreign.map(({ kind, id }) => `removed the ${kind} recipient ${printableId(id)}: new data key`),
    ...(foreign.length === 0 && !keepsKey ? ["selection rule replaced: new data key"] : []),
    ...(metadata.onlyEncrypted
      ? ["mac_only_encrypted: until now nothing confirmed the clear fields; look at them"]
      : []),
    ...missing.map((recipient) => `added the recipient ${recipient}`),
    ...(!keepsKey && commentsOf(prepared.manifest.source.text).some(({ text: comment }) => looksEncrypted(comment))
      ? ["a comment that could not be opened stays as it is, under the old data key"]
      : []),
    ...prepared.notices,
  ];
  return {
    text,
    info: { environment: environment.name, scope, namespace, name, type: prepared.manifest.type },
    changes,
  };
}

/** An unbound file says nothing of where it belongs but through who can open it: another environment's file stays there. */
function assertNotElsewhere(document: string, { environment, otherRecipients = [], file }: BindOptions): void {
  const source = parseYaml(document, { file, maxBytes: maxSopsFileBytes });
  if (source.root.getIn(["metadata", "annotations", bindingAnnotation]) !== undefined) return;
  const { recipients } = readSopsMetadata(source);
  const other = recipients.find(({ kind, id }) => kind === "age" && otherRecipients.includes(id));
  if (other === undefined) return;
  throw source.refusal(
    "recipient-foreign",
    `The file has no binding and is sealed to ${other.id}, a recipient of another environment than ${quoteName(environment.name)}`,
  );
}

function base(prepared: Prepared, { now }: SealOptions): Pick<EncryptOptions, "place" | "now"> {
  return { place: prepared.place, now };
}

function sealWithNewKey(prepared: Prepared, options: SealOptions): string {
  const raw = randomBytes(dataKeyLength);
  const age = options.environment.ageRecipients.map((recipient) => ({ recipient, enc: wrapDataKey(raw, recipient) }));
  return encryptManifest(prepared.manifest, { ...base(prepared, options), key: takeKey(raw), block: newBlock(age) });
}

function isOurSelection({ rule, onlyEncrypted, hasKeyGroups }: SopsMetadata): boolean {
  return (
    rule?.name === "encrypted_regex" &&
    [sealedRegex, unboundRegex].includes(rule.pattern) &&
    !onlyEncrypted &&
    !hasKeyGroups
  );
}

/** Entries that are there keep their text; the others are wrapped anew. */
function entriesFor(recipients: readonly string[], { age }: SopsMetadata, dataKey: KeyObject): SopsMetadata["age"] {
  const raw = dataKey.export();
  const entries = recipients.map(
    (recipient) =>
      age.find((entry) => entry.recipient === recipient) ?? { recipient, enc: wrapDataKey(raw, recipient) },
  );
  raw.fill(0);
  return entries;
}

/** The text with another scope claim, where one was asked for and a claim is there. */
function withScope(plainText: string, scope: Scope | undefined): string {
  if (scope === undefined) return plainText;
  const source = parseYaml(plainText);
  const node: unknown = source.root.getIn(["metadata", "annotations", scopeAnnotation], true);
  return isScalar(node) ? applyEdits(plainText, [replaceScalar(source, node, scope)]) : plainText;
}

/** The block as it stands, with another time and MAC: order, spelling and unknown keys are kept. */
function previousBlock(source: YamlSource, { block }: SopsMetadata): EncryptOptions["block"] {
  const { text, start } = sopsBlockText(source);
  const [time, mac] = [metadataNode(block, "lastmodified"), metadataNode(block, "mac")];
  if (time === null || mac === null)
    throw source.refusal("sops-metadata-invalid", "The sops block has no lastmodified or no mac", block);
  return (lastModified, newMac) => {
    const shifted = [replaceScalar(source, time, `"${lastModified}"`), replaceScalar(source, mac, newMac)].map(
      (edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }),
    );
    return applyEdits(text, shifted).replaceAll("\r\n", "\n");
  };
}

/** What was read from the previous file. */
interface Known {
  readonly leaves: readonly ClearLeaf[];
  readonly comments: readonly ClearComment[];
  readonly binding: Binding | null;
}

function previousOf(source: YamlSource, { leaves, comments, binding }: Known): Previous {
  const values = new Map(
    leaves.filter(({ wasEncrypted }) => wasEncrypted).map((clear) => [JSON.stringify(clear.leaf.path), clear]),
  );
  const commentTexts = new Map(comments.map(({ aad, text, raw }) => [`${aad}\n${text}`, raw]));
  return {
    valueText: (path, plaintext) => {
      const known = values.get(JSON.stringify(path));
      if (known === undefined || !Buffer.from(known.bytes).equals(plaintext)) return undefined;
      return source.text.slice(...rangeOf(known.leaf.node)).trimEnd();
    },
    commentText: (aad, text) => commentTexts.get(`${aad}\n${text}`),
    binding: binding ?? undefined,
  };
}

function changesBetween(before: Manifest, after: Manifest): string[] {
  const valuesOf = (manifest: Manifest) =>
    new Map(manifest.entries.map(({ map, key, value }) => [`${map}.${key}`, value]));
  const [old, now] = [valuesOf(before), valuesOf(after)];
  const names = new Set([...old.keys(), ...now.keys()]);
  const changed = [...names].filter((name) => old.get(name) !== now.get(name));
  const textsOf = (fields: Manifest["labels"]) => [...fields].map(([name, { value }]) => [name, value]);
  const clear = ({ type, immutable, labels, annotations }: Manifest) =>
    JSON.stringify([type, immutable, textsOf(labels), textsOf(annotations)]);
  return clear(before) === clear(after) ? changed : [...changed, "metadata"];
}
