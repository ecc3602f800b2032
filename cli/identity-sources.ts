// The places that may hold a person's age identities, in the order in which they count, and how each is read. Knows nothing
// about what the bytes mean, nor which of them will be needed.
import { basename, join, resolve } from "node:path";
import { SealwardError } from "../src/index.ts";
import { splitCommand } from "./command-line.ts";
import type { Io } from "./io.ts";

export interface IdentitySource {
  /** What tells it from every other, though their names be the same. */
  readonly id: string;
  /** As messages show it: a variable or a path. */
  readonly name: string;
  /** `named` by --identity, `set` in a variable, or looked at without being asked for. */
  readonly origin: "named" | "set" | "usual";
  /** Takes time or does something (SSH keys, commands): read only where the others do not open the file. */
  readonly isLate: boolean;
  /** The form of the text: one identity a line, or several with white space between. */
  readonly form: "lines" | "words";
  /** Null: there is none. Throws `file-unreadable`, `identity-invalid`, `identity-unmatched`; `file-missing` unless usual. */
  read(): Promise<Uint8Array | null>;
}

/** What `seal init` wrote for an environment of the seal.yaml in `folder`. */
export interface OwnSource {
  readonly folder: string;
  readonly environment: string;
}

export interface SourceOptions {
  /** Files named with --identity. */
  readonly identity?: readonly string[] | undefined;
  readonly own?: readonly OwnSource[] | undefined;
  /** The only recipient that is asked for; commands hear of it. */
  readonly recipient?: string | undefined;
}

/** Every place to look at, in order, be there something or not. */
export function identitySources(io: Io, options: SourceOptions): readonly IdentitySource[] {
  return listed(io, options).map((source) => {
    const id = JSON.stringify([source.origin, source.name, source.folder, options.recipient]);
    // Several files may be opened at once, and no command is to run for each of them.
    return { ...source, id, read: () => io.once(`read ${id}`, source.read) };
  });
}

type Unnamed = Omit<IdentitySource, "id"> & { readonly folder?: string };

function listed(io: Io, { identity = [], own = [], recipient }: SourceOptions): readonly Unnamed[] {
  const file = (path: string): Unnamed => ({
    name: path,
    origin: "usual",
    isLate: false,
    form: "lines",
    read: () => io.fs.read(resolve(io.cwd, path)),
  });
  const usual = (path: string): Unnamed => ({ ...file(path), read: () => ifPresent(file(path).read) });
  const set = (name: string, value: string | undefined, read: (value: string) => Promise<Uint8Array>): Unnamed => ({
    ...file(name),
    origin: "set",
    read: async () => (value === undefined || value === "" ? null : read(value)),
  });
  const named = (path: string): Promise<Uint8Array> => io.fs.read(resolve(io.cwd, path));
  const printed = (command: string): Promise<Uint8Array> => outputOf(io, command, recipient);
  const late = (source: Unnamed): Unnamed => ({ ...source, isLate: true });
  const { env } = io;
  return [
    ...identity.map((path): Unnamed => ({ ...file(path), origin: "named" })),
    late(set("SOPS_AGE_SSH_PRIVATE_KEY_FILE", env["SOPS_AGE_SSH_PRIVATE_KEY_FILE"], named)),
    late(set("SOPS_AGE_SSH_PRIVATE_KEY_CMD", env["SOPS_AGE_SSH_PRIVATE_KEY_CMD"], printed)),
    late(usual(join(io.home, ".ssh", "id_ed25519"))),
    late(usual(join(io.home, ".ssh", "id_rsa"))),
    { ...set("SOPS_AGE_KEY", env["SOPS_AGE_KEY"], async (text) => Buffer.from(text)), form: "words" },
    set("SOPS_AGE_KEY_FILE", env["SOPS_AGE_KEY_FILE"], named),
    late(set("SOPS_AGE_KEY_CMD", env["SOPS_AGE_KEY_CMD"], printed)),
    usual(join(configFolder(io), "sops", "age", "keys.txt")),
    ...own.map(({ folder, environment }): Unnamed => {
      const path = join(keysFolder(io, folder), `${environment}.agekey`);
      return { ...file(path), folder, read: () => ifPresent(() => readOwn(io, path, folder)) };
    }),
  ];
}

async function ifPresent(read: () => Promise<Uint8Array | null>): Promise<Uint8Array | null> {
  try {
    return await read();
  } catch (problem) {
    if (problem instanceof SealwardError && problem.code === "file-missing") return null;
    throw problem;
  }
}

/** What a command of a variable prints. Neither the command nor what it says is repeated: both may hold a secret. */
async function outputOf(io: Io, text: string, recipient: string | undefined): Promise<Uint8Array> {
  const command = splitCommand(text);
  if ((command[0] ?? "") === "") throw new SealwardError("identity-invalid", "It names no command");
  const { status, stdout } = await io.run(command, {
    cwd: io.cwd,
    capture: true,
    env: { ...io.env, SOPS_AGE_RECIPIENT: recipient },
  });
  if (status === 0) return stdout;
  const outcome = status === null ? "could not be started, or was killed" : `ended with status ${status}`;
  throw new SealwardError("identity-invalid", `The command ${outcome}`);
}

/** Where `seal init` keeps the identities of the repository whose seal.yaml lies in `folder`: never inside it. */
export const keysFolder = (io: Io, folder: string): string => join(configFolder(io), "sealward", basename(folder));

/** What `seal init` writes into an identity's file, as a comment: the folder of the seal.yaml it was made for. */
export const repositoryLine = (folder: string): string => `# repository: ${folder}`;

/** Two repositories can have one name, and one of them a hostile seal.yaml: an identity serves the one it was made for. */
async function readOwn(io: Io, file: string, folder: string): Promise<Uint8Array> {
  const bytes = await io.fs.read(file);
  if (Buffer.from(bytes).toString("utf8").split("\n").includes(repositoryLine(folder))) return bytes;
  const message =
    "It was made for a repository in another folder; if it is meant for this one, name it: `--identity FILE`";
  throw new SealwardError("identity-unmatched", message, { file });
}

/** The user's configuration folder, as sops determines it (Go's os.UserConfigDir, XDG_CONFIG_HOME also on macOS). */
export function configFolder(io: Io): string {
  const xdg = io.env["XDG_CONFIG_HOME"] ?? "";
  if (io.platform === "win32") return io.env["AppData"] ?? io.env["APPDATA"] ?? join(io.home, "AppData", "Roaming");
  if (xdg !== "") return xdg;
  return io.platform === "darwin" ? join(io.home, "Library", "Application Support") : join(io.home, ".config");
}
