// What the merge driver leaves where both sides changed the same thing, and how people hear of it.
import { type SealedMerge, withMarkers } from "../src/index.ts";
import { decodeText } from "./document.ts";
import { HintedError, shellQuote } from "./report.ts";
import type { MergedVersions, ThreeVersions } from "./versions.ts";

const labels = { ours: "ours", theirs: "theirs" };

/** Both outcomes of a merge in one text, each of them a whole file. */
export function conflictText({ merge, around }: MergedVersions, size: number): string {
  return merge.conflictText({ size, labels }, around);
}

/** Both versions as they are, for what cannot be merged. @throws not-utf8 */
export function wholeConflict({ ours, theirs, name }: ThreeVersions, size: number): string {
  return withMarkers(decodeText(ours, name), decodeText(theirs, name), { size, labels });
}

/** What is left to decide, in a few words. */
export function undecided({ conflicts, commentsDiffer }: SealedMerge): string {
  const names = conflicts.map(({ name }) => name);
  const shown = names.length > 8 ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more` : names.join(", ");
  return [...(names.length === 0 ? [] : [shown]), ...(commentsDiffer ? ["comments"] : [])].join(", ");
}

export const resolveHint = (name: string): string => `walk through it: \`seal git resolve ${shellQuote(name)}\``;

export const conflictError = (name: string, message: string): HintedError =>
  new HintedError("merge-conflict", message, { hint: resolveHint(name), file: name });
