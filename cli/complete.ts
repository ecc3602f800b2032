// What could stand where the cursor is: commands, flags and their values, files, environments of seal.yaml, keys of a sealed
// file. Loaded at each press of a key, so it reads files by lines and parses no YAML; nothing that it offers decides anything.
import type { CommandReference, OptionReference } from "./reference.ts";

/** What it may look at. All of it answers with nothing for what is not there. */
export interface Place {
  /** Names in a folder as typed, relative to the working folder; folders end in a slash. */
  list(folder: string): readonly string[];
  /** The text of a file that is not too long to look at. */
  read(file: string): string | null;
  /** The text of the seal.yaml that governs the working folder. */
  config(): string | null;
}

export interface Answer {
  /** With a description after a tab, where there is one. */
  readonly candidates: readonly string[];
  /** `files`: they are paths. `default`: the shell knows better, it is any path. */
  readonly kind: "words" | "files" | "default";
}

const nothing: Answer = { candidates: [], kind: "words" };
const anyPath: Answer = { candidates: [], kind: "default" };
const wordsOf = (candidates: readonly string[]): Answer => ({ candidates, kind: "words" });

/** `words`: all after `seal` up to the cursor, the one that it stands in last, be it empty. */
export function complete(table: readonly CommandReference[], given: readonly string[], place: Place): Answer {
  const words = joined(given);
  const word = words.at(-1) ?? "";
  const named = commandOf(table, words.slice(0, -1));
  const before = words.slice(named.path.length, -1);
  // What begins with no command is the default command's.
  const isDefault = named.path.length === 0 && before.some((one) => !isGlobal(table, one));
  const command = isDefault ? (table.find(({ path }) => path[0] === "encrypt") ?? named) : named;
  const { path, options } = command;
  if (before.includes("--")) return anyPath;
  const [, name, start] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? [];
  const inline = options.find(({ names, value }) => name !== undefined && value !== null && names.includes(name));
  if (inline !== undefined) {
    const answer = valuesFor(inline, place);
    if (answer.kind !== "words") return nothing;
    return wordsOf(startingWith(answer.candidates, start ?? "").map((one) => `${name}=${one}`));
  }
  const last = optionBefore(options, before);
  if (last !== undefined) return starting(valuesFor(last, place), word);
  if (word.startsWith("-")) return wordsOf(startingWith(flagsOf(table, command), word));
  const subcommands = table.filter(
    (one) => one.path.length === path.length + 1 && path.every((part, at) => one.path[at] === part),
  );
  if (subcommands.length > 0) {
    const names = subcommands.map((one) => `${one.path.at(-1)}\t${one.summary}`);
    const found = startingWith(path.length === 0 ? [...names, "help\tdisplay help for command"] : names, word);
    // The default command takes files.
    return found.length > 0 || path.length > 0 ? wordsOf(found) : anyPath;
  }
  return argumentFor(command, { positional: positionalOf(options, before), word, place });
}

const isGlobal = (table: readonly CommandReference[], word: string): boolean =>
  table[0]?.options.some(({ names }) => names.includes(word)) === true;

/** Bash takes `--env=prod` for three words. */
function joined(given: readonly string[]): readonly string[] {
  const words = given.filter((word, at) => word !== "=" || !(given[at - 1] ?? "").startsWith("--"));
  return given.at(-1) === "=" && words.length < given.length ? [...words, ""] : words;
}

/** The longest path of a command that the words begin with. */
function commandOf(table: readonly CommandReference[], words: readonly string[]): CommandReference {
  const found = table.filter(({ path }) => path.every((part, at) => words[at] === part));
  const longest = found.reduce<CommandReference | undefined>(
    (best, one) => (best === undefined || one.path.length > best.path.length ? one : best),
    undefined,
  );
  return longest ?? { path: [], summary: "", usage: "", arguments: [], options: [], example: "" };
}

/** The option whose value the cursor stands in: the one just before it, or one that takes several. */
function optionBefore(options: readonly OptionReference[], before: readonly string[]): OptionReference | undefined {
  for (let at = before.length - 1; at >= 0; at--) {
    const word = before[at] ?? "";
    if (!word.startsWith("-")) continue;
    const option = options.find(({ names }) => names.includes(word));
    if (option === undefined || option.value === null) return undefined;
    return at === before.length - 1 || option.isVariadic ? option : undefined;
  }
  return undefined;
}

function positionalOf(options: readonly OptionReference[], before: readonly string[]): readonly string[] {
  return before.filter((word, at) => {
    if (word.startsWith("-") && word !== "-") return false;
    const option = options.find(({ names }) => names.includes(before[at - 1] ?? ""));
    return option === undefined || option.value === null;
  });
}

function flagsOf(table: readonly CommandReference[], command: CommandReference): readonly string[] {
  const global = table[0]?.options.filter(({ names }) => !names.includes("--version")) ?? [];
  const own = command.path.length === 0 ? (table[0]?.options ?? []) : [...command.options, ...global];
  const flags = own.flatMap(({ names, description }) => names.slice(0, 1).map((name) => `${name}\t${description}`));
  return [...flags, "--help\tdisplay help for command"];
}

const environmentFlags = ["--env", "--from", "--to"];

function valuesFor({ names, value, choices }: OptionReference, place: Place): Answer {
  if (choices.length > 0) return wordsOf(choices);
  if (value === "file" || value === "path" || value === "folder") return anyPath;
  if (names.some((name) => environmentFlags.includes(name))) return wordsOf(environmentsIn(place.config() ?? ""));
  return nothing;
}

/** Commands whose FILE need not be sealed. */
const takesAny = ["encrypt", "explain"];

function argumentFor(
  { path, arguments: slots }: CommandReference,
  { positional, word, place }: { readonly positional: readonly string[]; readonly word: string; readonly place: Place },
): Answer {
  const slot = slots[positional.length] ?? (slots.at(-1)?.isVariadic === true ? slots.at(-1) : undefined);
  const name = slot?.name.replace(/s$/, "");
  if (name === "key") return wordsOf(startingWith(keysIn(place.read(positional[0] ?? "") ?? ""), word));
  if (name === "name") return wordsOf(startingWith(environmentsIn(place.config() ?? ""), word));
  if (name === "shell") return wordsOf(startingWith(["bash", "zsh", "fish"], word));
  if (name === undefined) return nothing;
  if (name !== "file" || takesAny.includes(path[0] ?? "")) return anyPath;
  const sealed = sealedFiles(word, place);
  return sealed.length > 0 ? { candidates: sealed, kind: "files" } : anyPath;
}

/** Files that look sealed, and folders that may hold some. */
function sealedFiles(word: string, place: Place): readonly string[] {
  const folder = word.slice(0, word.lastIndexOf("/") + 1);
  const names = place
    .list(folder)
    .filter((name) => isPlain(name) && (!name.startsWith(".") || word.startsWith(`${folder}.`)));
  return startingWith(
    names.map((name) => folder + name),
    word,
  ).filter((path) => path.endsWith("/") || looksSealed(path, place));
}

const sealable = /\.(?:ya?ml|json|env|ini)$/i;
const looksSealed = (path: string, place: Place): boolean => {
  const text = sealable.test(path) ? place.read(path) : null;
  return text?.includes("sops") === true && text.includes("ENC[");
};

/** What could act on a terminal, or end a line of the answer, is not offered. */
const isPlain = (name: string): boolean => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name);

const starting = (answer: Answer, word: string): Answer => ({
  ...answer,
  candidates: startingWith(answer.candidates, word),
});
const startingWith = (candidates: readonly string[], word: string): readonly string[] =>
  candidates.filter((one) => one.startsWith(word));

/** The names under `environments:`, as people write the file. */
export function environmentsIn(text: string): readonly string[] {
  return childrenOf(text.split(/\r?\n/), /^environments:\s*(?:#.*)?$/).filter((name) => /^[a-z0-9-]+$/.test(name));
}

/** Names of `data` and `stringData`, wherever these stand; of a file that is no Secret, its top-level keys. */
export function keysIn(text: string): readonly string[] {
  const lines = text.split(/\r?\n/);
  const fields = /^\s*["']?(?:data|stringData)["']?:\s*\{?\s*(?:#.*)?$/;
  const isSecret = /^\s*["']?kind["']?:\s*["']?(?:Bound)?Secret\b/m.test(text);
  const found = isSecret ? childrenOf(lines, fields) : topLevel(lines);
  return [...new Set(found)].filter((name) => name !== "sops" && !name.startsWith("sops_"));
}

const keyOf = /^(\s*)(["']?)([\w.-]+)\2\s*:(?:\s|$)/;

/** Keys one level below each line that `head` matches, by their indentation. */
function childrenOf(lines: readonly string[], head: RegExp): readonly string[] {
  const names: string[] = [];
  let parent = -1;
  let level = -1;
  for (const line of lines) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const indent = line.search(/\S/);
    if (parent >= 0 && indent <= parent) parent = level = -1;
    if (parent < 0) {
      if (head.test(line)) parent = indent;
      continue;
    }
    if (level < 0) level = indent;
    const [, , , name] = keyOf.exec(line) ?? [];
    if (indent === level && name !== undefined) names.push(name);
  }
  return names;
}

/** Of YAML, JSON, dotenv, and the sections of INI. */
function topLevel(lines: readonly string[]): readonly string[] {
  const first = lines.find((line) => keyOf.test(line))?.search(/\S/) ?? 0;
  return lines.flatMap((line) => {
    const [, indent, , name] = keyOf.exec(line) ?? [];
    if (name !== undefined) return indent?.length === first ? [name] : [];
    return /^([A-Za-z_][\w.-]*)=/.exec(line)?.slice(1) ?? [];
  });
}
