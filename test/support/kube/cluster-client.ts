// What every test cluster does the same way, over HTTP as its admin: requests, kubeconfig files, applying YAML, waiting.
// Knows no difference between the embedded API server and a real one.
import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseAllDocuments, stringify } from "yaml";

export interface Connection {
  readonly server: string;
  readonly ca?: string;
  readonly token: string;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});
const itemsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** One request on a connection of its own. A string is sent as it is, anything else as JSON. */
export function send(
  { server, ca, token }: Connection,
  asked: { method: string; path: string; body?: unknown; headers?: Readonly<Record<string, string>> },
): Promise<Answer> {
  const { method, path, body, headers } = asked;
  const payload = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const all = {
    authorization: `Bearer ${token}`,
    accept: "application/json",
    "content-type": "application/json",
    "user-agent": "test-cluster/1",
    // Said in so many words, or Node leaves the body of a DELETE unframed.
    ...(payload === undefined ? {} : { "content-length": String(Buffer.byteLength(payload)) }),
    ...headers,
  };
  return new Promise((resolve, reject) => {
    const url = new URL(path, server);
    const options = { method, headers: all, agent: false, ...(ca === undefined ? {} : { ca }) };
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const json = (response.headers["content-type"] ?? "").includes("json");
        resolve({ status: response.statusCode ?? 0, body: json && text !== "" ? JSON.parse(text) : text });
      });
    });
    request.on("error", reject);
    request.end(payload);
  });
}

/** Polls until the probe gives something. A probe that throws has not found it yet. */
export async function waitFor<T>(what: string, probe: () => Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last = "nothing yet";
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
      last = "nothing yet";
    } catch (error) {
      last = String(error);
    }
    if (Date.now() >= deadline) throw new Error(`waited ${timeoutMs} ms for ${what}: ${last}`);
    await pause(20);
  }
}

/** A folder for what a cluster needs on disk, tokens among it: gone with the cluster, or else with the process. */
export async function temporaryFolder(prefix: string): Promise<{ path: string; remove: () => void }> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  const removeFolder = (): void => rmSync(path, { recursive: true, force: true });
  process.once("exit", removeFolder);
  const remove = (): void => {
    process.off("exit", removeFolder);
    removeFolder();
  };
  return { path, remove };
}

/** Writes a kubeconfig that only its owner can read; returns its path. */
export async function writeKubeconfig(
  folder: string,
  name: string,
  { server, ca, token }: Connection,
): Promise<string> {
  const trust = ca === undefined ? {} : { "certificate-authority-data": Buffer.from(ca).toString("base64") };
  const path = join(folder, `${name}.kubeconfig`);
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, ...trust } }],
    users: [{ name, user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: name, namespace: "default" } }],
    "current-context": "test",
  };
  await writeFile(path, stringify(config), { mode: 0o600 });
  return path;
}

export async function requestToken(admin: Connection, account: { namespace: string; name: string }): Promise<string> {
  const path = `/api/v1/namespaces/${account.namespace}/serviceaccounts/${account.name}/token`;
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3600 } };
  const answer = await send(admin, { method: "POST", path, body });
  const token = fieldsOf(fieldsOf(answer.body)["status"])["token"];
  if (typeof token !== "string")
    throw new Error(`no token for ${account.namespace}/${account.name}: HTTP ${answer.status} ${messageOf(answer)}`);
  return token;
}

const messageOf = ({ body }: Answer): string => String(fieldsOf(body)["message"] ?? "");

// kind -> [plural, namespaced]; everything else is looked for among the CustomResourceDefinitions.
const builtIn: Readonly<Record<string, readonly [plural: string, namespaced: boolean]>> = {
  Namespace: ["namespaces", false],
  ClusterRole: ["clusterroles", false],
  ClusterRoleBinding: ["clusterrolebindings", false],
  CustomResourceDefinition: ["customresourcedefinitions", false],
  Secret: ["secrets", true],
  ConfigMap: ["configmaps", true],
  Event: ["events", true],
  ServiceAccount: ["serviceaccounts", true],
  Service: ["services", true],
  Pod: ["pods", true],
  Lease: ["leases", true],
  Deployment: ["deployments", true],
  Job: ["jobs", true],
  NetworkPolicy: ["networkpolicies", true],
  PodDisruptionBudget: ["poddisruptionbudgets", true],
  Role: ["roles", true],
  RoleBinding: ["rolebindings", true],
};

const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

async function resourceOf(admin: Connection, group: string, kind: string): Promise<readonly [string, boolean]> {
  const known = group === "" || group.endsWith(".k8s.io") || !group.includes(".") ? builtIn[kind] : undefined;
  if (known !== undefined) return known;
  const { body } = await send(admin, { method: "GET", path: definitionsPath });
  for (const definition of itemsOf(fieldsOf(body)["items"])) {
    const spec = fieldsOf(fieldsOf(definition)["spec"]);
    const names = fieldsOf(spec["names"]);
    if (spec["group"] === group && names["kind"] === kind)
      return [String(names["plural"]), spec["scope"] === "Namespaced"];
  }
  throw new Error(`cannot apply a ${kind} of "${group}": the test cluster knows no such kind`);
}

async function waitUntilServed(admin: Connection, definition: Fields): Promise<void> {
  const name = String(fieldsOf(definition["metadata"])["name"]);
  const spec = fieldsOf(definition["spec"]);
  const version = itemsOf(spec["versions"])
    .map(fieldsOf)
    .find((item) => item["served"] === true);
  const collection = `/apis/${String(spec["group"])}/${String(version?.["name"])}/${String(fieldsOf(spec["names"])["plural"])}`;
  await waitFor(`the CustomResourceDefinition ${name} to be established and served`, async () => {
    const { body } = await send(admin, { method: "GET", path: `${definitionsPath}/${name}` });
    const conditions = itemsOf(fieldsOf(fieldsOf(body)["status"])["conditions"]).map(fieldsOf);
    const established = conditions.some((item) => item["type"] === "Established" && item["status"] === "True");
    const { status } = await send(admin, { method: "GET", path: `${collection}?limit=1` });
    return (established && status === 200) || undefined;
  });
}

async function applyObject(admin: Connection, object: Fields, namespace: string): Promise<void> {
  const [apiVersion, kind, metadata] = [
    String(object["apiVersion"]),
    String(object["kind"]),
    fieldsOf(object["metadata"]),
  ];
  const group = apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
  const [plural, namespaced] = await resourceOf(admin, group, kind);
  const root = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  const place = namespaced ? `/namespaces/${String(metadata["namespace"] ?? namespace)}` : "";
  const path = `${root}${place}/${plural}/${String(metadata["name"])}?fieldManager=test&force=true`;
  const headers = { "content-type": "application/apply-patch+yaml" };
  const answer = await send(admin, { method: "PATCH", path, body: object, headers });
  if (answer.status >= 300)
    throw new Error(`cannot apply ${kind} ${String(metadata["name"])}: HTTP ${answer.status} ${messageOf(answer)}`);
  if (kind === "CustomResourceDefinition") await waitUntilServed(admin, object);
}

/** Applies a stream of YAML documents in their order, by server-side apply as the field manager "test". */
export async function applyYaml(admin: Connection, text: string, namespace = "default"): Promise<void> {
  for (const document of parseAllDocuments(text)) {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    const object = fieldsOf(value);
    const objects = object["kind"] === "List" ? itemsOf(object["items"]).map(fieldsOf) : [object];
    for (const item of objects) await applyObject(admin, item, namespace);
  }
}
