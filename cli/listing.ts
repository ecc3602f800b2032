// Which files `seal check` looks at: what Git knows and does not ignore, or outside Git everything but its own folders; and
// whether Git knows a file. Knows file names only.
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import type { Io } from "./io.ts";
import { printNote } from "./report.ts";
import { findWorkTree, shown } from "./settings.ts";

const isManifestName = (name: string): boolean => /\.(ya?ml|json)$/i.test(name);

/**
 * YAML and JSON files under the paths, relative to the working folder with "/" between their parts, sorted. A file that is
 * named itself is taken whatever it is called. Throws `file-missing` for a path that does not exist.
 */
export async function listManifests(io: Io, paths: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const path of paths) {
    const start = resolve(io.cwd, path);
    if ((await io.fs.kind(start)) !== "folder") {
      await io.fs.read(start);
      found.add(start);
      continue;
    }
    for (const name of await listFolder(io, start)) {
      if (isManifestName(name)) found.add(join(start, name));
    }
  }
  return [...found].map((file) => relative(io.cwd, file).split(sep).join("/")).sort();
}

/** Whether Git has this file, in its index at least. False where there is no Git to ask. */
export async function isTrackedByGit(io: Io, path: string): Promise<boolean> {
  const question = ["--literal-pathspecs", "-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--"];
  const { status } = await io.run(["git", ...question, basename(path)], { cwd: dirname(path), capture: true });
  return status === 0;
}

async function listFolder(io: Io, folder: string): Promise<readonly string[]> {
  if ((await findWorkTree(io, await io.fs.realPath(folder))) !== null) {
    // fsmonitor names a program that Git would start just for this listing.
    const command = ["git", "-c", "core.fsmonitor=false", "ls-files", "-co", "--exclude-standard", "-z"];
    const { status, stdout } = await io.run(command, { cwd: folder, capture: true });
    if (status === 0) return new TextDecoder().decode(stdout).split("\0");
    await printNote(
      io,
      `git cannot list ${shown(io, folder)}: looking at every file in it, those that Git ignores included`,
    );
  }
  const found: string[] = [];
  const walk = async (at: string): Promise<void> => {
    for (const { name, isFolder } of await io.fs.list(join(folder, at))) {
      if (!isFolder) found.push(join(at, name));
      else if (name !== ".git" && name !== "node_modules") await walk(join(at, name));
    }
  };
  await walk("");
  return found;
}
