// Changes texts the way that damage, editors and attackers do.
import type { Random } from "./random.ts";

const odd = [
  "\0",
  "\t",
  "\r",
  "\n",
  "\u0085",
  "\u2028",
  "\ufeff",
  "\u00e9",
  "\ud83d\ude00",
  "\x7f",
  "'",
  '"',
  "\\",
  "%",
  "&a ",
  "*a",
  "!!",
  "---\n",
  "ENC[",
  "]",
];
/** A second allows thousands of small texts and few large ones. */
export const maxBytes: number = 1_000_000;

/** The text after one to four changes, each near one place. */
export function mutated(text: string, pieces: readonly string[], random: Random): string {
  let changed = text;
  for (let left = 1 + random.below(4); left > 0; left--) changed = random.pick(changes)(changed, pieces, random);
  return changed.slice(0, maxBytes);
}

type Change = (text: string, pieces: readonly string[], random: Random) => string;

const changes: readonly Change[] = [
  // One letter is another.
  (text, _, random) => spliced(text, random.below(text.length + 1), 1, String.fromCharCode(random.below(128))),
  // One is in, out, or odd.
  (text, _, random) => spliced(text, random.below(text.length + 1), random.below(2), random.pick(odd)),
  // A piece of the grammar stands where it does not belong.
  (text, pieces, random) => spliced(text, random.below(text.length + 1), random.below(4), random.pick(pieces)),
  // Something is missing.
  (text, _, random) => spliced(text, random.below(text.length + 1), random.below(64), ""),
  // It is cut off.
  (text, _, random) => text.slice(0, random.below(text.length + 1)),
  // Lines change places, or are there twice.
  (text, _, random) => withLines(text, (lines) => lines.splice(random.below(lines.length), 0, random.pick(lines))),
  (text, _, random) =>
    withLines(text, (lines) => {
      const [line] = lines.splice(random.below(lines.length), 1);
      if (line !== undefined) lines.splice(random.below(lines.length + 1), 0, line);
    }),
  // A line stands further in.
  (text, _, random) =>
    withLines(text, (lines) => {
      const index = random.below(lines.length);
      lines[index] = " ".repeat(random.below(5)) + lines[index];
    }),
  // A part is there many times, seldom so often that the text is as large as it may be.
  (text, _, random) => {
    const start = random.below(text.length + 1);
    const part = text.slice(start, start + 1 + random.below(12));
    const length = random.below(40) === 0 ? maxBytes - text.length : random.below(500);
    return spliced(text, start, 0, part.repeat(Math.max(0, Math.floor(length / Math.max(1, part.length)))));
  },
];

function spliced(text: string, at: number, cut: number, put: string): string {
  return text.slice(0, at) + put + text.slice(at + cut);
}

function withLines(text: string, change: (lines: string[]) => void): string {
  const lines = text.split("\n");
  change(lines);
  return lines.join("\n");
}
