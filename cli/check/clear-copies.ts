// Finds names of sealed values that also stand in the clear, with a value: in a Dockerfile, a ConfigMap, a values or compose
// file, or an `env:` list. Goes by names; finding secrets by how they look is the work of other tools. Shows no value.
import { basename } from "node:path";
import { dockerLiteralsIn, isReference, type Literal } from "./dotenv-literals.ts";

export interface ClearCopy extends Literal {
  readonly file: string;
  /** What it stands in, for people. */
  readonly where: string;
}

const secretWord = /pass|pwd|secret|token|key|credential|cert|private|dsn|auth/i;

/** Names that say that their value is a secret. USER and HOST stand in the clear in half of all files, and should. */
export const namesLikeSecret = (names: Iterable<string>): readonly string[] =>
  [...new Set(names)].filter((name) => secretWord.test(name) && name.length <= 253);

/** For names that were found like secrets: what stands in one file, which is no sealed one. */
export function copyFinder(names: readonly string[]): (file: string, text: string) => readonly ClearCopy[] {
  if (names.length === 0) return () => [];
  const known = new Set(names);
  return (file, text) => {
    const kind = kindOf(file, text);
    if (kind === null) return [];
    const rows = text.split("\n");
    const isAllowed = ({ line }: Literal): boolean =>
      [line - 1, line].some((at) => /seal:allow/.test(rows[at - 1] ?? ""));
    return [...kind.literals(text)]
      .filter((literal) => known.has(literal.name) && !isAllowed(literal))
      .map((literal) => ({ ...literal, file, where: kind.where }));
  };
}

interface Kind {
  readonly where: string;
  readonly literals: (text: string) => Iterable<Literal>;
}

function kindOf(file: string, text: string): Kind | null {
  const name = basename(file);
  if (/^(?:Docker|Container)file(?:\..+)?$|\.(?:docker|container)file$/i.test(name))
    return { where: "a Dockerfile", literals: dockerLiteralsIn };
  if (!/\.ya?ml$/i.test(name)) return null;
  if (/^values.*\.ya?ml$/i.test(name)) return { where: "a values file", literals: pairsIn };
  if (/^(?:docker-)?compose.*\.ya?ml$/i.test(name)) return { where: "a compose file", literals: pairsIn };
  if (/^kind:\s*["']?ConfigMap\b/m.test(text)) return { where: "a ConfigMap", literals: pairsIn };
  return /^\s*-?\s*name:/m.test(text) ? { where: "an env list", literals: envListIn } : null;
}

const literalOf = (value: string): string | null => {
  const bare = value.replace(/\s+#.*$/, "").trim();
  // A block scalar goes on below; that there is one says enough.
  return isReference(bare) || /^(?:null|~|\{\}|\[\])$/.test(bare) ? null : bare.replace(/^(["'])(.*)\1$/s, "$2");
};

/** `NAME: value`, and `- NAME=value` of a compose file. */
function* pairsIn(text: string): Generator<Literal> {
  let line = 0;
  for (const row of text.split("\n")) {
    line++;
    const [, name, value = ""] = /^\s*(?:-\s+)?["']?([\w.-]{1,253})["']?\s*(?::\s|=)(.*)$/.exec(`${row} `) ?? [];
    const literal = name === undefined ? null : literalOf(value);
    if (name !== undefined && literal !== null) yield { name, value: literal, line };
  }
}

/** `- name: NAME`, and a `value:` with a value right below. */
function* envListIn(text: string): Generator<Literal> {
  const rows = text.split("\n");
  for (const [at, row] of rows.entries()) {
    const [, name] = /^\s*(?:-\s+)?name:\s*["']?([\w.-]{1,253})["']?\s*$/.exec(row) ?? [];
    const [, value] = name === undefined ? [] : (/^\s*value:\s(.*)$/.exec(rows[at + 1] ?? "") ?? []);
    const literal = value === undefined ? null : literalOf(value);
    if (name !== undefined && literal !== null) yield { name, value: literal, line: at + 2 };
  }
}
