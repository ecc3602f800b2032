// How differences between two versions of a sealed file are written down: for people, and as JSON. Decides nothing; shows a
// sealed value only where it was asked to.
import type { Difference, RecipientEntry, SealedView, ViewedValue } from "../src/index.ts";
import { shortRecipient } from "./identities.ts";
import { safeJson, safeText } from "./report.ts";

export interface Comparison {
  readonly file: string;
  /** Null for a version that does not exist, or is not sealed. */
  readonly before: SealedView | null;
  readonly after: SealedView | null;
  /** Why ciphertext was compared, and no values; null where both were opened. */
  readonly reason: string | null;
}

export interface DiffStyle {
  readonly fingerprint: (value: Uint8Array) => string;
  readonly reveal?: boolean | undefined;
}

export function isDifferent({ before, after }: Comparison, differences: readonly Difference[]): boolean {
  return (
    differences.some(({ kind }) => kind !== "same") ||
    recipientsOf(before, after).length > 0 ||
    recipientsOf(after, before).length > 0 ||
    commentsDiffer(before, after)
  );
}

export function linesOf(comparison: Comparison, differences: readonly Difference[], style: DiffStyle): string[] {
  const { file, before, after, reason } = comparison;
  const changes = differences.filter(({ kind }) => kind !== "same");
  const width = Math.min(Math.max(0, ...changes.map(({ name }) => name.length)), 40);
  const isNew = before === null ? " (new)" : after === null ? " (no longer sealed here)" : "";
  const same = differences.filter(({ kind, after: value }) => kind === "same" && value?.isSecret === true).length;
  return [
    `${safeText(file)}${isNew}`,
    ...(reason === null ? [] : [`  compared by ciphertext, for it was not opened: ${safeText(reason)}`]),
    ...changes.map(
      (change) => `  ${signs[change.kind]} ${safeText(change.name).padEnd(width)}  ${valuesOf(change, style)}`,
    ),
    ...recipientsOf(after, before).map((id) => `  + recipient ${safeText(id)}`),
    ...recipientsOf(before, after).map((id) => `  - recipient ${safeText(id)}`),
    ...(commentsDiffer(before, after) ? ["  ~ comments"] : []),
    `  ${same} sealed ${same === 1 ? "value" : "values"} the same`,
  ];
}

const signs = { added: "+", removed: "-", changed: "~", same: " " } as const;

function valuesOf({ before, after }: Difference, style: DiffStyle): string {
  return [before, after].flatMap((value) => (value === null ? [] : [shown(value, style)])).join(" -> ");
}

function shown({ isSecret, bytes }: ViewedValue, { fingerprint, reveal }: DiffStyle): string {
  if (isSecret && reveal !== true) return `#${fingerprint(bytes)}`;
  const text = Buffer.from(bytes).toString();
  return Buffer.from(text).equals(bytes) ? safeJson(text) : `(${bytes.length} bytes that are no text)`;
}

/** Those of the one that the other does not have. */
function recipientsOf(one: SealedView | null, other: SealedView | null): string[] {
  if (one === null || other === null) return [];
  const ids = new Set(other.recipients.map(idOf));
  return one.recipients.filter((entry) => !ids.has(idOf(entry))).map(({ kind, id }) => `${kind} ${shortRecipient(id)}`);
}

const idOf = ({ kind, id }: RecipientEntry): string => `${kind} ${id}`;

function commentsDiffer(before: SealedView | null, after: SealedView | null): boolean {
  // Of a closed file the comments are ENC texts, which are new with every other data key.
  if (before === null || after === null || !before.isOpened) return false;
  return JSON.stringify(before.comments) !== JSON.stringify(after.comments);
}

/** For programs: the same, with fingerprints under `before` and `after`, or values where they were to be revealed. */
export function asJson(comparison: Comparison, differences: readonly Difference[], style: DiffStyle): object {
  const { file, before, after, reason } = comparison;
  return {
    file,
    status:
      before === null
        ? "added"
        : after === null
          ? "removed"
          : isDifferent(comparison, differences)
            ? "changed"
            : "same",
    ...(reason === null ? {} : { comparedBy: "ciphertext", reason }),
    values: differences.map((difference) => ({
      name: difference.name,
      change: difference.kind,
      sealed: (difference.after ?? difference.before)?.isSecret ?? false,
      ...(difference.before === null ? {} : { before: shown(difference.before, style) }),
      ...(difference.after === null ? {} : { after: shown(difference.after, style) }),
    })),
    recipientsAdded: recipientsOf(after, before),
    recipientsRemoved: recipientsOf(before, after),
    commentsChanged: commentsDiffer(before, after),
  };
}
