// seal git install: has Git merge sealed files by key, show them without their ciphertext, and check every commit. Writes a
// block of its own into .gitattributes and hooks, and into the repository's own configuration; takes it out again.
import { join, resolve } from "node:path";
import { SealwardError } from "../../src/index.ts";
import { decodeText } from "../document.ts";
import { askGit, gitPath, requireGit, requireWorkTree } from "../git.ts";
import type { Io } from "../io.ts";
import { withBlock } from "../marked-block.ts";
import { assertNoLink } from "../output.ts";
import { HintedError, printDone, printNote, UsageError } from "../report.ts";
import { findSettings, shown } from "../settings.ts";

export interface InstallOptions {
  /** How Git starts seal. */
  readonly command: string;
  readonly remove?: boolean;
  /** False: hooks are left alone. */
  readonly hooks?: boolean;
}

export async function gitInstall(io: Io, options: InstallOptions): Promise<void> {
  // A shell of Git's runs it, with quotes and all: what goes into it is a command, not a script.
  if (!/^[\w@%+=:,./ ~-]+$/.test(options.command))
    throw new UsageError(
      "Cannot install: --command may hold letters, digits, blanks and @ % + = : , . / ~ - only",
      "name the program and its arguments: `--command 'npx --no-install seal'`",
    );
  const tree = await requireWorkTree(io, io.cwd);
  const change = { io, tree, ...options, isRemoved: options.remove === true };
  await changeAttributes(change);
  await changeConfig(change);
  if (options.hooks !== false) for (const name of hookNames) await changeHook(change, name);
}

type Change = InstallOptions & { readonly io: Io; readonly tree: string; readonly isRemoved: boolean };

/** Sealed files by their usual name, and whatever lies where seal.yaml says that an environment's files are. */
async function changeAttributes({ io, tree, isRemoved }: Change): Promise<void> {
  const settings = await findSettings(io, null);
  const folder = settings === null ? "" : gitPath(tree, settings.folder);
  const globs = settings === null ? [] : [...settings.config.environments.values()].flatMap(({ paths }) => paths);
  const patterns = ["*.sealed.*", ...globs.map((glob) => `/${folder === "" ? "" : `${folder}/`}${glob}`)];
  const lines = [...new Set(patterns)].map((pattern) => `${quotedPattern(pattern)} diff=seal merge=seal`);
  const file = join(tree, ".gitattributes");
  await changeFile(io, file, (text) => withBlock(text, isRemoved ? null : lines));
}

const quotedPattern = (pattern: string): string => (/\s/.test(pattern) ? JSON.stringify(pattern) : pattern);

async function changeConfig({ io, tree, command, isRemoved }: Change): Promise<void> {
  const values: readonly (readonly [string, string])[] = [
    ["merge.seal.name", "sealed files by key"],
    ["merge.seal.driver", `${command} git merge -- %O %A %B %L %P`],
    // Of the bases of a criss-cross merge nothing is opened: one side stands for both.
    ["merge.seal.recursive", "binary"],
    ["diff.seal.textconv", `${command} git textconv --`],
    ["diff.seal.cachetextconv", "false"],
  ];
  for (const [name, value] of values) {
    if (!isRemoved) await requireGit(io, ["config", "--local", name, value], { cwd: tree });
    else await askGit(io, ["config", "--local", "--unset-all", name], { cwd: tree });
  }
  await printDone(
    io,
    isRemoved
      ? "Git merges and shows sealed files as text again"
      : "Git merges sealed files by key and shows them without ciphertext",
  );
}

/** A merge commit runs the second of them in place of the first. */
const hookNames = ["pre-commit", "pre-merge-commit"] as const;

async function changeHook({ io, tree, command, isRemoved }: Change, name: (typeof hookNames)[number]): Promise<void> {
  const said = Buffer.from(await requireGit(io, ["rev-parse", "--git-path", `hooks/${name}`], { cwd: tree }))
    .toString()
    .trim();
  const file = resolve(tree, said);
  if (await isTracked(io, tree, file)) {
    if (!isRemoved)
      await printNote(
        io,
        `${shown(io, file)} belongs to the repository: add the line \`${command} check --staged\` to it yourself`,
      );
    return;
  }
  const lines = [`${command} check --staged || exit $?`];
  await changeFile(
    io,
    file,
    (text) => {
      if (text === "") return isRemoved ? "" : withBlock("#!/bin/sh\n", lines);
      if (!/^#!.*\b(?:ba|da|k|z)?sh\b/.test(text))
        throw new HintedError("git-failed", `Cannot add a check to ${shown(io, file)}: it is no shell script`, {
          hint: `have it run \`${command} check --staged\`, and install the rest with \`seal git install --no-hooks\``,
        });
      const next = withBlock(text, isRemoved ? null : lines, { after: "first line" });
      return next.trim() === "#!/bin/sh" ? "" : next;
    },
    { program: true },
  );
}

/** A hook in the work tree is the team's own file. */
async function isTracked(io: Io, tree: string, file: string): Promise<boolean> {
  const path = gitPath(tree, file);
  if (path.startsWith("../") || path.startsWith(".git/")) return false;
  return (await askGit(io, ["check-ignore", "-q", "--", path], { cwd: tree })) === null;
}

/** Says what was done; an outcome without a text takes the file away. */
async function changeFile(
  io: Io,
  file: string,
  change: (text: string) => string,
  options: { readonly program?: boolean } = {},
): Promise<void> {
  await assertNoLink(io, file);
  const kind = await io.fs.kind(file);
  if (kind !== null && kind !== "file")
    throw new SealwardError("file-unwritable", `Cannot write "${shown(io, file)}": it is no regular file`);
  const text = kind === null ? "" : decodeText(await io.fs.read(file), shown(io, file));
  const next = change(text);
  if (next === text) return;
  if (next === "") await io.fs.remove(file);
  else await io.fs.write(file, next, options);
  await printDone(io, `${next === "" ? "removed" : "wrote"} ${shown(io, file)}`);
}
