// The part of `seal doctor` about Git: the work tree, hooks, drivers, and plaintext that must not be in it. Asks, and changes
// nothing.
import { join, resolve } from "node:path";
import { SealwardError } from "../src/index.ts";
import { type DoctorLine, fail, ok, warn } from "./doctor-line.ts";
import { readText } from "./document.ts";
import { askGit } from "./git.ts";
import type { Io } from "./io.ts";
import { shellQuote } from "./report.ts";
import { findWorkTree } from "./settings.ts";

/** Older ones were not tried, and miss options that are used. */
const oldestGit = [2, 30] as const;
const install = "seal git install";

export async function gitLines(io: Io): Promise<readonly DoctorLine[]> {
  const version = await versionOf(io);
  if (version === null) return [fail("git", "it could not be started", "install Git, and put it on PATH")];
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = major < oldestGit[0] || (major === oldestGit[0] && minor < oldestGit[1]);
  const tree = await findWorkTree(io, await io.fs.realPath(io.cwd));
  const git = isOld
    ? warn("git", `version ${version} is older than ${oldestGit.join(".")}`, "install a newer Git")
    : ok("git", `version ${version}`);
  if (tree === null)
    return [
      git,
      warn("work tree", "this folder is in none: nothing is compared, merged or kept from a commit", "git init"),
    ];
  return [
    git,
    ok("work tree", tree),
    await hookLine(io, tree),
    await driverLine(io, tree),
    await attributesLine(io, tree),
    await plaintextLine(io, tree),
    await ignoreLine(io, tree),
  ];
}

async function versionOf(io: Io): Promise<string | null> {
  try {
    const answer = await textOf(io, ["--version"], io.home);
    return /\d+(?:\.\d+)+/.exec(answer ?? "")?.[0] ?? null;
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}

/** Without the line break at its end; null where Git says no. */
async function textOf(io: Io, args: readonly string[], cwd: string): Promise<string | null> {
  const answer = await askGit(io, args, { cwd });
  return answer === null ? null : new TextDecoder().decode(answer).replace(/\r?\n$/, "");
}

const startsCheck = /\bseal\b[^\n]*\bcheck\b/;

async function hookLine(io: Io, tree: string): Promise<DoctorLine> {
  const folder = await textOf(io, ["rev-parse", "--git-path", "hooks"], tree);
  const hook = await textAt(io, join(resolve(tree, folder ?? ".git/hooks"), "pre-commit"));
  const managed = await textAt(io, join(tree, ".pre-commit-config.yaml"));
  if (/\bid:\s*["']?seal-check\b/.test(managed ?? "") && hook !== null)
    return ok("hook", "pre-commit runs seal-check by .pre-commit-config.yaml");
  const command = startsCheck.exec(withoutComments(hook ?? ""))?.[0];
  if (command === undefined) return warn("hook", "no pre-commit hook runs `seal check --staged`", install);
  const line =
    withoutComments(hook ?? "")
      .split(/\r?\n/)
      .find((text) => startsCheck.test(text)) ?? "";
  return line.includes("--staged")
    ? ok("hook", "pre-commit runs `seal check --staged`")
    : warn("hook", "pre-commit checks the work tree and not what is about to be committed", install);
}

const withoutComments = (text: string): string => text.replace(/^\s*#.*$/gm, "");

async function driverLine(io: Io, tree: string): Promise<DoctorLine> {
  const missing: string[] = [];
  for (const name of ["merge.seal.driver", "diff.seal.textconv"])
    if (((await textOf(io, ["config", "--get", name], tree)) ?? "") === "") missing.push(name);
  return missing.length === 0
    ? ok("drivers", "merge and diff of sealed files are set up in Git's configuration")
    : warn("drivers", `Git's configuration has no ${missing.join(" and no ")}`, install);
}

/** Asked of Git itself, which reads more than one file, for a name as sealed files have it. */
async function attributesLine(io: Io, tree: string): Promise<DoctorLine> {
  const answer = (await textOf(io, ["check-attr", "merge", "diff", "--", "any.sealed.yaml"], tree)) ?? "";
  const missing = ["merge", "diff"].filter((name) => !answer.includes(`: ${name}: seal`));
  return missing.length === 0
    ? ok("attributes", "*.sealed.yaml files are merged and compared by seal")
    : warn(
        "attributes",
        `.gitattributes gives *.sealed.yaml files no ${missing.map((name) => `${name}=seal`).join(" and no ")}`,
        install,
      );
}

const plainNames = ["*.plain.yaml", "*.plain.yml", "*.plain.json", "*.agekey"];
/** The names are there to be found, not to fill the screen. */
const shownNames = 5;

async function plaintextLine(io: Io, tree: string): Promise<DoctorLine> {
  const answer = await textOf(io, ["ls-files", "-z", "--", ...plainNames], tree);
  const files = (answer ?? "").split("\0").filter((name) => name !== "");
  if (files.length === 0) return ok("plaintext", `Git tracks no ${plainNames.join(", ")}`);
  const more = files.length > shownNames ? ` and ${files.length - shownNames} more` : "";
  return fail(
    "plaintext",
    `Git tracks ${files.slice(0, shownNames).join(", ")}${more}: what was in them is known to all who can read the repository`,
    `git rm --cached -- ${files.slice(0, shownNames).map(shellQuote).join(" ")}, and replace the values and keys in them`,
  );
}

async function ignoreLine(io: Io, tree: string): Promise<DoctorLine> {
  const missing: string[] = [];
  for (const name of ["*.plain.yaml", "*.agekey"])
    if (
      (await askGit(io, ["check-ignore", "-q", "--no-index", "--", name.replace("*", "any")], { cwd: tree })) === null
    )
      missing.push(name);
  if (missing.length === 0) return ok("ignored", "Git ignores *.plain.yaml and *.agekey");
  const mend = `printf '%s\\n' ${missing.map(shellQuote).join(" ")} >> .gitignore`;
  return warn("ignored", `Git does not ignore ${missing.join(" and ")}`, mend);
}

async function textAt(io: Io, path: string): Promise<string | null> {
  if ((await io.fs.kind(path)) !== "file") return null;
  try {
    return await readText(io, path);
  } catch (problem) {
    if (problem instanceof SealwardError) return null;
    throw problem;
  }
}
