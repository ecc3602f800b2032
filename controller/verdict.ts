// What the controller does after a refusal: try again by itself (with a back-off), or wait until the world changes (the
// BoundSecret, its Environment, a key Secret or a namespace's labels) or the slow resync comes round.
import type { ErrorCode } from "../src/index.ts";

export type Verdict = "retry" | "terminal";

/**
 * Exhaustive: a new code does not compile until it is answered here. `retry` is for what can end without anything we
 * watch having changed: a key service, or a Secret of a tenant, which the controller may not watch.
 */
export const verdicts: Readonly<Record<ErrorCode, Verdict>> = {
  "not-utf8": "terminal",
  "not-yaml": "terminal",
  "too-large": "terminal",
  "too-deep": "terminal",
  "duplicate-key": "terminal",
  "several-documents": "terminal",
  "not-a-secret": "terminal",
  "shape-invalid": "terminal",
  "secret-type-forbidden": "terminal",
  "already-sealed": "terminal",
  "not-sealed": "terminal",
  "clear-leak": "terminal",
  "namespace-missing": "terminal",
  "config-missing": "terminal",
  "config-invalid": "terminal",
  "environment-undefined": "terminal",
  "environment-unknown": "terminal",
  "environment-mismatch": "terminal",
  "scope-not-allowed": "terminal",
  "target-mismatch": "terminal",
  "recipient-foreign": "terminal",
  "recipient-missing": "terminal",
  "recipient-invalid": "terminal",
  "identity-invalid": "terminal",
  "identity-missing": "terminal",
  "identity-unmatched": "terminal",
  "key-unreachable": "retry",
  unbound: "terminal",
  "binding-mismatch": "terminal",
  "not-authentic": "terminal",
  "sops-metadata-invalid": "terminal",
  "sops-unsupported": "terminal",
  "file-missing": "terminal",
  "file-unreadable": "terminal",
  "file-unwritable": "terminal",
  "file-exists": "terminal",
  "editor-failed": "terminal",
  cancelled: "terminal",
  usage: "terminal",
  "check-failed": "terminal",
  "namespace-ungoverned": "terminal",
  "namespace-contested": "terminal",
  "namespace-protected": "terminal",
  "environment-invalid": "terminal",
  "secret-not-owned": "retry",
  "secret-rejected": "retry",
};
