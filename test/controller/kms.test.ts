// An Environment whose files open with KMS keys: who calls, what is refused, and what an outage does and does not do. The
// clock of the controller is the test's; KMS answers over HTTP.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AwsKms, sealManifest } from "../../src/index.ts";
import { type KmsServer, startKmsServer } from "../support/kms/kms-server.ts";
import { type KmsEnvironment, kmsEnvironment } from "../support/kms-environments.ts";
import { availableClusters } from "../support/kube/cluster.ts";
import { mutate } from "../support/sealing.ts";
import { FakeClock } from "./fake-clock.ts";
import { canary, Stage } from "./stage.ts";

const role = "arn:aws:iam::111122223333:role/sealward-prod";
const controllerUser = "arn:aws:iam::111122223333:user/controller";
const resyncMs = 600_000;
const longestRetryMs = 300_000;

describe.each(availableClusters())("KMS keys on the $name API server", ({ start }) => {
  let stage: Stage;
  let server: KmsServer;
  let clock: FakeClock;
  let prod: KmsEnvironment;
  let key: string;

  const awsOf = (user?: string): AwsKms =>
    new AwsKms({
      sessionName: "sealward-controller-test",
      endpoint: server.endpoint,
      stsEndpoint: server.endpoint,
      credentials: server.credentials(user),
      now: () => clock.now(),
    });
  const begin = (options: { readonly dataKeyCacheMs?: number; readonly user?: string } = {}): Promise<void> =>
    stage.startController({}, { aws: awsOf(options.user), clock, resyncMs, random: () => 0.5, ...options });
  const environment = (name: string, namespace: string, spec: object): object => ({
    apiVersion: "sealward.dev/v1alpha1",
    kind: "Environment",
    metadata: { name },
    spec: {
      namespaces: { names: [namespace] },
      identities: [{ kms: {} }],
      scopes: ["strict", "namespace", "environment"],
      ...spec,
    },
  });
  const sealed = async (name: string, namespace = "vault", from = prod): Promise<string> => {
    const manifest = `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nstringData:\n  PASSWORD: ${canary}\n`;
    const now = new Date(clock.now());
    return (await sealManifest(manifest, { environment: from.policy, kms: from.kms, now })).text;
  };
  /** Time passes, and whatever comes due is done before it goes on. */
  const pass = async (ms: number): Promise<void> => {
    const end = clock.now() + ms;
    for (;;) {
      const [next] = clock.pending();
      if (next === undefined || clock.now() + next > end) break;
      await clock.advance(next);
      await stage.idle();
    }
    await clock.advance(end - clock.now());
    await stage.idle();
  };
  const decryptsOf = (name: string): number =>
    server.calls.filter(
      ({ operation, encryptionContext }) => operation === "Decrypt" && encryptionContext?.["sealward-name"] === name,
    ).length;

  beforeAll(async () => {
    server = await startKmsServer({
      users: [{ arn: controllerUser, iamPolicies: [] }],
      roles: [{ arn: role, trusts: [controllerUser] }],
    });
    clock = new FakeClock();
    stage = await Stage.open(start);
    key = server.createKey({ region: "eu-west-1" }).arn;
    prod = kmsEnvironment("vaulted", { kms: awsOf().as(), keys: [key] });
    await stage.namespace("vault");
    await stage.apply(environment("vaulted", "vault", { recipients: { kms: [key] } }));
  });
  beforeEach(() => {
    server.faults.clear();
    server.forgetCalls();
  });
  afterEach(async () => {
    await stage.stopController();
    const spoken = await stage.spoken();
    const { secretAccessKey } = server.credentials();
    for (const secret of [canary, secretAccessKey, Buffer.from(canary).toString("base64").slice(0, 20)])
      expect(spoken).not.toContain(secret);
  });
  afterAll(async () => {
    await stage?.close();
    await server?.close();
  });

  it("opens as the pod's own identity, sending the context that it works out, and says so", async () => {
    await begin();
    await stage.bind("vault", "db", await sealed("db"));
    await stage.untilReason("vault", "db", "Applied");
    expect((await stage.secret("vault", "db"))?.data).toEqual({ PASSWORD: Buffer.from(canary).toString("base64") });
    expect(server.calls.filter(({ operation }) => operation === "Decrypt")).toMatchObject([
      {
        keyId: key,
        principal: "arn:aws:iam::111122223333:user/admin",
        encryptionContext: { "sealward-environment": "vaulted", "sealward-namespace": "vault", "sealward-name": "db" },
      },
    ]);
    const { Ready } = await stage.untilEnvironment("vaulted", "Loaded");
    expect(Ready?.message).toBe("KMS keys are called as the controller's own AWS identity");
  });

  it("assumes the role that the Environment names, under a name that tells who asks", async () => {
    await stage.namespace("roles");
    const identities = [{ kms: { assumeRole: role } }];
    await stage.apply(environment("roled", "roles", { identities, recipients: { kms: [key] } }));
    await begin({ user: controllerUser });
    const roled = kmsEnvironment("roled", { kms: prod.kms, keys: [key] });
    await stage.bind("roles", "db", await sealed("db", "roles", roled));
    await stage.untilReason("roles", "db", "Applied");
    const [call] = server.calls.filter(
      ({ operation, errorCode }) => operation === "Decrypt" && errorCode === undefined,
    );
    expect(call?.principal).toBe("arn:aws:sts::111122223333:assumed-role/sealward-prod/sealward-controller-test");
  });

  it("asks KMS nothing about a file of another place, whatever its entries say", async () => {
    await begin();
    const text = await sealed("victim");
    const renamed = mutate(text, "\n  name: victim\n", "\n  name: copy\n");
    await stage.bind("vault", "copy", renamed);
    await stage.untilReason("vault", "copy", "ContextMismatch");
    expect(server.calls.filter(({ encryptionContext }) => encryptionContext?.["sealward-name"] === "copy")).toEqual([]);
    await stage.bind("vault", "copy", mutate(renamed, "sealward-name: victim", "sealward-name: copy"));
    await stage.untilReason("vault", "copy", "NotAuthentic");
    expect(await stage.secret("vault", "copy")).toBeNull();
  });

  it("keeps what it opened through ten minutes without KMS, says why and since when, and recovers in one retry", async () => {
    await begin();
    await stage.bind("vault", "lasting", await sealed("lasting"));
    await stage.untilReason("vault", "lasting", "Applied");
    const before = await stage.secret("vault", "lasting");

    server.faults.use(({ service }) => (service === "kms" ? "unavailable" : undefined));
    await pass(resyncMs);
    const { Ready, Synced } = await stage.untilReason("vault", "lasting", "KeyUnreachable");
    const since = Ready?.lastTransitionTime;
    expect(Ready?.message).toContain("AWS is not available");
    expect(Ready?.message).toContain(`not refreshed since ${since}`);
    expect(Synced?.message).toContain("a Secret that was there before is as it was");

    for (let minute = 0; minute < 10; minute++) {
      await pass(60_000);
      const now = await stage.untilReason("vault", "lasting", "KeyUnreachable");
      expect(now["Ready"]?.lastTransitionTime).toBe(since);
      expect(now["Ready"]?.message).toContain(`not refreshed since ${since}`);
      expect(await stage.secret("vault", "lasting")).toEqual(before);
    }

    server.faults.clear();
    await pass(longestRetryMs);
    await stage.untilReason("vault", "lasting", "Applied");
    expect(await stage.secret("vault", "lasting")).toEqual(before);
  });

  it("says in one message what KMS refuses, and tries again, for permissions are nothing it watches", async () => {
    await begin();
    server.faults.use(({ operation }) => (operation === "Decrypt" ? "denied" : undefined));
    await stage.bind("vault", "denied", await sealed("denied"));
    const { Ready } = await stage.untilReason("vault", "denied", "KeyRefused");
    expect(Ready?.message).toContain(`AWS did not do kms:Decrypt for ${key}: the caller has no permission`);
    server.faults.clear();
    await pass(longestRetryMs);
    await stage.untilReason("vault", "denied", "Applied");
  });

  it("keeps data keys for as long as it was told, for one Environment as it is, and asks anew after that", async () => {
    await begin({ dataKeyCacheMs: 2 * resyncMs });
    await stage.bind("vault", "cached", await sealed("cached"));
    await stage.untilReason("vault", "cached", "Applied");
    const first = decryptsOf("cached");
    await pass(resyncMs * 1.5);
    expect(decryptsOf("cached")).toBe(first);
    await stage.apply(
      environment("vaulted", "vault", { recipients: { kms: [key] }, scopes: ["strict"], strictRecipients: true }),
    );
    await stage.cluster.waitFor("KMS to be asked again", async () => (decryptsOf("cached") > first ? true : undefined));
    await stage.idle();
    const second = decryptsOf("cached");
    await pass(resyncMs * 3);
    expect(decryptsOf("cached")).toBeGreaterThan(second);
  });
});
