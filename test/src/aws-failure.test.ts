// Every way in which a call to AWS fails, through the real SDK: the code, what the message says, and above all what it does
// not say. Then how often a call is tried.
import { inspect } from "node:util";
import { UpdateAliasCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  type AwsKmsOptions,
  type ErrorCode,
  type Kms,
  openSealed,
  type SealwardError,
  sealManifest,
} from "../../src/index.ts";
import { type HttpStub, startHttpStub } from "../support/http-stub.ts";
import { kmsClient } from "../support/kms/clients.ts";
import type { Fault } from "../support/kms/faults.ts";
import { type KmsServer, startKmsServer } from "../support/kms/kms-server.ts";
import { eachTestAlone } from "../support/kms-each-test.ts";
import { awsAt, kmsEnvironment } from "../support/kms-environments.ts";
import { databaseSecret, expectRefusal, now, refusalOf } from "../support/sealing.ts";

const region = "eu-west-1";
const role = "arn:aws:iam::111122223333:role/sealer";
const context = { "sealward-environment": "prod" };
const plaintext = Buffer.from("PLAINTEXT-of-a-data-key-32-bytes");

let server: KmsServer;
let clock = new Date("2026-11-27T08:00:00Z");
const closing: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  server = await startKmsServer({ roles: [{ arn: role }], now: () => clock });
});
afterAll(async () => {
  for (const one of closing.reverse()) await one.close();
  await server.close();
});
eachTestAlone(() => server);

type Session = ReturnType<KmsServer["session"]>;
const session = (): Session => server.session(role, { sessionName: "test" });

function kmsWith(credentials: Session, options: Partial<AwsKmsOptions> = {}, endpoint = server.endpoint): Kms {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const aws = awsAt({ endpoint, credentials: { accessKeyId, secretAccessKey, sessionToken } }, options);
  closing.push(aws);
  return aws.as();
}

async function answering(answer: Parameters<typeof startHttpStub>[0]): Promise<HttpStub> {
  const stub = await startHttpStub(answer);
  closing.push(stub);
  return stub;
}

/** What no error says, wherever one looks. */
function expectSilence(error: SealwardError, { secretAccessKey, sessionToken }: Session, ...more: string[]): void {
  const everything = `${error.message}\n${error.stack}\n${inspect(error, { depth: 10, showHidden: true })}`;
  const forms = (["utf8", "base64", "hex"] as const).map((form) => plaintext.toString(form));
  for (const secret of [secretAccessKey, sessionToken, ...forms, ...more]) expect(everything).not.toContain(secret);
  expect(error.cause).toBeUndefined();
}

interface World {
  readonly arn: string;
  kms: Kms;
}

interface Failure {
  readonly what: string;
  readonly arrange: (world: World) => void;
  readonly code: ErrorCode;
  readonly name: string;
  readonly says: string;
  /** The server's own words, or Node's. */
  readonly hides?: string;
  readonly options?: Partial<AwsKmsOptions>;
}

const script = (fault: Fault) => () => server.faults.use(() => fault);
const policy = (...denied: string[]) => ({
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" },
    { Effect: "Deny", Principal: "*", Action: denied, Resource: "*" },
  ],
});

const failures: readonly Failure[] = [
  {
    what: "throttled",
    arrange: script("throttle"),
    code: "key-unreachable",
    name: "ThrottlingException",
    says: "AWS throttles the calls",
    hides: "exceeded the rate",
  },
  {
    what: "500",
    arrange: script("internal"),
    code: "key-unreachable",
    name: "KMSInternalException",
    says: "AWS KMS failed inside",
    hides: "internal error occurred",
  },
  {
    what: "503",
    arrange: script("unavailable"),
    code: "key-unreachable",
    name: "ServiceUnavailableException",
    says: "AWS is not available",
    hides: "The service is unavailable",
  },
  {
    what: "a connection that is reset",
    arrange: script("reset"),
    code: "key-unreachable",
    name: "ECONNRESET",
    says: "there is no connection",
    hides: "socket hang up",
  },
  {
    what: "no answer",
    arrange: script("hang"),
    code: "key-unreachable",
    name: "TimeoutError",
    says: "no answer came in time",
    options: { timeoutMs: 30 },
  },
  {
    what: "expired credentials",
    arrange: () => {
      clock = new Date(clock.getTime() + 3_600_000);
    },
    code: "credentials-missing",
    name: "ExpiredTokenException",
    says: "the AWS credentials have expired",
    hides: "security token",
  },
  {
    what: "an unknown access key",
    arrange: (world) => {
      world.kms = kmsWith({ ...session(), accessKeyId: "AKIAUNKNOWN" });
    },
    code: "credentials-missing",
    name: "UnrecognizedClientException",
    says: "AWS does not know these credentials",
    hides: "security token",
  },
  {
    what: "a policy that denies it",
    arrange: ({ arn }) => server.setKeyPolicy(arn, policy("kms:Decrypt", "kms:Encrypt")),
    code: "key-refused",
    name: "AccessDeniedException",
    says: "the caller has no permission for it",
    hides: "is not authorized",
  },
  {
    what: "a disabled key",
    arrange: ({ arn }) => server.setKeyState(arn, "Disabled"),
    code: "key-refused",
    name: "DisabledException",
    says: "the key is disabled",
    hides: "is disabled.",
  },
  {
    what: "a key that is pending deletion",
    arrange: ({ arn }) => server.setKeyState(arn, "PendingDeletion"),
    code: "key-refused",
    name: "KMSInvalidStateException",
    says: "the key is pending deletion",
    hides: "is pending deletion.",
  },
];

describe.each(["Encrypt", "Decrypt"] as const)("%s", (action) => {
  it.each(failures)("$what: $code", async ({ arrange, code, name, says, hides, options }) => {
    const { arn } = server.createKey({ region });
    const credentials = session();
    const world: World = { arn, kms: kmsWith(credentials, options) };
    const ciphertext = await kmsWith(credentials).encrypt({ arn, plaintext, context });
    arrange(world);
    const error = await expectRefusal(
      () => world.kms[action === "Encrypt" ? "encrypt" : "decrypt"]({ arn, context, plaintext, ciphertext }),
      code,
    );
    expect(error.message).toBe(`AWS did not do kms:${action} for ${arn}: ${says} (${name})`);
    expectSilence(error, credentials);
    if (hides !== undefined) expectSilence(error, credentials, hides);
  });

  it("a key that there is not: key-refused", async () => {
    const credentials = session();
    const arn = `arn:aws:kms:${region}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
    const kms = kmsWith(credentials);
    const call = { arn, context, plaintext, ciphertext: plaintext };
    const error = await expectRefusal(() => kms[action === "Encrypt" ? "encrypt" : "decrypt"](call), "key-refused");
    expect(error.message).toBe(
      `AWS did not do kms:${action} for ${arn}: there is no such key or alias (NotFoundException)`,
    );
    expectSilence(error, credentials);
  });
});

it("a key that an alias no longer stands for: key-refused", async () => {
  const credentials = session();
  const kms = kmsWith(credentials);
  const { aliasArn: arn = "" } = server.createKey({ region, alias: "moving" });
  const other = server.createKey({ region });
  const ciphertext = await kms.encrypt({ arn, plaintext, context });
  const client = kmsClient({ endpoint: server.endpoint, region, credentials: server.credentials() });
  await client.send(new UpdateAliasCommand({ AliasName: "alias/moving", TargetKeyId: other.keyId }));
  client.destroy();
  const error = await expectRefusal(() => kms.decrypt({ arn, ciphertext, context }), "key-refused");
  expect(error.message).toBe(
    `AWS did not do kms:Decrypt for ${arn}: another key wrapped the data key (IncorrectKeyException)`,
  );
  expectSilence(error, credentials);
});

it("a ciphertext that the key did not make is no failure, and not authentic at the gate", async () => {
  const kms = kmsWith(session());
  const { arn } = server.createKey({ region });
  expect(await kms.decrypt({ arn, ciphertext: plaintext, context })).toBeNull();
  const env = kmsEnvironment("prod", { kms, keys: [arn] });
  const { text } = await sealManifest(databaseSecret, { environment: env.policy, kms, now });
  const enc = Buffer.from(plaintext).toString("base64");
  const spoiled = text.replace(/enc: \S+/, `enc: ${enc}`);
  expect(spoiled).not.toBe(text);
  const target = { namespace: "payments", name: "db" };
  await expectRefusal(() => openSealed(spoiled, { environment: env.policy, target }, env.identities), "not-authentic");
});

describe("a server that is none of AWS's", () => {
  const arn = `arn:aws:kms:${region}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
  const said = "SERVER-SAYS-this-text";
  const json = "application/x-amz-json-1.1";
  const wrapped = Buffer.from("wrapped").toString("base64");
  const other = arn.replace("1234abcd", "deadbeef");

  interface Answer {
    readonly what: string;
    readonly status: number;
    readonly body: string | object;
    readonly type?: string;
    readonly code: ErrorCode;
    readonly says: RegExp;
  }
  const error = (type: string, status = 400) => ({ status, body: { __type: type, message: said } });
  const answers: readonly Answer[] = [
    {
      what: "an error that nobody knows",
      ...error("OddException"),
      code: "key-refused",
      says: /take the request \(OddException\)$/,
    },
    {
      what: "an error with a shape before its name",
      ...error("com.amazonaws.kms#DisabledException"),
      code: "key-refused",
      says: /disabled \(DisabledException\)$/,
    },
    {
      what: "an unknown error of its own",
      ...error("OddException", 500),
      code: "key-unreachable",
      says: /not available \(OddException\)$/,
    },
    {
      what: "too many requests by status only",
      ...error("OddException", 429),
      code: "key-unreachable",
      says: /not available/,
    },
    {
      what: "an error whose name is a text",
      ...error(`Not a name: ${said}`),
      code: "key-refused",
      says: /take the request/,
    },
    {
      what: "an error with a name of the prototype",
      ...error("constructor"),
      code: "key-refused",
      says: /take the request/,
    },
    { what: "an error without a name", status: 400, body: {}, code: "key-refused", says: /take the request/ },
    {
      what: "a page",
      status: 200,
      body: `<html>${said}</html>`,
      type: "text/html",
      code: "key-unreachable",
      says: /before it got an answer|not available/,
    },
    {
      what: "a page of a proxy that fails",
      status: 502,
      body: `<html>${said}</html>`,
      type: "text/html",
      code: "key-unreachable",
      says: /not available/,
    },
    {
      what: "a page of a proxy that forbids",
      status: 403,
      body: `<html>${said}</html>`,
      type: "text/html",
      code: "key-refused",
      says: /take the request/,
    },
    {
      what: "half an answer",
      status: 200,
      body: `{"KeyId":"${arn}","Plaintext":"${said}`,
      code: "key-unreachable",
      says: /./,
    },
    { what: "nothing", status: 200, body: "", code: "key-unreachable", says: /the answer is empty/ },
    {
      what: "no more than a key",
      status: 200,
      body: { KeyId: arn },
      code: "key-unreachable",
      says: /the answer is empty/,
    },
    { what: "a redirect", status: 302, body: said, code: "key-unreachable", says: /./ },
    {
      what: "what it wrapped with another key",
      status: 200,
      body: { KeyId: other, CiphertextBlob: wrapped, Plaintext: wrapped },
      code: "key-refused",
      says: /another key answered$/,
    },
    {
      what: "what it wrapped with a replica",
      status: 200,
      body: { KeyId: arn.replace(region, "eu-west-2"), CiphertextBlob: wrapped, Plaintext: wrapped },
      code: "key-refused",
      says: /another key answered$/,
    },
    {
      what: "an answer of no key",
      status: 200,
      body: { CiphertextBlob: wrapped, Plaintext: wrapped },
      code: "key-unreachable",
      says: /the answer is empty/,
    },
  ];

  it.each(answers)("answers $what: $code", async ({ status, body, type = json, code, says }) => {
    const stub = await answering((response) => {
      response.writeHead(status, { "content-type": type, location: "/elsewhere" });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
    const credentials = session();
    const kms = kmsWith(credentials, {}, stub.endpoint);
    const failing = [
      await expectRefusal(() => kms.encrypt({ arn, plaintext, context }), code),
      await expectRefusal(() => kms.decrypt({ arn, ciphertext: plaintext, context }), code),
    ];
    for (const problem of failing) {
      expect(problem.message).toMatch(
        /^AWS did not do kms:(?:En|De)crypt for arn:aws:kms:eu-west-1:111122223333:key\/1234abcd/,
      );
      expect(problem.message).toMatch(says);
      expectSilence(problem, credentials, said, wrapped);
    }
    expect(stub.asked.every(({ url }) => url === "POST /")).toBe(true);
  });

  it("gives a key that is too short: not authentic, and nothing is opened", async () => {
    const stub = await answering((response) => {
      response.writeHead(200, { "content-type": json });
      response.end(JSON.stringify({ KeyId: arn, CiphertextBlob: wrapped, Plaintext: wrapped }));
    });
    const kms = kmsWith(session(), {}, stub.endpoint);
    const env = kmsEnvironment("prod", { kms, keys: [arn] });
    const { text } = await sealManifest(databaseSecret, { environment: env.policy, kms, now });
    const target = { namespace: "payments", name: "db" };
    await expectRefusal(() => openSealed(text, { environment: env.policy, target }, env.identities), "not-authentic");
  });

  it("does not listen: key-unreachable", async () => {
    const stub = await startHttpStub(() => undefined);
    await stub.close();
    const credentials = session();
    const kms = kmsWith(credentials, {}, stub.endpoint);
    const problem = await expectRefusal(() => kms.decrypt({ arn, ciphertext: plaintext, context }), "key-unreachable");
    expect(problem.message).toBe(`AWS did not do kms:Decrypt for ${arn}: there is no connection (ECONNREFUSED)`);
    expectSilence(problem, credentials, stub.endpoint.replace("http://", ""));
  });

  it("has a name that nobody resolves: key-unreachable", async () => {
    const kms = kmsWith(session(), {}, "http://nobody.invalid");
    const { message } = await expectRefusal(
      () => kms.decrypt({ arn, ciphertext: plaintext, context }),
      "key-unreachable",
    );
    expect(message).toMatch(/there is no connection \((?:ENOTFOUND|EAI_AGAIN)\)$/);
  });
});

describe("a call is tried", () => {
  it.each<[fault: Fault, times: number, load: "few" | "sweep" | undefined, code: ErrorCode]>([
    ["throttle", 3, undefined, "key-unreachable"],
    ["internal", 3, undefined, "key-unreachable"],
    ["unavailable", 3, "few", "key-unreachable"],
    ["reset", 3, undefined, "key-unreachable"],
    ["hang", 3, undefined, "key-unreachable"],
    ["denied", 1, undefined, "key-refused"],
    ["expired", 1, undefined, "credentials-missing"],
    ["throttle", 8, "sweep", "key-unreachable"],
    ["internal", 8, "sweep", "key-unreachable"],
    ["reset", 8, "sweep", "key-unreachable"],
    ["denied", 1, "sweep", "key-refused"],
  ])("where it meets %s %i times, load %s", async (fault, times, load, code) => {
    const { arn } = server.createKey({ region });
    // Long enough for a busy machine to take a request in, which the server must have seen to count it.
    const kms = kmsWith(session(), { load, ...(fault === "hang" ? { timeoutMs: 150 } : {}) });
    server.faults.use(() => fault);
    await expectRefusal(() => kms.encrypt({ arn, plaintext, context }), code);
    await vi.waitUntil(() => server.calls.filter(({ keyId }) => keyId === arn).length === times);
  });

  it.each(["throttle", "internal", "unavailable", "reset"] as const)("and succeeds where %s passes", async (fault) => {
    const { arn } = server.createKey({ region });
    server.faults.next(fault, fault);
    await kmsWith(session()).encrypt({ arn, plaintext, context });
    expect(server.calls).toHaveLength(3);
  });

  it("no more while its key is left alone", async () => {
    const { arn } = server.createKey({ region });
    let time = 0;
    const kms = kmsWith(session(), { now: () => time });
    server.faults.use(() => "unavailable");
    const encrypting = () => refusalOf(() => kms.encrypt({ arn, plaintext, context }));
    for (let count = 0; count < 3; count++) await encrypting();
    expect(server.calls).toHaveLength(9);
    const { code, message } = await encrypting();
    expect(server.calls).toHaveLength(9);
    expect([code, message]).toEqual(["key-unreachable", expect.stringContaining("AWS is not available")]);
    server.faults.clear();
    time = 10_000;
    await kms.encrypt({ arn, plaintext, context });
    expect(server.calls).toHaveLength(10);
  });
});

describe("an answer that does not end", () => {
  const whole = JSON.stringify({ KeyId: "KEY", CiphertextBlob: Buffer.alloc(8).toString("base64") });

  it("gives its connections back, so that the next calls are made", async () => {
    let stalls = true;
    const stub = await answering((response, body) => {
      response.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
      if (stalls) response.write("{");
      else response.end(whole.replace("KEY", (JSON.parse(body) as { KeyId: string }).KeyId));
    });
    const kms = awsAt(
      { endpoint: stub.endpoint, credentials: server.credentials() },
      { maxInFlight: 2, longestMs: 150 },
    );
    const encrypting = (name: string) =>
      kms.as().encrypt({ arn: `arn:aws:kms:${region}:111122223333:alias/${name}`, plaintext, context });
    for (const name of ["a", "b"]) await expectRefusal(() => encrypting(name), "key-unreachable");
    stalls = false;
    await Promise.all(["c", "d", "e"].map(encrypting));
    await kms.close();
  });

  it("is cut off where it is longer than any of AWS", async () => {
    const piece = Buffer.alloc(64 * 1024, " ");
    let sent = 0;
    const stub = await answering((response) => {
      response.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
      const more = (): void => {
        sent += piece.length;
        if (!response.destroyed) response.write(piece, () => setImmediate(more));
      };
      more();
    });
    const kms = awsAt({ endpoint: stub.endpoint, credentials: server.credentials() });
    const arn = `arn:aws:kms:${region}:111122223333:alias/a`;
    await expectRefusal(() => kms.as().encrypt({ arn, plaintext, context }), "key-unreachable");
    // What the system holds between the two comes on top.
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    await kms.close();
  });
});
