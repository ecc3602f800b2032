// Answers requests about objects, once it is known who asks for what: the table from verbs to reads, writes and watches.
// Asks for the one permission that depends on what is stored. Knows no tokens and no sockets.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Target } from "./embedded-decode.ts";
import { isObject, type JsonObject, objectOf } from "./embedded-objects.ts";
import { assertNotFuture, type Lists, viewFor, wantsMetadataOnly } from "./embedded-reads.ts";
import { isSet, managerOf } from "./embedded-requests.ts";
import { fieldSelector, labelSelector, type Matches } from "./embedded-selectors.ts";
import {
  ApiError,
  badRequest,
  forbiddenField,
  invalid,
  invalidValue,
  methodNotAllowed,
  noSuchPath,
  required,
} from "./embedded-status.ts";
import type { Store } from "./embedded-store.ts";
import { goneError, serveWatch, type WatchRequest } from "./embedded-watch.ts";
import type { WriteOptions, Writes } from "./embedded-writes.ts";

export interface Answer {
  readonly code: number;
  readonly body: JsonObject;
}

export interface Asked {
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
  /** A token for a ServiceAccount, and when it expires. */
  issueToken(target: Target, seconds: number): { token: string; expirationTimestamp: string };
}

const minTokenSeconds = 600;
const defaultWatchSeconds = 1800;
const returnedWhenDeleted = ["Namespace", "ServiceAccount", "Pod"];

function selectorsOf({ target: { kind, namespace, name }, query }: Asked): Matches {
  const byLabel = labelSelector(query.get("labelSelector") ?? "");
  const byField = fieldSelector(query.get("fieldSelector") ?? "", kind.kind);
  return (object) => {
    const { metadata } = object;
    const isPlaced =
      (namespace === undefined || metadata.namespace === namespace) && (name === "" || metadata.name === name);
    return isPlaced && byLabel(object) && byField(object);
  };
}

const viewOf = ({ target, request }: Asked): ReturnType<typeof viewFor> =>
  viewFor(target.kind, wantsMetadataOnly(request.headers.accept));

const optionsOf = ({ request, query }: Asked): WriteOptions => ({
  manager: managerOf(request, query),
  dryRun: query.get("dryRun") === "All",
});

export function answer(asked: Asked, machinery: Machinery): Answer {
  const { verb, target, query, body } = asked;
  const { store, writes } = machinery;
  if (target.subresource === "token" && verb === "create") return issueToken(asked, machinery);
  if (target.subresource !== "" && !(target.subresource === "status" && target.kind.status)) throw noSuchPath();
  const ok = (object: JsonObject): Answer => ({ code: 200, body: object });
  switch (verb) {
    case "get":
      assertNotFuture(store, query.get("resourceVersion") ?? "");
      return ok(viewOf(asked)(writes.existing(target)));
    case "list":
      return ok(list(asked, machinery));
    case "create":
      if (target.name !== "") throw methodNotAllowed();
      return { code: 201, body: viewOf(asked)(writes.create(target, body, optionsOf(asked))) };
    case "update":
      return ok(viewOf(asked)(writes.replace(target, body, optionsOf(asked))));
    case "patch":
      return patch(asked, machinery);
    case "delete":
      return ok(remove(asked, machinery));
    case "deletecollection": {
      const before = list(asked, machinery);
      const objects = store.list(target.kind.storage, target.namespace).filter(selectorsOf(asked));
      for (const {
        metadata: { name },
      } of objects)
        writes.remove({ ...target, name }, body, optionsOf(asked));
      return ok(before);
    }
    default:
      throw methodNotAllowed();
  }
}

function patch(asked: Asked, { store, writes }: Machinery): Answer {
  const { target, query, body, request } = asked;
  const [type = ""] = (request.headers["content-type"] ?? "").split(";");
  const options = { group: "meta.k8s.io", kind: "PatchOptions" };
  if (type === "application/merge-patch+json") {
    if (query.has("force"))
      throw invalid(options, "", [forbiddenField("force", "may not be specified for non-apply patch")]);
    return { code: 200, body: viewOf(asked)(writes.merge(target, body, optionsOf(asked))) };
  }
  if (type !== "application/apply-patch+yaml") {
    throw new ApiError(415, "UnsupportedMediaType", `the body of the request was in an unknown format (${type})`);
  }
  if (!query.has("fieldManager")) throw invalid(options, "", [required("fieldManager")]);
  const isNew = store.get(target.kind.storage, target.namespace, target.name) === undefined;
  // An apply that creates needs the permission to create as well.
  if (isNew && target.subresource === "") asked.authorize("create");
  const applied = writes.apply(target, body, { ...optionsOf(asked), force: isSet(query, "force") });
  return { code: isNew ? 201 : 200, body: viewOf(asked)(applied) };
}

function remove(asked: Asked, { store, writes }: Machinery): JsonObject {
  const { kind, namespace, name } = asked.target;
  const left = writes.remove(asked.target, asked.body, optionsOf(asked));
  const remains = store.get(kind.storage, namespace, name)?.metadata.deletionTimestamp !== undefined;
  if (remains || returnedWhenDeleted.includes(kind.kind)) return viewOf(asked)(left);
  const details = {
    name,
    ...(kind.group === "" ? {} : { group: kind.group }),
    kind: kind.plural,
    uid: left.metadata.uid,
  };
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
}

function list(asked: Asked, { store, lists }: Machinery): JsonObject {
  const {
    target: { kind, namespace },
    query,
    request,
  } = asked;
  assertNotFuture(store, query.get("resourceVersion") ?? "");
  return lists.list({
    kind,
    namespace,
    matches: selectorsOf(asked),
    limit: Number(query.get("limit") ?? 0),
    continueToken: query.get("continue") ?? "",
    selective: query.has("labelSelector") || query.has("fieldSelector"),
    metadataOnly: wantsMetadataOnly(request.headers.accept),
  });
}

function issueToken({ target, body }: Asked, machinery: Machinery): Answer {
  if (target.kind.kind !== "ServiceAccount") throw noSuchPath();
  if (!isObject(body)) throw badRequest("a TokenRequest is expected");
  const spec = objectOf(body["spec"]);
  const seconds = typeof spec["expirationSeconds"] === "number" ? spec["expirationSeconds"] : 3600;
  if (seconds < minTokenSeconds) {
    const cause = invalidValue("spec.expirationSeconds", "may not specify a duration less than 10 minutes");
    throw invalid({ group: "authentication.k8s.io", kind: "TokenRequest" }, "", [cause]);
  }
  const { name, namespace } = target;
  const status = machinery.issueToken(target, seconds);
  const identity = { kind: "TokenRequest", apiVersion: "authentication.k8s.io/v1", metadata: { name, namespace } };
  return { code: 201, body: { ...identity, spec, status } };
}

/** With `goneAs` "status", forgotten history is answered by HTTP 410 instead of inside the stream. */
export function watch(asked: Asked, response: ServerResponse, { store }: Machinery, goneAs: "event" | "status"): void {
  const {
    target: { kind },
    query,
  } = asked;
  const resourceVersion = query.get("resourceVersion") ?? "";
  if (!/^\d*$/.test(resourceVersion)) throw badRequest(`invalid resource version "${resourceVersion}"`);
  const request: WatchRequest = {
    kind,
    matches: selectorsOf(asked),
    view: viewOf(asked),
    version: Number(resourceVersion),
    bookmarks: isSet(query, "allowWatchBookmarks"),
    timeoutSeconds: Number(query.get("timeoutSeconds") ?? defaultWatchSeconds),
  };
  const gone = goneError(store, request);
  if (gone !== undefined && goneAs === "status") throw gone;
  serveWatch(response, store, request);
}
