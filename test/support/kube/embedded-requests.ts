// What a request to the embedded API server asks for, by its path, method and body, read without looking at any object.
// Knows no kinds and no permissions.
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { isObject, type JsonObject } from "./embedded-objects.ts";
import { badRequest, methodNotAllowed, noSuchPath } from "./embedded-status.ts";

/** What a permission is asked about; "" where the path names none. */
export interface Access {
  readonly verb: string;
  readonly group: string;
  readonly apiVersion: string;
  readonly resource: string;
  readonly subresource: string;
  /** A namespace counts as in itself, as in RBAC. */
  readonly namespace: string;
  readonly name: string;
}

/** Throws the 404 of every path that is not about objects. */
export function accessOf(method: string, { pathname, searchParams }: URL): Access {
  const [root = "", ...segments] = pathname.split("/").slice(1).map(decodeURIComponent);
  const [group, version, ...rest] = root === "api" ? ["", ...segments] : segments;
  const [first, second = "", third, ...deeper] = rest;
  if (!["api", "apis"].includes(root) || group === undefined || first === undefined) throw noSuchPath();
  const isInside = first === "namespaces" && third !== undefined && third !== "status";
  const [resource, name = "", subresource = ""] = isInside ? [third, ...deeper] : [first, second, third];
  const namespace = first === "namespaces" ? second : "";
  const apiVersion = group === "" ? `${version}` : `${group}/${version}`;
  return { verb: verbOf(method, name, searchParams), group, apiVersion, resource, subresource, namespace, name };
}

export const isSet = (query: URLSearchParams, name: string): boolean => ["true", "1"].includes(query.get(name) ?? "");

function verbOf(method: string, name: string, query: URLSearchParams): string {
  if (method === "GET") {
    if (isSet(query, "watch")) return "watch";
    return name === "" ? "list" : "get";
  }
  // Not all of these are answered, but a permission is asked for before that is found out.
  const verbs: Readonly<Record<string, string>> = { POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };
  const verb = verbs[method];
  if (verb === undefined) throw methodNotAllowed();
  return verb;
}

/** The object in the body; undefined where there is no body. JSON only, which YAML includes. */
export async function bodyOf(request: IncomingMessage): Promise<JsonObject | undefined> {
  const written = await text(request);
  if (written === "") return undefined;
  try {
    const body: unknown = JSON.parse(written);
    if (isObject(body)) return body;
  } catch {
    // The parser's message would repeat the body.
  }
  throw badRequest("the body of the request is not a JSON object");
}
