// seal git resolve: walks a person through the conflicts of sealed files. Takes the versions from Git's index where it has
// them, else from between the markers; values are shown only when asked for.
import { resolve } from "node:path";
import { type Decision, firstMarker, SealwardError, sidesOf } from "../../src/index.ts";
import { chooseSide, decide } from "../conflict-questions.ts";
import { decodeText } from "../document.ts";
import { askGit, gitPath, readBlobs, requireGit, requireWorkTree } from "../git.ts";
import type { Io } from "../io.ts";
import { replaceInput } from "../output.ts";
import { HintedError, printDone, printNote, safeText, shellQuote, UsageError } from "../report.ts";
import {
  isSealedVersion,
  type MergedVersions,
  mergeVersions,
  type ThreeVersions,
  type VersionOptions,
} from "../versions.ts";

export interface ResolveOptions extends VersionOptions {
  /** Keys to take from one side, without a question. */
  readonly ours?: readonly string[];
  readonly theirs?: readonly string[];
  /** The side for whatever is left. */
  readonly take?: "ours" | "theirs";
  /** False: the index is left alone. */
  readonly add?: boolean;
}

export async function gitResolve(io: Io, files: readonly string[], options: ResolveOptions): Promise<void> {
  const tree = await requireWorkTree(io, io.cwd);
  const names = files.length > 0 ? files : await unmergedFiles(io, tree);
  if (names.length === 0) return printDone(io, "nothing to resolve: no sealed file is unmerged");
  for (const name of names) await resolveFile(io, name, { ...options, tree });
}

/** Sealed files that Git's index has in several stages, as paths from the working folder. */
async function unmergedFiles(io: Io, tree: string): Promise<readonly string[]> {
  const listed = Buffer.from(
    await requireGit(io, ["diff", "--name-only", "--diff-filter=U", "-z", "--relative"], { cwd: io.cwd }),
  );
  const names = [...new Set(listed.toString().split("\0"))].filter((name) => name !== "");
  const sealed: string[] = [];
  for (const name of names) {
    const path = gitPath(tree, resolve(await io.fs.realPath(io.cwd), name));
    const blobs = await readBlobs(io, tree, [`:2:${path}`, `:3:${path}`]);
    if ([...blobs.values()].some((bytes) => bytes !== null && isSealedVersion(bytes, name))) sealed.push(name);
  }
  return sealed;
}

type Resolving = ResolveOptions & { readonly tree: string };

async function resolveFile(io: Io, name: string, options: Resolving): Promise<void> {
  const path = resolve(io.cwd, name);
  const present = await io.fs.read(path);
  const versions = await versionsOf(io, { name, path, present }, options.tree);
  const merged = await mergeOrNull(io, versions, options);
  const text = merged === null ? await wholeSide(io, versions, options) : await decidedText(io, name, merged, options);
  assertInOrder(text, name);
  await replaceInput(io, { name, path, bytes: present }, text);
  const isAdded = options.add !== false && (await askGit(io, ["add", "--", path], { cwd: options.tree })) !== null;
  await printDone(
    io,
    `resolved ${name}${isAdded ? " and added it to the index" : `: \`git add ${shellQuote(name)}\``}`,
  );
}

/** What is written is a sealed file again, or was none on either side. */
function assertInOrder(text: string, name: string): void {
  if (!isSealedVersion(Buffer.from(text), name))
    throw new SealwardError("not-sealed", "Cannot resolve: the outcome would not be a sealed file", { file: name });
}

interface Unmerged {
  readonly name: string;
  readonly path: string;
  /** What is in the work tree. */
  readonly present: Uint8Array;
}

/** @throws usage where there is no conflict to resolve; merge-conflict where one side removed the file, or markers are broken */
async function versionsOf(io: Io, { name, path, present }: Unmerged, tree: string): Promise<ThreeVersions> {
  const at = gitPath(tree, await io.fs.realPath(path));
  const text = decodeText(present, name);
  const hasMarkers = firstMarker(text) !== null;
  const blobs = await readBlobs(io, tree, [`:1:${at}`, `:2:${at}`, `:3:${at}`]);
  const [base = null, ours = null, theirs = null] = [1, 2, 3].map((stage) => blobs.get(`:${stage}:${at}`) ?? null);
  if (ours === null && theirs === null) {
    const sides = sidesOf(text);
    if (sides !== null)
      return { name, path, base: null, ours: Buffer.from(sides.ours), theirs: Buffer.from(sides.theirs) };
    if (!hasMarkers)
      throw new UsageError(`Nothing to resolve: ${name} has no conflict`, "`git status` lists what is unmerged");
    throw new HintedError("merge-conflict", "The conflict markers do not pair up: the file was edited by hand", {
      hint: `take both versions from Git again: \`git checkout -m -- ${shellQuote(name)}\``,
      file: name,
    });
  }
  if (ours === null || theirs === null)
    throw new HintedError(
      "merge-conflict",
      `One side changed the file and ${ours === null ? "ours" : "theirs"} removed it`,
      {
        hint: `keep it with \`git add ${shellQuote(name)}\`, or let it go with \`git rm ${shellQuote(name)}\``,
        file: name,
      },
    );
  if (!hasMarkers)
    throw new UsageError(
      `${name} is unmerged in the index, and has no conflict markers any more: it seems to be resolved`,
      `\`git add ${shellQuote(name)}\`, or begin anew with \`git checkout -m -- ${shellQuote(name)}\``,
    );
  return { name, path, base, ours, theirs };
}

/** Null, with the reason told, where the two cannot be merged by key but each is a file of its own. */
async function mergeOrNull(io: Io, versions: ThreeVersions, options: Resolving): Promise<MergedVersions | null> {
  try {
    return await mergeVersions(io, versions, options);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code !== "merge-conflict") throw problem;
    await printNote(io, `${versions.name}: ${problem.message}; one side is taken as a whole`);
    return null;
  }
}

async function wholeSide(io: Io, { name, ours, theirs }: ThreeVersions, options: Resolving): Promise<string> {
  const side = options.take ?? (await chooseSide(io, `${safeText(name)} as a whole:`));
  if (side === null) throw undecided(name, ["the file as a whole"]);
  return decodeText(side === "ours" ? ours : theirs, name);
}

async function decidedText(io: Io, name: string, merged: MergedVersions, options: Resolving): Promise<string> {
  const { merge, around, complete } = merged;
  const names = merge.conflicts.map((conflict) => conflict.name);
  const { ours = [], theirs = [], take } = options;
  const stranger = [...ours, ...theirs].find((key) => !names.includes(key));
  if (stranger !== undefined)
    throw new UsageError(
      `There is no conflict about a key of that name in ${name}`,
      names.length === 0 ? "leave --ours and --theirs out" : `those in conflict are: ${names.join(", ")}`,
    );
  const stated = (key: string): Decision | undefined =>
    ours.includes(key) ? "ours" : theirs.includes(key) ? "theirs" : take;
  const decisions = await decide(io, merge.conflicts, stated);
  const comments = merge.commentsDiffer ? (take ?? (await chooseSide(io, "comments of both sides differ:"))) : "ours";
  const left = [...names.filter((key) => !decisions.has(key)), ...(comments === null ? ["comments"] : [])];
  if (comments === null || left.length > 0) throw undecided(name, left);
  const { text, notices } = await complete(merge.resolve(decisions, comments));
  for (const notice of [...merge.notices, ...notices]) await printNote(io, `${name}: ${notice}`);
  return around(text);
}

const undecided = (file: string, names: readonly string[]): UsageError =>
  new UsageError(
    `Cannot resolve ${file} without a terminal to ask at: undecided are ${names.join(", ")}`,
    "decide for a key with `--ours KEY` or `--theirs KEY`, for all that is left with `--take ours` or `--take theirs`",
  );
