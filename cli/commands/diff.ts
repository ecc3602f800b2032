// seal diff: what changed between two versions of sealed files, by key. Opens both where it can and tells values apart by
// fingerprints that are worth nothing outside this run; where it cannot, it compares ciphertext and says so.
import { resolve } from "node:path";
import { differencesOf, type ErrorCode, type SealedView, SealwardError, viewClosed } from "../../src/index.ts";
import { asJson, type Comparison, isDifferent, linesOf } from "../diff-text.ts";
import { fingerprints } from "../fingerprint.ts";
import { askGit, gitPath, readBlobs, requireGit, requireWorkTree } from "../git.ts";
import type { Io } from "../io.ts";
import { HintedError, safeJson, UsageError } from "../report.ts";
import { isSealedVersion } from "../versions.ts";
import { openView, sealedSource } from "../views.ts";

export interface DiffOptions {
  readonly env?: string;
  readonly identity?: readonly string[];
  /** Compare with this commit. Default: HEAD. */
  readonly rev?: string;
  readonly staged?: boolean;
  readonly reveal?: boolean;
  /** Open nothing. */
  readonly keyless?: boolean;
  readonly exitCode?: boolean;
  readonly output: "text" | "json";
}

/** One version: where it is said to lie, which decides where it belongs, and what it holds. */
interface Version {
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array | null;
}

export async function diff(io: Io, files: readonly string[], options: DiffOptions): Promise<void> {
  const pairs = files.length === 2 ? [await twoFiles(io, files)] : await withHistory(io, files, options);
  const fingerprint = fingerprints();
  const shown: unknown[] = [];
  let differs = false;
  for (const [before, after] of pairs) {
    const compared = await compare(io, [before, after], options);
    const differences = differencesOf(compared.before, compared.after);
    const isChanged = isDifferent(compared, differences);
    differs ||= isChanged;
    const style = { fingerprint, reveal: options.reveal };
    if (options.output === "json") shown.push(asJson(compared, differences, style));
    // What lies unchanged is told of only where it was asked for by name.
    else if (isChanged || files.length > 0)
      for (const line of linesOf(compared, differences, style)) await io.stdout.write(`${line}\n`);
  }
  if (options.output === "json") await io.stdout.write(`${safeJson(shown)}\n`);
  if (options.exitCode && differs)
    throw new HintedError("check-failed", "The versions differ", {
      hint: "leave --exit-code out if that is no failure",
    });
}

async function twoFiles(io: Io, [a = "", b = ""]: readonly string[]): Promise<readonly [Version, Version]> {
  const read = async (name: string): Promise<Version> => {
    const path = resolve(io.cwd, name);
    return { name, path, bytes: await io.fs.read(path) };
  };
  const pair = [await read(a), await read(b)] as const;
  for (const { name, bytes } of pair)
    if (bytes !== null && !isSealedVersion(bytes, name))
      throw new SealwardError("not-sealed", "Cannot compare the file: it is not sealed", { file: name });
  return pair;
}

/** Each file as Git has it, and as it is: in the work tree or, with --staged, in the index. */
async function withHistory(
  io: Io,
  files: readonly string[],
  { rev = "HEAD", staged = false }: DiffOptions,
): Promise<readonly (readonly [Version, Version])[]> {
  if (files.length > 2)
    throw new UsageError("Cannot compare more than two files", "name one to compare it with Git, or two");
  const tree = await requireWorkTree(io, io.cwd);
  const commit = await commitOf(io, tree, rev);
  const names =
    files.length > 0
      ? files.map((file) => gitPath(tree, resolve(io.cwd, file)))
      : await changed(io, tree, commit, staged);
  const old = await readBlobs(io, tree, commit === null ? [] : names.map((name) => `${commit}:${name}`));
  const index = staged
    ? await readBlobs(
        io,
        tree,
        names.map((name) => `:${name}`),
      )
    : null;
  const pairs: (readonly [Version, Version])[] = [];
  for (const name of names) {
    const path = resolve(tree, name);
    const before = old.get(`${commit}:${name}`) ?? null;
    const isHere = (await io.fs.kind(path)) === "file";
    const after = index === null ? (isHere ? await io.fs.read(path) : null) : (index.get(`:${name}`) ?? null);
    if (files.length > 0 && before === null && after === null)
      throw new SealwardError("file-missing", `There is no such file, neither here nor in ${rev}`, { file: name });
    if (![before, after].some((bytes) => bytes !== null && isSealedVersion(bytes, name))) continue;
    pairs.push([
      { name, path, bytes: before },
      { name, path, bytes: after },
    ]);
  }
  return pairs;
}

/** Null for HEAD in a repository without a commit. */
async function commitOf(io: Io, tree: string, rev: string): Promise<string | null> {
  const found = await askGit(io, ["rev-parse", "--verify", "--quiet", "--end-of-options", `${rev}^{commit}`], {
    cwd: tree,
  });
  if (found !== null) return Buffer.from(found).toString().trim();
  if (rev === "HEAD") return null;
  throw new UsageError(`There is no commit ${rev}`, "name a commit, a branch or a tag: `--rev REV`");
}

async function changed(io: Io, tree: string, commit: string | null, staged: boolean): Promise<readonly string[]> {
  const question = [
    "diff",
    "--name-only",
    "--no-renames",
    "-z",
    ...(staged ? ["--cached"] : []),
    ...(commit === null ? [] : [commit]),
  ];
  return Buffer.from(await requireGit(io, question, { cwd: tree }))
    .toString()
    .split("\0")
    .filter((name) => name !== "");
}

async function compare(io: Io, versions: readonly [Version, Version], options: DiffOptions): Promise<Comparison> {
  const file = versions[0].name === versions[1].name ? versions[0].name : `${versions[0].name} and ${versions[1].name}`;
  if (!options.keyless) {
    try {
      const [before, after] = [await opened(io, versions[0], options), await opened(io, versions[1], options)];
      return { file, before, after, reason: null };
    } catch (problem) {
      if (!(problem instanceof SealwardError) || fatal.has(problem.code)) throw problem;
      const [before, after] = versions.map(closed);
      return { file, before: before ?? null, after: after ?? null, reason: `${problem.message} (${problem.code})` };
    }
  }
  const [before, after] = versions.map(closed);
  return { file, before: before ?? null, after: after ?? null, reason: "nothing was to be opened (--keyless)" };
}

const fatal: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["cancelled", "config-invalid", "usage"]);

async function opened(io: Io, { name, path, bytes }: Version, options: DiffOptions): Promise<SealedView | null> {
  return bytes === null || !isSealedVersion(bytes, name) ? null : openView(io, { name, path, bytes }, options);
}

function closed({ name, path, bytes }: Version): SealedView | null {
  return bytes === null || !isSealedVersion(bytes, name) ? null : viewClosed(sealedSource({ name, path, bytes }));
}
