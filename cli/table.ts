// A table for people: columns as wide as what is in them, and within the width of the terminal where there is one. Knows
// nothing of what the cells mean.
import { safeText } from "./report.ts";

const gap = "  ";
/** A first column that is shorter than this says nothing any more. */
const shortest = 12;

/** Lines of the table, the head first. `width`: the first column, of names, is cut in the middle to keep within it. */
export function tableLines(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): readonly string[] {
  const cells = [head, ...rows].map((row) => row.map(safeText));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => lengthOf(row[column] ?? ""))));
  const [first = 0, ...others] = widths;
  const room = width === undefined ? first : width - others.reduce((sum, one) => sum + gap.length + one, 0);
  const fitting = [Math.min(first, Math.max(room, shortest)), ...others];
  return cells.map((row) =>
    row
      .map((cell, column) => {
        const shown = column === 0 ? shortened(cell, fitting[0] ?? 0) : cell;
        return shown + " ".repeat(Math.max(0, (fitting[column] ?? 0) - lengthOf(shown)));
      })
      .join(gap)
      .trimEnd(),
  );
}

/** By characters, not by UTF-16 units. */
const lengthOf = (text: string): number => [...text].length;

/** The end of a path says more than its start. */
function shortened(text: string, length: number): string {
  const characters = [...text];
  if (characters.length <= length) return text;
  const end = Math.ceil(((length - 1) * 2) / 3);
  return `${characters.slice(0, length - 1 - end).join("")}…${characters.slice(-end).join("")}`;
}
