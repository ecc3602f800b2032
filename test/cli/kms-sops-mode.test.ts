// KMS recipients where no seal.yaml governs: flags, variables and .sops.yaml as sops knows them. Contexts are sent; roles and
// profiles go into the file for other tools and are not used. Under a seal.yaml all of it is refused.
import { describe, expect, test } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import type { KmsServer } from "../support/kms/kms-server.ts";
import { canary, type GitDir, gitdir, manifest, type Outcome, succeed } from "./gitdir.ts";
import { admin, awsOf, expectRefused, kmsEntries, kmsServer, kmsWorld } from "./kms-world.ts";

const role = "arn:aws:iam::111122223333:role/not-used";
const plain = `database:\n  password: ${canary}\n`;

interface Place {
  readonly server: KmsServer;
  readonly dir: GitDir;
  readonly arns: readonly [string, string];
  run(argv: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>;
}

async function place(files: Readonly<Record<string, string>> = {}): Promise<Place> {
  const server = await kmsServer();
  const arns = [
    server.createKey({ region: "eu-central-1" }).arn,
    server.createKey({ region: "us-east-1" }).arn,
  ] as const;
  const filled = Object.entries({ "a.yaml": plain, ...files }).map(([name, text]) => [
    name,
    text.replaceAll("KEY1", arns[0]).replaceAll("KEY2", arns[1]),
  ]);
  const dir = gitdir(Object.fromEntries(filled));
  return { server, dir, arns, run: (argv, env = {}) => dir.run(argv, { ...awsOf(server), env }) };
}

/** What a file's entries say, for tools that use it. */
const saidIn = (dir: GitDir, file: string) =>
  kmsEntries(file, dir.read(file)).map(({ arn, context, raw }) => ({
    arn,
    context,
    role: raw.get("role"),
    profile: raw.get("aws_profile"),
  }));

/** Nobody was called but KMS, as the user. */
const expectOnlyUser = ({ calls }: KmsServer) => {
  for (const { principal, service } of calls) expect([principal, service]).toEqual([admin, "kms"]);
};

describe("encrypt", () => {
  test("--kms with a context, a profile and a role: the context is sent, the others are written", async () => {
    const { server, dir, arns, run } = await place();
    const keys = `${arns[0]}+${role}, ${arns[1]} ,${arns[0]}`;
    const flags = ["--kms", keys, "--encryption-context", "app:shop,stage:eu", "--aws-profile", "no-such-profile"];
    await succeed(run(["encrypt", "-i", ...flags, "a.yaml"]));
    const context = { app: "shop", stage: "eu" };
    expect(saidIn(dir, "a.yaml")).toEqual([
      { arn: arns[0], context, role, profile: "no-such-profile" },
      { arn: arns[1], context, role: undefined, profile: "no-such-profile" },
    ]);
    const opened = await succeed(run(["decrypt", "a.yaml"]));
    expect(opened.stdout).toBe(plain);
    expect(opened.stderr).toContain("no environment was confirmed");
    expect(server.calls.map(({ operation, encryptionContext }) => [operation, encryptionContext])).toEqual([
      ["Encrypt", context],
      ["Encrypt", context],
      ["Decrypt", context],
    ]);
    expectOnlyUser(server);
  });

  test("SOPS_KMS_ARN and SOPS_AGE_RECIPIENTS together: either opens the file", async () => {
    const own = generateAgeIdentity();
    const { server, dir, arns, run } = await place();
    const env = { SOPS_KMS_ARN: `${arns[0]}+${role}`, SOPS_AGE_RECIPIENTS: own.identity.recipient };
    await succeed(run(["encrypt", "-i", "--encryption-context", "a:b", "a.yaml"], env));
    expect(saidIn(dir, "a.yaml")).toEqual([{ arn: arns[0], context: { a: "b" }, role, profile: "" }]);
    server.forgetCalls();
    await succeed(dir.run(["decrypt", "a.yaml"], { env: { SOPS_AGE_KEY: own.secretKey } }));
    expect(server.calls).toEqual([]);
    await succeed(run(["decrypt", "a.yaml"]));
    expectOnlyUser(server);
  });

  test("an alias seals, and opens as long as it points to the same key", async () => {
    const { server, dir } = await place();
    const { aliasArn = "" } = server.createKey({ region: "eu-west-1", alias: "shop" });
    const run = (argv: readonly string[]) => dir.run(argv, awsOf(server));
    await succeed(run(["encrypt", "-i", "--kms", aliasArn, "a.yaml"]));
    expect(saidIn(dir, "a.yaml")).toMatchObject([{ arn: aliasArn, context: {} }]);
    expect((await succeed(run(["decrypt", "a.yaml"]))).stdout).toBe(plain);
  });

  test("set keeps entries with all they say, and make no entry anew", async () => {
    const { server, dir, arns, run } = await place();
    const flags = ["--kms", `${arns[0]}+${role}`, "--encryption-context", "a:b", "--aws-profile", "p"];
    await succeed(run(["encrypt", "-i", ...flags, "a.yaml"]));
    const before = kmsEntries("a.yaml", dir.read("a.yaml"))[0]?.raw;
    server.forgetCalls();
    dir.write("seal.txt", "rotated");
    await succeed(run(["set", "a.yaml", '["database"]["password"]', "--from-file", "seal.txt"]));
    expect(kmsEntries("a.yaml", dir.read("a.yaml"))[0]?.raw).toEqual(before);
    expect(server.calls.map(({ operation }) => operation)).toEqual(["Decrypt"]);
    expectOnlyUser(server);
  });

  test.each<[string, readonly string[], "recipient-invalid" | "usage", number]>([
    ["a bad ARN", ["--kms", "arn:aws:kms:eu-west-1:1:key/a"], "recipient-invalid", 5],
    ["an ARN of something else", ["--kms", "arn:aws:iam::111122223333:role/x"], "recipient-invalid", 5],
    ["a host in the place of a Region", ["--kms", "arn:aws:kms:a.example/:111122223333:key/a"], "recipient-invalid", 5],
    ["a context that is none", ["--kms", "KEY1", "--encryption-context", "app"], "usage", 2],
    ["a context with too many parts", ["--kms", "KEY1", "--encryption-context", "a:b:c"], "usage", 2],
    [
      "a context and no keys",
      ["--age", generateAgeIdentity().identity.recipient, "--encryption-context", "a:b"],
      "usage",
      2,
    ],
    ["a profile and no keys", ["--aws-profile", "p"], "usage", 2],
  ])("%s is refused before anything is asked or written", async (_, flags, code, exit) => {
    const { server, dir, arns, run } = await place();
    const world = { server, dir, keys: { staging: "", prod: "" }, run, as: () => ({}) };
    const argv = ["encrypt", "-i", ...flags.map((flag) => flag.replace("KEY1", arns[0])), "a.yaml"];
    await expectRefused(world, () => run(argv), { code, exit });
    expect(server.calls).toEqual([]);
  });

  test("with one key of two denied writes nothing", async () => {
    const { server, dir, arns, run } = await place();
    server.setKeyState(arns[1], "PendingDeletion");
    const before = dir.snapshot();
    const outcome = await run(["encrypt", "-i", "--kms", arns.join(","), "a.yaml"]);
    expect(outcome.code).toBe(5);
    expect(outcome.stderr).toContain("the key is pending deletion");
    expect(dir.snapshot()).toEqual(before);
  });
});

describe(".sops.yaml", () => {
  test("keys of a rule, with a role and the rule's profile", async () => {
    const { server, dir, arns, run } = await place({
      ".sops.yaml": `creation_rules:\n  - kms: "KEY1+${role},KEY2"\n    aws_profile: no-such-profile\n`,
    });
    await succeed(run(["encrypt", "-i", "a.yaml"]));
    expect(saidIn(dir, "a.yaml")).toEqual([
      { arn: arns[0], context: {}, role, profile: "no-such-profile" },
      { arn: arns[1], context: {}, role: undefined, profile: "no-such-profile" },
    ]);
    await succeed(run(["decrypt", "a.yaml"]));
    expectOnlyUser(server);
  });

  test("a context given by flag is not lost on the keys of a rule: it is refused", async () => {
    const { server, dir, run } = await place({ ".sops.yaml": 'creation_rules:\n  - kms: "KEY1"\n' });
    const outcome = await run(["encrypt", "-i", "--encryption-context", "a:b", "a.yaml"]);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain("write context and aws_profile into a key group there");
    expect(dir.read("a.yaml")).toBe(plain);
    expect(server.calls).toEqual([]);
  });

  const own = generateAgeIdentity();
  const groups = `creation_rules:
  - shamir_threshold: 2
    key_groups:
      - age: [${own.identity.recipient}]
      - kms:
          - arn: KEY1
            role: ${role}
            aws_profile: no-such-profile
            context: { app: shop, "1": "2" }
      - kms: [{ arn: KEY2 }]
`;

  test("key groups, age in one and KMS in others: as many open the file as the threshold says", async () => {
    const { server, dir, arns, run } = await place({ ".sops.yaml": groups });
    await succeed(run(["encrypt", "-i", "a.yaml"]));
    const [one, two] = saidIn(dir, "a.yaml");
    expect(one).toEqual({ arn: arns[0], context: { app: "shop", "1": "2" }, role, profile: "no-such-profile" });
    expect(two).toEqual({ arn: arns[1], context: {}, role: undefined, profile: "" });
    server.forgetCalls();
    // age and one of KMS.
    await succeed(run(["decrypt", "a.yaml"], { SOPS_AGE_KEY: own.secretKey }));
    expect(server.calls.map(({ keyId, encryptionContext }) => [keyId, encryptionContext])).toEqual([
      [arns[0], { app: "shop", "1": "2" }],
    ]);
    // Both of KMS.
    expect((await succeed(run(["decrypt", "a.yaml"]))).stdout).toBe(plain);
    // The first is away: age and the other.
    server.setKeyState(arns[0], "Disabled");
    await succeed(run(["decrypt", "a.yaml"], { SOPS_AGE_KEY: own.secretKey }));
    expectOnlyUser(server);
    const before = dir.snapshot();
    const short = await run(["decrypt", "a.yaml"]);
    expect(short.code).toBe(5);
    expect(short.stderr).toContain("(key-refused)");
    expect(dir.snapshot()).toEqual(before);
  });

  test("a changed value keeps the groups and their entries", async () => {
    const { dir, run } = await place({ ".sops.yaml": groups, value: "rotated" });
    await succeed(run(["encrypt", "-i", "a.yaml"]));
    const blockOf = () => dir.read("a.yaml").split("key_groups:")[1]?.split("lastmodified")[0];
    const before = blockOf();
    await succeed(run(["set", "a.yaml", '["database"]["password"]', "--from-file", "value"]));
    expect(blockOf()).toBe(before);
    expect((await succeed(run(["decrypt", "a.yaml"]))).stdout).toContain("rotated");
  });
});

describe("under a seal.yaml", () => {
  test.each<[string, readonly string[], Record<string, string>]>([
    ["--kms", ["--kms", "arn:aws:kms:eu-west-1:111122223333:key/a"], {}],
    ["SOPS_KMS_ARN", [], { SOPS_KMS_ARN: "arn:aws:kms:eu-west-1:111122223333:key/a" }],
    ["--encryption-context", ["--encryption-context", "a:b"], {}],
    ["--aws-profile", ["--aws-profile", "p"], {}],
  ])("%s is refused, for a Secret and for any other file", async (source, flags, env) => {
    const world = await kmsWorld();
    world.dir.write("deploy/prod/db.plain.yaml", manifest());
    world.dir.write("deploy/prod/values.yaml", plain);
    for (const file of ["deploy/prod/db.plain.yaml", "deploy/prod/values.yaml"]) {
      const { stderr } = await expectRefused(world, () => world.run(["encrypt", "-i", ...flags, file], { env }), {
        code: "usage",
        exit: 2,
      });
      expect(stderr).toContain(
        `Cannot seal with ${source.startsWith("--kms") || source.startsWith("SOPS") ? "the recipients in " : ""}${source}: under a seal.yaml`,
      );
    }
    expect(world.server.calls).toEqual([]);
  });
});

describe("many files at once", () => {
  test("are sealed and opened with one call each, and at most 16 of them at a time", async () => {
    const world = await kmsWorld({ latencyMs: 10 });
    const files = Array.from({ length: 40 }, (_, index) => `deploy/prod/${index}.yaml`);
    for (const file of files) world.dir.write(file, plain);
    for (const [command, operation] of [
      ["encrypt", "Encrypt"],
      ["decrypt", "Decrypt"],
    ] as const) {
      world.server.forgetCalls();
      await succeed(world.run([command, "-i", ...files]));
      const { operations, maxInFlight } = world.server.statistics();
      expect(operations).toEqual({ [operation]: 40 });
      expect(maxInFlight).toBeGreaterThan(4);
      expect(maxInFlight).toBeLessThanOrEqual(16);
    }
    for (const file of files) expect(world.dir.read(file)).toBe(plain);
  });

  test("where some fail, the others are done, and those are as they were", async () => {
    const world = await kmsWorld();
    const files = ["prod", "staging"].flatMap((name) => ["a", "b"].map((file) => `deploy/${name}/${file}.yaml`));
    for (const file of files) world.dir.write(file, plain);
    world.server.setKeyState(world.keys.staging, "Disabled");
    const outcome = await world.run(["encrypt", "-i", ...files]);
    expect(outcome.code).toBe(5);
    expect(outcome.stderr).toContain("2 of 4 files were left as they were");
    for (const file of files) expect(world.dir.read(file) === plain).toBe(file.includes("staging"));
  });
});
