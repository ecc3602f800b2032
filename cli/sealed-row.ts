// One sealed file as `seal status` shows it: what it says of itself, and what of it needs attention, by the keyless steps of the
// gate. Opens nothing, and takes no claim for a proof.
import { resolve } from "node:path";
import {
  checkPlain,
  checkSealed,
  describeSops,
  type EnvironmentPolicy,
  type ErrorCode,
  includesRecipient,
  maxDocumentBytes,
  type Notice,
  readManifest,
  SealwardError,
  type SopsDescription,
  type SopsSource,
  storeOf,
} from "../src/index.ts";
import { documentIn } from "./document.ts";
import { configMissing, findExpectation, findGoverning } from "./environment.ts";
import type { Io } from "./io.ts";
import { isManifest } from "./kinds.ts";
import type { SettingsCache } from "./settings.ts";

export interface Attention {
  readonly code: ErrorCode | "template";
  readonly message: string;
  readonly isRefusal: boolean;
}

export interface SealedRow {
  readonly file: string;
  /** Null where nothing says it. */
  readonly environment: string | null;
  readonly scope: string | null;
  readonly recipients: number | null;
  /** Recipients of the environment that the file has no entry for. */
  readonly missing: readonly string[];
  /** Recipients of the file that the environment does not list. */
  readonly foreign: readonly string[];
  /** As the file claims. */
  readonly keyMade: string | null;
  readonly keyAgeDays: number | null;
  /** As the file claims. */
  readonly lastSealed: string | null;
  readonly attention: readonly Attention[];
}

/** Null for what is no sealed file. */
export async function sealedRow(io: Io, file: string, known: SettingsCache): Promise<SealedRow | null> {
  const path = resolve(io.cwd, file);
  if ((await io.fs.kind(path)) !== "file" || (await io.fs.size(path)) > maxBytes) return null;
  const bytes = await io.fs.read(path);
  const store = storeOf(file);
  const loose = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!loose.includes("sops")) return null;
  try {
    const isSecret = (store === "yaml" || store === "json") && isManifest(bytes);
    return isSecret
      ? await ofManifest(io, { file, path, bytes }, known)
      : await ofOther(io, { file, path, bytes, store }, known);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    // Not readable as any sealed file, though it holds what only those hold.
    if (problem.code === "not-sealed" || !loose.includes("ENC[AES256_GCM,")) return null;
    if (/\{\{/.test(loose.toString("latin1")) && problem.code === "not-yaml")
      return {
        ...blank(file),
        attention: [
          {
            code: "template",
            message: "a template, which cannot be looked at before it is rendered",
            isRefusal: false,
          },
        ],
      };
    return { ...blank(file), attention: [refusalOf(problem)] };
  }
}

/** Far above any sealed file. */
const maxBytes = 4 * maxDocumentBytes;

const blank = (file: string): SealedRow => ({
  file,
  environment: null,
  scope: null,
  recipients: null,
  missing: [],
  foreign: [],
  keyMade: null,
  keyAgeDays: null,
  lastSealed: null,
  attention: [],
});

type Found = { readonly file: string; readonly path: string; readonly bytes: Uint8Array };

/** A Secret, or a BoundSecret that carries one. */
async function ofManifest(io: Io, { file, path, bytes }: Found, known: SettingsCache): Promise<SealedRow | null> {
  const document = documentIn({ name: file, path, bytes });
  const source = { bytes: Buffer.from(document.content), store: "yaml" as const, file };
  const described = await describeSops(source);
  // What it claims is worth showing, though the gate may refuse the file.
  const claimed = await attempt(async () => readManifest(document.content, file));
  const found = await attempt(async () => {
    const expected = await findExpectation(io, document, { known });
    if (expected === null) throw configMissing("Cannot confirm the environment", file);
    return expected;
  });
  const environment = found.value?.environment ?? null;
  const expectation = found.value?.expectation;
  const checked =
    expectation === undefined
      ? null
      : await attempt(async () => checkSealed(document.content, expectation, file).notices);
  const problem = found.problem ?? checked?.problem ?? claimed.problem;
  return {
    ...factsOf(io, { file, described, environment }),
    environment: environment?.name ?? claimed.value?.environment ?? null,
    scope: claimed.value?.scope ?? null,
    attention: attentionOf(problem, checked?.value),
  };
}

/** A SOPS file that is no Secret: its path says where it belongs. */
async function ofOther(io: Io, source: SopsSource & Found, known: SettingsCache): Promise<SealedRow | null> {
  const described = await describeSops(source);
  const found = await attempt(async () => {
    const governed = await findGoverning(io, { name: source.file, path: source.path }, { sealed: true }, { known });
    if (governed === null) throw configMissing("Cannot confirm the environment", source.file);
    return governed;
  });
  const environment = found.value?.environment ?? null;
  const checked = environment === null ? null : await attempt(async () => checkPlain(source, environment).notices);
  return {
    ...factsOf(io, { file: source.file, described, environment }),
    environment: environment?.name ?? null,
    scope: null,
    attention: attentionOf(found.problem ?? checked?.problem ?? null, checked?.value),
  };
}

interface Outcome<T> {
  readonly value: T | null;
  readonly problem: SealwardError | null;
}

async function attempt<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work(), problem: null };
  } catch (problem) {
    if (!(problem instanceof SealwardError) || problem.code === "config-invalid") throw problem;
    return { value: null, problem };
  }
}

type Facts = Omit<SealedRow, "environment" | "scope" | "attention">;

function factsOf(
  io: Io,
  {
    file,
    described,
    environment,
  }: { readonly file: string; readonly described: SopsDescription; readonly environment: EnvironmentPolicy | null },
): Facts {
  const entries = described.groups.flat();
  const listed = environment === null ? [] : [...environment.ageRecipients, ...environment.kmsRecipients];
  const ids = entries.map(({ id }) => id);
  const isIn = (list: readonly string[], id: string): boolean => includesRecipient(list, id) || list.includes(id);
  const { keyMade, lastModified } = described;
  const age = keyMade === null ? null : Math.floor((io.now().getTime() - Date.parse(keyMade)) / dayMs);
  return {
    file,
    recipients: entries.length,
    missing: listed.filter((id) => !isIn(ids, id)),
    foreign: environment === null ? [] : ids.filter((id) => !isIn(listed, id)),
    keyMade,
    keyAgeDays: age,
    lastSealed: lastModified,
  };
}

const dayMs = 24 * 60 * 60 * 1000;

const refusalOf = ({ code, message }: SealwardError): Attention => ({ code, message, isRefusal: true });

function attentionOf(problem: SealwardError | null, notices: readonly Notice[] | null | undefined): Attention[] {
  if (problem !== null) return [refusalOf(problem)];
  return (notices ?? []).map(({ code, message }) => ({ code, message, isRefusal: false }));
}
