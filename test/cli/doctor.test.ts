// seal doctor and seal status --open against the KMS over HTTP: what they show, and that neither opens or changes anything.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type KmsServer, startKmsServer } from "../support/kms/kms-server.ts";
import { databaseSecret } from "../support/sealing.ts";
import { type GitDir, type Given, gitdir } from "./gitdir.ts";

const sealer = "arn:aws:iam::111122223333:user/sealer";
const stranger = "arn:aws:iam::111122223333:user/stranger";
const role = "arn:aws:iam::111122223333:role/openers";

let server: KmsServer;
beforeAll(async () => {
  const users = [
    { arn: sealer, iamPolicies: [] },
    { arn: stranger, iamPolicies: [] },
  ];
  const admin = "arn:aws:iam::111122223333:user/admin";
  server = await startKmsServer({ users, roles: [{ arn: role, trusts: [admin] }] });
});
afterAll(() => server.close());
beforeEach(() => server.faults.clear());

const as = (user?: string): Pick<Given, "aws"> => ({
  aws: { endpoint: server.endpoint, stsEndpoint: server.endpoint, credentials: server.credentials(user) },
});

const config = (environments: Readonly<Record<string, readonly string[]>>): string =>
  `version: 1\nenvironments:\n${Object.entries(environments)
    .map(
      ([name, keys]) => `  ${name}:\n    recipients:\n      kms: ${JSON.stringify(keys)}\n    paths: ["${name}/**"]\n`,
    )
    .join("")}`;

function repository(environments: Readonly<Record<string, readonly string[]>>): GitDir {
  return gitdir({ "seal.yaml": config(environments) });
}

describe("seal doctor", () => {
  it("shows who calls, by what, each key's state and what is allowed", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const dir = repository({ prod: [arn] });
    const before = dir.snapshot();
    const { code, stdout } = await dir.run(["doctor"], as());
    expect(code).toBe(0);
    expect(stdout).toContain("prod: 1 KMS key\n");
    expect(stdout).toContain("  called in eu-west-1 as arn:aws:iam::111122223333:user/admin, by");
    expect(stdout).toContain(`  ${arn}: Enabled; kms:Encrypt allowed, kms:Decrypt allowed\n    key material `);
    expect(dir.snapshot()).toEqual(before);
    expect(server.calls.filter(({ dryRun }) => !dryRun).map(({ operation }) => operation)).toEqual([
      "GetCallerIdentity",
      "DescribeKey",
    ]);
  });

  it("asks in the form of the environment's files, so that a policy on the context answers as it will", async () => {
    const policy = {
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: { AWS: sealer },
          Action: "kms:Encrypt",
          Resource: "*",
          Condition: { StringEquals: { "kms:EncryptionContext:sealward-environment": "prod" } },
        },
      ],
    } as const;
    const { arn } = server.createKey({ region: "eu-west-1", policy });
    const { code, stdout } = await repository({ prod: [arn] }).run(["doctor"], as(sealer));
    expect(code).toBe(0);
    expect(stdout).toContain(`${arn}: state not shown to this caller; kms:Encrypt allowed, kms:Decrypt refused`);
    const other = await repository({ staging: [arn] }).run(["doctor"], as(sealer));
    expect(other.code).toBe(1);
    expect(other.stdout).toMatch(/^! AWS did not do kms:Encrypt .*no permission.*\(key-refused\)$/m);
  });

  it("names the role of the user's configuration as the caller", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const dir = repository({ prod: [arn] });
    dir.write(
      "user.yaml",
      `version: 1\naws:\n  environments:\n    prod:\n      folders: ${dir.path}\n      role: ${role}\n`,
    );
    const { stdout } = await dir.run(["doctor"], { ...as(), env: { SEAL_CONFIG: "user.yaml", USER: "ada" } });
    expect(stdout).toContain("as arn:aws:sts::111122223333:assumed-role/openers/seal-ada, by an assumed role");
  });

  it.each([
    ["Disabled", /is Disabled: what only it opens will be lost \(key-refused\)/],
    ["PendingDeletion", /is PendingDeletion, and is gone on \d{4}-\d\d-\d\d: what only it opens/],
  ] as const)("warns of a key that is %s", async (state, said) => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    server.setKeyState(arn, state);
    const { code, stdout, stderr } = await repository({ prod: [arn] }).run(["doctor"], as());
    expect(code).toBe(1);
    expect(stdout).toMatch(said);
    expect(stderr).toContain("The doctor found 1 thing to correct (check-failed)");
  });

  it("warns of a key that two environments share, a replica of it included", async () => {
    const { arn, replicas } = server.createKey({ region: "eu-west-1", replicas: ["us-east-1"] });
    const { code, stdout } = await repository({ prod: [arn], staging: replicas }).run(
      ["doctor", "--env", "prod"],
      as(),
    );
    expect(code).toBe(1);
    expect(stdout).toContain(`! The key ${arn} is one of staging, too: give each environment its own (shared-key)`);
  });

  it("warns of two sources of credentials, of which one wins silently", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const env = { AWS_WEB_IDENTITY_TOKEN_FILE: "/token", AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://169.254.170.23/" };
    const { code, stdout } = await repository({ prod: [arn] }).run(["doctor"], { ...as(), env });
    expect(code).toBe(1);
    expect(stdout).toContain("the token wins (credentials-doubled)");
  });

  it("says that AWS does not know the credentials, and goes on with the next environment", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const nobody = { accessKeyId: "AKIANOBODY", secretAccessKey: "NOBODYS-SECRET" };
    const aws = { endpoint: server.endpoint, stsEndpoint: server.endpoint, credentials: nobody };
    const { code, stdout, stderr } = await repository({ prod: [arn], staging: [arn] }).run(["doctor"], { aws });
    expect(code).toBe(1);
    expect(stdout.match(/\(credentials-missing\)/g)).toHaveLength(2);
    expect(stdout + stderr).not.toContain("NOBODYS-SECRET");
  });

  it("speaks JSON, and refuses an environment that is not there", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const dir = repository({ prod: [arn] });
    const { stdout } = await dir.run(["doctor", "--output", "json"], as());
    expect(JSON.parse(stdout)).toMatchObject({
      lines: [{ about: "seal.yaml", status: "ok" }, ...Array.from({ length: 9 }, () => ({}))],
      environments: [
        {
          environment: "prod",
          keys: [{ arn, state: "Enabled", encrypt: "allowed", decrypt: "allowed" }],
          findings: [],
        },
      ],
    });
    expect((await dir.run(["doctor", "--env", "nowhere"], as())).stderr).toContain("(environment-undefined)");
  });
});

describe("seal status --open", () => {
  it("shows the key material that had wrapped the data key, and whether the key has a newer one", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const dir = repository({ prod: [arn] });
    dir.write("prod/db.yaml", databaseSecret);
    expect((await dir.run(["encrypt", "-i", "prod/db.yaml"], as())).code).toBe(0);
    const current = await dir.run(["status", "--open", "prod/db.yaml"], as());
    expect(current.code).toBe(0);
    expect(current.stdout).toMatch(/opened by arn:aws:kms:\S+, key material [0-9a-f]+, the current one$/m);
    server.rotate(arn);
    const older = await dir.run(["status", "--open", "prod/db.yaml"], as());
    expect(older.stdout).toMatch(/, key material [0-9a-f]+, and the key has a newer one$/m);
    expect(older.stdout).not.toContain(/material ([0-9a-f]+)/.exec(current.stdout)?.[0].concat(", the current"));
  });

  it("asks about each key once, and says of a file that does not open why", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const dir = repository({ prod: [arn] });
    const files = ["prod/a.yaml", "prod/b.yaml", "prod/values.yaml"];
    for (const file of files.slice(0, 2)) dir.write(file, databaseSecret);
    dir.write("prod/values.yaml", "password: hunter2\n");
    for (const file of files) await dir.run(["encrypt", "-i", file], as());
    dir.write("prod/b.yaml", dir.read("prod/b.yaml").replace("name: db", "name: other"));
    server.forgetCalls();
    const { code, stdout } = await dir.run(["status", "--open", "--output", "json", ...files], as());
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([
      { file: "prod/a.yaml", status: "opened", environment: "prod", openedBy: [{ recipient: arn, isCurrent: true }] },
      { file: "prod/b.yaml", status: "refused", code: "context-mismatch" },
      { file: "prod/values.yaml", status: "opened", openedBy: [{ recipient: arn, isCurrent: true }] },
    ]);
    expect(server.statistics().operations).toEqual({ Decrypt: 2, DescribeKey: 1 });
  });

  it("opens with a key whose state it may not ask for", async () => {
    const { arn } = server.createKey({ region: "eu-west-1" });
    const dir = repository({ prod: [arn] });
    dir.write("prod/db.yaml", databaseSecret);
    await dir.run(["encrypt", "-i", "prod/db.yaml"], as());
    server.faults.use(({ operation }) => (operation === "DescribeKey" ? "denied" : undefined));
    const { code, stdout } = await dir.run(["status", "--open", "prod/db.yaml"], as());
    expect(code).toBe(0);
    expect(stdout).toMatch(/key material [0-9a-f]+$/m);
  });
});
