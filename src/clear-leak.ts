// Keeps what is about to be sealed out of what stays in the clear: refuses a manifest whose clear text repeats a value.
// Encrypts nothing itself.
import { fromBase64, toBase64 } from "./bytes.ts";
import { sealedSelection } from "./gate.ts";
import type { Entry, Manifest } from "./manifest.ts";
import type { OpenedComment } from "./sops-file.ts";
import { entriesOf } from "./sops-tree.ts";
import { rangeOf } from "./splice.ts";
import { readYamlTree } from "./yaml-tree.ts";

/** Refuses a manifest in which a comment that was encrypted before would now stand in the clear. */
export function assertCommentsStaySecret(manifest: Manifest, before: readonly OpenedComment[]): void {
  const texts = new Set(before.filter(({ enc }) => enc !== null).map(({ text }) => text));
  for (const { text, enc } of before) if (enc === null) texts.delete(text);
  const bare = clearComments(manifest).find(({ text }) => texts.has(text));
  if (bare === undefined) return;
  throw manifest.source.refusal(
    "clear-leak",
    "A comment outside data and stringData was encrypted and would stand in the clear: remove it, or move it to the value it speaks of",
  );
}

/** The comments that sealing leaves in the clear. */
function clearComments({ source }: Manifest): { readonly text: string; readonly offset: number }[] {
  const { comments } = entriesOf([readYamlTree(source).root], sealedSelection, { isEncrypted: false });
  return comments.filter(({ encrypted }) => !encrypted).map(({ text, item }) => ({ text, offset: item.offset }));
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
  for (const { offset, text } of clearComments(manifest)) clear.push({ what: "A comment", text, offset });
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
