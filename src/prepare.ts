// Brings a plain manifest into the form that is sealed: strips what servers set, settles scope and namespace, and writes
// the claims into the text. Decides nothing about keys and encrypts nothing.
import type { Node, Pair, YAMLMap } from "yaml";
import type { Place } from "./binding.ts";
import { assertNoLeak } from "./clear-leak.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { quoteName } from "./errors.ts";
import type { Kms } from "./kms.ts";
import {
  assertSecret,
  bindingAnnotation,
  environmentAnnotation,
  type Manifest,
  readManifestShape,
  type Scope,
  scopeAnnotation,
  serverSetPairs,
} from "./manifest.ts";
import { assertNoneExpired } from "./recipients.ts";
import { looksEncrypted } from "./sops-value.ts";
import {
  applyEdits,
  type Edit,
  fillMap,
  formatText,
  insertPairs,
  isBlockMap,
  isEmptyMap,
  type NewPair,
  rangeOf,
  removePair,
  replaceScalar,
} from "./splice.ts";
import { isMap, isScalar, maxDocumentBytes, pairNamed, parseYaml, type YamlSource } from "./yaml-source.ts";

export interface SealOptions {
  readonly environment: EnvironmentPolicy;
  /** Default: what the manifest claims, else the environment's default. */
  readonly scope?: Scope | undefined;
  /** Used where the manifest has none, and written into the file. Must not contradict the manifest. */
  readonly namespace?: string | undefined;
  /** Needed where the environment lists a KMS key. */
  readonly kms?: Kms | undefined;
  readonly now: Date;
  readonly file?: string | undefined;
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
  assertNoneExpired(environment, options.now, file);
  const source = parseYaml(text, { file });
  assertSecret(source);
  if (source.root.has("sops"))
    throw source.refusal(
      "already-sealed",
      "The file is sealed already; a sealed file is never sealed twice",
      source.root,
    );
  assertBlockStyle(source);
  const { bare, removed } = withoutServerFields(source);
  const notices = removed.map((name) => `removed ${name}, which servers set`);
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

/** A plain block-style manifest without what servers and kubectl added to it. */
export function withoutServerFields(source: YamlSource): { readonly bare: YamlSource; readonly removed: string[] } {
  const pairs = serverSetPairs(source);
  const edits = pairs.map(({ map, pair }) => removePair(source, map, pair));
  return { bare: reparse(source, edits), removed: pairs.map(({ name }) => name) };
}

function reparse(source: YamlSource, edits: readonly Edit[]): YamlSource {
  return edits.length === 0 ? source : parseYaml(applyEdits(source.text, edits), { file: source.file });
}

export function assertBlockStyle(source: YamlSource): void {
  if (source.root.flow === true)
    throw source.refusal(
      "shape-invalid",
      "The manifest is JSON or a flow map; write it as block YAML (kubectl: -o yaml)",
      source.root,
    );
  if (source.columnOf(rangeOf(source.root)[0]) > 0)
    throw source.refusal("shape-invalid", "The manifest must start in the first column of its line", source.root);
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
  const binding = annotations.get(bindingAnnotation);
  if (binding !== undefined) {
    const message = `The manifest has the annotation ${bindingAnnotation}: it was opened by another tool, or sealed; remove that line`;
    throw source.refusal("already-sealed", message, binding.node);
  }
  const sealed = entries.find(({ value }) => looksEncrypted(value));
  if (sealed !== undefined)
    throw source.refusal(
      "already-sealed",
      "The manifest holds an encrypted value; a sealed file is never sealed twice",
      sealed.node,
    );
}

function placeOf(manifest: Manifest, { environment, scope: wanted, namespace: given }: SealOptions): Place {
  const { source, metadata, annotations } = manifest;
  const claimedEnvironment = annotations.get(environmentAnnotation);
  if (claimedEnvironment !== undefined && claimedEnvironment.value !== environment.name) {
    throw source.refusal(
      "environment-mismatch",
      `The manifest names the environment ${quoteName(claimedEnvironment.value)}, it is being sealed for ${quoteName(environment.name)}`,
      claimedEnvironment.node,
    );
  }
  const claimedScope = annotations.get(scopeAnnotation);
  const scope = wanted ?? (claimedScope === undefined ? environment.defaultScope : (claimedScope.value as Scope));
  if (claimedScope !== undefined && claimedScope.value !== scope) {
    throw source.refusal(
      "target-mismatch",
      `The manifest has scope ${quoteName(claimedScope.value)}, ${quoteName(scope)} was asked for`,
      claimedScope.node,
    );
  }
  if (!environment.scopes.includes(scope)) {
    throw source.refusal(
      "scope-not-allowed",
      `Scope ${quoteName(scope)} was asked for, ${environment.name} allows ${environment.scopes.join(", ")}`,
      claimedScope?.node ?? metadata,
    );
  }
  if (manifest.namespace !== undefined && given !== undefined && manifest.namespace !== given) {
    throw source.refusal(
      "target-mismatch",
      `The manifest has the namespace ${quoteName(manifest.namespace)}, ${quoteName(given)} was asked for`,
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
        pairNamed(metadata, "name"),
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
  const own = pairNamed(metadata, "annotations");
  const inner = metadata.flow === true ? 0 : source.columnOf(rangeOf((metadata.items[0] as Pair).key as Node)[0]);
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
  if (isScalar(own.value)) return replaceScalar(source, own.value, flowMap(pairs));
  throw source.refusal("shape-invalid", "annotations must be a map", metadata);
}

function flowMap(pairs: readonly NewPair[]): string {
  return `{${pairs.map(({ key, text }) => `${JSON.stringify(key)}: ${text}`).join(", ")}}`;
}
