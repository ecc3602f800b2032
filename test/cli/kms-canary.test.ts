// Whatever AWS does, no command shows a credential, a data key or a value, nor does an error hold one that somebody could
// print. The id of an access key is no secret; it is shown nowhere either, for nothing needs it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { DecryptCommand } from "@aws-sdk/client-kms";
import { afterEach, describe, expect, test, vi } from "vitest";
import { kmsClient } from "../support/kms/clients.ts";
import type { Fault } from "../support/kms/faults.ts";
import { awsAt, type KmsPlace } from "../support/kms-environments.ts";
import { canary, editor, type Given, gitdir, manifest, succeed } from "./gitdir.ts";
import { account, admin, type KmsWorld, kmsEntries, kmsWorld, sealedFile } from "./kms-world.ts";

const prod = "deploy/prod/db.sealed.yaml";
const values = "deploy/prod/values.yaml";
const role = `arn:aws:iam::${account}:role/sealer`;
const everything = [{ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] }];
const webIdentityToken = "eyJ-canary-web-identity-token";

const faults: readonly Fault[] = ["throttle", "denied", "expired", "reset", "hang", "internal"];

interface Setup {
  readonly world: KmsWorld;
  /** What must be seen nowhere. */
  readonly secrets: readonly string[];
  /** Of `prod`. */
  readonly dataKey: Buffer;
  readonly aws: KmsPlace & Pick<NonNullable<Given["aws"]>, "stsEndpoint" | "timeoutMs" | "load">;
}

/** Sealed files, and a session with a token to open them with. */
async function setUp(): Promise<Setup> {
  const trusts = [admin, role];
  const world = await kmsWorld({
    roles: [{ arn: role, trusts, iamPolicies: everything, webIdentityTokens: [webIdentityToken] }],
  });
  const policy = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS: [role, admin] }, Action: "kms:*", Resource: "*" }],
  };
  for (const key of Object.values(world.keys)) world.server.setKeyPolicy(key, policy);
  await sealedFile(world, manifest());
  world.dir.write(values, `password: ${canary}\n`);
  await succeed(world.run(["encrypt", "-i", values]));
  world.dir.write("deploy/prod/new.yaml", `password: ${canary}\n`);
  const { endpoint } = world.server;
  const { expiration: _, ...credentials } = world.server.session(role, { sessionName: "canary" });
  const { accessKeyId, secretAccessKey } = world.server.credentials();
  const dataKey = await dataKeyOf(world, prod);
  const dataKeys = [dataKey, await dataKeyOf(world, values)];
  const secrets = [
    canary,
    Buffer.from(canary).toString("base64"),
    ...Object.values(credentials),
    accessKeyId,
    secretAccessKey,
    webIdentityToken,
    ...dataKeys.flatMap((key) => [
      key.toString("base64"),
      key.toString("hex"),
      key.toString("latin1"),
      [...key].join(", "),
    ]),
  ];
  world.server.forgetCalls();
  const aws = {
    endpoint,
    stsEndpoint: endpoint,
    credentials,
    load: "few",
  } as const;
  return { world, secrets, dataKey, aws };
}

async function dataKeyOf({ server, dir }: KmsWorld, file: string): Promise<Buffer> {
  const [entry] = kmsEntries(file, dir.read(file));
  if (entry === undefined) throw new Error(`${file} has no KMS entry`);
  const region = entry.arn.split(":")[3] ?? "";
  const client = kmsClient({ endpoint: server.endpoint, region, credentials: server.credentials() });
  const { Plaintext } = await client.send(
    new DecryptCommand({
      KeyId: entry.arn,
      CiphertextBlob: Buffer.from(entry.enc, "base64"),
      EncryptionContext: { ...entry.context },
    }),
  );
  return Buffer.from(Plaintext ?? []);
}

const commands: readonly (readonly string[])[] = [
  ["encrypt", "--env", "prod"],
  ["encrypt", "-i", "deploy/prod/new.yaml"],
  ["decrypt", prod],
  ["set", prod, "PASSWORD"],
  ["set", values, "password"],
  ["edit", prod],
  ["bind", prod],
];

/** Runs every command, which must fail and show nothing. */
async function expectSilence({ world, secrets }: Setup, given: Given, argvs = commands): Promise<void> {
  const SEAL_EDITOR = editor(world.dir, `return text + "${canary}";`);
  const elsewhere = gitdir({ "db.yaml": world.dir.read(prod), "a.yaml": `a: ${canary}\n` });
  const full = { stdin: manifest(), ...given, env: { SEAL_EDITOR, ...given.env } };
  const before = world.dir.snapshot();
  const outcomes = await Promise.all([
    ...argvs.map((argv) => world.run(argv, full)),
    elsewhere.run(["decrypt", "db.yaml"], full),
    elsewhere.run(["encrypt", "--kms", world.keys.prod, "a.yaml"], full),
  ]);
  for (const { code, stdout, stderr } of outcomes) {
    expect(code, stderr).toBe(5);
    expect(stdout).toBe("");
    for (const secret of secrets) expect(stderr).not.toContain(secret);
  }
  expect(world.dir.snapshot()).toEqual(before);
}

/** The calls themselves, without a command around them. */
async function expectSilentErrors({ world, secrets, dataKey, aws }: Setup): Promise<void> {
  const [entry] = kmsEntries(prod, world.dir.read(prod));
  const { endpoint, credentials } = aws;
  const kms = awsAt({ endpoint, credentials }, { timeoutMs: aws.timeoutMs });
  const arn = world.keys.prod;
  const context = entry?.context ?? {};
  const plaintext = Uint8Array.from(dataKey);
  const problems = await Promise.allSettled([
    kms.as().decrypt({ arn, ciphertext: Buffer.from(entry?.enc ?? "", "base64"), context }),
    kms.as().encrypt({ arn, plaintext, context }),
    kms.as({ role }).encrypt({ arn, plaintext, context }),
  ]);
  for (const problem of problems) {
    expect(problem.status).toBe("rejected");
    const shown = inspect(problem, { depth: 20, showHidden: true, maxStringLength: null });
    for (const secret of secrets) expect(shown).not.toContain(secret);
  }
}

test("whatever fails, with a role or without, no command and no error shows what is secret, and no file changes", async () => {
  const setup = await setUp();
  const { world } = setup;
  const roles = ["prod", "staging"].map((name) => `    ${name}: { folders: /, role: "${role}" }\n`);
  const SEAL_CONFIG = join(world.dir.home, "roles.yaml");
  writeFileSync(SEAL_CONFIG, `version: 1\naws:\n  environments:\n${roles.join("")}`);
  for (const fault of faults) {
    const asked = new Set<string>();
    world.server.faults.use(({ operation }) => {
      asked.add(operation);
      return fault;
    });
    const aws = { ...setup.aws, timeoutMs: fault === "hang" ? 200 : 5000 };
    await Promise.all([
      expectSilence(setup, { aws }),
      expectSilence(setup, { aws, env: { SEAL_CONFIG } }, [...commands.slice(0, 1), ...commands.slice(2, 3)]),
      expectSilentErrors({ ...setup, aws }),
    ]);
    for (const operation of ["AssumeRole", "Decrypt", "Encrypt"]) expect(asked, String(fault)).toContain(operation);
  }
});

describe("a web identity token", () => {
  afterEach(() => vi.unstubAllEnvs());

  const given = (world: KmsWorld, token: string): Given => {
    const { endpoint } = world.server;
    const file = join(world.dir.home, "token");
    writeFileSync(file, token);
    const env = {
      HOME: world.dir.home,
      AWS_ROLE_ARN: role,
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ROLE_SESSION_NAME: "canary",
      AWS_ENDPOINT_URL_STS: endpoint,
      AWS_REGION: "eu-central-1",
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_ACCESS_KEY_ID: "",
      AWS_SECRET_ACCESS_KEY: "",
      AWS_PROFILE: "",
    };
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value === "" ? undefined : value);
    return { aws: { endpoint, stsEndpoint: endpoint, credentials: undefined } };
  };

  test("that is accepted opens the file as its role, and is shown nowhere", async () => {
    const { world, secrets } = await setUp();
    const { stderr } = await succeed(world.run(["decrypt", prod], given(world, webIdentityToken)));
    expect(world.server.calls.at(-1)?.principal).toBe(`arn:aws:sts::${account}:assumed-role/sealer/canary`);
    for (const secret of secrets) expect(stderr).not.toContain(secret);
  });

  test("that is not accepted is shown by no command", async () => {
    const setup = await setUp();
    const token = `${webIdentityToken}-of-another-cluster`;
    await expectSilence(setup, given(setup.world, token));
    expect(setup.world.server.statistics().errors).toHaveProperty("InvalidIdentityToken");
  });
});
