// Opens one version of a sealed file to look at its values: through the gate where a seal.yaml governs the path, elsewhere as
// sops would, with a note. Shows nothing itself.
import { type SealedView, type SopsSource, type StoreName, storeOf, viewSealed, viewSops } from "../src/index.ts";
import { decodeText, documentOf } from "./document.ts";
import { findExpectation, findGoverning, isGoverned } from "./environment.ts";
import { withIdentities } from "./identities.ts";
import type { Io } from "./io.ts";
import { isManifest } from "./kinds.ts";
import { printNote } from "./report.ts";

export interface Version {
  /** As messages show it. */
  readonly name: string;
  /** Where it lies, which decides where it belongs; null for stdin. */
  readonly path: string | null;
  readonly bytes: Uint8Array;
}

export interface ViewOptions {
  readonly env?: string;
  readonly identity?: readonly string[];
}

/** @throws what opening throws */
export async function openView(io: Io, version: Version, options: ViewOptions): Promise<SealedView> {
  const { name, path, bytes } = version;
  if (isManifest(bytes)) {
    const document = documentOf(decodeText(bytes, name), name, path);
    const found = await findExpectation(io, document, options);
    if (found !== null)
      return withIdentities(io, { ...options, ...found }, (identities) =>
        viewSealed(document.content, found.expectation, identities, name),
      );
  }
  const governed = (await isGoverned(io, version, options))
    ? await findGoverning(io, version, { sealed: true }, options)
    : null;
  if (governed === null)
    await io.once(`ungoverned ${name}`, () =>
      printNote(io, `${name}: no environment was confirmed, for no seal.yaml governs it`),
    );
  return withIdentities(io, { ...options, ...governed }, (identities) =>
    viewSops(sealedSource(version), governed?.environment ?? null, identities),
  );
}

/** The sealed document itself, also of a BoundSecret file. What has no name is YAML. */
export function sealedSource({ name, path, bytes }: Version): SopsSource {
  const store: StoreName = path === null ? "yaml" : storeOf(name);
  const content = isManifest(bytes) ? Buffer.from(documentOf(decodeText(bytes, name), name, path).content) : bytes;
  return { bytes: content, store, file: name };
}
