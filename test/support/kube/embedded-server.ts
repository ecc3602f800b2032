// The embedded API server: a real HTTP server on 127.0.0.1 that answers as kube-apiserver does to what our controller and
// the demo ask, and refuses the rest. Everything it knows is in memory and outlives stop() and start(). It logs nothing.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { runControllers } from "./embedded-controllers.ts";
import { answer, type Machinery } from "./embedded-handlers.ts";
import { Identities, type User } from "./embedded-identity.ts";
import { Kinds } from "./embedded-kinds.ts";
import { Lists } from "./embedded-reads.ts";
import { type Access, accessOf, bodyOf } from "./embedded-requests.ts";
import { ApiError, forbidden, methodNotAllowed, noSuchPath, unauthorized } from "./embedded-status.ts";
import { Store } from "./embedded-store.ts";
import { Writes } from "./embedded-writes.ts";

function finish(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

export class EmbeddedServer {
  readonly #kinds = new Kinds();
  readonly #machinery: Machinery;
  #stopControllers: (() => void) | undefined;
  #server: Server | undefined;
  #port = 0;

  constructor() {
    const store = new Store();
    const writes = new Writes(store, this.#kinds);
    this.#machinery = { store, writes, lists: new Lists(store), identities: new Identities(store) };
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get adminToken(): string {
    return this.#machinery.identities.adminToken;
  }

  /** Listens; on the same port as before, if it was stopped. */
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#stopControllers = runControllers(this.#machinery.store);
  }

  /** Drops every connection; what is stored stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#stopControllers?.();
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  /** Forgets history: older resourceVersions and started lists answer 410. Open watches go on. */
  compact(): void {
    this.#machinery.store.compact();
    this.#machinery.lists.forget();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      if (response.headersSent || response.destroyed) return;
      // A bug of this server must look like one, and not hang the test.
      const problem = error instanceof ApiError ? error : new ApiError(500, "InternalError", String(error));
      finish(response, problem.code, problem.status);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const user = this.#machinery.identities.userOf(request.headers.authorization);
    if (user === undefined) throw unauthorized();
    const url = new URL(request.url ?? "/", this.url);
    const access = accessOf(request.method ?? "GET", url);
    this.#authorize(user, access);
    const { verb, apiVersion, resource, subresource, namespace, name } = access;
    const kind = this.#kinds.find(`${apiVersion}/${resource}`);
    const isMisplaced = kind?.namespaced === false && namespace !== "" && resource !== "namespaces";
    if (kind === undefined || isMisplaced) throw noSuchPath();
    if (kind.namespaced && namespace === "" && !["list", "watch"].includes(verb)) throw methodNotAllowed();
    const target = { kind, namespace: (kind.namespaced && namespace) || undefined, name, subresource };
    const authorize = (other: string): void => this.#authorize(user, { ...access, verb: other });
    const asked = { verb, target, query: url.searchParams, body: await bodyOf(request), request, authorize };
    const answered = answer(asked, response, this.#machinery);
    if (answered !== undefined) finish(response, answered.code, answered.body);
  }

  #authorize(user: User, access: Access): void {
    if (user === "admin" || this.#machinery.identities.allows(user, access)) return;
    const { verb, group, resource, subresource, namespace, name } = access;
    const who = `system:serviceaccount:${user.namespace}:${user.name}`;
    const path = subresource === "" ? resource : `${resource}/${subresource}`;
    const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
    const why = `User "${who}" cannot ${verb} resource "${path}" in API group "${group}" ${where}`;
    throw forbidden({ group, plural: resource }, name, why);
  }
}
