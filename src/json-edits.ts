// Edits of JSON text that leave everything else where it is: items of an object or list taken out, changed and appended in
// the layout of their neighbours. Knows nothing of the `sops` key.
import type { JsonList, JsonMap, JsonValue } from "./json-source.ts";
import { deeper, type Layout } from "./json-text.ts";
import type { Edit } from "./splice.ts";
import { newlineOf } from "./text-source.ts";

type Container = JsonMap | JsonList;
const defaultUnit = "\t";

/** Where an item begins and ends, its key included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export function spansOf(container: Container): Span[] {
  return container.kind === "map"
    ? container.items.map(({ offset, value }) => ({ start: offset, end: value.end }))
    : container.items.map(({ offset, end }) => ({ start: offset, end }));
}

/** How an item of this container is laid out: as the last one, or as the file's first level where there is none. */
export function layoutOf(text: string, container: Span, last: Span | undefined, root: JsonMap): Layout {
  if (last !== undefined) {
    const indent = ownLine(text, last.start);
    return indent === null ? null : { indent, unit: unitOf(text, root), newline: newlineOf(text) };
  }
  const indent = lineIndent(text, container.start);
  return rootIndent(text, root) === null
    ? null
    : deeper({ indent, unit: unitOf(text, root), newline: newlineOf(text) });
}

/** Takes items out and appends others. `appended` holds finished texts without commas. */
export function itemEdits(
  text: string,
  container: Span,
  spans: readonly Span[],
  change: { readonly removed: ReadonlySet<number>; readonly appended: readonly string[]; readonly layout: Layout },
): Edit[] {
  const { removed, appended, layout } = change;
  const glue = layout === null ? " " : `${layout.newline}${layout.indent}`;
  const joined = appended.join(`,${glue}`);
  const lastKept = spans.findLastIndex((_, index) => !removed.has(index));
  const [first, last] = [spans[0], spans.at(-1)];
  if (first === undefined || last === undefined)
    return appended.length === 0 ? [] : [filled(container, joined, layout)];
  if (lastKept < 0)
    return appended.length === 0
      ? [emptied(text, container, last)]
      : [{ start: first.start, end: last.end, text: joined }];
  const edits: Edit[] = [];
  const firstKept = spans.findIndex((_, index) => !removed.has(index));
  for (const [index, span] of spans.entries()) {
    if (!removed.has(index)) continue;
    const next = spans[index + 1];
    if (index < firstKept && next !== undefined) edits.push({ start: span.start, end: next.start, text: "" });
    else edits.push({ start: spans[index - 1]?.end ?? span.start, end: span.end, text: "" });
  }
  const at = spans[lastKept]?.end ?? last.end;
  if (appended.length > 0) edits.push({ start: at, end: at, text: `,${glue}${joined}` });
  return edits;
}

/** What stood between the braces stays behind the new items, so that taking them out gives the same text again. */
function filled({ start }: Span, items: string, layout: Layout): Edit {
  if (layout === null) return { start: start + 1, end: start + 1, text: items };
  const { newline, indent, unit } = layout;
  const outer = indent.endsWith(unit) ? indent.slice(0, indent.length - unit.length) : "";
  return { start: start + 1, end: start + 1, text: `${newline}${indent}${items}${newline}${outer}` };
}

function emptied(text: string, { start }: Span, last: Span): Edit {
  const isOwnLine = /^[ \t]*\r?\n/.test(text.slice(start + 1, last.start));
  const closing = /^\r?\n/.exec(text.slice(last.end, last.end + 2))?.[0] ?? "";
  const indent = lineIndent(text, start);
  const at = last.end + closing.length;
  const end = isOwnLine && closing !== "" && text.startsWith(indent, at) ? at + indent.length : last.end;
  return { start: start + 1, end, text: "" };
}

/** The indentation of a line, if the offset is the first thing on it. */
function ownLine(text: string, offset: number): string | null {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const before = text.slice(start, offset);
  return start > 0 && /^[ \t]*$/.test(before) ? before : null;
}

function lineIndent(text: string, offset: number): string {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  return /^[ \t]*/.exec(text.slice(start, offset))?.[0] ?? "";
}

/** The indentation of the file's first level; null where the file stands on one line. An empty one stands on several. */
function rootIndent(text: string, root: JsonMap): string | null {
  const last = root.items.at(-1);
  return last === undefined ? "" : ownLine(text, last.offset);
}

function unitOf(text: string, root: JsonMap): string {
  return rootIndent(text, root) || defaultUnit;
}

/** The layout of a value that stands at an offset: how its lines, if there are several, are indented. */
export function layoutAt(text: string, offset: number, root: JsonMap): Layout {
  if (rootIndent(text, root) === null) return null;
  return { indent: lineIndent(text, offset), unit: unitOf(text, root), newline: newlineOf(text) };
}

export function isContainer(value: JsonValue): value is Container {
  return value.kind === "map" || value.kind === "list";
}
