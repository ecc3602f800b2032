// seal kms policy: JSON on stdout and nothing else, notes on stderr, and what is refused with which advice. What the
// policies allow is asked in test/src/kms-policy.test.ts.
import { describe, expect, test } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import { type GitDir, gitdir, type Outcome, succeed } from "./gitdir.ts";

const regions: Readonly<Record<string, string>> = { "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1" };
const arn = (key: string, partition = "aws"): string =>
  `arn:${partition}:kms:${regions[partition] ?? "eu-central-1"}:111122223333:${key}`;
const stagingKey = arn("key/1");
const prodKey = arn("key/2");
const recoveryKey = arn("key/3");
const sharedKey = arn("key/4");
const sealer = "arn:aws:iam::111122223333:role/team/sealers";
const opener = "arn:aws:iam::111122223333:role/controller";
const roles = ["--sealer", sealer, "--opener", opener];

interface Environments {
  readonly [name: string]: { readonly kms?: readonly string[]; readonly scopes?: readonly string[] };
}

/** JSON is YAML. */
function repository(environments: Environments, recovery: readonly string[] = []): GitDir {
  const described = Object.entries(environments).map(([name, { kms = [], scopes = ["strict"] }]) => [
    name,
    {
      recipients: kms.length > 0 ? { kms } : { age: generateAgeIdentity().identity.recipient },
      scope: scopes[0],
      scopes,
    },
  ]);
  const text = { version: 1, recovery: { kms: recovery }, environments: Object.fromEntries(described) };
  return gitdir({ "seal.yaml": JSON.stringify(text) });
}

const both: Environments = { staging: { kms: [stagingKey] }, prod: { kms: [prodKey] } };
const policy = (dir: GitDir, ...argv: readonly string[]): Promise<Outcome> => dir.run(["kms", "policy", ...argv]);

interface Printed {
  readonly environment: string;
  readonly keys: readonly { readonly arn: string; readonly policy: { readonly Statement: readonly Statement[] } }[];
  readonly iam: Readonly<Record<"sealer" | "opener", { readonly Statement: readonly Statement[] }>>;
}

interface Statement {
  readonly Sid: string;
  readonly Principal?: { readonly AWS: string | readonly string[] };
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, unknown>>;
}

const parsed = ({ stdout }: Outcome): Printed => JSON.parse(stdout) as Printed;
const statement = (printed: Printed, sid: string): Statement | undefined =>
  printed.keys[0]?.policy.Statement.find(({ Sid }) => Sid === sid);

test("prints one JSON document, the same each time, with the roles that are named", async () => {
  const dir = repository({ prod: { kms: [prodKey], scopes: ["strict", "environment"] } });
  const before = dir.snapshot();
  const outcome = await succeed(policy(dir, "--env", "prod", ...roles, "--admin", opener));
  const printed = parsed(outcome);
  expect([printed.environment, printed.keys.map((key) => key.arn)]).toEqual(["prod", [prodKey]]);
  expect(statement(printed, "SealForProd")?.Principal).toEqual({ AWS: [sealer] });
  expect(statement(printed, "OpenForProd")?.Principal).toEqual({ AWS: [opener] });
  expect(statement(printed, "AdministerKey")?.Principal).toEqual({
    AWS: ["arn:aws:iam::111122223333:root", opener],
  });
  expect(printed.iam.sealer.Statement.map(({ Resource }) => Resource)).toEqual([[prodKey], [prodKey]]);
  expect(outcome.stderr).toBe("");
  expect(await policy(dir, "--env", "prod", ...roles, "--admin", opener)).toEqual(outcome);
  expect(dir.snapshot()).toEqual(before);
});

test("--output text has the same documents, each under a line that says whose it is", async () => {
  const dir = repository({ prod: { kms: [prodKey, arn("alias/prod")] } });
  const { keys, iam } = parsed(await succeed(policy(dir, ...roles)));
  const { stdout } = await succeed(policy(dir, ...roles, "--output", "text"));
  const parts = stdout.split(/^# (.*)\n/m).slice(1);
  expect(parts.filter((_, at) => at % 2 === 0)).toEqual([
    `key policy of ${prodKey}`,
    `key policy of ${arn("alias/prod")}`,
    "IAM policy of those who seal",
    "IAM policy of those who open",
  ]);
  const documents = parts.filter((_, at) => at % 2 === 1).map((text): unknown => JSON.parse(text));
  expect(documents).toEqual([...keys.map((key) => key.policy), iam.sealer, iam.opener]);
});

test("roles may be given one after another, or each with its flag", async () => {
  const dir = repository(both);
  const second = "arn:aws:iam::111122223333:user/jane";
  const together = await succeed(policy(dir, "--env", "prod", "--sealer", sealer, second, "--opener", opener));
  const apart = await succeed(policy(dir, "--env", "prod", "--sealer", sealer, "--sealer", second, "--opener", opener));
  expect(together).toEqual(apart);
  expect(statement(parsed(apart), "SealForProd")?.Principal).toEqual({ AWS: [sealer, second] });
});

test("--pod-identity asks openers for the tags of that pod, in the key policy and in IAM", async () => {
  const dir = repository(both);
  const pod = "prod-1/sealward-system/sealward-controller";
  const printed = parsed(await succeed(policy(dir, "--env", "prod", ...roles, "--pod-identity", pod)));
  const expected = {
    "kms:EncryptionContext:sealward-environment": "prod",
    "aws:PrincipalTag/eks-cluster-name": "prod-1",
    "aws:PrincipalTag/kubernetes-namespace": "sealward-system",
    "aws:PrincipalTag/kubernetes-service-account": "sealward-controller",
  };
  expect(statement(printed, "OpenForProd")?.Condition?.["StringEquals"]).toEqual(expected);
  expect(printed.iam.opener.Statement[0]?.Condition?.["StringEquals"]).toEqual(expected);
  expect(JSON.stringify(printed.iam.sealer)).not.toContain("PrincipalTag");
});

describe("which environment", () => {
  test("is the only one with keys, where none is named", async () => {
    const dir = repository({ staging: {}, prod: both["prod"] ?? {} });
    expect(parsed(await succeed(policy(dir))).environment).toBe("prod");
  });

  test("is the only one that lists the key, where a key is named", async () => {
    const printed = parsed(await succeed(policy(repository(both), "--key", stagingKey)));
    expect([printed.environment, printed.keys[0]?.arn]).toEqual(["staging", stagingKey]);
  });

  test("is asked for where it could be several, which are named", async () => {
    const { code, stdout, stderr } = await policy(repository({ ...both, dev: {} }));
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toBe(
      "error: Cannot tell whose key policy to print: it could be that of staging, prod (usage)\nhint: name the environment: add `--env NAME`\n",
    );
  });

  test("has to be in seal.yaml, and seal.yaml has to be there", async () => {
    expect(await policy(repository(both), "--env", "dev")).toMatchObject({
      code: 4,
      stdout: "",
      stderr: expect.stringContaining("(environment-undefined)"),
    });
    expect(await policy(gitdir(), "--env", "prod")).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("(config-missing)"),
    });
  });

  test.each([
    ["without KMS keys", ["--env", "dev"], [], 'The environment "dev" has no KMS key (', "environments.dev."],
    ["with those for recovery only", ["--env", "dev"], [recoveryKey], "besides those for recovery", "dev --key"],
    ["that nobody named, none having any", [], [], "No environment has a KMS key", "environments.NAME.recipients.kms"],
  ])("%s is refused with what to do", async (_, argv, recovery, said, advice) => {
    const { code, stdout, stderr } = await policy(repository({ dev: {} }, recovery), ...argv);
    expect([code, stdout]).toEqual([5, ""]);
    expect(stderr).toContain("(recipients-unnamed)");
    expect(stderr).toContain(said);
    expect(stderr.split("hint: ")[1]).toContain(advice);
  });
});

describe("notes", () => {
  const notes = ({ stderr }: Outcome): string[] => stderr.split("\n").filter(Boolean);

  test("say what stands for roles that are not named", async () => {
    const outcome = await succeed(policy(repository(both), "--env", "prod", "--plain-files"));
    expect(notes(outcome)).toEqual([expect.stringMatching(/^note: .*REPLACE-sealers.*REPLACE-openers.* AWS refuses/)]);
    expect(outcome.stdout).toContain("arn:aws:iam::111122223333:role/REPLACE-sealers");
    expect(statement(parsed(outcome), "SealForProd")?.Condition).not.toHaveProperty("Null");
  });

  test("say that only Secrets are let through, unless other files are or no namespace is asked for", async () => {
    const only = expect.stringContaining("add --plain-files");
    expect(notes(await succeed(policy(repository(both), "--env", "prod", ...roles)))).toEqual([only]);
    const wide = repository({ prod: { kms: [prodKey], scopes: ["environment"] } });
    expect(notes(await succeed(policy(wide, ...roles)))).toEqual([]);
  });

  test("say what an alias, a replica, a shared key and an unlisted key need", async () => {
    const dir = repository({
      staging: { kms: [sharedKey] },
      prod: { kms: [sharedKey, arn("alias/prod"), arn("key/mrk-1")] },
    });
    const argv = ["--env", "prod", ...roles, "--plain-files"];
    expect(notes(await succeed(policy(dir, ...argv)))).toEqual([
      expect.stringMatching(/key\/4 is a key of staging as well: .*SealFor and OpenFor/),
      expect.stringMatching(/alias\/prod is an alias: .*REPLACE/),
      expect.stringMatching(/mrk-1 is a multi-Region key, .*every Region/),
    ]);
    const behind = await succeed(policy(dir, ...argv, "--key", arn("key/5")));
    expect(notes(behind)).toEqual([expect.stringMatching(/does not list .*key\/5 for "prod": .*alias/)]);
    expect(parsed(behind).iam.sealer.Statement[0]?.Resource).toEqual([arn("key/5")]);
  });

  test("leave the key for recovery to whoever recovers, and the command prints it", async () => {
    const dir = repository(both, [recoveryKey]);
    const outcome = await succeed(policy(dir, "--env", "prod", ...roles, "--plain-files"));
    expect(parsed(outcome).keys.map((key) => key.arn)).toEqual([prodKey]);
    expect(notes(outcome)).toEqual([
      expect.stringContaining(`\`seal kms policy --env prod --key ${recoveryKey} --opener ARN\``),
    ]);
    const own = await succeed(policy(dir, "--env", "prod", "--key", recoveryKey, ...roles, "--plain-files"));
    expect(notes(own)).toEqual([expect.stringContaining("is a key of staging as well")]);
  });
});

describe("is refused and not repeated:", () => {
  const pasted = "AKIAPASTEDBYMISTAKE1";
  test.each([
    ["a sealer that is no ARN", ["--sealer", pasted], "--sealer is not the ARN"],
    ["a session", ["--opener", "arn:aws:sts::111122223333:assumed-role/a/b"], "--opener is not the ARN"],
    ["everybody", ["--opener", "*"], "--opener is not the ARN"],
    ["a wildcard", ["--opener", "arn:aws:iam::111122223333:role/*"], "without *"],
    ["an admin of another partition", ["--admin", "arn:aws-cn:iam::111122223333:root"], "is in aws-cn, the key in aws"],
    ["a key that is none", ["--key", pasted], "--key is not the ARN"],
    ["keys of two partitions", ["--key", arn("key/1"), arn("key/1", "aws-cn")], "one by one"],
    ["a pod without a cluster", ["--pod-identity", "sealward-system/sealward-controller"], "CLUSTER/NAMESPACE/"],
    ["a pod with a variable", ["--pod-identity", `\${aws:PrincipalTag/x}/a/b`], "CLUSTER/NAMESPACE/"],
  ])("%s", async (_, argv, said) => {
    const { code, stdout, stderr } = await policy(repository(both), "--env", "prod", ...argv);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("(usage)");
    expect(stderr).toContain(said);
    expect(stderr).not.toContain(pasted);
  });
});

test("China and GovCloud have their own partition everywhere", async () => {
  for (const partition of ["aws-cn", "aws-us-gov"]) {
    const dir = repository({ prod: { kms: [arn("key/1", partition)] } });
    const { stdout } = await succeed(policy(dir, "--sealer", `arn:${partition}:iam::111122223333:role/s`));
    expect(stdout).not.toContain("arn:aws:");
    expect(stdout).toContain(`arn:${partition}:iam::111122223333:role/REPLACE-openers`);
  }
});
