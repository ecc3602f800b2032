// As whom KMS is called: roles that are assumed, and what the SDK's default chain finds. The chain reads the environment of
// its process, so it runs in one of its own, against the test server and a server for a pod's credentials.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { KMSClient } from "@aws-sdk/client-kms";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type AwsCaller, AwsKms, type AwsKmsOptions, asSessionName } from "../../src/index.ts";
import { type HttpStub, startHttpStub } from "../support/http-stub.ts";
import { type KmsServer, startKmsServer } from "../support/kms/kms-server.ts";
import { eachTestAlone } from "../support/kms-each-test.ts";
import { awsAt } from "../support/kms-environments.ts";
import { expectRefusal } from "../support/sealing.ts";

const region = "eu-west-1";
const account = "111122223333";
const admin = `arn:aws:iam::${account}:user/admin`;
const roleOf = (name: string) => `arn:aws:iam::${account}:role/${name}`;
const sessionOf = (role: string, name: string) => `arn:aws:sts::${account}:assumed-role/${role}/${name}`;
const trusted = roleOf("deploy/sealer");
const other = roleOf("other");
const closed = roleOf("closed");
const pod = roleOf("pod");
const context = { "sealward-environment": "prod" };
const plaintext = Buffer.from("0123456789abcdef0123456789abcdef");
const token = "a-token-of-the-cluster";

let server: KmsServer;
let serverTime = (): Date => new Date();
const open: AwsKms[] = [];

beforeAll(async () => {
  server = await startKmsServer({
    now: () => serverTime(),
    roles: [
      { arn: trusted, trusts: [admin] },
      { arn: other, trusts: [admin] },
      { arn: closed },
      { arn: pod, webIdentityTokens: [token] },
    ],
  });
});
afterAll(async () => {
  for (const aws of open) await aws.close();
  await server.close();
});
eachTestAlone(() => server);
afterEach(() => {
  serverTime = () => new Date();
});

function aws(options: Partial<AwsKmsOptions> = {}): AwsKms {
  const made = awsAt({ endpoint: server.endpoint, credentials: server.credentials() }, options);
  open.push(made);
  return made;
}

const callsOf = (service: "kms" | "sts") => server.calls.filter((call) => call.service === service);
const key = (where = region) => server.createKey({ region: where }).arn;
const encrypt = (kms: AwsKms, arn: string, caller: AwsCaller) => kms.as(caller).encrypt({ arn, plaintext, context });

/** The SDK's client that a call is made with. */
const clientOf = (calls: AwsKms, arn: string, caller: AwsCaller): Promise<KMSClient> =>
  calls.call({ action: "none", arn }, caller, async (client) => client);

describe("a role", () => {
  it("is assumed, and calls under the name of its session", async () => {
    await encrypt(aws({ sessionName: "seal-alice" }), key(), { role: trusted });
    expect(server.calls.map(({ operation, principal }) => [operation, principal])).toEqual([
      ["AssumeRole", admin],
      ["Encrypt", sessionOf("sealer", "seal-alice")],
    ]);
    expect(callsOf("sts")[0]).toMatchObject({ roleArn: trusted, sessionName: "seal-alice", region });
  });

  it.each([
    ["seal-alice", "seal-alice"],
    ["a+b=c,d.e@f-g_h", "a+b=c,d.e@f-g_h"],
    ["seal-github-1-org/repo", "seal-github-1-org-repo"],
    ["Zoë Müller\n<script>", "Zo-M-ller-script-"],
    ["x".repeat(100), "x".repeat(64)],
    [`${"x".repeat(63)}\u{1f511}y`, `${"x".repeat(63)}-`],
    ["", "sealward-"],
    ["x", "sealward-x"],
  ])("has the session name %j as %j", async (name, expected) => {
    expect(asSessionName(name)).toBe(expected);
    await encrypt(aws({ sessionName: name }), key(), { role: trusted });
    expect(callsOf("sts").map(({ sessionName }) => sessionName)).toEqual([expected]);
  });

  it.each([closed, roleOf("nobody")])("that does not trust the caller refuses: %s", async (role) => {
    const arn = key();
    const { message } = await expectRefusal(() => encrypt(aws(), arn, { role }), "key-refused");
    expect(message).toBe(
      `AWS did not do sts:AssumeRole for ${role}: the caller has no permission for it (AccessDenied)`,
    );
    expect(callsOf("kms")).toEqual([]);
  });

  it.each([
    ["expired", "credentials-missing", "ExpiredToken", 1],
    ["throttle", "key-unreachable", "Throttling", 3],
    ["internal", "key-unreachable", "InternalFailure", 3],
    ["reset", "key-unreachable", "ECONNRESET", 3],
    ["hang", "key-unreachable", "TimeoutError", 3],
  ] as const)("STS meets %s: %s", async (fault, code, name, attempts) => {
    server.faults.use(({ service }) => (service === "sts" ? fault : undefined));
    // Long enough for a busy machine to take a request in, which the server must have seen to count it.
    const calls = aws(fault === "hang" ? { timeoutMs: 150 } : {});
    const { message } = await expectRefusal(() => encrypt(calls, key(), { role: trusted }), code);
    expect(message).toContain(`sts:AssumeRole for ${trusted}: `);
    expect(message).toContain(`(${name})`);
    await vi.waitUntil(() => server.calls.length === attempts);
    expect(callsOf("kms")).toEqual([]);
  });

  it("is not given up after a refusal that passes", async () => {
    const [calls, arn] = [aws(), key()];
    server.faults.next("denied");
    await expectRefusal(() => encrypt(calls, arn, { role: trusted }), "key-refused");
    await encrypt(calls, arn, { role: trusted });
  });

  it("is assumed once for many calls, and once for each Region", async () => {
    const calls = aws();
    const arns = [key(), key(), key("eu-central-1")];
    await Promise.all(
      Array.from({ length: 60 }, (_, index) => encrypt(calls, arns[index % 3] ?? "", { role: trusted })),
    );
    await encrypt(calls, arns[0] ?? "", { role: trusted });
    expect(
      callsOf("sts")
        .map((call) => call.region)
        .sort(),
    ).toEqual(["eu-central-1", region]);
    expect(callsOf("kms")).toHaveLength(61);
  });

  it("is assumed again when its session is about to end", async () => {
    // A session takes an hour, so one that began 58 minutes ago has two left.
    serverTime = () => new Date(Date.now() - 58 * 60_000);
    const [calls, arn] = [aws(), key()];
    await encrypt(calls, arn, { role: trusted });
    await encrypt(calls, arn, { role: trusted });
    expect(callsOf("sts").length).toBeGreaterThan(1);
  });

  it("shares nothing with another role, nor with who calls without one", async () => {
    const [calls, arn] = [aws({ sessionName: "test" }), key()];
    const callers: AwsCaller[] = [{ role: trusted }, { role: other }, {}];
    for (const caller of [...callers, ...callers]) await encrypt(calls, arn, caller);
    const principals = [sessionOf("sealer", "test"), sessionOf("other", "test"), admin];
    expect(callsOf("kms").map(({ principal }) => principal)).toEqual([...principals, ...principals]);
    expect(callsOf("sts")).toHaveLength(2);
  });

  it("that cannot be assumed leaves its key to others", async () => {
    const [calls, arn] = [aws(), key()];
    server.faults.use(({ service }) => (service === "sts" ? "unavailable" : undefined));
    for (let count = 0; count < 4; count++)
      await expectRefusal(() => encrypt(calls, arn, { role: trusted }), "key-unreachable");
    expect(callsOf("sts")).toHaveLength(9);
    await encrypt(calls, arn, {});
  });

  it("and a profile of its name are two callers", async () => {
    const calls = aws();
    const arn = key();
    const clients = [
      await clientOf(calls, arn, {}),
      await clientOf(calls, arn, { profile: trusted }),
      await clientOf(calls, arn, { role: trusted }),
      await clientOf(calls, arn, { role: trusted, profile: "x" }),
      await clientOf(calls, key("eu-central-1"), {}),
    ];
    expect(new Set(clients).size).toBe(clients.length);
    expect(await clientOf(calls, key(), {})).toBe(clients[0]);
  });
});

describe("the host that is called", () => {
  it.each([
    ["eu-west-1", undefined, "kms.eu-west-1.amazonaws.com"],
    ["eu-west-1", false, "kms.eu-west-1.amazonaws.com"],
    ["us-east-1", true, "kms-fips.us-east-1.amazonaws.com"],
    ["us-gov-west-1", true, "kms-fips.us-gov-west-1.amazonaws.com"],
    ["cn-north-1", undefined, "kms.cn-north-1.amazonaws.com.cn"],
    ["eusc-de-east-1", undefined, "kms.eusc-de-east-1.amazonaws.eu"],
  ])("in %s, FIPS %s: %s", async (where, useFips, host) => {
    const partition =
      { c: "aws-cn", g: "aws-us-gov", e: "aws-eusc" }[/^(?:us-)?(cn|gov|eusc)-/.exec(where)?.[1]?.[0] ?? ""] ?? "aws";
    const calls = new AwsKms({ sessionName: "x", now: () => 0, useFips, credentials: server.credentials() });
    const { endpointProvider, useFipsEndpoint } = (
      await clientOf(calls, `arn:${partition}:kms:${where}:${account}:key/x`, {})
    ).config;
    const { url } = endpointProvider({ Region: where, UseFIPS: await useFipsEndpoint(), UseDualStack: false });
    expect(url.hostname).toBe(host);
    await calls.close();
  });
});

interface Case {
  readonly env?: Readonly<Record<string, string>>;
  readonly caller?: AwsCaller;
  readonly options?: Partial<AwsKmsOptions>;
}

interface Outcome {
  readonly code: string | null;
  readonly message: string;
  readonly ms: number;
  readonly fips: boolean;
}

/** Runs in the other process: one case after the other, each with an environment of its own. */
const script = `
import { AwsKms } from "./src/aws-kms.ts";
const { arn, cases } = JSON.parse(process.env.CASES);
const outcomes = [];
for (const { env = {}, caller = {}, options = {} } of cases) {
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
  Object.assign(process.env, { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true", ...env });
  const aws = new AwsKms({ sessionName: "child", now: () => performance.now(), ...options });
  const begin = performance.now();
  let problem = { code: null, message: "" };
  try {
    await aws.as(caller).encrypt({ arn, plaintext: Buffer.alloc(32), context: {} });
  } catch (error) {
    problem = error;
  }
  const { code = "none", message } = problem;
  const client = await aws.call({ action: "none", arn }, caller, async (given) => given);
  outcomes.push({ code, message, ms: performance.now() - begin, fips: await client.config.useFipsEndpoint() });
  await aws.close();
}
process.stdout.write(JSON.stringify(outcomes));
`;

describe("the default chain", () => {
  let folder: string;
  let agent: HttpStub;
  let child: { readonly code: string; readonly arn: string };
  const inFolder = (name: string) => join(folder, name);
  const secrets: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sealward-aws-"));
    const { accessKeyId, secretAccessKey } = server.credentials();
    secrets.push(secretAccessKey, token);
    const keyLines = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    await writeFile(inFolder("credentials"), `[work]\n${keyLines}`);
    await writeFile(
      inFolder("config"),
      `[profile work]\nregion = us-west-2\n[profile chained]\nrole_arn = ${other}\nsource_profile = work\nrole_session_name = by-profile\nregion = ${region}\n`,
    );
    await writeFile(inFolder("token"), token);
    agent = await startHttpStub((response) => {
      const {
        expiration: Expiration,
        accessKeyId: AccessKeyId,
        secretAccessKey: SecretAccessKey,
        sessionToken: Token,
      } = server.session(pod, { sessionName: "eks-pod" });
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ AccessKeyId, SecretAccessKey, Token, Expiration }));
    });
    const { outputFiles } = await build({
      stdin: { contents: script, resolveDir: "." },
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
      write: false,
    });
    child = { code: outputFiles[0]?.text ?? "", arn: key() };
  });
  afterAll(async () => {
    await agent.close();
    await rm(folder, { recursive: true });
  });

  /** What came of each case, and who called for it. */
  async function outcomesOf(cases: readonly Case[]): Promise<readonly Outcome[]> {
    const common = {
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_CONFIG_FILE: inFolder("none"),
      AWS_SHARED_CREDENTIALS_FILE: inFolder("none"),
      AWS_ENDPOINT_URL_KMS: server.endpoint,
      AWS_ENDPOINT_URL_STS: server.endpoint,
    };
    const all = cases.map((one) => ({ ...one, env: { ...common, ...one.env } }));
    // From stdin, so that packages are found where the process is.
    const node = spawn(process.execPath, ["--input-type=module", "-"], {
      env: { PATH: process.env["PATH"], HOME: folder, CASES: JSON.stringify({ arn: child.arn, cases: all }) },
      stdio: ["pipe", "pipe", "pipe"],
    });
    node.stdin.end(child.code);
    const [[status], stdout, stderr] = await Promise.all([once(node, "exit"), text(node.stdout), text(node.stderr)]);
    expect([status, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout);
  }

  it("finds what each place has, and says so where there is nothing", async () => {
    const { accessKeyId, secretAccessKey } = server.credentials();
    const own = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const files = { AWS_CONFIG_FILE: inFolder("config"), AWS_SHARED_CREDENTIALS_FILE: inFolder("credentials") };
    const webIdentity = { AWS_WEB_IDENTITY_TOKEN_FILE: inFolder("token"), AWS_ROLE_ARN: pod };
    const podIdentity = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.endpoint}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: inFolder("token"),
    };
    const expected: readonly (readonly [what: string, one: Case, principals: readonly string[], code?: string])[] = [
      ["variables", { env: own }, [admin]],
      ["a profile by variable", { env: { ...files, AWS_PROFILE: "work" } }, [admin]],
      ["a profile by configuration", { env: files, caller: { profile: "work" } }, [admin]],
      // Two answers of STS: the profile names one role, the configuration another.
      [
        "a role, by a profile",
        { env: files, caller: { profile: "work", role: trusted } },
        [admin, sessionOf("sealer", "child")],
      ],
      [
        "a role of a profile",
        { env: files, caller: { profile: "chained" } },
        [admin, sessionOf("other", "by-profile")],
      ],
      ["a role, by variables", { env: own, caller: { role: trusted } }, [admin, sessionOf("sealer", "child")]],
      [
        "a web identity",
        { env: { ...webIdentity, AWS_ROLE_SESSION_NAME: "irsa" } },
        ["anonymous", sessionOf("pod", "irsa")],
      ],
      ["a pod identity", { env: podIdentity }, [sessionOf("pod", "eks-pod")]],
      [
        "both: the web identity wins",
        { env: { ...podIdentity, ...webIdentity, AWS_ROLE_SESSION_NAME: "irsa" } },
        ["anonymous", sessionOf("pod", "irsa")],
      ],
      ["nothing", {}, [], "credentials-missing"],
      ["nothing, and a role", { caller: { role: trusted } }, [], "credentials-missing"],
      ["a profile that is not there", { env: files, caller: { profile: "none" } }, [], "credentials-missing"],
      [
        "a token that nobody accepts",
        { env: { ...webIdentity, AWS_WEB_IDENTITY_TOKEN_FILE: inFolder("config") } },
        ["anonymous"],
        "credentials-missing",
      ],
      [
        "a role that does not trust the token",
        { env: { ...webIdentity, AWS_ROLE_ARN: closed } },
        ["anonymous"],
        "credentials-missing",
      ],
      [
        "a token file that is not there",
        { env: { ...webIdentity, AWS_WEB_IDENTITY_TOKEN_FILE: inFolder("none") } },
        [],
        "credentials-missing",
      ],
      [
        "an agent elsewhere",
        { env: { ...podIdentity, AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://192.0.2.1/" } },
        [],
        "credentials-missing",
      ],
      // The SDK refuses an endpoint of one's own together with it.
      ["FIPS by variable", { env: { ...own, AWS_USE_FIPS_ENDPOINT: "true" } }, [], "key-refused"],
      [
        "FIPS by variable, and not by configuration",
        { env: { ...own, AWS_USE_FIPS_ENDPOINT: "true" }, options: { useFips: false } },
        [admin],
      ],
    ];
    const outcomes = await outcomesOf(expected.map(([, one]) => one));
    const seen = expected.map(([what], index) => [what, outcomes[index]?.code ?? null]);
    expect(seen).toEqual(expected.map(([what, , , code]) => [what, code ?? null]));
    // The call log in the order of the cases.
    expect(server.calls.map(({ principal }) => principal)).toEqual(expected.flatMap(([, , principals]) => principals));
    expect(new Set(agent.asked.map(({ headers }) => headers.authorization))).toEqual(new Set([token]));
    for (const [index, { message, ms, fips }] of outcomes.entries()) {
      for (const secret of secrets) expect(message).not.toContain(secret);
      expect(ms, expected[index]?.[0]).toBeLessThan(3000);
      expect(fips).toBe(expected[index]?.[0] === "FIPS by variable");
    }
    const [nothing, nothingForRole] = outcomes.filter((_, index) => expected[index]?.[0].startsWith("nothing"));
    expect(nothing?.message).toBe(
      `AWS did not do kms:Encrypt for ${child.arn}: no AWS credentials were found (CredentialsProviderError)`,
    );
    expect(nothingForRole?.message).toContain(`sts:AssumeRole for ${trusted}: no AWS credentials were found`);
  });
});
