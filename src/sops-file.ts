// Opens any SOPS YAML file that age identities open, environments aside: for files that no seal.yaml governs, and for
// binding files that other tools wrote. The MAC is always verified, and a binding, where there is one, must hold.
import type { KeyObject } from "node:crypto";
import type { YAMLMap } from "yaml";
import { unwrapDataKey } from "./age.ts";
import type { AgeIdentity } from "./age-keys.ts";
import { type Binding, bindingDifference, bindingOf } from "./binding.ts";
import { type ClearComment, clearCommentEdits, clearLeafEdits, locateComments, openComments } from "./clear-text.ts";
import { SealwardError } from "./errors.ts";
import { noIdentity, openBinding, takeKey } from "./gate.ts";
import { bindingAnnotation, environmentAnnotation, readManifestShape } from "./manifest.ts";
import { compileSelection, readSopsMetadata, type SopsMetadata } from "./sops-metadata.ts";
import { assertMac, type ClearLeaf, clearValue, leavesOf, macOf, notAuthentic, openLeaves } from "./sops-tree.ts";
import { dataKeyLength } from "./sops-value.ts";
import { applyEdits, type Edit, rangeOf, removePair } from "./splice.ts";
import { commentsOf, isMap, maxSopsFileBytes, pairNamed, parseYaml, type YamlSource } from "./yaml-source.ts";

export interface OpenedSops {
  readonly source: YamlSource;
  readonly metadata: SopsMetadata;
  readonly leaves: readonly ClearLeaf[];
  readonly comments: readonly ClearComment[];
  readonly dataKey: KeyObject;
  /** The recipient of the identity that opened the file. */
  readonly openedBy: string;
  readonly binding: Binding | null;
  readonly plainText: string;
}

export interface OpenSopsOptions {
  readonly identities: readonly AgeIdentity[];
  readonly file?: string | undefined;
  /** Whether the binding must also agree with the file's own fields; `seal bind` renews one that does not. */
  readonly checkBinding: boolean;
  /** Try an identity on the entries that name it, and on no other: a label is not authenticated. Default: try them all. */
  readonly namedOnly?: boolean;
}

/** @throws not-yaml and its kin, not-sealed, sops-metadata-invalid, sops-unsupported, identity-missing, identity-unmatched, not-authentic, binding-mismatch */
export async function openSops(
  document: string,
  { identities, file, checkBinding, namedOnly = false }: OpenSopsOptions,
): Promise<OpenedSops> {
  const source = parseYaml(document, { file, maxBytes: maxSopsFileBytes });
  const metadata = readSopsMetadata(source);
  const selected = await compileSelection(source, metadata.rule);
  const { dataKey, openedBy } = unwrapAny(metadata, { identities, source, namedOnly });
  const binding = hasBinding(source) ? openOwnBinding(source, dataKey, checkBinding) : null;
  const leaves = openLeaves(source, leavesOf(source), { key: dataKey, selected });
  const mac = macOf(leaves, { onlyEncrypted: metadata.onlyEncrypted, selected });
  assertMac(metadata.mac, mac, { key: dataKey, lastModified: metadata.lastModified, file });
  const comments = openComments(locateComments(source), dataKey);
  return {
    source,
    metadata,
    leaves,
    comments,
    dataKey,
    openedBy,
    binding,
    plainText: plainTextOf(source, leaves, comments),
  };
}

/** The entry's own identity first; then, as SOPS does, whatever opens it. */
function unwrapAny(
  { age, hasKeyGroups }: SopsMetadata,
  {
    identities,
    source,
    namedOnly,
  }: { readonly identities: readonly AgeIdentity[]; readonly source: YamlSource; readonly namedOnly: boolean },
): { readonly dataKey: KeyObject; readonly openedBy: string } {
  if (age.length === 0) {
    const what = hasKeyGroups ? "uses key groups" : "has no age recipient";
    throw source.refusal("sops-unsupported", `The file ${what}; only age recipients are supported yet`);
  }
  const named = (a: AgeIdentity, recipient: string) => (a.recipient === recipient ? 0 : 1);
  let matched = false;
  for (const { recipient, enc } of age) {
    for (const identity of [...identities].sort((a, b) => named(a, recipient) - named(b, recipient))) {
      if (namedOnly && identity.recipient !== recipient) continue;
      matched ||= identity.recipient === recipient;
      const dataKey = unwrapDataKey(enc, identity);
      if (dataKey?.length === dataKeyLength) return { dataKey: takeKey(dataKey), openedBy: identity.recipient };
    }
  }
  throw matched ? notAuthentic(source.file) : noIdentity(identities.length, { age, file: source.file });
}

function hasBinding(source: YamlSource): boolean {
  const metadata = source.root.get("metadata");
  const annotations = isMap(metadata) ? metadata.get("annotations") : undefined;
  return isMap(annotations) && annotations.has(bindingAnnotation);
}

function openOwnBinding(source: YamlSource, dataKey: KeyObject, mustAgree: boolean): Binding {
  const manifest = readManifestShape(source);
  const binding = openBinding(manifest, dataKey);
  if (!mustAgree) return binding;
  const environment = manifest.annotations.get(environmentAnnotation)?.value ?? "";
  const own = { environment, scope: binding.scope, namespace: manifest.namespace, name: manifest.name };
  const difference = bindingDifference(binding, bindingOf(manifest, own, binding.nonce));
  if (difference !== null) throw source.refusal("binding-mismatch", `The file is not as it was bound: ${difference}`);
  return binding;
}

/**
 * The manifest in the clear: layout kept, without the `sops` block and the binding. The text is read again and compared
 * with what was opened: a comment or a blank in the wrong place must not become part of a value.
 */
export function plainTextOf(
  source: YamlSource,
  leaves: readonly ClearLeaf[],
  comments: readonly ClearComment[],
): string {
  const isBinding = ({ leaf }: ClearLeaf) => leaf.path.length === 3 && leaf.path[2] === bindingAnnotation;
  const shown = leaves.filter((leaf) => !isBinding(leaf));
  for (const plain of [false, true]) {
    const edits = [...clearLeafEdits(source, shown, plain), ...removals(source)];
    const text = applyEdits(source.text, [...edits, ...outside(clearCommentEdits(comments), edits)]);
    const expected = outside(allComments(source), edits).length + shown.filter(({ type }) => type === "comment").length;
    if (holds(text, shown, expected)) return text;
  }
  throw source.refusal(
    "shape-invalid",
    "The file cannot be put in the clear in its own layout without changing a value",
  );
}

function allComments(source: YamlSource): Edit[] {
  return commentsOf(source.text).map(({ offset, text }) => ({ start: offset, end: offset, text }));
}

/** True where the text has exactly these values, and as many comments. */
function holds(text: string, leaves: readonly ClearLeaf[], comments: number): boolean {
  const values = leaves.filter(({ type }) => type !== "comment");
  try {
    const source = parseYaml(text, { maxBytes: Number.MAX_SAFE_INTEGER });
    const found = leavesOf(source);
    if (found.length !== values.length || commentsOf(text).length !== comments) return false;
    return values.every(({ leaf, type, bytes }, index) => {
      const other = found[index];
      if (other === undefined || JSON.stringify(other.path) !== JSON.stringify(leaf.path)) return false;
      // A number is written as SOPS writes it, which may be another spelling of the same.
      if (type !== "str") return true;
      const value = clearValue(source, other);
      return value.type === "str" && Buffer.from(value.bytes).equals(bytes);
    });
  } catch (error) {
    if (error instanceof SealwardError) return false;
    throw error;
  }
}

/** A comment within what is replaced or removed goes with it. */
function outside(comments: readonly Edit[], edits: readonly Edit[]): Edit[] {
  const ordered = [...edits].sort((a, b) => a.start - b.start);
  let next = 0;
  return comments.filter(({ start }) => {
    while ((ordered[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next += 1;
    return (ordered[next]?.start ?? Number.POSITIVE_INFINITY) > start;
  });
}

function removals(source: YamlSource): Edit[] {
  const edits: Edit[] = [];
  const metadata = source.root.get("metadata");
  const annotations = isMap(metadata) ? metadata.get("annotations") : undefined;
  const binding = isMap(annotations) ? pairNamed(annotations as YAMLMap, bindingAnnotation) : undefined;
  if (binding !== undefined) edits.push(removePair(source, annotations as YAMLMap, binding));
  const sops = pairNamed(source.root, "sops");
  if (sops !== undefined) {
    const edit = removePair(source, source.root, sops);
    const last = source.root.items.at(-1) === sops;
    edits.push({ ...edit, end: last && source.root.flow !== true ? source.text.length : edit.end });
  }
  return edits;
}

/** The text of the `sops` block, from its line on, with the places of what every write changes. */
export function sopsBlockText(source: YamlSource): { readonly text: string; readonly start: number } {
  const sops = pairNamed(source.root, "sops");
  const start =
    sops === undefined ? source.text.length : source.text.lastIndexOf("\n", rangeOf(sops.key as never)[0] - 1) + 1;
  return { text: source.text.slice(start), start };
}
