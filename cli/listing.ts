// Which files `seal check` looks at: what Git knows and does not ignore, or outside Git everything but its own folders; and
// whether Git knows a file. Knows file names only.
import { dirname, join, relative, resolve } from "node:path";
import { SealwardError } from "../src/index.ts";
import type { Io } from "./io.ts";
import { posixRelative } from "./paths.ts";
import { printNote } from "./report.ts";
import { findWorkTree, shown } from "./settings.ts";

/** Files in which a Secret, SOPS' block or a value in the clear may stand. */
const isManifestName = (name: string): boolean =>
  /\.(?:ya?ml|json|env|ini)$|(?:^|[\\/])\.env(?:\.[^\\/]+)?$|(?:^|[\\/])(?:Docker|Container)file(?:\.[^\\/]+)?$/i.test(
    name,
  );

/**
 * YAML, JSON, dotenv and ini files and Dockerfiles under the paths, and those that `also` names, relative to the working folder with "/" between their parts, sorted. A file that is
 * named itself is taken whatever it is called. Throws `file-missing` for a path that does not exist.
 */
export async function listManifests(
  io: Io,
  paths: readonly string[],
  also: (path: string) => boolean = () => false,
): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const path of paths) {
    const start = resolve(io.cwd, path);
    const kind = await io.fs.kind(start);
    if (kind === "other")
      throw new SealwardError("file-unreadable", "Cannot look at it: it is no regular file", { file: path });
    if (kind !== "folder") {
      await io.fs.read(start);
      found.add(start);
      continue;
    }
    for (const name of await listFolder(io, start)) {
      if (isManifestName(name) || also(join(start, name))) found.add(join(start, name));
    }
  }
  return [...found].map((file) => posixRelative(io.cwd, file)).sort();
}

/**
 * Which of these files Git has, in its index at least: all of one folder and below are asked for at once. None where there is no
 * Git to ask.
 */
export async function trackedByGit(io: Io, paths: readonly string[]): Promise<ReadonlySet<string>> {
  const tracked = new Set<string>();
  const byTree = new Map<string, string[]>();
  const trees = new Map<string, string | null>();
  for (const path of paths) {
    const folder = dirname(path);
    if (!trees.has(folder)) trees.set(folder, await findWorkTree(io, folder));
    const tree = trees.get(folder) ?? null;
    if (tree !== null) byTree.set(tree, [...(byTree.get(tree) ?? []), path]);
  }
  for (const [tree, files] of byTree) {
    for (let from = 0; from < files.length; from += atOnce) {
      const names = files.slice(from, from + atOnce).map((file) => relative(tree, file));
      const question = ["--literal-pathspecs", "-c", "core.fsmonitor=false", "ls-files", "-z", "--", ...names];
      const { status, stdout } = await io.run(["git", ...question], { cwd: tree, capture: true });
      if (status !== 0) continue;
      for (const name of new TextDecoder().decode(stdout).split("\0")) if (name !== "") tracked.add(join(tree, name));
    }
  }
  return tracked;
}

/** Far below what a system takes as arguments. */
const atOnce = 500;

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
