// Keeps what is about to be sealed out of what stays in the clear: finds the comments that belong to data and stringData,
// and refuses a manifest whose other text repeats a value. Encrypts nothing itself.
import type { Node, Scalar } from "yaml";
import { fromBase64, toBase64 } from "./bytes.ts";
import type { ClearComment, LocatedComment } from "./clear-text.ts";
import type { Entry, Manifest } from "./manifest.ts";
import { aadOfPath } from "./sops-value.ts";
import { rangeOf } from "./splice.ts";
import { type CommentToken, commentsOf, pairsOf, type YamlSource } from "./yaml-source.ts";

/** A comment and the map it speaks about. */
export interface SecretComment {
  readonly comment: CommentToken;
  readonly map: Entry["map"];
  /** The block text after whose `|` or `>` it stands, and with whose node it is replaced. */
  readonly header: Scalar | undefined;
}

/** Comments that stand between the key `data` or `stringData` and the next key of the document, unless they start a line of it. */
export function secretComments({ source, entries }: Manifest): SecretComment[] {
  const headers = new Map(
    entries
      .filter(({ node }) => node.type?.startsWith("BLOCK") === true)
      .map(({ node }) => [source.placeOf(rangeOf(node)[0]).line, node]),
  );
  const keys = pairsOf(source.root).map(([name, { key }]) => ({ name, offset: rangeOf(key as Node)[0] }));
  const column = source.columnOf(keys[0]?.offset ?? 0);
  return commentsOf(source.text).flatMap((comment) => {
    const owner = keys.findLast(({ offset }) => offset < comment.offset);
    const secret = owner?.name === "data" || owner?.name === "stringData" ? owner.name : undefined;
    if (secret === undefined || source.columnOf(comment.offset) <= column) return [];
    return [{ comment, map: secret, header: headers.get(source.placeOf(comment.offset).line) }];
  });
}

/**
 * The encrypted comments of a sealed Secret. Only where sealing would encrypt a comment is one opened: comments are outside
 * the MAC, and one that was moved to another place would otherwise be written back there in the clear.
 */
export function sealedComments(manifest: Manifest): LocatedComment[] {
  return secretComments(manifest).map(({ comment: { offset, text }, map }) => ({
    offset,
    raw: text,
    aads: [aadOfPath([map])],
  }));
}

/** Refuses a manifest in which a comment that was encrypted before would now stand in the clear. */
export function assertCommentsStaySecret(
  manifest: Manifest,
  opened: readonly ClearComment[],
  before: YamlSource,
): void {
  const texts = new Set(opened.map(({ text }) => text));
  for (const { text } of commentsOf(before.text)) texts.delete(text);
  const secret = new Set(secretComments(manifest).map(({ comment }) => comment.offset));
  const bare = commentsOf(manifest.source.text).find(({ offset, text }) => texts.has(text) && !secret.has(offset));
  if (bare === undefined) return;
  throw manifest.source.refusal(
    "clear-leak",
    "A comment outside data and stringData was encrypted and would stand in the clear: remove it, or move it to the value it speaks of",
  );
}

/** Shorter values are words that turn up by chance. */
const shortestLeak = 8;

/**
 * Refuses a manifest whose clear part repeats a value that is about to be sealed. A value that is part of the Secret's own
 * name, namespace or application labels gives nothing away.
 */
export function assertNoLeak(manifest: Manifest): void {
  const { source, labels, annotations } = manifest;
  const names = namesOf(manifest);
  const clear: { readonly what: string; readonly text: string; readonly offset: number }[] = [];
  for (const [what, fields] of [
    ["label", labels],
    ["annotation", annotations],
  ] as const) {
    for (const [key, { value, node }] of fields) {
      // Names come first: one that repeats the value is not printed.
      clear.unshift({ what: `The name of one ${what}`, text: key, offset: rangeOf(node)[0] });
      clear.push({ what: `The ${what} ${key}`, text: value, offset: rangeOf(node)[0] });
    }
  }
  const secret = new Set(secretComments(manifest).map(({ comment }) => comment.offset));
  for (const { offset, text } of commentsOf(source.text))
    if (!secret.has(offset)) clear.push({ what: "A comment", text, offset });
  if (clear.length === 0) return;
  for (const { needle, entry } of needlesOf(manifest)) {
    if (names.some((known) => known.includes(needle))) continue;
    const leak = clear.find(({ text }) => text.includes(needle));
    if (leak !== undefined) {
      throw source.refusal(
        "clear-leak",
        `${leak.what} stays in the clear and repeats the value of ${entry.map}.${entry.key}`,
        leak.offset,
      );
    }
  }
}

/** Labels that say what an application is called; a user name or a database is often called the same. */
const naming = /^(?:app|name|component|app\.kubernetes\.io\/.*)$/;

function namesOf({ name, namespace = "", labels }: Manifest): string[] {
  return [name, namespace, ...[...labels].filter(([key]) => naming.test(key)).map(([, { value }]) => value)];
}

function* needlesOf({ entries }: Manifest): Generator<{ readonly needle: string; readonly entry: Entry }> {
  for (const entry of entries) {
    const raw = entry.map === "data" ? fromBase64(entry.value) : Buffer.from(entry.value);
    if (raw === null || raw.length < shortestLeak) continue;
    const text = Buffer.from(raw).toString();
    for (const needle of new Set([text, text.trim(), toBase64(raw), entry.value]))
      if (needle.length >= shortestLeak) yield { needle, entry };
  }
}
