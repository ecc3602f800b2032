// One file of a check: sealed, in the clear, or of no interest. No content of a file can stop it, only what is wrong with
// seal.yaml itself.
import { basename, resolve } from "node:path";
import {
  checkPlain,
  checkSealed,
  firstMarker,
  isSopsFile,
  mustBeSealed,
  SealwardError,
  type SopsSource,
  storeOf,
  viewClosed,
} from "../../src/index.ts";
import { keysOf } from "../changes.ts";
import { decodeText, documentOf } from "../document.ts";
import { configMissing, findExpectation, findGoverning } from "../environment.ts";
import type { Io } from "../io.ts";
import { findSettings, SettingsCache } from "../settings.ts";
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
import { literalsIn } from "./dotenv-literals.ts";
import { type Finding, refusal } from "./finding.ts";
import { bareName } from "./names.ts";

type NamedSource = SopsSource & { readonly file: string };

export interface Survey {
  readonly io: Io;
  readonly sources: { readonly env?: string; readonly known: SettingsCache };
  /** False where no seal.yaml that counts can name a file that has to be sealed. */
  readonly mayHavePolicy: boolean;
  readonly findings: Finding[];
  /** Sealed files that are in order or nearly so, for what looks at more than one file. */
  readonly sealed: {
    readonly file: string;
    readonly environment: string;
    /** Names of what is sealed, the last part of each path. */
    readonly names: readonly string[];
  }[];
  /** SOPS files that are no Secrets and of which nothing says where they belong: seen, not checked. */
  readonly others: string[];
  /** Templates that are no YAML before they are rendered: seen, not checked. */
  readonly templates: Set<string>;
}

/** @throws config-invalid: a seal.yaml that cannot be read fails the check even where nothing is sealed yet */
export async function newSurvey(io: Io, env: string | undefined): Promise<Survey> {
  const known = new SettingsCache();
  const config = (await findSettings(io, null, known))?.config;
  return {
    io,
    sources: env === undefined ? { known } : { known, env },
    // Below the working folder others may lie, which it lists or which count by themselves.
    mayHavePolicy: config === undefined || config.mustSeal.length + config.nested.length > 0,
    findings: [],
    sealed: [],
    others: [],
    templates: new Set(),
  };
}

// Far above any manifest, and what can still be searched in seconds.
const maxFileBytes = 128 * 1024 * 1024;
/** Each is read by itself. */
const maxDocuments = 10_000;

/** The bytes that were looked at; null for what is no file or too large. @throws config-invalid */
export async function surveyFile(survey: Survey, file: string): Promise<Uint8Array | null> {
  const { io, findings } = survey;
  const path = resolve(io.cwd, file);
  // Git also lists what was deleted but not yet staged, and submodules, which are folders.
  const size = await io.fs.fileSize(path);
  if (size === null) {
    // A name that is no UTF-8 cannot be asked for as it is; what is in it may be anything.
    if (file.includes("\ufffd")) {
      const message = "The name of the file is no UTF-8, so that it cannot be looked at";
      findings.push({ file, status: "refused", code: "file-unreadable", message });
    }
    return null;
  }
  if (size > maxFileBytes) {
    const message = `The file has more than ${maxFileBytes} bytes and is not searched; a Secret could be in it`;
    findings.push({ file, status: "refused", code: "too-large", message });
    return null;
  }
  const bytes = await io.fs.read(path);
  const before = findings.length + survey.sealed.length;
  await surveyBytes(survey, { file, path, bytes });
  if (findings.length + survey.sealed.length === before) await surveyPolicy(survey, { file, path, bytes });
  return bytes;
}

interface Surveyed {
  readonly file: string;
  readonly path: string;
  readonly bytes: Uint8Array;
}

async function surveyBytes(survey: Survey, { file, path, bytes }: Surveyed): Promise<void> {
  const { findings, templates } = survey;
  const source = { bytes, store: storeOf(file), file };
  const loose = looseText(bytes);
  const conflict = conflictIn(loose);
  if (conflict !== null) {
    const message = "The file has the markers of a merge in which both sides changed the same thing";
    findings.push({ file, status: "refused", code: "merge-conflict", message, line: conflict });
    return;
  }
  if (source.store === "dotenv" || source.store === "ini") return surveyOther(survey, source, path);
  if (!mentionsSecret(loose)) return;
  try {
    const text = decodeText(bytes, file);
    const pieces = splitDocuments(text);
    if (pieces.length > maxDocuments)
      throw new SealwardError("too-large", `The file has more than ${maxDocuments} documents and is not searched`);
    if (pieces.length === 1) await surveyPiece(survey, source, { text, lineOffset: 0 });
    else for (const piece of pieces) await surveyOneOfSeveral(survey, source, piece);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    if (problem.code === "not-a-secret") await surveyOther(survey, source, path);
    else if (problem.code === "too-large" || looksBroken(loose)) findings.push(refusal(file, problem));
    else templates.add(file);
  }
}

/** The line of the first marker in what was sealed on at least one side. */
function conflictIn(text: string): number | null {
  return text.includes("<<<<<<<") && text.includes("ENC[AES256_GCM,") ? firstMarker(text) : null;
}

/** A SOPS file that is no Secret. Where nothing says which environment it belongs to, it is not checked. */
async function surveyOther(survey: Survey, source: NamedSource, path: string): Promise<void> {
  const { io, sources, findings, others } = survey;
  const { file } = source;
  if (!isSopsFile(source)) return;
  try {
    const governed = await findGoverning(io, { name: file, path }, { sealed: true }, sources);
    if (governed === null) {
      others.push(file);
      return;
    }
    const environment = governed.environment.name;
    const { notices } = checkPlain(source, governed.environment, io.now());
    survey.sealed.push({ file, environment, names: sealedNames(source) });
    if (notices.length === 0) findings.push({ file, environment, status: "ok" });
    for (const { code, message } of notices) findings.push({ file, environment, status: "refused", code, message });
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    const isNobodys = problem.code === "environment-mismatch" && sources.env === undefined;
    if (problem.code === "environment-unknown" || isNobodys) others.push(file);
    else findings.push(refusal(file, problem));
  }
}

function sealedNames(source: SopsSource): readonly string[] {
  return [...viewClosed(source).values].flatMap(([name, { isSecret }]) => (isSecret ? [bareName(name)] : []));
}

/** A whole file, or a BoundSecret among other objects. Throws what the gate throws. */
async function surveyPiece(survey: Survey, source: NamedSource, piece: Piece): Promise<void> {
  const { io, sources, findings, templates } = survey;
  const { file } = source;
  const document = documentOf(piece.text, file, resolve(io.cwd, file));
  if (document.carrier === null && hidesBoundSecret(piece.text))
    throw new SealwardError("shape-invalid", "The file spells BoundSecret in escapes, which hides it from readers");
  if (!isSealedFile(document.content)) {
    if (isUnrendered(document.content)) templates.add(file);
    for (const place of unsealedIn({ ...piece, text: document.content })) {
      const message = "this Secret is not sealed; its values are readable by everyone who can read the repository";
      findings.push({ file, status: "unsealed", code: "not-sealed", message, ...place });
    }
    return;
  }
  const found = await findExpectation(io, document, sources);
  if (found === null) throw configMissing("Cannot confirm the environment", file);
  const environment = found.environment.name;
  const { notices } = checkSealed(document.content, found.expectation, file, io.now());
  survey.sealed.push({ file, environment, names: keysOf(found.manifest) });
  if (notices.length === 0) findings.push({ file, environment, status: "ok" });
  for (const { code, message } of notices) findings.push({ file, environment, status: "refused", code, message });
}

async function surveyOneOfSeveral(survey: Survey, source: NamedSource, piece: Piece): Promise<void> {
  if (!mentionsSecret(piece.text)) return;
  try {
    if (isSealedFile(piece.text))
      throw new SealwardError("several-documents", "A sealed file holds one document, and this file has several", {
        line: 1,
      });
    await surveyPiece(survey, source, piece);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    survey.findings.push(refusal(source.file, problem, piece.lineOffset));
  }
}

const envName = /^(?:\.env(?:\..+)?|.+\.env)$/i;
const sampleName = /\.(?:example|sample|template|dist|defaults)$/i;

/** What is no Secret and no SOPS file, and yet has to be sealed: by seal.yaml's word, or as the variables of an environment. */
async function surveyPolicy(survey: Survey, { file, path, bytes }: Surveyed): Promise<void> {
  const { io, sources, findings, mayHavePolicy } = survey;
  const name = basename(path);
  const isEnv = envName.test(name) && !sampleName.test(name);
  if ((!isEnv && !mayHavePolicy) || isSopsFile({ bytes, store: storeOf(file), file })) return;
  const settings = await findSettings(io, path, sources.known);
  if (settings?.path === undefined) return;
  if (mustBeSealed(settings.config, settings.path)) {
    const message = "seal.yaml wants this file sealed (mustSeal), and it is in the clear";
    findings.push({ file, status: "unsealed", code: "not-sealed", message });
    return;
  }
  const [first] = isEnv ? literalsIn(looseText(bytes)) : [];
  const environment = first === undefined ? undefined : await claiming(io, { file, path }, sources.known);
  if (first === undefined || environment === undefined) return;
  const message = `This file has variables of ${environment} in the clear, ${first.name} first`;
  findings.push({ file, environment, status: "unsealed", code: "not-sealed", message, line: first.line });
}

/** The environment that claims a path; undefined where none does, or several do. */
async function claiming(
  io: Io,
  { file, path }: Pick<Surveyed, "file" | "path">,
  known: SettingsCache,
): Promise<string | undefined> {
  try {
    const governed = await findGoverning(io, { name: file, path }, { sealed: true }, { known });
    return governed?.environment.paths.length === 0 ? undefined : governed?.environment.name;
  } catch (problem) {
    if (problem instanceof SealwardError && problem.code !== "config-invalid") return undefined;
    throw problem;
  }
}
