// Lets a person edit plaintext: a file that only they can read, in memory where the system has such a place and never in
// a work tree, wiped however the editing ends. Knows nothing about sealing.
import { basename, join } from "node:path";
import { SealwardError } from "../src/index.ts";
import { splitCommand } from "./command-line.ts";
import { decodeText } from "./document.ts";
import { type Io, signals } from "./io.ts";
import { findWorkTree } from "./settings.ts";

/**
 * Opens `text` in the editor and passes the outcome to `accept`, which answers null when it is satisfied, or the text to go
 * on with in another round. The folder is wiped when this returns or throws.
 * @throws `editor-failed`; `cancelled` after a signal
 */
export async function editText(
  io: Io,
  text: string,
  name: string,
  accept: (edited: string) => Promise<string | null>,
): Promise<void> {
  const command = editorCommand(io);
  let interrupted: NodeJS.Signals | null = null;
  let endChild: ((signal: NodeJS.Signals) => void) | null = null;
  // An editor may use ^C for itself, so it decides whether a signal ends it; only then does it end this command.
  const unregister = io.onSignal((signal) => {
    interrupted = signal;
    endChild?.(signal);
  });
  const cancelled = (): SealwardError =>
    new SealwardError("cancelled", `Cannot edit: the signal ${interrupted} came in`);
  const folder = await privateFolder(io);
  try {
    const file = join(folder, basename(name));
    for (let next: string | null = text; next !== null; ) {
      if (interrupted !== null) throw cancelled();
      await io.fs.create(file, next);
      const { status, signal } = await io.run([...command, file], {
        cwd: folder,
        capture: false,
        started: (kill) => (endChild = kill),
      });
      endChild = null;
      // A signal to both may have ended the editor before this program heard of its own.
      interrupted ??= signals.find((one) => one === signal) ?? null;
      if (interrupted !== null && (status !== 0 || interrupted !== "SIGINT")) throw cancelled();
      interrupted = null;
      if (status !== 0) {
        const outcome = status === null ? "could not be started, or was killed" : `ended with status ${status}`;
        throw new SealwardError("editor-failed", `Cannot edit: the editor "${command[0]}" ${outcome}`);
      }
      if ((await io.fs.kind(file)) !== "file")
        throw new SealwardError("editor-failed", `Cannot edit: the editor "${command[0]}" left no file behind`);
      const edited = decodeText(await io.fs.read(file), "edited text");
      await io.fs.wipeFile(file);
      next = await accept(edited);
    }
  } finally {
    await io.fs.wipeFolder(folder);
    unregister();
  }
}

function editorCommand(io: Io): readonly string[] {
  for (const name of ["SEAL_EDITOR", "VISUAL", "EDITOR"]) {
    const command = splitCommand(io.env[name] ?? "");
    if ((command[0] ?? "") !== "") return command;
  }
  if (io.stdin.isTty) return ["vi"];
  throw new SealwardError(
    "editor-failed",
    "Cannot edit: no editor is named, and stdin is not a terminal for vi to use",
  );
}

/** Where a private folder is made, the best place first, and whether it is memory and no disk, as far as names say it. */
export function privateParents(io: Io): readonly { readonly folder: string; readonly isMemory: boolean }[] {
  const runtime = io.env["XDG_RUNTIME_DIR"] ?? "";
  return [
    ...(runtime === "" ? [] : [{ folder: runtime, isMemory: true }]),
    ...(io.platform === "linux" ? [{ folder: "/dev/shm", isMemory: true }] : []),
    { folder: io.tempFolder, isMemory: false },
  ];
}

async function privateFolder(io: Io): Promise<string> {
  const parents = privateParents(io).map(({ folder }) => folder);
  for (const parent of parents) {
    if ((await io.fs.kind(parent)) !== "folder") continue;
    const real = await io.fs.realPath(parent);
    if ((await findWorkTree(io, real)) !== null) continue;
    const folder = await io.fs.privateFolder(real);
    if (folder !== null) return folder;
  }
  throw new SealwardError(
    "file-unwritable",
    `Cannot edit: none of ${parents.join(", ")} is a folder to write to outside a Git work tree`,
  );
}
