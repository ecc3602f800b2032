// The embedded API server: a real HTTP server on 127.0.0.1 that answers as kube-apiserver does for the kinds we use.
// Everything it knows is in memory and outlives stop() and start(). It logs requests, never their bodies.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parse } from "yaml";
import { Controllers } from "./embedded-controllers.ts";
import { type Access, Identities, type User } from "./embedded-identity.ts";
import { type Kind, Kinds } from "./embedded-kinds.ts";
import { isObject, type JsonObject, objectOf } from "./embedded-objects.ts";
import { assertNotFuture, Lists, viewFor, wantsMetadataOnly } from "./embedded-reads.ts";
import { type Route, routeOf } from "./embedded-routes.ts";
import { fieldSelector, labelSelector, selectedName } from "./embedded-selectors.ts";
import {
  ApiError,
  badRequest,
  forbidden,
  invalid,
  methodNotAllowed,
  noSuchPath,
  notFound,
  required,
  unauthorized,
  unsupportedMediaType,
} from "./embedded-status.ts";
import { Store } from "./embedded-store.ts";
import { goneError, serveWatch, type WatchRequest } from "./embedded-watch.ts";
import { apiVersionOf, type Target, type WriteOptions, Writes } from "./embedded-writes.ts";

export interface LoggedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly userAgent: string;
  readonly status: number;
}

const maxLogged = 5000;
const maxBodyBytes = 3 * 1024 * 1024;
const defaultWatchSeconds = 1800;
const patchTypes = ["application/merge-patch+json", "application/apply-patch+yaml"];

interface Answer {
  readonly code: number;
  readonly body: unknown;
}
const ok = (body: unknown): Answer => ({ code: 200, body });

export class EmbeddedServer {
  /** Finished requests, oldest first; the oldest are dropped. A watch is logged when it starts. */
  readonly requests: LoggedRequest[] = [];
  /** How a watch from forgotten history is answered: inside the stream, as kube-apiserver does, or by HTTP status. */
  goneAs: "event" | "status" = "event";
  readonly identities: Identities;
  readonly #store = new Store();
  readonly #kinds = new Kinds();
  readonly #lists: Lists;
  readonly #writes: Writes;
  readonly #now: () => Date;
  readonly #watches = new Set<ServerResponse>();
  #controllers: Controllers | undefined;
  #server: Server | undefined;
  #port = 0;

  constructor(now: () => Date) {
    this.#now = now;
    this.identities = new Identities(this.#store);
    this.#lists = new Lists(this.#store);
    this.#writes = new Writes(this.#store, this.#kinds, now);
    const kind = this.#kinds.find("", "v1", "namespaces");
    for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"]) {
      const options = { manager: "kube-apiserver", dryRun: false };
      if (kind !== undefined)
        this.#writes.create({ kind, namespace: undefined, name: "", subresource: "" }, { metadata: { name } }, options);
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens; on the same port as before, if it was stopped. */
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#controllers = new Controllers(this.#store, this.#kinds, this.#writes);
  }

  /** Drops every connection; what is stored stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#controllers?.stop();
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  /** Forgets history: older resourceVersions and started lists answer 410. Open watches go on. */
  compact(): void {
    this.#store.compact();
    this.#lists.forget();
  }

  /** Resets the connections of all open watches. */
  dropWatches(): void {
    for (const response of this.#watches) response.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/" } = request;
    try {
      const answer = await this.#answer(request, response, new URL(url, this.url));
      if (answer === "streaming") this.#log(request, method, url, 200);
      else this.#finish(request, response, answer);
    } catch (error) {
      if (response.headersSent || response.destroyed) return;
      // A bug of this server must look like one, and not hang the test.
      const problem = error instanceof ApiError ? error : new ApiError(500, "InternalError", String(error));
      this.#finish(request, response, { code: problem.code, body: problem.toStatus() });
    }
  }

  #finish(request: IncomingMessage, response: ServerResponse, { code, body }: Answer): void {
    this.#log(request, request.method ?? "", request.url ?? "", code);
    const text = typeof body === "string" ? body : JSON.stringify(body);
    response.writeHead(code, { "content-type": typeof body === "string" ? "text/plain" : "application/json" });
    response.end(text);
  }

  #log(request: IncomingMessage, method: string, path: string, status: number): void {
    this.requests.push({ method, path, userAgent: request.headers["user-agent"] ?? "", status });
    if (this.requests.length > maxLogged) this.requests.splice(0, maxLogged / 2);
  }

  async #answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<Answer | "streaming"> {
    const user = this.identities.userOf(request.headers.authorization, this.#now().getTime());
    const body = await readBody(request);
    if (user === undefined) throw unauthorized();
    const route = routeOf(url.pathname);
    if (route === undefined) return this.#answerOther(url.pathname);
    const verb = verbOf(request.method ?? "GET", route, url.searchParams);
    const name = route.name || (selectedName(url.searchParams.get("fieldSelector") ?? "") ?? "");
    const access: Access = {
      verb,
      group: route.group,
      resource: route.plural,
      subresource: route.subresource,
      namespace: route.namespace,
      name,
    };
    this.#authorize(user, access);
    const kind = this.#kinds.find(route.group, route.version, route.plural);
    if (kind === undefined || (route.namespace !== "" && route.plural !== "namespaces" && !kind.namespaced))
      throw noSuchPath();
    const target: Target = {
      kind,
      namespace: kind.namespaced ? route.namespace : undefined,
      name: route.name,
      subresource: route.subresource,
    };
    if (kind.namespaced && route.namespace === "" && !["list", "watch"].includes(verb)) throw methodNotAllowed();
    if (verb === "watch") return this.#watch(request, response, target, url.searchParams);
    return this.#act(request, { verb, target, access, user, query: url.searchParams, body });
  }

  #authorize(user: User, access: Access): void {
    if (this.identities.allows(user, access)) return;
    const { verb, group, resource, subresource, namespace, name } = access;
    const path = subresource === "" ? resource : `${resource}/${subresource}`;
    const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
    const why = `User "${user.name}" cannot ${verb} resource "${path}" in API group "${group}" ${where}`;
    throw forbidden({ group, plural: resource, kind: "" }, name, why);
  }

  #answerOther(path: string): Answer {
    if (["/healthz", "/livez", "/readyz"].includes(path)) return ok("ok");
    if (path === "/version")
      return ok({ major: "1", minor: "20", gitVersion: "v1.20.2-embedded", platform: "embedded" });
    if (path === "/api") return ok({ kind: "APIVersions", versions: ["v1"] });
    const kinds = this.#kinds.all();
    if (path === "/apis") {
      const names = [...new Set(kinds.map(({ group }) => group))].filter((group) => group !== "");
      const groups = names.map((name) => {
        const versions = [...new Set(kinds.filter(({ group }) => group === name).map(({ version }) => version))];
        const listed = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
        return { name, versions: listed, preferredVersion: listed[0] };
      });
      return ok({ kind: "APIGroupList", apiVersion: "v1", groups });
    }
    const groupVersion = /^\/apis?\/(.+)$/.exec(path)?.[1] ?? "";
    const served = kinds.filter((kind) => apiVersionOf(kind) === groupVersion);
    if (served.length === 0) throw noSuchPath();
    const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    const resources = served.map(({ plural, kind, namespaced }) => ({
      name: plural,
      singularName: "",
      namespaced,
      kind,
      verbs,
    }));
    return ok({ kind: "APIResourceList", apiVersion: "v1", groupVersion, resources });
  }

  #act(request: IncomingMessage, asked: Asked): Answer {
    const { verb, target, query } = asked;
    const { kind } = target;
    if (target.subresource === "token" && verb === "create")
      return this.#issueToken(target, bodyOf(request, asked.body));
    if (target.subresource !== "" && !(target.subresource === "status" && kind.status)) throw noSuchPath();
    const metadataOnly = wantsMetadataOnly(request.headers.accept ?? "");
    const view = viewFor(kind, metadataOnly);
    const options: WriteOptions = { manager: managerOf(request, query), dryRun: query.get("dryRun") === "All" };
    switch (verb) {
      case "get":
        assertNotFuture(this.#store, query.get("resourceVersion") ?? "");
        return ok(view(this.#writes.existing(target)));
      case "list":
        return ok(this.#list(target, query, metadataOnly));
      case "create":
        return { code: 201, body: view(this.#writes.create(target, bodyOf(request, asked.body), options)) };
      case "update":
        return ok(view(this.#writes.replace(target, bodyOf(request, asked.body), options)));
      case "patch":
        return this.#patch(request, asked, options);
      case "delete":
        return ok(this.#remove(target, bodyOf(request, asked.body), options));
      case "deletecollection": {
        const matches = selectors(kind, query);
        const objects = this.#store.list(kind.storage, target.namespace).filter(matches);
        for (const { metadata } of objects)
          this.#writes.remove(
            { ...target, name: metadata.name, namespace: metadata.namespace },
            bodyOf(request, asked.body),
            options,
          );
        return ok({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" });
      }
      default:
        throw methodNotAllowed();
    }
  }

  #patch(request: IncomingMessage, { target, access, user, query, body }: Asked, options: WriteOptions): Answer {
    const [type = ""] = (request.headers["content-type"] ?? "").split(";");
    const { kind } = target;
    const view = viewFor(kind, wantsMetadataOnly(request.headers.accept ?? ""));
    const force = query.get("force");
    if (type === "application/merge-patch+json") {
      if (force !== null)
        throw invalid(patchOptions, "", [
          {
            reason: "FieldValueForbidden",
            message: "Forbidden: may not be specified for non-apply patch",
            field: "force",
          },
        ]);
      return ok(view(this.#writes.merge(target, bodyOf(request, body), options)));
    }
    if (type !== "application/apply-patch+yaml") throw unsupportedMediaType(type, patchTypes);
    if (query.get("fieldManager") === null)
      throw invalid(patchOptions, "", [required("fieldManager", "is required for apply patch")]);
    const exists = this.#store.get(kind.storage, target.namespace, target.name) !== undefined;
    // An apply that creates needs the permission to create as well.
    if (!exists && target.subresource === "") this.#authorize(user, { ...access, verb: "create" });
    const applied = this.#writes.apply(target, bodyOf(request, body), {
      ...options,
      force: force === "true" || force === "1",
    });
    return { code: exists ? 200 : 201, body: view(applied) };
  }

  #remove(target: Target, body: unknown, options: WriteOptions): JsonObject {
    const { kind, name } = target;
    const left = this.#writes.remove(target, body, options);
    const remains = this.#store.get(kind.storage, target.namespace, name) !== undefined && !options.dryRun;
    if (remains || ["ServiceAccount", "Pod", "Namespace"].includes(kind.kind)) return viewFor(kind, false)(left);
    const details = {
      name,
      ...(kind.group === "" ? {} : { group: kind.group }),
      kind: kind.plural,
      uid: left.metadata.uid,
    };
    return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
  }

  #list({ kind, namespace }: Target, query: URLSearchParams, metadataOnly: boolean): JsonObject {
    return this.#lists.list({
      kind,
      namespace: namespace === "" ? undefined : namespace,
      matches: selectors(kind, query),
      limit: Number(query.get("limit") ?? 0),
      continueToken: query.get("continue") ?? "",
      resourceVersion: query.get("resourceVersion") ?? "",
      selective: query.has("labelSelector") || query.has("fieldSelector"),
      metadataOnly,
    });
  }

  #watch(
    request: IncomingMessage,
    response: ServerResponse,
    { kind, namespace, name }: Target,
    query: URLSearchParams,
  ): "streaming" {
    const metadataOnly = wantsMetadataOnly(request.headers.accept ?? "");
    const matches = selectors(kind, query);
    const bookmark = metadataOnly
      ? { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" }
      : { kind: kind.kind, apiVersion: apiVersionOf(kind) };
    const watch: WatchRequest = {
      kind,
      namespace: namespace === "" ? undefined : namespace,
      matches: name === "" ? matches : (object) => object.metadata.name === name && matches(object),
      view: viewFor(kind, metadataOnly),
      bookmark,
      resourceVersion: query.get("resourceVersion") ?? "",
      bookmarks: query.get("allowWatchBookmarks") === "true" || query.get("allowWatchBookmarks") === "1",
      timeoutSeconds: Number(query.get("timeoutSeconds") ?? defaultWatchSeconds),
    };
    assertNotFuture(this.#store, watch.resourceVersion);
    const gone = goneError(this.#store, watch);
    if (gone !== undefined && this.goneAs === "status") throw gone;
    this.#watches.add(response);
    response.on("close", () => this.#watches.delete(response));
    serveWatch(response, this.#store, watch);
    return "streaming";
  }

  #issueToken(target: Target, body: unknown): Answer {
    if (target.kind.kind !== "ServiceAccount") throw noSuchPath();
    const account = this.#store.get("serviceaccounts", target.namespace, target.name);
    if (account === undefined) throw notFound(target.kind, target.name);
    const spec = objectOf(objectOf(body)["spec"]);
    const seconds = typeof spec["expirationSeconds"] === "number" ? spec["expirationSeconds"] : 3600;
    if (seconds < 600)
      throw invalid({ group: "authentication.k8s.io", kind: "TokenRequest" }, "", [
        {
          reason: "FieldValueInvalid",
          message: `Invalid value: ${seconds}: may not specify a duration less than 10 minutes`,
          field: "spec.expirationSeconds",
        },
      ]);
    const expires = this.#now().getTime() + seconds * 1000;
    const status = {
      token: this.identities.issue(account, expires),
      expirationTimestamp: new Date(expires).toISOString(),
    };
    return {
      code: 201,
      body: {
        kind: "TokenRequest",
        apiVersion: "authentication.k8s.io/v1",
        metadata: { name: target.name, namespace: target.namespace },
        spec,
        status,
      },
    };
  }
}

interface Asked {
  readonly verb: string;
  readonly target: Target;
  readonly access: Access;
  readonly user: User;
  readonly query: URLSearchParams;
  readonly body: string;
}

const patchOptions = { group: "meta.k8s.io", kind: "PatchOptions" };

const selectors = (kind: Kind, query: URLSearchParams): ReturnType<typeof labelSelector> => {
  const byLabel = labelSelector(query.get("labelSelector") ?? "");
  const byField = fieldSelector(query.get("fieldSelector") ?? "", kind.kind);
  return (object) => byLabel(object) && byField(object);
};

function verbOf(method: string, route: Route, query: URLSearchParams): string {
  const watching = query.get("watch") === "true" || query.get("watch") === "1";
  if (method === "GET" || method === "HEAD") {
    if (watching) return "watch";
    return route.name === "" ? "list" : "get";
  }
  const verb = {
    POST: "create",
    PUT: "update",
    PATCH: "patch",
    DELETE: route.name === "" ? "deletecollection" : "delete",
  }[method];
  if (verb === undefined) throw methodNotAllowed();
  return verb;
}

const managerOf = (request: IncomingMessage, query: URLSearchParams): string =>
  query.get("fieldManager") ?? (request.headers["user-agent"] ?? "unknown").split("/")[0] ?? "unknown";

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  if (size > maxBodyBytes)
    throw new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${maxBodyBytes}`);
  return Buffer.concat(chunks).toString();
}

function bodyOf(request: IncomingMessage, text: string): unknown {
  if (text === "") return {};
  try {
    const yaml = (request.headers["content-type"] ?? "").includes("yaml") && !text.startsWith("{");
    const body: unknown = yaml ? parse(text) : JSON.parse(text);
    if (!isObject(body)) throw badRequest("the body must be an object");
    return body;
  } catch (error) {
    // Not the parser's message: it would repeat the body.
    throw error instanceof ApiError ? error : badRequest("the body of the request is not valid JSON or YAML");
  }
}
