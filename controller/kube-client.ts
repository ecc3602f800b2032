// The few calls this controller makes, over node:https with one keep-alive agent and a timeout on each.
// Knows HTTP and JSON; knows nothing about what the objects mean. Every failure leaves as a ClusterError.
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { ClusterError, toClusterError } from "./cluster-error.ts";
import type { KubeAccess } from "./kube-config.ts";
import { fieldManager } from "./resources.ts";

export interface KubeClient {
  /** The object, or null if there is none. `metadataOnly` keeps a Secret's data off this connection. */
  get<T>(path: string, options?: { readonly metadataOnly?: boolean }): Promise<T | null>;
  list<T>(path: string, query: Query, options?: { readonly metadataOnly?: boolean }): Promise<ListPage<T>>;
  /** Events of a watch, as they come; ends when the server ends it; throws when the connection breaks or falls silent. */
  watch(path: string, query: Query, options: WatchOptions): AsyncIterable<WatchEvent>;
  /** Server-side apply under our field manager. The answer is not read: it would carry what was written. */
  apply(path: string, object: object, options: { readonly force: boolean }): Promise<void>;
  patchStatus(path: string, patch: object): Promise<void>;
  create(path: string, object: object): Promise<void>;
}

export type Query = Readonly<Record<string, string>>;

export interface ListPage<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continue: string;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

export interface WatchOptions {
  readonly metadataOnly: boolean;
  readonly signal: AbortSignal;
  /** The watch is given up after this long without a byte: the other end is probably gone. */
  readonly silenceMs: number;
}

const requestTimeoutMs = 30_000;
const maxAnswerBytes = 64 * 1024 * 1024;
const json = "application/json";
const metadataList = `${json};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,${json}`;
const metadataObject = `${json};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,${json}`;

interface Call {
  readonly method: "GET" | "POST" | "PATCH";
  readonly path: string;
  readonly query?: Query;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: object;
  readonly signal?: AbortSignal;
}

export function createKubeClient(access: KubeAccess): KubeClient {
  const call = (options: Call): Promise<unknown> => exchange(access, options);
  return {
    get: async <T>(path: string, { metadataOnly = false } = {}) => {
      try {
        return (await call({ method: "GET", path, accept: metadataOnly ? metadataObject : json })) as T;
      } catch (error) {
        if (error instanceof ClusterError && error.kind === "not-found") return null;
        throw error;
      }
    },
    list: async <T>(path: string, query: Query, { metadataOnly = false } = {}) => {
      const accept = metadataOnly ? metadataList : json;
      const answer = (await call({ method: "GET", path, query, accept })) as {
        items?: readonly T[] | null;
        metadata?: { resourceVersion?: string; continue?: string };
      };
      const { resourceVersion = "", continue: next = "" } = answer.metadata ?? {};
      return { items: answer.items ?? [], resourceVersion, continue: next };
    },
    watch: (path, query, options) => watchEvents(access, path, query, options),
    apply: async (path, body, { force }) => {
      const query = { fieldManager, force: String(force) };
      // JSON is YAML; the content type is the one every server since 1.16 knows for server-side apply.
      await call({
        method: "PATCH",
        path,
        query,
        body,
        accept: metadataObject,
        contentType: "application/apply-patch+yaml",
      });
    },
    patchStatus: async (path, body) => {
      await call({
        method: "PATCH",
        path: `${path}/status`,
        query: { fieldManager },
        body,
        contentType: "application/merge-patch+json",
      });
    },
    create: async (path, body) => {
      await call({ method: "POST", path, query: { fieldManager }, body, contentType: json });
    },
  };
}

async function exchange(access: KubeAccess, options: Call): Promise<unknown> {
  const what = `${options.method} ${options.path}`;
  const deadline = AbortSignal.timeout(requestTimeoutMs);
  const response = await send(access, { ...options, signal: deadline }, what);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) throw new ClusterError("unexpected", `The answer to ${what} is too large`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw toUnreachable(error, what);
  }
  const body = parseJson(Buffer.concat(chunks).toString("utf8"));
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300 && body !== undefined) return body;
  if (status === 401) access.distrust();
  if (status >= 200 && status < 300) throw new ClusterError("unreachable", `The answer to ${what} is not JSON`);
  throw toClusterError(status, body, what, response.headers["retry-after"]);
}

async function* watchEvents(
  access: KubeAccess,
  path: string,
  query: Query,
  { metadataOnly, signal, silenceMs }: WatchOptions,
): AsyncGenerator<WatchEvent> {
  const what = `WATCH ${path}`;
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), silenceMs);
  const accept = metadataOnly ? metadataObject : json;
  try {
    const response = await send(
      access,
      {
        method: "GET",
        path,
        query: { ...query, watch: "true" },
        accept,
        signal: AbortSignal.any([signal, silent.signal]),
      },
      what,
    );
    if (response.statusCode !== 200) {
      response.destroy();
      if (response.statusCode === 401) access.distrust();
      throw toClusterError(response.statusCode ?? 0, undefined, what, response.headers["retry-after"]);
    }
    response.setEncoding("utf8");
    let pending = "";
    for await (const chunk of response as AsyncIterable<string>) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), silenceMs);
      const lines = (pending + chunk).split("\n");
      pending = lines.pop() ?? "";
      if (pending.length > maxAnswerBytes) throw new ClusterError("unexpected", `An event of ${what} is too large`);
      for (const line of lines) if (line.trim() !== "") yield toWatchEvent(line, what);
    }
  } catch (error) {
    if (signal.aborted) return;
    throw toUnreachable(error, what);
  } finally {
    clearTimeout(timer);
  }
}

async function send(access: KubeAccess, call: Call, what: string): Promise<IncomingMessage> {
  const { agent, headers } = await access.authorize();
  const url = new URL(access.server.href.replace(/\/$/, "") + call.path);
  for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
  const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body), "utf8");
  const request = url.protocol === "http:" ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method: call.method,
      agent,
      headers: {
        ...headers,
        Accept: call.accept ?? json,
        "User-Agent": "sealward-controller",
        ...(body === undefined ? {} : { "Content-Type": call.contentType ?? json, "Content-Length": body.length }),
      },
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    });
    outgoing.once("response", resolve);
    outgoing.once("error", (error) => reject(toUnreachable(error, what)));
    // A half-open connection is noticed by the kernel even when the stream is allowed to be quiet.
    outgoing.once("socket", (socket) => socket.setKeepAlive(true, 30_000));
    outgoing.end(body, () => body?.fill(0));
  });
}

/** Keeps the system's error code (ECONNRESET …) and drops the rest. */
function toUnreachable(error: unknown, what: string): Error {
  if (error instanceof ClusterError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "connection lost";
  return new ClusterError("unreachable", `No answer to ${what}: ${code}`);
}

function toWatchEvent(line: string, what: string): WatchEvent {
  const event = parseJson(line);
  if (typeof event === "object" && event !== null && "type" in event && "object" in event) {
    return { type: String(event.type), object: event.object };
  }
  throw new ClusterError("unreachable", `${what} sent something that is not an event`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
