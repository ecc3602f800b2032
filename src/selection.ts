// Which values and comments of a file are encrypted: SOPS' six rules, with Go's RE2 meaning. A pattern that does not
// compile is refused: SOPS takes it for one that matches nothing, and leaves the file in the clear.
import { SealwardError } from "./errors.ts";

export const selectionRules = [
  "unencrypted_suffix",
  "encrypted_suffix",
  "unencrypted_regex",
  "encrypted_regex",
  "unencrypted_comment_regex",
  "encrypted_comment_regex",
] as const;

export interface SelectionRule {
  readonly name: (typeof selectionRules)[number];
  readonly pattern: string;
}

/** What SOPS applies, and writes down, where a file has no rule. */
export const defaultRule: SelectionRule = { name: "unencrypted_suffix", pattern: "_unencrypted" };

/** A compiled rule. What matches is encrypted or left in the clear, everything else the other way round. */
export interface Selection {
  /** What is asked: every component of a path, or every comment that governs a value. */
  readonly asks: "key" | "comment";
  readonly matches: (text: string) => boolean;
  readonly encryptsMatches: boolean;
}

/** @throws pattern-invalid */
export async function compileSelection(rule: SelectionRule | null, file?: string): Promise<Selection> {
  const { name, pattern } = rule ?? defaultRule;
  return {
    asks: name.includes("comment") ? "comment" : "key",
    matches: name.endsWith("suffix")
      ? (component) => component.endsWith(pattern)
      : await compilePattern(pattern, `The selection pattern ${name}`, file),
    encryptsMatches: name.startsWith("encrypted"),
  };
}

const alternation = /^\^\(?((?:[\w/-]|\\\.)+(?:\|(?:[\w/-]|\\\.)+)*)\)?\$$/;

/**
 * An unanchored search as Go does it. `^(a|b)$` over literal names, which is what manifests use, is compared as text;
 * everything else goes through RE2. @throws pattern-invalid; `what` is for the message
 */
export async function compilePattern(pattern: string, what: string, file?: string): Promise<(text: string) => boolean> {
  const literal = pattern.includes("|") !== pattern.includes("(") ? null : alternation.exec(pattern);
  if (literal !== null) {
    const names = new Set((literal[1] ?? "").split("|").map((part) => part.replaceAll("\\.", ".")));
    return (text) => names.has(text);
  }
  const { RE2JS } = await import("re2js");
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).find();
  } catch {
    throw new SealwardError("pattern-invalid", `${what} is not a valid RE2 expression`, { file });
  }
}
