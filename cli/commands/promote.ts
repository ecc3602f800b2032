// seal promote: a Secret of one environment, sealed anew for another. Each value is decided on, the plan is shown first, and the
// outcome has a data key, recipients and a binding of its own.
import { dirname, resolve } from "node:path";
import {
  type OpenedSecret,
  openSealed,
  promotedManifest,
  resealEdited,
  SealwardError,
  sealManifest,
  withPromoted,
} from "../../src/index.ts";
import { kmsOf } from "../aws.ts";
import { assertConfirmed } from "../confirm.ts";
import { type Document, readChangeable, readDocument, withContent } from "../document.ts";
import { findGoverning, type Governed, requireExpectation } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { assertFolder, deliverBack } from "../output.ts";
import { type PlanFlags, type PlannedKey, planPromotion } from "../promotion-plan.ts";
import { printDone, safeText, UsageError } from "../report.ts";

export interface PromoteOptions extends PlanFlags {
  readonly from: string;
  readonly to: string;
  readonly out?: string;
  readonly namespace?: string;
  readonly identity?: readonly string[];
  readonly dryRun?: boolean;
}

/** @throws every refusal of the gate on either side; usage where a key is undecided; value-shared; cancelled */
export async function promote(io: Io, file: string, options: PromoteOptions): Promise<void> {
  if (options.from === options.to)
    throw new UsageError("Cannot promote within one environment", "name two: `--from staging --to prod`");
  const document = await readDocument(io, file, "seal promote");
  const source = await opened(io, document, options.from, options);
  try {
    const out = options.out ?? targetPath(file, options);
    await assertFolder(io, out);
    const isThere = (await io.fs.kind(resolve(io.cwd, out))) !== null;
    const outcome = isThere ? await intoFile(io, out, source, options) : await asNewFile(io, out, source, options);
    await showPlan(io, `${file} to ${out}`, outcome.plan);
    if (options.dryRun) return printDone(io, "nothing was written (--dry-run)");
    if (io.stdin.isTty) await assertConfirmed(io, `Seal this for ${safeText(options.to)}?`);
    await outcome.write();
    await printDone(io, `sealed ${out} for ${options.to}, promoted from ${options.from}`);
  } finally {
    for (const value of source.data.values()) value.fill(0);
  }
}

async function opened(io: Io, document: Document, env: string, { identity }: PromoteOptions): Promise<OpenedSecret> {
  const found = await requireExpectation(io, document, { env });
  return withIdentities(io, { ...(identity === undefined ? {} : { identity }), ...found }, (identities) =>
    openSealed(document.content, found.expectation, identities, document.name),
  );
}

/** The path with the one folder that is called like the source environment called like the target. */
function targetPath(file: string, { from, to }: PromoteOptions): string {
  const parts = file.split("/");
  const [only, second] = parts.flatMap((part, at) => (part === from && at < parts.length - 1 ? [at] : []));
  if (only === undefined || second !== undefined)
    throw new UsageError(
      `Cannot tell where the file of ${to} is to go: the path of ${file} does not have one folder "${from}"`,
      "name it: `-o FILE`",
    );
  return parts.map((part, at) => (at === only ? to : part)).join("/");
}

interface Outcome {
  readonly plan: readonly PlannedKey[];
  readonly write: () => Promise<void>;
}

const chosen = (plan: readonly PlannedKey[]): ReadonlyMap<string, Uint8Array> =>
  new Map(plan.flatMap(({ key, value }) => (value === null ? [] : [[key, value] as const])));

async function asNewFile(io: Io, out: string, source: OpenedSecret, options: PromoteOptions): Promise<Outcome> {
  const governed = await targetOf(io, out, options);
  const { environment } = governed;
  const [only, second] = environment.namespaces;
  const namespace = options.namespace ?? (only !== undefined && second === undefined ? only : source.namespace);
  // Read with the claims that it gets, so that a namespace of another environment is seen.
  await findGoverning(
    io,
    located(io, out),
    { sealed: false, environment: environment.name, namespace },
    { env: options.to },
  );
  const plan = await planPromotion(io, { source: source.data, target: null }, options);
  const text = promotedManifest(source, { values: chosen(plan), source }, { namespace });
  const kms = await kmsOf(io, governed);
  const write = async (): Promise<void> => {
    const sealed = await sealManifest(text, { environment, kms, now: io.now(), file: out });
    await createNew(io, out, sealed.text);
  };
  return { plan, write };
}

/** @throws file-exists where somebody was quicker */
async function createNew(io: Io, out: string, text: string): Promise<void> {
  const path = resolve(io.cwd, out);
  if ((await io.fs.kind(path)) !== null)
    throw new SealwardError("file-exists", `Cannot write ${out}: somebody made it meanwhile`, { file: out });
  await io.fs.write(path, text);
}

async function targetOf(io: Io, out: string, { to }: PromoteOptions): Promise<Governed> {
  const governed = await findGoverning(io, located(io, out), { sealed: false }, { env: to });
  if (governed === null)
    throw new SealwardError("config-missing", `Cannot promote to ${out}: no seal.yaml governs ${dirname(out)}`);
  return governed;
}

const located = (io: Io, out: string) => ({ name: out, path: resolve(io.cwd, out) });

/** What is there already stays, data key and all, but for what was decided. */
async function intoFile(io: Io, out: string, source: OpenedSecret, options: PromoteOptions): Promise<Outcome> {
  const document = await readChangeable(io, out);
  const found = await requireExpectation(io, document, { env: options.to });
  const held = options.identity === undefined ? {} : { identity: options.identity };
  return withIdentities(io, { ...held, ...found, changes: { file: out, isSecret: true } }, async (identities) => {
    const target = await openSealed(document.content, found.expectation, identities, out);
    if (target.name !== source.name)
      throw new SealwardError(
        "target-mismatch",
        `Cannot promote ${source.name} into ${out}: it holds the Secret ${target.name}`,
        { file: out },
      );
    const plan = await planPromotion(io, { source: source.data, target: target.data }, options);
    const text = withPromoted(target.plainText, { values: chosen(plan), source });
    const write = async (): Promise<void> => {
      const { text: sealed } = await resealEdited(document.content, text, found.expectation, identities, {
        now: io.now(),
        file: out,
      });
      await deliverBack(io, document, withContent(document, sealed));
    };
    return { plan, write };
  });
}

async function showPlan(io: Io, what: string, plan: readonly PlannedKey[]): Promise<void> {
  const width = Math.min(40, Math.max(0, ...plan.map(({ key }) => key.length)));
  await printDone(io, `promoting ${what}:`);
  for (const { key, what: becomes } of plan) await printDone(io, `  ${key.padEnd(width)}  ${becomes}`);
}
