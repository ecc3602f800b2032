// Writes a file whole or not at all: a temporary file in the same folder, synced, then renamed over the target, which may
// be a symbolic link. Knows nothing about what the bytes mean, except that plaintext gets a temporary name that Git
// ignores and a mode that only the owner reads.
import { randomBytes } from "node:crypto";
import { readFileSync, renameSync } from "node:fs";
import { type FileHandle, link, lstat, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { SealwardError } from "../src/index.ts";
import { failure } from "./file-failure.ts";
import { anyMark, isLeft, processMark } from "./own-process.ts";

/** Runs work that a signal must not cut short. */
export type Shield = <T>(work: () => Promise<T>) => Promise<T>;

export interface WriteOptions {
  readonly plaintext?: boolean;
  /** True: whoever may read the file may run it. */
  readonly program?: boolean;
  /** Asked at the last moment; false leaves the target as it is. */
  readonly onlyIf?: () => boolean;
}

export interface Replacing {
  readonly expected: string | Uint8Array;
  readonly data: string | Uint8Array;
  /** True: only the owner may read the file from then on. */
  readonly plaintext?: boolean;
}

/** False when `onlyIf` said so. Throws `file-unwritable` and the like; then, too, the target is as it was. */
export async function writeWhole(
  path: string,
  data: string | Uint8Array,
  options: WriteOptions = {},
): Promise<boolean> {
  let temporary: string | null = null;
  try {
    const target = await realpath(path).catch(() => path);
    const mode = await stat(target).then(
      (found) => found.mode & 0o777,
      (cause: NodeJS.ErrnoException) => {
        // A file whose mode cannot be seen would get another.
        if (cause.code !== "ENOENT") throw cause;
        return null;
      },
    );
    await removeLeft(target);
    temporary = sibling(target, options.plaintext ? "plain.yaml" : "tmp");
    const file = await open(temporary, "wx", options.plaintext ? 0o600 : 0o666);
    await fill(file, data, options.plaintext ? 0o600 : options.program ? (mode ?? 0o644) | 0o111 : mode);
    // Nothing is awaited between the question and the renaming.
    if (options.onlyIf?.() === false) {
      await rm(temporary, { force: true });
      return false;
    }
    renameSync(temporary, target);
    await syncFolder(dirname(target));
    return true;
  } catch (cause) {
    if (temporary !== null) await rm(temporary, { force: true }).catch(() => undefined);
    throw failure(cause, "file-unwritable", "write", path);
  }
}

/** Makes a file that must not exist yet, with all of its content or not at all; only the owner may read it. @throws EEXIST and the like */
export async function createWhole(path: string, data: string | Uint8Array): Promise<void> {
  await removeLeft(path);
  const temporary = sibling(path, "tmp");
  try {
    await fill(await open(temporary, "wx", 0o600), data, 0o600);
    // Unlike a rename, a link never takes the place of what is there.
    await link(temporary, path);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
  await syncFolder(dirname(path));
}

/**
 * Writes `data` if the file still holds `expected`, else nothing and the answer is false. Processes that change a file this
 * way take turns by means of a lock file beside it. One that stays for `patience` milliseconds, though a turn takes but a
 * moment, was left behind by a process that was killed, and is taken away.
 */
export async function replaceIf(
  path: string,
  change: Replacing,
  { shield, patience }: { readonly shield: Shield; readonly patience: number },
): Promise<boolean> {
  try {
    const target = await realpath(path);
    const lock = join(dirname(target), `.${basename(target)}.lock`);
    for (let seen: string | null = null, since = 0; ; ) {
      const outcome = await shield(() => replaceInTurn(target, lock, change));
      if (outcome !== "locked") return outcome === "written";
      const holder = await holderOf(lock);
      if (holder === null || holder !== seen) {
        seen = holder;
        since = performance.now();
      }
      // Whoever made it says right after whose it is.
      const limit = holder === "" ? patience / 10 : patience;
      const isOver = isLeft(ownTurn.exec(holder ?? "")?.[1]) || performance.now() - since > limit;
      if (holder !== null && isOver) await removeLeftLock(lock, holder);
      await setTimeout(10 + Math.random() * 20);
    }
  } catch (cause) {
    throw failure(cause, "file-unwritable", "write", path);
  }
}

/** A turn says whose it is: one of a process that is gone is over. */
const ownTurn = new RegExp(`^${anyMark}-[0-9a-f]{24}$`);
const maxTurnLength = 64;

async function replaceInTurn(
  target: string,
  lock: string,
  { expected, data, plaintext = false }: Replacing,
): Promise<"written" | "changed" | "locked"> {
  // Tells this turn from any other: who waited too long takes the lock away, and then this one must not write.
  const turn = `${processMark}-${randomBytes(12).toString("hex")}`;
  const file = await open(lock, "wx").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "EEXIST") return null;
    throw cause;
  });
  if (file === null) return "locked";
  const isMine = (): boolean => textOf(lock) === turn;
  try {
    await file.writeFile(turn);
    await file.close();
  } catch (cause) {
    await file.close().catch(() => undefined);
    // Not yet ours by its content, and nobody else's either.
    if (turn.startsWith(textOf(lock) ?? "-")) await rm(lock, { force: true });
    throw cause;
  }
  try {
    const onlyIf = (): boolean => isMine() && textOf(target) === Buffer.from(expected).toString("latin1");
    return (await writeWhole(target, data, { onlyIf, plaintext })) ? "written" : "changed";
  } finally {
    if (isMine()) await rm(lock, { force: true });
  }
}

/** Moves the lock away before looking closer, so that of several who wait only one removes it, and never a newer one. */
async function removeLeftLock(lock: string, holder: string): Promise<void> {
  const aside = sibling(lock, "left");
  await rename(lock, aside).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw cause;
  });
  const moved = await holderOf(aside);
  if (moved !== null && moved !== holder) await link(aside, lock).catch(() => undefined);
  await rm(aside, { force: true });
}

/** What tells one lock from the next; null where there is none. Whoever can commit to the repository can put anything in its place. */
async function holderOf(lock: string): Promise<string | null> {
  const found = await lstat(lock).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return null;
    throw cause;
  });
  if (found === null) return null;
  if (found.isDirectory())
    throw new SealwardError("file-unwritable", `Cannot lock the file: "${lock}" is a folder, which nobody needs`);
  return found.isFile() && found.size <= maxTurnLength ? textOf(lock) : `no lock of ours: ${found.ino}`;
}

/** Null: there is no such file. */
function textOf(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw cause;
  }
}

const sibling = (path: string, ending: string): string =>
  join(dirname(path), `.${basename(path)}.${processMark}-${randomBytes(6).toString("hex")}.${ending}`);

/** What processes that were killed left beside the file, plaintext it may be. Best effort: it is in nobody's way. */
async function removeLeft(target: string): Promise<void> {
  const name = basename(target).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const own = new RegExp(`^\\.${name}\\.${anyMark}-[0-9a-f]{12}\\.(?:tmp|plain\\.yaml)$`);
  for (const entry of await readdir(dirname(target)).catch(() => []))
    if (isLeft(own.exec(entry)?.[1])) await rm(join(dirname(target), entry), { force: true }).catch(() => undefined);
}

/** Writes to a file just made, and closes it. */
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
