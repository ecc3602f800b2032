// The embedded API server: a real HTTP server on 127.0.0.1 that answers as kube-apiserver does for the kinds we use.
// Everything it knows is in memory and outlives stop() and start(). It logs requests, never their bodies.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Controllers } from "./embedded-controllers.ts";
import { type Asked, answer, type Machinery, watch } from "./embedded-handlers.ts";
import { Identities, type User } from "./embedded-identity.ts";
import { Kinds } from "./embedded-kinds.ts";
import type { JsonObject } from "./embedded-objects.ts";
import { Lists } from "./embedded-reads.ts";
import { type Access, accessOf, bodyOf } from "./embedded-requests.ts";
import { ApiError, forbidden, methodNotAllowed, noSuchPath, unauthorized } from "./embedded-status.ts";
import { Store } from "./embedded-store.ts";
import { Writes } from "./embedded-writes.ts";

export interface LoggedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly userAgent: string;
  readonly status: number;
}

const maxLogged = 5000;

export class EmbeddedServer {
  /** Answered requests, oldest first; the oldest are dropped. A watch is logged when it starts. */
  readonly requests: LoggedRequest[] = [];
  /** How a watch from forgotten history is answered: inside the stream, as kube-apiserver does, or by HTTP status. */
  goneAs: "event" | "status" = "event";
  readonly identities: Identities;
  readonly #store = new Store();
  readonly #kinds = new Kinds();
  readonly #lists: Lists = new Lists(this.#store);
  readonly #writes: Writes;
  readonly #machinery: Machinery;
  readonly #now: () => Date;
  readonly #watches = new Set<ServerResponse>();
  #controllers: Controllers | undefined;
  #server: Server | undefined;
  #port = 0;

  constructor(now: () => Date) {
    this.#now = now;
    this.identities = new Identities(this.#store);
    this.#writes = new Writes(this.#store, this.#kinds, now);
    this.#machinery = {
      store: this.#store,
      lists: this.#lists,
      writes: this.#writes,
      issueToken: (target, seconds) => {
        const expires = now().getTime() + seconds * 1000;
        const token = this.identities.issue(this.#writes.existing({ ...target, subresource: "" }), expires);
        return { token, expirationTimestamp: new Date(expires).toISOString() };
      },
    };
    const kind = this.#kinds.find("", "v1", "namespaces");
    for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"]) {
      const target = { namespace: undefined, name: "", subresource: "" };
      const options = { manager: "kube-apiserver", dryRun: false };
      if (kind !== undefined) this.#writes.create({ kind, ...target }, { metadata: { name } }, options);
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
    try {
      await this.#answer(request, response, new URL(request.url ?? "/", this.url));
    } catch (error) {
      if (response.headersSent || response.destroyed) return;
      // A bug of this server must look like one, and not hang the test.
      const problem = error instanceof ApiError ? error : new ApiError(500, "InternalError", String(error));
      this.#finish(request, response, problem.code, problem.toStatus());
    }
  }

  #finish(request: IncomingMessage, response: ServerResponse, code: number, body: JsonObject | string): void {
    this.#log(request, code);
    response.writeHead(code, { "content-type": typeof body === "string" ? "text/plain" : "application/json" });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }

  #log({ method = "", url = "", headers }: IncomingMessage, status: number): void {
    this.requests.push({ method, path: url, userAgent: headers["user-agent"] ?? "", status });
    if (this.requests.length > maxLogged) this.requests.splice(0, maxLogged / 2);
  }

  async #answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const user = this.identities.userOf(request.headers.authorization, this.#now().getTime());
    if (user === undefined) throw unauthorized();
    const access = accessOf(request.method ?? "GET", url);
    if (access === undefined) {
      this.#finish(request, response, 200, this.#answerOther(url.pathname));
      return;
    }
    this.#authorize(user, access);
    const { verb, group, version, resource, subresource, namespace, pathName: name } = access;
    const kind = this.#kinds.find(group, version, resource);
    const isMisplaced = kind?.namespaced === false && namespace !== "" && resource !== "namespaces";
    if (kind === undefined || isMisplaced) throw noSuchPath();
    if (kind.namespaced && namespace === "" && !["list", "watch"].includes(verb)) throw methodNotAllowed();
    const asked: Asked = {
      verb,
      target: { kind, namespace: kind.namespaced && namespace !== "" ? namespace : undefined, name, subresource },
      query: url.searchParams,
      body: await bodyOf(request),
      request,
      authorize: (other) => this.#authorize(user, { ...access, verb: other }),
    };
    if (verb !== "watch") {
      const { code, body } = answer(asked, this.#machinery);
      this.#finish(request, response, code, body);
      return;
    }
    watch(asked, response, this.#machinery, this.goneAs);
    this.#log(request, 200);
    this.#watches.add(response);
    response.on("close", () => this.#watches.delete(response));
  }

  #authorize(user: User, access: Access): void {
    if (this.identities.allows(user, access)) return;
    const { verb, group, resource, subresource, namespace, name } = access;
    const path = subresource === "" ? resource : `${resource}/${subresource}`;
    const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
    const why = `User "${user.name}" cannot ${verb} resource "${path}" in API group "${group}" ${where}`;
    throw forbidden({ group, plural: resource }, name, why);
  }

  #answerOther(path: string): JsonObject | string {
    if (["/healthz", "/livez", "/readyz"].includes(path)) return "ok";
    if (path === "/version") return { major: "1", minor: "20", gitVersion: "v1.20.2", platform: "embedded" };
    if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
    if (path !== "/apis") throw noSuchPath();
    const grouped = new Map(
      this.#kinds.all().map(({ group, version, apiVersion }) => [apiVersion, { group, version }]),
    );
    const groups = [...grouped].map(([groupVersion, { group, version }]) => ({
      name: group,
      versions: [{ groupVersion, version }],
    }));
    return { kind: "APIGroupList", apiVersion: "v1", groups: groups.filter(({ name }) => name !== "") };
  }
}
