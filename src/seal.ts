// Seals a plain Secret manifest for one environment: normalises what servers added, states the claims, puts the binding in,
// and has everything that it and the values say encrypted in place (sops-seal.ts).
import type { KeyObject } from "node:crypto";
import type { YAMLMap } from "yaml";
import { type Binding, bindingOf, bindingPath, encodeBinding, type Place } from "./binding.ts";
import { newDataKey } from "./data-key.ts";
import { type SealedInfo, sealedRule, sealedSelection } from "./gate.ts";
import { contextOf } from "./kms.ts";
import { bindingAnnotation, type Manifest, readManifestShape, scopeAnnotation } from "./manifest.ts";
import { type Prepared, prepare, type SealOptions } from "./prepare.ts";
import { recipientsOf } from "./recipients.ts";
import { newMetadata } from "./sops-metadata.ts";
import { type EncryptFileOptions, encryptFile, type Previous } from "./sops-seal.ts";
import { aadOfPath } from "./sops-value.ts";
import { applyEdits, insertPairs, quoted } from "./splice.ts";
import { isMap, pairNamed } from "./yaml-source.ts";
import { loadYaml } from "./yaml-store.ts";

export interface Sealed {
  readonly text: string;
  readonly info: SealedInfo;
  /** What was removed or added beyond encrypting, for people. */
  readonly notices: readonly string[];
}

/**
 * A sealed file from a plain manifest, under a fresh data key.
 * @throws not-yaml and its kin, not-a-secret, shape-invalid, secret-type-forbidden, already-sealed, clear-leak,
 *   namespace-missing, environment-mismatch, scope-not-allowed, target-mismatch; key-unreachable, key-refused and
 *   credentials-missing where one of several keys does not wrap
 */
export async function sealManifest(text: string, options: SealOptions): Promise<Sealed> {
  const prepared = prepare(text, options);
  const { manifest, place } = prepared;
  const sealed = await encryptUnderNewKey(prepared, options);
  const { environment, scope, namespace, name } = place;
  return {
    text: sealed,
    info: { environment, scope, namespace, name, type: manifest.type },
    notices: prepared.notices,
  };
}

/** The sealed text of a prepared manifest under a fresh data key, wrapped for every recipient of the environment. */
export async function encryptUnderNewKey(
  { manifest, place }: Prepared,
  { environment, now, kms }: SealOptions,
): Promise<string> {
  const { key, groups } = await newDataKey({ groups: [recipientsOf(environment, contextOf(place))] }, { kms, now });
  return encryptManifest(manifest, {
    place,
    key,
    now,
    metadata: (lastModified, mac) =>
      newMetadata({ groups, rule: sealedRule, lastModified, keyMade: lastModified, mac }),
  });
}

/** What a re-sealing keeps of the previous file: the text of whatever did not change. */
export interface PreviousSecret extends Previous {
  readonly binding: Binding | null;
}

export interface EncryptOptions {
  readonly place: Place;
  readonly key: KeyObject;
  /** The SOPS block for a time and a MAC. */
  readonly metadata: EncryptFileOptions["metadata"];
  readonly now: Date;
  readonly previous?: PreviousSecret | undefined;
  /** True: the text of the previous file's block is kept where it says the same. */
  readonly keepsBlock?: boolean | undefined;
}

/** Encrypts a prepared manifest in place and proves the result. */
export function encryptManifest(manifest: Manifest, options: EncryptOptions): string {
  const { source } = manifest;
  const { key, now, metadata, previous } = options;
  const { text, file } = encryptFile(loadYaml(withBinding(manifest, options), { file: source.file }), {
    key,
    now,
    metadata,
    selection: sealedSelection,
    rule: sealedRule,
    onlyEncrypted: false,
    previous,
    metadataFrom: options.keepsBlock === true ? previous?.opened.file : undefined,
    unquoted: bindingAad,
  });
  assertShape(manifest, readManifestShape(file.sources[0] ?? source));
  return text;
}

const bindingAad = aadOfPath(bindingPath);

/** The manifest with its binding in the clear. */
function withBinding(manifest: Manifest, { place, previous }: EncryptOptions): string {
  const { source, metadata } = manifest;
  const annotations = metadata.get("annotations");
  if (!isMap(annotations)) throw source.refusal("shape-invalid", "annotations must be a map", metadata);
  const pair = {
    key: bindingAnnotation,
    text: quoted(Buffer.from(bindingBytes(manifest, place, previous)).toString()),
  };
  const after = pairNamed(annotations as YAMLMap, scopeAnnotation);
  return applyEdits(source.text, [insertPairs(source, annotations as YAMLMap, [pair], after)]);
}

/** A nonce never serves two statements: it is kept only while the binding says the same. */
function bindingBytes(manifest: Manifest, place: Place, previous: PreviousSecret | undefined): Uint8Array {
  const before = previous?.binding ?? null;
  const kept = before === null ? null : encodeBinding(bindingOf(manifest, place, before.nonce));
  const isSame = before !== null && kept !== null && Buffer.from(kept).equals(encodeBinding(before));
  return isSame ? kept : encodeBinding(bindingOf(manifest, place));
}

/** What was sealed is the Secret that was given: the values were compared already, its names and shape are here. */
function assertShape(manifest: Manifest, sealed: Manifest): void {
  const same =
    sealed.entries.length === manifest.entries.length &&
    sealed.entries.every(({ map, key }, index) => {
      const given = manifest.entries[index];
      return given?.map === map && given.key === key;
    });
  if (!same || sealed.name !== manifest.name || sealed.namespace !== manifest.namespace)
    throw new TypeError("the sealed text is not the manifest that was given");
}
