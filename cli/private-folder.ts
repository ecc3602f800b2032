// A folder that only its owner enters, in memory where the system has such a place, and never in a work tree. Knows nothing of
// what is put into it.
import { SealwardError } from "../src/index.ts";
import type { Io } from "./io.ts";
import { findWorkTree } from "./settings.ts";

/** `action`: what it is for, as a message names it. @throws file-unwritable where none can be made */
export async function makePrivateFolder(io: Io, action: string): Promise<string> {
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
    `Cannot ${action}: none of ${parents.join(", ")} is a folder to write to outside a Git work tree`,
  );
}

/** Where one is made, the best place first, and whether it is memory and no disk, as far as names say it. */
export function privateParents(io: Io): readonly { readonly folder: string; readonly isMemory: boolean }[] {
  const runtime = io.env["XDG_RUNTIME_DIR"] ?? "";
  return [
    ...(runtime === "" ? [] : [{ folder: runtime, isMemory: true }]),
    ...(io.platform === "linux" ? [{ folder: "/dev/shm", isMemory: true }] : []),
    { folder: io.tempFolder, isMemory: false },
  ];
}
