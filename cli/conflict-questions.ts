// Asks a person what is to become of each conflict: one side's value, or a new one. Values are told apart by fingerprints, and
// shown only when asked for. Knows nothing of files.
import { type Decision, type MergeConflict, SealwardError } from "../src/index.ts";
import { fingerprints } from "./fingerprint.ts";
import type { Io } from "./io.ts";
import { printDone, safeJson, safeText } from "./report.ts";

export type SideName = "ours" | "theirs";

/** One letter for each answer; null where there is no terminal. @throws cancelled */
async function choose<T>(io: Io, question: string, answers: ReadonlyMap<string, T>): Promise<T | null> {
  if (!io.stdin.isTty) return null;
  for (;;) {
    const typed = (await io.ask(question)).trim().toLowerCase();
    const answer = answers.get(typed.slice(0, 1));
    if (answer !== undefined) return answer;
    // What ^C and ^D answer, or a person who has enough.
    if (/^[nq]/.test(typed)) throw new SealwardError("cancelled", "Cannot resolve the conflict: it was given up");
  }
}

/** @throws cancelled */
export function chooseSide(io: Io, question: string): Promise<SideName | null> {
  return choose(
    io,
    `${question} [o]urs, [t]heirs, [q]uit? `,
    new Map<string, SideName>([
      ["o", "ours"],
      ["t", "theirs"],
    ]),
  );
}

/** Decisions by name for all that was decided, asked one by one. @throws cancelled */
export async function decide(
  io: Io,
  conflicts: readonly MergeConflict[],
  stated: (name: string) => Decision | undefined,
): Promise<ReadonlyMap<string, Decision>> {
  const fingerprint = fingerprints();
  const decisions = new Map<string, Decision>();
  for (const conflict of conflicts) {
    const decision = stated(conflict.name) ?? (await ask(io, conflict, fingerprint));
    if (decision !== null) decisions.set(conflict.name, decision);
  }
  return decisions;
}

const wordsOf: ReadonlyMap<string, SideName | "edit" | "show"> = new Map([
  ["o", "ours"],
  ["t", "theirs"],
  ["e", "edit"],
  ["s", "show"],
]);

async function ask(
  io: Io,
  { name, base, ours, theirs }: MergeConflict,
  fingerprint: (value: Uint8Array) => string,
): Promise<Decision | null> {
  const versions = [
    ["before", base],
    ["ours", ours],
    ["theirs", theirs],
  ] as const;
  const described = versions.map(
    ([side, value]) => `${side} ${value === null ? "(not there)" : `#${fingerprint(value)}`}`,
  );
  if (io.stdin.isTty) await printDone(io, `${name}: ${described.join(", ")}`);
  for (;;) {
    const word = await choose(io, `${safeText(name)}: [o]urs, [t]heirs, [e]nter a value, [s]how, [q]uit? `, wordsOf);
    if (word === "show") {
      for (const [side, value] of versions)
        await printDone(io, `  ${side}: ${value === null ? "(not there)" : textOf(value)}`);
    } else if (word !== "edit") return word;
    else {
      const value = await io.askSecret(`New value of ${safeText(name)}: `);
      if (value !== null && value !== "") return { value: Buffer.from(value) };
    }
  }
}

function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  return Buffer.from(text).equals(bytes) ? safeJson(text) : `(${bytes.length} bytes that are no text)`;
}
