// What can go wrong between us and the API server, as a small union. The mapping looks at the HTTP status and the
// machine-readable reason only, never at message text; and no server text is kept, because a message about a Secret
// may quote its values.

export type ClusterErrorKind =
  | "conflict"
  | "already-exists"
  | "gone"
  | "not-found"
  | "forbidden"
  | "unauthorized"
  | "invalid"
  | "throttled"
  | "unreachable"
  | "unexpected";

/** One field that the API server refused: where and which rule, without the value. */
export interface Cause {
  readonly field: string;
  readonly reason: string;
}

export class ClusterError extends Error {
  override readonly name: string = "ClusterError";
  readonly kind: ClusterErrorKind;
  readonly causes: readonly Cause[];
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: ClusterErrorKind,
    message: string,
    options: { readonly causes?: readonly Cause[]; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message);
    this.kind = kind;
    this.causes = options.causes ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

export const isClusterError = (error: unknown, kind?: ClusterErrorKind): error is ClusterError =>
  error instanceof ClusterError && (kind === undefined || error.kind === kind);

/** Maps an answer that is not a success. `what` names the request (method and path), never its body. */
export function toClusterError(httpStatus: number, status: unknown, what: string, retryAfter?: string): ClusterError {
  const { reason, details } = readStatus(status);
  const seconds = Number(retryAfter);
  return new ClusterError(kindOf(httpStatus, reason), `The API server answered ${httpStatus} to ${what}`, {
    causes: readCauses(details),
    retryAfterMs: retryAfter !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined,
  });
}

const kinds: ReadonlyMap<number, ClusterErrorKind> = new Map([
  [400, "invalid"],
  [401, "unauthorized"],
  [403, "forbidden"],
  [404, "not-found"],
  [409, "conflict"],
  [410, "gone"],
  [413, "invalid"],
  [422, "invalid"],
  [429, "throttled"],
]);

function kindOf(httpStatus: number, reason: string | undefined): ClusterErrorKind {
  if (reason === "AlreadyExists") return "already-exists";
  return kinds.get(httpStatus) ?? (httpStatus >= 500 ? "unreachable" : "unexpected");
}

function readStatus(status: unknown): { reason?: string; details?: unknown } {
  if (typeof status !== "object" || status === null) return {};
  const { reason, details } = status as { reason?: unknown; details?: unknown };
  return typeof reason === "string" ? { reason, details } : { details };
}

function readCauses(details: unknown): Cause[] {
  const causes = typeof details === "object" && details !== null ? (details as { causes?: unknown }).causes : undefined;
  if (!Array.isArray(causes)) return [];
  return causes.slice(0, 5).flatMap((cause: unknown) => {
    const { field, reason } = (cause ?? {}) as { field?: unknown; reason?: unknown };
    return typeof field === "string" && typeof reason === "string" ? [{ field: field.slice(0, 200), reason }] : [];
  });
}
