// The file system as the CLI uses it: what a command may ask of it, with failures in our words. Reading, which every command
// does, is done at once and here; what writes (writing.ts, private-files.ts) is loaded when it is used. Knows nothing about
// what the bytes mean.
import { createReadStream, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { SealwardError } from "../src/index.ts";
import { failure } from "./file-failure.ts";
import type { Replacing, Shield } from "./writing.ts";

export interface Files {
  /** Throws `file-missing` or `file-unreadable`. */
  read(path: string): Promise<Uint8Array>;
  kind(path: string): Promise<"file" | "folder" | "other" | null>;
  size(path: string): Promise<number>;
  /** Null for what is not there, or is no regular file. */
  fileSize(path: string): Promise<number | null>;
  /** The permission bits, as in 0o600; null where the file is not there. */
  mode(path: string): Promise<number | null>;
  /** The path without symbolic links; the last part need not exist. Throws `file-missing` when its folder does not. */
  realPath(path: string): Promise<string>;
  list(folder: string): Promise<readonly { readonly name: string; readonly isFolder: boolean }[]>;
  /**
   * Replaces or creates. An existing file keeps its mode; `plaintext` always becomes 0600, `program` what may be run.
   * Throws `file-unwritable`.
   */
  write(
    path: string,
    data: string | Uint8Array,
    options?: { readonly plaintext?: boolean; readonly program?: boolean },
  ): Promise<void>;
  /**
   * Writes `data` if the file still holds `expected`; false, and nothing is written, if it does not. Of several processes
   * that do this at once, none undoes what another has written. Throws as `write`.
   */
  replace(path: string, change: Replacing): Promise<boolean>;
  /** Creates a file that must not exist yet, with mode 0600, in a folder made when missing (0700). Throws `file-exists`. */
  create(path: string, data: string | Uint8Array): Promise<void>;
  remove(path: string): Promise<void>;
  /**
   * A new folder under `parent` that only the owner may enter; null when one cannot be made there. Those that processes of
   * ours left there when they were killed are wiped.
   */
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
  const writing = () => import("./writing.ts");
  const privately = () => import("./private-files.ts");
  return {
    ...reading,
    write: (path, data, options) => shield(async () => void (await (await writing()).writeWhole(path, data, options))),
    replace: async (path, change) => (await writing()).replaceIf(path, change, { shield, patience }),
    create: (path, data) => shield(async () => (await privately()).createFile(path, data)),
    remove: async (path) => (await privately()).remove(path),
    privateFolder: async (parent) => (await privately()).privateFolder(parent),
    wipeFile: async (path) => (await privately()).wipeFile(path),
    wipeFolder: async (folder) => (await privately()).wipeFolder(folder),
  };
}

const reading: Pick<Files, "read" | "kind" | "size" | "fileSize" | "mode" | "realPath" | "list"> = {
  async read(path) {
    try {
      // A pipe gives its content when its writer does, and signals must be heard until then.
      if (statSync(path).isFile()) return readFileSync(path);
      return await readStream(path);
    } catch (cause) {
      throw cause instanceof SealwardError ? cause : failure(cause, "file-unreadable", "read", path);
    }
  },

  async kind(path) {
    const found = tryTo(() => statSync(path, { throwIfNoEntry: false }));
    if (found === undefined) return null;
    return found.isFile() ? "file" : found.isDirectory() ? "folder" : "other";
  },

  async size(path) {
    try {
      return statSync(path).size;
    } catch (cause) {
      throw failure(cause, "file-unreadable", "read", path);
    }
  },

  async fileSize(path) {
    const found = tryTo(() => statSync(path, { throwIfNoEntry: false }));
    return found?.isFile() ? found.size : null;
  },

  async mode(path) {
    const found = tryTo(() => statSync(path, { throwIfNoEntry: false }));
    return found === undefined ? null : found.mode & 0o777;
  },

  async realPath(path) {
    try {
      return realpathSync.native(path);
    } catch (cause) {
      // A dangling link is not a new file: writing through it would put the file where its path does not say.
      if (tryTo(() => lstatSync(path, { throwIfNoEntry: false })) !== undefined)
        throw failure(cause, "file-unreadable", "follow", path);
    }
    try {
      return join(realpathSync.native(dirname(path)), basename(path));
    } catch (cause) {
      throw failure(cause, "file-missing", "find", dirname(path));
    }
  },

  async list(folder) {
    try {
      const entries = readdirSync(folder, { withFileTypes: true });
      return entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
    } catch (cause) {
      throw failure(cause, "file-unreadable", "list", folder);
    }
  },
};

/** What no file is larger than that any command takes. */
const maxStreamBytes = 128 * 1024 * 1024;

/** A pipe or a device, which may never end. */
async function readStream(path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of createReadStream(path) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxStreamBytes)
      throw new SealwardError("too-large", `Cannot read the file: it gives more than ${maxStreamBytes} bytes`, {
        file: path,
      });
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Undefined where it fails. */
function tryTo<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
