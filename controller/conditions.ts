// Outcomes as conditions. Pure: an outcome, the conditions there were and the time go in, the conditions to write come
// out. Reasons are the error codes in CamelCase, stable like them; messages are for a person to act on.
import type { ErrorCode } from "../src/index.ts";
import type { ClusterErrorKind } from "./cluster-error.ts";
import type { Condition } from "./resources.ts";

export type Outcome =
  | {
      readonly kind: "applied";
      readonly target: string;
      readonly environment: string;
      readonly digest: string;
      readonly notices: readonly string[];
    }
  | {
      readonly kind: "refused";
      readonly code: ErrorCode;
      readonly message: string;
      /** The Environment that governs the namespace, as far as that was found out. */
      readonly environment: string | undefined;
    }
  /** The document opened, but the API server did not let us write the Secret. */
  | {
      readonly kind: "hindered";
      readonly cluster: ClusterErrorKind;
      readonly message: string;
      readonly environment: string;
    };

/** A condition before it is compared with what was there. */
export type Finding = Pick<Condition, "type" | "status" | "reason" | "message">;

type Stage = "document" | "environment" | "opening" | "writing";

/** Where a refusal belongs. Exhaustive: a new code does not compile until it is answered here. */
const stages: Readonly<Record<ErrorCode, Stage>> = {
  "not-utf8": "document",
  "not-yaml": "document",
  "not-json": "document",
  "not-dotenv": "document",
  "not-ini": "document",
  "too-large": "document",
  "too-deep": "document",
  "duplicate-key": "document",
  "several-documents": "document",
  "path-missing": "document",
  "not-a-secret": "document",
  "shape-invalid": "document",
  "secret-type-forbidden": "document",
  "already-sealed": "document",
  "not-sealed": "document",
  "merge-conflict": "document",
  "clear-leak": "document",
  "nothing-selected": "document",
  "pattern-invalid": "document",
  "namespace-missing": "document",
  "config-missing": "environment",
  "config-invalid": "environment",
  "rule-missing": "environment",
  "environment-undefined": "environment",
  "environment-unknown": "environment",
  "environment-mismatch": "environment",
  "scope-not-allowed": "opening",
  "target-mismatch": "opening",
  "recipient-foreign": "opening",
  "recipient-missing": "opening",
  "recipient-expired": "opening",
  "recipient-invalid": "opening",
  "recipients-unnamed": "opening",
  "recipient-unsupported": "opening",
  "identity-invalid": "opening",
  "identity-missing": "opening",
  "identity-unmatched": "opening",
  "context-mismatch": "opening",
  "credentials-missing": "opening",
  "key-refused": "opening",
  "key-unreachable": "opening",
  unbound: "document",
  "binding-mismatch": "opening",
  "not-authentic": "opening",
  "sops-metadata-invalid": "document",
  "sops-unsupported": "document",
  "file-missing": "document",
  "file-unreadable": "document",
  "file-unwritable": "document",
  "file-exists": "document",
  "editor-failed": "document",
  "git-failed": "document",
  "value-shared": "document",
  cancelled: "document",
  usage: "document",
  "check-failed": "document",
  "namespace-ungoverned": "environment",
  "namespace-contested": "environment",
  "namespace-protected": "environment",
  "environment-invalid": "environment",
  "secret-not-owned": "writing",
  "secret-rejected": "writing",
};

const maxMessageLength = 4096;

/** `environment-mismatch` → `EnvironmentMismatch`. */
export function reasonOf(code: string): string {
  return code.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The four conditions of a BoundSecret, in the order in which they are found out. */
export function findings(outcome: Outcome): Finding[] {
  switch (outcome.kind) {
    case "applied": {
      const message = `Opened for environment "${outcome.environment}" and applied as Secret ${outcome.target}`;
      const opened = ["Every value opened and the binding agrees", ...outcome.notices].join("; ");
      return [
        matched(outcome.environment),
        yes("Verified", "Opened", opened),
        yes("Synced", "Applied", message),
        yes("Ready", "Applied", message),
      ];
    }
    case "hindered": {
      const reason = `Cluster${reasonOf(outcome.cluster)}`;
      return [
        matched(outcome.environment),
        yes("Verified", "Opened", "Every value opened and the binding agrees"),
        no("Synced", reason, outcome.message),
        no("Ready", reason, outcome.message),
      ];
    }
    case "refused":
      return refusal(outcome.code, outcome.message, outcome.environment);
  }
}

function refusal(code: ErrorCode, message: string, environment: string | undefined): Finding[] {
  const reason = reasonOf(code);
  const stage = stages[code];
  const unwritten = `Nothing was written, and a Secret that was there before is as it was: ${message}`;
  const ends: Finding[] = [
    no("Synced", reason, stage === "writing" ? message : unwritten),
    no("Ready", reason, message),
  ];
  switch (stage) {
    case "environment":
      return [no("EnvironmentMatched", reason, message), notReached("Verified"), ...ends];
    case "document":
      return [notReached("EnvironmentMatched"), no("Verified", reason, message), ...ends];
    case "opening":
      return [claimed(environment), no("Verified", reason, message), ...ends];
    case "writing":
      return [
        matched(environment ?? ""),
        yes("Verified", "Opened", "Every value opened and the binding agrees"),
        ...ends,
      ];
  }
}

const yes = (type: string, reason: string, message: string): Finding => ({ type, status: "True", reason, message });
const no = (type: string, reason: string, message: string): Finding => ({ type, status: "False", reason, message });
const matched = (environment: string): Finding =>
  yes(
    "EnvironmentMatched",
    "Matched",
    `The document and Environment "${environment}", which governs this namespace, agree`,
  );
/** Until the binding is open, the environment of a document is only what the document says about itself. */
const claimed = (environment = ""): Finding => ({
  type: "EnvironmentMatched",
  status: "Unknown",
  reason: "NotConfirmed",
  message: `The document claims Environment "${environment}", which governs this namespace; its binding has not confirmed it`,
});
const notReached = (type: string): Finding => ({
  type,
  status: "Unknown",
  reason: "NotReached",
  message: "An earlier step failed first",
});

export interface ConditionContext {
  readonly previous: readonly Condition[];
  readonly generation: number;
  readonly now: Date;
}

/**
 * Findings as full conditions. `lastTransitionTime` moves only with `status`; conditions of other types, which others
 * may have set, are kept.
 */
export function toConditions(found: readonly Finding[], { previous, generation, now }: ConditionContext): Condition[] {
  const kept = previous.filter(({ type }) => !found.some((finding) => finding.type === type));
  const ours = found.map((finding): Condition => {
    const before = previous.find(({ type }) => type === finding.type);
    const lastTransitionTime = before?.status === finding.status ? before.lastTransitionTime : secondsOf(now);
    const message = printable(finding.message);
    return { ...finding, message, lastTransitionTime, observedGeneration: generation };
  });
  return [...kept, ...ours];
}

/** A time as Kubernetes writes it. */
export function secondsOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}

/** What a document claims may stand in a message, and messages are read on terminals: nothing there steers one. */
function printable(text: string): string {
  const escaped = text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
  if (escaped.length <= maxMessageLength) return escaped;
  // Half of a character would come back from the API server as another one, and be written anew with each pass.
  return `${escaped.slice(0, maxMessageLength - 1).replace(/\p{Cs}$/u, "")}…`;
}
