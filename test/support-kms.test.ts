// What the KMS test server promises, asked through the real SDK where HTTP takes part; what it shares with other servers
// is in the contract, which test/interop runs. Policies are held against tables of requests without a server.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DecryptCommand,
  type DecryptCommandInput,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyPolicyCommand,
  type KMSClient,
  ListAliasesCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  ReplicateKeyCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { AssumeRoleCommand, AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClientOptions, kmsClient, stsClient } from "./support/kms/clients.ts";
import { type CreatedKey, type KmsServer, startKmsServer } from "./support/kms/kms-server.ts";

const account = "111122223333";
const admin = `arn:aws:iam::${account}:user/admin`;
const reader = `arn:aws:iam::${account}:user/reader`;
const stranger = "arn:aws:iam::999988887777:user/stranger";
const deployRole = `arn:aws:iam::${account}:role/ci/deploy`;
const clusterRole = `arn:aws:iam::${account}:role/cluster`;
const region = "eu-central-1";
const start = new Date("2026-11-27T08:00:00Z");

const hello = Buffer.from("hello");
let clock = start;
let server: KmsServer;
let kms: KMSClient;
const options = (overrides: Partial<ClientOptions> = {}): ClientOptions => ({
  endpoint: server.endpoint,
  region,
  credentials: server.credentials(),
  ...overrides,
});
const as = (userArn: string, overrides: Partial<ClientOptions> = {}): KMSClient =>
  kmsClient(options({ credentials: server.credentials(userArn), ...overrides }));

/** The name under which AWS refuses it. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  const outcome = await promise.then(
    () => "answered",
    (error: unknown) => error,
  );
  return outcome instanceof Error ? outcome.name : String(outcome);
}

async function encrypted(keyId: string, context: Record<string, string> = {}, client = kms): Promise<Uint8Array> {
  const command = new EncryptCommand({ KeyId: keyId, Plaintext: hello, EncryptionContext: context });
  return (await client.send(command)).CiphertextBlob ?? new Uint8Array();
}

const decrypted = (input: DecryptCommandInput, client = kms) => client.send(new DecryptCommand(input));

beforeAll(async () => {
  server = await startKmsServer({
    account,
    now: () => clock,
    users: [
      { arn: reader },
      {
        arn: stranger,
        iamPolicies: [{ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "kms:*", Resource: "*" }] }],
      },
    ],
    roles: [
      { arn: deployRole, trusts: [reader], webIdentityTokens: ["token-of-deploy"] },
      { arn: clusterRole, webIdentityTokens: ["token-of-cluster"] },
    ],
  });
  kms = kmsClient(options());
});
afterAll(() => server.close());
beforeEach(() => {
  clock = start;
  server.faults.clear();
  server.forgetCalls();
});

const allow = (principal: unknown, action: unknown, condition?: object): object => ({
  Effect: "Allow",
  Principal: principal,
  Action: action,
  Resource: "*",
  ...(condition === undefined ? {} : { Condition: condition }),
});
const keyPolicy = (...statements: readonly object[]) => ({
  Version: "2012-10-17",
  Statement: [allow({ AWS: admin }, "kms:*"), ...statements],
});

describe("keys", () => {
  it("are named by id, ARN, alias and alias ARN, and answer with their ARN and material", async () => {
    const { arn, keyId, aliasArn } = server.createKey({ region, alias: "four-names" });
    const description = await kms.send(new DescribeKeyCommand({ KeyId: keyId }));
    const materialId = description.KeyMetadata?.CurrentKeyMaterialId;
    expect(materialId).toMatch(/^[0-9a-f]{64}$/);
    expect(description.KeyMetadata).toMatchObject({
      KeyState: "Enabled",
      Enabled: true,
      MultiRegion: false,
      Origin: "AWS_KMS",
    });
    for (const name of [arn, keyId, "alias/four-names", aliasArn]) {
      const generated = await kms.send(new GenerateDataKeyCommand({ KeyId: name, KeySpec: "AES_256" }));
      expect(generated).toMatchObject({ KeyId: arn, KeyMaterialId: materialId });
      const opened = await decrypted({ KeyId: name, CiphertextBlob: generated.CiphertextBlob });
      expect(opened).toMatchObject({ KeyId: arn, KeyMaterialId: materialId, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
      expect(opened.Plaintext).toEqual(generated.Plaintext);
    }
    const { Aliases } = await kms.send(new ListAliasesCommand({ KeyId: keyId }));
    expect(Aliases).toMatchObject([{ AliasArn: aliasArn, AliasName: "alias/four-names", TargetKeyId: keyId }]);
  });

  it("rotate: new blobs have new material, old ones still open, ReEncrypt moves one to the new", async () => {
    const { arn } = server.createKey({ region });
    const old = await encrypted(arn);
    const before = (await decrypted({ CiphertextBlob: old })).KeyMaterialId;
    await kms.send(new RotateKeyOnDemandCommand({ KeyId: arn }));
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: arn }));
    expect(KeyMetadata?.CurrentKeyMaterialId).not.toBe(before);
    expect(await decrypted({ CiphertextBlob: old })).toMatchObject({ KeyMaterialId: before });
    const moved = await kms.send(new ReEncryptCommand({ CiphertextBlob: old, DestinationKeyId: arn }));
    expect(moved).toMatchObject({
      SourceKeyMaterialId: before,
      DestinationKeyMaterialId: KeyMetadata?.CurrentKeyMaterialId,
    });
    for (let count = 1; count < 25; count += 1) server.rotate(arn);
    expect(await refusal(kms.send(new RotateKeyOnDemandCommand({ KeyId: arn })))).toBe("LimitExceededException");
  });

  it.each([
    ["Enabled", "answered"],
    ["Disabled", "DisabledException"],
    ["PendingDeletion", "KMSInvalidStateException"],
    ["PendingReplicaDeletion", "KMSInvalidStateException"],
  ] as const)("when %s, every use is %s, and DescribeKey answers", async (state, expected) => {
    const { arn } = server.createKey({ region });
    const blob = await encrypted(arn);
    server.setKeyState(arn, state);
    expect(await refusal(encrypted(arn))).toBe(expected);
    expect(await refusal(decrypted({ CiphertextBlob: blob }))).toBe(expected);
    expect(await refusal(kms.send(new ReEncryptCommand({ CiphertextBlob: blob, DestinationKeyId: arn })))).toBe(
      expected,
    );
    expect(await refusal(kms.send(new GenerateDataKeyCommand({ KeyId: arn, NumberOfBytes: 32 })))).toBe(expected);
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: arn }));
    expect(KeyMetadata).toMatchObject({ KeyState: state, Enabled: state === "Enabled" });
  });

  it("scheduled for deletion say when, can be saved, and are gone when the time is over", async () => {
    const { arn, keyId } = server.createKey({ region });
    const week = new Date("2026-12-04T08:00:00Z");
    const scheduled = await kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyId, PendingWindowInDays: 7 }));
    expect(scheduled).toMatchObject({ DeletionDate: week, KeyState: "PendingDeletion" });
    await kms.send(new CancelKeyDeletionCommand({ KeyId: keyId }));
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: arn }));
    expect(KeyMetadata).toMatchObject({ KeyState: "Disabled" });
    expect(KeyMetadata?.DeletionDate).toBeUndefined();
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyId, PendingWindowInDays: 7 }));
    clock = week;
    expect(await refusal(kms.send(new DescribeKeyCommand({ KeyId: arn })))).toBe("NotFoundException");
  });

  it("of several Regions share id and material, and nothing else", async () => {
    const primary = server.createKey({ region, alias: "wide", multiRegion: true });
    const client = kmsClient(options({ region: "us-east-1" }));
    const policy = keyPolicy(allow("*", "kms:Decrypt"));
    await kms.send(
      new ReplicateKeyCommand({ KeyId: primary.arn, ReplicaRegion: "us-east-1", Policy: JSON.stringify(policy) }),
    );
    expect(primary.keyId).toMatch(/^mrk-[0-9a-f]{32}$/);
    const blob = await encrypted("alias/wide");
    const replica = primary.arn.replace(region, "us-east-1");
    expect(await decrypted({ CiphertextBlob: blob }, client)).toMatchObject({ KeyId: replica });
    expect(await refusal(encrypted("alias/wide", {}, client))).toBe("NotFoundException");
    expect(await refusal(encrypted(primary.arn, {}, client))).toBe("NotFoundException");
    server.setKeyState(primary.arn, "Disabled");
    expect(await refusal(decrypted({ CiphertextBlob: blob }))).toBe("DisabledException");
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: primary.keyId }));
    expect(KeyMetadata).toMatchObject({
      Arn: replica,
      KeyState: "Enabled",
      MultiRegionConfiguration: {
        MultiRegionKeyType: "REPLICA",
        PrimaryKey: { Arn: primary.arn, Region: region },
        ReplicaKeys: [{ Arn: replica, Region: "us-east-1" }],
      },
    });
    expect(JSON.parse((await client.send(new GetKeyPolicyCommand({ KeyId: primary.keyId }))).Policy ?? "")).toEqual(
      policy,
    );
    server.setKeyState(primary.arn, "Enabled");
    expect((await kms.send(new ScheduleKeyDeletionCommand({ KeyId: primary.arn }))).KeyState).toBe(
      "PendingReplicaDeletion",
    );
  });
});

describe("DryRun", () => {
  it("says that it would have worked, or refuses as the request itself", async () => {
    const { arn } = server.createKey({ region, policy: keyPolicy(allow({ AWS: reader }, "kms:Encrypt")) });
    const blob = await encrypted(arn, { a: "b" });
    const dry = (input: DecryptCommandInput, client = kms) => decrypted({ ...input, DryRun: true }, client);
    const rightly = dry({ CiphertextBlob: blob, EncryptionContext: { a: "b" } });
    await expect(rightly).rejects.toMatchObject({
      name: "DryRunOperationException",
      $metadata: { httpStatusCode: 412 },
    });
    expect(await refusal(dry({ CiphertextBlob: blob }))).toBe("InvalidCiphertextException");
    const ignoring: DecryptCommandInput = {
      CiphertextBlob: undefined,
      KeyId: arn,
      DryRunModifiers: ["IGNORE_CIPHERTEXT"],
    };
    expect(await refusal(dry(ignoring))).toBe("DryRunOperationException");
    expect(await refusal(dry(ignoring, as(reader)))).toBe("AccessDeniedException");
    const encrypt = new EncryptCommand({ KeyId: arn, Plaintext: hello, DryRun: true });
    expect(await refusal(kms.send(encrypt))).toBe("DryRunOperationException");
    const generate = new GenerateDataKeyCommand({ KeyId: arn, KeySpec: "AES_128", DryRun: true });
    expect(await refusal(kms.send(generate))).toBe("DryRunOperationException");
    server.setKeyState(arn, "Disabled");
    expect(await refusal(dry(ignoring))).toBe("DisabledException");
    expect(server.calls.filter(({ dryRun }) => dryRun)).toHaveLength(7);
  });
});

describe("policies of keys", () => {
  it("bind a role's session to the context that its tag names", async () => {
    // A policy variable, which AWS fills in.
    const tag = `$${"{"}aws:PrincipalTag/cluster}`;
    const condition = { StringEquals: { "kms:EncryptionContext:seal:cluster": tag } };
    const { arn } = server.createKey({
      region,
      policy: keyPolicy(allow({ AWS: clusterRole }, "kms:Decrypt", condition)),
    });
    const context = { "seal:cluster": "prod-1" };
    const blob = await encrypted(arn, context);
    const session = (cluster: string) =>
      kmsClient(options({ credentials: server.session(clusterRole, { sessionName: "pod", tags: { cluster } }) }));
    const input = { KeyId: arn, CiphertextBlob: blob, EncryptionContext: context };
    expect((await decrypted(input, session("prod-1"))).KeyId).toBe(arn);
    const denied = decrypted(input, session("staging-1"));
    await expect(denied).rejects.toMatchObject({
      name: "AccessDeniedException",
      message: `User: arn:aws:sts::${account}:assumed-role/cluster/pod is not authorized to perform: kms:Decrypt on resource: ${arn} because no resource-based policy allows the kms:Decrypt action`,
    });
  });

  it("are the account's own business until another account says yes as well", async () => {
    const { arn, keyId } = server.createKey({ region, policy: keyPolicy(allow({ AWS: stranger }, "kms:Encrypt")) });
    expect((await encrypted(arn, {}, as(stranger))).length).toBeGreaterThan(0);
    expect(await refusal(encrypted(keyId, {}, as(stranger)))).toBe("NotFoundException");
    expect(await refusal(encrypted(arn, {}, as(reader)))).toBe("AccessDeniedException");
    expect(await refusal(decrypted({ CiphertextBlob: await encrypted(arn) }, as(stranger)))).toBe(
      "AccessDeniedException",
    );
  });

  it("authorise ReEncrypt twice, and know whether the key stays", async () => {
    const same = { Bool: { "kms:ReEncryptOnSameKey": "true" } };
    const policy = keyPolicy(allow({ AWS: reader }, "kms:ReEncrypt*", same));
    const [one, other] = [server.createKey({ region, policy }), server.createKey({ region, policy })];
    const blob = await encrypted(one.arn, { a: "1" });
    const move = (DestinationKeyId: string) =>
      as(reader).send(
        new ReEncryptCommand({
          CiphertextBlob: blob,
          SourceEncryptionContext: { a: "1" },
          DestinationKeyId,
          DestinationEncryptionContext: { a: "2" },
        }),
      );
    const { CiphertextBlob } = await move(one.arn);
    expect((await decrypted({ CiphertextBlob, EncryptionContext: { a: "2" } })).KeyId).toBe(one.arn);
    expect(await refusal(move(other.arn))).toBe("AccessDeniedException");
    expect(server.calls.find(({ operation }) => operation === "ReEncrypt")).toMatchObject({
      sourceKeyId: one.arn,
      keyId: one.arn,
      sourceEncryptionContext: { a: "1" },
      encryptionContext: { a: "2" },
    });
  });

  const overlyPermissive = { "ForAllValues:StringEquals": { "kms:EncryptionContext:seal:env": "prod" } };
  const put = (KeyId: string, policy: object) =>
    kms.send(new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(policy) }));

  it.each([
    ["ForAllValues on a single context key", keyPolicy(allow("*", "kms:Decrypt", overlyPermissive))],
    ["one that locks its author out", { Version: "2012-10-17", Statement: [allow({ AWS: reader }, "kms:*")] }],
    ["one without statements", { Version: "2012-10-17", Statement: [] }],
    ["an unknown version", { ...keyPolicy(), Version: "2020-01-01" }],
    ["a principal with a wildcard", keyPolicy(allow({ AWS: `arn:aws:iam::${account}:role/*` }, "kms:Decrypt"))],
  ])("are refused: %s", async (_, policy) => {
    const { arn } = server.createKey({ region });
    expect(await refusal(put(arn, policy))).toBe("MalformedPolicyDocumentException");
    const { Policy } = await kms.send(new GetKeyPolicyCommand({ KeyId: arn }));
    expect(JSON.parse(Policy ?? "")).toMatchObject({ Id: "key-default-1" });
    expect(await refusal(kms.send(new CreateKeyCommand({ Policy: JSON.stringify(policy) })))).toBe(
      "MalformedPolicyDocumentException",
    );
  });
});

describe("senders", () => {
  it("are known by their access key, and sessions by their token until their time is over", async () => {
    const { arn } = server.createKey({ region });
    const unknown = kmsClient(options({ credentials: { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "x" } }));
    expect(await refusal(encrypted(arn, {}, unknown))).toBe("UnrecognizedClientException");
    const sts = stsClient(options({ credentials: server.credentials(reader) }));
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({ RoleArn: deployRole, RoleSessionName: "jane@example.com", DurationSeconds: 900 }),
    );
    const credentials = {
      accessKeyId: Credentials?.AccessKeyId ?? "",
      secretAccessKey: Credentials?.SecretAccessKey ?? "",
      sessionToken: Credentials?.SessionToken ?? "",
    };
    expect(Credentials?.Expiration).toEqual(new Date("2026-11-27T08:15:00Z"));
    const session = kmsClient(options({ credentials }));
    await encrypted(arn, {}, session);
    const forged = kmsClient(options({ credentials: { ...credentials, sessionToken: "other" } }));
    expect(await refusal(encrypted(arn, {}, forged))).toBe("UnrecognizedClientException");
    clock = new Date("2026-11-27T08:15:00Z");
    expect(await refusal(encrypted(arn, {}, session))).toBe("ExpiredTokenException");
    const caller = stsClient(options({ credentials })).send(new GetCallerIdentityCommand({}));
    expect(await refusal(caller)).toBe("ExpiredToken");
    const sessionArn = `arn:aws:sts::${account}:assumed-role/deploy/jane@example.com`;
    expect(server.calls.map(({ operation, principal, errorCode }) => [operation, principal, errorCode])).toEqual([
      ["Encrypt", "anonymous", "UnrecognizedClientException"],
      ["AssumeRole", reader, undefined],
      ["Encrypt", sessionArn, undefined],
      ["Encrypt", "anonymous", "UnrecognizedClientException"],
      ["Encrypt", "anonymous", "ExpiredTokenException"],
      ["GetCallerIdentity", "anonymous", "ExpiredToken"],
    ]);
  });

  it("become only the roles that trust them", async () => {
    const assume = (userArn: string, RoleArn: string, RoleSessionName = "ci") =>
      stsClient(options({ credentials: server.credentials(userArn) })).send(
        new AssumeRoleCommand({ RoleArn, RoleSessionName }),
      );
    expect((await assume(reader, deployRole)).AssumedRoleUser?.Arn).toBe(
      `arn:aws:sts::${account}:assumed-role/deploy/ci`,
    );
    expect(await refusal(assume(admin, deployRole))).toBe("AccessDenied");
    expect(await refusal(assume(reader, clusterRole))).toBe("AccessDenied");
    expect(await refusal(assume(reader, `${deployRole}-that-is-not`))).toBe("AccessDenied");
    for (const name of ["x", "with space", "x".repeat(65), "a/b"]) {
      expect(await refusal(assume(reader, deployRole, name))).toBe("ValidationError");
    }
    const identify = (WebIdentityToken: string) =>
      stsClient(options()).send(
        new AssumeRoleWithWebIdentityCommand({ RoleArn: deployRole, RoleSessionName: "ci", WebIdentityToken }),
      );
    expect((await identify("token-of-deploy")).Credentials?.SessionToken).toBeTruthy();
    expect(await refusal(identify("token-of-cluster"))).toBe("AccessDenied");
    expect(await refusal(identify("token-of-nobody"))).toBe("InvalidIdentityTokenException");
  });
});

describe("faults", () => {
  it.each([
    ["throttle", "ThrottlingException"],
    ["internal", "KMSInternalException"],
    ["unavailable", "ServiceUnavailableException"],
    ["expired", "ExpiredTokenException"],
    ["denied", "AccessDeniedException"],
    ["reset", "TimeoutError"],
  ] as const)("%s is %s for one request", async (fault, expected) => {
    const { arn } = server.createKey({ region });
    server.faults.next(undefined, fault);
    expect(await refusal(encrypted(arn))).toBe("answered");
    expect(await refusal(encrypted(arn))).toBe(expected);
    expect(await refusal(encrypted(arn))).toBe("answered");
    expect(server.statistics()).toMatchObject({ calls: 3, operations: { Encrypt: 3 }, inFlight: 0 });
    expect(Object.values(server.statistics().errors)).toEqual([1]);
  });

  it("are decided by operation, key and count, and survived by the SDK's retries", async () => {
    const [good, bad] = [server.createKey({ region }), server.createKey({ region })];
    server.faults.use(({ operation, keyId, count }) =>
      operation === "Encrypt" && keyId === bad.arn && count <= 2 ? "internal" : undefined,
    );
    const patient = kmsClient(options({ maxAttempts: 3 }));
    await encrypted(bad.arn, {}, patient);
    await encrypted(good.arn, {}, patient);
    expect(server.calls.map(({ keyId, errorCode }) => [keyId, errorCode])).toEqual([
      [bad.arn, "KMSInternalException"],
      [bad.arn, "KMSInternalException"],
      [bad.arn, undefined],
      [good.arn, undefined],
    ]);
  });

  it("hang until they are released, or their sender goes away", async () => {
    const { arn } = server.createKey({ region });
    server.faults.use(() => "hang");
    const answers = Promise.all([encrypted(arn), encrypted(arn), encrypted(arn)]);
    await server.faults.whenHanging(3);
    expect(server.statistics()).toMatchObject({ inFlight: 3, maxInFlight: 3 });
    server.faults.release();
    expect(await answers).toHaveLength(3);
    const abort = new AbortController();
    const aborted = refusal(
      kms.send(new EncryptCommand({ KeyId: arn, Plaintext: hello }), { abortSignal: abort.signal }),
    );
    await server.faults.whenHanging(1);
    abort.abort();
    expect(await aborted).toBe("AbortError");
  });

  it("delay, and so does latency, with the waiting that was passed in", async () => {
    const waits: number[] = [];
    const slow = await startKmsServer({
      latencyMs: 250,
      sleep: async (milliseconds) => void waits.push(milliseconds),
    });
    const { arn } = slow.createKey({ region });
    const client = kmsClient({ endpoint: slow.endpoint, region, credentials: slow.credentials() });
    slow.faults.next(undefined, { delayMs: 9000 }, { delayMs: 60_000, fault: "throttle" });
    await encrypted(arn, {}, client);
    await encrypted(arn, {}, client);
    expect(await refusal(encrypted(arn, {}, client))).toBe("ThrottlingException");
    expect(waits).toEqual([250, 250, 9000, 250, 60_000]);
    await slow.close();
  });
});

describe("what is not modelled", () => {
  it("is refused with its name, and close() fails, so that no test passes by luck", async () => {
    const other = await startKmsServer();
    const { arn } = other.createKey({ region });
    const client = kmsClient({ endpoint: other.endpoint, region, credentials: other.credentials() });
    const command = new EncryptCommand({ KeyId: arn, Plaintext: hello, GrantTokens: ["token"] });
    expect(await refusal(client.send(command))).toBe("NotModelledError");
    await expect(other.close()).rejects.toThrow("the KMS test server does not model GrantTokens of Encrypt");
  });
});

describe("the call log", () => {
  it("tells who did what with which key and context, and no plaintext", async () => {
    const { arn } = server.createKey({ region });
    const blob = await encrypted(arn, { "seal:env": "prod" });
    await decrypted({ CiphertextBlob: blob, EncryptionContext: { "seal:env": "prod" } });
    await refusal(decrypted({ KeyId: "alias/none", CiphertextBlob: blob }));
    expect(server.calls).toMatchObject([
      { operation: "Encrypt", keyId: arn, region, principal: admin, encryptionContext: { "seal:env": "prod" } },
      { operation: "Decrypt", keyId: arn, time: start, dryRun: false, errorCode: undefined },
      { operation: "Decrypt", keyId: "alias/none", encryptionContext: {}, errorCode: "NotFoundException" },
    ]);
    expect(JSON.stringify(server.calls)).not.toContain(hello.toString("base64"));
    const response = await fetch(`${server.endpoint}/__statistics`);
    expect(await response.json()).toMatchObject({ calls: 3, errors: { NotFoundException: 1 }, maxInFlight: 1 });
  });
});

describe("in a process of its own", () => {
  let folder: string;
  let bundle: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sealward-kms-"));
    bundle = join(folder, "serve.mjs");
    const entryPoints = [join(import.meta.dirname, "support/kms/serve.ts")];
    await build({ entryPoints, bundle: true, platform: "node", format: "esm", outfile: bundle });
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Runs it until `use` is over; what it said on stdout, line by line, and how it ended. */
  async function serving(
    use: (ready: Ready) => Promise<unknown>,
    end: (child: ChildProcess) => void,
  ): Promise<unknown[]> {
    const config = JSON.stringify({ keys: [{ region, alias: "bench" }] });
    const child = spawn(process.execPath, [bundle, config], { stdio: ["pipe", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const said: unknown[] = [];
    for await (const line of createInterface(child.stdout)) {
      said.push(JSON.parse(line));
      if (said.length > 1) continue;
      await use(said[0] as Ready);
      end(child);
    }
    return [...said.slice(1), ...(await exited)];
  }

  interface Ready {
    readonly endpoint: string;
    readonly keys: readonly CreatedKey[];
    readonly credentials: ClientOptions["credentials"];
  }
  const use = async ({ endpoint, keys, credentials }: Ready): Promise<void> => {
    await encrypted(keys[0]?.aliasArn ?? "", {}, kmsClient({ endpoint, region, credentials }));
    const statistics: unknown = await (await fetch(`${endpoint}/__statistics`)).json();
    expect(statistics).toMatchObject({ calls: 1, operations: { Encrypt: 1 }, errors: {} });
  };

  it("says where it is and ends with its stdin", async () => {
    expect(await serving(use, (child) => child.stdin?.end())).toEqual([0, null]);
  });

  it("says what it counted when it is told to end", async () => {
    const statistics = { calls: 1, operations: { Encrypt: 1 }, errors: {}, inFlight: 0, maxInFlight: 1 };
    expect(await serving(use, (child) => child.kill("SIGTERM"))).toEqual([statistics, 0, null]);
  });
});
