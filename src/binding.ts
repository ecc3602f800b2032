// The binding: the sealed statement of where a file may be opened. One encrypted leaf at
// metadata.annotations["sealward.dev/binding"], decrypted and compared before any other value.
import { randomBytes } from "node:crypto";
import { canonicalJson, decodeUtf8, encodeUtf8 } from "./bytes.ts";
import { quoteName } from "./errors.ts";
import { bindingAnnotation, type Manifest, plainDigest, type Scope, scopes } from "./manifest.ts";

/** The binding's key path; its additional data, so that the leaf is worth nothing in another place. */
export const bindingPath: readonly string[] = ["metadata", "annotations", bindingAnnotation];

/** What a sealed file is bound to. Fields that the scope does not pin are undefined. */
export interface Binding {
  readonly environment: string;
  readonly scope: Scope;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly type: string;
  /** SHA-256 (hex) of everything that stays in the clear and reaches the Secret. */
  readonly plain: string;
  /** 128 random bits: keeps the leaf's plaintext unguessable, so that nobody can put it in the clear under the same MAC. */
  readonly nonce: string;
}

/** Where a file is about to be opened. */
export interface Place {
  readonly environment: string;
  readonly scope: Scope;
  readonly namespace: string | undefined;
  readonly name: string;
}

/** The binding of a manifest for a place; `nonce` is kept when nothing else changes, so that the leaf stays the same. */
export function bindingOf(
  manifest: Manifest,
  place: Place,
  nonce: string = randomBytes(16).toString("base64"),
): Binding {
  return {
    environment: place.environment,
    scope: place.scope,
    namespace: place.scope === "environment" ? undefined : place.namespace,
    name: place.scope === "strict" ? place.name : undefined,
    type: manifest.type,
    plain: plainDigest(manifest),
    nonce,
  };
}

/** Compact JSON with sorted keys; fields that the scope does not pin are left out. */
export function encodeBinding(binding: Binding): Uint8Array {
  const { environment, scope, namespace, name, type, plain, nonce } = binding;
  return encodeUtf8(
    canonicalJson({
      environment,
      nonce,
      plain,
      scope,
      type,
      v: 1,
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { name }),
    }),
  );
}

/** The binding, or null where the bytes are not exactly what {@link encodeBinding} writes. */
export function parseBinding(bytes: Uint8Array): Binding | null {
  const text = decodeUtf8(bytes);
  if (text === null) return null;
  let fields: Record<string, unknown>;
  try {
    fields = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return null;
  }
  const textAt = (key: string) => (typeof fields[key] === "string" ? fields[key] : undefined);
  const scope = scopes.find((known) => known === fields["scope"]);
  const [environment, type, plain, nonce] = ["environment", "type", "plain", "nonce"].map(textAt);
  if (
    scope === undefined ||
    environment === undefined ||
    type === undefined ||
    plain === undefined ||
    nonce === undefined
  )
    return null;
  const binding: Binding = {
    environment,
    scope,
    namespace: textAt("namespace"),
    name: textAt("name"),
    type,
    plain,
    nonce,
  };
  // One text for one binding: unknown fields, another version or order do not encode back to the same bytes.
  return decodeUtf8(encodeBinding(binding)) === text ? binding : null;
}

/**
 * The first difference between what the file is bound to and where it is about to be opened, both sides named; null
 * where they agree.
 */
export function bindingDifference(binding: Binding, expected: Binding): string | null {
  const sides: readonly (readonly [keyof Binding, string])[] = [
    ["environment", "environment"],
    ["scope", "scope"],
    ["namespace", "namespace"],
    ["name", "name"],
    ["type", "type"],
  ];
  for (const [field, what] of sides) {
    if (binding[field] !== expected[field]) {
      return `bound to ${what} ${quoteName(binding[field])}, but this is ${what} ${quoteName(expected[field])}`;
    }
  }
  if (binding.plain !== expected.plain) {
    return "the labels, annotations, immutable flag or key names in the clear are not the ones that were bound";
  }
  return null;
}
