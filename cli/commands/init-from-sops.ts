// seal init --from-sops: writes seal.yaml from the creation rules of .sops.yaml, makes no key, and says for everything that
// is not carried over that it is not: beside its environment in the file, and on stderr.
import { basename, dirname, join, resolve } from "node:path";
import { includesRecipient, isSameRecipient, parseSopsConfig, type WrittenRule } from "../../src/index.ts";
import { readText } from "../document.ts";
import type { Io } from "../io.ts";
import { HintedError, hinting, printDone, printNote, safeText, UsageError } from "../report.ts";
import { shown } from "../settings.ts";
import { correctIt, lookUp } from "../sops-config.ts";
import { type ImportedRule, importRules } from "../sops-import.ts";
import { importedSealYaml } from "../yaml-text.ts";
import {
  addIgnoredNames,
  assertRecipients,
  assertUngoverned,
  assertValid,
  type InitOptions,
  ignored,
  pairs,
} from "./init.ts";

interface Environment {
  readonly name: string;
  readonly parts: readonly ImportedRule[];
}

/** `from` is the file, or true to look for it as SOPS does. */
export async function initFromSops(io: Io, from: string | true, options: InitOptions): Promise<void> {
  const folder = await io.fs.realPath(io.cwd);
  await assertUngoverned(io);
  if (options.recipient !== undefined || options.keysDir !== undefined)
    throw new UsageError(
      "--from-sops takes recipients from .sops.yaml and makes no key: --recipient and --keys-dir do not go with it",
      "leave them out, and change seal.yaml afterwards",
    );
  if (options.recovery !== undefined) assertRecipients([["--recovery", [options.recovery]]]);
  const file = await findFile(io, from);
  if (dirname(await io.fs.realPath(file)) !== folder)
    throw new UsageError(
      `Cannot write seal.yaml here: the patterns of ${shown(io, file)} are relative to its folder`,
      `run the command there: \`cd ${dirname(file)}\``,
    );
  const name = basename(file);
  const text = await readText(io, file);
  const { rules } = await hinting(correctIt, () => parseSopsConfig(text, shown(io, file)));
  if (rules === null || rules.length === 0)
    throw new HintedError("rule-missing", `There is nothing to take over: ${name} has no creation rule`, {
      hint: "start without it: `seal init`",
      file: name,
    });
  const first = importRules(rules);
  const kept = first.filter(isKept);
  if (kept.length === 0)
    throw new HintedError(
      "recipients-unnamed",
      `There is nothing to take over: ${first.map((part) => `${title(part.rule)}: ${part.dropped}`).join("; ")}`,
      { hint: "start with fresh age keys: `seal init`", file: name },
    );
  const names = await namesOf(io, kept, options.env ?? []);
  const { imported, environments } = settled(rules, names);
  const namespaces = pairs(
    "--namespace",
    options.namespace,
    environments.map((environment) => environment.name),
  );
  const sealYaml = importedSealYaml({
    from: name,
    recovery: options.recovery,
    environments: environments.map((environment) => ({
      name: environment.name,
      recipients: recipientsOf(environment, options.recovery),
      paths: [...new Set(environment.parts.flatMap(({ paths }) => paths))],
      namespaces: namespaces.get(environment.name) ?? [],
      remarks: remarksOf(environment).map(safeText),
    })),
    dropped: imported
      .filter(({ dropped }) => dropped !== undefined)
      .flatMap(droppedRemarks)
      .map(safeText),
  });
  assertValid(sealYaml);
  await addIgnoredNames(io, join(folder, ".gitignore"));
  await io.fs.write(join(folder, "seal.yaml"), sealYaml);
  await tell(io, { name, imported, environments, recovery: options.recovery });
}

async function findFile(io: Io, from: string | true): Promise<string> {
  const named = from === true ? (io.env["SOPS_CONFIG"] ?? "") : from;
  const file = named === "" ? await lookUp(io, io.cwd) : resolve(io.cwd, named);
  if (file !== null) return file;
  throw new HintedError("config-missing", "There is no .sops.yaml in this folder or above it", {
    hint: "name it: `--from-sops FILE`; or start without one: `seal init`",
  });
}

/** A name for each rule: from --env, for all or for those that have none, else from its path_regex, else from the person. */
async function namesOf(io: Io, kept: readonly ImportedRule[], given: readonly string[]): Promise<readonly string[]> {
  if (given.length === kept.length) return given;
  const unnamed = kept.filter((part) => part.name === undefined || hasRival(part, kept));
  if (given.length !== 0 && given.length !== unnamed.length) throw unnameable(kept, unnamed);
  const names: string[] = [];
  const rest = [...given];
  for (const part of kept) {
    if (part.name !== undefined && !unnamed.includes(part)) names.push(part.name);
    else if (given.length > 0) names.push(rest.shift() ?? "");
    else if (io.stdin.isTty) names.push((await io.ask(`A name for the environment of ${title(part.rule)}: `)).trim());
    else throw unnameable(kept, unnamed);
  }
  return names;
}

/** Two rules that would give one environment, but have other recipients. */
const hasRival = (part: ImportedRule, kept: readonly ImportedRule[]): boolean =>
  kept.some((other) => other.name === part.name && !haveSameRecipients(other, part));

const haveSameRecipients = (one: ImportedRule, other: ImportedRule): boolean =>
  [...one.recipients].sort().join() === [...other.recipients].sort().join();

function unnameable(kept: readonly ImportedRule[], unnamed: readonly ImportedRule[]): UsageError {
  const list = (parts: readonly ImportedRule[]): string => parts.map(({ rule }) => title(rule)).join("; ");
  return new UsageError(
    unnamed.length === 0
      ? `Cannot tell which names are meant: --env names all ${kept.length} rules or none, in their order: ${list(kept)}`
      : `Cannot tell the environment's name of ${list(unnamed)}`,
    `name ${unnamed.length === 0 ? "all" : "these, or all"}, in their order: \`--env ${(unnamed.length === 0 ? kept : unnamed).map(() => "NAME").join(" ")}\``,
  );
}

/** Rules of one name are one environment, if they have the same recipients. */
function grouped(kept: readonly ImportedRule[], names: readonly string[]): Environment[] {
  const found = new Map<string, ImportedRule[]>();
  for (const [index, part] of kept.entries()) {
    const name = names[index] ?? "";
    const before = found.get(name)?.[0];
    if (name === "recovery" || (before !== undefined && !haveSameRecipients(before, part)))
      throw new UsageError(
        name === "recovery"
          ? 'Cannot name an environment "recovery": the recovery recipients have that name'
          : `Cannot make one environment of ${title(before?.rule ?? part.rule)} and ${title(part.rule)}: their recipients differ`,
        "give them names of their own, in the order of the rules: `--env NAME …`",
      );
    found.set(name, [...(found.get(name) ?? []), part]);
  }
  return [...found].map(([name, parts]) => ({ name, parts }));
}

/** Without the recovery recipient, which seal.yaml adds by itself; an environment needs one of its own. */
function recipientsOf({ parts }: Environment, recovery: string | undefined): readonly string[] {
  const all = parts[0]?.recipients ?? [];
  const own = all.filter((recipient) => recovery === undefined || !isSameRecipient(recipient, recovery));
  return own.length === 0 ? all : own;
}

const isKept = ({ dropped }: ImportedRule): boolean => dropped === undefined;

/**
 * The environments with their paths. One that has paths owns nothing outside them, so where one of its rules has none, none
 * of it has, which may take away those of later rules in turn.
 */
function settled(rules: readonly WrittenRule[], names: readonly string[]): Settled {
  const pathless = new Set<number>();
  for (;;) {
    const imported = importRules(rules, pathless);
    const environments = grouped(imported.filter(isKept), names);
    const size = pathless.size;
    for (const { parts } of environments) {
      if (parts.some(({ paths }) => paths.length === 0)) for (const { rule } of parts) pathless.add(rule.index);
    }
    if (pathless.size === size) return { imported, environments };
  }
}

interface Settled {
  readonly imported: readonly ImportedRule[];
  readonly environments: readonly Environment[];
}

const title = ({ index, place, pathRegex }: WrittenRule): string =>
  `creation rule ${index + 1} (line ${place.line}, ${pathRegex === "" ? "no path_regex" : `path_regex ${JSON.stringify(pathRegex)}`})`;

const remarksOf = ({ parts }: Environment): string[] =>
  parts.flatMap(({ rule, pathRemark, lost }) => [
    `From ${title(rule)}.`,
    ...(pathRemark === undefined ? [] : [`Paths: ${pathRemark}.`]),
    ...lost.map((what) => `Not carried over: ${what}`),
  ]);

const droppedRemarks = ({ rule, dropped, lost }: ImportedRule): string[] => [
  `Not carried over: ${title(rule)}: ${dropped}`,
  ...lost.map((what) => `  ${what}`),
];

async function tell(
  io: Io,
  given: Settled & { readonly name: string; readonly recovery: string | undefined },
): Promise<void> {
  const { name, imported, environments, recovery } = given;
  await printDone(
    io,
    `wrote seal.yaml with ${environments.map((environment) => environment.name).join(", ")} from ${name}, and ${ignored.join(", ")} into .gitignore; commit both`,
  );
  for (const { rule, dropped, lost, pathRemark } of imported) {
    if (dropped !== undefined) await printNote(io, `${title(rule)} is not carried over: ${dropped}`);
    else if (pathRemark !== undefined) await printNote(io, `${title(rule)}, paths: ${pathRemark}`);
    for (const what of lost) await printNote(io, `${title(rule)}, not carried over: ${what}`);
  }
  const [first, ...others] = environments.map(({ parts }) => parts[0]?.recipients ?? []);
  const shared = (first ?? []).filter((recipient) =>
    others.every((recipients) => includesRecipient(recipients, recipient)),
  );
  if (recovery === undefined && others.length > 0) {
    for (const recipient of shared)
      await printNote(
        io,
        `${recipient} opens every environment; if it is kept offline for the worst case, list it under recovery in seal.yaml`,
      );
  }
  await printDone(
    io,
    `From here on seal reads seal.yaml and not ${name}, which stays for sops. Files that sops encrypted: \`seal bind FILE\`, then \`seal check\`.`,
  );
}
