// Names that have a value of their own in a text of lines: dotenv, and the ENV and ARG of a Dockerfile. Gives names and places,
// never values to show.

export interface Literal {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

/** A reference to somewhere else, what is sealed, or nothing. */
export function isReference(value: string): boolean {
  const bare = value.trim().replace(/^(["'])(.*)\1$/s, "$2");
  return (
    bare === "" ||
    bare.startsWith("ENC[") ||
    /^\$(?:\w+|\{[^}]*\}|\([^)]*\))$/.test(bare) ||
    hasAction(bare) ||
    /^<[^>]*>$/.test(bare)
  );
}

/** A template action somewhere in it. Not a pattern: those look again from each brace. */
function hasAction(text: string): boolean {
  const start = text.indexOf("{{");
  return start >= 0 && text.indexOf("}}", start) >= 0;
}

const unquoted = (value: string): string => value.trim().replace(/^(["'])(.*)\1$/s, "$2");

/** The assignments of a dotenv file that have a literal value. */
export function* literalsIn(text: string): Generator<Literal> {
  let line = 0;
  for (const row of text.split("\n")) {
    line++;
    const [, name, value = ""] = /^\s*(?:export\s+)?([A-Za-z_][\w.-]{0,200})\s*=(.*)$/.exec(row) ?? [];
    if (name !== undefined && !isReference(value)) yield { name, value: unquoted(value), line };
  }
}

/** `ENV A=b C=d`, `ENV A b` and `ARG A=b`, line continuations included. */
export function* dockerLiteralsIn(text: string): Generator<Literal> {
  const rows = text.split("\n");
  for (let at = 0; at < rows.length; at++) {
    const line = at + 1;
    let instruction = rows[at] ?? "";
    while (/\\\s*$/.test(instruction) && at + 1 < rows.length && instruction.length < 65_536)
      instruction = `${instruction.replace(/\\\s*$/, " ")}${rows[++at]}`;
    const [, kind, rest = ""] = /^\s*(ENV|ARG)\s+(.*)$/i.exec(instruction) ?? [];
    if (kind === undefined) continue;
    const pairs = [...rest.matchAll(/([A-Za-z_]\w{0,200})=("(?:\\.|[^"\\])*"|'[^']*'|\S*)/g)];
    for (const [, name = "", value = ""] of pairs)
      if (!isReference(value)) yield { name, value: unquoted(value), line };
    const [, name, value = ""] = pairs.length > 0 ? [] : (/^([A-Za-z_]\w{0,200})\s+(\S.*)$/.exec(rest) ?? []);
    if (name !== undefined && kind.toUpperCase() === "ENV" && !isReference(value))
      yield { name, value: unquoted(value), line };
  }
}
