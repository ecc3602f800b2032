// The built program with KMS keys as people and pipelines run it: a process of its own, whose variables and files say to the
// SDK where AWS is and as whom to call it. It says nothing more than it must, and ends when it is done.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { canary, manifest, type Outcome } from "./gitdir.ts";
import { account, admin, type KmsWorld, kmsWorld, userConfig } from "./kms-world.ts";

const program = resolve("dist", "seal.cjs");
const prod = "deploy/prod/db.sealed.yaml";
const role = `arn:aws:iam::${account}:role/sealer`;
const token = "a-token-of-the-pipeline";
const iamPolicies = [{ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "kms:*", Resource: "*" }] }];

async function world(): Promise<KmsWorld> {
  const made = await kmsWorld({ roles: [{ arn: role, trusts: [admin], webIdentityTokens: [token], iamPolicies }] });
  made.server.setKeyPolicy(made.keys.prod, {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS: [admin, role] }, Action: "kms:*", Resource: "*" }],
  });
  return made;
}

/** Runs it to its end; more than a few seconds is too long for what takes a fraction of one. */
function seal(
  { dir, server }: KmsWorld,
  argv: readonly string[],
  { stdin = "", env = {} }: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  const own = { HOME: dir.home, PATH: process.env["PATH"] ?? "", AWS_ENDPOINT_URL: server.endpoint, USER: "mira" };
  const child = spawn(process.execPath, [program, ...argv], {
    cwd: dir.path,
    env: { ...own, AWS_EC2_METADATA_DISABLED: "true", ...env },
    timeout: 20_000,
  });
  const out = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].on("data", (chunk: Buffer) => {
      out[name] += chunk.toString();
    });
  child.stdin.end(stdin);
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => done({ code: code ?? -1, ...out }));
  });
}

const keysOf = ({ server }: KmsWorld) => {
  const { accessKeyId, secretAccessKey } = server.credentials();
  return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
};

test("credentials of the environment seal and open, without a word of the SDK", async () => {
  const it = await world();
  const env = keysOf(it);
  const sealed = await seal(it, ["encrypt", "-o", prod], { stdin: manifest(), env });
  expect(sealed).toEqual({ code: 0, stdout: "", stderr: `sealed payments/db for prod (strict): ${prod}\n` });
  const start = performance.now();
  const { code, stdout, stderr } = await seal(it, ["decrypt", prod], { env });
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(canary);
  // Connections that are kept open must not keep the process.
  expect(performance.now() - start).toBeLessThan(4000);
});

test("a profile and a role of the user's configuration are used, and one that a repository names is not", async () => {
  const it = await world();
  mkdirSync(join(it.dir.home, ".aws"));
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = keysOf(it);
  writeFileSync(
    join(it.dir.home, ".aws", "credentials"),
    `[work]\naws_access_key_id = ${AWS_ACCESS_KEY_ID}\naws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}\n`,
  );
  userConfig(it.dir, `version: 1\naws:\n  environments:\n    prod: { folders: /, profile: work, role: "${role}" }\n`);
  const sealed = await seal(it, ["encrypt", "-o", prod], { stdin: manifest() });
  expect(sealed.code, sealed.stderr).toBe(0);
  it.dir.write(prod, it.dir.read(prod).replace('aws_profile: ""', "aws_profile: elsewhere"));
  const opened = await seal(it, ["decrypt", prod]);
  expect(opened.code, opened.stderr).toBe(0);
  const session = `arn:aws:sts::${account}:assumed-role/sealer/seal-mira`;
  expect(it.server.calls.map(({ operation, principal }) => [operation, principal])).toEqual([
    ["AssumeRole", admin],
    ["Encrypt", session],
    ["AssumeRole", admin],
    ["Decrypt", session],
  ]);
});

test("a web identity token, as pipelines have it, is used, and shown nowhere", async () => {
  const it = await world();
  const file = join(it.dir.home, "token");
  writeFileSync(file, token);
  const env = {
    AWS_ROLE_ARN: role,
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ROLE_SESSION_NAME: "ci",
    AWS_REGION: "eu-west-1",
  };
  const sealed = await seal(it, ["encrypt", "--env", "prod"], { stdin: manifest(), env });
  expect(sealed.code, sealed.stderr).toBe(0);
  expect(it.server.calls.at(-1)?.principal).toBe(`arn:aws:sts::${account}:assumed-role/sealer/ci`);
  writeFileSync(file, `${token}-expired`);
  const refused = await seal(it, ["encrypt", "--env", "prod"], { stdin: manifest(), env });
  expect(refused).toMatchObject({ code: 5, stdout: "" });
  expect(refused.stderr).toContain("AWS does not accept the web identity token");
  expect(refused.stderr).toContain("(credentials-missing)");
  expect(refused.stderr).toContain("hint: correct the credentials");
  expect(refused.stderr).not.toContain(token);
});

test("no credentials at all are missed by name, with what to do", async () => {
  const it = await world();
  const { code, stdout, stderr } = await seal(it, ["encrypt", "--env", "prod"], { stdin: manifest() });
  expect([code, stdout]).toEqual([5, ""]);
  expect(stderr).toContain("(credentials-missing)");
  expect(stderr).toContain("hint: sign in (`aws sso login`)");
  expect(it.server.calls).toEqual([]);
});

test("a profile that is not there is missed, and nothing else is tried", async () => {
  const it = await world();
  userConfig(it.dir, "version: 1\naws:\n  environments:\n    prod: { folders: /, profile: no-such-profile }\n");
  const { code, stderr } = await seal(it, ["encrypt", "--env", "prod"], { stdin: manifest(), env: keysOf(it) });
  expect([code, it.server.calls], stderr).toEqual([5, []]);
  expect(stderr).toContain("(credentials-missing)");
});
