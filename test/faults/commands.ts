// Every command that writes, as what a fault is put into: what is there before, what is run, and what it is to leave. A row is
// all that a new command needs.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { generateAgeIdentity, sidesOf } from "../../src/index.ts";
import { type GitWorld, gitWorld, prodFile } from "../cli/git-world.ts";
import { canary, type GitDir, manifest, succeed } from "../cli/gitdir.ts";

export interface Writing {
  readonly name: string;
  /** Beyond the repository with a sealed file for staging and prod, committed, and Git set up. */
  readonly prepare?: (world: GitWorld) => Promise<void> | void;
  readonly argv: readonly string[];
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The one file that it writes, from the top of the work tree. */
  readonly target: string;
  /** Whether the file as it is now is the outcome. */
  readonly isDone: (dir: GitDir) => Promise<boolean>;
  /** Whether it is another outcome that is as good: what a failure is to leave. */
  readonly isSound?: (dir: GitDir) => boolean;
  /** True: plaintext in the work tree is what was asked for. */
  readonly writesPlaintext?: boolean;
  /** True: what a killed one made stops the next. */
  readonly refusesAgain?: boolean;
}

const gives = (file: string, key: string, value: string) => async (dir: GitDir) => {
  const { code, stdout } = await dir.run(["get", file, key]);
  return code === 0 && stdout === value;
};
const opens = (file: string) => async (dir: GitDir) => {
  const { code, stdout } = await dir.run(["decrypt", file]);
  return code === 0 && stdout.includes(canary);
};
const holds = (file: string, text: string) => async (dir: GitDir) => dir.has(file) && dir.read(file).includes(text);
const dotenv = "deploy/prod/app.env";
const sealedDotenv = async (world: GitWorld): Promise<void> => {
  world.write(dotenv, `A=${canary}\nB=two\n`);
  await succeed(world.run(["encrypt", "-i", dotenv]));
};
const plainSecret = "deploy/prod/new.yaml";

/** Both branches changed PASSWORD; the merge has stopped. */
async function conflicted(world: GitWorld): Promise<void> {
  await world.branch("theirs", prodFile, { PASSWORD: `${canary}-theirs` });
  await succeed(world.run(["set", prodFile, "PASSWORD"], { stdin: `${canary}-ours` }));
  world.git(["commit", "-qam", "ours"]);
  world.git(["merge", "theirs"], 1);
}

export const commands: readonly Writing[] = [
  {
    name: "set",
    argv: ["set", prodFile, "PASSWORD"],
    stdin: `${canary}-new`,
    target: prodFile,
    isDone: gives(prodFile, "PASSWORD", `${canary}-new`),
  },
  {
    name: "set in a dotenv file",
    prepare: sealedDotenv,
    argv: ["set", dotenv, "A"],
    stdin: `${canary}-new`,
    target: dotenv,
    isDone: gives(dotenv, "A", `${canary}-new`),
  },
  {
    name: "unset",
    argv: ["unset", prodFile, "URL"],
    target: prodFile,
    isDone: async (dir) =>
      (await dir.run(["get", prodFile, "PASSWORD"])).stdout === canary && !dir.read(prodFile).includes("  URL:"),
  },
  {
    name: "encrypt -o",
    argv: ["encrypt", "--env", "prod", "-o", "deploy/prod/out.sealed.yaml"],
    stdin: manifest({ name: "out" }),
    target: "deploy/prod/out.sealed.yaml",
    isDone: opens("deploy/prod/out.sealed.yaml"),
  },
  {
    name: "encrypt -i",
    prepare: (world) => world.write(plainSecret, manifest({ name: "new" })),
    argv: ["encrypt", "-i", plainSecret],
    target: plainSecret,
    isDone: opens(plainSecret),
    writesPlaintext: true,
  },
  {
    name: "encrypt --wrap",
    argv: ["encrypt", "--wrap", "--env", "prod", "-o", "deploy/prod/bound.yaml"],
    stdin: manifest({ name: "out" }),
    target: "deploy/prod/bound.yaml",
    isDone: opens("deploy/prod/bound.yaml"),
  },
  {
    name: "check --fix",
    prepare: (world) => world.write(plainSecret, manifest({ name: "new" })),
    argv: ["check", "--fix", "--no-gitleaks"],
    target: plainSecret,
    isDone: opens(plainSecret),
    writesPlaintext: true,
  },
  {
    name: "decrypt -o",
    argv: ["decrypt", prodFile, "-o", "out.plain.yaml", "--force"],
    target: "out.plain.yaml",
    isDone: holds("out.plain.yaml", canary),
    writesPlaintext: true,
  },
  {
    name: "edit",
    argv: ["edit", prodFile],
    env: { SEAL_EDITOR: "sed -i s/plaintext/edited/" },
    target: prodFile,
    isDone: gives(prodFile, "PASSWORD", canary.replace("plaintext", "edited")),
  },
  {
    name: "bind",
    prepare: (world) => {
      const { recipient } = generateAgeIdentity().identity;
      world.write(
        "seal.yaml",
        world.read("seal.yaml").replace(/(prod:\n {4}recipients:\n {6}age:\n)/, `$1        - ${recipient}\n`),
      );
    },
    argv: ["bind", prodFile],
    target: prodFile,
    isDone: async (dir) => (await dir.run(["check", "--no-gitleaks", prodFile])).code === 0,
  },
  {
    name: "wrap -o",
    argv: ["wrap", prodFile, "-o", "deploy/prod/wrapped.yaml"],
    target: "deploy/prod/wrapped.yaml",
    isDone: opens("deploy/prod/wrapped.yaml"),
  },
  {
    name: "promote",
    argv: [
      "promote",
      "deploy/staging/db.sealed.yaml",
      "--from",
      "staging",
      "--to",
      "prod",
      "-o",
      "deploy/prod/promoted.sealed.yaml",
      "--generate",
      "PASSWORD",
      "--keep",
      "URL",
    ],
    target: "deploy/prod/promoted.sealed.yaml",
    isDone: opens("deploy/prod/promoted.sealed.yaml"),
  },
  {
    name: "git resolve",
    prepare: conflicted,
    argv: ["git", "resolve", "--take", "theirs"],
    target: prodFile,
    isDone: gives(prodFile, "PASSWORD", `${canary}-theirs`),
  },
  {
    name: "git merge",
    prepare: async (world) => {
      await world.branch("theirs", prodFile, { PASSWORD: `${canary}-theirs` });
      await succeed(world.run(["set", prodFile, "URL"], { stdin: `${canary}-ours` }));
      for (const [file, rev] of [
        ["base", "main"],
        ["theirs", "theirs"],
      ] as const)
        world.write(`.merge_${file}`, world.git(["show", `${rev}:${prodFile}`]));
      world.write(".merge_ours", world.read(prodFile));
    },
    argv: ["git", "merge", ".merge_base", ".merge_ours", ".merge_theirs", "7", prodFile],
    target: ".merge_ours",
    // Both versions, each whole, between markers: where the merge could not be written Git must not go on.
    isSound: (dir) => {
      const sides = sidesOf(dir.read(".merge_ours"));
      return sides?.theirs === dir.read(".merge_theirs") && sides.ours.includes("sops:");
    },
    isDone: async (dir) => {
      dir.write("deploy/prod/merged.sealed.yaml", dir.read(".merge_ours"));
      return gives("deploy/prod/merged.sealed.yaml", "PASSWORD", `${canary}-theirs`)(dir);
    },
  },
  {
    name: "git install",
    prepare: async (world) => void (await succeed(world.run(["git", "install", "--remove"]))),
    argv: ["git", "install"],
    target: ".gitattributes",
    isDone: holds(".gitattributes", "merge=seal"),
  },
  {
    name: "keygen -o",
    argv: ["keygen", "-o", "../home/new.agekey"],
    target: "../home/new.agekey",
    isDone: holds("../home/new.agekey", "AGE-SECRET-KEY-"),
  },
  {
    name: "init",
    prepare: (world) => rmSync(join(world.path, "seal.yaml")),
    argv: ["init", "--keys-dir", "../home/fresh-keys"],
    target: "seal.yaml",
    isDone: holds("seal.yaml", "environments:"),
    // Keys that are there already are nobody's to replace.
    refusesAgain: true,
  },
];

/** A repository in which the command can run. */
export async function worldFor({ prepare }: Writing): Promise<GitWorld> {
  const world = await gitWorld();
  await prepare?.(world);
  return world;
}

/** What lies in a folder and below, with its bytes. */
export function bytesUnder(folder: string): { readonly path: string; readonly name: string }[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => ({ path: join(entry.parentPath, entry.name), name: entry.name }));
}
