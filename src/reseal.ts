// Seals an edited text of a sealed file again. Everything goes through the gate first, keeps the data key, and keeps the text
// of whatever did not change, so that a diff shows the change and nothing else.
import type { Identity } from "./data-key.ts";
import { quoteName, SealwardError } from "./errors.ts";
import { type Expectation, type Opened, open } from "./gate.ts";
import { type Manifest, readManifestShape } from "./manifest.ts";
import { prepare } from "./prepare.ts";
import { withEncodedData, withReadableData } from "./readable-data.ts";
import type { Notice } from "./recipients.ts";
import { type EncryptOptions, encryptManifest } from "./seal.ts";
import { secretText, withoutBinding } from "./secret-text.ts";
import { clearFile } from "./sops-file.ts";
import type { Previous } from "./sops-seal.ts";
import { spellingKey } from "./spelling.ts";
import type { Metadata } from "./store.ts";
import { isScalar, parseYaml } from "./yaml-source.ts";

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
  const opened = await open(document, expectation, { identities, file: options.file });
  return resealOpened(document, plainText, { opened, expectation, options });
}

/** An opened Secret, and what seals its edited text with the key in hand: nobody is asked for it again. */
export interface EditableSecret {
  /** As the manifest, but that under `data` text stands as text, and other bytes as base64 with the tag `!!binary`. */
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
  const before = secretText(opened.opened);
  const plainText = withReadableData(before);
  return {
    plainText,
    notices: opened.notices,
    reseal: (edited, now) => {
      const encoded = withEncodedData(edited, before, file);
      const { text, lineOf } = encoded ?? { text: edited, lineOf: (line: number) => line };
      try {
        return resealOpened(document, text, { opened, expectation, options: { now, file } });
      } catch (problem) {
        if (!(problem instanceof SealwardError) || problem.line === undefined) throw problem;
        const { code, message, column } = problem;
        throw new SealwardError(code, message, { file: problem.file, line: lineOf(problem.line), column });
      }
    },
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
