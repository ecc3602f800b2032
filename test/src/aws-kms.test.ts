// The calls to KMS by the real SDK, over HTTP to the test server: several keys, Regions, replicas and many files at once.
// What a failure means is in aws-failure.test.ts, who calls in aws-credentials.test.ts.
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { unwrapFile } from "../../src/data-key.ts";
import { type AwsKms, type AwsKmsOptions, KmsIdentity, openSealed, sealManifest } from "../../src/index.ts";
import { metadataOf } from "../../src/sops-file.ts";
import { loadYaml } from "../../src/yaml-store.ts";
import { type CreatedKey, type KmsServer, startKmsServer } from "../support/kms/kms-server.ts";
import { eachTestAlone } from "../support/kms-each-test.ts";
import { awsAt, type KmsEnvironment, kmsEnvironment } from "../support/kms-environments.ts";
import { canary, databaseSecret, expectRefusal, now } from "../support/sealing.ts";

const west = "eu-west-1";
const central = "eu-central-1";
const context = { "sealward-environment": "prod", "sealward-name": "db" };
const plaintext = Buffer.from("0123456789abcdef0123456789abcdef");

let server: KmsServer;
const open: AwsKms[] = [];

beforeAll(async () => {
  server = await startKmsServer();
});
afterAll(async () => {
  for (const aws of open) await aws.close();
  await server.close();
});
eachTestAlone(() => server);

function aws(options: Partial<AwsKmsOptions> = {}): AwsKms {
  const made = awsAt({ endpoint: server.endpoint, credentials: server.credentials() }, options);
  open.push(made);
  return made;
}

const key = (options: Partial<Parameters<KmsServer["createKey"]>[0]> = {}): CreatedKey =>
  server.createKey({ region: west, ...options });

/** A policy of a key that forbids this to everybody. */
const denying = (action: string) => ({
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" },
    { Effect: "Deny", Principal: "*", Action: action, Resource: "*" },
  ],
});

const target = { namespace: "payments", name: "db" };
const seal = async ({ policy, kms }: KmsEnvironment): Promise<string> =>
  (await sealManifest(databaseSecret, { environment: policy, kms, now })).text;
const opening = (text: string, { policy, identities }: KmsEnvironment) =>
  openSealed(text, { environment: policy, target }, identities);
const calls = () => server.calls.map(({ operation, keyId, errorCode }) => [operation, keyId, errorCode]);

describe("wrapping and unwrapping", () => {
  it("gives back what it was given, under the same context", async () => {
    const { arn } = key();
    const kms = aws().as();
    const ciphertext = await kms.encrypt({ arn, plaintext, context });
    expect(plaintext.toString()).toBe("0123456789abcdef0123456789abcdef");
    const opened = await kms.decrypt({ arn, ciphertext, context });
    expect(Buffer.from(opened?.plaintext ?? [])).toEqual(plaintext);
    expect(opened?.keyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    expect(server.calls.map(({ encryptionContext }) => encryptionContext)).toEqual([context, context]);
  });

  it.each([
    ["another context", { "sealward-environment": "staging", "sealward-name": "db" }],
    ["a pair less", { "sealward-environment": "prod" }],
    ["no context", {}],
  ])("gives null under %s", async (_, other) => {
    const { arn } = key();
    const kms = aws().as();
    const ciphertext = await kms.encrypt({ arn, plaintext, context });
    expect(await kms.decrypt({ arn, ciphertext, context: other })).toBeNull();
  });

  it.each([
    [
      "names of the prototype",
      [
        ["constructor", "a"],
        ["toString", "b"],
      ],
    ],
    [
      "__proto__",
      [
        ["__proto__", "a"],
        ["x", "b"],
      ],
    ],
    [
      "letters of any kind",
      [
        ["é", "\u{1f511}"],
        ["a b", "a\nb"],
      ],
    ],
  ] as const)("sends a context with %s as it is", async (_, pairs) => {
    const { arn } = key();
    const odd: Record<string, string> = Object.fromEntries(pairs);
    await aws().as().encrypt({ arn, plaintext, context: odd });
    expect(Object.entries(server.calls[0]?.encryptionContext ?? {}).sort()).toEqual(Object.entries(odd).sort());
  });

  it("works by an alias, whatever key it stands for", async () => {
    const { aliasArn = "" } = key({ alias: "prod" });
    const kms = aws().as();
    const ciphertext = await kms.encrypt({ arn: aliasArn, plaintext, context });
    expect((await kms.decrypt({ arn: aliasArn, ciphertext, context }))?.plaintext).toHaveLength(32);
  });

  it("asks each key in its own Region", async () => {
    const kms = aws().as();
    for (const region of [west, central, "us-east-2"]) {
      const { arn } = key({ region });
      await kms.encrypt({ arn, plaintext, context });
    }
    expect(server.calls.map(({ region }) => region)).toEqual([west, central, "us-east-2"]);
  });

  it.each(["", "alias/prod", "arn:aws:kms:evil.example.com:111122223333:key/x"])("calls nobody for %j", async (arn) => {
    await expectRefusal(() => aws().as().decrypt({ arn, ciphertext: plaintext, context }), "recipient-invalid");
    await expectRefusal(() => aws().as().encrypt({ arn, plaintext, context }), "recipient-invalid");
    expect(calls()).toEqual([]);
  });

  it("a rotated key opens what its older material wrapped, and says which", async () => {
    const { arn } = key();
    const kms = aws().as();
    const old = await kms.encrypt({ arn, plaintext, context });
    server.rotate(arn);
    const fresh = await kms.encrypt({ arn, plaintext, context });
    const [a, b] = [
      await kms.decrypt({ arn, ciphertext: old, context }),
      await kms.decrypt({ arn, ciphertext: fresh, context }),
    ];
    expect(a?.keyMaterialId).not.toBe(b?.keyMaterialId);
  });
});

describe("sealing for several keys", () => {
  it("asks them all at once", async () => {
    const keys = [key().arn, key({ region: central }).arn];
    const env = kmsEnvironment("prod", { kms: aws().as(), keys });
    server.faults.next("hang", "hang");
    const sealing = seal(env);
    await server.faults.whenHanging(2);
    server.faults.release();
    const { identities } = env;
    const text = await sealing;
    for (const identity of identities) await opening(text, { ...env, identities: [identity] });
  });

  it.each(["denied", "reset"] as const)("gives nothing out where one of them fails: %s", async (fault) => {
    const keys = [key().arn, key({ region: central }).arn];
    const env = kmsEnvironment("prod", { kms: aws().as(), keys });
    server.faults.use(({ region }) => (region === central ? fault : undefined));
    await expectRefusal(() => seal(env), fault === "denied" ? "key-refused" : "key-unreachable");
    expect(calls().filter(([, , problem]) => problem === undefined)).toHaveLength(1);
  });

  it("waits for the others before it says that one failed, so that none still reads the data key", async () => {
    const keys = [key().arn, key({ region: central }).arn];
    const env = kmsEnvironment("prod", { kms: aws().as(), keys });
    server.faults.use(({ region }) => (region === central ? "denied" : "hang"));
    let isOver = false;
    const sealing = expectRefusal(() => seal(env), "key-refused").finally(() => {
      isOver = true;
    });
    await server.faults.whenHanging(1);
    await vi.waitUntil(() => server.calls.length === 1);
    expect(isOver).toBe(false);
    server.faults.release();
    await sealing;
  });
});

describe("opening with several keys", () => {
  type Trouble = "away" | "disabled" | "pending" | "denied" | "gone";
  const trouble: Readonly<Record<Trouble, (arn: string) => void>> = {
    away: (arn) => unreachable.add(arn),
    disabled: (arn) => server.setKeyState(arn, "Disabled"),
    pending: (arn) => server.setKeyState(arn, "PendingDeletion"),
    denied: (arn) => server.setKeyPolicy(arn, denying("kms:Decrypt")),
    gone: (arn) => missing.add(arn),
  };
  const unreachable = new Set<string>();
  const missing = new Set<string>();
  beforeEach(() => {
    unreachable.clear();
    missing.clear();
    server.faults.use(({ keyId = "" }) =>
      unreachable.has(keyId) ? "unavailable" : missing.has(keyId) ? "denied" : undefined,
    );
  });

  async function sealedForTwo() {
    const keys = [key().arn, key({ region: central }).arn] as const;
    const env = kmsEnvironment("prod", { kms: aws().as(), keys });
    const text = await seal(env);
    server.forgetCalls();
    return { keys, env, text };
  }

  it("asks only the first where it answers", async () => {
    const { keys, env, text } = await sealedForTwo();
    expect((await opening(text, env)).plainText).toContain(canary);
    expect(calls()).toEqual([["Decrypt", keys[0], undefined]]);
  });

  it.each(Object.keys(trouble) as Trouble[])("the second opens what the first cannot: %s", async (kind) => {
    const { keys, env, text } = await sealedForTwo();
    trouble[kind](keys[0]);
    expect((await opening(text, env)).plainText).toContain(canary);
    expect(calls().at(-1)).toEqual(["Decrypt", keys[1], undefined]);
  });

  it.each<[Trouble, Trouble, "key-unreachable" | "key-refused"]>([
    ["away", "away", "key-unreachable"],
    ["away", "denied", "key-unreachable"],
    ["denied", "away", "key-unreachable"],
    ["disabled", "away", "key-unreachable"],
    ["denied", "denied", "key-refused"],
    ["disabled", "pending", "key-refused"],
  ])("one %s, the other %s: %s", async (first, second, code) => {
    const { keys, env, text } = await sealedForTwo();
    trouble[first](keys[0]);
    trouble[second](keys[1]);
    const { message } = await expectRefusal(() => opening(text, env), code);
    expect(message).toMatch(/AWS did not do kms:Decrypt for arn:aws:kms:/);
  });

  it("a key that answers that it is none of its ciphertexts is no reason to stop", async () => {
    const { keys, env, text } = await sealedForTwo();
    const metadata = metadataOf(loadYaml(text));
    const [group] = metadata.groups;
    const [a, b] = group?.kms ?? [];
    if (group === undefined || a === undefined || b === undefined) throw new Error("two entries were expected");
    const spoiled = Buffer.from(a.enc, "base64");
    spoiled[spoiled.length - 1] = (spoiled.at(-1) ?? 0) ^ 1;
    const groups = [{ ...group, kms: [{ ...a, enc: spoiled.toString("base64") }, b] }];
    const { openedBy } = await unwrapFile({ ...metadata, groups }, { identities: env.identities, file: undefined });
    expect(openedBy).toEqual([keys[1]]);
    const only = [{ ...group, kms: [{ ...a, enc: spoiled.toString("base64") }] }];
    await expectRefusal(
      () => unwrapFile({ ...metadata, groups: only }, { identities: env.identities, file: undefined }),
      "not-authentic",
    );
  });
});

describe("a multi-Region key", () => {
  it.each([true, false])(
    "another replica opens while the first Region is away; itself listed: %s",
    async (isListed) => {
      const { arn, replicas } = key({ replicas: [central] });
      const [replica = ""] = replicas;
      const kms = aws().as();
      // The file may have been sealed before the replica was listed.
      const text = await seal(kmsEnvironment("prod", { kms, keys: isListed ? [arn, replica] : [arn] }));
      server.faults.use(({ region }) => (region === west ? "reset" : undefined));
      const { policy, identities } = kmsEnvironment("prod", { kms, keys: [arn, replica] });
      const opened = await opening(text, { policy, kms, identities });
      expect(opened.plainText).toContain(canary);
      expect(calls().at(-1)).toEqual(["Decrypt", replica, undefined]);
    },
  );

  it("is asked by the replica that the entry names, before any other", async () => {
    const { arn, replicas } = key({ replicas: [central] });
    const kms = aws().as();
    const keys = [...replicas, arn];
    const text = await seal(kmsEnvironment("prod", { kms, keys: [arn] }));
    server.forgetCalls();
    await opening(text, kmsEnvironment("prod", { kms, keys }));
    expect(calls()).toEqual([["Decrypt", arn, undefined]]);
  });

  it("a replica that the environment does not list is not asked", async () => {
    const { arn, replicas } = key({ replicas: [central] });
    const kms = aws().as();
    const env = kmsEnvironment("prod", { kms, keys: [arn] });
    const text = await seal(env);
    server.forgetCalls();
    const identities = replicas.map((replica) => new KmsIdentity(replica, kms));
    await expectRefusal(() => opening(text, { ...env, identities }), "identity-missing");
    expect(calls()).toEqual([]);
  });
});

describe("many files at once", () => {
  /** Calls for some data keys again and again, each with a context of its own; how often each came back as another one. */
  const many = async (count: number, options: Partial<AwsKmsOptions>) => {
    const { arn } = key();
    const kms = aws(options).as();
    const files = await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const file = { arn, plaintext: Buffer.alloc(32, index + 1), context: { file: String(index) } };
        return { ...file, ciphertext: await kms.encrypt(file) };
      }),
    );
    server.forgetCalls();
    return async () => {
      const opened = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const { plaintext: expected, ...call } = files[index % files.length] ?? {
            plaintext,
            ciphertext: plaintext,
            arn,
            context,
          };
          return expected.equals((await kms.decrypt(call))?.plaintext ?? Buffer.alloc(0));
        }),
      );
      return opened.filter((isRight) => !isRight).length;
    };
  };

  it("a thousand, answered at once or late: a call for each, and never more than 16 at a time", async () => {
    const decrypt = await many(1000, {});
    server.faults.use(({ total }) => (total % 20 === 0 ? { delayMs: total % 6 } : undefined));
    expect(await decrypt()).toBe(0);
    const { operations, maxInFlight } = server.statistics();
    expect(operations).toEqual({ Decrypt: 1000 });
    expect(maxInFlight).toBeGreaterThan(1);
    expect(maxInFlight).toBeLessThanOrEqual(16);
  });

  it("a tenth throttled, each as often as it happens: none is lost in a sweep", async () => {
    const decrypt = await many(200, { load: "sweep" });
    server.faults.use(({ total }) => (total % 10 === 0 ? "throttle" : undefined));
    expect(await decrypt()).toBe(0);
    const { calls: all, errors, maxInFlight } = server.statistics();
    expect(errors).toEqual({ ThrottlingException: all - 200 });
    expect(maxInFlight).toBeLessThanOrEqual(16);
  });

  it("a key that is away costs a few calls, and not one for each file", async () => {
    const decrypt = await many(300, { maxInFlight: 4 });
    server.faults.use(() => "internal");
    await expectRefusal(decrypt, "key-unreachable");
    await vi.waitUntil(() => server.statistics().inFlight === 0);
    // Three attempts for each of those that were on their way when the third of them failed.
    expect(server.statistics().calls).toBeLessThanOrEqual((4 + 3) * 3);
  });

  it("two keys are held back by one bound", async () => {
    const kms = aws({ maxInFlight: 2 }).as();
    const keys = [key().arn, key({ region: central }).arn];
    server.faults.use(() => "hang");
    const all = [...keys, ...keys].map((arn) => kms.encrypt({ arn, plaintext, context }));
    await server.faults.whenHanging(2);
    server.faults.use(() => undefined);
    server.faults.release();
    await Promise.all(all);
    expect(server.statistics().maxInFlight).toBe(2);
  });
});

it("imports the SDK with the first call, and not with the library", async () => {
  const { metafile } = await build({
    entryPoints: ["src/index.ts"],
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    write: false,
    metafile: true,
  });
  const imports = Object.values(metafile.outputs).flatMap(({ imports: all }) => all);
  const ofSdk = imports.filter(({ path }) => /^@(?:aws-sdk|smithy)\//.test(path));
  expect(new Set(ofSdk.map(({ kind }) => kind))).toEqual(new Set(["dynamic-import"]));
});
