// What is different between two versions of a sealed file, by the names of its values: opened, or by their ENC texts alone.
// Says nothing about how differences are shown.
import { bindingPath } from "./binding.ts";
import { bufferOf } from "./bytes.ts";
import type { Identity } from "./data-key.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { type Expectation, open } from "./gate.ts";
import { openConfirmed } from "./own-binding.ts";
import { openGoverned } from "./plain-gate.ts";
import { secretText } from "./secret-text.ts";
import type { SopsSource } from "./sops-document.ts";
import { clearBytes, clearFile, metadataOf, type Opened } from "./sops-file.ts";
import type { RecipientEntry, SopsMetadata } from "./sops-metadata.ts";
import { looksEncrypted } from "./sops-value.ts";
import type { MapValue, StoreFile } from "./store.ts";
import { storeNamed } from "./stores.ts";
import { clearBytesOf, commentsIn, nameOf, unitKey, unitsOf } from "./units.ts";
import { loadYaml } from "./yaml-store.ts";

export interface ViewedValue {
  /** False for what stands in the clear in the file. */
  readonly isSecret: boolean;
  /** What a program would get; of a closed file, the ENC text. */
  readonly bytes: Uint8Array;
}

/** One version of a file. */
export interface SealedView {
  /** By name, in the order of the file. */
  readonly values: ReadonlyMap<string, ViewedValue>;
  readonly comments: readonly string[];
  readonly recipients: readonly RecipientEntry[];
  /** False: nothing was opened, and an ENC text that differs may hold the same value. */
  readonly isOpened: boolean;
}

/** A Secret, through the whole gate. @throws its refusals */
export async function viewSealed(
  document: string,
  expectation: Expectation,
  identities: readonly Identity[],
  file?: string,
): Promise<SealedView> {
  const { opened, metadata } = await open(document, expectation, { identities, file });
  const { documents } = loadYaml(secretText(opened), { file });
  return viewOf(documents, { metadata, opened, isSecret: true });
}

/** Another SOPS file, through the gate for such files; as sops opens it where no environment governs. @throws what opening throws */
export async function viewSops(
  source: SopsSource,
  environment: EnvironmentPolicy | null,
  identities: readonly Identity[],
): Promise<SealedView> {
  const file = storeNamed(source.store).load(source.bytes, { file: source.file });
  const { opened } =
    environment === null
      ? await openConfirmed(file, { identities })
      : await openGoverned(source, environment, identities);
  const { metadata } = opened;
  if (source.store === "binary") {
    const values = new Map([["content", { isSecret: true, bytes: clearBytes(opened) }]]);
    return { values, comments: [], recipients: metadata.recipients, isOpened: true };
  }
  return viewOf(clearFile(opened).documents, { metadata, opened, isSecret: isSecretFile(file) });
}

/** Any sealed file, as it stands. Needs no key. @throws not-sealed, sops-metadata-invalid and what reading throws */
export function viewClosed(source: SopsSource): SealedView {
  const file = storeNamed(source.store).load(source.bytes, { file: source.file });
  return viewOf(file.documents, { metadata: metadataOf(file), opened: null, isSecret: isSecretFile(file) });
}

function isSecretFile(file: StoreFile): boolean {
  const top = unitsOf(file.documents.slice(0, 1));
  return ["kind", "apiVersion"].every(
    (name, at) => top.get(unitKey([name]))?.content === `str ${["Secret", "v1"][at]}`,
  );
}

function viewOf(
  documents: readonly MapValue[],
  {
    metadata,
    opened,
    isSecret,
  }: { readonly metadata: SopsMetadata; readonly opened: Opened | null; readonly isSecret: boolean },
): SealedView {
  const sealed = new Set<string>();
  for (const { entry, enc } of opened?.leaves ?? [])
    if (enc !== null)
      for (let depth = entry.path.length; depth > 0; depth--) sealed.add(unitKey(entry.path.slice(0, depth)));
  const values = new Map<string, ViewedValue>();
  for (const unit of unitsOf(documents).values()) {
    if (isSecret && unitKey(unit.path) === unitKey(bindingPath)) continue;
    // SOPS does not count documents; the elements of a list have paths that go on from its own.
    const path = documents.length > 1 ? unit.path.slice(1) : unit.path;
    const isHidden = opened === null ? holdsEnc(unit.content) : sealed.has(unitKey(path));
    const bytes = opened === null ? bufferOf(Buffer.from(unit.content, "latin1")) : clearBytesOf(unit, isSecret);
    values.set(nameOf(unit.path, isSecret), { isSecret: isHidden, bytes });
  }
  return { values, comments: commentsIn(documents), recipients: metadata.recipients, isOpened: opened !== null };
}

const holdsEnc = (content: string): boolean =>
  looksEncrypted(content.replace(/^\w+ /, "")) || content.includes("ENC[AES256_GCM");

export interface Difference {
  readonly name: string;
  readonly kind: "added" | "removed" | "changed" | "same";
  readonly before: ViewedValue | null;
  readonly after: ViewedValue | null;
}

/** By name; null for a version that does not exist. In the order of the second, what only the first has at the end. */
export function differencesOf(before: SealedView | null, after: SealedView | null): readonly Difference[] {
  const [old, now] = [
    before?.values ?? new Map<string, ViewedValue>(),
    after?.values ?? new Map<string, ViewedValue>(),
  ];
  return [...new Set([...now.keys(), ...old.keys()])].map((name): Difference => {
    const [was, is] = [old.get(name) ?? null, now.get(name) ?? null];
    if (was === null || is === null) return { name, kind: was === null ? "added" : "removed", before: was, after: is };
    // What was encrypted and is in the clear now, or the other way round, is a change whatever the value.
    const isSame = was.isSecret === is.isSecret && bufferOf(was.bytes).equals(is.bytes);
    return { name, kind: isSame ? "same" : "changed", before: was, after: is };
  });
}
