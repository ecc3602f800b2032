// Asks Git: runs it in a work tree and reads objects. Knows nothing about what files hold.
import { relative, sep } from "node:path";
import { SealwardError } from "../src/index.ts";
import type { Io } from "./io.ts";
import { findWorkTree } from "./settings.ts";

/** Configuration of the repository that would have Git start programs of its choice just for a question of ours. */
const harmless = ["-c", "core.fsmonitor=false", "-c", "core.quotePath=false"];

export interface GitQuestion {
  /** A folder in the work tree. */
  readonly cwd: string;
  readonly input?: Uint8Array;
}

/** What git prints. Null where it ends with another status than 0. @throws git-failed where it cannot be started */
export async function askGit(io: Io, args: readonly string[], { cwd, input }: GitQuestion): Promise<Uint8Array | null> {
  const options = { cwd, capture: true, ...(input === undefined ? {} : { input }) };
  const { status, stdout } = await io.run(["git", ...harmless, ...args], options);
  if (status === null) throw new SealwardError("git-failed", "Cannot run git: it could not be started, or was killed");
  return status === 0 ? stdout : null;
}

/** The same, where only an answer will do. @throws git-failed, which names the command and nothing that it printed */
export async function requireGit(io: Io, args: readonly string[], question: GitQuestion): Promise<Uint8Array> {
  const answer = await askGit(io, args, question);
  if (answer === null)
    throw new SealwardError("git-failed", `Git did not do what it was asked for: git ${args.join(" ")}`);
  return answer;
}

/** The top folder of the work tree that `folder` lies in. @throws git-failed outside any */
export async function requireWorkTree(io: Io, folder: string): Promise<string> {
  const tree = await findWorkTree(io, await io.fs.realPath(folder));
  if (tree === null) throw new SealwardError("git-failed", "Cannot ask Git: this is no Git work tree");
  return tree;
}

/** A path as Git names it. */
export const gitPath = (tree: string, path: string): string => relative(tree, path).split(sep).join("/");

/**
 * The blobs behind names such as `HEAD:a.yaml` or `:a.yaml` (the index), read by one process; null for what is not there or is
 * no blob.
 */
export async function readBlobs(
  io: Io,
  tree: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array | null>> {
  const blobs = new Map<string, Uint8Array | null>();
  // A line break ends a question, so such a name cannot be asked for; and no question takes no process.
  const askable = names.filter((name) => !name.includes("\n"));
  if (askable.length === 0) return blobs;
  const input = Buffer.from(`${askable.join("\n")}\n`);
  const answer = Buffer.from(await requireGit(io, ["cat-file", "--batch"], { cwd: tree, input }));
  let at = 0;
  for (const name of askable) {
    const end = answer.indexOf(10, at);
    if (end < 0) break;
    const [, kind, size] = /^[0-9a-f]+ (\w+) (\d+)$/.exec(answer.toString("latin1", at, end)) ?? [];
    at = end + 1;
    if (size === undefined) {
      blobs.set(name, null);
      continue;
    }
    blobs.set(name, kind === "blob" ? answer.subarray(at, at + Number(size)) : null);
    at += Number(size) + 1;
  }
  for (const name of names) if (!blobs.has(name)) blobs.set(name, null);
  return blobs;
}
