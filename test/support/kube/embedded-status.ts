// What the embedded API server says when it refuses: the errors of a real one, as `Status` objects.
// Knows no kinds beyond the names it is given, and nothing of how they got there.
import type { JsonObject } from "./embedded-objects.ts";

export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** The name by which most errors speak of a resource. */
interface Resource {
  readonly group: string;
  readonly plural: string;
}

export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: JsonObject | undefined;

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toStatus(): JsonObject {
    const { code, reason, message, details } = this;
    return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, details, code };
  }
}

const qualified = (name: string, group: string): string => (group === "" ? name : `${name}.${group}`);
const detailsOf = (kind: string, group: string, name: string): JsonObject => ({
  ...(name === "" ? {} : { name }),
  ...(group === "" ? {} : { group }),
  kind,
});
const aboutResource = (
  code: number,
  reason: string,
  { group, plural }: Resource,
  name: string,
  says: (subject: string) => string,
): ApiError => {
  const subject = name === "" ? qualified(plural, group) : `${qualified(plural, group)} "${name}"`;
  return new ApiError(code, reason, says(subject), detailsOf(plural, group, name));
};

export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);
export const unauthorized = (): ApiError => new ApiError(401, "Unauthorized", "Unauthorized");

export function forbidden(resource: Resource, name: string, why: string, causes?: readonly Cause[]): ApiError {
  const { code, reason, message, details } = aboutResource(
    403,
    "Forbidden",
    resource,
    name,
    (it) => `${it} is forbidden: ${why}`,
  );
  return new ApiError(code, reason, message, { ...details, causes });
}

export const notFound = (resource: Resource, name: string): ApiError =>
  aboutResource(404, "NotFound", resource, name, (it) => `${it} not found`);
export const noSuchPath = (): ApiError =>
  new ApiError(404, "NotFound", "the server could not find the requested resource");
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
export const alreadyExists = (resource: Resource, name: string): ApiError =>
  aboutResource(409, "AlreadyExists", resource, name, (it) => `${it} already exists`);
export const conflict = (resource: Resource, name: string, why: string): ApiError =>
  aboutResource(409, "Conflict", resource, name, (it) => `Operation cannot be fulfilled on ${it}: ${why}`);
export const expired = (message: string): ApiError => new ApiError(410, "Expired", message);

export function invalid(
  { group, kind }: { group: string; kind: string },
  name: string,
  causes: readonly Cause[],
): ApiError {
  const said = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const list = said.length === 1 ? said[0] : `[${said.join(", ")}]`;
  const details = { ...detailsOf(kind, group, name), causes };
  return new ApiError(422, "Invalid", `${qualified(kind, group)} "${name}" is invalid: ${list}`, details);
}

export const required = (field: string): Cause => ({ reason: "FieldValueRequired", message: "Required value", field });
/** The value itself is never repeated: it may be a secret. */
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
export const forbiddenField = (field: string, why: string): Cause => ({
  reason: "FieldValueForbidden",
  message: `Forbidden: ${why}`,
  field,
});
