// seal check: the keyless steps of the gate over files and folders, and a search for Secrets that are not sealed. Findings
// go to stdout, everything else to stderr. No content of a file can stop it, only what is wrong with seal.yaml itself.
import { resolve } from "node:path";
import {
  checkPlain,
  checkSealed,
  type ErrorCode,
  isSopsFile,
  SealwardError,
  type SopsSource,
  storeOf,
} from "../../src/index.ts";
import { decodeText, documentOf } from "../document.ts";
import { configMissing, findExpectation, findGoverning } from "../environment.ts";
import type { Io } from "../io.ts";
import { listManifests } from "../listing.ts";
import { HintedError, hintsFor, printDone, safeJson, safeText } from "../report.ts";
import { findSettings, type SettingsCache } from "../settings.ts";
import {
  hidesBoundSecret,
  isSealedFile,
  isUnrendered,
  looksBroken,
  looseText,
  mentionsSecret,
  type Piece,
  splitDocuments,
  unsealedIn,
} from "../unsealed.ts";

export interface CheckOptions {
  readonly env?: string;
  readonly output: "text" | "json";
}

interface Result {
  readonly file: string;
  readonly environment?: string;
  readonly status: "ok" | "refused" | "unsealed";
  readonly code?: ErrorCode;
  readonly message?: string;
  readonly line?: number;
  readonly column?: number;
}

type NamedSource = SopsSource & { readonly file: string };

interface Survey {
  readonly io: Io;
  readonly sources: { readonly env?: string; readonly known: SettingsCache };
  readonly results: Result[];
  /** SOPS files that are no Secrets and of which nothing says where they belong: seen, not checked. */
  readonly others: string[];
  /** Templates that are no YAML before they are rendered: seen, not checked. */
  readonly templates: Set<string>;
}

// Far above any manifest, and what can still be searched in seconds.
const maxFileBytes = 128 * 1024 * 1024;

export async function check(io: Io, paths: readonly string[], options: CheckOptions): Promise<void> {
  const known: SettingsCache = new Map();
  // A seal.yaml that cannot be read fails the check even where nothing is sealed yet.
  await findSettings(io, null, known);
  const survey: Survey = {
    io,
    sources: options.env === undefined ? { known } : { known, env: options.env },
    results: [],
    others: [],
    templates: new Set(),
  };
  for (const file of await listManifests(io, paths.length === 0 ? ["."] : paths)) await checkFile(survey, file);

  const findings = survey.results.filter(({ status }) => status !== "ok");
  if (options.output === "json") await io.stdout.write(`${safeJson(survey.results)}\n`);
  else for (const finding of findings) await io.stdout.write(`${safeText(line(finding))}\n`);
  const count = (status: Result["status"]): number =>
    survey.results.filter((result) => result.status === status).length;
  await printDone(
    io,
    `checked: ${count("ok")} sealed and in order, ${count("refused")} refused, ${count("unsealed")} not sealed`,
  );
  if (survey.others.length > 0)
    await printDone(
      io,
      `not checked, for they are no Secrets and nothing says which environment they belong to: ${survey.others.join(", ")}`,
    );
  if (survey.templates.size > 0)
    await printDone(io, `not checked, for they are templates: ${[...survey.templates].join(", ")}`);
  if (findings.length > 0) {
    const message = `The check found ${findings.length} ${findings.length === 1 ? "thing" : "things"} to correct`;
    throw new HintedError("check-failed", message, { hint: hintsByCode(findings) });
  }
}

/** What to do about each kind of finding, with the file where there is but one. */
function hintsByCode(findings: readonly Result[]): readonly string[] {
  const byCode = new Map<ErrorCode, Result[]>();
  for (const finding of findings) {
    const code = finding.code ?? "check-failed";
    byCode.set(code, [...(byCode.get(code) ?? []), finding]);
  }
  return [...byCode].flatMap(([code, [first, ...more]]) => {
    const file = more.some((other) => other.file !== first?.file) ? undefined : first?.file;
    const problem = new SealwardError(code, first?.message ?? "", { file });
    return hintsFor(problem).map((hint) => `${code}: ${hint}`);
  });
}

async function checkFile(survey: Survey, file: string): Promise<void> {
  const { io, results, templates } = survey;
  const path = resolve(io.cwd, file);
  // Git also lists what was deleted but not yet staged, and submodules, which are folders.
  if ((await io.fs.kind(path)) !== "file") return;
  if ((await io.fs.size(path)) > maxFileBytes) {
    const message = `The file has more than ${maxFileBytes} bytes and is not searched; a Secret could be in it`;
    results.push({ file, status: "refused", code: "too-large", message });
    return;
  }
  const bytes = await io.fs.read(path);
  const source = { bytes, store: storeOf(file), file };
  if (source.store === "dotenv" || source.store === "ini") return checkOther(survey, source, path);
  const loose = looseText(bytes);
  if (!mentionsSecret(loose)) return;
  try {
    const text = decodeText(bytes, file);
    const pieces = splitDocuments(text);
    if (pieces.length === 1) await checkPiece(survey, file, { text, lineOffset: 0 });
    else for (const piece of pieces) await checkOneOfSeveral(survey, file, piece);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    if (problem.code === "not-a-secret") await checkOther(survey, source, path);
    else if (looksBroken(loose)) results.push(refusal(file, problem, 0));
    else templates.add(file);
  }
}

/** A SOPS file that is no Secret. Where nothing says which environment it belongs to, it is not checked. */
async function checkOther({ io, sources, results, others }: Survey, source: NamedSource, path: string): Promise<void> {
  const { file } = source;
  if (!isSopsFile(source)) return;
  try {
    const governed = await findGoverning(io, { name: file, path }, { sealed: true }, sources);
    if (governed === null) {
      others.push(file);
      return;
    }
    const environment = governed.environment.name;
    const { notices } = checkPlain(source, governed.environment);
    if (notices.length === 0) results.push({ file, environment, status: "ok" });
    for (const { code, message } of notices) results.push({ file, environment, status: "refused", code, message });
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    const isNobodys = problem.code === "environment-mismatch" && sources.env === undefined;
    if (problem.code === "environment-unknown" || isNobodys) others.push(file);
    else results.push(refusal(file, problem, 0));
  }
}

/** A whole file, or a BoundSecret among other objects. Throws what the gate throws. */
async function checkPiece({ io, sources, results, templates }: Survey, file: string, piece: Piece): Promise<void> {
  const document = documentOf(piece.text, file, resolve(io.cwd, file));
  if (document.carrier === null && hidesBoundSecret(piece.text))
    throw new SealwardError("shape-invalid", "The file spells BoundSecret in escapes, which hides it from readers");
  if (!isSealedFile(document.content)) {
    if (isUnrendered(document.content)) templates.add(file);
    for (const place of unsealedIn({ ...piece, text: document.content })) {
      const message = "this Secret is not sealed; its values are readable by everyone who can read the repository";
      results.push({ file, status: "unsealed", code: "not-sealed", message, ...place });
    }
    return;
  }
  const found = await findExpectation(io, document, sources);
  if (found === null) throw configMissing("Cannot confirm the environment", file);
  const environment = found.environment.name;
  const { notices } = checkSealed(document.content, found.expectation, file);
  if (notices.length === 0) results.push({ file, environment, status: "ok" });
  for (const { code, message } of notices) results.push({ file, environment, status: "refused", code, message });
}

async function checkOneOfSeveral(survey: Survey, file: string, piece: Piece): Promise<void> {
  if (!mentionsSecret(piece.text)) return;
  try {
    if (isSealedFile(piece.text))
      throw new SealwardError("several-documents", "A sealed file holds one document, and this file has several", {
        line: 1,
      });
    await checkPiece(survey, file, piece);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    survey.results.push(refusal(file, problem, piece.lineOffset));
  }
}

function refusal(file: string, { code, message, line, column }: SealwardError, lineOffset: number): Result {
  return {
    file,
    status: "refused",
    code,
    message,
    ...(line === undefined ? {} : { line: line + lineOffset }),
    ...(column === undefined ? {} : { column }),
  };
}

function line({ file, line: row, column, code, message }: Result): string {
  return `${[file, row, column].filter((part) => part !== undefined).join(":")}: ${code}: ${message}`;
}
