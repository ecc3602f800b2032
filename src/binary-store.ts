// The binary store: any bytes as one value `data`, in SOPS' JSON envelope once they are encrypted. Knows nothing of keys.
import { bufferOf } from "./bytes.ts";
import { SealwardError } from "./errors.ts";
import { dumpJson, type JsonFile, jsonStore } from "./json-store.ts";
import type { Changes, Leaf, LoadOptions, MapValue, Metadata, Store, StoreFile } from "./store.ts";
import { maxSopsFileBytes } from "./yaml-source.ts";

const dataKey = "data";
/** An envelope has four thirds of its bytes, and the block. */
const maxEnvelopeBytes = Math.ceil((maxSopsFileBytes * 4) / 3) + 1024 * 1024;

export const binaryStore: Store = {
  name: "binary",
  load(bytes, options = {}) {
    const limit = options.maxBytes ?? maxEnvelopeBytes;
    const envelope = bytes.length > limit ? null : envelopeOf(bytes, { ...options, maxBytes: limit });
    if (envelope !== null) return new EnvelopeFile(envelope);
    const most = options.maxBytes ?? maxSopsFileBytes;
    if (bytes.length > most)
      throw new SealwardError("too-large", `The file has ${bytes.length} bytes; at most ${most} are read`, {
        file: options.file,
      });
    return new RawFile(bytes, options.file);
  },
  dump(documents, metadata) {
    const [document] = documents;
    const [only] = document?.items.filter(({ kind }) => kind === "pair") ?? [];
    if (!isEnvelope(documents) || document === undefined || only?.kind !== "pair" || only.value.kind !== "leaf")
      throw new SealwardError("sops-unsupported", "A binary file holds one text or byte value, under the key data");
    return metadata === null ? only.value.bytes : dumpJson(document, metadata);
  },
};

/** The file as an envelope; null where it is none: whatever has no `sops` key is content, JSON or not. */
function envelopeOf(bytes: Uint8Array, options: LoadOptions): StoreFile | null {
  if (!/^[ \t\r\n]*\{/.test(Buffer.from(bytes.subarray(0, 64)).toString("latin1"))) return null;
  // A cheap look first: large content is not parsed for nothing.
  if (!bufferOf(bytes).includes('"sops"')) return null;
  let envelope: StoreFile;
  try {
    const file = jsonStore.load(bytes, options);
    if (file.metadataOffset < 0) return null;
    envelope = file;
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
  // Taking one value out of several would lose the others.
  if (envelope.metadata !== null && !isEnvelope(envelope.documents))
    throw new SealwardError(
      "sops-unsupported",
      "The file is a SOPS file in JSON with other values than one text under data: it holds no binary file",
      { file: options.file },
    );
  return envelope;
}

function isEnvelope([document, ...others]: readonly MapValue[]): boolean {
  const [only, second] = document?.items ?? [];
  const isOne = others.length === 0 && second === undefined && only?.kind === "pair" && only.key === dataKey;
  return isOne && only.value.kind === "leaf" && only.value.type === "str";
}

class EnvelopeFile implements StoreFile {
  readonly store: Store = binaryStore;
  readonly #json: StoreFile;

  constructor(json: StoreFile) {
    this.#json = json;
  }

  get text(): string {
    return this.#json.text;
  }
  get file(): string | undefined {
    return this.#json.file;
  }
  get documents(): readonly MapValue[] {
    return this.#json.documents;
  }
  get metadata(): Metadata | null {
    return this.#json.metadata;
  }
  get metadataOffset(): number {
    return this.#json.metadataOffset;
  }
  placeOf(offset: number): ReturnType<JsonFile["placeOf"]> {
    return this.#json.placeOf(offset);
  }
  write(changes: Changes): string {
    return this.#json.write(changes);
  }
  spellingOf(leaf: Leaf): string {
    return this.#json.spellingOf(leaf);
  }
  set(path: readonly (string | number)[], value: Parameters<StoreFile["set"]>[1]): string {
    assertData(path, this.file);
    return this.#json.set(path, value);
  }
  unset(path: readonly (string | number)[]): string {
    assertData(path, this.file);
    throw new SealwardError("sops-unsupported", "A binary file cannot be without its value", { file: this.file });
  }
}

class RawFile implements StoreFile {
  readonly store: Store = binaryStore;
  readonly file: string | undefined;
  readonly documents: readonly MapValue[];
  readonly metadata = null;
  readonly metadataOffset = -1;
  readonly #leaf: Leaf;

  constructor(bytes: Uint8Array, file: string | undefined) {
    this.file = file;
    this.#leaf = { kind: "leaf", type: "str", bytes, offset: 0 };
    this.documents = [
      { kind: "map", offset: 0, items: [{ kind: "pair", key: dataKey, value: this.#leaf, offset: 0 }] },
    ];
  }

  /** The bytes, if they are text; a binary file has no lines. */
  get text(): string {
    return Buffer.from(this.#leaf.bytes).toString("latin1");
  }
  placeOf(): ReturnType<StoreFile["placeOf"]> {
    return { file: this.file };
  }
  spellingOf(): string {
    return "";
  }

  /** The envelope. @throws sops-unsupported for content in the clear that is no text */
  write({ leaves, metadata }: Changes): string {
    const replacement = leaves.get(this.#leaf);
    const given = replacement === undefined ? this.#leaf.bytes : undefined;
    const clear = replacement !== undefined && "clear" in replacement ? replacement.clear.bytes : given;
    const bytes = replacement !== undefined && "enc" in replacement ? Buffer.from(replacement.enc) : clear;
    const value: Leaf = { ...this.#leaf, bytes: bytes ?? new Uint8Array(0) };
    const document: MapValue = {
      kind: "map",
      offset: 0,
      items: [{ kind: "pair", key: dataKey, value, offset: 0 }],
    };
    return dumpJson(document, metadata ?? null);
  }

  set(path: readonly (string | number)[]): string {
    assertData(path, this.file);
    throw new SealwardError("sops-unsupported", "A binary file is replaced as a whole", { file: this.file });
  }

  unset(path: readonly (string | number)[]): string {
    return this.set(path);
  }
}

function assertData(path: readonly (string | number)[], file: string | undefined): void {
  if (path.length !== 1 || path[0] !== dataKey)
    throw new SealwardError("path-missing", "A binary file has one value, at the path data", { file });
}
