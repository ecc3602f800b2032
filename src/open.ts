// What a front end gets from an opened, checked or merely read file: plain objects without keys. The deciding is done in
// gate.ts; the Secret's values become bytes here.
import { documentDigest, fromBase64 } from "./bytes.ts";
import type { Identity } from "./data-key.ts";
import { SealwardError } from "./errors.ts";
import { check, type Expectation, type Opened, open, type SealedInfo, secretMetadata } from "./gate.ts";
import {
  assertSecret,
  bindingAnnotation,
  environmentAnnotation,
  type Field,
  type Manifest,
  readManifestShape,
  type Scope,
  scopeAnnotation,
  scopes,
} from "./manifest.ts";
import { openConfirmed } from "./own-binding.ts";
import { assertBlockStyle, withoutServerFields } from "./prepare.ts";
import { expiredIn, type Notice } from "./recipients.ts";
import { secretText } from "./secret-text.ts";
import type { RecipientEntry } from "./sops-metadata.ts";
import { isMap, maxSopsFileBytes, parseYaml, parseYamlStream } from "./yaml-source.ts";
import { loadYaml } from "./yaml-store.ts";

/** A Secret that passed the whole gate. Holds plaintext: keep it in memory, and no longer than needed. */
export interface OpenedSecret {
  readonly info: SealedInfo;
  readonly notices: readonly Notice[];
  readonly name: string;
  readonly namespace: string | undefined;
  readonly type: string;
  readonly immutable: boolean | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Without the binding. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Values of `data` (decoded) and `stringData`, as bytes. */
  readonly data: ReadonlyMap<string, Uint8Array>;
  /** The manifest in the clear, layout kept, without `sops` block and binding. */
  readonly plainText: string;
  /** `sha256:<hex>` of the document as given. */
  readonly documentDigest: string;
  /** What the file says of when it was last sealed, as its MAC confirms. */
  readonly lastModified: string;
  /** The recipients whose identities opened it. */
  readonly openedBy: readonly string[];
  /** By ARN, the material of the KMS key that had wrapped the data key, where KMS says it. */
  readonly keyMaterialIds: ReadonlyMap<string, string>;
}

/** The keyless steps of the gate, 1 to 5 (docs/architecture.md). Throws the first refusal. With a time also whose time is over. */
export function checkSealed(
  document: string,
  expectation: Expectation,
  file?: string,
  now?: Date,
): { readonly info: SealedInfo; readonly notices: readonly Notice[] } {
  const { info, notices, metadata } = check(document, expectation, file);
  const expired = now === undefined ? [] : expiredIn(metadata, expectation.environment, now);
  return { info, notices: [...notices, ...expired] };
}

/** The whole gate. Throws the first refusal, and decrypts nothing after it. */
export async function openSealed(
  document: string,
  expectation: Expectation,
  identities: readonly Identity[],
  file?: string,
): Promise<OpenedSecret> {
  const opened = await open(document, expectation, { identities, file });
  const { manifest, info, notices } = opened;
  return {
    info,
    notices,
    name: manifest.name,
    namespace: manifest.namespace,
    type: manifest.type,
    immutable: manifest.immutable,
    labels: recordOf(manifest.labels),
    annotations: recordOf(manifest.annotations),
    data: dataOf(opened),
    // Made only where it is asked for: the controller never needs the values as one more string.
    get plainText() {
      return secretText(opened.opened);
    },
    documentDigest: documentDigest(document),
    lastModified: opened.metadata.lastModified,
    openedBy: opened.unwrapped.openedBy,
    keyMaterialIds: opened.unwrapped.keyMaterialIds,
  };
}

function recordOf(fields: ReadonlyMap<string, Field>): Record<string, string> {
  return Object.fromEntries(
    [...fields].filter(([key]) => key !== bindingAnnotation).map(([key, { value }]) => [key, value]),
  );
}

function dataOf({ manifest, opened }: Opened): Map<string, Uint8Array> {
  const data = new Map<string, Uint8Array>();
  for (const { entry, bytes } of opened.leaves) {
    const [map, key] = entry.path;
    if (entry.path.length !== 2 || key === undefined || (map !== "data" && map !== "stringData")) continue;
    const value = map === "stringData" ? bytes : fromBase64(Buffer.from(bytes).toString("latin1"));
    if (value === null)
      throw manifest.source.refusal("shape-invalid", `data.${key} does not hold base64`, entry.item.offset);
    data.set(key, value);
  }
  return data;
}

/** What a Secret manifest says about itself: claims, not proofs. */
export interface SecretManifest {
  readonly sealed: boolean;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly type: string;
  readonly environment: string | undefined;
  readonly scope: Scope | undefined;
  readonly recipients: readonly RecipientEntry[];
  readonly dataKeys: readonly string[];
  readonly stringDataKeys: readonly string[];
}

/** Reads a Secret of the closed shape, or a plain one that sealing would bring into it. @throws not-yaml and its kin, not-a-secret, shape-invalid */
export function readManifest(text: string, file?: string): SecretManifest {
  const parsed = parseYaml(text, { file });
  const isPlain = !parsed.root.has("sops");
  if (isPlain) {
    assertSecret(parsed);
    assertBlockStyle(parsed);
  }
  const source = isPlain ? withoutServerFields(parsed).bare : parsed;
  const manifest = readManifestShape(source);
  const keysOf = (map: "data" | "stringData") =>
    manifest.entries.filter((entry) => entry.map === map).map(({ key }) => key);
  const { sealed, name, namespace, type } = manifest;
  return {
    sealed,
    name,
    namespace,
    type,
    environment: claim(manifest, environmentAnnotation),
    scope: scopes.find((scope) => scope === claim(manifest, scopeAnnotation)),
    recipients: sealed ? secretMetadata(source).recipients : [],
    dataKeys: keysOf("data"),
    stringDataKeys: keysOf("stringData"),
  };
}

function claim(manifest: Manifest, annotation: string): string | undefined {
  return manifest.annotations.get(annotation)?.value;
}

/**
 * Opens a SOPS YAML file that no seal.yaml governs: whatever the identities open, MAC verified. `bound` says whether the
 * file has a binding; it then agrees with the file's own fields, but no environment was confirmed.
 */
export async function decryptSops(
  document: string,
  identities: readonly Identity[],
  file?: string,
): Promise<{ readonly text: string; readonly bound: boolean }> {
  const { opened, bound } = await openConfirmed(loadYaml(document, { file }), { identities });
  return { text: secretText(opened), bound };
}

/** True where the text is a YAML file whose (first) document has a `sops` map. Never throws. */
export function isSealed(text: string): boolean {
  if (!text.includes("sops")) return false;
  try {
    const [source] = parseYamlStream(text, { maxBytes: maxSopsFileBytes });
    return isMap(source?.root.get("sops"));
  } catch (error) {
    if (error instanceof SealwardError) return false;
    throw error;
  }
}
