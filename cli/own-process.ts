// Marks what a process of ours makes for a moment, so that a later one can tell what a killed one left behind. Knows nothing of
// what is marked.
import { readlinkSync } from "node:fs";
import { kill, pid } from "node:process";

/** Process numbers mean something among processes that see each other, and containers may share a folder. */
const namespace = ((): string => {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0";
  }
})();

/** Stands in names of what this process makes. */
export const processMark: string = `${namespace}-${pid}`;

/** The mark of some process of ours, to be put into a pattern; its one group is for {@link isLeft}. */
export const anyMark: string = `${namespace}-(\\d{1,10})`;

/** Whether the process with this number is gone, and what it made was left behind. */
export function isLeft(number: string | undefined): boolean {
  if (number === undefined) return false;
  try {
    kill(Number(number), 0);
    return false;
  } catch (problem) {
    return (problem as NodeJS.ErrnoException).code === "ESRCH";
  }
}
