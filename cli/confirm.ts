// Asks a person whether to go on. Knows neither what is asked about nor what a yes will do.
import { SealwardError } from "../src/index.ts";
import type { Io } from "./io.ts";
import { UsageError } from "./report.ts";

/**
 * True for a yes, or at once where `--yes` was given. Everything else is a no, nothing typed and ^C included.
 * @throws usage where there is no terminal to ask at and no `--yes`
 */
export async function confirm(io: Io, question: string): Promise<boolean> {
  if (io.assumeYes) return true;
  if (!io.stdin.isTty || !io.stderr.isTty)
    throw new UsageError(
      `Cannot ask at a terminal, for there is none: ${question}`,
      "answer beforehand with --yes, if that is what you want",
    );
  const answer = await io.ask(`${question} [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}

/** Returns where the answer is yes. @throws cancelled; usage as {@link confirm} */
export async function assertConfirmed(io: Io, question: string): Promise<void> {
  if (!(await confirm(io, question))) throw new SealwardError("cancelled", "Cannot go on: the answer was no");
}
