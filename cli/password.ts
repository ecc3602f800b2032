// Makes passwords by a policy. Knows nothing of where they go.
import { randomInt } from "node:crypto";
import { UsageError } from "./report.ts";

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const alphabets: ReadonlyMap<string, string> = new Map([
  ["letters", letters],
  ["lower", letters.slice(26)],
  ["upper", letters.slice(0, 26)],
  ["digits", "0123456789"],
  // None that a shell, a URL or YAML in quotes takes for something else.
  ["symbols", "-_.~+=,@%^"],
  ["hex", "0123456789abcdef"],
]);

const usualLength = 32;
const maxLength = 4096;
/** Below this, a guess at a stolen hash is a matter of money. */
const leastBits = 80;

/**
 * A password: each character drawn evenly from the alphabet of the policy, and at least one from each of its parts. A policy
 * is a list with commas of `length=N` and the names of alphabets (letters, lower, upper, digits, symbols, hex); the empty one
 * means 32 letters and digits. @throws usage for a policy that is none, or that makes weak passwords
 */
export function generatePassword(policy: string): string {
  const { length, parts } = parsePolicy(policy);
  const alphabet = [...new Set(parts.join(""))].join("");
  if (length * Math.log2(alphabet.length) < leastBits)
    throw new UsageError(
      `Cannot generate a password by "${policy}": it would have less than ${leastBits} bits`,
      "make it longer, or of more kinds of characters: `--generate length=32,letters,digits`",
    );
  // Drawn again until it has one of each kind, so that every password that does is as likely as any other.
  for (;;) {
    const password = Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join("");
    if (parts.every((part) => [...part].some((character) => password.includes(character)))) return password;
  }
}

function parsePolicy(policy: string): { readonly length: number; readonly parts: readonly string[] } {
  let length = usualLength;
  const parts: string[] = [];
  for (const word of policy.split(",").filter((part) => part !== "")) {
    const [, digits] = /^length=(\d{1,4})$/.exec(word) ?? [];
    const alphabet = alphabets.get(word);
    if (digits !== undefined && Number(digits) <= maxLength) length = Number(digits);
    else if (alphabet !== undefined) parts.push(alphabet);
    else
      throw new UsageError(
        "Cannot generate a password: the policy cannot be read",
        `write it as \`length=N\` and ${[...alphabets.keys()].join(", ")}, with commas between`,
      );
  }
  return { length, parts: parts.length > 0 ? parts : [letters, "0123456789"] };
}
