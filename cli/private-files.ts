// Files and folders that only their owner reads: made where nothing is yet, and wiped when they have served. Knows nothing
// about what the bytes mean.
import { chmod, lstat, mkdir, mkdtemp, open, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { getuid } from "node:process";
import { failure } from "./file-failure.ts";
import { anyMark, isLeft, processMark } from "./own-process.ts";
import { createWhole } from "./writing.ts";

/** Makes a file that must not exist yet. Throws `file-exists`, `file-unwritable`. */
export async function createFile(path: string, data: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw failure(cause, "file-unwritable", "make the folder of", path);
  });
  try {
    await createWhole(path, data);
  } catch (cause) {
    throw failure(cause, "file-unwritable", "create", path);
  }
}

/** Null when none can be made there. What processes that are gone have left there is wiped first. */
export async function privateFolder(parent: string): Promise<string | null> {
  try {
    await wipeLeftFolders(parent);
    const folder = await mkdtemp(join(parent, `seal-${processMark}-`));
    await chmod(folder, 0o700);
    return folder;
  } catch {
    return null;
  }
}

/** Made by this user, and entered by nobody else since. */
async function isOwn(folder: string): Promise<boolean> {
  const { uid, mode } = await lstat(folder);
  return getuid === undefined || (uid === getuid() && (mode & 0o077) === 0);
}

/** A folder of another user's stays, whatever it is called. */
async function wipeLeftFolders(parent: string): Promise<void> {
  const own = new RegExp(`^seal-${anyMark}-[A-Za-z0-9]{6}$`);
  for (const entry of await readdir(parent, { withFileTypes: true })) {
    const [, left] = own.exec(entry.name) ?? [];
    if (entry.isDirectory() && isLeft(left) && (await isOwn(join(parent, entry.name))))
      await wipeFolder(join(parent, entry.name)).catch(() => undefined);
  }
}

// The editor may have removed the folder, or its right to be listed.
export async function wipeFolder(folder: string): Promise<void> {
  await chmod(folder, 0o700).catch(() => undefined);
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await wipeFolder(path);
    else if (entry.isFile()) await wipeFile(path);
  }
  await remove(folder);
}

// Best effort: on a file system in memory, where these files normally are, this does erase the bytes.
export async function wipeFile(path: string): Promise<void> {
  const file = await open(path, "r+").catch(() => null);
  try {
    if (file !== null) await file.write(new Uint8Array((await file.stat()).size), 0).catch(() => undefined);
  } finally {
    await file?.close();
    await remove(path);
  }
}

/** A file, or a folder with all that is in it; no failure where there is none. */
export async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (cause) {
    throw failure(cause, "file-unwritable", "remove", path);
  }
}
