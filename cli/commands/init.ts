// seal init: seal.yaml, a fresh identity for each environment and one for recovery, and the .gitignore lines that keep
// plaintext out. Identities go outside every Git work tree. Replaces nothing; when a step fails, it takes back the others.
import { basename, dirname, join, resolve } from "node:path";
import { assertRecipient, parseAgeIdentities, parseConfig, SealwardError } from "../../src/index.ts";
import { readText } from "../document.ts";
import { keysFolder, repositoryLine } from "../identities.ts";
import type { Io } from "../io.ts";
import { HintedError, printDone, UsageError } from "../report.ts";
import { findSettings, findWorkTree, shown } from "../settings.ts";
import { sealYaml } from "../yaml-text.ts";
import { freshIdentityFile } from "./keygen.ts";

export interface InitOptions {
  readonly env?: readonly string[];
  readonly recipient?: readonly string[];
  readonly namespace?: readonly string[];
  readonly recovery?: string;
  readonly keysDir?: string;
}

export const ignored: readonly string[] = ["*.plain.yaml", "*.agekey"];

export async function init(io: Io, options: InitOptions): Promise<void> {
  const folder = await io.fs.realPath(io.cwd);
  await assertUngoverned(io);
  const names = options.env ?? ["staging", "prod"];
  if (names.includes("recovery")) {
    throw new UsageError(
      'Cannot name an environment "recovery": the recovery identity has that name',
      "choose another name",
    );
  }
  const recipients = pairs("--recipient", options.recipient, names);
  const namespaces = pairs("--namespace", options.namespace, names);
  const keys = options.keysDir === undefined ? keysFolder(io, folder) : resolve(io.cwd, options.keysDir);
  const newFiles = new Map<string, string>();
  const recipientOf = (name: string): string => {
    const { text, recipient } = freshIdentityFile(io.now());
    newFiles.set(join(keys, `${name}.agekey`), `${repositoryLine(folder)}\n${text}`);
    return recipient;
  };
  assertRecipients([
    ...[...recipients].map(([name, texts]): [string, string[]] => [`--recipient ${name}=…`, texts]),
    ...(options.recovery === undefined ? [] : [["--recovery", [options.recovery]] satisfies [string, string[]]]),
  ]);
  const recovery = options.recovery ?? recipientOf("recovery");
  const text = sealYaml(
    recovery,
    names.map((name) => ({
      name,
      recipients: recipients.get(name) ?? [recipientOf(name)],
      namespaces: namespaces.get(name) ?? [],
    })),
  );
  assertValid(text);
  await assertOutsideGit(io, keys, newFiles);
  await assertNoneThere(io, keys, newFiles);

  const made: string[] = [];
  try {
    for (const [file, identity] of newFiles) {
      await io.fs.create(file, identity);
      made.push(file);
    }
    await addIgnoredNames(io, join(folder, ".gitignore"));
    await io.fs.write(join(folder, "seal.yaml"), text);
  } catch (problem) {
    for (const file of made) await io.fs.remove(file);
    throw problem;
  }
  await tell(io, { keys, isUsual: keys === keysFolder(io, folder) }, { names, namespaces }, newFiles);
}

/** Throws `file-exists` where a seal.yaml governs the working folder. */
export async function assertUngoverned(io: Io): Promise<void> {
  const above = await findSettings(io, null);
  if (above !== null) {
    const message = `Cannot write seal.yaml: ${shown(io, join(above.folder, "seal.yaml"))} governs this folder already`;
    throw new HintedError("file-exists", message, {
      hint: "add environments to that file by hand; a seal.yaml of its own for a subfolder is listed there under `nested`",
      file: above.config.file,
    });
  }
}

/** Says which flag a recipient came with, never its text: it might be an identity by mistake. */
export function assertRecipients(given: readonly (readonly [flag: string, texts: readonly string[]])[]): void {
  for (const [flag, texts] of given) {
    for (const text of texts) {
      try {
        assertRecipient(text);
      } catch (problem) {
        if (!(problem instanceof SealwardError)) throw problem;
        throw new SealwardError(problem.code, `Cannot use ${flag}: ${problem.message}`);
      }
    }
  }
}

/** NAME=VALUE options by environment. What was typed is not repeated: it might be an identity by mistake. */
export function pairs(
  flag: string,
  given: readonly string[] | undefined,
  names: readonly string[],
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const pair of given ?? []) {
    const [name = "", value = ""] = pair.split("=", 2);
    if (!names.includes(name) || value === "") {
      throw new UsageError(
        `Cannot use a ${flag}: expected NAME=VALUE with one of ${names.join(", ")} for NAME`,
        "name further environments with `--env NAME …`",
      );
    }
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  return found;
}

/** The library's own reading is the check of names and namespaces; what it refuses came from the flags. */
export function assertValid(text: string): void {
  try {
    parseConfig(text, "seal.yaml");
  } catch (problem) {
    if (!(problem instanceof SealwardError)) throw problem;
    throw new UsageError(
      `Cannot write seal.yaml: ${problem.message}`,
      "correct the flags; environments and namespaces have lower-case letters, digits and dashes",
    );
  }
}

async function assertOutsideGit(io: Io, keys: string, newFiles: ReadonlyMap<string, string>): Promise<void> {
  if (newFiles.size === 0) return;
  let existing = keys;
  while ((await io.fs.kind(existing)) === null) existing = dirname(existing);
  const workTree = await findWorkTree(io, await io.fs.realPath(existing));
  if (workTree !== null) {
    throw new UsageError(
      `Cannot write identities to ${keys}: it lies in the Git work tree ${workTree}`,
      "name a folder outside: `--keys-dir FOLDER`",
    );
  }
}

/** Keys of this repository's last `seal init`, or of another repository in a folder of the same name. */
async function assertNoneThere(io: Io, keys: string, newFiles: ReadonlyMap<string, string>): Promise<void> {
  const flags: string[] = [];
  let isReadable = true;
  for (const file of newFiles.keys()) {
    if ((await io.fs.kind(file)) === null) continue;
    const name = basename(file, ".agekey");
    const recipient = await recipientIn(io, file);
    if (recipient === undefined) isReadable = false;
    const flag = name === "recovery" ? "--recovery " : `--recipient ${name}=`;
    flags.push(`${flag}${recipient ?? "age1…"}`);
  }
  if (flags.length === 0) return;
  const use = isReadable
    ? `use these identities: \`${flags.join(" ")}\``
    : `use their recipients: \`${flags.join(" ")}\``;
  throw new HintedError("file-exists", `Cannot write identities to ${keys}: there are some of this name already`, {
    hint: `if they are this repository's, ${use}; if they are another's, name a folder for the new ones: \`--keys-dir FOLDER\``,
  });
}

/** Undefined where the file holds no identity that can be read. */
async function recipientIn(io: Io, file: string): Promise<string | undefined> {
  try {
    return (await parseAgeIdentities(await readText(io, file), file))[0]?.recipient;
  } catch (problem) {
    if (problem instanceof SealwardError) return undefined;
    throw problem;
  }
}

export async function addIgnoredNames(io: Io, file: string): Promise<void> {
  // A link that came with the repository may lead to any file of this person.
  if ((await io.fs.realPath(file)) !== file)
    throw new SealwardError("file-unwritable", "Cannot add to .gitignore: it is a symbolic link", {
      file: ".gitignore",
    });
  const present = (await io.fs.kind(file)) === null ? "" : await readText(io, file);
  const missing = ignored.filter((name) => !present.split(/\r?\n/).includes(name));
  if (missing.length === 0) return;
  await io.fs.write(file, `${present}${present === "" || present.endsWith("\n") ? "" : "\n"}${missing.join("\n")}\n`);
}

async function tell(
  io: Io,
  { keys, isUsual }: { keys: string; isUsual: boolean },
  { names, namespaces }: { readonly names: readonly string[]; readonly namespaces: ReadonlyMap<string, string[]> },
  newFiles: ReadonlyMap<string, string>,
): Promise<void> {
  await printDone(
    io,
    `wrote seal.yaml with ${names.join(", ")}, and ${ignored.join(", ")} into .gitignore; commit both`,
  );
  for (const file of newFiles.keys()) await printDone(io, `identity: ${file}`);
  const own = [...newFiles.keys()].map((file) => basename(file, ".agekey")).find((name) => name !== "recovery");
  if (newFiles.has(join(keys, "recovery.agekey"))) {
    await printDone(
      io,
      `Move ${join(keys, "recovery.agekey")} to an offline place now, and delete it here: it opens everything.`,
    );
  }
  if (own === undefined) return;
  const found = isUsual ? "seal finds these identities here; elsewhere" : "To open files";
  await printDone(io, `${found}: export SOPS_AGE_KEY_FILE=${join(keys, `${own}.agekey`)}`);
  await printDone(
    io,
    `Next: mkdir -p ${own}; kubectl create secret generic db -n ${namespaces.get(own)?.[0] ?? "NAMESPACE"} --from-literal=KEY=VALUE --dry-run=client -o yaml | seal --env ${own} -o ${own}/db.sealed.yaml`,
  );
}
