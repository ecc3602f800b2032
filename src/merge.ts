// Merges three versions of a sealed file, each of them opened first. What one side changed is taken with its ENC text, the
// result gets one new MAC, and what both changed is for a person to decide. Knows neither Git nor terminal.
import { toBase64 } from "./bytes.ts";
import type { Identity } from "./data-key.ts";
import type { EnvironmentPolicy } from "./environment.ts";
import { type ErrorCode, SealwardError } from "./errors.ts";
import { type Expectation, open } from "./gate.ts";
import { type KeyConflict, type KeyMerge, mergeByKey, type Versions } from "./key-merge.ts";
import { type MarkerStyle, withMarkers } from "./line-merge.ts";
import { openConfirmed } from "./own-binding.ts";
import { openGoverned, ownIdentities } from "./plain-gate.ts";
import { resealOpened as resealSecret } from "./reseal.ts";
import { secretText } from "./secret-text.ts";
import { resealOpened } from "./sops-change.ts";
import type { SopsSource } from "./sops-document.ts";
import { clearFile, metadataOf, type Opened } from "./sops-file.ts";
import type { SopsMetadata } from "./sops-metadata.ts";
import type { Previous } from "./sops-seal.ts";
import type { Leaf, StoreFile, Value } from "./store.ts";
import { storeNamed } from "./stores.ts";
import { clearBytesOf, isData, nameOf, type Unit } from "./units.ts";
import { loadYaml } from "./yaml-store.ts";

export interface MergeOptions {
  readonly identities: readonly Identity[];
  readonly now: Date;
  readonly file?: string | undefined;
}

/** A value that both sides changed. Bytes as a program would get them; null where the side does not have it. */
export interface MergeConflict {
  /** The key of a Secret's value (`PASSWORD`), else the path. */
  readonly name: string;
  readonly base: Uint8Array | null;
  readonly ours: Uint8Array | null;
  readonly theirs: Uint8Array | null;
}

/** What becomes of a conflict. */
export type Decision = "ours" | "theirs" | { readonly value: Uint8Array };

export interface SealedMerge {
  /** Sealed, with what `ours` has where there is a conflict. */
  readonly text: string;
  readonly conflicts: readonly MergeConflict[];
  /** True where comments of both sides could not be brought into one text. */
  readonly commentsDiffer: boolean;
  /** Recipients (as their entries name them) that the base had and a side has no more: nothing is sealed for them again. */
  readonly removed: readonly string[];
  /** For people: what was not as it should be and stopped nothing. */
  readonly notices: readonly string[];
  /** Both outcomes between conflict markers, each a whole sealed file; `around` puts what carries them around each. */
  conflictText(style: MarkerStyle, around?: (sealed: string) => string): string;
  /**
   * Sealed, with every conflict decided (by name) and the comments of one side.
   * @throws what sealing throws; TypeError where a conflict is not decided
   */
  resolve(decisions: ReadonlyMap<string, Decision>, comments?: "ours" | "theirs"): string;
}

/** One version in the clear, and what seals a text under its data key. */
interface Side {
  readonly opened: Opened;
  readonly plain: StoreFile;
  readonly seal: (plainText: string, others: readonly Previous[]) => string;
}

/**
 * Merges sealed Secrets. `ours` and `theirs` pass the whole gate; a missing recipient stops nothing here.
 * @throws every refusal of the gate and of sealing; merge-conflict where the two cannot be merged by key at all
 */
export async function mergeSealed(
  versions: Versions<string>,
  expectation: Expectation,
  { identities: held, now, file }: MergeOptions,
): Promise<SealedMerge> {
  const { base } = versions;
  const before = base === null ? null : ({ bytes: Buffer.from(base), store: "yaml", file } as const);
  const { environment } = expectation;
  const policyFor = (isWide: boolean) => patientWith(environment, isWide ? before : null);
  const identities = ownIdentities(held, environment);
  return mergeSides(versions, { file, isSecret: true }, async (document, isWide) => {
    const patient = { ...expectation, environment: policyFor(isWide) };
    const opened = await open(document, patient, { identities, file });
    const options = { now, file };
    return {
      opened: opened.opened,
      plain: loadYaml(secretText(opened.opened), { file }),
      seal: (text, others) => resealSecret(document, text, { opened, expectation: patient, options, others }).text,
    };
  });
}

/**
 * The same for SOPS files that are no Secrets: through the gate for such files, or as sops opens them where no environment
 * governs. @throws what opening and encrypting throw; merge-conflict
 */
export async function mergeSops(
  versions: Versions<SopsSource>,
  environment: EnvironmentPolicy | null,
  { identities: held, now, file }: MergeOptions,
): Promise<SealedMerge> {
  const identities = environment === null ? held : ownIdentities(held, environment);
  return mergeSides(versions, { file, isSecret: false }, async (source, isWide) => {
    const { opened } =
      environment === null
        ? await openConfirmed(storeNamed(source.store).load(source.bytes, { file }), { identities })
        : await openGoverned(source, patientWith(environment, isWide ? versions.base : null), identities);
    if (source.store === "binary")
      throw new SealwardError("merge-conflict", "Both sides changed a file that has one value only", { file });
    return {
      opened,
      plain: clearFile(opened),
      seal: (text, others) => resealOpened(opened, Buffer.from(text), now, others).text,
    };
  });
}

/**
 * The environment as it is for looking at versions: whoever could open the base may still open a side, for one side took them
 * out and the other has not heard of it. What is merged is not sealed for them.
 */
function patientWith(environment: EnvironmentPolicy, base: SopsSource | null): EnvironmentPolicy {
  const entries = base === null ? [] : recipientsIn(base);
  const idsOf = (kind: string): readonly string[] => entries.filter((entry) => entry.kind === kind).map(({ id }) => id);
  return {
    ...environment,
    strictRecipients: false,
    ageRecipients: [...environment.ageRecipients, ...idsOf("age")],
    kmsRecipients: [...environment.kmsRecipients, ...idsOf("kms")],
  };
}

function recipientsIn({ bytes, store, file }: SopsSource): SopsMetadata["recipients"] {
  try {
    return metadataOf(storeNamed(store).load(bytes, { file })).recipients;
  } catch (problem) {
    if (problem instanceof SealwardError) return [];
    throw problem;
  }
}

/** Reasons that time or another identity may mend: without an answer it is not known what the ancestor holds. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["key-unreachable", "credentials-missing", "key-refused"]);

/** How messages and a person name things. */
interface Naming {
  readonly file: string | undefined;
  readonly isSecret: boolean;
}

async function mergeSides<T>(
  { base, ours, theirs }: Versions<T>,
  naming: Naming,
  /** `isWide`: those who could open the base may open it as well. */
  openSide: (version: T, isWide: boolean) => Promise<Side>,
): Promise<SealedMerge> {
  const notices: string[] = [];
  let ancestor: Side | null = null;
  try {
    ancestor = base === null ? null : await openSide(base, true);
  } catch (problem) {
    if (!(problem instanceof SealwardError) || passing.has(problem.code)) throw problem;
    notices.push(`the version that both came from does not open (${problem.code}): every difference is a conflict`);
  }
  // Only a base that belongs here says who could open the file before.
  const isWide = ancestor !== null;
  const [mine, other] = [await openSide(ours, isWide), await openSide(theirs, isWide)];
  const merged = mergeByKey({ base: ancestor?.plain ?? null, ours: mine.plain, theirs: other.plain });
  if (merged === null)
    throw new SealwardError(
      "merge-conflict",
      "Both sides changed the structure of the file, each in its own way: it cannot be merged by key",
      { file: naming.file },
    );
  const removed = ancestor === null ? [] : removedFrom(ancestor, [mine, other]);
  const host = hostOf({ base: ancestor, ours: mine, theirs: other });
  return new Merge(merged, host, { sides: [mine, other], notices, removed, isSecret: naming.isSecret });
}

function removedFrom(base: Side, sides: readonly Side[]): readonly string[] {
  const idsOf = ({ opened }: Side): readonly string[] => opened.metadata.recipients.map(({ id }) => id);
  return idsOf(base).filter((id) => sides.some((side) => !idsOf(side).includes(id)));
}

/** Whose data key and recipients the result has: a new data key was made for a reason, and wins. */
function hostOf({ base, ours, theirs }: Versions<Side>): Side {
  const isNew = (side: Side): boolean => base !== null && !side.opened.key.equals(base.opened.key);
  return isNew(theirs) && !isNew(ours) ? theirs : ours;
}

class Merge implements SealedMerge {
  readonly #merged: KeyMerge;
  readonly #host: Side;
  readonly #others: readonly Previous[];
  readonly #isSecret: boolean;
  readonly text: string;
  readonly conflicts: readonly MergeConflict[];
  readonly commentsDiffer: boolean;
  readonly removed: readonly string[];
  readonly notices: readonly string[];

  constructor(
    merged: KeyMerge,
    host: Side,
    {
      sides,
      notices,
      removed,
      isSecret,
    }: Pick<SealedMerge, "notices" | "removed"> & { readonly sides: readonly Side[]; readonly isSecret: boolean },
  ) {
    this.#merged = merged;
    this.#isSecret = isSecret;
    this.#host = host;
    this.#others = sides.filter((side) => side !== host).map(({ opened }) => ({ opened, plain: clearFile(opened) }));
    this.text = this.#seal(merged.text);
    this.conflicts = merged.conflicts.map((conflict) => inTheClear(conflict, isSecret));
    this.commentsDiffer = merged.commentsDiffer;
    this.removed = removed;
    this.notices = notices;
  }

  #seal(plainText: string): string {
    return this.#host.seal(plainText, this.#others);
  }

  conflictText(style: MarkerStyle, around: (sealed: string) => string = (sealed) => sealed): string {
    return withMarkers(around(this.text), around(this.#seal(this.#merged.theirsText)), style);
  }

  resolve(decisions: ReadonlyMap<string, Decision>, comments: "ours" | "theirs" = "ours"): string {
    const { plain } = this.#host;
    const { conflicts } = this.#merged;
    const decisionFor = ({ path }: KeyConflict): Decision => {
      const decision = decisions.get(nameOf(path, this.#isSecret));
      if (decision === undefined) throw new TypeError(`${nameOf(path, this.#isSecret)} is not decided`);
      return decision;
    };
    // From the side that most is taken from, where its comments are the other's as well: each value that is set costs a reading.
    const theirs = conflicts.filter((conflict) => decisionFor(conflict) === "theirs").length;
    const side = this.commentsDiffer ? comments : theirs * 2 > conflicts.length ? "theirs" : "ours";
    const start = side === "ours" ? this.#merged.text : this.#merged.theirsText;
    let file = plain.store.load(Buffer.from(start), { file: plain.file });
    for (const conflict of conflicts) {
      const decision = decisionFor(conflict);
      const value = decided(conflict, decision, this.#isSecret);
      if (decision === side || (value === null && conflict[side] === null)) continue;
      const text = value === null ? file.unset(conflict.path) : file.set(conflict.path, value);
      file = file.store.load(Buffer.from(text), { file: plain.file });
    }
    return this.#seal(file.text);
  }
}

function decided({ path, ours, theirs }: KeyConflict, decision: Decision, isSecret: boolean): Value | null {
  if (decision === "ours" || decision === "theirs") return (decision === "ours" ? ours : theirs)?.value ?? null;
  const bytes = isSecret && isData(path) ? Buffer.from(toBase64(decision.value)) : decision.value;
  const leaf: Leaf = { kind: "leaf", type: "str", bytes, offset: 0 };
  return leaf;
}

function inTheClear({ path, base, ours, theirs }: KeyConflict, isSecret: boolean): MergeConflict {
  const bytesOf = (unit: Unit | null): Uint8Array | null => (unit === null ? null : clearBytesOf(unit, isSecret));
  return { name: nameOf(path, isSecret), base: bytesOf(base), ours: bytesOf(ours), theirs: bytesOf(theirs) };
}
