// seal git merge: Git's merge driver for sealed files. Git hands over three versions in temporary files and takes the merged
// one from the second; what it merges is ciphertext before and after.
import { join, resolve } from "node:path";
import { SealwardError } from "../../src/index.ts";
import { conflictError, conflictText, undecided, wholeConflict } from "../conflict.ts";
import { requireWorkTree } from "../git.ts";
import type { Io } from "../io.ts";
import { printDone, printNote, UsageError } from "../report.ts";
import { isSealedVersion, type MergedVersions, mergeVersions, type ThreeVersions } from "../versions.ts";

export interface MergeOptions {
  readonly identity?: readonly string[];
}

export interface MergeArguments {
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
  /** How long Git wants conflict markers. */
  readonly size: string;
  /** Where the file is, from the top of the work tree. */
  readonly path: string;
}

/** @throws merge-conflict, which tells Git so, with the conflict in the file of OURS; for any other failure likewise */
export async function gitMerge(io: Io, given: MergeArguments, options: MergeOptions): Promise<void> {
  const size = Number(given.size);
  if (!Number.isInteger(size) || size < 7 || size > 1000)
    throw new UsageError(
      "Cannot merge: SIZE is no length of a conflict marker",
      "this command is for Git to run: `seal git install` sets it up",
    );
  const [base, ours, theirs] = await Promise.all(
    [given.base, given.ours, given.theirs].map((file) => io.fs.read(resolve(io.cwd, file))),
  );
  if (base === undefined || ours === undefined || theirs === undefined) return;
  if (!isSealedVersion(ours, given.path) && !isSealedVersion(theirs, given.path)) return mergeAsText(io, given, size);
  const tree = await requireWorkTree(io, io.cwd);
  // Git gives an empty file where both sides made the file.
  const before = base.length === 0 ? null : base;
  const versions = { name: given.path, path: join(tree, given.path), base: before, ours, theirs };
  const write = (text: string): Promise<void> => io.fs.write(resolve(io.cwd, given.ours), text);
  const merged = await mergedOrMarked(io, versions, options, () => write(wholeConflict(versions, size)));
  const open = undecided(merged.merge);
  if (open !== "") {
    await write(conflictText(merged, size));
    throw conflictError(given.path, `Both sides changed ${open}`);
  }
  await write(merged.around(merged.text));
  await printDone(io, `merged ${given.path} by key`);
}

/** Whatever goes wrong, Git must find both versions between markers in the file, else it would go on with one of them. */
async function mergedOrMarked(
  io: Io,
  versions: ThreeVersions,
  options: MergeOptions,
  mark: () => Promise<void>,
): Promise<MergedVersions & { readonly text: string }> {
  const { name } = versions;
  try {
    const merged = await mergeVersions(io, versions, options);
    const isDecided = undecided(merged.merge) === "";
    const { text, notices } = isDecided ? await merged.complete(merged.merge.text) : { text: "", notices: [] };
    for (const notice of [...merged.merge.notices, ...notices]) await printNote(io, `${name}: ${notice}`);
    return { ...merged, text };
  } catch (problem) {
    await mark();
    if (!(problem instanceof SealwardError)) throw problem;
    throw conflictError(name, `Cannot merge: ${problem.message} (${problem.code})`);
  }
}

/** What is not sealed is merged as Git would have merged it. */
async function mergeAsText(io: Io, { base, ours, theirs, path }: MergeArguments, size: number): Promise<void> {
  const labels = ["ours", "base", "theirs"].flatMap((label) => ["-L", label]);
  const command = ["git", "merge-file", "-q", ...labels, `--marker-size=${size}`, "--", ours, base, theirs];
  const { status } = await io.run(command, { cwd: io.cwd, capture: true });
  if (status === 0) return;
  const message = status === null ? "Cannot run git merge-file" : "Both sides changed the same lines";
  throw new SealwardError(status === null ? "git-failed" : "merge-conflict", message, { file: path });
}
