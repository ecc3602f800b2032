// The file system as the CLI uses it: what a command may ask of it, with failures in our words. How a write is made whole
// stands in writing.ts. Knows nothing about what the bytes mean.
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
  rm,
  stat,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { failure, fill, replaceIf, type Shield, writeWhole } from "./writing.ts";

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
  /**
   * Writes `data` if the file still holds `expected`; false, and nothing is written, if it does not. Of several processes
   * that do this at once, none undoes what another has written. Throws as `write`.
   */
  replace(path: string, change: { readonly expected: string; readonly data: string }): Promise<boolean>;
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

// A turn of writing takes milliseconds; a slow disk may need a second or two to sync.
const usualPatience = 5000;

/** The real file system. `shield` is for the moments in which a signal would leave a temporary file behind. */
export function nodeFiles({
  shield = (work) => work(),
  patience = usualPatience,
}: {
  readonly shield?: Shield;
  readonly patience?: number;
} = {}): Files {
  return {
    ...unshielded,
    write: (path, data, options) => shield(async () => void (await writeWhole(path, data, options))),
    replace: (path, change) => replaceIf(path, change, { shield, patience }),
    create: (path, data) => shield(() => createFile(path, data)),
  };
}

const unshielded: Omit<Files, "write" | "replace" | "create"> = {
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

  async size(path) {
    try {
      return (await stat(path)).size;
    } catch (cause) {
      throw failure(cause, "file-unreadable", "read", path);
    }
  },

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

  remove: removeAll,

  async privateFolder(parent) {
    try {
      const folder = await mkdtemp(join(parent, "seal-"));
      await chmod(folder, 0o700);
      return folder;
    } catch {
      return null;
    }
  },

  // The editor may have removed the folder, or its right to be listed.
  async wipeFolder(folder) {
    await chmod(folder, 0o700).catch(() => undefined);
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await unshielded.wipeFolder(path);
      else if (entry.isFile()) await unshielded.wipeFile(path);
    }
    await removeAll(folder);
  },

  // Best effort: on a file system in memory, where these files normally are, this does erase the bytes.
  async wipeFile(path) {
    const file = await open(path, "r+").catch(() => null);
    try {
      if (file !== null) await file.write(new Uint8Array((await file.stat()).size), 0).catch(() => undefined);
    } finally {
      await file?.close();
      await removeAll(path);
    }
  },
};

async function removeAll(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (cause) {
    throw failure(cause, "file-unwritable", "remove", path);
  }
}

async function createFile(path: string, data: string): Promise<void> {
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
    await rm(path, { force: true }).catch(() => undefined);
    throw failure(cause, "file-unwritable", "create", path);
  }
}
