// What becomes of each key when a Secret is promoted: stated by flags, asked at a terminal, or left undecided, which stops it.
// A value is the same in two environments only where somebody said so.
import { SealwardError } from "../src/index.ts";
import type { Io } from "./io.ts";
import { promptValue, readNewValue } from "./new-value.ts";
import { generatePassword } from "./password.ts";
import { HintedError, safeText, UsageError } from "./report.ts";

export interface PlanFlags {
  readonly keep?: readonly string[];
  readonly skip?: readonly string[];
  /** `KEY` or `KEY=POLICY`. */
  readonly generate?: readonly string[];
  /** `KEY` or `KEY=VALUE`. */
  readonly set?: readonly string[];
  /** `KEY=PATH`. */
  readonly fromFile?: readonly string[];
  readonly allowSame?: readonly string[];
}

export interface PlannedKey {
  readonly key: string;
  readonly what: "same value as in the source" | "new value" | "generated" | "left out" | "stays as it is";
  /** Null where nothing is written. */
  readonly value: Uint8Array | null;
}

interface Sides {
  /** The values of the source. */
  readonly source: ReadonlyMap<string, Uint8Array>;
  /** Those that the target has already; null where there is no such file yet. */
  readonly target: ReadonlyMap<string, Uint8Array> | null;
}

/** @throws usage where a key is undecided, unknown or decided twice; value-shared; cancelled */
export async function planPromotion(io: Io, sides: Sides, flags: PlanFlags): Promise<readonly PlannedKey[]> {
  const stated = statedBy(flags);
  const known = new Set([...sides.source.keys(), ...(sides.target?.keys() ?? [])]);
  for (const key of [...stated.keys(), ...(flags.allowSame ?? [])])
    if (!known.has(key))
      throw new UsageError(
        `There is no key ${safeText(key)} in the source or the target`,
        `the source has ${[...sides.source.keys()].join(", ")}`,
      );
  const planned: PlannedKey[] = [];
  const undecided: string[] = [];
  for (const key of known) {
    const plan = await planOf(io, key, sides, stated.get(key));
    if (plan === null) undecided.push(key);
    else planned.push(plan);
  }
  if (undecided.length > 0)
    throw new UsageError(
      `Cannot promote: nothing says what is to become of ${undecided.join(", ")}`,
      "decide for each: `--keep KEY`, `--set KEY`, `--from-file KEY=PATH`, `--generate KEY` or `--skip KEY`",
    );
  for (const plan of planned) assertToldSame(plan, sides, flags);
  return planned;
}

type Statement = { readonly how: "keep" | "skip" | "generate" | "set" | "file"; readonly argument: string | undefined };

function statedBy({
  keep = [],
  skip = [],
  generate = [],
  set = [],
  fromFile = [],
}: PlanFlags): ReadonlyMap<string, Statement> {
  const stated = new Map<string, Statement>();
  const add = (how: Statement["how"], words: readonly string[]): void => {
    for (const word of words) {
      const [, key = word, argument] = /^([^=]*)=([\s\S]*)$/.exec(word) ?? [];
      if (stated.has(key)) throw new UsageError(`${safeText(key)} is decided twice`, "leave one of the two out");
      stated.set(key, { how, argument });
    }
  };
  add("keep", keep);
  add("skip", skip);
  add("generate", generate);
  add("set", set);
  add("file", fromFile);
  return stated;
}

async function planOf(
  io: Io,
  key: string,
  { source, target }: Sides,
  stated: Statement | undefined,
): Promise<PlannedKey | null> {
  const present = target?.get(key);
  const given = source.get(key);
  const fresh = (value: Uint8Array): PlannedKey => ({ key, what: "new value", value });
  const kept = (): PlannedKey => {
    if (given === undefined)
      throw new UsageError(`The source has no key ${safeText(key)} to keep`, "leave `--keep` out for it");
    return { key, what: "same value as in the source", value: given };
  };
  const generated = (policy: string): PlannedKey => ({
    key,
    what: "generated",
    value: Buffer.from(generatePassword(policy)),
  });
  switch (stated?.how) {
    case "keep":
      return kept();
    case "skip":
      return { key, what: present === undefined ? "left out" : "stays as it is", value: null };
    case "generate":
      return generated(stated.argument ?? "");
    case "set":
      return fresh(stated.argument === undefined ? await promptValue(io, key) : await readNewValue(io, key, stated));
    case "file":
      if (stated.argument === undefined)
        throw new UsageError("Cannot read the value: no PATH is named", "`--from-file KEY=PATH`");
      return fresh(await readNewValue(io, key, { fromFile: stated.argument }));
    case undefined:
  }
  if (present !== undefined) return { key, what: "stays as it is", value: null };
  switch (await askAbout(io, key)) {
    case "k":
      return kept();
    case "r":
      return fresh(await promptValue(io, key));
    case "g":
      return generated("");
    case "s":
      return { key, what: "left out", value: null };
    default:
      return null;
  }
}

async function askAbout(io: Io, key: string): Promise<string | null> {
  if (!io.stdin.isTty) return null;
  for (;;) {
    const question = `${safeText(key)}: [k]eep the value of the source, [r]eplace it, [g]enerate one, [s]kip the key, [q]uit? `;
    const letter = (await io.ask(question)).trim().toLowerCase().slice(0, 1);
    if (/^[krgs]$/.test(letter)) return letter;
    if (/^[nq]$/.test(letter)) throw new SealwardError("cancelled", "Cannot promote: it was given up");
  }
}

/** @throws value-shared where both environments would have one value and nobody said that they should */
function assertToldSame(
  { key, what, value }: PlannedKey,
  { source, target }: Sides,
  { allowSame = [] }: PlanFlags,
): void {
  if (what === "same value as in the source" || what === "left out" || allowSame.includes(key)) return;
  const [one, other] = [source.get(key), value ?? target?.get(key)];
  if (one === undefined || other === undefined || !Buffer.from(one).equals(other)) return;
  throw new HintedError("value-shared", `The value of ${key} would be the same in both environments`, {
    hint: `give it another, or say that it is meant: \`--keep ${key}\` takes it over, \`--allow-same ${key}\` leaves it`,
  });
}
