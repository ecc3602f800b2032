// Finds the .sops.yaml that SOPS would read, for files that no seal.yaml governs: --config, SOPS_CONFIG, or the nearest one
// above the working folder. Refuses where the file's own folder leads to another one. Decides nothing about recipients.
import { dirname, join, relative, resolve, sep } from "node:path";
import { type CreationRule, findCreationRule, parseSopsConfig, SealwardError, type SopsConfig } from "../src/index.ts";
import { readText } from "./document.ts";
import type { Io } from "./io.ts";
import { hinting, printNote, UsageError } from "./report.ts";
import { findWorkTree, type Settings, shown } from "./settings.ts";

export interface FoundSopsConfig {
  readonly config: SopsConfig;
  /** Absolute, not free of symbolic links: SOPS compares paths as they are written. */
  readonly file: string;
}

/** What a command knows when it looks for .sops.yaml. */
export interface SopsConfigOptions {
  /** The value of --config. */
  readonly flag?: string | undefined;
  /** What governs the file: where it is not null, no .sops.yaml is read. */
  readonly settings: Settings | null;
}

// The limit that SOPS has for the way upwards.
const maxFolders = 100;
const fileName = ".sops.yaml";
export const correctIt: { readonly "config-invalid": string; readonly "pattern-invalid": string } = {
  "config-invalid": "correct .sops.yaml at the place named",
  "pattern-invalid": "correct the path_regex: RE2 has no look-around and no back-references",
};

/**
 * The .sops.yaml for FILE (null: for stdin without a name), or null where SOPS would find none.
 * @throws usage where the nearest above the file is another than the nearest above the working folder; config-invalid
 */
export async function findSopsConfig(
  io: Io,
  file: string | null,
  { flag, settings }: SopsConfigOptions,
): Promise<FoundSopsConfig | null> {
  const variable = io.env["SOPS_CONFIG"] ?? "";
  const named = flag ?? (variable === "" ? undefined : variable);
  if (settings !== null) {
    const source = flag === undefined ? "SOPS_CONFIG" : "--config";
    if (named !== undefined)
      await printNote(
        io,
        `${source} has no effect: ${settings.config.file} governs this file, and .sops.yaml is not read`,
      );
    return null;
  }
  if (named !== undefined) return load(io, resolve(io.cwd, named));
  const found = await lookUp(io, io.cwd);
  if (file !== null) await assertMeant(io, file, found);
  return found === null ? null : load(io, found);
}

/** The rule for FILE. `usage` and `config-invalid` as above; null: the config has no creation_rules. Throws `rule-missing`. */
export async function findRule(io: Io, { config, file }: FoundSopsConfig, path: string): Promise<CreationRule | null> {
  if (config.rules === null) return null;
  const name = matchedPath(dirname(file), resolve(io.cwd, path));
  const rule = await hinting(correctIt, () => findCreationRule(config, name));
  if (rule !== null) return rule;
  throw new SealwardError("rule-missing", `No creation rule of ${shown(io, file)} matches ${name}`, {
    file: shown(io, file),
  });
}

/** The path that SOPS holds against path_regex: relative below the config's folder, as it is elsewhere. */
export function matchedPath(folder: string, path: string): string {
  const below = relative(folder, path);
  const isBelow = below !== "" && below !== ".." && !below.startsWith(`..${sep}`) && resolve(folder, below) === path;
  return (isBelow ? below : path).split(sep).join("/");
}

/** The nearest .sops.yaml in or above a folder; a .sops.yml, which SOPS does not read either, gets a note. */
export async function lookUp(io: Io, folder: string, last?: string): Promise<string | null> {
  let other: string | undefined;
  let at = folder;
  for (let count = 0; count < maxFolders; count++) {
    const candidate = join(at, fileName);
    const hasCandidate = (await io.fs.kind(candidate)) !== null;
    if (!hasCandidate && other === undefined && (await io.fs.kind(join(at, ".sops.yml"))) !== null)
      other = join(at, ".sops.yml");
    if (hasCandidate || at === last || dirname(at) === at) {
      if (other !== undefined && last === undefined)
        await printNote(io, `${shown(io, other)} is not read, neither here nor by sops: it must be called ${fileName}`);
      return hasCandidate ? candidate : null;
    }
    at = dirname(at);
  }
  return null;
}

/**
 * SOPS looks from the working folder, and people think that it looks from the file: where that makes a difference, the file
 * would be encrypted for others than meant.
 */
async function assertMeant(io: Io, file: string, found: string | null): Promise<void> {
  const start = dirname(resolve(io.cwd, file));
  const nearest = await lookUp(io, start, (await findWorkTree(io, start)) ?? endOutsideGit(io, start));
  if (nearest === null || (found !== null && (await isSame(io, nearest, found)))) return;
  if (found === null) {
    await printNote(
      io,
      `${shown(io, nearest)} is not read: like sops, seal looks from the working folder upwards; name it with \`--config ${shown(io, nearest)}\``,
    );
    return;
  }
  throw new UsageError(
    `Two ${fileName} could be meant for ${file}: ${shown(io, found)} is the nearest above the working folder, where sops looks, and ${shown(io, nearest)} the nearest above the file`,
    `name one: \`--config ${shown(io, nearest)}\` or \`--config ${shown(io, found)}\``,
  );
}

/** As for seal.yaml: outside Git, what lies above the working folder is nobody's in particular. */
function endOutsideGit(io: Io, start: string): string {
  const isBelow = start === io.cwd || start.startsWith(io.cwd.endsWith(sep) ? io.cwd : `${io.cwd}${sep}`);
  return isBelow ? io.cwd : start;
}

async function isSame(io: Io, one: string, other: string): Promise<boolean> {
  return (await io.fs.realPath(one)) === (await io.fs.realPath(other));
}

async function load(io: Io, file: string): Promise<FoundSopsConfig> {
  const text = await readText(io, file);
  return { config: await hinting(correctIt, () => parseSopsConfig(text, shown(io, file))), file };
}
