// What the embedded API server says when it refuses: the errors of a real one, as `Status` objects.
// Knows no kinds beyond the names it is given, and nothing of how they got there.
import type { JsonObject } from "./embedded-objects.ts";

export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** The names by which an error speaks of a resource. */
export interface Resource {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: JsonObject;

  constructor(code: number, reason: string, message: string, details: JsonObject = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toStatus(): JsonObject {
    const details = Object.keys(this.details).length === 0 ? {} : { details: this.details };
    const { code, reason, message } = this;
    return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, ...details, code };
  }
}

const qualified = (name: string, group: string): string => (group === "" ? name : `${name}.${group}`);
const resourceDetails = ({ group, plural }: Resource, name: string): JsonObject => ({
  name,
  ...(group === "" ? {} : { group }),
  kind: plural,
});

export function badRequest(message: string): ApiError {
  return new ApiError(400, "BadRequest", message);
}

export function unauthorized(): ApiError {
  return new ApiError(401, "Unauthorized", "Unauthorized");
}

export function forbidden(resource: Resource, name: string, why: string, causes: readonly Cause[] = []): ApiError {
  const subject = `${qualified(resource.plural, resource.group)}${name === "" ? "" : ` "${name}"`}`;
  const details = { ...resourceDetails(resource, name), ...(causes.length === 0 ? {} : { causes }) };
  return new ApiError(403, "Forbidden", `${subject} is forbidden: ${why}`, details);
}

export function notFound(resource: Resource, name: string): ApiError {
  const message = `${qualified(resource.plural, resource.group)} "${name}" not found`;
  return new ApiError(404, "NotFound", message, resourceDetails(resource, name));
}

export function noSuchPath(): ApiError {
  return new ApiError(404, "NotFound", "the server could not find the requested resource");
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

export function alreadyExists(resource: Resource, name: string): ApiError {
  const message = `${qualified(resource.plural, resource.group)} "${name}" already exists`;
  return new ApiError(409, "AlreadyExists", message, resourceDetails(resource, name));
}

export function conflict(resource: Resource, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource.plural, resource.group)} "${name}": ${why}`;
  return new ApiError(409, "Conflict", message, resourceDetails(resource, name));
}

export const modifiedMeanwhile: string =
  "the object has been modified; please apply your changes to the latest version and try again";

export function expired(message: string): ApiError {
  return new ApiError(410, "Expired", message);
}

export function unsupportedMediaType(offered: string, accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format (${offered}) - accepted media types include: ${accepted.join(", ")}`;
  return new ApiError(415, "UnsupportedMediaType", message);
}

export function invalid(
  { group, kind }: { group: string; kind: string },
  name: string,
  causes: readonly Cause[],
): ApiError {
  const said = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const list = said.length === 1 ? said[0] : `[${said.join(", ")}]`;
  const details = { name, ...(group === "" ? {} : { group }), kind, causes };
  return new ApiError(422, "Invalid", `${qualified(kind, group)} "${name}" is invalid: ${list}`, details);
}

export const required = (field: string, why = ""): Cause => ({
  reason: "FieldValueRequired",
  message: why === "" ? "Required value" : `Required value: ${why}`,
  field,
});

/** The value itself is never repeated: it may be a secret. */
export const invalidValue = (field: string, why: string): Cause => ({
  reason: "FieldValueInvalid",
  message: `Invalid value: ${why}`,
  field,
});
