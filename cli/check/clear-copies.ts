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
  const word = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  // Few files have one of the names at all.
  const any = new RegExp(word);
  const patterns: Patterns = {
    pair: new RegExp(`^[ \\t]*(?:-[ \\t]+)?["']?(${word})["']?[ \\t]*(?::[ \\t]|=)(.*)$`, "gm"),
    item: new RegExp(
      `^[ \\t]*(?:-[ \\t]+)?name:[ \\t]*["']?(${word})["']?[ \\t]*\\r?\\n[ \\t]*value:[ \\t](.*)$`,
      "gm",
    ),
  };
  const known = new Set(names);
  return (file, text) => {
    if (!any.test(text)) return [];
    const kind = kindOf(file, text);
    if (kind === null) return [];
    const rows = text.split("\n");
    const isAllowed = ({ line }: Literal): boolean =>
      [line - 1, line].some((at) => /seal:allow/.test(rows[at - 1] ?? ""));
    return [...kind.literals(text, patterns)]
      .filter((literal) => known.has(literal.name) && !isAllowed(literal))
      .map((literal) => ({ ...literal, file, where: kind.where }));
  };
}

interface Patterns {
  /** `NAME: value`, and `- NAME=value` of a compose file. */
  readonly pair: RegExp;
  /** `- name: NAME`, and a `value:` right below. */
  readonly item: RegExp;
}

interface Kind {
  readonly where: string;
  readonly literals: (text: string, patterns: Patterns) => Iterable<Literal>;
}

function kindOf(file: string, text: string): Kind | null {
  const name = basename(file);
  if (/^(?:Docker|Container)file(?:\..+)?$|\.(?:docker|container)file$/i.test(name))
    return { where: "a Dockerfile", literals: dockerLiteralsIn };
  if (!/\.ya?ml$/i.test(name)) return null;
  if (/^values.*\.ya?ml$/i.test(name)) return { where: "a values file", literals: pairsIn };
  if (/^(?:docker-)?compose.*\.ya?ml$/i.test(name)) return { where: "a compose file", literals: pairsIn };
  if (/^kind:\s*["']?ConfigMap\b/m.test(text)) return { where: "a ConfigMap", literals: pairsIn };
  return { where: "an env list", literals: envListIn };
}

const literalOf = (value: string): string | null => {
  const bare = value.replace(/\s+#.*$/, "").trim();
  // A block scalar goes on below; that there is one says enough.
  return isReference(bare) || /^(?:null|~|\{\}|\[\])$/.test(bare) ? null : bare.replace(/^(["'])(.*)\1$/s, "$2");
};

const pairsIn: Kind["literals"] = (text, { pair }) => matchesIn(text, pair, 0);
const envListIn: Kind["literals"] = (text, { item }) => matchesIn(text, item, 1);

/** `below`: by how many lines the value stands under the name. */
function* matchesIn(text: string, pattern: RegExp, below: number): Generator<Literal> {
  let line = 1;
  let at = 0;
  for (const { 1: name = "", 2: value = "", index } of text.matchAll(pattern)) {
    for (let end = text.indexOf("\n", at); end >= 0 && end < index; end = text.indexOf("\n", at)) {
      line++;
      at = end + 1;
    }
    const literal = literalOf(value);
    if (literal !== null) yield { name, value: literal, line: line + below };
  }
}
