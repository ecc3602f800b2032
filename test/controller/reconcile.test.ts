import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { applySecret } from "../../controller/apply-secret.ts";
import { ClusterError } from "../../controller/cluster-error.ts";
import type { BoundSecret } from "../../controller/resources.ts";
import { openSealed } from "../../src/index.ts";
import { availableClusters } from "../support/kube/cluster.ts";
import { canary, environmentObject, keyed, keySecret, ownNamespace, Stage, seal } from "./stage.ts";

const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");
const lineOf = (document: string, key: string): string => {
  const line = document.split("\n").find((one) => one.trim().startsWith(`${key}:`));
  if (line === undefined) throw new Error(`no line ${key}`);
  return line;
};

describe.each(availableClusters())("reconcile on the $name API server", ({ start }) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await Stage.open(start);
    await stage.startController();
  });

  afterEach(async () => {
    expect(await stage.changedBySecondPass(), "changed by a second pass").toEqual([]);
    const spoken = await stage.spoken();
    expect(spoken).not.toContain(canary);
    expect(spoken).not.toContain(base64(canary).slice(0, 20));
    expect(spoken).not.toContain("AGE-SECRET-KEY");
  });

  afterAll(async () => {
    await stage?.close();
  });

  it("opens a file sealed for prod in a prod namespace, as a Secret that it owns", async () => {
    const metadata = '  labels:\n    team: pay\n  annotations:\n    example.org/note: "n"\n';
    await stage.bind("payments", "db", await seal(stage.prod, { name: "db", namespace: "payments", metadata }));
    const conditions = await stage.untilReason("payments", "db", "Applied");
    const bound = await stage.boundSecret("payments", "db");
    const secret = await stage.secret("payments", "db");

    expect(secret).toMatchObject({ type: "Opaque", data: { PASSWORD: base64(canary) } });
    expect(secret?.metadata.labels).toEqual({ team: "pay", "app.kubernetes.io/managed-by": "sealward" });
    expect(secret?.metadata.annotations).toMatchObject({ "example.org/note": "n", "sealward.dev/environment": "prod" });
    expect(secret?.metadata.annotations).not.toHaveProperty(["sealward.dev/binding"]);
    expect(secret?.metadata.ownerReferences).toEqual([
      expect.objectContaining({
        kind: "BoundSecret",
        name: "db",
        uid: bound.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      }),
    ]);
    expect(
      Object.fromEntries(Object.entries(conditions).map(([type, { status, reason }]) => [type, `${status} ${reason}`])),
    ).toEqual({
      EnvironmentMatched: "True Matched",
      Verified: "True Opened",
      Synced: "True Applied",
      Ready: "True Applied",
    });
    expect(bound.status).toMatchObject({ observedGeneration: 1, environment: "prod" });
    expect(bound.status?.documentDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it("writes one event for each transition, and none for a pass that changed nothing", async () => {
    await stage.bind("payments", "told", await seal(stage.prod, { name: "told", namespace: "payments" }));
    await stage.untilReason("payments", "told", "Applied");
    await stage.changedBySecondPass();
    await stage.bind("payments", "told", "not: sealed\n");
    await stage.untilReason("payments", "told", "NotASecret");
    const told = await stage.cluster.waitFor("two events", async () => {
      const events = (await stage.events("payments")).filter(({ regarding }) => regarding.name === "told");
      return events.length >= 2 ? events : undefined;
    });
    expect(told.map(({ reason, type }) => `${type} ${reason}`).sort()).toEqual([
      "Normal Applied",
      "Warning NotASecret",
    ]);
  });

  it("writes events about Environments, which are in no namespace, as well", async () => {
    await stage.untilEnvironment("prod", "Loaded");
    const told = await stage.cluster.waitFor("an event about an Environment", async () =>
      (await stage.events("kube-system")).find(({ regarding }) => regarding.name === "prod"),
    );
    expect(told).toMatchObject({ reason: "Loaded", regarding: { kind: "Environment", name: "prod" } });
    expect(stage.log.filter((line) => line.includes("event not written"))).toEqual([]);
  });

  it.each([
    ["kubernetes.io/tls", { "tls.crt": canary, "tls.key": canary }],
    [
      "kubernetes.io/dockerconfigjson",
      { ".dockerconfigjson": JSON.stringify({ auths: { "r.example": { auth: canary } } }) },
    ],
    ["kubernetes.io/basic-auth", { username: "u", password: canary }],
  ])("opens Secrets of type %s", async (type, values) => {
    const name = type.replace(/\W/g, "-");
    await stage.bind("payments", name, await seal(stage.prod, { name, namespace: "payments", type, values }));
    await stage.untilReason("payments", name, "Applied");
    const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, base64(value)]));
    expect(await stage.secret("payments", name)).toMatchObject({ type, data });
  });

  it("refuses a file sealed for prod in a staging namespace, in a message that names both", async () => {
    await stage.bind("shop", "db", await seal(stage.prod, { name: "db", namespace: "shop" }));
    const { EnvironmentMatched, Verified, Ready } = await stage.untilReason("shop", "db", "EnvironmentMismatch");
    expect(EnvironmentMatched?.status).toBe("False");
    expect(Verified?.status).toBe("Unknown");
    expect(Ready?.message).toContain('"prod"');
    expect(Ready?.message).toContain('"staging"');
    expect(await stage.secret("shop", "db")).toBeNull();
  });

  describe("refusals: nothing of the document is written", () => {
    const good = (name: string, change: object = {}): Promise<string> =>
      seal(stage.prod, { name, namespace: "payments", ...change });
    const other = (): Promise<string> => seal(stage.prod, { name: "other", namespace: "payments" });
    const two = { values: { A: `${canary}-a`, B: `${canary}-b` } };
    const table: readonly [title: string, reason: string, document: (name: string) => string | Promise<string>][] = [
      ["a file for another namespace", "TargetMismatch", (name) => seal(stage.prod, { name, namespace: "ledger" })],
      ["a file for another name", "TargetMismatch", () => other()],
      [
        "a file for another name, renamed",
        "BindingMismatch",
        async (name) => (await other()).replace("name: other", `name: ${name}`),
      ],
      [
        "another type",
        "BindingMismatch",
        async (name) => (await good(name)).replace("type: Opaque", "type: example.org/x"),
      ],
      ["a claim of another environment", "BindingMismatch", (name) => relabelled(name)],
      [
        "a binding removed",
        "Unbound",
        async (name) => (await good(name)).replace(/^ *sealward\.dev\/binding:.*\n/m, ""),
      ],
      [
        "a binding from another file",
        "NotAuthentic",
        async (name) => {
          const document = await good(name);
          return document.replace(
            lineOf(document, "sealward.dev/binding"),
            lineOf(await other(), "sealward.dev/binding"),
          );
        },
      ],
      [
        "a label added",
        "BindingMismatch",
        async (name) => (await good(name)).replace("  annotations:", "  labels:\n    a: b\n  annotations:"),
      ],
      [
        "immutable added",
        "BindingMismatch",
        async (name) => (await good(name)).replace("type: Opaque", "type: Opaque\nimmutable: true"),
      ],
      [
        "values exchanged",
        "NotAuthentic",
        async (name) => {
          const document = await good(name, two);
          const [a, b] = [lineOf(document, "A"), lineOf(document, "B")];
          return document.replace(a, b.replace("B:", "@:")).replace(b, a.replace("A:", "B:")).replace("@:", "A:");
        },
      ],
      [
        "a value removed",
        "BindingMismatch",
        async (name) => {
          const document = await good(name, two);
          return document.replace(`${lineOf(document, "A")}\n`, "");
        },
      ],
      [
        "a value in the clear",
        "ShapeInvalid",
        async (name) => (await good(name)).replace(/PASSWORD: .*/, `PASSWORD: ${canary}`),
      ],
      [
        "a narrowed encrypted_regex",
        "ShapeInvalid",
        async (name) => (await good(name)).replace(/encrypted_regex: .*/, "encrypted_regex: ^data$"),
      ],
      [
        "an unknown field",
        "ShapeInvalid",
        async (name) => (await good(name)).replace("type: Opaque", "type: Opaque\nextra: 1"),
      ],
      ["a foreign recipient", "RecipientForeign", (name) => seal(withAnother(), { name, namespace: "payments" })],
      [
        "a type that mints credentials",
        "SecretTypeForbidden",
        async (name) => (await good(name)).replace("type: Opaque", "type: kubernetes.io/service-account-token"),
      ],
      [
        "a Secret that is not sealed",
        "NotSealed",
        (name) =>
          `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}, namespace: payments}\nstringData: {A: ${canary}}\n`,
      ],
      [
        "a manifest that is no Secret",
        "NotASecret",
        () => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {A: ${canary}}\n`,
      ],
      ["something that is not YAML", "NotYaml", () => `{"${canary}`],
      ["a key twice", "DuplicateKey", async (name) => `${await good(name)}kind: Secret\n`],
      ["several documents", "SeveralDocuments", async (name) => `${await good(name)}---\na: ${canary}\n`],
      ["an alias bomb", "ShapeInvalid", async (name) => bomb(await good(name))],
      ["maps within maps", "TooDeep", () => `${"{a: ".repeat(200)}1${"}".repeat(200)}\n`],
      ["a file cut off in the middle", "NotSealed", async (name) => (await good(name)).slice(0, 400)],
      ["as much text as a BoundSecret holds", "NotASecret", () => `a: ${"x".repeat(1_000_000)}\n`],
      ["an empty document", "NotYaml", () => "\n"],
    ];
    const bomb = (document: string): string => {
      const levels = [..."abcdefghi"].map(
        (key, level, all) => `${key}: &${key} [${`*${all[level - 1]}, `.repeat(level && 9)}x]`,
      );
      return `${document}bomb:\n  ${levels.join("\n  ")}\n`;
    };
    const withAnother = () => {
      const { policy, secretKey } = stage.prod;
      return {
        policy: { ...policy, ageRecipients: [...policy.ageRecipients, ...keyed("x").policy.ageRecipients] },
        secretKey,
      };
    };
    // Sealed for staging with prod's recipient, then relabelled: only the binding can tell.
    const relabelled = async (name: string): Promise<string> => {
      const { policy, secretKey } = stage.prod;
      const document = await seal(
        { policy: { ...policy, name: "staging" }, secretKey },
        { name, namespace: "payments" },
      );
      return document.replace("sealward.dev/environment: staging", "sealward.dev/environment: prod");
    };

    it.each(table.map(([title, reason, document], index) => ({ title, reason, document, name: `refused-${index}` })))(
      "$title is $reason",
      async ({ reason, document, name }) => {
        await stage.bind("payments", name, await document(name));
        const { Ready, Synced } = await stage.untilReason("payments", name, reason);
        expect(Ready?.status).toBe("False");
        expect(Synced).toMatchObject({ status: "False", reason });
        expect(Ready?.message.length).toBeGreaterThan(10);
        expect(await stage.secret("payments", name)).toBeNull();
      },
    );
  });

  it("keeps the last good Secret when a new document is refused, and goes on with the next good one", async () => {
    const plain = { name: "kept", namespace: "payments" };
    await stage.bind("payments", "kept", await seal(stage.prod, plain));
    await stage.untilReason("payments", "kept", "Applied");
    const before = await stage.secret("payments", "kept");
    const digest = (await stage.boundSecret("payments", "kept")).status?.documentDigest;
    await stage.bind("payments", "kept", await seal(stage.staging, plain));
    await stage.untilReason("payments", "kept", "EnvironmentMismatch");
    expect(await stage.secret("payments", "kept")).toEqual(before);
    expect((await stage.boundSecret("payments", "kept")).status?.documentDigest).toBe(digest);
    await stage.bind("payments", "kept", await seal(stage.prod, { ...plain, values: { NEW: canary } }));
    await stage.untilReason("payments", "kept", "Applied");
    expect((await stage.secret("payments", "kept"))?.data).toEqual({ NEW: base64(canary) });
  });

  it("repairs what others changed in a Secret, and leaves what they added", async () => {
    await stage.bind("payments", "drift", await seal(stage.prod, { name: "drift", namespace: "payments" }));
    await stage.untilReason("payments", "drift", "Applied");
    await stage.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "drift", namespace: "payments", labels: { mine: "yes" } },
      data: { PASSWORD: base64("changed") },
    });
    expect((await stage.secret("payments", "drift"))?.data).toEqual({ PASSWORD: base64("changed") });
    await stage.changedBySecondPass();
    const secret = await stage.secret("payments", "drift");
    expect(secret?.data).toEqual({ PASSWORD: base64(canary) });
    expect(secret?.metadata.labels).toMatchObject({ mine: "yes" });
  });

  describe("ownership", () => {
    it("refuses a Secret of somebody else, changes nothing in it, and goes on when it is gone", async () => {
      const foreign = {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "foreign", namespace: "payments" },
        data: { A: "YQ==" },
      };
      await stage.apply(foreign);
      const before = await stage.secret("payments", "foreign");
      await stage.bind("payments", "foreign", await seal(stage.prod, { name: "foreign", namespace: "payments" }));
      const { Verified, Ready } = await stage.untilReason("payments", "foreign", "SecretNotOwned");
      expect(Verified?.status).toBe("True");
      expect(Ready?.message).toContain("payments/foreign");
      expect(await stage.secret("payments", "foreign")).toEqual(before);
      await stage.remove("/api/v1/namespaces/payments/secrets/foreign");
      await stage.untilReason("payments", "foreign", "Applied");
      expect((await stage.secret("payments", "foreign"))?.data).toEqual({ PASSWORD: base64(canary) });
    });

    it.each([
      ["with the same key", { PASSWORD: "YQ==" }],
      ["with other keys, where server-side apply alone would have merged", { OTHER: "YQ==" }],
    ])("does not touch a Secret that appears between the look and the write, %s", async (_, data) => {
      const name = `late-${Object.keys(data)[0]?.toLowerCase()}`;
      await stage.apply({ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "payments" }, data });
      const before = await stage.secret("payments", name);
      const bound: BoundSecret = {
        metadata: { name, namespace: "payments", uid: "11111111-0000-4000-8000-000000000000", resourceVersion: "5" },
      };
      const opened = await openProd(await seal(stage.prod, { name, namespace: "payments" }), name);
      const blind = { ...stage.client, get: async () => null };
      await expect(applySecret(blind, bound, opened)).rejects.toMatchObject({ name: "ClusterError", kind: "conflict" });
      expect(await stage.secret("payments", name)).toEqual(before);
    });

    it("does not bring back a Secret that was deleted between the look and the write", async () => {
      const bound: BoundSecret = {
        metadata: {
          name: "gone",
          namespace: "payments",
          uid: "11111111-0000-4000-8000-000000000000",
          resourceVersion: "5",
        },
      };
      const opened = await openProd(await seal(stage.prod, { name: "gone", namespace: "payments" }), "gone");
      const seen = {
        metadata: {
          ...bound.metadata,
          uid: "22222222-0000-4000-8000-000000000000",
          ownerReferences: [{ apiVersion: "v", kind: "k", name: "n", uid: bound.metadata.uid }],
        },
      };
      const stale = { ...stage.client, get: async <T>() => seen as T };
      await expect(applySecret(stale, bound, opened)).rejects.toMatchObject({ kind: "conflict" });
      expect(await stage.secret("payments", "gone")).toBeNull();
    });

    const openProd = async (document: string, name: string) => {
      const { parseAgeIdentities } = await import("../../src/index.ts");
      const expectation = { environment: stage.prod.policy, target: { namespace: "payments", name } };
      return openSealed(document, expectation, await parseAgeIdentities(stage.prod.secretKey, "test"));
    };

    it("reports what the API server refuses, without values, and leaves the Secret as it was", async () => {
      const plain = { name: "typed", namespace: "payments" };
      await stage.bind("payments", "typed", await seal(stage.prod, plain));
      await stage.untilReason("payments", "typed", "Applied");
      const before = await stage.secret("payments", "typed");
      await stage.bind("payments", "typed", await seal(stage.prod, { ...plain, type: "example.org/other" }));
      const { Synced, Verified } = await stage.untilReason("payments", "typed", "SecretRejected");
      expect(Verified?.status).toBe("True");
      expect(Synced?.message).toContain("type (FieldValueInvalid)");
      expect(await stage.secret("payments", "typed")).toEqual(before);
    });

    // A real garbage collector looks for new kinds, such as ours, every 30 seconds only.
    it("leaves the Secret to the garbage collector when the BoundSecret goes", { timeout: 120_000 }, async () => {
      await stage.bind("payments", "leaving", await seal(stage.prod, { name: "leaving", namespace: "payments" }));
      await stage.untilReason("payments", "leaving", "Applied");
      await stage.remove("/apis/sealward.dev/v1alpha1/namespaces/payments/boundsecrets/leaving");
      const collected = async () => (await stage.secret("payments", "leaving")) === null || undefined;
      await stage.cluster.waitFor("the Secret to be collected", collected, 100_000);
    });
  });

  describe("environments", () => {
    it("are Ready with the recipients whose identities they hold", async () => {
      const { Ready } = await stage.untilEnvironment("prod", "Loaded");
      expect(Ready).toMatchObject({
        status: "True",
        message: expect.stringContaining(stage.prod.policy.ageRecipients[0] ?? "?"),
      });
      expect(Ready?.message).toContain("sealward-age-prod");
    });

    it("may arrive later than the BoundSecret, and so may their key Secret", async () => {
      const late = keyed("late");
      await stage.namespace("late-ns");
      await stage.bind("late-ns", "db", await seal(late, { name: "db", namespace: "late-ns" }));
      const { Ready } = await stage.untilReason("late-ns", "db", "NamespaceUngoverned");
      expect(Ready?.message).toContain('"late-ns"');
      await stage.apply(environmentObject(late, { names: ["late-ns"] }));
      await stage.untilReason("late-ns", "db", "IdentityMissing");
      expect((await stage.untilEnvironment("late", "IdentityMissing"))["Ready"]?.message).toContain(
        "sealward-system/sealward-age-late",
      );
      await stage.apply(keySecret(late));
      await stage.untilReason("late-ns", "db", "Applied");
      await stage.untilEnvironment("late", "Loaded");
    });

    it("that both govern a namespace open nothing there, until one lets go", async () => {
      const rival = keyed("rival");
      await stage.namespace("torn");
      await stage.apply(keySecret(rival));
      await stage.apply(environmentObject(rival, { names: ["torn"] }));
      await stage.apply(environmentObject(keyed("aspirant"), { names: ["torn"] }));
      await stage.bind("torn", "db", await seal(rival, { name: "db", namespace: "torn" }));
      const { Ready } = await stage.untilReason("torn", "db", "NamespaceContested");
      expect(Ready?.message).toContain('"aspirant" and "rival"');
      expect(await stage.secret("torn", "db")).toBeNull();
      await stage.remove("/apis/sealward.dev/v1alpha1/environments/aspirant");
      await stage.untilReason("torn", "db", "Applied");
    });

    it("reach a namespace by a label that comes later, but not with environment scope", async () => {
      const labelled = keyed("labelled");
      await stage.namespace("tenant");
      await stage.apply(keySecret(labelled));
      await stage.apply(environmentObject(labelled, { selector: { matchLabels: { env: "labelled" } } }));
      await stage.bind("tenant", "strict", await seal(labelled, { name: "strict", namespace: "tenant" }));
      await stage.bind(
        "tenant",
        "wide",
        await seal(labelled, { name: "wide", namespace: "tenant", scope: "environment" }),
      );
      await stage.untilReason("tenant", "strict", "NamespaceUngoverned");
      await stage.namespace("tenant", { env: "labelled" });
      await stage.untilReason("tenant", "strict", "Applied");
      const { Ready } = await stage.untilReason("tenant", "wide", "ScopeNotAllowed");
      expect(Ready?.message).toContain("listed by name");
      expect(await stage.secret("tenant", "wide")).toBeNull();
      await stage.apply(environmentObject(labelled, { names: ["tenant"] }));
      await stage.untilReason("tenant", "wide", "Applied");
    });

    it("that are not valid open nothing and name the field", async () => {
      const broken = keyed("broken");
      await stage.namespace("broken-ns");
      await stage.apply(environmentObject(broken, { names: ["broken-ns"], selector: {} }));
      await stage.bind("broken-ns", "db", await seal(broken, { name: "db", namespace: "broken-ns" }));
      for (const { Ready } of [
        await stage.untilEnvironment("broken", "EnvironmentInvalid"),
        await stage.untilReason("broken-ns", "db", "EnvironmentInvalid"),
      ]) {
        expect(Ready?.message).toContain("spec.namespaces.selector is empty");
      }
    });

    it("with the identity of someone else, or a mistyped one, open nothing and quote no key", async () => {
      const owner = keyed("owner");
      const stranger = keyed("stranger");
      await stage.namespace("owner-ns");
      await stage.apply(environmentObject(owner, { names: ["owner-ns"] }));
      await stage.apply(keySecret({ policy: owner.policy, secretKey: stranger.secretKey }));
      await stage.bind("owner-ns", "db", await seal(owner, { name: "db", namespace: "owner-ns" }));
      await stage.untilReason("owner-ns", "db", "IdentityUnmatched");
      await stage.untilEnvironment("owner", "IdentityUnmatched");
      const mistyped = owner.secretKey.replace(/.$/, (last) => (last === "Q" ? "P" : "Q"));
      await stage.apply(keySecret({ policy: owner.policy, secretKey: mistyped }));
      await stage.untilReason("owner-ns", "db", "IdentityInvalid");
      const { Ready } = await stage.untilEnvironment("owner", "IdentityInvalid");
      expect(Ready?.message).toContain("line 2");
      expect(await stage.spoken()).not.toContain(mistyped.slice(20, 40));
      await stage.apply(keySecret(owner));
      await stage.untilReason("owner-ns", "db", "Applied");
    });

    it("note a missing recipient and stay ready, unless they are strict", async () => {
      const growing = keyed("growing");
      await stage.namespace("growing-ns");
      await stage.apply(keySecret(growing));
      const recipients = {
        recipients: { age: [...growing.policy.ageRecipients, ...stage.staging.policy.ageRecipients] },
      };
      await stage.apply(environmentObject(growing, { names: ["growing-ns"] }, recipients));
      await stage.bind("growing-ns", "db", await seal(growing, { name: "db", namespace: "growing-ns" }));
      const { Verified, Ready } = await stage.untilReason("growing-ns", "db", "Applied");
      expect(Verified?.message).toContain(stage.staging.policy.ageRecipients[0]);
      expect(Ready?.status).toBe("True");
      await stage.apply(
        environmentObject(growing, { names: ["growing-ns"] }, { ...recipients, strictRecipients: true }),
      );
      await stage.untilReason("growing-ns", "db", "RecipientMissing");
      expect(await stage.secret("growing-ns", "db")).not.toBeNull();
    });

    it("never reach the controller's own namespace", async () => {
      await stage.apply(environmentObject(keyed("greedy"), { names: [ownNamespace] }));
      await stage.bind(ownNamespace, "db", await seal(stage.prod, { name: "db", namespace: ownNamespace }));
      await stage.untilReason(ownNamespace, "db", "NamespaceProtected");
      expect(await stage.secret(ownNamespace, "db")).toBeNull();
    });
  });

  describe("rights", () => {
    it.each([
      ["list Secrets of the cluster", () => stage.client.list("/api/v1/secrets", {})],
      ["list Secrets of a governed namespace", () => stage.client.list("/api/v1/namespaces/payments/secrets", {})],
      [
        "create a BoundSecret",
        () =>
          stage.client.create("/apis/sealward.dev/v1alpha1/namespaces/payments/boundsecrets", {
            apiVersion: "sealward.dev/v1alpha1",
            kind: "BoundSecret",
            metadata: { name: "x" },
            spec: { document: "x" },
          }),
      ],
      [
        "create an Environment",
        () =>
          stage.client.create("/apis/sealward.dev/v1alpha1/environments", {
            apiVersion: "sealward.dev/v1alpha1",
            kind: "Environment",
            metadata: { name: "x" },
          }),
      ],
    ])("do not let the controller %s", async (_, attempt) => {
      const error = await attempt().then(
        () => null,
        (caught: unknown) => caught,
      );
      expect(error).toBeInstanceOf(ClusterError);
      expect(error).toMatchObject({ kind: "forbidden" });
    });

    it.each([
      ["delete a Secret that it wrote", "DELETE", "/api/v1/namespaces/payments/secrets/db"],
      ["replace a Secret that it wrote", "PUT", "/api/v1/namespaces/payments/secrets/db"],
      ["delete a BoundSecret", "DELETE", "/apis/sealward.dev/v1alpha1/namespaces/payments/boundsecrets/db"],
      [
        "change a BoundSecret beyond its status",
        "PATCH",
        "/apis/sealward.dev/v1alpha1/namespaces/payments/boundsecrets/db",
      ],
      ["change an Environment beyond its status", "PATCH", "/apis/sealward.dev/v1alpha1/environments/prod"],
      ["label a namespace", "PATCH", "/api/v1/namespaces/payments"],
      ["read ConfigMaps", "GET", "/api/v1/namespaces/payments/configmaps"],
    ])("do not let the controller %s", async (_, method, path) => {
      const headers = {
        authorization: `Bearer ${await stage.controllerToken()}`,
        "content-type": "application/merge-patch+json",
      };
      expect(await stage.cluster.request(method, path, "{}", headers)).toMatchObject({ status: 403 });
    });
  });

  it("says which right it lacks, and goes on when it has it", async () => {
    const path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/sealward-controller";
    const role = (await stage.cluster.request("GET", path)).body as { rules: { resources: string[] }[] };
    const without = role.rules.filter(({ resources }) => !resources.includes("secrets"));
    const give = (rules: object[]) =>
      stage.apply({
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "sealward-controller" },
        rules,
      });
    await give(without);
    await stage.bind("ledger", "hindered", await seal(stage.prod, { name: "hindered", namespace: "ledger" }));
    const { Verified, Synced } = await stage.untilReason("ledger", "hindered", "ClusterForbidden");
    expect(Verified?.status).toBe("True");
    expect(Synced?.message).toContain("403");
    await give(role.rules);
    await stage.untilReason("ledger", "hindered", "Applied");
    // Whatever else was looked at meanwhile goes on as well, in its own time.
    const isFree = async () => {
      const { body } = await stage.cluster.request("GET", "/apis/sealward.dev/v1alpha1/boundsecrets");
      return !JSON.stringify(body).includes("ClusterForbidden") || undefined;
    };
    await stage.cluster.waitFor("everything to go on", isFree);
  });

  it("lets no namespace wait until all of another one has been looked at", async () => {
    await stage.stopController();
    const crowd = Array.from({ length: 20 }, (_, index) => `crowd-${index}`);
    for (const name of crowd) await stage.bind("ledger", name, "not: sealed\n");
    await stage.bind("payments", "alone", await seal(stage.prod, { name: "alone", namespace: "payments" }));
    const before = stage.log.length;
    await stage.startController();
    await stage.untilReason("payments", "alone", "Applied");
    for (const name of crowd) await stage.untilReason("ledger", name, "NotASecret");
    const isAbout = (name: string) => (line: string) => line.includes(`"name":"${name}"`);
    const place = (name: string): number => stage.log.slice(before).findIndex(isAbout(name));
    expect(place("alone")).toBeLessThan(Math.max(...crowd.map(place)));
  });

  it("lets a namespace go, with everything in it", { timeout: 120_000 }, async () => {
    await stage.namespace("leaving");
    const leaving = keyed("leaving");
    await stage.apply(keySecret(leaving));
    await stage.apply(environmentObject(leaving, { names: ["leaving"] }));
    await stage.bind("leaving", "db", await seal(leaving, { name: "db", namespace: "leaving" }));
    await stage.untilReason("leaving", "db", "Applied");
    await stage.remove("/api/v1/namespaces/leaving");
    const isGone = async () =>
      (await stage.cluster.request("GET", "/api/v1/namespaces/leaving")).status === 404 || undefined;
    await stage.cluster.waitFor("the namespace to be gone", isGone, 100_000);
    expect(await stage.secret("leaving", "db")).toBeNull();
  });

  it("goes on after the API server restarted, and after it forgot its history", async () => {
    await stage.cluster.restart();
    await stage.bind("ledger", "after-restart", await seal(stage.prod, { name: "after-restart", namespace: "ledger" }));
    await stage.untilReason("ledger", "after-restart", "Applied");
    await stage.cluster.compact();
    await stage.bind("ledger", "after-compact", await seal(stage.prod, { name: "after-compact", namespace: "ledger" }));
    await stage.untilReason("ledger", "after-compact", "Applied");
  });
});
