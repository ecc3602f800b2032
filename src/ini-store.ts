// The INI store: sections of keys and texts, the `[sops]` section last. Writes changes back at the offsets of what they
// replace; knows nothing of keys and selection.
import { type Place, SealwardError } from "./errors.ts";
import { applyLineEdits, type FlatLine, flatEdits, unflattened } from "./flat-metadata.ts";
import {
  defaultSection,
  type IniComment,
  type IniKey,
  type IniSection,
  parseIni,
  withBlankLines,
} from "./ini-source.ts";
import { blockLine, blockLines, dumpIni, iniKey, iniScalar, iniValue, metadataSection } from "./ini-text.ts";
import { applyEdits, type Edit } from "./splice.ts";
import type {
  Changes,
  Clear,
  Leaf,
  LoadOptions,
  MapValue,
  Metadata,
  Replacement,
  Store,
  StoreFile,
  Value,
} from "./store.ts";
import { newlineOf, placeIn, plainText, readText } from "./text-source.ts";
import { maxSopsFileBytes } from "./yaml-source.ts";

type Path = readonly (string | number)[];

export const iniStore: Store = {
  name: "ini",
  load: (bytes, options = {}) => new IniFile(readText(bytes, options, maxSopsFileBytes), options),
  dump(documents, metadata) {
    const [document, ...others] = documents;
    if (document === undefined || others.length > 0)
      throw new SealwardError("sops-unsupported", `ini holds one document; there are ${documents.length}`);
    return dumpIni(document, metadata);
  },
};

class IniFile implements StoreFile {
  readonly store: Store = iniStore;
  readonly text: string;
  readonly file: string | undefined;
  readonly documents: readonly MapValue[];
  readonly metadata: Metadata | null;
  readonly metadataOffset: number;
  readonly #sections: readonly IniSection[];
  readonly #block: IniSection | undefined;

  constructor(text: string, { file }: LoadOptions) {
    this.text = text;
    this.file = file;
    const sections = parseIni(text, file);
    this.#block = sections.find(({ name }) => name === metadataSection);
    this.#sections = withoutBlock(sections);
    const items = this.#sections.map((section) => ({
      kind: "pair" as const,
      key: section.name,
      value: { kind: "map" as const, items: section.items, offset: section.start },
      offset: section.start,
    }));
    this.documents = [{ kind: "map", offset: 0, items }];
    this.metadataOffset = this.#block?.start ?? -1;
    const refuse = (message: string) =>
      new SealwardError("sops-metadata-invalid", message, this.placeOf(this.metadataOffset));
    this.metadata = this.#block === undefined ? null : unflattened(linesOf(this.#block), refuse);
  }

  placeOf(offset: number): Place {
    return placeIn(this.text, offset, this.file);
  }

  spellingOf(leaf: Leaf): string {
    const { offset, end } = iniLeaf(leaf);
    return this.text.slice(offset, end);
  }

  write({ leaves, comments, metadata }: Changes): string {
    const edits: Edit[] = [];
    for (const [leaf, replacement] of leaves) {
      const { offset, end, quote } = iniLeaf(leaf);
      edits.push({ start: offset, end, text: written(replacement, quote) });
    }
    for (const [comment, text] of comments) {
      const { start, end } = comment as IniComment;
      edits.push({ start, end, text: withBlankLines(text) });
    }
    if (metadata === undefined) return applyEdits(this.text, edits);
    edits.push(...this.#metadataEdits(metadata));
    const isChanged = metadata !== null && this.metadataOffset >= 0;
    return isChanged ? applyLineEdits(this.text, edits) : applyEdits(this.text, edits);
  }

  set(path: Path, value: Value): string {
    const [name, key] = this.#namesOf(path);
    const section = this.#sections.find((one) => one.name === name);
    const edits: Edit[] = [];
    if (key !== undefined) edits.push(...this.#setKey(section, { name, key }, value));
    else if (section !== undefined && !section.isImplicit)
      throw new SealwardError("sops-unsupported", "A section that is there is changed key by key", { file: this.file });
    else edits.push(this.#newSection(name, value));
    return applyEdits(this.text, edits);
  }

  unset(path: Path): string {
    const [name, key] = this.#namesOf(path);
    const section = this.#sections.find((one) => one.name === name);
    const pair = section === undefined ? undefined : keysOf(section).find((one) => one.key === key);
    if (section === undefined || (key !== undefined && pair === undefined) || (key === undefined && section.isImplicit))
      throw new SealwardError("path-missing", "The file has no such section or key", { file: this.file });
    if (pair !== undefined) return applyEdits(this.text, [{ start: pair.start, end: pair.next, text: "" }]);
    return applyEdits(this.text, [{ start: section.top, end: this.#endOf(section), text: "" }]);
  }

  #namesOf(path: Path): [string, string | undefined] {
    const [name, key] = path;
    if (typeof name !== "string" || path.length > 2 || typeof key === "number")
      throw new SealwardError("path-missing", "A path in an ini file is a section and a key", { file: this.file });
    if (name === metadataSection)
      throw new SealwardError("sops-unsupported", "The section sops holds the sops block, not values", {
        file: this.file,
      });
    return [name, key];
  }

  #setKey(
    section: IniSection | undefined,
    { name, key }: { readonly name: string; readonly key: string },
    value: Value,
  ): Edit[] {
    const label = JSON.stringify(`${name}.${key}`);
    const keys = section === undefined ? [] : keysOf(section);
    const known = keys.find((one) => one.key === key);
    if (known !== undefined) {
      const { offset, end, quote } = known.value;
      return [{ start: offset, end, text: iniScalar(value, label, quote) }];
    }
    if (section === undefined) {
      const map: MapValue = { kind: "map", offset: 0, items: [{ kind: "pair", key, value, offset: 0 }] };
      return [this.#newSection(name, map)];
    }
    const line = this.#lineLike(keys, iniKey(key, label), iniScalar(value, label));
    const newline = newlineOf(this.text);
    const last = keys.at(-1);
    const at = last?.next ?? section.next;
    const isOpen = at > 0 && this.text[at - 1] !== "\n";
    return [{ start: at, end: at, text: isOpen ? newline + line : line + newline }];
  }

  /** A new key's line: indented and spaced as the last one, its delimiter in the same column where the others' are. */
  #lineLike(keys: readonly IniKey[], key: string, value: string): string {
    const last = keys.at(-1);
    if (last === undefined) return `${key} = ${value}`;
    const parts = (one: IniKey) =>
      /^([ \t]*)([^=:`]*?|`[^`]*`)([ \t]*)([=:])([ \t]*)/.exec(this.text.slice(one.start, one.value.offset));
    const columns = new Set(keys.map((one) => parts(one)?.[0].search(/[=:]/) ?? -1));
    const [, indent = "", name = "", before = " ", sign = "=", after = " "] = parts(last) ?? [];
    const isAligned = columns.size === 1 && (keys.length > 1 || before.length > 1);
    const width = name.length + before.length - 1;
    const spaced = before === "" ? key : `${isAligned ? key.padEnd(width) : key} `;
    return `${indent}${spaced}${sign}${after === "" && before !== "" ? " " : after.slice(0, 1)}${value}`;
  }

  #newSection(name: string, value: Value): Edit {
    const newline = newlineOf(this.text);
    const block = this.#block;
    const isLast = block !== undefined && this.#endOf(block) === this.text.length;
    const at = isLast ? block.start - this.#blankBefore(block).length : this.text.length;
    const document: MapValue = { kind: "map", offset: 0, items: [{ kind: "pair", key: name, value, offset: 0 }] };
    const body = dumpIni(document, null).replaceAll("\n", newline);
    const isBare = name === defaultSection;
    if (isBare) return { start: 0, end: 0, text: body };
    const isOpen = at > 0 && this.text[at - 1] !== "\n";
    const text = `${isOpen ? newline : ""}${at > 0 ? newline : ""}${body}`;
    return { start: at, end: at, text: isOpen ? text.slice(0, -newline.length) : text };
  }

  /** Where what belongs to a section ends: at the next one, the comment above that included. */
  #endOf(section: IniSection): number {
    let end = this.text.length;
    const all = this.#block === undefined ? this.#sections : [...this.#sections, this.#block];
    for (const { top, isImplicit } of all) if (!isImplicit && top > section.start && top < end) end = top;
    return end;
  }

  /** The blank line above a section. */
  #blankBefore({ start }: IniSection): string {
    const { text } = this;
    if (text[start - 1] !== "\n") return "";
    const at = text[start - 2] === "\r" ? start - 2 : start - 1;
    return at === 0 || text[at - 1] === "\n" ? text.slice(at, start) : "";
  }

  #metadataEdits(metadata: Metadata | null): Edit[] {
    const { text } = this;
    const block = this.#block;
    if (metadata === null) return block === undefined ? [] : [this.#blockRemoval(block)];
    const newline = newlineOf(text);
    if (block === undefined) {
      const lines = blockLines(metadata).join(newline);
      if (text === "") return [{ start: 0, end: 0, text: lines + newline }];
      const isOpen = !text.endsWith("\n");
      const added = isOpen ? newline + newline + lines : newline + lines + newline;
      return [{ start: text.length, end: text.length, text: added }];
    }
    const keys = keysOf(block);
    const [first] = keys;
    if (first === undefined) {
      const lines = blockLines(metadata).slice(1).join(newline);
      const isOpen = text[block.next - 1] !== "\n";
      return [{ start: block.next, end: block.next, text: isOpen ? newline + lines : lines + newline }];
    }
    const head = text.slice(first.offset, first.value.offset);
    const width = /^.*?[ \t]+(?==)/.exec(head)?.[0].length ?? 1;
    return flatEdits(linesOf(block), metadata, { format: (entry) => blockLine(entry, width - 1), newline });
  }

  /** With the blank line above it; a block that ended a file without a line break had been given the break before it. */
  #blockRemoval(block: IniSection): Edit {
    const end = this.#endOf(block);
    const start = block.start - this.#blankBefore(block).length;
    const isOpen = end === this.text.length && !this.text.endsWith("\n");
    const before = isOpen ? (/\r?\n$/.exec(this.text.slice(Math.max(0, start - 2), start))?.[0].length ?? 0) : 0;
    return { start: start - before, end, text: "" };
  }
}

/**
 * The sections but `[sops]`. SOPS takes a comment that ends the file's last section for one of `[sops]` once that follows; here
 * it stays where it was.
 */
function withoutBlock(sections: readonly IniSection[]): readonly IniSection[] {
  const at = sections.findIndex(({ name }) => name === metadataSection);
  const block = sections[at];
  const before = sections[at - 1];
  const others = sections.filter((section) => section !== block);
  const [comment] = block?.items ?? [];
  if (before === undefined || comment?.kind !== "comment" || comment.offset > (block?.start ?? 0)) return others;
  return others.map((section) => (section === before ? { ...section, items: [...section.items, comment] } : section));
}

function written(replacement: Replacement, quote: string): string {
  if ("enc" in replacement) return iniValue(replacement.enc, "a value", quote);
  const { clear, spelling, plainest } = replacement;
  return spelling ?? iniValue(clearText(clear), "a value", quote, plainest);
}

function clearText(clear: Clear): string {
  return plainText(clear, "A value");
}

function keysOf({ items }: IniSection): IniKey[] {
  return items.flatMap((item) => (item.kind === "pair" ? [item] : []));
}

function linesOf(block: IniSection): FlatLine[] {
  return keysOf(block).map(({ key, value, start, end, next }) => ({
    name: key,
    text: Buffer.from(value.bytes).toString().replaceAll("\n", "\\n"),
    start,
    end,
    next,
  }));
}

function iniLeaf(leaf: Leaf): IniKey["value"] {
  if (!("quote" in leaf)) throw new TypeError("a leaf of another store");
  return leaf as IniKey["value"];
}
