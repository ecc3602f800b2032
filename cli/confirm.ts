// Asks a person whether to go on. Knows neither what is asked about nor what a yes will do.
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
