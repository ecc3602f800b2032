// Answers `seal __complete SHELL -- WORD…`: the launcher starts this file and not the program, whose table of commands it has as
// data. Reads names and the beginnings of files, and fails without a word: whoever pressed the key is in the middle of a line.
import { readdirSync, readFileSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { complete, type Place } from "./complete.ts";
import type { CommandReference } from "./reference.ts";

/** A folder with more names than this is not looked through. */
const maxNames = 2000;
/** A sealed file that is longer is not offered. */
const maxBytes = 1024 * 1024;

const place: Place = {
  list: (folder) => {
    const found = tryTo(() => readdirSync(folder === "" ? "." : folder, { withFileTypes: true })) ?? [];
    return found.slice(0, maxNames).map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
  },
  read: (file) =>
    tryTo(() => {
      const { size, isFile } = statOf(file);
      return isFile && size <= maxBytes ? readFileSync(file, "utf8") : null;
    }),
  config: () => {
    for (let folder = process.cwd(); ; folder = dirname(folder)) {
      const text = place.read(join(folder, "seal.yaml"));
      const isTop = tryTo(() => statSync(join(folder, ".git"), { throwIfNoEntry: false })) != null;
      if (text !== null || isTop || dirname(folder) === folder) return text;
    }
  },
};

function statOf(file: string): { readonly size: number; readonly isFile: boolean } {
  const found = statSync(file);
  return { size: found.size, isFile: found.isFile() };
}

function tryTo<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

/** As bash hands a word over: as it was typed. */
const unquoted = (word: string): string => word.replace(/^["']/, "").replace(/\\(.)/g, "$1");

tryTo(() => {
  const [, , , shell, , ...words] = process.argv;
  const table = JSON.parse(readFileSync(join(__dirname, "commands.json"), "utf8")) as readonly CommandReference[];
  const { candidates, kind } = complete(table, shell === "bash" ? words.map(unquoted) : words, place);
  writeSync(1, [...candidates, `:${kind}\n`].join("\n"));
});
