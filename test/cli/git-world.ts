// A repository with sealed files in which Git runs the real `seal` of dist/: as merge driver, textconv and hook.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type GitDir, sealedRepository, succeed } from "./gitdir.ts";

export interface GitWorld extends GitDir {
  /** Runs git; what it and `seal` print comes together. Throws where it ends with another status than `expected`. */
  git(args: readonly string[], expected?: number, env?: Readonly<Record<string, string>>): string;
  /** Sets values, commits, and goes back to the branch it came from. */
  branch(name: string, file: string, values: Readonly<Record<string, string>>): Promise<void>;
}

export const prodFile = "deploy/prod/db.sealed.yaml";

/** `seal git install` was run, and everything is committed on `main`; hooks only where they are asked for. */
export async function gitWorld({ hooks = false }: { readonly hooks?: boolean } = {}): Promise<GitWorld> {
  const dir = await sealedRepository();
  const bin = join(dir.home, "bin");
  mkdirSync(bin);
  const program = join(bin, "seal");
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${resolve("dist/seal.cjs")}' "$@"\n`);
  chmodSync(program, 0o755);
  const world: GitWorld = {
    ...dir,
    git: (args, expected = 0, more = {}) => {
      const person = {
        GIT_AUTHOR_NAME: "a",
        GIT_AUTHOR_EMAIL: "a@b",
        GIT_COMMITTER_NAME: "a",
        GIT_COMMITTER_EMAIL: "a@b",
      };
      const env = { PATH: `${bin}:${process.env["PATH"]}`, ...dir.env, ...person, GIT_CONFIG_NOSYSTEM: "1", ...more };
      const { status, stdout, stderr } = spawnSync("git", args, { cwd: dir.path, env, encoding: "utf8" });
      if (status !== expected) throw new Error(`git ${args.join(" ")}: ${status}\n${stdout}${stderr}`);
      return stdout + stderr;
    },
    branch: async (name, file, values) => {
      world.git(["checkout", "-q", "-b", name]);
      for (const [key, value] of Object.entries(values)) await succeed(dir.run(["set", file, key], { stdin: value }));
      world.git(["commit", "-qam", name]);
      world.git(["checkout", "-q", "-"]);
    },
  };
  world.git(["checkout", "-q", "-b", "main"]);
  await succeed(dir.run(["git", "install", ...(hooks ? [] : ["--no-hooks"])]));
  world.git(["add", "-A"]);
  world.git(["commit", "-q", "-m", "base", "--no-verify"]);
  return world;
}

/** What is in a sealed Secret of the repository. */
export async function valuesIn(dir: GitDir, file: string = prodFile): Promise<Record<string, string>> {
  const { stdout } = await succeed(dir.run(["decrypt", file]));
  return Object.fromEntries(
    [...stdout.matchAll(/^ {2}([A-Z_]+): "?(.*?)"?$/gm)].map(([, key, value]) => [key ?? "", value ?? ""]),
  );
}
