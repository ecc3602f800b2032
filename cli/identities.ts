// Collects the age identities a person holds, from the places where `sops` looks and from the folder `seal init` writes
// to. All sources are read; one that cannot be used is mentioned only if opening fails. Never shows key text.
import { basename, join } from "node:path";
import {
  type AgeIdentity,
  type Config,
  type EnvironmentPolicy,
  type ErrorCode,
  parseAgeIdentities,
  SealwardError,
} from "../src/index.ts";
import { readText } from "./document.ts";
import type { Io } from "./io.ts";
import { HintedError, printNote } from "./report.ts";
import type { Settings } from "./settings.ts";

/**
 * Calls `open` with every identity found: `--identity` files, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, sops/age/keys.txt, and what
 * `seal init` wrote for this environment. When that fails for want of an identity, notes say which sources were unusable, and whose
 * the identities found are.
 * @throws what `open` throws; for a file named with `--identity` also `file-missing`, `file-unreadable`, `identity-invalid`
 */
export async function withIdentities<T>(
  io: Io,
  options: {
    readonly identity?: readonly string[];
    readonly environment?: EnvironmentPolicy;
    readonly settings?: Settings;
  },
  open: (identities: readonly AgeIdentity[]) => Promise<T>,
): Promise<T> {
  const identities: AgeIdentity[] = [];
  const take = (text: string, source: string): void => {
    for (const identity of parseAgeIdentities(text, source)) identities.push(identity);
  };
  for (const file of options.identity ?? []) take(await readText(io, file), file);
  const unusable: string[] = [];
  const tryOut = async (source: string, read: () => Promise<string>, isOptional: boolean): Promise<void> => {
    try {
      take(await read(), source);
    } catch (problem) {
      if (!(problem instanceof SealwardError)) throw problem;
      if (isOptional && problem.code === "file-missing") return;
      unusable.push(`${source}${problem.line === undefined ? "" : `:${problem.line}`}: ${problem.message}`);
    }
  };
  // sops separates the keys of this variable by any white space, so one line may hold several.
  const inline = io.env["SOPS_AGE_KEY"] ?? "";
  if (inline !== "") await tryOut("SOPS_AGE_KEY", async () => keyLines(inline), false);
  const named = io.env["SOPS_AGE_KEY_FILE"] ?? "";
  if (named !== "") await tryOut("SOPS_AGE_KEY_FILE", () => readText(io, named), false);
  const standard = join(configFolder(io), "sops", "age", "keys.txt");
  await tryOut(standard, () => readText(io, standard), true);
  const { settings, environment } = options;
  if (settings !== undefined && environment !== undefined) {
    const own = join(keysFolder(io, settings.folder), `${environment.name}.agekey`);
    await tryOut(own, () => readOwn(io, own, settings.folder), true);
  }
  try {
    return await open(identities);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || !wantsIdentity.has(problem.code)) throw problem;
    for (const source of unusable) await printNote(io, `unusable identities: ${source}`);
    for (const recipient of new Set(identities.map((identity) => identity.recipient)))
      await printNote(
        io,
        `found an identity for ${recipient}${settings === undefined ? "" : `, ${ownerIn(settings.config, recipient)}`}`,
      );
    if (identities.length > 0 || unusable.length === 0) throw problem;
    const message = problem.message.replace(
      /^No age identity was found/,
      "No age identity could be used of those named",
    );
    const hint = "correct the source that the note names, or name a file with your identity: `--identity FILE`";
    throw new HintedError(problem.code, message, { hint, file: problem.file });
  }
}

const wantsIdentity: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["identity-missing", "identity-unmatched"]);

/** Whose a recipient is by seal.yaml, as the end of a sentence. */
export function ownerIn(config: Config, recipient: string): string {
  if (config.recovery.includes(recipient)) return "which is the recovery recipient";
  const names = [...config.environments.values()]
    .filter(({ ageRecipients }) => ageRecipients.includes(recipient))
    .map(({ name }) => name);
  return names.length === 0 ? "which seal.yaml lists nowhere" : `which seal.yaml lists for ${names.join(", ")}`;
}

/** Where `seal init` keeps the identities of the repository whose seal.yaml lies in `folder`: never inside it. */
export const keysFolder = (io: Io, folder: string): string => join(configFolder(io), "sealward", basename(folder));

/** What `seal init` writes into an identity's file, as a comment: the folder of the seal.yaml it was made for. */
export const repositoryLine = (folder: string): string => `# repository: ${folder}`;

/** Two repositories can have one name, and one of them a hostile seal.yaml: an identity serves the one it was made for. */
async function readOwn(io: Io, file: string, folder: string): Promise<string> {
  const text = await readText(io, file);
  if (text.split("\n").includes(repositoryLine(folder))) return text;
  const message =
    "It was made for a repository in another folder; if it is meant for this one, name it: `--identity FILE`";
  throw new SealwardError("identity-unmatched", message, { file });
}

/** The user's configuration folder, as sops determines it (Go's os.UserConfigDir, XDG_CONFIG_HOME also on macOS). */
function configFolder(io: Io): string {
  const xdg = io.env["XDG_CONFIG_HOME"] ?? "";
  if (io.platform === "win32") return io.env["AppData"] ?? io.env["APPDATA"] ?? join(io.home, "AppData", "Roaming");
  if (xdg !== "") return xdg;
  return io.platform === "darwin" ? join(io.home, "Library", "Application Support") : join(io.home, ".config");
}

function keyLines(text: string): string {
  return text
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .flatMap((line) => line.split(/\s+/))
    .filter((word) => word !== "")
    .join("\n");
}
