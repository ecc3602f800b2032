// Changes a sealed file: edited text, or one value. Everything goes through the gate first, keeps the data key, and keeps
// the text of whatever did not change, so that a diff shows the change and nothing else.
import type { Pair, YAMLMap } from "yaml";
import { decodeUtf8, toBase64 } from "./bytes.ts";
import type { Identity } from "./data-key.ts";
import { quoteName, SealwardError } from "./errors.ts";
import { type Expectation, type Opened, open } from "./gate.ts";
import { assertDataKey, type Manifest, readManifestShape } from "./manifest.ts";
import { prepare } from "./prepare.ts";
import type { Notice } from "./recipients.ts";
import { type EncryptOptions, encryptManifest } from "./seal.ts";
import { secretText, withoutBinding } from "./secret-text.ts";
import { clearFile } from "./sops-file.ts";
import type { Previous } from "./sops-seal.ts";
import { spellingKey } from "./spelling.ts";
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
import type { Metadata } from "./store.ts";
import { commentsOf, isMap, isScalar, pairNamed, parseYaml, type YamlSource } from "./yaml-source.ts";

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
  identities: readonly Identity[],
  options: WriteOptions,
): Promise<Resealed> {
  return (await editSealed(document, expectation, identities, options.file)).reseal(plainText, options.now);
}

/** An opened Secret, and what seals its edited text with the key in hand: nobody is asked for it again. */
export interface EditableSecret {
  readonly plainText: string;
  readonly notices: readonly Notice[];
  /** @throws as {@link resealEdited}, but for what opening throws */
  readonly reseal: (edited: string, now: Date) => Resealed;
}

/** Opens a Secret to change it. @throws every refusal of the gate */
export async function editSealed(
  document: string,
  expectation: Expectation,
  identities: readonly Identity[],
  file?: string,
): Promise<EditableSecret> {
  const opened = await open(document, expectation, { identities, file });
  return {
    plainText: secretText(opened.opened),
    notices: opened.notices,
    reseal: (edited, now) => resealOpened(document, edited, { opened, expectation, options: { now, file } }),
  };
}

export interface ResealOptions {
  readonly opened: Opened;
  readonly expectation: Expectation;
  readonly options: WriteOptions;
  readonly others?: readonly Previous[] | undefined;
}

/** Seals an edited text of an opened document again. @throws as {@link resealEdited}, but for what opening throws */
export function resealOpened(
  document: string,
  plainText: string,
  { opened, expectation, options, others }: ResealOptions,
): Resealed {
  const { manifest, place, binding } = opened;
  const plain = clearFile(opened.opened);
  const before = withoutBinding(plain);
  if (plainText === before) return { text: document, changed: [] };
  assertNotMoved(manifest, plainText);
  const prepared = prepare(plainText, {
    environment: expectation.environment,
    scope: place.scope,
    namespace: manifest.namespace,
    ...options,
  });
  const text = encryptManifest(prepared.manifest, {
    place,
    key: opened.opened.key,
    now: options.now,
    metadata: renewed(opened.metadata.raw),
    previous: { opened: opened.opened, plain, binding, others },
    keepsBlock: true,
  });
  return { text, changed: changesBetween(readManifestShape(parseYaml(before)), prepared.manifest) };
}

/** Name and namespace of an edited manifest are the ones that the file is sealed for. */
function assertNotMoved(manifest: Manifest, plainText: string): void {
  const edited = parseYaml(plainText, { file: manifest.source.file });
  for (const field of ["name", "namespace"] as const) {
    const node: unknown = edited.root.getIn(["metadata", field], true);
    if (!isScalar(node) || node.value === manifest[field]) continue;
    throw edited.refusal(
      "target-mismatch",
      `The file is sealed for the ${field} ${quoteName(manifest[field])}, the edited text has ${quoteName(String(node.value))}; an edit does not move a Secret`,
      node,
    );
  }
}

/** Sets one key, which may be new. Text goes where the key is, else to stringData; bytes that are not text go to data. */
export async function setValue(
  document: string,
  key: string,
  value: Uint8Array,
  expectation: Expectation,
  identities: readonly Identity[],
  options: WriteOptions,
): Promise<Resealed> {
  const opened = await open(document, expectation, { identities, file: options.file });
  const before = secretText(opened.opened);
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

/** The block as it stands, with another time and MAC: order and unknown keys are kept. */
export function renewed(raw: Metadata): EncryptOptions["metadata"] {
  return (lastModified, mac) => {
    const block = new Map([...raw].filter(([key]) => key !== spellingKey));
    return block.set("lastmodified", lastModified).set("mac", mac);
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
