// seal status --open: opens sealed files through the gate and says of each who opened it, and of a KMS key with which of its materials.
// Shows no value and changes nothing.
import { describeKey, type ErrorCode, openPlain, openSealed, SealwardError } from "../../src/index.ts";
import { awsKms, callerFor, type Load, loadOf } from "../aws.ts";
import { documentIn, type Input, readInput } from "../document.ts";
import { configMissing, findExpectation, findGoverning, type Governed, type Sources } from "../environment.ts";
import { shortRecipient, withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { isManifest } from "../kinds.ts";
import { listManifests } from "../listing.ts";
import { startProgress } from "../progress.ts";
import { HintedError, safeJson, safeText } from "../report.ts";
import { sealedRow } from "../sealed-row.ts";
import { SettingsCache } from "../settings.ts";
import { eachOf } from "../several.ts";
import { type StoreFlags, sourceOf } from "../store-choice.ts";

export interface OpenOptions extends StoreFlags {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly output: "text" | "json";
}

interface Opener {
  readonly recipient: string;
  /** Which of the KMS key's materials had wrapped the data key, where KMS says it. */
  readonly keyMaterialId?: string;
  /** False where the key has a newer one. */
  readonly isCurrent?: boolean;
}

interface Answer {
  readonly file: string;
  readonly status: "opened" | "refused";
  readonly environment?: string;
  readonly lastModified?: string;
  readonly openedBy: readonly Opener[];
  readonly notices: readonly string[];
  readonly code?: ErrorCode;
  readonly message?: string;
}

/** @throws check-failed where a file does not open; config-missing, config-invalid */
export async function statusOpen(io: Io, named: readonly string[], options: OpenOptions): Promise<void> {
  const known = new SettingsCache();
  const files = named.length > 0 ? named : await everySealed(io, known);
  const load = loadOf(files);
  const answers = new Map<string, Answer>();
  await eachOf(
    files,
    async (file) => {
      answers.set(file, await answerFor(io, file, { ...options, known, load }));
    },
    startProgress(io, "opening", files.length),
  );
  const sorted = files.flatMap((file) => answers.get(file) ?? []);
  if (options.output === "json") await io.stdout.write(`${safeJson(sorted)}\n`);
  else for (const line of sorted.flatMap(linesOf)) await io.stdout.write(`${safeText(line)}\n`);
  const closed = sorted.filter((answer) => answer.status === "refused").length;
  if (closed > 0)
    throw new HintedError("check-failed", `${closed} of ${files.length} files did not open`, {
      hint: "the codes above say why: docs/errors.md",
    });
}

async function everySealed(io: Io, known: SettingsCache): Promise<readonly string[]> {
  const sealed: string[] = [];
  for (const file of await listManifests(io, ["."])) if ((await sealedRow(io, file, known)) !== null) sealed.push(file);
  return sealed;
}

type How = OpenOptions & { readonly known: SettingsCache; readonly load: Load };

async function answerFor(io: Io, file: string, options: How): Promise<Answer> {
  try {
    const input = await readInput(io, file, "seal status --open");
    const isSecret = options.inputType === undefined && isManifest(input.bytes);
    return isSecret ? await ofSecret(io, input, options) : await ofOther(io, input, options);
  } catch (problem) {
    const isFatal = !(problem instanceof SealwardError) || ["config-invalid", "cancelled"].includes(problem.code);
    if (isFatal) throw problem;
    const { code, message } = problem;
    return { file, status: "refused", openedBy: [], notices: [], code, message };
  }
}

const sourcesOf = ({ env, known }: How): Sources => (env === undefined ? { known } : { env, known });

async function ofSecret(io: Io, input: Input, options: How): Promise<Answer> {
  const document = documentIn(input);
  const found = await findExpectation(io, document, sourcesOf(options));
  if (found === null) throw configMissing("Cannot confirm the environment", input.name);
  const opened = await withIdentities(io, { ...options, ...found }, (identities) =>
    openSealed(document.content, found.expectation, identities, document.name),
  );
  for (const value of opened.data.values()) value.fill(0);
  return answerOf(io, input.name, found, opened);
}

async function ofOther(io: Io, input: Input, options: How): Promise<Answer> {
  const governed = await findGoverning(io, input, { sealed: true }, sourcesOf(options));
  if (governed === null) throw configMissing("Cannot confirm the environment", input.name);
  const source = sourceOf(input, options);
  const opened = await withIdentities(io, { ...options, ...governed }, (identities) =>
    openPlain(source, governed.environment, { identities }),
  );
  opened.bytes.fill(0);
  return answerOf(io, input.name, governed, opened);
}

interface Opened {
  readonly lastModified: string;
  readonly openedBy: readonly string[];
  readonly keyMaterialIds: ReadonlyMap<string, string>;
  readonly notices: readonly { readonly message: string }[];
}

async function answerOf(
  io: Io,
  file: string,
  governed: Governed,
  { lastModified, openedBy, keyMaterialIds, notices }: Opened,
): Promise<Answer> {
  const openers: Opener[] = [];
  for (const recipient of openedBy) {
    const keyMaterialId = keyMaterialIds.get(recipient);
    const current = keyMaterialId === undefined ? null : await currentMaterial(io, recipient, governed);
    openers.push({
      recipient,
      ...(keyMaterialId === undefined ? {} : { keyMaterialId }),
      ...(current === null ? {} : { isCurrent: current === keyMaterialId }),
    });
  }
  const messages = notices.map(({ message }) => message);
  const environment = governed.environment.name;
  return { file, status: "opened", environment, lastModified, openedBy: openers, notices: messages };
}

/** Asked once for each key; null where the caller may not ask, which stops nothing. */
function currentMaterial(io: Io, arn: string, governed: Governed): Promise<string | null> {
  return io.once(`material ${governed.environment.name} ${arn}`, async () => {
    const caller = await callerFor(io, governed);
    try {
      return (await describeKey(await awsKms(io), arn, caller)).currentKeyMaterialId ?? null;
    } catch (problem) {
      if (problem instanceof SealwardError) return null;
      throw problem;
    }
  });
}

function linesOf({
  file,
  status: outcome,
  environment,
  lastModified,
  openedBy,
  notices,
  code,
  message,
}: Answer): string[] {
  if (outcome === "refused") return [`${file}: not opened: ${message} (${code})`];
  return [
    `${file}: opens for ${environment}, last modified ${lastModified}`,
    ...openedBy.map(({ recipient, keyMaterialId, isCurrent }) => {
      const age = isCurrent === undefined ? "" : isCurrent ? ", the current one" : ", and the key has a newer one";
      const material = keyMaterialId === undefined ? "" : `, key material ${keyMaterialId}${age}`;
      return `  opened by ${shortRecipient(recipient)}${material}`;
    }),
    ...notices.map((notice) => `  ${notice}`),
  ];
}
