// Merges texts by line, and writes and reads the markers of a conflict. Knows nothing about what the lines mean.
import { diff3Merge, diffIndices } from "node-diff3";

/** The lines with their line breaks: joined, they are the text. */
const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/**
 * What the comparison may cost: it looks at each pair of equal lines, and in a text of equal lines these are as many as lines
 * squared.
 */
const maxPairs = 200_000;

function isComparable(a: readonly string[], b: readonly string[]): boolean {
  const counts = new Map<string, number>();
  for (const line of a) counts.set(line, (counts.get(line) ?? 0) + 1);
  return b.reduce((pairs, line) => pairs + (counts.get(line) ?? 0), 0) <= maxPairs;
}

/**
 * Three-way merge. Where both sides changed the same lines, the result has those of `ours` and is not clean. Null where the
 * comparison would take too long.
 */
export function mergeLines(
  ours: string,
  base: string,
  theirs: string,
): { readonly text: string; readonly isClean: boolean } | null {
  const [a, o, b] = [linesOf(ours), linesOf(base), linesOf(theirs)];
  if (!isComparable(o, a) || !isComparable(o, b)) return null;
  const regions = diff3Merge(a, o, b, { excludeFalseConflicts: true });
  let isClean = true;
  const parts = regions.map(({ ok, conflict }) => {
    if (conflict === undefined) return (ok ?? []).join("");
    const merged = lineByLine(conflict);
    isClean &&= merged !== null;
    return (merged ?? conflict.a).join("");
  });
  return { text: parts.join(""), isClean };
}

/** Values that stand on lines side by side and were changed one by one. Null where that does not settle it. */
function lineByLine({
  a,
  o,
  b,
}: {
  readonly a: string[];
  readonly o: string[];
  readonly b: string[];
}): string[] | null {
  if (a.length !== o.length || b.length !== o.length) return null;
  const isSettled = o.every((line, at) => a[at] === line || b[at] === line || a[at] === b[at]);
  return isSettled ? o.map((line, at) => (a[at] === line ? (b[at] ?? line) : (a[at] ?? line))) : null;
}

export interface MarkerStyle {
  /** How often a marker's character stands there; Git's default is 7. */
  readonly size: number;
  /** What the two sides are called. */
  readonly labels: { readonly ours: string; readonly theirs: string };
}

/** One text that holds both: what is the same once, what differs between Git's markers. {@link sidesOf} gives them back. */
export function withMarkers(ours: string, theirs: string, { size, labels }: MarkerStyle): string {
  const [a, b] = [linesOf(ours), linesOf(theirs)];
  const differences = isComparable(a, b)
    ? diffIndices(a, b).map(({ buffer1, buffer2 }) => ({ a: buffer1, b: buffer2 }))
    : [{ a: [0, a.length] as const, b: [0, b.length] as const }];
  const marker = (character: string, label = ""): string =>
    `${character.repeat(size)}${label === "" ? "" : ` ${label}`}\n`;
  const whole = (lines: readonly string[]): string => {
    const text = lines.join("");
    return text === "" || text.endsWith("\n") ? text : `${text}\n`;
  };
  const parts: string[] = [];
  let at = 0;
  for (const {
    a: [start, length],
    b: [otherStart, otherLength],
  } of differences) {
    parts.push(whole(a.slice(at, start)), marker("<", labels.ours));
    parts.push(whole(a.slice(start, start + length)), marker("="));
    parts.push(whole(b.slice(otherStart, otherStart + otherLength)), marker(">", labels.theirs));
    at = start + length;
  }
  return parts.join("") + a.slice(at).join("");
}

/** Where the first conflict marker stands, its line counted from 1; null where none does. */
export function firstMarker(text: string): number | null {
  const index = linesOf(text).findIndex((line) => /^<{7,}(?:\s|$)/.test(line));
  return index < 0 ? null : index + 1;
}

type Side = "both" | "ours" | "base" | "theirs";

/** What a marker begins, and what it may end. */
const steps: ReadonlyMap<string, { readonly from: readonly Side[]; readonly to: Side }> = new Map([
  ["<", { from: ["both"], to: "ours" }],
  ["|", { from: ["ours"], to: "base" }],
  ["=", { from: ["ours", "base"], to: "theirs" }],
  [">", { from: ["theirs"], to: "both" }],
]);

/** The two texts behind conflict markers; null where there are none, or they do not pair up. A third side (`|||`) is passed over. */
export function sidesOf(text: string): { readonly ours: string; readonly theirs: string } | null {
  const sides = { ours: "", theirs: "" };
  let state = "both" as Side;
  let found = false;
  let size = 0;
  for (const line of linesOf(text)) {
    const [, run = "", character] = /^((<|=|>|\|)\2{6,})(?: .*)?\r?\n?$/.exec(line) ?? [];
    const isMarker = character !== undefined && (size === 0 ? character === "<" : run.length === size);
    if (!isMarker) {
      if (state === "both" || state === "ours") sides.ours += line;
      if (state === "both" || state === "theirs") sides.theirs += line;
      continue;
    }
    const step = steps.get(character);
    if (step === undefined || !step.from.includes(state)) return null;
    state = step.to;
    size = state === "both" ? 0 : run.length;
    found = true;
  }
  return found && state === "both" ? sides : null;
}
