// What our controller relies on in a Kubernetes API server, asked of every server that is there: the embedded one must
// answer as the real one does. Asserts no message texts beyond the names in them.
import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Answer, availableClusters, startEmbedded, type TestCluster } from "./support/kube/cluster.ts";

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: parcels.test.sealward.dev }
spec:
  group: test.sealward.dev
  scope: Namespaced
  names: { plural: parcels, singular: parcel, kind: Parcel }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [document]
              properties:
                document: { type: string, minLength: 2, maxLength: 20 }
                scope: { type: string, enum: [strict, wide], default: strict }
                digest: { type: string, pattern: "^sha256:[0-9a-f]+$" }
                names: { type: array, minItems: 1, items: { type: string } }
                tags: { type: array, x-kubernetes-list-type: set, items: { type: string } }
                labels: { type: object, additionalProperties: { type: string } }
            status:
              type: object
              properties:
                environment: { type: string }
                conditions:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [type]
                  items:
                    type: object
                    required: [type, status]
                    properties: { type: { type: string }, status: { type: string }, reason: { type: string } }
`;

type Path = string | number;

/** The member at a path of an answer's body; undefined where there is none. */
function at(value: unknown, ...path: readonly Path[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

const refusal = ({ status, body }: Answer): unknown[] => [
  status,
  at(body, "kind"),
  at(body, "code"),
  at(body, "reason"),
];
const refused = (code: number, reason: string): unknown[] => [code, "Status", code, reason];
const items = (answer: Answer): readonly unknown[] => {
  const found = at(answer.body, "items");
  return Array.isArray(found) ? found : [];
};
const namesOf = (answer: Answer): unknown[] => items(answer).map((item) => at(item, "metadata", "name"));
const versionOf = (answer: Answer): string => String(at(answer.body, "metadata", "resourceVersion"));
const uidOf = (answer: Answer): string => String(at(answer.body, "metadata", "uid"));
const base64 = (text: string): string => Buffer.from(text).toString("base64");

const applyType = { "content-type": "application/apply-patch+yaml" };
const mergeType = { "content-type": "application/merge-patch+json" };
const metadataList = { accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" };
const metadataOnly = { accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1" };

interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

interface Credentials {
  readonly token: string;
  readonly ca: Buffer | undefined;
}

function credentialsIn(kubeconfigFile: string): Credentials {
  const config: unknown = parse(readFileSync(kubeconfigFile, "utf8"));
  const ca = at(config, "clusters", 0, "cluster", "certificate-authority-data");
  return {
    token: String(at(config, "users", 0, "user", "token")),
    ca: typeof ca === "string" ? Buffer.from(ca, "base64") : undefined,
  };
}

interface Stream {
  readonly events: readonly WatchEvent[];
  readonly status: number | undefined;
  readonly ended: boolean;
  close(): void;
}

/** Opens a watch with the credentials of a kubeconfig file and collects what it says. */
function openWatch(server: string, kubeconfigFile: string, path: string, headers: Record<string, string> = {}): Stream {
  const { token, ca } = credentialsIn(kubeconfigFile);
  const stream = { events: [] as WatchEvent[], status: undefined as number | undefined, ended: false, close: () => {} };
  const url = new URL(path, server);
  const all = { authorization: `Bearer ${token}`, accept: "application/json", ...headers };
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  const request = send(url, { agent: false, headers: all, ...(ca === undefined ? {} : { ca }) }, (response) => {
    stream.status = response.statusCode;
    let rest = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") stream.events.push(JSON.parse(line) as WatchEvent);
    });
    for (const end of ["end", "error", "close"])
      response.on(end, () => {
        stream.ended = true;
      });
  });
  request.on("error", () => {
    stream.ended = true;
  });
  request.end();
  stream.close = () => request.destroy();
  return stream;
}

/** A request with the token of a kubeconfig file, or with a token given. */
async function sendAs(
  cluster: TestCluster,
  token: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return cluster.request(method, path, body, { ...headers, authorization: `Bearer ${token}` });
}

describe.each(availableClusters())("the $name API server", ({ start }) => {
  let cluster: TestCluster;
  let namespace = "";
  let secrets = "";
  let parcels = "";

  beforeAll(async () => {
    cluster = await start();
    await cluster.apply(definition);
  });
  afterAll(() => cluster.stop());

  async function newNamespace(): Promise<string> {
    const name = `ns-${randomBytes(4).toString("hex")}`;
    expect((await cluster.request("POST", "/api/v1/namespaces", { metadata: { name } })).status).toBe(201);
    return name;
  }
  beforeEach(async () => {
    namespace = await newNamespace();
    secrets = `/api/v1/namespaces/${namespace}/secrets`;
    parcels = `/apis/test.sealward.dev/v1/namespaces/${namespace}/parcels`;
  });

  const createSecret = (name: string, more: object = {}): Promise<Answer> =>
    cluster.request("POST", secrets, { metadata: { name }, data: { a: base64("1") }, ...more });
  const createParcel = (name: string, spec: object = { document: "text" }, more: object = {}): Promise<Answer> =>
    cluster.request("POST", parcels, {
      apiVersion: "test.sealward.dev/v1",
      kind: "Parcel",
      metadata: { name },
      spec,
      ...more,
    });
  const applySecret = (manager: string, content: object, query = ""): Promise<Answer> => {
    const body = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, ...content };
    return cluster.request("PATCH", `${secrets}/s?fieldManager=${manager}${query}`, body, applyType);
  };
  const exists = async (path: string): Promise<boolean> => (await cluster.request("GET", path)).status === 200;
  const gone = (path: string, timeoutMs?: number): Promise<true> =>
    cluster.waitFor(`${path} to be gone`, async () => !(await exists(path)) || undefined, timeoutMs);
  const watch = (path: string, headers?: Record<string, string>): Stream =>
    openWatch(cluster.server, cluster.adminKubeconfig, path, headers);
  const event = (stream: Stream, type: string, index = 0): Promise<WatchEvent> =>
    cluster.waitFor(`a ${type} event`, async () => stream.events.filter((item) => item.type === type)[index]);

  describe("objects", () => {
    test("are created with what the server adds", async () => {
      const answer = await createSecret("s");
      expect(answer.status).toBe(201);
      expect(at(answer.body, "kind")).toBe("Secret");
      expect(at(answer.body, "type")).toBe("Opaque");
      expect(uidOf(answer)).toMatch(/^[0-9a-f-]{36}$/);
      expect(at(answer.body, "metadata", "creationTimestamp")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(Number(versionOf(answer))).toBeGreaterThan(0);
      expect((await cluster.request("GET", `${secrets}/s`)).body).toEqual(answer.body);
    });

    test("are not created twice, and not in a namespace that is missing", async () => {
      await createSecret("s");
      expect(refusal(await createSecret("s"))).toEqual(refused(409, "AlreadyExists"));
      const missing = await cluster.request("POST", "/api/v1/namespaces/missing/secrets", { metadata: { name: "s" } });
      expect(refusal(missing)).toEqual(refused(404, "NotFound"));
      expect(at(missing.body, "details", "kind")).toBe("namespaces");
    });

    test("must have a name, and labels, that are such", async () => {
      expect(refusal(await cluster.request("POST", secrets, { metadata: {} }))).toEqual(refused(422, "Invalid"));
      expect(refusal(await createSecret("Not_A_Name"))).toEqual(refused(422, "Invalid"));
      expect(refusal(await createSecret("s", { metadata: { name: "s", labels: { a: "b c" } } }))).toEqual(
        refused(422, "Invalid"),
      );
      expect(refusal(await createSecret("s", { metadata: { name: "s", labels: { a: 1 } } }))).toEqual(
        refused(400, "BadRequest"),
      );
    });

    test("must be of the kind, name and namespace that the path says", async () => {
      const foreign = { kind: "ServiceAccount", apiVersion: "v1", metadata: { name: "s" } };
      expect(refusal(await cluster.request("POST", secrets, foreign))).toEqual(refused(400, "BadRequest"));
      expect(refusal(await createSecret("s", { metadata: { name: "s", namespace: "default" } }))).toEqual(
        refused(400, "BadRequest"),
      );
      await createSecret("s");
      const renaming = { metadata: { name: "t" } };
      expect(refusal(await cluster.request("PATCH", `${secrets}/s`, renaming, mergeType))).toEqual(
        refused(400, "BadRequest"),
      );
      expect(refusal(await cluster.request("PATCH", `${secrets}/t`, {}, mergeType))).toEqual(refused(404, "NotFound"));
    });

    test("are deleted once", async () => {
      await createSecret("s");
      const deleted = await cluster.request("DELETE", `${secrets}/s`);
      expect([deleted.status, at(deleted.body, "status")]).toEqual([200, "Success"]);
      expect(refusal(await cluster.request("GET", `${secrets}/s`))).toEqual(refused(404, "NotFound"));
      expect(refusal(await cluster.request("DELETE", `${secrets}/s`))).toEqual(refused(404, "NotFound"));
    });

    test("are patched by merging, null removing", async () => {
      const created = await createSecret("s", { metadata: { name: "s", labels: { keep: "1", drop: "1" } } });
      const patch = { metadata: { labels: { drop: null, add: "1" } }, data: { b: base64("2") } };
      const patched = await cluster.request("PATCH", `${secrets}/s`, patch, mergeType);
      expect(at(patched.body, "metadata", "labels")).toEqual({ keep: "1", add: "1" });
      expect(at(patched.body, "data")).toEqual({ a: base64("1"), b: base64("2") });
      const stale = { metadata: { resourceVersion: versionOf(created) }, data: { b: base64("3") } };
      expect(refusal(await cluster.request("PATCH", `${secrets}/s`, stale, mergeType))).toEqual(
        refused(409, "Conflict"),
      );
      const unknownType = await cluster.request("PATCH", `${secrets}/s`, patch, { "content-type": "text/plain" });
      expect(unknownType.status).toBe(415);
    });
  });

  describe("lists", () => {
    test("cover one namespace or all", async () => {
      await createSecret("s");
      const first = namespace;
      const second = await newNamespace();
      await cluster.request("POST", `/api/v1/namespaces/${second}/secrets`, { metadata: { name: "s" } });
      const everywhere = items(await cluster.request("GET", "/api/v1/secrets"));
      const found = everywhere
        .filter((item) => at(item, "metadata", "name") === "s")
        .map((item) => at(item, "metadata", "namespace"));
      expect(found).toEqual(expect.arrayContaining([first, second]));
      expect(namesOf(await cluster.request("GET", secrets))).toEqual(["s"]);
    });

    test("name the kind in items of custom resources only", async () => {
      await createSecret("s");
      await createParcel("p");
      const [plain, custom] = [await cluster.request("GET", secrets), await cluster.request("GET", parcels)];
      expect([at(plain.body, "kind"), at(items(plain)[0], "kind")]).toEqual(["SecretList", undefined]);
      expect([at(custom.body, "kind"), at(items(custom)[0], "kind")]).toEqual(["ParcelList", "Parcel"]);
    });

    test("come in pages of one moment", async () => {
      for (const name of ["a", "b", "c", "d", "e"]) await createSecret(name);
      const first = await cluster.request("GET", `${secrets}?limit=2`);
      expect(namesOf(first)).toEqual(["a", "b"]);
      await createSecret("ca");
      await cluster.request("DELETE", `${secrets}/d`);
      const next = `${secrets}?limit=2&continue=${encodeURIComponent(String(at(first.body, "metadata", "continue")))}`;
      const second = await cluster.request("GET", next);
      expect(namesOf(second)).toEqual(["c", "d"]);
      expect(versionOf(second)).toBe(versionOf(first));
      const last = await cluster.request(
        "GET",
        `${secrets}?limit=2&continue=${encodeURIComponent(String(at(second.body, "metadata", "continue")))}`,
      );
      expect(namesOf(last)).toEqual(["e"]);
      expect(at(last.body, "metadata", "continue") ?? "").toBe("");
    });

    test("show metadata only, if asked", async () => {
      const created = await createSecret("s");
      const list = await cluster.request("GET", secrets, undefined, metadataList);
      expect([at(list.body, "kind"), at(list.body, "apiVersion")]).toEqual([
        "PartialObjectMetadataList",
        "meta.k8s.io/v1",
      ]);
      expect(items(list)).toHaveLength(1);
      expect(at(items(list)[0], "metadata")).toEqual(at(created.body, "metadata"));
      expect(at(items(list)[0], "data")).toBeUndefined();
      const one = await cluster.request("GET", `${secrets}/s`, undefined, metadataOnly);
      expect(one.body).toEqual({
        kind: "PartialObjectMetadata",
        apiVersion: "meta.k8s.io/v1",
        metadata: at(created.body, "metadata"),
      });
      const stream = watch(`${secrets}?watch=1&resourceVersion=${versionOf(list)}`, metadataOnly);
      await createSecret("t");
      const { object } = await event(stream, "ADDED");
      expect([at(object, "kind"), at(object, "metadata", "name"), at(object, "data")]).toEqual([
        "PartialObjectMetadata",
        "t",
        undefined,
      ]);
      stream.close();
    });
  });

  describe("watches", () => {
    test("tell what happens after a version, in order", async () => {
      await createSecret("before");
      const from = versionOf(await cluster.request("GET", secrets));
      const early = await createSecret("s");
      const stream = watch(`${secrets}?watch=1&resourceVersion=${from}`);
      await event(stream, "ADDED");
      await cluster.request("PATCH", `${secrets}/s`, { data: { a: base64("2") } }, mergeType);
      await cluster.request("DELETE", `${secrets}/s`);
      const { object } = await event(stream, "DELETED");
      expect(stream.events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
      expect(at(stream.events[0]?.object, "metadata", "resourceVersion")).toBe(versionOf(early));
      expect(at(stream.events[0]?.object, "kind")).toBe("Secret");
      const versions = stream.events.map((item) => Number(at(item.object, "metadata", "resourceVersion")));
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
      expect(new Set(versions).size).toBe(3);
      expect(at(object, "data")).toEqual({ a: base64("2") });
      stream.close();
    });

    test("end when their time is up, with bookmarks before", async () => {
      const from = versionOf(await cluster.request("GET", secrets));
      const stream = watch(`${secrets}?watch=1&resourceVersion=${from}&allowWatchBookmarks=true&timeoutSeconds=4`);
      // A bookmark comes only when there is something newer of that kind, here outside the watched namespace.
      await cluster.request("POST", `/api/v1/namespaces/${await newNamespace()}/secrets`, { metadata: { name: "s" } });
      const { object } = await event(stream, "BOOKMARK");
      expect(at(object, "kind")).toBe("Secret");
      expect(Number(at(object, "metadata", "resourceVersion"))).toBeGreaterThanOrEqual(Number(from));
      await cluster.waitFor("the watch to end", async () => stream.ended || undefined);
      expect(stream.events.every(({ type }) => type === "BOOKMARK")).toBe(true);
    });
  });

  describe("server-side apply", () => {
    test("creates, and owns what it names", async () => {
      const applied = await applySecret("ours", { data: { a: base64("1") } });
      expect(applied.status).toBe(201);
      const [entry] = at(applied.body, "metadata", "managedFields") as unknown[];
      expect(entry).toMatchObject({ manager: "ours", operation: "Apply", apiVersion: "v1", fieldsType: "FieldsV1" });
      expect(at(entry, "fieldsV1", "f:data", "f:a")).toEqual({});
    });

    test("changes nothing when nothing is new", async () => {
      const first = await applySecret("ours", { data: { a: base64("1") } });
      const again = await applySecret("ours", { data: { a: base64("1") } });
      expect(again.status).toBe(200);
      expect(versionOf(again)).toBe(versionOf(first));
    });

    test("conflicts with another owner, names it, and takes over by force", async () => {
      await applySecret("theirs", { data: { a: base64("1"), b: base64("1") } });
      const refusedApply = await applySecret("ours", { data: { a: base64("2") } });
      expect(refusal(refusedApply)).toEqual(refused(409, "Conflict"));
      const causes = at(refusedApply.body, "details", "causes");
      expect(causes).toEqual([{ reason: "FieldManagerConflict", message: 'conflict with "theirs"', field: ".data.a" }]);
      const forced = await applySecret("ours", { data: { a: base64("2") } }, "&force=true");
      expect(at(forced.body, "data")).toEqual({ a: base64("2"), b: base64("1") });
      const back = await applySecret("theirs", { data: { a: base64("1"), b: base64("1") } });
      expect(refusal(back)).toEqual(refused(409, "Conflict"));
    });

    test("shares a field that two managers want alike", async () => {
      await applySecret("theirs", { data: { a: base64("1") } });
      expect((await applySecret("ours", { data: { a: base64("1") } })).status).toBe(200);
      const left = await applySecret("theirs", { data: {} });
      expect(at(left.body, "data")).toEqual({ a: base64("1") });
      const none = await applySecret("ours", {});
      expect(at(none.body, "data")).toBeUndefined();
    });

    test("removes what it no longer names, and nothing else", async () => {
      await applySecret("ours", {
        metadata: { name: "s", labels: { ours: "1" } },
        data: { a: base64("1"), b: base64("1") },
      });
      await cluster.request(
        "PATCH",
        `${secrets}/s?fieldManager=other`,
        { data: { c: base64("1") }, metadata: { labels: { other: "1" } } },
        mergeType,
      );
      const applied = await applySecret("ours", { data: { a: base64("1") } });
      expect(at(applied.body, "data")).toEqual({ a: base64("1"), c: base64("1") });
      expect(at(applied.body, "metadata", "labels")).toEqual({ other: "1" });
    });

    test("loses a field that somebody updates", async () => {
      await applySecret("ours", { data: { a: base64("1") } });
      await cluster.request("PATCH", `${secrets}/s?fieldManager=editor`, { data: { a: base64("2") } }, mergeType);
      const again = await applySecret("ours", { data: { a: base64("1") } });
      expect(at(again.body, "details", "causes", 0, "message")).toBe('conflict with "editor" using v1');
    });

    test("merges owner references by uid", async () => {
      const owners = [await createSecret("one"), await createSecret("two")].map((owner) => ({
        apiVersion: "v1",
        kind: "Secret",
        name: String(at(owner.body, "metadata", "name")),
        uid: uidOf(owner),
      }));
      await applySecret("theirs", { metadata: { name: "s", ownerReferences: owners.slice(0, 1) } });
      const both = await applySecret("ours", { metadata: { name: "s", ownerReferences: owners.slice(1) } });
      expect(both.status).toBe(200);
      const uids = (answer: Answer): unknown[] =>
        (at(answer.body, "metadata", "ownerReferences") as unknown[]).map((owner) => at(owner, "uid"));
      expect(uids(both).sort()).toEqual(owners.map(({ uid }) => uid).sort());
      expect(uids(await applySecret("theirs", {}))).toEqual([owners[1]?.uid]);
    });

    test("holds to the version and the uid that it names", async () => {
      const held = (more: object): Promise<Answer> =>
        applySecret("ours", { metadata: { name: "s", ...more }, data: { a: base64("1") } });
      const nobody = "00000000-0000-4000-8000-000000000000";
      expect(refusal(await held({ resourceVersion: "7", uid: nobody }))).toEqual(refused(409, "Conflict"));
      // A version that no stored object has stands for: there must be none.
      const created = await held({ resourceVersion: "1" });
      expect(created.status).toBe(201);
      expect(refusal(await held({ resourceVersion: "1" }))).toEqual(refused(409, "Conflict"));
      const same = await held({ resourceVersion: versionOf(created), uid: uidOf(created) });
      expect([same.status, versionOf(same)]).toEqual([200, versionOf(created)]);
    });

    test("is refused when it names another kind", async () => {
      expect(refusal(await applySecret("ours", { apiVersion: "v2" }))).toEqual(refused(400, "BadRequest"));
    });

    test("merges sets item by item", async () => {
      const applyTags = async (manager: string, tags: readonly string[]): Promise<unknown[]> => {
        const identity = { apiVersion: "test.sealward.dev/v1", kind: "Parcel", metadata: { name: "p" } };
        const body = { ...identity, spec: { document: "text", tags } };
        const { body: applied } = await cluster.request(
          "PATCH",
          `${parcels}/p?fieldManager=${manager}`,
          body,
          applyType,
        );
        return [...(at(applied, "spec", "tags") as unknown[])].sort();
      };
      expect(await applyTags("ours", ["a", "b"])).toEqual(["a", "b"]);
      expect(await applyTags("theirs", ["b", "c"])).toEqual(["a", "b", "c"]);
      expect(await applyTags("ours", ["d"])).toEqual(["b", "c", "d"]);
    });
  });

  describe("the status subresource", () => {
    test("is written apart from the spec, and only the spec counts as a generation", async () => {
      const created = await createParcel("p", { document: "text" }, { status: { environment: "ignored" } });
      expect([at(created.body, "status"), at(created.body, "metadata", "generation")]).toEqual([undefined, 1]);
      const both = { spec: { document: "ignored" }, status: { environment: "prod" } };
      const status = await cluster.request("PATCH", `${parcels}/p/status`, both, mergeType);
      expect([
        at(status.body, "spec", "document"),
        at(status.body, "status", "environment"),
        at(status.body, "metadata", "generation"),
      ]).toEqual(["text", "prod", 1]);
      const patch = { spec: { document: "changed" }, status: { environment: "ignored" } };
      const changed = await cluster.request("PATCH", `${parcels}/p`, patch, mergeType);
      expect([
        at(changed.body, "spec", "document"),
        at(changed.body, "status", "environment"),
        at(changed.body, "metadata", "generation"),
      ]).toEqual(["changed", "prod", 2]);
      const labelled = await cluster.request("PATCH", `${parcels}/p`, { metadata: { labels: { a: "b" } } }, mergeType);
      expect(at(labelled.body, "metadata", "generation")).toBe(2);
      const removed = await cluster.request(
        "PATCH",
        `${parcels}/p/status`,
        { status: { environment: null } },
        mergeType,
      );
      expect([at(removed.body, "status", "environment"), at(removed.body, "metadata", "generation")]).toEqual([
        undefined,
        2,
      ]);
    });

    test("answers a stale write with a conflict and keeps its version when nothing changes", async () => {
      const created = await createParcel("p");
      const write = (environment: string, resourceVersion?: string): Promise<Answer> => {
        const patch = { metadata: { resourceVersion }, status: { environment } };
        return cluster.request("PATCH", `${parcels}/p/status`, patch, mergeType);
      };
      const first = await write("prod", versionOf(created));
      expect(first.status).toBe(200);
      const stale = await write("dev", versionOf(created));
      expect(refusal(stale)).toEqual(refused(409, "Conflict"));
      expect(at(stale.body, "details")).toMatchObject({ name: "p", kind: "parcels" });
      expect(versionOf(await write("prod"))).toBe(versionOf(first));
    });
  });

  describe("custom resources", () => {
    test("lose unknown fields and gain defaults", async () => {
      const created = await createParcel("p", { document: "text", unknown: 1, labels: { any: "thing" } });
      expect(at(created.body, "spec")).toEqual({ document: "text", scope: "strict", labels: { any: "thing" } });
    });

    test.each([
      ["a missing field", {}, "spec.document"],
      ["a wrong type", { document: 1 }, "spec.document"],
      ["too short a text", { document: "t" }, "spec.document"],
      ["too long a text", { document: "t".repeat(21) }, "spec.document"],
      ["a value outside an enum", { document: "text", scope: "loose" }, "spec.scope"],
      ["a text that does not match", { document: "text", digest: "md5:0" }, "spec.digest"],
      ["too short a list", { document: "text", names: [] }, "spec.names"],
      ["a repeated item in a set", { document: "text", tags: ["a", "a"] }, "spec.tags[1]"],
      ["a wrong type in a map", { document: "text", labels: { a: 1 } }, "spec.labels.a"],
    ])("with %s are refused", async (_what, spec, field) => {
      const answer = await createParcel("p", spec);
      expect(refusal(answer)).toEqual(refused(422, "Invalid"));
      expect(at(answer.body, "details")).toMatchObject({ name: "p", group: "test.sealward.dev", kind: "Parcel" });
      expect(at(answer.body, "details", "causes", 0, "field")).toBe(field);
    });

    test("take nulls for nothing", async () => {
      const nothing = await createParcel("p", { document: null });
      expect(at(nothing.body, "details", "causes")).toMatchObject([
        { reason: "FieldValueRequired", field: "spec.document" },
      ]);
      const dropped = await createParcel("p", { document: "text", names: null });
      expect(at(dropped.body, "spec")).toEqual({ document: "text", scope: "strict" });
    });

    test("of an unknown kind do not exist, nor do kinds in the wrong place", async () => {
      expect((await cluster.request("GET", "/apis/test.sealward.dev/v1/others")).status).toBe(404);
      const misplaced = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/clusterroles`;
      expect((await cluster.request("GET", misplaced)).status).toBe(404);
    });

    test("are served once their definition is established", async () => {
      await cluster.apply(definition.replaceAll("parcel", "crate").replaceAll("Parcel", "Crate"));
      expect(await exists(`/apis/test.sealward.dev/v1/namespaces/${namespace}/crates`)).toBe(true);
    });
  });

  describe("Secrets", () => {
    test("take stringData into data", async () => {
      const created = await createSecret("s", { stringData: { a: "over", b: "text" } });
      expect([at(created.body, "data"), at(created.body, "stringData")]).toEqual([
        { a: base64("over"), b: base64("text") },
        undefined,
      ]);
    });

    test("keep their type, and immutable ones their data", async () => {
      await createSecret("s");
      expect(refusal(await cluster.request("PATCH", `${secrets}/s`, { type: "other" }, mergeType))).toEqual(
        refused(422, "Invalid"),
      );
      await cluster.request("PATCH", `${secrets}/s`, { immutable: true }, mergeType);
      const changed = await cluster.request("PATCH", `${secrets}/s`, { data: { a: base64("2") } }, mergeType);
      expect(refusal(changed)).toEqual(refused(422, "Invalid"));
      expect(at(changed.body, "details", "causes", 0, "field")).toBe("data");
      expect(refusal(await cluster.request("PATCH", `${secrets}/s`, { immutable: false }, mergeType))).toEqual(
        refused(422, "Invalid"),
      );
      expect(
        (await cluster.request("PATCH", `${secrets}/s`, { metadata: { labels: { a: "b" } } }, mergeType)).status,
      ).toBe(200);
    });

    test.each([
      ["kubernetes.io/tls", {}, ["data[tls.crt]", "data[tls.key]"]],
      ["kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]"]],
      ["kubernetes.io/dockerconfigjson", { ".dockerconfigjson": base64("not json") }, ["data[.dockerconfigjson]"]],
      ["kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]"]],
      ["kubernetes.io/basic-auth", {}, ["data[username]", "data[password]"]],
      ["Opaque", { "no/slash": "" }, ["data[no/slash]"]],
    ])("of type %s must have its keys: %j", async (type, data, fields) => {
      const answer = await createSecret("s", { type, data });
      expect(refusal(answer)).toEqual(refused(422, "Invalid"));
      const causes = at(answer.body, "details", "causes") as unknown[];
      // 1.20 writes some of these fields as "data[%s][key]".
      expect(causes.map((cause) => String(at(cause, "field")).replace("[%s]", ""))).toEqual(fields);
    });

    test("of type kubernetes.io/tls are kept as they are, whatever the keys hold", async () => {
      expect(
        (await createSecret("s", { type: "kubernetes.io/tls", data: { "tls.crt": "", "tls.key": "" } })).status,
      ).toBe(201);
    });

    test("hold base64 only, and a mebibyte at most", async () => {
      expect(refusal(await createSecret("s", { data: { a: "%%%" } }))).toEqual(refused(400, "BadRequest"));
      const big = await createSecret("s", { data: { a: Buffer.alloc(1_048_577).toString("base64") } });
      expect(refusal(big)).toEqual(refused(422, "Invalid"));
    });
  });

  describe("Events", () => {
    const eventAbout = (regarding: object): object => ({
      metadata: { name: `p.${randomBytes(4).toString("hex")}` },
      eventTime: "2026-01-02T03:04:05.000006Z",
      reportingController: "sealward.dev/controller",
      reportingInstance: "one",
      action: "Open",
      reason: "Opened",
      type: "Normal",
      note: "opened",
      regarding,
    });
    const about = { apiVersion: "test.sealward.dev/v1", kind: "Parcel", name: "p" };
    const post = async (place: string, body: object): Promise<number> =>
      (await cluster.request("POST", `/apis/events.k8s.io/v1/namespaces/${place}/events`, body)).status;

    test("about cluster-scoped objects are kept in kube-system only", async () => {
      expect(await post(namespace, eventAbout({ ...about, namespace }))).toBe(201);
      expect(await post("kube-system", eventAbout(about))).toBe(201);
      expect(await post(namespace, eventAbout(about))).toBe(422);
    });

    test.each([
      ["no reporter", { reportingController: "" }],
      ["no time", { eventTime: null }],
      ["an unknown type", { type: "Other" }],
      ["too long a note", { note: "x".repeat(1025) }],
    ])("with %s are refused", async (_what, wrong) => {
      expect(await post(namespace, { ...eventAbout({ ...about, namespace }), ...wrong })).toBe(422);
    });
  });

  describe("the controllers beside it", () => {
    const ownerOf = (answer: Answer, more: object = {}): object => ({
      apiVersion: String(at(answer.body, "apiVersion")),
      kind: String(at(answer.body, "kind")),
      name: String(at(answer.body, "metadata", "name")),
      uid: uidOf(answer),
      ...more,
    });

    test("delete what lost all its owners, and only that", async () => {
      const [one, two] = [await createSecret("one"), await createSecret("two")];
      await createSecret("s", { metadata: { name: "s", ownerReferences: [ownerOf(one)] } });
      await createSecret("t", { metadata: { name: "t", ownerReferences: [ownerOf(one), ownerOf(two)] } });
      await cluster.request("DELETE", `${secrets}/one`);
      await gone(`${secrets}/s`, 60_000);
      expect(await exists(`${secrets}/t`)).toBe(true);
    });

    test("delete what names an owner that is not there, or is another with its name", async () => {
      const one = await createSecret("one");
      await createSecret("s", {
        metadata: { name: "s", ownerReferences: [ownerOf(one, { uid: "00000000-0000-4000-8000-000000000000" })] },
      });
      await gone(`${secrets}/s`, 60_000);
      expect(await exists(`${secrets}/one`)).toBe(true);
    });

    // The real garbage collector looks for new kinds every 30 s.
    test("delete what a custom resource owned", { timeout: 120_000 }, async () => {
      const parcel = await createParcel("p");
      await createSecret("s", {
        metadata: { name: "s", ownerReferences: [ownerOf(parcel, { controller: true, blockOwnerDeletion: true })] },
      });
      await cluster.request("DELETE", `${parcels}/p`);
      await gone(`${secrets}/s`, 100_000);
    });

    test("empty a namespace that is deleted, which takes nothing new", async () => {
      await createSecret("s");
      expect((await cluster.request("DELETE", `/api/v1/namespaces/${namespace}`)).status).toBe(200);
      // While it goes, and when it is gone.
      expect([403, 404]).toContain((await createSecret("late")).status);
      await gone(`/api/v1/namespaces/${namespace}`, 60_000);
      expect(await exists(`${secrets}/s`)).toBe(false);
      expect(refusal(await createSecret("late"))).toEqual(refused(404, "NotFound"));
    });
  });

  describe("permissions", () => {
    let token = "";

    async function grant(rules: object[], kind: "Role" | "ClusterRole" = "Role"): Promise<void> {
      const binding = kind === "Role" ? "RoleBinding" : "ClusterRoleBinding";
      const name = `worker-${namespace}`;
      const metadata = { name, ...(kind === "Role" ? { namespace } : {}) };
      const group = "rbac.authorization.k8s.io";
      const subjects = [{ kind: "ServiceAccount", name: "worker", namespace }];
      const objects = [
        { apiVersion: `${group}/v1`, kind, metadata, rules },
        { apiVersion: `${group}/v1`, kind: binding, metadata, roleRef: { apiGroup: group, kind, name }, subjects },
      ];
      await cluster.apply(objects.map((object) => JSON.stringify(object)).join("\n---\n"));
    }
    /** Asks until the answer is the one expected: a real server hears of new roles a moment later. */
    async function expectAsWorker(
      status: number,
      method: string,
      path: string,
      body?: unknown,
      headers?: Record<string, string>,
    ): Promise<Answer> {
      return cluster.waitFor(
        `HTTP ${status} for ${method} ${path}`,
        async () => {
          const answer = await sendAs(cluster, token, method, path, body, headers);
          return answer.status === status ? answer : undefined;
        },
        10_000,
      );
    }

    beforeEach(async () => {
      await cluster.apply(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: worker, namespace: ${namespace}}}`);
      const file = await cluster.kubeconfigFor({ namespace, name: "worker" });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      token = credentialsIn(file).token;
    });

    test("need a token that is known", async () => {
      expect(refusal(await sendAs(cluster, "nobody", "GET", secrets))).toEqual(refused(401, "Unauthorized"));
    });

    test("end with the ServiceAccount", async () => {
      await cluster.request("DELETE", `/api/v1/namespaces/${namespace}/serviceaccounts/worker`);
      await expectAsWorker(401, "GET", secrets);
    });

    test("are none at first", async () => {
      const answer = await sendAs(cluster, token, "GET", `${secrets}/s`);
      expect(refusal(answer)).toEqual(refused(403, "Forbidden"));
      expect(at(answer.body, "message")).toContain(
        `"system:serviceaccount:${namespace}:worker" cannot get resource "secrets"`,
      );
      expect(at(answer.body, "details")).toMatchObject({ name: "s", kind: "secrets" });
    });

    test("of a Role hold in its namespace, for its verbs", async () => {
      await createSecret("s");
      await grant([{ apiGroups: [""], resources: ["secrets"], verbs: ["get", "list"] }]);
      await expectAsWorker(200, "GET", `${secrets}/s`);
      expect((await sendAs(cluster, token, "GET", secrets)).status).toBe(200);
      expect((await sendAs(cluster, token, "GET", `${secrets}?watch=1&timeoutSeconds=1`)).status).toBe(403);
      expect((await sendAs(cluster, token, "GET", "/api/v1/secrets")).status).toBe(403);
      expect((await sendAs(cluster, token, "DELETE", `${secrets}/s`)).status).toBe(403);
      expect((await sendAs(cluster, token, "GET", parcels)).status).toBe(403);
    });

    test("of a ClusterRole hold everywhere", async () => {
      await grant([{ apiGroups: ["test.sealward.dev"], resources: ["*"], verbs: ["*"] }], "ClusterRole");
      await expectAsWorker(200, "GET", "/apis/test.sealward.dev/v1/parcels");
      expect((await sendAs(cluster, token, "GET", secrets)).status).toBe(403);
    });

    test("may be limited to names", async () => {
      await createSecret("s");
      await grant([{ apiGroups: [""], resources: ["secrets"], resourceNames: ["s"], verbs: ["get", "list"] }]);
      await expectAsWorker(200, "GET", `${secrets}/s`);
      expect((await sendAs(cluster, token, "GET", `${secrets}/t`)).status).toBe(403);
      expect((await sendAs(cluster, token, "GET", secrets)).status).toBe(403);
    });

    test("to patch do not create, even by applying", async () => {
      await grant([{ apiGroups: [""], resources: ["secrets"], verbs: ["patch"] }]);
      const body = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } };
      await createSecret("s");
      await expectAsWorker(200, "PATCH", `${secrets}/s?fieldManager=w`, body, applyType);
      const path = `${secrets}/t?fieldManager=w`;
      const answer = await sendAs(cluster, token, "PATCH", path, { ...body, metadata: { name: "t" } }, applyType);
      expect(refusal(answer)).toEqual(refused(403, "Forbidden"));
      await grant([{ apiGroups: [""], resources: ["secrets"], verbs: ["patch", "create"] }]);
      await expectAsWorker(201, "PATCH", path, { ...body, metadata: { name: "t" } }, applyType);
    });

    test("on a resource do not cover its status", async () => {
      await createParcel("p");
      await grant([{ apiGroups: ["test.sealward.dev"], resources: ["parcels"], verbs: ["get", "patch"] }]);
      await expectAsWorker(200, "GET", `${parcels}/p`);
      const patch = { status: { environment: "prod" } };
      expect((await sendAs(cluster, token, "PATCH", `${parcels}/p/status`, patch, mergeType)).status).toBe(403);
      await grant([{ apiGroups: ["test.sealward.dev"], resources: ["parcels/status"], verbs: ["patch"] }]);
      await expectAsWorker(200, "PATCH", `${parcels}/p/status`, patch, mergeType);
    });
  });

  // Last: these restart the real server.
  describe("the server itself", () => {
    test("has the same state at the same address after a restart, and drops its watches", async () => {
      const created = await createSecret("s");
      const stream = watch(`${secrets}?watch=1&resourceVersion=${versionOf(created)}`);
      await cluster.waitFor("the watch to be open", async () => stream.status);
      await cluster.restart();
      await cluster.waitFor("the watch to be dropped", async () => stream.ended || undefined);
      expect((await cluster.request("GET", `${secrets}/s`)).body).toEqual(created.body);
      const resumed = watch(`${secrets}?watch=1&resourceVersion=${versionOf(await cluster.request("GET", secrets))}`);
      await createSecret("t");
      expect(at((await event(resumed, "ADDED")).object, "metadata", "name")).toBe("t");
      resumed.close();
    });

    test("answers 410 for history that was compacted: a watch in its stream, a page by status", async () => {
      const first = await createSecret("a");
      await createSecret("b");
      const page = await cluster.request("GET", `${secrets}?limit=1`);
      await createSecret("c");
      await cluster.compact();
      const stream = watch(`${secrets}?watch=1&resourceVersion=${versionOf(first)}`);
      const { object } = await event(stream, "ERROR");
      expect([stream.status, at(object, "kind"), at(object, "code"), at(object, "reason")]).toEqual([
        200,
        "Status",
        410,
        "Expired",
      ]);
      await cluster.waitFor("the watch to end", async () => stream.ended || undefined);
      const next = await cluster.request(
        "GET",
        `${secrets}?limit=1&continue=${encodeURIComponent(String(at(page.body, "metadata", "continue")))}`,
      );
      expect(refusal(next)).toEqual(refused(410, "Expired"));
      const current = watch(`${secrets}?watch=1&resourceVersion=${versionOf(await cluster.request("GET", secrets))}`);
      await createSecret("d");
      await event(current, "ADDED");
      current.close();
    });
  });
});

test("a wait that is in vain says what for", async () => {
  const cluster = await startEmbedded();
  await expect(cluster.waitFor("the moon", async () => undefined, 1)).rejects.toThrow("waited 1 ms for the moon");
  await cluster.stop();
});
