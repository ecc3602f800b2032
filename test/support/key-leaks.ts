// Whether any part of a secret key can be read in a text: for messages, stacks and printed objects.
import { inspect } from "node:util";
import { expect } from "vitest";

/** Every 8-character piece of the secret part of a key: of a Bech32 line, or of the Base64 in a PEM file. */
function piecesOf(key: string): string[] {
  const secret = key
    .replaceAll(/-----.*-----/g, "")
    .replaceAll(/\s/g, "")
    .replace(/^AGE-SECRET-KEY-(?:PQ-)?1/i, "")
    // What every OpenSSH file starts with is no secret.
    .replace(/^b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/]{40}/, "");
  return Array.from({ length: secret.length - 7 }, (_, start) => secret.slice(start, start + 8).toLowerCase());
}

export function expectNothingOf(key: string, text: string): void {
  const lower = text.toLowerCase();
  expect(piecesOf(key).filter((piece) => lower.includes(piece))).toEqual([]);
}

/** Nothing of the key in whatever an error can be printed as. */
export function expectNothingIn(error: Error, key: string): void {
  const forms = [error.message, String(error.stack), inspect(error, { depth: 9, showHidden: true })];
  for (const text of [...forms, JSON.stringify(error)]) expectNothingOf(key, text);
  expect(error.cause).toBeUndefined();
}
