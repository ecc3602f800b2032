// The dotenv store: lines of KEY=VALUE and comments, as SOPS splits them: nothing is trimmed, quotes are part of a value,
// `\n` stands for a line break. Knows nothing of keys and selection, nor of what shells make of such a file.
import { type Place, SealwardError } from "./errors.ts";
import { applyLineEdits, type FlatEntry, type FlatLine, flatEdits, flattened, unflattened } from "./flat-metadata.ts";
import { applyEdits, type Edit } from "./splice.ts";
import type {
  Changes,
  Clear,
  CommentItem,
  Leaf,
  LoadOptions,
  MapValue,
  Metadata,
  Pair,
  Store,
  StoreFile,
  Value,
} from "./store.ts";
import { placeIn, plainText, readText } from "./text-source.ts";
import { maxSopsFileBytes } from "./yaml-source.ts";

type Path = readonly (string | number)[];
const prefix = "sops_";

export const dotenvStore: Store = {
  name: "dotenv",
  load: (bytes, options = {}) => new DotenvFile(readText(bytes, options, maxSopsFileBytes), options),
  dump(documents, metadata) {
    const [document, ...others] = documents;
    if (document === undefined || others.length > 0)
      throw new SealwardError("sops-unsupported", `dotenv holds one document; there are ${documents.length}`);
    const lines = document.items.map((item) => {
      if (item.kind === "pair") return pairLine(item.key, item.value);
      if (item.text.includes("\n"))
        throw new SealwardError("sops-unsupported", "A comment of several lines is no dotenv");
      return `#${item.text}`;
    });
    const block = metadata === null ? [] : blockLines(metadata);
    return [...lines, ...block].map((line) => `${line}\n`).join("");
  },
};

class DotenvFile implements StoreFile {
  readonly store: Store = dotenvStore;
  readonly text: string;
  readonly file: string | undefined;
  readonly documents: readonly MapValue[];
  readonly metadata: Metadata | null;
  readonly metadataOffset: number;
  readonly #block: readonly FlatLine[];
  readonly #lines: ReadonlyMap<string, Line>;

  constructor(text: string, { file }: LoadOptions) {
    this.text = text;
    this.file = file;
    const { items, block, lines } = readLines(text, file);
    this.documents = [{ kind: "map", offset: 0, items }];
    this.#block = block;
    this.#lines = lines;
    const [first] = block;
    this.metadataOffset = first?.start ?? -1;
    const refuse = (message: string) =>
      new SealwardError("sops-metadata-invalid", message, this.placeOf(this.metadataOffset));
    this.metadata = first === undefined ? null : unflattened(block, refuse);
  }

  placeOf(offset: number): Place {
    return placeIn(this.text, offset, this.file);
  }

  spellingOf({ offset }: Leaf): string {
    return this.text.slice(offset, lineEnd(this.text, offset));
  }

  write({ leaves, comments, metadata }: Changes): string {
    const edits: Edit[] = [];
    for (const [{ offset }, replacement] of leaves) {
      const text =
        "enc" in replacement ? replacement.enc : (replacement.spelling ?? valueText(replacement.clear, "A value"));
      edits.push({ start: offset, end: lineEnd(this.text, offset), text });
    }
    for (const [{ offset, text: before }, text] of comments) {
      if (text.includes("\n")) throw new SealwardError("sops-unsupported", "A comment cannot have several lines");
      edits.push({ start: offset + 1, end: offset + 1 + before.length, text });
    }
    if (metadata === undefined) return applyEdits(this.text, edits);
    edits.push(...this.#metadataEdits(metadata));
    const isChanged = metadata !== null && this.metadataOffset >= 0;
    return isChanged ? applyLineEdits(this.text, edits) : applyEdits(this.text, edits);
  }

  set(path: Path, value: Value): string {
    const key = this.#keyOf(path);
    const line = pairLine(key, value);
    const known = this.#lines.get(key);
    if (known !== undefined) return applyEdits(this.text, [{ start: known.start, end: known.end, text: line }]);
    const at = this.#insertionPoint();
    // Never CR LF: SOPS would take the CR for part of the value.
    const isOpen = at > 0 && this.text[at - 1] !== "\n";
    return applyEdits(this.text, [{ start: at, end: at, text: isOpen ? `\n${line}` : `${line}\n` }]);
  }

  unset(path: Path): string {
    const known = this.#lines.get(this.#keyOf(path));
    if (known === undefined) throw new SealwardError("path-missing", "The file has no such key", { file: this.file });
    return applyEdits(this.text, [{ start: known.start, end: known.next, text: "" }]);
  }

  #keyOf(path: Path): string {
    const [key] = path;
    if (path.length !== 1 || typeof key !== "string")
      throw new SealwardError("path-missing", "A dotenv file has keys without anything below them", {
        file: this.file,
      });
    return key;
  }

  /** Before the block if it ends the file, otherwise at the end. */
  #insertionPoint(): number {
    let at = this.text.length;
    for (const { start, next } of this.#block.toReversed()) {
      if (next !== at) break;
      at = start;
    }
    return at;
  }

  #metadataEdits(metadata: Metadata | null): Edit[] {
    const { text } = this;
    if (metadata === null) {
      const edits = this.#block.map(({ start, next }) => ({ start, end: next, text: "" }));
      return withoutLastNewline(text, edits, this.#insertionPoint());
    }
    if (this.#block.length === 0) {
      const lines = blockLines(metadata).join("\n");
      const isOpen = text !== "" && !text.endsWith("\n");
      return [{ start: text.length, end: text.length, text: isOpen ? `\n${lines}` : `${lines}\n` }];
    }
    return flatEdits(this.#block, metadata, { format: blockLine, newline: "\n" });
  }
}

/** A block that ended a file without a line break had been given the break before it. */
function withoutLastNewline(text: string, edits: readonly Edit[], from: number): Edit[] {
  if (text.endsWith("\n") || from === text.length || from === 0) return [...edits];
  return [...edits, { start: from - 1, end: from, text: "" }];
}

interface Line {
  readonly start: number;
  /** Before the line break. */
  readonly end: number;
  /** Behind it. */
  readonly next: number;
}

/** @throws not-dotenv, duplicate-key */
function readLines(
  text: string,
  file: string | undefined,
): {
  readonly items: readonly (Pair | CommentItem)[];
  readonly block: readonly FlatLine[];
  readonly lines: ReadonlyMap<string, Line>;
} {
  const items: (Pair | CommentItem)[] = [];
  const block: FlatLine[] = [];
  const lines = new Map<string, Line>();
  for (let start = 0; start < text.length; ) {
    const end = lineEnd(text, start);
    const next = Math.min(end + 1, text.length);
    const line = { start, end, next };
    if (text[start] === "#") {
      // SOPS counts the CR of a line break to the comment; it stays in the file, and out of what is encrypted.
      let stop = end;
      while (text[stop - 1] === "\r") stop--;
      items.push({ kind: "comment", text: text.slice(start + 1, stop), offset: start });
    } else if (end > start) {
      const equals = text.indexOf("=", start);
      if (equals < 0 || equals >= end) throw notDotenv(text.slice(start, end), placeIn(text, start, file));
      const key = text.slice(start, equals);
      const raw = text.slice(equals + 1, end);
      if (lines.has(key))
        throw new SealwardError("duplicate-key", "A key appears twice in the file", placeIn(text, start, file));
      lines.set(key, line);
      if (key.startsWith(prefix)) block.push({ name: key.slice(prefix.length), text: raw, ...line });
      else {
        const bytes = Buffer.from(raw.replaceAll("\\n", "\n"));
        const value: Leaf = { kind: "leaf", type: "str", bytes, offset: equals + 1 };
        items.push({ kind: "pair", key, value, offset: start });
      }
    }
    start = next;
  }
  return { items, block, lines };
}

function notDotenv(line: string, place: Place): SealwardError {
  const why =
    line === "\r"
      ? "A blank line ends in CR LF, which SOPS cannot read; save the file with LF line ends"
      : "A line is neither blank, nor a comment, nor KEY=VALUE";
  return new SealwardError("not-dotenv", why, place);
}

function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end;
}

/** @throws sops-unsupported */
function pairLine(key: string, value: Value): string {
  const name = JSON.stringify(key);
  if (key.startsWith(prefix))
    throw new SealwardError(
      "sops-unsupported",
      `The key ${name} cannot be held: sops_ begins the keys of the sops block`,
    );
  if (key.startsWith("#") || /[=\n]/.test(key))
    throw new SealwardError("sops-unsupported", `The key ${name} cannot stand in a dotenv file`);
  if (value.kind !== "leaf")
    throw new SealwardError("sops-unsupported", `dotenv holds texts only, and ${name} is something else`);
  return `${key}=${valueText(value, name)}`;
}

/** @throws sops-unsupported where the text would be read as another one */
function valueText(clear: Clear, name: string): string {
  const text = plainText(clear, name);
  if (text.includes("\\n"))
    throw new SealwardError(
      "sops-unsupported",
      `${name} holds a backslash before an n, which dotenv reads as a line break`,
    );
  return text.replaceAll("\n", "\\n");
}

function blockLines(metadata: Metadata): string[] {
  return [...metadata].flatMap(([key, value]) => flattened(key, value)).map(blockLine);
}

function blockLine({ name, text }: FlatEntry): string {
  return `${prefix}${name}=${text}`;
}
