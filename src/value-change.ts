// Sets or removes one value of a sealed Secret, and proves that nothing else changed.
import type { Pair, YAMLMap } from "yaml";
import { decodeUtf8, toBase64 } from "./bytes.ts";
import type { Identity } from "./data-key.ts";
import { quoteName, SealwardError } from "./errors.ts";
import { type Expectation, open } from "./gate.ts";
import { assertDataKey, type Manifest, readManifestShape } from "./manifest.ts";
import { type Resealed, resealOpened, type WriteOptions } from "./reseal.ts";
import { secretText } from "./secret-text.ts";
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
  removePair,
  replaceScalar,
  textInPlaceOf,
} from "./splice.ts";
import { commentsOf, isMap, pairNamed, parseYaml, type YamlSource } from "./yaml-source.ts";

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
  if (entry === undefined) return newEntryEdit(source, map, { key, value: written, style });
  const parent = source.root.get(map);
  const inFlow = isMap(parent) && parent.flow === true;
  const replacing = { style: style.style, inFlow, lineGoesOn: plain };
  return replaceScalar(source, entry.node, textInPlaceOf(source, entry.node, written, replacing));
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

/**
 * Removes one key. Comments stay, also one that stands above it: only a person knows what it is about.
 * @throws path-missing where there is no such key, and what {@link setValue} throws
 */
export async function unsetValue(
  document: string,
  key: string,
  expectation: Expectation,
  identities: readonly Identity[],
  options: WriteOptions,
): Promise<Resealed> {
  const opened = await open(document, expectation, { identities, file: options.file });
  const before = secretText(opened.opened);
  const plain = readManifestShape(parseYaml(before, { file: options.file }));
  const entry = plain.entries.find((candidate) => candidate.key === key);
  const parent = entry === undefined ? undefined : plain.source.root.get(entry.map);
  const pair = isMap(parent) ? pairNamed(parent as YAMLMap, key) : undefined;
  if (entry === undefined || pair === undefined)
    throw new SealwardError(
      "path-missing",
      `The file has no key ${quoteName(key)}; it has ${plain.entries.map((other) => quoteName(other.key)).join(", ")}`,
      { file: options.file },
    );
  const text = applyEdits(before, [removePair(plain.source, parent as YAMLMap, pair)]);
  if (!removesOnly(plain, text, key))
    throw plain.source.refusal(
      "shape-invalid",
      `The key ${key} cannot be removed without changing what stands around it`,
    );
  return resealOpened(document, text, { opened, expectation, options });
}

/** True where the text is the manifest without this one value, and with every comment that does not stand on its line. */
function removesOnly(before: Manifest, text: string, key: string): boolean {
  try {
    const after = readManifestShape(parseYaml(text));
    const kept = before.entries.filter((entry) => entry.key !== key);
    return (
      after.entries.length === kept.length &&
      after.entries.every((entry, at) => entry.key === kept[at]?.key && entry.value === kept[at]?.value) &&
      commentsOf(text).length >= commentsOf(before.source.text).length - 1
    );
  } catch (error) {
    if (error instanceof SealwardError) return false;
    throw error;
  }
}
