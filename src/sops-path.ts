// Paths into a SOPS file as `sops` writes them: `["database"]["users"][0]`. Knows no file.
import { quoteName, SealwardError } from "./errors.ts";
import { nearestKey } from "./near-key.ts";
import type { Path } from "./sops-change.ts";
import type { MapValue, Value } from "./store.ts";

const part = /\[\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\d{1,9}))\s*\]/y;

/**
 * Reads a path: names in brackets, quoted, and numbers. In double quotes a name may hold JSON's escapes, which `sops` does not
 * know. @throws path-missing where the text is none
 */
export function parsePath(text: string): Path {
  const path: (string | number)[] = [];
  part.lastIndex = 0;
  for (let at = 0; at < text.length; at = part.lastIndex) {
    const match = part.exec(text);
    const name = match === null ? null : nameIn(match);
    if (name === null) throw new SealwardError("path-missing", `The path cannot be read: expected ["key"] or [0]`);
    path.push(name);
  }
  if (path.length === 0) throw new SealwardError("path-missing", "The path is empty");
  return path;
}

function nameIn([, double, single, index]: RegExpExecArray): string | number | null {
  if (index !== undefined) return Number(index);
  if (single !== undefined) return single;
  try {
    return JSON.parse(`"${double ?? ""}"`) as string;
  } catch {
    return null;
  }
}

export function formatPath(path: Path): string {
  return path.map((key) => `[${typeof key === "number" ? key : JSON.stringify(key)}]`).join("");
}

/** What stands at the path. @throws path-missing */
export function valueAt(root: MapValue, path: Path, file?: string): Value {
  let value: Value = root;
  for (const key of path) {
    const next = childOf(value, key);
    if (next === undefined)
      throw new SealwardError("path-missing", `Nothing stands at ${formatPath(path)}${meantIn(value, key)}`, { file });
    value = next;
  }
  return value;
}

/** Names of keys stand in the clear; one that does not look like a name is not repeated. */
function meantIn(value: Value, key: string | number): string {
  if (value.kind !== "map" || typeof key === "number") return "";
  const meant = nearestKey(
    key,
    value.items.flatMap((item) => (item.kind === "pair" && typeof item.key === "string" ? [item.key] : [])),
  );
  return meant === undefined ? "" : `; did you mean ${quoteName(meant)}?`;
}

function childOf(value: Value, key: string | number): Value | undefined {
  if (value.kind === "list" && typeof key === "number")
    return value.items.filter((item): item is Value => item.kind !== "comment")[key];
  if (value.kind !== "map" || typeof key === "number") return undefined;
  for (const item of value.items) if (item.kind === "pair" && item.key === key) return item.value;
  return undefined;
}
