// The files of Git's index as a file system: what is about to be committed, as it stands there. Reads only; outside the work
// tree it is the real one.
import { join, sep } from "node:path";
import { SealwardError } from "../src/index.ts";
import type { Files } from "./files.ts";
import { gitPath, readBlobs, requireGit, requireWorkTree } from "./git.ts";
import type { Io } from "./io.ts";

export interface StagedFiles {
  readonly fs: Files;
  /** Paths of regular files that differ from HEAD, from the top of the work tree; all of them where a seal.yaml differs. */
  readonly changed: readonly string[];
  /** Paths that are in several stages: a merge that is not resolved. */
  readonly unmerged: readonly string[];
  /** Paths that are no UTF-8. */
  readonly unreadable: readonly string[];
  readonly tree: string;
}

/** @throws git-failed outside a work tree */
export async function stagedFiles(io: Io): Promise<StagedFiles> {
  const tree = await requireWorkTree(io, io.cwd);
  const { regular, unmerged, unreadable } = await indexOf(io, tree);
  const changed = await changedIn(io, tree, regular);
  const isPolicy = (path: string): boolean => /(?:^|\/)seal\.yaml$/.test(path);
  const looked = changed.some(isPolicy) ? [...regular.keys()] : changed;
  const named = new Set([...looked, ...[...regular.keys()].filter(isPolicy)]);
  // By their objects: a path may hold what no question to Git can.
  const objects = new Map([...named].map((path) => [path, regular.get(path) ?? ""]));
  const blobs = await readBlobs(io, tree, [...new Set(objects.values())]);
  const contents = new Map([...objects].map(([path, object]) => [path, blobs.get(object) ?? null]));
  return { fs: overIndex(io.fs, { tree, regular, contents }), changed: looked, unmerged, unreadable, tree };
}

/** Symbolic links and submodules are no files whose content counts. */
async function indexOf(
  io: Io,
  tree: string,
): Promise<{
  readonly regular: ReadonlyMap<string, string>;
  readonly unmerged: readonly string[];
  readonly unreadable: readonly string[];
}> {
  const regular = new Map<string, string>();
  const unmerged = new Set<string>();
  const unreadable = new Set<string>();
  const listed = Buffer.from(await requireGit(io, ["ls-files", "--stage", "-z"], { cwd: tree })).toString();
  for (const entry of listed.split("\0")) {
    const [, mode, object, stage, path] = /^(\d+) ([0-9a-f]+) (\d)\t([\s\S]+)$/.exec(entry) ?? [];
    if (path === undefined || object === undefined) continue;
    // Several such names read as one, so none of them can be told from the others.
    if (path.includes("\ufffd")) unreadable.add(path);
    else if (stage !== "0") unmerged.add(path);
    else if (mode?.startsWith("100")) regular.set(path, object);
  }
  return { regular, unmerged: [...unmerged], unreadable: [...unreadable] };
}

/** Against an empty tree where there is no commit yet: git does that by itself. */
async function changedIn(io: Io, tree: string, regular: Index["regular"]): Promise<readonly string[]> {
  const question = ["diff", "--cached", "--name-only", "--no-renames", "--diff-filter=d", "--no-ext-diff", "-z"];
  const listed = Buffer.from(await requireGit(io, question, { cwd: tree })).toString();
  return listed.split("\0").filter((path) => regular.has(path));
}

interface Index {
  readonly tree: string;
  /** Objects by path. */
  readonly regular: ReadonlyMap<string, string>;
  readonly contents: ReadonlyMap<string, Uint8Array | null>;
}

function overIndex(real: Files, { tree, regular, contents }: Index): Files {
  const folders = new Set<string>();
  for (const path of regular.keys())
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) folders.add(path.slice(0, at));
  /** Null for what is not the index's to say. */
  const within = (path: string): string | null => {
    const name = gitPath(tree, path);
    const isOutside = name === "" || name === "." || name === ".." || name.startsWith("../") || path === tree;
    return isOutside || name === ".git" || name.startsWith(".git/") ? null : name;
  };
  const read = (path: string, name: string): Uint8Array => {
    const bytes = contents.get(name);
    if (bytes === undefined || bytes === null)
      throw new SealwardError("file-missing", `Cannot read "${path}": it is not in the index`);
    return bytes;
  };
  const refused = (): never => {
    throw new TypeError("the index is read only");
  };
  return {
    ...real,
    read: async (path) => {
      const name = within(path);
      return name === null ? real.read(path) : read(path, name);
    },
    size: async (path) => {
      const name = within(path);
      return name === null ? real.size(path) : read(path, name).length;
    },
    fileSize: async (path) => {
      const name = within(path);
      if (name === null) return real.fileSize(path);
      return regular.has(name) ? read(path, name).length : null;
    },
    kind: async (path) => {
      const name = within(path);
      if (name === null) return real.kind(path);
      return regular.has(name) ? "file" : folders.has(name) ? "folder" : null;
    },
    // No link of the index leads anywhere: a file below one cannot be in it.
    realPath: async (path) =>
      within(path) === null ? real.realPath(path) : path.endsWith(sep) ? path.slice(0, -1) : path,
    list: async (folder) => {
      if (folder !== tree && within(folder) === null) return real.list(folder);
      const start = folder === tree ? "" : `${gitPath(tree, folder)}/`;
      const names = [...regular.keys(), ...folders].filter(
        (path) => path.startsWith(start) && !path.slice(start.length).includes("/"),
      );
      return names
        .map((path) => ({ name: path.slice(start.length), isFolder: folders.has(path) }))
        .filter(({ name }) => name !== "");
    },
    write: refused,
    replace: refused,
    create: refused,
    remove: refused,
  };
}

/** The same surroundings, in which a file is what the index has of it. */
export const withStaged = (io: Io, { fs }: Pick<StagedFiles, "fs">): Io =>
  Object.create(io, { fs: { value: fs } }) as Io;

/** As messages name a path of the index. */
export const pathInTree = (tree: string, path: string): string => join(tree, ...path.split("/"));
