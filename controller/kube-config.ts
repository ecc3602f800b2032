// Where the API server is and how to prove who we are: in-cluster or kubeconfig, through @kubernetes/client-node, which
// is used for configuration and credentials only (its requests open one TLS connection each, and its watches stop for
// good on a reset). Knows nothing about the calls made with it.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { type AgentOptions, Agent as HttpsAgent, type RequestOptions } from "node:https";
import { dirname, resolve } from "node:path";
import type { User } from "@kubernetes/client-node/dist/config_types.js";
import { parse } from "yaml";
import { ClusterError } from "./cluster-error.ts";

export interface KubeAccess {
  readonly server: URL;
  /** Agent and headers for one request. Credentials that rotate (token file, exec plugin) are looked at again every few seconds. */
  authorize(): Promise<{ readonly agent: HttpAgent; readonly headers: Readonly<Record<string, string>> }>;
  /** The server refused our credentials: the next request reads them anew. */
  distrust(): void;
  close(): void;
}

export interface KubeConfigOptions {
  /** Path of a kubeconfig; without it the service account of the pod, else what kubectl would use. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** True when the pod's own service account is there. */
  readonly inCluster: boolean;
  /** Milliseconds, for the age of cached credentials. */
  readonly now: () => number;
}

const credentialsAgeMs = 10_000;
const socketLimits = { keepAlive: true, keepAliveMsecs: 30_000, maxSockets: 32, scheduling: "lifo" } as const;

/**
 * Throws a ClusterError that says what is wrong, without quoting it: of kind `unexpected` for the configuration, of kind
 * `unauthorized` if it gives no credential.
 */
export async function loadKubeAccess(options: KubeConfigOptions): Promise<KubeAccess> {
  let config = await readConfig(options);
  const { server } = config;
  const plain = server.protocol === "http:";
  let agent: HttpAgent = plain ? new HttpAgent(socketLimits) : new HttpsAgent(socketLimits);
  let agentDigest = "";
  let distrusted = false;

  const refresh = async (): Promise<Record<string, string>> => {
    if (distrusted) config = await readConfig(options);
    distrusted = false;
    const request = await config.credentials();
    const digest = digestOf(request);
    if (!plain && digest !== agentDigest) {
      agent.destroy();
      agent = new HttpsAgent({ ...socketLimits, ...tlsOf(request) });
      agentDigest = digest;
    }
    return headersOf(request);
  };

  let cached: { readonly headers: Record<string, string>; readonly at: number } | undefined = {
    headers: await refresh(),
    at: options.now(),
  };

  return {
    server,
    authorize: async () => {
      if (cached === undefined || options.now() - cached.at > credentialsAgeMs) {
        cached = { headers: await refresh(), at: options.now() };
      }
      return { agent, headers: cached.headers };
    },
    distrust: () => {
      cached = undefined;
      distrusted = true;
    },
    close: () => agent.destroy(),
  };
}

interface LoadedConfig {
  readonly server: URL;
  credentials(): Promise<RequestOptions>;
}

async function readConfig({ kubeconfig, context, inCluster }: KubeConfigOptions): Promise<LoadedConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node/dist/config.js");
  const config = new (class extends KubeConfig {
    override loadFromFile(file: string): void {
      super.loadFromFile(file);
      this.users = withTokenFiles(this.users, file);
    }
  })();
  try {
    if (kubeconfig !== undefined) config.loadFromFile(kubeconfig);
    else if (inCluster) config.loadFromCluster();
    else config.loadFromDefault();
  } catch {
    // The parser's own message may quote the file, and kubeconfigs hold tokens.
    throw new ClusterError(
      "unexpected",
      `Cannot read the kubeconfig${kubeconfig === undefined ? "" : ` ${kubeconfig}`}`,
    );
  }
  if (context !== undefined) config.setCurrentContext(context);
  const name = config.getCurrentContext();
  const cluster = config.getCurrentCluster();
  if (cluster === null || name === "loaded-context") {
    throw new ClusterError(
      "unexpected",
      `No cluster is configured: context "${name ?? ""}" names none; pass --kubeconfig`,
    );
  }
  if (cluster.proxyUrl) throw new ClusterError("unexpected", "proxy-url in a kubeconfig is not supported");
  const server = new URL(cluster.server);
  assertTransport(server);
  if (server.protocol === "http:") {
    // client-node wants this switch for any plain http; assertTransport has already confined that to loopback.
    config.clusters = config.clusters.map((one) => ({ ...one, skipTLSVerify: true }));
  }
  return {
    server,
    credentials: async () => {
      const user = config.getContextObject(name)?.user ?? "";
      const request: RequestOptions = { headers: {} };
      try {
        await config.applyToHTTPSOptions(request);
      } catch {
        // An exec plugin's stderr or a token path is in that error: neither belongs in a log.
        throw new ClusterError("unauthorized", `The credentials of user "${user}" could not be read`);
      }
      assertCredential(request, user);
      return request;
    },
  };
}

/** client-node does not know `tokenFile`. As an auth-provider it reads one, and again every minute, as in a pod. */
function withTokenFiles(users: readonly User[], file: string): User[] {
  const { users: entries } = parse(readFileSync(file, "utf8")) as {
    readonly users?: readonly { readonly name?: unknown; readonly user?: { readonly tokenFile?: unknown } | null }[];
  };
  return users.map((user) => {
    const tokenFile = entries?.find(({ name }) => name === user.name)?.user?.tokenFile;
    if (typeof tokenFile !== "string" || tokenFile === "") return user;
    const { token: _, ...others } = user;
    const config = { tokenFile: resolve(dirname(file), tokenFile) };
    return { ...others, authProvider: { name: "tokenFile", config } };
  });
}

/** Without one, every answer would be 401 or 403, for ever. */
function assertCredential(request: RequestOptions, user: string): void {
  const { Authorization = "" } = headersOf(request);
  if (/^\S+ +\S/.test(Authorization) || (request.cert !== undefined && request.key !== undefined)) return;
  throw new ClusterError(
    "unauthorized",
    `User "${user}" of the kubeconfig has no credential: give a token or tokenFile, a client certificate with its key, an exec plugin, or a name and password`,
  );
}

/** Secrets and tokens cross this connection, so it is TLS, or it does not leave the machine. */
function assertTransport(server: URL): void {
  if (server.protocol === "https:") return;
  const loopback = ["127.0.0.1", "[::1]", "localhost"].includes(server.hostname);
  if (server.protocol !== "http:" || !loopback) {
    throw new ClusterError(
      "unexpected",
      `Server ${server.origin} is refused: plain http is for loopback addresses only`,
    );
  }
}

function tlsOf(request: RequestOptions): AgentOptions {
  const { ca, cert, key, rejectUnauthorized, servername } = request;
  return Object.fromEntries(
    Object.entries({ ca, cert, key, rejectUnauthorized, servername }).filter(([, value]) => value !== undefined),
  );
}

function digestOf(request: RequestOptions): string {
  const hash = createHash("sha256");
  for (const [name, value] of Object.entries(tlsOf(request)))
    hash.update(name).update("\0").update(String(value)).update("\0");
  return hash.digest("hex");
}

function headersOf(request: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers ?? {}))
    if (value !== undefined) headers[name] = String(value).trim(); // Token files end with a line break.
  if (typeof request.auth === "string")
    headers["Authorization"] = `Basic ${Buffer.from(request.auth).toString("base64")}`;
  return headers;
}
