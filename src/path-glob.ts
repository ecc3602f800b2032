// Turns a path_regex of .sops.yaml into the globs of seal.yaml that match the same paths, or says that it cannot: a glob
// that matches a little less or more would give a file to another environment. Paths are relative, with forward slashes.
import picomatch from "picomatch";

/** Any text, or any text of one name; with the mark, not the empty one. */
type Wild = "any" | "any+" | "name" | "name+";
type Token = { readonly literal: string } | { readonly wild: Wild };

const maxGlobs = 12;
/** What a glob can hold literally; see `isSafeGlob` in config.ts. */
const literalText = /^[A-Za-z0-9._/@~=%, -]*$/;
const wildcards = [
  [".*", "any"],
  [".+", "any+"],
  ["[^/]*", "name"],
  ["[^/]+", "name+"],
] as const;

/** Null where there are none within the limits that seal.yaml has for a glob. */
export function globsOfPathRegex(pattern: string): readonly string[] | null {
  const sequences = sequencesOf(pattern);
  if (sequences === null) return null;
  const globs = sequences.flatMap((tokens) => assemble(tokens) ?? [null]);
  if (globs.length === 0 || globs.length > maxGlobs || !globs.every((glob) => glob !== null && isAccepted(glob)))
    return null;
  return [...new Set(globs as string[])];
}

/** True for globs of a pattern that every path matches. */
export const matchEverything = (globs: readonly string[]): boolean => globs.includes("**/*");

/**
 * Whether a path can match a glob of both lists. "none": their literal beginnings or ends differ, so no path can; "usual":
 * an ordinary path of the earlier ones matches the later ones too; "odd": only a path that names both, if any.
 */
export function overlapOf(earlier: readonly string[], later: readonly string[]): "none" | "odd" | "usual" {
  if (earlier.every((one) => later.every((other) => differ(one, other)))) return "none";
  const samples = earlier.flatMap((glob) => {
    const path = glob.replaceAll("**/", "").replace(/[*?]+/g, "x");
    return [path, ...(glob.endsWith("*") ? later.map((other) => `${path}${literalEnd(other)}`) : [])];
  });
  return samples.some((path) => isMatch(path, later) && isMatch(path, earlier)) ? "usual" : "odd";
}

const isMatch = (path: string, globs: readonly string[]): boolean =>
  picomatch.isMatch(path, [...globs], { dot: true, nonegate: true, noextglob: true, nobracket: true });

const literalStart = (glob: string): string => glob.replace(/[*?].*$/s, "");
const literalEnd = (glob: string): string => (/[*?]/.test(glob) ? glob.replace(/^.*[*?]/s, "") : glob);

function differ(one: string, other: string): boolean {
  const [a, b, y, z] = [literalStart(one), literalStart(other), literalEnd(one), literalEnd(other)];
  return (!a.startsWith(b) && !b.startsWith(a)) || (!y.endsWith(z) && !z.endsWith(y));
}

/** The alternatives of a pattern, each as tokens from the beginning of a path to its end. */
function sequencesOf(pattern: string): Token[][] | null {
  if (pattern.length > 200 || /[\r\n]/.test(pattern)) return null;
  const isStart = pattern.startsWith("^");
  const isEnd = /(?<!\\)(?:\\\\)*\$$/.test(pattern);
  const body = pattern.slice(isStart ? 1 : 0, isEnd ? -1 : undefined);
  const inner = parse(body);
  if (inner === null) return null;
  return inner.map((tokens) =>
    merged([...(isStart ? [] : [{ wild: "any" } as const]), ...tokens, ...(isEnd ? [] : [{ wild: "any" } as const])]),
  );
}

function parse(body: string): Token[][] | null {
  let sequences: Token[][] = [[]];
  for (let at = 0; at < body.length; ) {
    const step = stepAt(body, at);
    if (step === null) return null;
    sequences = sequences.flatMap((before) => step.options.map((option) => [...before, ...option]));
    if (sequences.length > maxGlobs) return null;
    at = step.end;
  }
  return sequences;
}

/** One wildcard, group of literals, or character; what stands there more than once or perhaps is several options. */
function stepAt(body: string, at: number): { readonly options: Token[][]; readonly end: number } | null {
  const wildcard = wildcards.find(([text]) => body.startsWith(text, at));
  if (wildcard !== undefined) {
    const end = at + wildcard[0].length;
    return /[*+?{]/.test(body[end] ?? "") ? null : { options: [[{ wild: wildcard[1] }]], end };
  }
  const group = /^\((?:\?:)?([^()[\]{}^$*+?]*)\)/.exec(body.slice(at));
  if (group !== null) {
    const texts = (group[1] ?? "").split("|").map(literalOf);
    if (texts.some((text) => text === null)) return null;
    return optional(body, at + group[0].length, texts as string[]);
  }
  const character = /^(?:\\[^A-Za-z0-9]|[A-Za-z0-9_/@~=%, -])/.exec(body.slice(at));
  if (character === null) return null;
  const text = literalOf(character[0]);
  return text === null ? null : optional(body, at + character[0].length, [text]);
}

function optional(body: string, end: number, texts: readonly string[]): { options: Token[][]; end: number } | null {
  const options: Token[][] = texts.map((literal) => [{ literal }]);
  if (body[end] === "?") return /[*+?{]/.test(body[end + 1] ?? "") ? null : { options: [...options, []], end: end + 1 };
  return /[*+{]/.test(body[end] ?? "") ? null : { options, end };
}

/** Without escapes; a dot on its own stands for any character, which no glob says. */
function literalOf(text: string): string | null {
  if (/(?:^|[^\\])(?:\\\\)*\./.test(text) || /\\[A-Za-z0-9]/.test(text)) return null;
  const plain = text.replace(/\\(.)/g, "$1");
  return literalText.test(plain) ? plain : null;
}

/** Literals side by side become one, and so do wildcards that say the same. */
function merged(tokens: readonly Token[]): Token[] {
  const result: Token[] = [];
  for (const token of tokens) {
    const last = result.at(-1);
    if ("literal" in token && token.literal === "") continue;
    if (last === undefined) result.push(token);
    else if ("literal" in last && "literal" in token)
      result[result.length - 1] = { literal: last.literal + token.literal };
    else if ("wild" in last && last.wild === "any" && "wild" in token && token.wild.startsWith("any"))
      result[result.length - 1] = token;
    else if ("wild" in last && last.wild.startsWith("any") && "wild" in token && token.wild === "any") continue;
    else result.push(token);
  }
  return result;
}

/** The globs of one sequence, or null. */
function assemble(tokens: readonly Token[]): string[] | null {
  let globs = [""];
  for (const [index, token] of tokens.entries()) {
    if ("literal" in token) {
      globs = globs.map((glob) => glob + token.literal);
      continue;
    }
    const [before, after] = [tokens[index - 1], tokens[index + 1]];
    // Wildcards side by side that mean different things: rare, and not worth being wrong about.
    if ((before !== undefined && !("literal" in before)) || (after !== undefined && !("literal" in after))) return null;
    const isFirst = before === undefined || before.literal.endsWith("/");
    const isLast = after === undefined || after.literal.startsWith("/");
    const options = optionsOf(token.wild, { isFirst, isLast, isEnd: after === undefined });
    globs = globs.flatMap((glob) => options.map((option) => glob + option));
    if (globs.length > maxGlobs) return null;
  }
  return globs;
}

/**
 * What a wildcard is in a glob. `isFirst` and `isLast`: a name begins or ends here. No path has an empty name, so a
 * wildcard that is a whole name is never empty.
 */
function optionsOf(
  wild: Wild,
  { isFirst, isLast, isEnd }: { readonly isFirst: boolean; readonly isLast: boolean; readonly isEnd: boolean },
): readonly string[] {
  const isWhole = isFirst && isLast;
  if (wild === "name") return ["*"];
  if (wild === "name+") return [isWhole ? "*" : "?*"];
  if (isFirst && (wild === "any" || isWhole)) return ["**/*"];
  if (isLast && !isEnd && wild === "any") return ["*/**"];
  return [wild === "any+" ? "?*" : "*", "*/**/*"];
}

/** Within the limits that seal.yaml has for a glob, and of names that a path can have. */
function isAccepted(glob: string): boolean {
  const names = glob.split("/");
  return (
    glob.length <= 200 &&
    // The last two have a meaning of their own for picomatch.
    !names.some((name) => ["", ".", "..", "*.*", ".*"].includes(name)) &&
    names.filter((name) => name === "**").length <= 3 &&
    names.every((name) => name === "**" || (!name.includes("**") && name.split("*").length <= 3))
  );
}
