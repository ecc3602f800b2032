// The one error class and its stable codes. A code says what happened; what to do about it is for each front end to say
// (cli/report.ts: exit code and hint; controller/verdict.ts: retry or terminal), both exhaustively.
// Messages name both sides and never carry plaintext, keys or text quoted from a file's values.

/** Every code, in the order of docs/errors.md. Codes are public: stable, documented, never reused. */
export const errorCodes = [
  // reading a file
  "not-utf8",
  "not-yaml",
  "not-json",
  "not-dotenv",
  "not-ini",
  "too-large",
  "too-deep",
  "duplicate-key",
  "several-documents",
  "merge-conflict",
  "path-missing",
  // the shape of a Secret manifest
  "not-a-secret",
  "shape-invalid",
  "secret-type-forbidden",
  "already-sealed",
  "not-sealed",
  "clear-leak",
  "nothing-selected",
  "pattern-invalid",
  "namespace-missing",
  // seal.yaml and environments
  "config-missing",
  "config-invalid",
  "rule-missing",
  "environment-undefined",
  "environment-unknown",
  "environment-mismatch",
  "scope-not-allowed",
  "target-mismatch",
  // recipients and identities
  "recipient-foreign",
  "recipient-missing",
  "recipient-expired",
  "recipient-invalid",
  "recipients-unnamed",
  "recipient-unsupported",
  "identity-invalid",
  "identity-missing",
  "identity-unmatched",
  "context-mismatch",
  "credentials-missing",
  "key-refused",
  "key-unreachable",
  // opening
  "unbound",
  "binding-mismatch",
  "not-authentic",
  "sops-metadata-invalid",
  "sops-unsupported",
  // the CLI's surroundings
  "file-missing",
  "file-unreadable",
  "file-unwritable",
  "file-exists",
  "editor-failed",
  "git-failed",
  "cancelled",
  "usage",
  "value-shared",
  "check-failed",
  // the cluster's surroundings
  "namespace-ungoverned",
  "namespace-contested",
  "namespace-protected",
  "environment-invalid",
  "secret-not-owned",
  "secret-rejected",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** Where in a file something was found. Lines and columns start at 1. */
export interface Place {
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

/** Any refusal or failure of Sealward. `TypeError` and `RangeError` stay for a caller's own mistakes. */
export class SealwardError extends Error {
  override readonly name: string = "SealwardError";
  readonly code: ErrorCode;
  readonly file: string | undefined;
  readonly line: number | undefined;
  readonly column: number | undefined;

  constructor(code: ErrorCode, message: string, options: Place & { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.file = options.file;
    this.line = options.line;
    this.column = options.column;
  }
}

const printable = /^[A-Za-z0-9](?:[A-Za-z0-9._/@-]{0,61}[A-Za-z0-9])?$/;

/**
 * A name from a file, in quotes, if it looks like a name. Anything else may be a value that a missing blank or indentation
 * has put where a name belongs, or may be meant for the terminal, and is not repeated.
 */
export function quoteName(name: string | undefined): string {
  if (name === undefined) return "(none)";
  return printable.test(name) && !/^AGE-/i.test(name) ? JSON.stringify(name) : "(a text that is no name)";
}
