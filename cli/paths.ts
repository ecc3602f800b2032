// Paths as Git, globs and messages write them, whatever the system's own form is. The rules of the system are handed in, so that
// those of Windows are tried out everywhere. Touches no file.
import nodePath from "node:path";

export type PathRules = Pick<typeof nodePath, "dirname" | "relative" | "sep">;

/** `to` as it stands below `from`, with "/" between its parts. On another drive it stays a full path. */
export const posixRelative = (from: string, to: string, path: PathRules = nodePath): string =>
  path.relative(from, to).split(path.sep).join("/");

/** The folder and those above it, the nearest first, up to the root of its drive or share. */
export function* upwards(folder: string, path: PathRules = nodePath): Generator<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    yield at;
    if (path.dirname(at) === at) return;
  }
}

/** Whether `path` is the folder or lies in it. */
export function isWithin(folder: string, file: string, path: PathRules = nodePath): boolean {
  return file === folder || file.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);
}
