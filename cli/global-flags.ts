// The flags that every command has, taken out of the arguments before a command sees them, and what they change in the
// surroundings that it runs in. Knows no command.
import type { Io } from "./io.ts";

export const globalFlags = {
  "--yes": "answer yes to every question whether to go on",
  "--quiet": "print no notes and nothing of what was done; failures are printed all the same",
} as const;

const isGlobal = (word: string): word is keyof typeof globalFlags => Object.hasOwn(globalFlags, word);

/** The arguments without these flags, and the surroundings with what they say. What follows `--` is not ours to read. */
export function withGlobalFlags(
  argv: readonly string[],
  io: Io,
): { readonly argv: readonly string[]; readonly io: Io } {
  const end = argv.indexOf("--");
  const [ours, theirs] = end < 0 ? [argv, []] : [argv.slice(0, end), argv.slice(end)];
  const given = new Set(ours.filter(isGlobal));
  if (given.size === 0) return { argv, io };
  const said = { assumeYes: io.assumeYes || given.has("--yes"), isQuiet: io.isQuiet || given.has("--quiet") };
  // Not a copy: what is looked up when it is needed, such as the working folder, stays so.
  const changed: Io = Object.assign(Object.create(io), said);
  return { argv: [...ours.filter((word) => !isGlobal(word)), ...theirs], io: changed };
}
