// What the embedded API server says when it refuses: the errors of a real one, as `Status` objects.
// Knows no kinds beyond the names it is given, and nothing of how they got there.
import type { JsonObject } from "./embedded-objects.ts";

/** Never repeats the value that is wrong: it may be a secret. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** What an error is about. */
interface Resource {
  readonly group: string;
  readonly plural: string;
}

export class ApiError extends Error {
  readonly code: number;
  /** The body of the answer. */
  readonly status: JsonObject;

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message);
    this.code = code;
    this.status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, details, code };
  }
}

function about(code: number, reason: string, { group, plural }: Resource, name: string, why: string): ApiError {
  const resource = group === "" ? plural : `${plural}.${group}`;
  return new ApiError(code, reason, `${resource} "${name}" ${why}`, { name, group, kind: plural });
}

export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);
export const unauthorized = (): ApiError => new ApiError(401, "Unauthorized", "Unauthorized");
export const forbidden = (resource: Resource, name: string, why: string): ApiError =>
  about(403, "Forbidden", resource, name, `is forbidden: ${why}`);
export const notFound = (resource: Resource, name: string): ApiError =>
  about(404, "NotFound", resource, name, "not found");
export const noSuchPath = (): ApiError =>
  new ApiError(404, "NotFound", "the server could not find the requested resource");
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
export const alreadyExists = (resource: Resource, name: string): ApiError =>
  about(409, "AlreadyExists", resource, name, "already exists");
export const conflict = (resource: Resource, name: string, why: string): ApiError =>
  about(409, "Conflict", resource, name, `cannot be changed: ${why}`);
export const expired = (message: string): ApiError => new ApiError(410, "Expired", message);

export function invalid({ group, kind }: { group: string; kind: string }, name: string, causes: Cause[]): ApiError {
  const said = causes.map(({ field, message }) => `${field}: ${message}`).join(", ");
  return new ApiError(422, "Invalid", `${kind} "${name}" is invalid: ${said}`, { name, group, kind, causes });
}

export const required = (field: string): Cause => ({ reason: "FieldValueRequired", message: "Required value", field });
export const invalidValue = (field: string, why: string): Cause => ({
  reason: "FieldValueInvalid",
  message: `Invalid value: ${why}`,
  field,
});
export const tooLong = (field: string, max: number): Cause => ({
  reason: "FieldValueTooLong",
  message: `Too long: may not be longer than ${max}`,
  field,
});
