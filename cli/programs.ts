// Other programs, found as a shell finds them but never in the work tree: what lies there belongs to whoever can write to the
// repository. Knows nothing of what they do.
import { delimiter, isAbsolute, join } from "node:path";
import type { Io } from "./io.ts";
import { isWithin } from "./paths.ts";
import { findWorkTree } from "./settings.ts";

/** The path of a program on PATH; null where there is none outside the work tree. */
export async function findProgram(io: Io, name: string): Promise<string | null> {
  const tree = await findWorkTree(io, await io.fs.realPath(io.cwd));
  const endings = io.platform === "win32" ? [".exe", ".cmd", ""] : [""];
  for (const folder of (io.env["PATH"] ?? "").split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    for (const ending of endings) {
      const path = join(folder, `${name}${ending}`);
      if ((await io.fs.kind(path)) !== "file") continue;
      const real = await io.fs.realPath(path);
      if (tree === null || !isWithin(tree, real)) return path;
    }
  }
  return null;
}

/**
 * What a program prints, started in the home folder, where no repository is; null where it fails or takes longer than `ms`.
 */
export async function outputOf(io: Io, command: readonly string[], ms: number): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const started = (kill: (signal: NodeJS.Signals) => void): void => {
    timer = setTimeout(() => kill("SIGKILL"), ms);
  };
  const env = { ...io.env, SOPS_DISABLE_VERSION_CHECK: "1" };
  const { status, stdout } = await io.run(command, { cwd: io.home, capture: true, env, started });
  clearTimeout(timer);
  return status === 0 ? new TextDecoder().decode(stdout) : null;
}
