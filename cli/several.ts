// One command over several files: a few at once, so that the disk is waited for and not idle, each finished or failed for
// itself.
import { SealwardError } from "../src/index.ts";
import type { Progress } from "./progress.ts";

/** As many as calls to a key service may be under way. */
const atOnce = 16;

/**
 * Runs `work` for each file; where some fail, the others are still done, and the first failure is thrown. Its message says how
 * many there were.
 */
export async function eachOf(
  files: readonly string[],
  work: (file: string) => Promise<void>,
  progress?: Progress,
): Promise<void> {
  const failures: unknown[] = [];
  const queue = files.values();
  const worker = async (): Promise<void> => {
    for (const file of queue) {
      try {
        await work(file);
      } catch (problem) {
        failures.push(problem);
      }
      await progress?.step();
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, files.length) }, worker));
  await progress?.end();
  const [first] = failures;
  if (first === undefined) return;
  if (failures.length === 1 || !(first instanceof SealwardError)) throw first;
  first.message = `${first.message}; ${failures.length} of ${files.length} files were left as they were`;
  throw first;
}
