// The inputs of a target, by number: first every hostile text, then texts of its grammar, most of them changed. Those of a
// target that reads sealed files differ from run to run, for keys and nonces do.
import { dictionary, textOf } from "./grammars.ts";
import { hostileTexts } from "./hostile.ts";
import { maxBytes, mutated } from "./mutate.ts";
import { Random } from "./random.ts";
import { isRefusal, type Target } from "./targets.ts";

export interface Inputs {
  /** How many come first of which none may be left out. */
  readonly least: number;
  at(number: number): { readonly label: string; readonly text: string };
}

export async function inputsOf({ grammar, prepare }: Target, seed: number): Promise<Inputs> {
  const hostile = Object.entries(hostileTexts);
  const pieces = dictionary(grammar);
  const random = new Random(seed);
  const good = prepare === undefined ? [] : await prepared(prepare, () => textOf(grammar, random));
  return {
    least: hostile.length,
    at(number) {
      const [label, make] = hostile[number] ?? [];
      if (label !== undefined && make !== undefined) return { label, text: make().slice(0, maxBytes) };
      const own = new Random(seed + number);
      const isWhole = own.below(4) === 0;
      const whole = good.length > 0 && !isWhole ? own.pick(good) : textOf(grammar, own);
      return { label: `input ${number}`, text: isWhole && good.length === 0 ? whole : mutated(whole, pieces, own) };
    },
  };
}

async function prepared(prepare: NonNullable<Target["prepare"]>, next: () => string): Promise<string[]> {
  const good: string[] = [];
  for (let tries = 0; good.length < 50 && tries < 1000; tries++) {
    try {
      good.push(await prepare(next()));
    } catch (problem) {
      if (!isRefusal(problem)) throw problem;
    }
  }
  if (good.length === 0) throw new Error("no text of the grammar is well-formed");
  return good;
}
