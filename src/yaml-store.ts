// The YAML store: reads a stream of documents into trees, and writes changes back at the offsets of what they replace.
// Knows SOPS' layout of a YAML file; knows nothing of keys and selection.
import type { Node, Scalar } from "yaml";
import { decodeUtf8 } from "./bytes.ts";
import { type Place, SealwardError } from "./errors.ts";
import { applyEdits, type Edit, formatText, quoted, rangeOf, wouldSwallow } from "./splice.ts";
import type {
  Changes,
  Clear,
  CommentItem,
  Leaf,
  LoadOptions,
  MapValue,
  Metadata,
  Replacement,
  Store,
  StoreFile,
  Value,
} from "./store.ts";
import { dumpYaml, scalarText } from "./yaml-dump.ts";
import { metadataPair, readYamlMetadata } from "./yaml-metadata.ts";
import { metadataEdits } from "./yaml-metadata-edits.ts";
import { setInYaml, unsetInYaml } from "./yaml-path.ts";
import { maxSopsFileBytes, parseYamlDocuments, type YamlSource } from "./yaml-source.ts";
import { readYamlTree, type YamlLeaf } from "./yaml-tree.ts";

export const yamlStore: Store = {
  name: "yaml",
  load(bytes, options = {}) {
    const text = decodeUtf8(bytes);
    if (text === null)
      throw new SealwardError("not-utf8", "Cannot read the file: it is not UTF-8", { file: options.file });
    return loadYaml(text, options);
  },
  dump: dumpYaml,
};

/** As the store's `load`, from text. */
export function loadYaml(text: string, { file, maxBytes = maxSopsFileBytes }: LoadOptions = {}): YamlFile {
  return new YamlFile(text, file, parseYamlDocuments(text, { file, maxBytes }));
}

export class YamlFile implements StoreFile {
  readonly store: Store = yamlStore;
  readonly text: string;
  readonly file: string | undefined;
  readonly sources: readonly YamlSource[];
  readonly documents: readonly MapValue[];
  readonly metadata: Metadata | null;

  constructor(text: string, file: string | undefined, sources: readonly YamlSource[]) {
    this.text = text;
    this.file = file;
    this.sources = sources;
    this.documents = sources.map((source) => readYamlTree(source).root);
    const [first] = sources;
    this.metadata = first === undefined ? null : readYamlMetadata(first);
  }

  /** SOPS reads the first document's block; a key `sops` in a later one is in nobody's way but a plain file's. */
  get metadataOffset(): number {
    for (const source of this.sources) {
      const pair = metadataPair(source);
      if (pair !== undefined) return rangeOf(pair.key as Node)[0];
    }
    return -1;
  }

  placeOf(offset: number): Place {
    return this.#source().placeOf(offset);
  }

  spellingOf(leaf: Leaf): string {
    const { node, start } = yamlLeaf(leaf);
    return this.text.slice(start, rangeOf(node)[1]);
  }

  write(changes: Changes): string {
    const edits: Edit[] = [];
    const covered: Edit[] = [];
    for (const [leaf, replacement] of changes.leaves) {
      const edit = this.#leafEdit(yamlLeaf(leaf), replacement, changes.comments);
      edits.push(edit);
      if (edit.end - edit.start > 0) covered.push(edit);
    }
    const { commentLeaves = new Map<Leaf, string>() } = changes;
    const emptied = commentLeaves.size === 0 ? null : lastOfEmptied(this.documents, commentLeaves);
    for (const [leaf, text] of commentLeaves)
      edits.push(this.#commentLeafEdit(yamlLeaf(leaf), text, emptied?.has(leaf) === true));
    // A comment behind the sign of a block text goes with that text.
    const isCovered = within(covered);
    for (const [{ offset, text }, comment] of changes.comments)
      if (!isCovered(offset)) edits.push({ start: offset, end: offset + 1 + text.length, text: `#${comment}` });
    if (changes.metadata !== undefined)
      for (const source of this.sources)
        edits.push(...metadataEdits(source, changes.metadata, sourceOf(changes.metadataFrom)));
    return applyEdits(this.text, edits);
  }

  set(path: readonly (string | number)[], value: Value): string {
    return setInYaml(this.#source(), path, value);
  }

  unset(path: readonly (string | number)[]): string {
    return unsetInYaml(this.#source(), path);
  }

  #source(): YamlSource {
    const [first] = this.sources;
    if (first === undefined) throw new SealwardError("not-yaml", "The file is empty", { file: this.file });
    return first;
  }

  #leafEdit(leaf: YamlLeaf, replacement: Replacement, comments: Changes["comments"]): Edit {
    const { node, inFlow } = leaf;
    const { start, end } = this.#span(leaf);
    const header = this.#headerComment(node);
    const comment = header === undefined ? "" : ` #${newTextOf(comments, header) ?? header.text}`;
    if ("enc" in replacement) {
      const { enc, written, unquoted = false } = replacement;
      const text =
        written !== undefined && !inFlow ? written : quotedLike(unquoted ? undefined : node.type, enc, inFlow);
      return { start, end, text: text + comment };
    }
    const { clear, spelling, plainest = false } = replacement;
    if (spelling === undefined) {
      const text = this.#clearText(leaf, clear, plainest || comment !== "");
      return { start, end, text: text + comment };
    }
    // A block text's sign takes the rest of the line, a comment there included.
    const isBlock = /^(?:[!&]\S*[ \t]+)*[|>]/.test(spelling);
    return isBlock
      ? { start, end: lineEnd(this.text, end), text: spelling.replace(/[ \r\n]+$/, "") }
      : { start, end, text: spelling };
  }

  /** What a replacement takes: tag and anchor with it, but not the line breaks that end a block text. */
  #span({ node, start }: YamlLeaf): { readonly start: number; readonly end: number } {
    const [from, to] = rangeOf(node);
    if (node.type?.startsWith("BLOCK") !== true) return { start, end: to };
    return { start, end: from + this.text.slice(from, to).replace(/[ \r\n]+$/, "").length };
  }

  #headerComment(node: Scalar): CommentItem | undefined {
    if (node.type?.startsWith("BLOCK") !== true) return undefined;
    const [start] = rangeOf(node);
    const line = this.text.slice(start, lineEnd(this.text, start));
    const at = line.indexOf("#");
    return at < 0 ? undefined : { kind: "comment", text: line.slice(at + 1), offset: start + at };
  }

  /** `isOnly`: nothing would be left of the list, which would read as null. */
  #commentLeafEdit({ node }: YamlLeaf, text: string, isOnly: boolean): Edit {
    const [from, end] = rangeOf(node);
    const start = this.text.lastIndexOf("-", from);
    const source = this.#source();
    const list = isOnly ? `${source.newline}${" ".repeat(source.columnOf(start) + 2)}[]` : "";
    return { start, end, text: `#${text}${list}` };
  }

  #clearText(leaf: YamlLeaf, { type, bytes }: Clear, plainest: boolean): string {
    const { node, inFlow, depth } = leaf;
    const text = decodeUtf8(bytes);
    if (text === null || type !== "str") return scalarText({ type, bytes }, 0, false);
    if (plainest) return quoted(text);
    const [start, end] = rangeOf(node);
    const lineStart = this.text.lastIndexOf("\n", start - 1) + 1;
    const indent = Math.max(this.text.slice(lineStart, start).search(/[^ ]/), 0);
    return formatText(text, {
      style: node.type,
      inFlow,
      indent,
      // As far in as each map around it.
      step: depth > 1 && indent > 0 ? Math.ceil(indent / (depth - 1)) : 2,
      newline: this.#source().newline,
      lineGoesOn: wouldSwallow(this.text, end, indent),
    });
  }
}

/** Of each list that consists of comments and these elements, the last of them. */
function lastOfEmptied(documents: readonly MapValue[], commentLeaves: ReadonlyMap<Leaf, string>): ReadonlySet<Leaf> {
  const found = new Set<Leaf>();
  const look = (value: Value | CommentItem): void => {
    if (value.kind === "map") for (const item of value.items) look(item.kind === "pair" ? item.value : item);
    if (value.kind !== "list") return;
    const leaves = value.items.filter((item) => item.kind !== "comment");
    const last = leaves.at(-1);
    if (last?.kind === "leaf" && leaves.every((item) => item.kind === "leaf" && commentLeaves.has(item)))
      found.add(last);
    else value.items.forEach(look);
  };
  documents.forEach(look);
  return found;
}

function sourceOf(file: StoreFile | undefined): YamlSource | undefined {
  return file instanceof YamlFile ? file.sources[0] : undefined;
}

function yamlLeaf(leaf: Leaf): YamlLeaf {
  if (!("node" in leaf)) throw new TypeError("a leaf of another store");
  return leaf as YamlLeaf;
}

/** Quotes are kept, so that the value in the clear gets them back; a plain ENC is not YAML inside a flow map. */
function quotedLike(type: Scalar["type"], enc: string, inFlow: boolean): string {
  if (type === "QUOTE_SINGLE") return `'${enc}'`;
  return type === "QUOTE_DOUBLE" || inFlow ? `"${enc}"` : enc;
}

function newTextOf(comments: Changes["comments"], { offset }: CommentItem): string | undefined {
  for (const [comment, text] of comments) if (comment.offset === offset) return text;
  return undefined;
}

function lineEnd(text: string, offset: number): number {
  const next = text.indexOf("\n", offset);
  if (next < 0) return text.length;
  return text[next - 1] === "\r" ? next - 1 : next;
}

/** Asks for ascending offsets whether each lies inside one of the edits. */
function within(edits: readonly Edit[]): (offset: number) => boolean {
  const starts = edits.map(({ start }) => start);
  const ordered = [...edits].sort((a, b) => a.start - b.start);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ordered[middle]?.start ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    const found = ordered[low - 1];
    return found !== undefined && offset < found.end;
  };
}
