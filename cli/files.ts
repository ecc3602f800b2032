// The file system as the CLI uses it. A write is whole or did not happen: a temporary file in the same folder, synced,
// then renamed over the target, which may be a symbolic link. Knows nothing about what the bytes mean, except that
// plaintext gets a temporary name that Git ignores and a mode that only the owner reads.
import { randomBytes } from "node:crypto";
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type ErrorCode, SealwardError } from "../src/index.ts";

export interface Files {
  /** Throws `file-missing` or `file-unreadable`. */
  read(path: string): Promise<Uint8Array>;
  kind(path: string): Promise<"file" | "folder" | "other" | null>;
  size(path: string): Promise<number>;
  /** The path without symbolic links; the last part need not exist. Throws `file-missing` when its folder does not. */
  realPath(path: string): Promise<string>;
  list(folder: string): Promise<readonly { readonly name: string; readonly isFolder: boolean }[]>;
  /** Replaces or creates. An existing file keeps its mode; `plaintext` always becomes 0600. Throws `file-unwritable`. */
  write(path: string, data: string | Uint8Array, options?: { readonly plaintext?: boolean }): Promise<void>;
  /** Creates a file that must not exist yet, with mode 0600, in a folder made when missing (0700). Throws `file-exists`. */
  create(path: string, data: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** A new folder under `parent` that only the owner may enter; null when one cannot be made there. */
  privateFolder(parent: string): Promise<string | null>;
  /** Overwrites the file, then removes it. */
  wipeFile(path: string): Promise<void>;
  /** The same for everything in the folder, and the folder. */
  wipeFolder(folder: string): Promise<void>;
}

export const nodeFiles: Files = {
  async read(path) {
    try {
      return await readFile(path);
    } catch (cause) {
      throw failure(cause, "file-unreadable", "read", path);
    }
  },

  async kind(path) {
    const found = await stat(path).catch(() => null);
    if (found === null) return null;
    return found.isFile() ? "file" : found.isDirectory() ? "folder" : "other";
  },

  size: async (path) => (await stat(path)).size,

  async realPath(path) {
    try {
      return await realpath(path);
    } catch (cause) {
      // A dangling link is not a new file: writing through it would put the file where its path does not say.
      if ((await lstat(path).catch(() => null)) !== null) throw failure(cause, "file-unreadable", "follow", path);
    }
    try {
      return join(await realpath(dirname(path)), basename(path));
    } catch (cause) {
      throw failure(cause, "file-missing", "find", dirname(path));
    }
  },

  async list(folder) {
    try {
      const entries = await readdir(folder, { withFileTypes: true });
      return entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
    } catch (cause) {
      throw failure(cause, "file-unreadable", "list", folder);
    }
  },

  async write(path, data, options = {}) {
    let temporary: string | null = null;
    try {
      const target = await realpath(path).catch(() => path);
      const mode = await stat(target).then(
        (found) => found.mode & 0o777,
        () => null,
      );
      const name = `.${basename(target)}.${randomBytes(6).toString("hex")}.${options.plaintext ? "plain.yaml" : "tmp"}`;
      temporary = join(dirname(target), name);
      await fill(
        await open(temporary, "wx", options.plaintext ? 0o600 : 0o666),
        data,
        options.plaintext ? 0o600 : mode,
      );
      await rename(temporary, target);
      await syncFolder(dirname(target));
    } catch (cause) {
      if (temporary !== null) await rm(temporary, { force: true });
      throw failure(cause, "file-unwritable", "write", path);
    }
  },

  async create(path, data) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
      throw failure(cause, "file-unwritable", "make the folder of", path);
    });
    let file: FileHandle;
    try {
      file = await open(path, "wx", 0o600);
    } catch (cause) {
      throw failure(cause, "file-unwritable", "create", path);
    }
    try {
      await fill(file, data, 0o600);
    } catch (cause) {
      await rm(path, { force: true });
      throw failure(cause, "file-unwritable", "create", path);
    }
  },

  remove: (path) => rm(path, { force: true }),

  async privateFolder(parent) {
    try {
      const folder = await mkdtemp(join(parent, "seal-"));
      await chmod(folder, 0o700);
      return folder;
    } catch {
      return null;
    }
  },

  async wipeFolder(folder) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await nodeFiles.wipeFolder(path);
      else if (entry.isFile()) await nodeFiles.wipeFile(path);
    }
    await rm(folder, { recursive: true, force: true });
  },

  // Best effort: on a file system in memory, where these files normally are, this does erase the bytes.
  async wipeFile(path) {
    const file = await open(path, "r+").catch(() => null);
    try {
      if (file !== null) await file.write(new Uint8Array((await file.stat()).size), 0);
    } finally {
      await file?.close();
      await rm(path, { force: true });
    }
  },
};

async function fill(file: FileHandle, data: string | Uint8Array, mode: number | null): Promise<void> {
  try {
    if (mode !== null) await file.chmod(mode);
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename itself durable where the platform lets a folder be opened; Windows does not. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function failure(cause: unknown, code: ErrorCode, action: string, path: string): SealwardError {
  if (cause instanceof SealwardError) return cause;
  const reason = (cause as NodeJS.ErrnoException).code ?? "unknown";
  if (reason === "ENOENT")
    return new SealwardError("file-missing", `Cannot ${action} "${path}": there is no such file or folder`);
  if (reason === "EEXIST") return new SealwardError("file-exists", `Cannot ${action} "${path}": it exists already`);
  if (reason === "EISDIR")
    return new SealwardError("file-unreadable", `Cannot ${action} "${path}": it is a folder, expected a file`);
  return new SealwardError(code, `Cannot ${action} "${path}": the system says ${reason}`);
}
