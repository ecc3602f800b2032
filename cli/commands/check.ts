// seal check: the keyless steps of the gate over files and folders, and a search for what should be sealed and is not. Findings
// go to stdout, everything else to stderr.
import { relative, resolve, sep } from "node:path";
import { type ErrorCode, mustBeSealed, SealwardError } from "../../src/index.ts";
import { type ClearCopy, copyFinder, namesLikeSecret } from "../check/clear-copies.ts";
import { type CheckOutput, type Finding, isError, isProblem } from "../check/finding.ts";
import { fixFindings } from "../check/fix.ts";
import { gitleaksFindings } from "../check/gitleaks.ts";
import { written } from "../check/outputs.ts";
import { compareValues, type OpenedValues } from "../check/shared-values.ts";
import { newSurvey, type Survey, surveyFile } from "../check/survey.ts";
import type { Io } from "../io.ts";
import { listManifests } from "../listing.ts";
import { posixRelative } from "../paths.ts";
import { startProgress } from "../progress.ts";
import { HintedError, hintsFor, printDone, printNote, shellQuote, UsageError } from "../report.ts";
import { findSettings, findWorkTree } from "../settings.ts";
import { pathInTree, stagedFiles, withStaged } from "../staged-files.ts";
import { looseText } from "../unsealed.ts";

export interface CheckOptions {
  readonly env?: string;
  readonly output: CheckOutput;
  /** Warnings fail, too. */
  readonly strict?: boolean;
  /** What is in Git's index, and not what is in the work tree. */
  readonly staged?: boolean;
  /** Open what can be opened, and compare values. */
  readonly open?: boolean;
  readonly identity?: readonly string[];
  readonly fix?: boolean;
  /** False: gitleaks is not run. */
  readonly gitleaks?: boolean;
}

/** @throws check-failed where something was found; config-invalid */
export async function check(io: Io, paths: readonly string[], options: CheckOptions): Promise<void> {
  if (options.staged && (paths.length > 0 || options.fix))
    throw new UsageError(
      "Cannot check what is staged and paths of the work tree at once, nor mend the index",
      "leave --staged or the others out",
    );
  const { looked, files, first } = options.staged ? await stagedTask(io) : await usualTask(io, paths);
  const survey = await surveyAll(looked, files, options);
  survey.findings.unshift(...first);
  if (options.fix) await fix(io, survey);
  await report(io, survey, options);
}

interface Task {
  /** Surroundings in which the files are what is to be checked. */
  readonly looked: Io;
  readonly files: readonly string[];
  readonly first: readonly Finding[];
}

async function stagedTask(io: Io): Promise<Task> {
  const staged = await stagedFiles(io);
  const named = (path: string): string => relative(io.cwd, pathInTree(staged.tree, path)).split(sep).join("/");
  const message = "The file is unmerged: a conflict has to be resolved before it is committed";
  const first = staged.unmerged.map(
    (path): Finding => ({ file: named(path), status: "refused", code: "merge-conflict", message }),
  );
  const unnamed = "The name of the file is no UTF-8, so that it cannot be looked at";
  const odd = staged.unreadable.map(
    (path): Finding => ({ file: named(path), status: "refused", code: "file-unreadable", message: unnamed }),
  );
  return { looked: withStaged(io, staged), files: staged.changed.map(named).sort(), first: [...first, ...odd] };
}

async function usualTask(io: Io, paths: readonly string[]): Promise<Task> {
  // Files that have to be sealed by the word of seal.yaml may be called anything.
  const settings = await findSettings(io, null);
  const also = (path: string): boolean =>
    settings !== null && mustBeSealed(settings.config, relative(settings.folder, path).split(sep).join("/"));
  return { looked: io, files: await listManifests(io, paths.length === 0 ? ["."] : paths, also), first: [] };
}

async function surveyAll(io: Io, files: readonly string[], options: CheckOptions): Promise<Survey> {
  const survey = await newSurvey(io, options.env);
  const plain: { readonly file: string; readonly text: string }[] = [];
  const progress = startProgress(io, "checking", files.length);
  for (const file of files) {
    const before = survey.sealed.length;
    const bytes = await surveyFile(survey, file);
    await progress.step();
    if (bytes !== null && survey.sealed.length === before && mayHoldCopies(file))
      plain.push({ file, text: looseText(bytes) });
  }
  await progress.end();
  const values = options.open ? await compareValues(io, survey, options) : null;
  if (values !== null) survey.findings.push(...values.findings);
  survey.findings.push(...copiesIn(survey, plain, values));
  if (values !== null && values.closed > 0)
    await printNote(
      io,
      `${values.closed} of ${survey.sealed.length} sealed files were not opened: no identity for them is at hand`,
    );
  if (options.gitleaks !== false) survey.findings.push(...(await leaks(io, survey, files, options)));
  return survey;
}

const mayHoldCopies = (file: string): boolean =>
  /\.ya?ml$|(?:^|\/)(?:Docker|Container)file|\.(?:docker|container)file$/i.test(file);

/** Names of sealed values that stand in the clear beside. A name alone is a warning; the value itself is none. */
function copiesIn(
  { sealed }: Survey,
  plain: readonly { readonly file: string; readonly text: string }[],
  values: OpenedValues | null,
): readonly Finding[] {
  const homes = new Map<string, string>();
  for (const { file, names } of sealed) for (const name of names) if (!homes.has(name)) homes.set(name, file);
  const find = copyFinder(namesLikeSecret(homes.keys()));
  const finding = (copy: ClearCopy): Finding => {
    const isSame = values?.isValueOf(copy) === true;
    const what = isSame ? "has the sealed value in the clear" : "has a value in the clear";
    const message = `${copy.name} ${what} in ${copy.where}, and is sealed in ${homes.get(copy.name)}`;
    return { file: copy.file, status: isSame ? "refused" : "warning", code: "clear-leak", message, line: copy.line };
  };
  return plain.flatMap(({ file, text }) => find(file, text).map(finding));
}

/** Of sealed files gitleaks sees ciphertext, and of what was not asked for nothing is said. */
async function leaks(
  io: Io,
  { sealed }: Survey,
  files: readonly string[],
  { staged = false }: CheckOptions,
): Promise<readonly Finding[]> {
  const folder = (await findWorkTree(io, await io.fs.realPath(io.cwd))) ?? io.cwd;
  const found = await gitleaksFindings(io, { folder, staged });
  const [known, closed] = [new Set(files), new Set(sealed.map(({ file }) => file))];
  return (found ?? []).filter(({ file, code }) => code === "check-failed" || (known.has(file) && !closed.has(file)));
}

async function fix(io: Io, survey: Survey): Promise<void> {
  const fixed = await fixFindings(io, survey.findings);
  if (fixed.size === 0) return;
  const rest = survey.findings.filter(({ file }) => !fixed.has(file));
  survey.findings.splice(0, survey.findings.length, ...rest);
  for (const file of fixed) await surveyFile(survey, file);
  await printNote(
    io,
    "what was sealed now stays in Git's history in the clear, if it was ever committed: change those values",
  );
}

async function report(io: Io, { findings, others, templates }: Survey, options: CheckOptions): Promise<void> {
  await io.stdout.write(written(await placed(io, findings, options.output), options.output));
  const count = (status: Finding["status"]): number => findings.filter((finding) => finding.status === status).length;
  const warned = count("warning") === 0 ? "" : `, ${count("warning")} to look at`;
  await printDone(
    io,
    `checked: ${count("ok")} sealed and in order, ${count("refused")} refused, ${count("unsealed")} not sealed${warned}`,
  );
  if (others.length > 0)
    await printDone(
      io,
      `not checked, for they are no Secrets and nothing says which environment they belong to: ${others.join(", ")}`,
    );
  if (templates.size > 0) await printDone(io, `not checked, for they are templates: ${[...templates].join(", ")}`);
  const failing = findings.filter(options.strict ? isProblem : isError);
  if (failing.length === 0) return;
  const message = `The check found ${failing.length} ${failing.length === 1 ? "thing" : "things"} to correct`;
  throw new HintedError("check-failed", message, { hint: hintsByCode(failing) });
}

/** What other programs show beside the files of a repository has paths from its top, wherever the check was run. */
async function placed(io: Io, findings: readonly Finding[], output: CheckOutput): Promise<readonly Finding[]> {
  const tree = await findWorkTree(io, await io.fs.realPath(io.cwd));
  if (tree === null || (output !== "sarif" && output !== "github")) return findings;
  const here = await io.fs.realPath(io.cwd);
  return findings.map((finding) => ({ ...finding, file: posixRelative(tree, resolve(here, finding.file)) }));
}

/** What to do about each kind of finding, with the file where there is but one. */
function hintsByCode(findings: readonly Finding[]): readonly string[] {
  const byCode = new Map<ErrorCode, Finding[]>();
  for (const finding of findings) {
    const code = finding.code ?? "check-failed";
    byCode.set(code, [...(byCode.get(code) ?? []), finding]);
  }
  return [...byCode].flatMap(([code, [first, ...more]]) => {
    const file = more.some((other) => other.file !== first?.file) ? undefined : first?.file;
    const problem = new SealwardError(code, first?.message ?? "", { file });
    const hints = hintsFor(problem).map((hint) => `${code}: ${hint}`);
    // What was meant by a copy is mostly this.
    return code === "environment-mismatch" && file !== undefined
      ? [
          ...hints,
          `${code}: to bring a Secret to another environment: \`seal promote ${shellQuote(file)} --from … --to …\``,
        ]
      : hints;
  });
}
