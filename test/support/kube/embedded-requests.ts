// What a request to the embedded API server asks for, by its path, method, query and headers, read without looking at any
// object. Knows no kinds and no permissions.
import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import { isObject, type JsonObject } from "./embedded-objects.ts";
import { selectedName } from "./embedded-selectors.ts";
import { ApiError, badRequest, methodNotAllowed } from "./embedded-status.ts";

/** What a permission is asked about; "" where the path names none. */
export interface Access {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  /** A namespace counts as in itself, as in RBAC. */
  readonly namespace: string;
  /** Of a list, the one name that its field selector asks for. */
  readonly name: string;
}

const maxBodyBytes = 3 * 1024 * 1024;
const ofNamespace = ["status", "finalize"];

/** undefined for every path that is not about objects. */
export function accessOf(method: string, { pathname, searchParams }: URL): (Access & { pathName: string }) | undefined {
  const [root, ...segments] = pathname.split("/").slice(1).map(decodeURIComponent);
  if (root !== "api" && root !== "apis") return undefined;
  const [group = "", version = "", ...rest] = root === "api" ? ["", ...segments] : segments;
  const [first = "", second = "", third = "", ...deeper] = rest;
  if (first === "") return undefined;
  const inside = first === "namespaces" && third !== "" && !(deeper.length === 0 && ofNamespace.includes(third));
  const [resource, pathName = "", subresource = ""] = inside ? [third, ...deeper] : [first, second, third];
  const namespace = first === "namespaces" ? second : "";
  const verb = verbOf(method, pathName, searchParams);
  const name = pathName || (selectedName(searchParams.get("fieldSelector") ?? "") ?? "");
  return { verb, group, version, resource, subresource, namespace, name, pathName };
}

export const isSet = (query: URLSearchParams, name: string): boolean => ["true", "1"].includes(query.get(name) ?? "");

function verbOf(method: string, name: string, query: URLSearchParams): string {
  if (method === "GET" || method === "HEAD") {
    if (isSet(query, "watch")) return "watch";
    return name === "" ? "list" : "get";
  }
  const onCollection = { POST: "create", DELETE: "deletecollection" };
  const onObject = { PUT: "update", PATCH: "patch", DELETE: "delete", POST: "create" };
  const verb = Object.entries(name === "" ? onCollection : onObject).find(([key]) => key === method)?.[1];
  if (verb === undefined) throw methodNotAllowed();
  return verb;
}

export const managerOf = ({ headers }: IncomingMessage, query: URLSearchParams): string =>
  query.get("fieldManager") ?? (headers["user-agent"] ?? "unknown").split("/")[0] ?? "";

async function textOfBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  if (size <= maxBodyBytes) return Buffer.concat(chunks).toString();
  throw new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${maxBodyBytes}`);
}

/** The object in the body; undefined where there is no body. */
export async function bodyOf(request: IncomingMessage): Promise<JsonObject | undefined> {
  const text = await textOfBody(request);
  if (text === "") return undefined;
  try {
    const yaml = (request.headers["content-type"] ?? "").includes("yaml") && !text.startsWith("{");
    const body: unknown = yaml ? parse(text) : JSON.parse(text);
    if (isObject(body)) return body;
  } catch {
    // The parser's message would repeat the body.
  }
  throw badRequest("the body of the request is not an object in JSON or YAML");
}
