// SOPS files of every store, for front ends: bytes in, bytes or text out, stores by name. Environments are not known here
// (plain-gate.ts), nor where files lie.
import { bufferOf, decodeUtf8 } from "./bytes.ts";
import { type Identity, type Recipients, type UnwrapOptions, unwrapFile } from "./data-key.ts";
import { SealwardError } from "./errors.ts";
import type { Kms } from "./kms.ts";
import { openConfirmed } from "./own-binding.ts";
import { assertOwnContexts } from "./own-context.ts";
import { compileSelection, defaultRule, type SelectionRule } from "./selection.ts";
import { type Path, rekeyFile, resealFile, resealOpened, rewrapFile, setInFile, unsetInFile } from "./sops-change.ts";
import { clearBytes, clearFile, metadataOf, type OpenedFile } from "./sops-file.ts";
import type { RecipientEntry, SopsMetadata } from "./sops-metadata.ts";
import { valueAt } from "./sops-path.ts";
import { type SealedFile, type SealFileOptions, sealFile } from "./sops-seal.ts";
import { entriesOf } from "./sops-tree.ts";
import type { StoreFile, StoreName, Value } from "./store.ts";
import { storeNamed } from "./stores.ts";
import { formatFlowValue } from "./yaml-flow.ts";

export interface SopsSource {
  readonly bytes: Uint8Array;
  readonly store: StoreName;
  readonly file?: string | undefined;
}

function load({ bytes, store, file }: SopsSource): StoreFile {
  return storeNamed(store).load(bytes, { file });
}

/** Encrypts a plain file of any store. `output`: the store of the result. @throws what sealFile throws */
export async function sealSops(
  { bytes, store, file }: SopsSource,
  options: Omit<SealFileOptions, "file"> & { readonly output?: StoreName | undefined },
): Promise<SealedFile> {
  const { output = store } = options;
  const plain = output === store ? bytes : converted(storeNamed(store).load(bytes, { file }), output);
  return sealFile(plain, storeNamed(output), { ...options, file });
}

/** A plain file in the layout of another store. */
function converted(file: Pick<StoreFile, "store" | "documents">, output: StoreName): Uint8Array {
  const [first] = file.documents;
  const only = first?.items.find((item) => item.kind === "pair");
  if (file.store.name === "binary" && only?.kind === "pair" && only.value.kind === "leaf") return only.value.bytes;
  const dumped = storeNamed(output).dump(file.documents, null);
  return typeof dumped === "string" ? Buffer.from(dumped) : dumped;
}

export interface OpenSopsOptions {
  readonly identities: readonly Identity[];
  readonly ignoreMac?: boolean | undefined;
  /** The store of the result. Default: the file's own. */
  readonly output?: StoreName | undefined;
  /** Give only what stands there: a scalar as it is, without a line break, anything else in the form of `output`. */
  readonly extract?: Path | undefined;
}

/**
 * Opens a SOPS file: whatever the identities open, MAC verified unless asked otherwise. `bound` says whether the file has a
 * binding; it then agrees with the file's own fields, but no environment was confirmed.
 * @throws what openFile throws; binding-mismatch; path-missing
 */
export async function openSops(
  source: SopsSource,
  options: OpenSopsOptions,
): Promise<{ readonly bytes: Uint8Array; readonly bound: boolean }> {
  const { opened, bound } = await openConfirmed(load(source), options);
  return { bytes: outputOf(opened, source, options), bound };
}

/** An opened file as it is asked for. */
export function outputOf(opened: OpenedFile, { store, file }: SopsSource, options: Form): Uint8Array {
  if (options.extract === undefined && (options.output ?? store) === store) return clearBytes(opened);
  const isBinary = store === "binary";
  const plain = isBinary ? load({ bytes: clearBytes(opened), store }) : clearFile(opened);
  return formOf(isBinary ? plain : withTypes(plain, opened), { ...options, file });
}

/** A flat file knows texts only, and JSON no times; what the ENC texts say of types is not lost in another store. */
function withTypes(plain: StoreFile, { leaves, selection }: OpenedFile): Pick<StoreFile, "store" | "documents"> {
  const typed = new Map<Value, Value>();
  for (const [index, { item }] of entriesOf(plain.documents, selection, { isEncrypted: false }).leaves.entries()) {
    const { type, bytes, enc } = leaves[index] ?? { enc: null };
    if (enc !== null && type !== undefined && type !== item.type) typed.set(item, { ...item, type, bytes });
  }
  if (typed.size === 0) return plain;
  const mapped = <T extends Value>(value: T): T => {
    if (value.kind === "leaf") return (typed.get(value) as T | undefined) ?? value;
    if (value.kind === "list")
      return { ...value, items: value.items.map((item) => (item.kind === "comment" ? item : mapped(item))) };
    if (value.kind !== "map") return value;
    const items = value.items.map((item) => (item.kind === "pair" ? { ...item, value: mapped(item.value) } : item));
    return { ...value, items };
  };
  return { store: plain.store, documents: plain.documents.map(mapped) };
}

type Form = Pick<OpenSopsOptions, "output" | "extract">;

/** A plain file as it is asked for. @throws path-missing, and what reading it throws */
export function plainAs(source: SopsSource, options: Form): Uint8Array {
  return formOf(load(source), { ...options, file: source.file });
}

function formOf(
  plain: Pick<StoreFile, "store" | "documents">,
  { output = plain.store.name, extract, file }: Form & { readonly file?: string | undefined },
) {
  if (extract === undefined) return converted(plain, output);
  const [root] = plain.documents;
  if (root === undefined) throw new SealwardError("path-missing", "The file is empty", { file });
  return extracted(valueAt(root, extract, file), output);
}

function extracted(value: Value, output: StoreName): Uint8Array {
  if (value.kind === "leaf") return value.bytes;
  if (value.kind !== "map") return Buffer.from(`${formatFlowValue(value)}\n`);
  const dumped = storeNamed(output).dump([value], null);
  return typeof dumped === "string" ? Buffer.from(dumped) : dumped;
}

export interface ChangeSopsOptions {
  readonly identities: readonly Identity[];
  /** Try an identity on the entries that name it, and on no other. */
  readonly namedOnly?: boolean | undefined;
  /** The encryption context to send for a KMS entry. Default: the entry's own, as SOPS does. */
  readonly contextOf?: UnwrapOptions["contextOf"];
  /** Needed where something has to be wrapped for a KMS key. */
  readonly kms?: Kms | undefined;
  readonly ignoreMac?: boolean | undefined;
  readonly now: Date;
}

/** What a value is set to: text, or JSON with its types. */
export type NewValue = { readonly text: Uint8Array } | { readonly json: string };

/** The encrypted file with one value set. @throws path-missing, not-json, and what opening throws */
export function setInSops(
  source: SopsSource,
  path: Path,
  value: NewValue,
  options: ChangeSopsOptions,
): Promise<string> {
  return setInFile(load(source), path, newValueOf(value), options);
}

function newValueOf(value: NewValue): Value {
  if ("text" in value) {
    if (decodeUtf8(value.text) === null)
      throw new SealwardError("not-utf8", "The new value is not text; only a file of its own can hold it");
    return { kind: "leaf", type: "str", bytes: value.text, offset: 0 };
  }
  const { documents } = storeNamed("json").load(Buffer.from(`{"value":${value.json}\n}`));
  const [only, second] = documents[0]?.items ?? [];
  if (only?.kind !== "pair" || second !== undefined)
    throw new SealwardError("not-json", "The new value is not one JSON value");
  return only.value;
}

/** @throws path-missing, and what opening throws */
export function unsetInSops(source: SopsSource, path: Path, options: ChangeSopsOptions): Promise<string> {
  return unsetInFile(load(source), path, options);
}

/** An opened file, and what seals its edited bytes with the key in hand: nobody is asked for it again. */
export interface EditableSops {
  readonly bytes: Uint8Array;
  /** @throws what reading and encrypting the bytes throws */
  readonly reseal: (edited: Uint8Array, now: Date) => SealedFile;
}

/** As {@link openSops}, to be changed. @throws what openSops throws */
export async function editSops(source: SopsSource, identities: readonly Identity[]): Promise<EditableSops> {
  return editable((await openConfirmed(load(source), { identities })).opened);
}

export function editable(opened: OpenedFile): EditableSops {
  return { bytes: clearBytes(opened), reseal: (edited, now) => resealOpened(opened, edited, now) };
}

/** The encrypted file with another plaintext. @throws what opening, reading and encrypting throw */
export function resealSops(
  source: SopsSource,
  edited: Uint8Array,
  options: ChangeSopsOptions,
): Promise<{ readonly text: string; readonly notices: readonly string[] }> {
  return resealFile(load(source), edited, options);
}

/** A new data key for the file, and its recipients if they change. @throws recipient-unsupported, and what opening throws */
export function rekeySops(
  source: SopsSource,
  options: ChangeSopsOptions & { readonly recipients?: Recipients | undefined },
): Promise<string> {
  return rekeyFile(load(source), options);
}

/** The same data key for other recipients. @throws recipient-unsupported, and what opening throws */
export function rewrapSops(source: SopsSource, recipients: Recipients, options: ChangeSopsOptions): Promise<string> {
  return rewrapFile(load(source), recipients, options);
}

/** What a SOPS file says about itself: claims, not proofs. */
export interface SopsDescription {
  readonly groups: readonly (readonly RecipientEntry[])[];
  readonly threshold: number;
  readonly rule: SelectionRule;
  /** False where the file states no rule and SOPS' default holds. */
  readonly isStated: boolean;
  readonly onlyEncrypted: boolean;
  readonly lastModified: string;
  /** When the data key was made: a claim. Null where the file says nothing of it. */
  readonly keyMade: string | null;
  readonly version: string;
  /** Paths of values, in order; a list's elements share one. */
  readonly values: readonly { readonly path: readonly string[]; readonly encrypted: boolean }[];
}

/** @throws not-sealed, sops-metadata-invalid, pattern-invalid */
export async function describeSops(source: SopsSource): Promise<SopsDescription> {
  const file = load(source);
  return description(file, metadataOf(file), true);
}

/** What a rule would make of a plain file. */
export async function selectedIn(source: SopsSource, rule: SelectionRule | null): Promise<SopsDescription["values"]> {
  return valuesOf(load(source), rule, false);
}

async function description(file: StoreFile, metadata: SopsMetadata, isEncrypted: boolean): Promise<SopsDescription> {
  return {
    groups: metadata.groups.map(({ recipients }) => recipients),
    threshold: metadata.threshold,
    rule: metadata.rule ?? defaultRule,
    isStated: metadata.rule !== null,
    onlyEncrypted: metadata.onlyEncrypted,
    lastModified: metadata.lastModified,
    keyMade: metadata.keyMade,
    version: String(metadata.raw.get("version") ?? ""),
    values: await valuesOf(file, metadata.rule, isEncrypted),
  };
}

async function valuesOf(
  file: StoreFile,
  rule: SelectionRule | null,
  isEncrypted: boolean,
): Promise<SopsDescription["values"]> {
  const selection = await compileSelection(file.store.name === "binary" ? null : rule, file.file);
  const { leaves } = entriesOf(file.documents, selection, { isEncrypted });
  return leaves.map(({ path, encrypted }) => ({ path, encrypted }));
}

/** The recipients whose identities among these open the file, one a key group. @throws as openSops */
export async function openersOf(source: SopsSource, identities: readonly Identity[]): Promise<readonly string[]> {
  const file = load(source);
  const metadata = metadataOf(file);
  assertOwnContexts(file, metadata);
  return (await unwrapFile(metadata, { identities, file: source.file })).openedBy;
}

/** The ARNs of the KMS keys that the file names, each once; some may be none. @throws not-sealed, sops-metadata-invalid */
export function kmsKeysIn(source: SopsSource): { readonly kmsKeys: readonly string[]; readonly hasAge: boolean } {
  // Most files name none, and need not be read for it.
  if (!bufferOf(source.bytes).includes("arn:aws")) return { kmsKeys: [], hasAge: true };
  const { kms, age } = metadataOf(load(source));
  return { kmsKeys: [...new Set(kms.map(({ arn }) => arn))], hasAge: age.length > 0 };
}

/** True where the bytes are a file of this store with a `sops` block. Never throws. */
export function isSopsFile(source: SopsSource): boolean {
  if (!bufferOf(source.bytes).includes("sops")) return false;
  try {
    return load(source).metadata !== null;
  } catch (problem) {
    if (problem instanceof SealwardError) return false;
    throw problem;
  }
}
