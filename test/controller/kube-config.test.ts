import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClusterError, type ClusterErrorKind, toClusterError } from "../../controller/cluster-error.ts";
import { createKubeClient } from "../../controller/kube-client.ts";
import { loadKubeAccess } from "../../controller/kube-config.ts";

let folder: string;
let kubeconfig: string;
let server: Server | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealward-kube-"));
  kubeconfig = join(folder, "config");
});

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

const write = (address: string, user: object): Promise<void> =>
  writeFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: "c", cluster: { server: address } }],
      users: [{ name: "u", user }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      "current-context": "c",
    }),
  );

const plugin = (credential: object): object => ({
  apiVersion: "client.authentication.k8s.io/v1",
  command: process.execPath,
  args: ["-e", `console.log('${JSON.stringify(credential)}')`],
});

async function listen(answer: (response: ServerResponse, request: IncomingMessage) => void): Promise<string> {
  server = createServer((request, response) => answer(response, request.resume()));
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = (answer: (request: IncomingMessage) => { status: number; body?: unknown }): Promise<string> =>
  listen((response, request) => {
    const { status, body = {} } = answer(request);
    response.writeHead(status).end(JSON.stringify(body));
  });

const load = (now: () => number = Date.now) => loadKubeAccess({ kubeconfig, inCluster: false, now });
const failureOf = async (action: Promise<unknown>): Promise<ClusterError> => {
  const error = await action.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (error instanceof ClusterError) return error;
  throw new Error(`expected a ClusterError, got ${String(error)}`);
};

describe("loadKubeAccess()", () => {
  it.each(["http://10.0.0.1:8080", "http://kubernetes.default", "http://127.0.0.1.example.org", "ftp://127.0.0.1"])(
    "refuses %s: tokens and Secrets do not travel in the clear",
    async (address) => {
      await write(address, { token: "t" });
      expect((await failureOf(load())).message).toContain("plain http is for loopback addresses only");
    },
  );

  it("takes plain http to this machine, for tests and port-forwarding", async () => {
    await write("http://127.0.0.1:1", { token: "t" });
    const access = await load();
    expect((await access.authorize()).headers).toMatchObject({ Authorization: "Bearer t" });
  });

  it("says which file it cannot read, and quotes nothing of it", async () => {
    await writeFile(kubeconfig, "users: [{token: SECRET-TOKEN\n  bad");
    const { message } = await failureOf(load());
    expect(message).toContain(kubeconfig);
    expect(message).not.toContain("SECRET-TOKEN");
  });

  it("refuses a context that the kubeconfig does not have", async () => {
    await write("https://127.0.0.1:1", { token: "t" });
    const error = await failureOf(loadKubeAccess({ kubeconfig, context: "other", inCluster: false, now: Date.now }));
    expect(error.message).toContain('"other"');
  });

  it("keeps the output of a failing credential plugin to itself", async () => {
    const exec = {
      apiVersion: "client.authentication.k8s.io/v1",
      command: process.execPath,
      args: ["-e", "console.error('SECRET-TOKEN');process.exit(1)"],
    };
    await write("https://127.0.0.1:1", { exec });
    const error = await failureOf(load());
    expect(error.kind).toBe("unauthorized");
    expect(error.message).not.toContain("SECRET-TOKEN");
  });

  it.each<[string, object]>([
    ["nothing", {}],
    ["an empty token", { token: "" }],
    ["an empty token file", { tokenFile: "empty" }],
    ["a certificate without its key", { "client-certificate-data": Buffer.from("x").toString("base64") }],
    ["a plugin that gives nothing", { exec: plugin({ kind: "ExecCredential", status: {} }) }],
  ])("refuses a user with %s at once, instead of asking without credentials for ever", async (_, user) => {
    await writeFile(join(folder, "empty"), "\n");
    await write("https://127.0.0.1:1", user);
    const error = await failureOf(load());
    expect(error.kind).toBe("unauthorized");
    expect(error.message).toContain('User "u" of the kubeconfig has no credential');
  });

  it("refuses a token file that is not there at once, without its path", async () => {
    await write("https://127.0.0.1:1", { tokenFile: "gone" });
    const error = await failureOf(load());
    expect(error.kind).toBe("unauthorized");
    expect(error.message).not.toContain("gone");
  });

  it("uses the token that a credential plugin gives", async () => {
    const exec = plugin({ kind: "ExecCredential", status: { token: "from-plugin" } });
    await write("https://127.0.0.1:1", { exec });
    expect((await (await load()).authorize()).headers).toMatchObject({ Authorization: "Bearer from-plugin" });
  });

  it.each<[string, (tokenFile: string) => object]>([
    ["an auth-provider", (tokenFile) => ({ "auth-provider": { name: "tokenFile", config: { tokenFile } } })],
    ["tokenFile", (tokenFile) => ({ tokenFile })],
    ["a tokenFile that is relative to the kubeconfig", () => ({ tokenFile: "token" })],
    ["tokenFile, before a token", (tokenFile) => ({ tokenFile, token: "stale" })],
  ])("reads the token file of %s again, so that a rotated token is used", async (_, user) => {
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, "old\n");
    let accepted = "old";
    const address = await serve(({ headers }) => ({
      status: headers.authorization === `Bearer ${accepted}` ? 200 : 401,
    }));
    await write(address, user(tokenFile));
    const client = createKubeClient(await load());
    await client.get("/x");
    accepted = "new";
    await writeFile(tokenFile, "new\n");
    // The one that is refused makes the next one look again, whatever the age of what was read.
    expect((await failureOf(client.get("/x"))).kind).toBe("unauthorized");
    await expect(client.get("/x")).resolves.toEqual({});
  });
});

describe("createKubeClient()", () => {
  it("uses one connection for many requests, and escapes nothing twice", async () => {
    let connections = 0;
    const address = await serve(({ url }) => ({ status: 200, body: { url } }));
    server?.on("connection", () => connections++);
    await write(address, { token: "t" });
    const client = createKubeClient(await load());
    for (let index = 0; index < 20; index++) await client.get("/api/v1/x%2Fy");
    expect(connections).toBe(1);
    expect(await client.get("/api/v1/x%2Fy")).toEqual({ url: "/api/v1/x%2Fy" });
  });

  it("reports a server that is away as unreachable", async () => {
    await write("http://127.0.0.1:1", { token: "t" });
    const error = await failureOf(createKubeClient(await load()).get("/x"));
    expect(error).toMatchObject({ kind: "unreachable", message: "No answer to GET /x: ECONNREFUSED" });
  });

  it("reports an answer that breaks off as unreachable", async () => {
    await write(await listen((response) => response.write('{"a":', () => response.destroy())), { token: "t" });
    expect((await failureOf(createKubeClient(await load()).get("/x"))).kind).toBe("unreachable");
  });

  it("gives up a watch that has been silent for too long", async () => {
    await write(await listen((response) => response.write(" \n")), { token: "t" });
    const client = createKubeClient(await load());
    const watch = client.watch("/x", {}, { metadataOnly: false, silenceMs: 50, signal: new AbortController().signal });
    const error = await failureOf(
      (async () => {
        for await (const _ of watch);
      })(),
    );
    expect(error.kind).toBe("unreachable");
  });
});

describe("toClusterError()", () => {
  it.each<[number, string | undefined, ClusterErrorKind]>([
    [401, "Unauthorized", "unauthorized"],
    [403, "Forbidden", "forbidden"],
    [404, "NotFound", "not-found"],
    [409, "Conflict", "conflict"],
    [409, "AlreadyExists", "already-exists"],
    [410, "Expired", "gone"],
    [410, "Gone", "gone"],
    [413, "RequestEntityTooLarge", "invalid"],
    [422, "Invalid", "invalid"],
    [429, "TooManyRequests", "throttled"],
    [500, "InternalError", "unreachable"],
    [503, undefined, "unreachable"],
    [504, "Timeout", "unreachable"],
    [302, undefined, "unexpected"],
  ])("maps %i %s to %s", (status, reason, kind) => {
    expect(toClusterError(status, { reason }, "GET /x").kind).toBe(kind);
  });

  it("keeps the fields that were refused and drops every message", () => {
    const causes = [{ field: "data[A]", reason: "FieldValueInvalid", message: "SECRET" }, "odd", { field: 1 }];
    const error = toClusterError(422, { message: "SECRET", details: { causes } }, "PATCH /x");
    expect(error.causes).toEqual([{ field: "data[A]", reason: "FieldValueInvalid" }]);
    expect(error.message).toBe("The API server answered 422 to PATCH /x");
    expect(JSON.stringify(error)).not.toContain("SECRET");
  });

  it("keeps how long a throttling server asks to wait", () => {
    expect(toClusterError(429, {}, "GET /x", "7").retryAfterMs).toBe(7000);
    expect(toClusterError(429, {}, "GET /x", "Wed, 21 Oct 2026 07:28:00 GMT").retryAfterMs).toBeUndefined();
  });
});
