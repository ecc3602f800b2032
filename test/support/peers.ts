// Runs the released tools in a home of their own, so that no key or configuration of the machine takes part.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTool, type Tool } from "./available.ts";

export interface Peers {
  readonly home: string;
  /** Writes a file into the home and gives its path. */
  file(name: string, text: string | Uint8Array, mode?: number): string;
  read(path: string): string;
  readBytes(path: string): Buffer;
  /** Runs a tool that must succeed, in the home, and gives its output. */
  run(tool: Tool, args: readonly string[], options?: { readonly editor?: string }): string;
  /**
   * The same, without stopping what else this process does, such as serving what the tool calls. Gives how it ended, be it
   * well or not.
   */
  start(tool: Tool, args: readonly string[], options: StartOptions): Promise<Ended>;
  remove(): void;
}

export interface StartOptions {
  readonly cwd?: string;
  /** Besides the home's own. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A home whose only age identities are the given ones. */
export function peers(secretKeys: readonly string[]): Peers {
  const home = mkdtempSync(join(tmpdir(), "sealward-peers-"));
  const keys = join(home, "keys.txt");
  writeFileSync(keys, `${secretKeys.join("\n")}\n`, { mode: 0o600 });
  const env = {
    HOME: home,
    XDG_CONFIG_HOME: home,
    SOPS_AGE_KEY_FILE: keys,
    SOPS_DISABLE_VERSION_CHECK: "1",
    PATH: process.env["PATH"] ?? "",
  };
  return {
    home,
    file: (name, text, mode) => {
      const path = join(home, name);
      writeFileSync(path, text, { mode });
      return path;
    },
    read: (path) => readFileSync(path, "utf8"),
    readBytes: (path) => readFileSync(path),
    run: (tool, args, { editor } = {}) => {
      const path = findTool(tool);
      if (path === null) throw new Error(`${tool} is not here`);
      const { status, stdout, stderr } = spawnSync(path, args, {
        cwd: home,
        env: editor === undefined ? env : { ...env, EDITOR: editor },
        encoding: "utf8",
        timeout: 30_000,
      });
      if (status !== 0) throw new Error(`${tool} ${args[0]} ended with ${status}: ${stderr}`);
      return stdout;
    },
    start: (tool, args, { cwd = home, env: more = {} }) => {
      const path = findTool(tool);
      if (path === null) throw new Error(`${tool} is not here`);
      const child = spawn(path, args, {
        cwd,
        env: { ...env, ...more },
        timeout: 30_000,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
      child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
      child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
      return new Promise((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (status) =>
          resolve({ status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
        );
      });
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}
