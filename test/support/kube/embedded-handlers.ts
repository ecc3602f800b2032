// Answers requests about objects, once it is known who asks for what: the table from verbs to reads, writes and watches.
// Asks for the one permission that depends on what is stored. Knows no tokens and no paths.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identities } from "./embedded-identity.ts";
import type { JsonObject, KubeObject } from "./embedded-objects.ts";
import { type Lists, serveWatch, viewOf } from "./embedded-reads.ts";
import { isSet } from "./embedded-requests.ts";
import { ApiError, badRequest, methodNotAllowed, noSuchPath } from "./embedded-status.ts";
import type { Store } from "./embedded-store.ts";
import type { Target, Writes } from "./embedded-writes.ts";

interface Answer {
  readonly code: number;
  readonly body: JsonObject;
}

interface Asked {
  readonly verb: string;
  readonly target: Target;
  readonly query: URLSearchParams;
  readonly body: JsonObject | undefined;
  readonly request: IncomingMessage;
  /** Throws unless the same may be done with another verb. */
  authorize(verb: string): void;
}

export interface Machinery {
  readonly store: Store;
  readonly lists: Lists;
  readonly writes: Writes;
  readonly identities: Identities;
}

/** undefined when the response is a watch, which goes on by itself. Throws the ApiError of a refusal. */
export function answer(asked: Asked, response: ServerResponse, machinery: Machinery): Answer | undefined {
  const { verb, target, query, body, request } = asked;
  const { accept } = request.headers;
  const { store, writes, lists, identities } = machinery;
  const { kind, namespace, name, subresource } = target;
  if (subresource === "status" && !kind.status) throw noSuchPath();
  const operation = subresource === "" ? verb : `${verb} ${subresource}`;
  switch (operation) {
    case "get":
      return { code: 200, body: viewOf(writes.existing(target), accept) };
    case "list": {
      const [limit, continueToken] = [Number(query.get("limit") ?? 0), query.get("continue") ?? ""];
      return { code: 200, body: lists.list({ kind, namespace, limit, continueToken, accept }) };
    }
    case "watch": {
      const version = Number(query.get("resourceVersion") ?? 0);
      if (!(version > 0)) throw badRequest("a watch has to say from which resourceVersion on");
      const timeoutSeconds = Number(query.get("timeoutSeconds") ?? 1800);
      const bookmarks = isSet(query, "allowWatchBookmarks");
      serveWatch(response, store, { kind, namespace, accept, version, bookmarks, timeoutSeconds });
      return undefined;
    }
    case "create":
      if (name !== "") throw methodNotAllowed();
      return { code: 201, body: viewOf(writes.create(target, body, managerOf(query)), accept) };
    case "patch":
    case "patch status": {
      const isNew = store.get(kind.storage, namespace, name) === undefined;
      return { code: isNew ? 201 : 200, body: viewOf(patched(asked, isNew, writes), accept) };
    }
    case "delete":
      writes.remove(target);
      return { code: 200, body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" } };
    case "create token": {
      const status = { token: identities.issue(writes.existing(target)) };
      return { code: 201, body: { kind: "TokenRequest", apiVersion: "authentication.k8s.io/v1", status } };
    }
    default:
      throw subresource === "" ? methodNotAllowed() : noSuchPath();
  }
}

const managerOf = (query: URLSearchParams): string => query.get("fieldManager") ?? "unknown";

function patched({ target, query, body, request, authorize }: Asked, isNew: boolean, writes: Writes): KubeObject {
  const { "content-type": type = "" } = request.headers;
  if (type === "application/merge-patch+json") return writes.merge(target, body, managerOf(query));
  if (type !== "application/apply-patch+yaml" || target.subresource !== "")
    throw new ApiError(415, "UnsupportedMediaType", `the body of the request was in an unknown format (${type})`);
  // An apply that creates needs the permission to create as well.
  if (isNew) authorize("create");
  return writes.apply(target, body, managerOf(query), isSet(query, "force"));
}
