// The outcome of a command that stands in for another program: its exit code, which says nothing about ours.
import type { SealwardError } from "../src/index.ts";

export class ExitWith extends Error {
  readonly code: number;
  /** What is to be said as well, if anything. */
  readonly problem: SealwardError | undefined;

  constructor(code: number, problem?: SealwardError) {
    super(`ends with ${code}`);
    this.code = code;
    this.problem = problem;
  }
}
