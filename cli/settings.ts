// Finds the seal.yaml that governs a file: the nearest one above the file, up to the Git root, never merged. Symbolic
// links are resolved first, so that a link cannot lend a file the path of another environment. Decides nothing.
import { dirname, join, relative, resolve } from "node:path";
import {
  type Config,
  type EnvironmentPolicy,
  nearestKey,
  parseConfig,
  quoteName,
  SealwardError,
} from "../src/index.ts";
import { readText } from "./document.ts";
import type { Io } from "./io.ts";
import { posixRelative, upwards } from "./paths.ts";
import { printNote } from "./report.ts";

export interface Settings {
  readonly config: Config;
  /** The folder of the seal.yaml, without symbolic links. */
  readonly folder: string;
  /** The file relative to that folder, with "/" between its parts; undefined when this was asked for a folder. */
  readonly path: string | undefined;
}

/** What was found so far, for a command that asks about many files. */
export class SettingsCache {
  /** By folder of a file. */
  readonly governing: Map<string, Omit<Settings, "path"> | null> = new Map();
  /** By folder of a seal.yaml. */
  readonly configs: Map<string, Promise<Config>> = new Map();
  /** By folder: the work tree that it lies in, as a path and without links. */
  readonly trees: Map<string, { readonly named: string | null; readonly real: string | null }> = new Map();
}

/**
 * The settings that govern a file, which need not exist yet, or with no file the working folder. Null: no seal.yaml
 * governs it. A nested seal.yaml that the topmost one does not list does not count, and a note says so.
 */
export async function findSettings(
  io: Io,
  file: string | null,
  known: SettingsCache = new SettingsCache(),
): Promise<Settings | null> {
  const real = await io.fs.realPath(resolve(io.cwd, file ?? "."));
  const start = file === null ? real : dirname(real);
  if (file !== null) await assertSameWorkTree(io, { given: resolve(io.cwd, file), real }, known);
  const cached = known.governing.get(start);
  const governing = cached === undefined ? await search(io, start, known) : cached;
  known.governing.set(start, governing);
  return governing === null
    ? null
    : { ...governing, path: file === null ? undefined : posixRelative(governing.folder, real) };
}

/** @throws environment-undefined, with the name that was probably meant */
export function assertDefined(config: Config, name: string): EnvironmentPolicy {
  const found = config.environments.get(name);
  if (found !== undefined) return found;
  const names = [...config.environments.keys()];
  const meant = nearestKey(name, names);
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  throw new SealwardError(
    "environment-undefined",
    `There is no environment ${quoteName(name)}; ${config.file} has ${names.join(", ")}${hint}`,
    { file: config.file },
  );
}

/** A link out of the work tree would put the file under a seal.yaml that nobody reviewed here. */
async function assertSameWorkTree(
  io: Io,
  { given, real }: { readonly given: string; readonly real: string },
  known: SettingsCache,
): Promise<void> {
  const tree = await treeOf(io, dirname(given), known);
  if (tree.named === null || tree.real === (await treeOf(io, dirname(real), known)).named) return;
  throw new SealwardError(
    "environment-mismatch",
    `Cannot tell the environment: ${shown(io, given)} is a link out of its Git work tree, to ${real}; name the file itself`,
    { file: shown(io, given) },
  );
}

async function treeOf(
  io: Io,
  folder: string,
  { trees }: SettingsCache,
): Promise<{ named: string | null; real: string | null }> {
  const cached = trees.get(folder);
  if (cached !== undefined) return cached;
  const named = await findWorkTree(io, folder);
  const found = { named, real: named === null ? null : await io.fs.realPath(named) };
  trees.set(folder, found);
  return found;
}

async function search(io: Io, start: string, known: SettingsCache): Promise<Omit<Settings, "path"> | null> {
  const found: string[] = [];
  for (const folder of await searched(io, start)) {
    if ((await io.fs.kind(join(folder, "seal.yaml"))) === "file") found.push(folder);
  }
  const top = found.at(-1);
  if (top === undefined) return null;
  const topConfig = await readConfig(io, top, known);
  for (const folder of found) {
    const name = posixRelative(top, join(folder, "seal.yaml"));
    if (folder === top || topConfig.nested.includes(name)) {
      return { config: folder === top ? topConfig : await readConfig(io, folder, known), folder };
    }
    await printNote(io, `${name} does not count: ${shown(io, join(top, "seal.yaml"))} does not list it under "nested"`);
  }
  return null;
}

/** The folder that holds `.git`, a folder or (in a linked work tree) a file; null outside any work tree. */
export async function findWorkTree(io: Io, folder: string): Promise<string | null> {
  for (const candidate of upwards(folder)) {
    if ((await io.fs.kind(join(candidate, ".git"))) !== null) return candidate;
  }
  return null;
}

/** A path as messages show it: relative to the working folder where that is shorter. */
export function shown(io: Io, path: string): string {
  const short = relative(io.cwd, path);
  return short === "" ? "." : short.startsWith("..") ? path : short;
}

/**
 * The folders to look in, nearest first. Outside Git the search ends at the working folder: a seal.yaml that someone put
 * into a shared parent such as /tmp must not choose who can open what is sealed here.
 */
async function searched(io: Io, start: string): Promise<readonly string[]> {
  const end = (await findWorkTree(io, start)) ?? (await io.fs.realPath(io.cwd));
  const above = [...upwards(start)];
  const last = above.indexOf(end);
  return last === -1 ? [start] : above.slice(0, last + 1);
}

function readConfig(io: Io, folder: string, { configs }: SettingsCache): Promise<Config> {
  const cached = configs.get(folder);
  if (cached !== undefined) return cached;
  const file = join(folder, "seal.yaml");
  const reading = readText(io, file).then((text) => parseConfig(text, shown(io, file)));
  configs.set(folder, reading);
  return reading;
}
