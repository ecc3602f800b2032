// Asks before something that cannot be undone, or that a person should look at first.
import { SealwardError } from "../src/index.ts";
import type { Io } from "./io.ts";
import { UsageError } from "./report.ts";

/** Returns where the answer is yes. @throws cancelled; usage where there is no terminal to ask at, and no `--yes` */
export async function confirm(io: Io, question: string): Promise<void> {
  if (io.assumesYes) return;
  if (!io.stdin.isTty)
    throw new UsageError(`Cannot go on without an answer: ${question}`, "add `--yes` where nobody can be asked");
  const answer = await io.ask(`${question} [y/N] `);
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new SealwardError("cancelled", "Cannot go on: the answer was no");
}
