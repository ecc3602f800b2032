// What `seal check` found, as data. Says nothing about how it is shown.
import type { ErrorCode, SealwardError } from "../../src/index.ts";

export const checkOutputs = ["text", "json", "sarif", "github"] as const;
export type CheckOutput = (typeof checkOutputs)[number];

export interface Finding {
  /** From the working folder, with "/" between its parts. */
  readonly file: string;
  readonly environment?: string | undefined;
  /** `ok` and `warning` fail no check; a warning does with --strict. */
  readonly status: "ok" | "refused" | "unsealed" | "warning";
  readonly code?: ErrorCode | undefined;
  readonly message?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

export const isProblem = ({ status }: Finding): boolean => status !== "ok";
export const isError = ({ status }: Finding): boolean => status === "refused" || status === "unsealed";

export function refusal(file: string, { code, message, line, column }: SealwardError, lineOffset: number = 0): Finding {
  return {
    file,
    status: "refused",
    code,
    message,
    ...(line === undefined ? {} : { line: line + lineOffset }),
    ...(column === undefined ? {} : { column }),
  };
}
