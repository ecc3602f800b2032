// Merges three versions of a plain file by what its values are called: a change of one side is taken, the same change of both
// is one, and different changes of the same value are a conflict. Text and comments are kept as far as lines can be merged.
// Knows no keys, recipients and files.
import { SealwardError } from "./errors.ts";
import { mergeLines } from "./line-merge.ts";
import type { StoreFile } from "./store.ts";
import { commentsIn, type Unit, type Units, unitKey, unitsOf } from "./units.ts";

export interface Versions<T> {
  /** Null where the file is new on both sides. */
  readonly base: T | null;
  readonly ours: T;
  readonly theirs: T;
}

/** A value that both sides changed, each in its own way. Null: it is not there. */
export interface KeyConflict {
  readonly path: readonly string[];
  readonly base: Unit | null;
  readonly ours: Unit | null;
  readonly theirs: Unit | null;
}

export interface KeyMerge {
  /** Merged; where there is a conflict, with what `ours` has. */
  readonly text: string;
  /** Merged, with what `theirs` has in a conflict. */
  readonly theirsText: string;
  readonly conflicts: readonly KeyConflict[];
  /** True where comments of both sides could not be brought into one text: each of the two has its own side's. */
  readonly commentsDiffer: boolean;
}

/**
 * Null where the values cannot be merged in the form that the files have: one has a scalar where another has a map, say.
 */
export function mergeByKey(versions: Versions<StoreFile>): KeyMerge | null {
  const { ours, theirs } = versions;
  const plan = planOf(versions);
  const forOurs = rendered(versions, plan.expected);
  const isSettled = plan.conflicts.length === 0;
  const theirsExpected = new Map(plan.expected);
  for (const { path, theirs: unit } of plan.conflicts) put(theirsExpected, path, unit);
  const swapped = { ...versions, ours: theirs, theirs: ours };
  if (forOurs !== null && isSettled && !forOurs.losesComments)
    return { text: forOurs.text, theirsText: forOurs.text, conflicts: [], commentsDiffer: false };
  const forTheirs = rendered(swapped, theirsExpected);
  if (forOurs === null || forTheirs === null) return null;
  const commentsDiffer = forOurs.losesComments || forTheirs.losesComments;
  return { text: forOurs.text, theirsText: forTheirs.text, conflicts: plan.conflicts, commentsDiffer };
}

/** What the merged file is to hold: of conflicts, what `ours` has. */
function planOf(versions: Versions<StoreFile>): {
  readonly expected: ReadonlyMap<string, Unit>;
  readonly conflicts: readonly KeyConflict[];
} {
  const [base, ours, theirs] = [versions.base, versions.ours, versions.theirs].map((file) =>
    unitsOf(file?.documents ?? []),
  );
  const expected = new Map<string, Unit>();
  const conflicts: KeyConflict[] = [];
  for (const key of new Set([...(ours ?? none).keys(), ...(theirs ?? none).keys()])) {
    const [was, mine, other] = [base, ours, theirs].map((units) => units?.get(key) ?? null);
    const isSame = (a: Unit | null | undefined, b: Unit | null | undefined): boolean => a?.content === b?.content;
    const chosen = isSame(mine, was) ? other : mine;
    if (!isSame(mine, was) && !isSame(other, was) && !isSame(mine, other)) {
      const path = (mine ?? other)?.path ?? [];
      conflicts.push({ path, base: was ?? null, ours: mine ?? null, theirs: other ?? null });
    }
    if (chosen !== null && chosen !== undefined) expected.set(key, chosen);
  }
  return { expected, conflicts };
}

const none: Units = new Map();

function put(units: Map<string, Unit>, path: readonly string[], unit: Unit | null): void {
  const key = unitKey(path);
  if (unit === null) units.delete(key);
  else units.set(key, unit);
}

/** A text with the expected values: lines merged, and what they do not give right set by key. Null where that cannot be. */
function rendered(
  { base, ours, theirs }: Versions<StoreFile>,
  expected: Units,
): { readonly text: string; readonly losesComments: boolean } | null {
  const lines = mergeLines(ours.text, base?.text ?? "", theirs.text);
  const starts = [...(lines === null ? [] : [lines.text]), ours.text];
  for (const start of starts) {
    const text = withUnits(ours, start, expected);
    if (text === null) continue;
    const after = loaded(ours, text);
    const kept = new Map<string, number>();
    for (const comment of after === null ? [] : commentsIn(after.documents)) count(kept, comment, 1);
    const old = new Map<string, number>();
    for (const comment of base === null ? [] : commentsIn(base.documents)) count(old, comment, 1);
    const losesComments = [ours, theirs].some((side) => {
      const [left, known] = [new Map(kept), new Map(old)];
      return commentsIn(side.documents).some(
        (comment) => count(known, comment, -1) < 0 && count(left, comment, -1) < 0,
      );
    });
    return { text, losesComments };
  }
  return null;
}

function count(counts: Map<string, number>, text: string, change: number): number {
  const now = (counts.get(text) ?? 0) + change;
  counts.set(text, now);
  return now;
}

/** Each change by key reads the text again: some hundred in a usual file, and not for minutes in one that is made for it. */
const maxWork = 100_000_000;

/** The text with exactly these values. Null where it cannot be read or brought there. */
function withUnits(like: StoreFile, text: string, wanted: Units): string | null {
  const expected = withoutFilled(wanted);
  try {
    let file = loaded(like, text);
    if (file === null) return null;
    const present = unitsOf(file.documents);
    const isWhole = file.documents.length === 1;
    const changes =
      [...present.keys()].filter((key) => !expected.has(key)).length +
      [...expected].filter(([key, { content }]) => present.get(key)?.content !== content).length;
    if (changes * text.length > maxWork) return null;
    for (const [key, { path }] of present) {
      if (expected.has(key) || !isWhole || isEmptyMap(present.get(key))) continue;
      file = file.store.load(Buffer.from(file.unset(path)), { file: like.file });
    }
    for (const [key, { path, value, content }] of expected) {
      if (present.get(key)?.content === content || !isWhole) continue;
      file = file.store.load(Buffer.from(file.set(path, value)), { file: like.file });
    }
    return isSame(unitsOf(file.documents), expected) ? file.text : null;
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}

/** Without what is empty on one side and has something in it on the other. */
function withoutFilled(units: Units): Units {
  const containers = new Set<string>();
  for (const { path } of units.values())
    for (let depth = 1; depth < path.length; depth++) containers.add(unitKey(path.slice(0, depth)));
  return new Map([...units].filter(([key, { value }]) => value.kind !== "empty" || !containers.has(key)));
}

function loaded(like: StoreFile, text: string): StoreFile | null {
  try {
    return like.store.load(Buffer.from(text), { file: like.file });
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}

/** Empty maps aside: one is left where the last key of a map was taken out. */
function isSame(a: Units, b: Units): boolean {
  const held = (units: Units) => new Map([...units].filter(([, unit]) => !isEmptyMap(unit)));
  const [left, right] = [held(a), held(b)];
  return left.size === right.size && [...left].every(([key, { content }]) => right.get(key)?.content === content);
}

const isEmptyMap = (unit: Unit | undefined): boolean => unit?.value.kind === "empty" && unit.value.value === "map";
