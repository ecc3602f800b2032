// The user's own configuration, which says as whom and where AWS is called, and what seal.yaml may not say of it; and the
// name that the audit trail of AWS shows.
import { writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { sessionName } from "../../cli/aws.ts";
import { asSessionName } from "../../src/aws-kms.ts";
import { canary, gitdir, manifest, succeed } from "./gitdir.ts";
import { account, admin, expectRefused, kmsWorld, operations, sealedFile, userConfig } from "./kms-world.ts";

const prod = "deploy/prod/db.sealed.yaml";
const refused = { code: "key-refused", exit: 5 } as const;

describe("the user's own configuration", () => {
  const role = (name: string): string => `arn:aws:iam::${account}:role/${name}`;
  const text = `version: 1
aws:
  environments:
    prod: { folders: /, role: "${role("prod-sealer")}" }
    staging: { folders: /, role: "${role("staging-sealer")}" }
`;
  const withRoles = () =>
    kmsWorld({
      roles: ["prod-sealer", "staging-sealer"].map((name) => ({
        arn: role(name),
        trusts: [admin],
        iamPolicies: [{ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "kms:*", Resource: "*" }] }],
      })),
    });
  const allow = (world: Awaited<ReturnType<typeof kmsWorld>>) => {
    for (const key of Object.values(world.keys))
      world.server.setKeyPolicy(key, {
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: "kms:*", Resource: "*" },
        ],
      });
  };

  test.each(["in its usual place", "named by SEAL_CONFIG", "named by SEAL_CONFIG, relative"])(
    "%s: each environment's keys are called with its role, under a name that says who asks",
    async (where) => {
      const world = await withRoles();
      allow(world);
      const isUsual = where === "in its usual place";
      const file = join(world.dir.home, "own.yaml");
      if (isUsual) userConfig(world.dir, text);
      else writeFileSync(file, text);
      const named = where.endsWith("relative") ? relative(world.dir.path, file) : file;
      const env = { USER: "mira", ...(isUsual ? {} : { SEAL_CONFIG: named }) };
      for (const name of ["prod", "staging"]) {
        world.server.forgetCalls();
        const sealed = `deploy/${name}/db.sealed.yaml`;
        await succeed(world.run(["encrypt", "-o", sealed], { env, stdin: manifest() }));
        await succeed(world.run(["decrypt", sealed], { env }));
        const session = `arn:aws:sts::${account}:assumed-role/${name}-sealer/seal-mira`;
        expect(
          world.server.calls.map(({ operation, principal, roleArn, sessionName: said }) => [
            operation,
            principal,
            roleArn,
            said,
          ]),
        ).toEqual([
          ["AssumeRole", admin, role(`${name}-sealer`), "seal-mira"],
          ["Encrypt", session, undefined, undefined],
          ["AssumeRole", admin, role(`${name}-sealer`), "seal-mira"],
          ["Decrypt", session, undefined, undefined],
        ]);
        // Nothing of it is in the file, which is for whoever may open it as whomever.
        const readable = world.dir.read(sealed).replace(/ENC\[[^\]]*\]|\benc: \S+/g, "");
        expect(readable).not.toMatch(/role|sts|seal-|mira/);
      }
    },
  );

  test("several files of one environment take its role once", async () => {
    const world = await withRoles();
    allow(world);
    userConfig(world.dir, text);
    const files = ["a", "b", "c"].map((name) => `deploy/prod/${name}.yaml`);
    for (const file of files) world.dir.write(file, `a: ${canary}\n`);
    await succeed(world.run(["encrypt", "-i", ...files]));
    expect(world.server.statistics().operations).toEqual({ AssumeRole: 1, Encrypt: 3 });
  });

  test("a role that does not trust the user is refused, with where to correct it", async () => {
    const world = await kmsWorld();
    userConfig(world.dir, text);
    const { stderr } = await expectRefused(
      world,
      () => world.run(["encrypt", "--env", "prod"], { stdin: manifest() }),
      refused,
    );
    expect(stderr).toContain("sts:AssumeRole");
    expect(stderr).toContain("hint: correct the role of the environment in your configuration");
  });

  test("a file that no seal.yaml governs is opened as the user, and as no role", async () => {
    const world = await withRoles();
    await sealedFile(world, manifest());
    userConfig(world.dir, text);
    const elsewhere = gitdir({ "db.yaml": world.dir.read(prod) });
    const SEAL_CONFIG = userConfig(world.dir, text);
    const { aws } = world.as(admin);
    await succeed(
      elsewhere.run(["decrypt", "db.yaml"], { ...(aws === undefined ? {} : { aws }), env: { SEAL_CONFIG } }),
    );
    expect(world.server.calls.map(({ principal }) => principal)).toEqual([admin]);
  });

  test("its endpoints are where AWS is called", async () => {
    const world = await kmsWorld();
    userConfig(world.dir, `version: 1\naws: { endpoint: "${world.server.endpoint}" }\n`);
    const credentials = world.server.credentials();
    await succeed(world.run(["encrypt", "--env", "prod"], { stdin: manifest(), aws: { credentials } }));
    expect(operations(world)).toEqual(["Encrypt"]);
  });

  test.each<[string, string, number]>([
    ["an unknown key", "version: 1\naws:\n  region: eu-west-1\n", 3],
    ["a role that is none", "version: 1\naws:\n  environments:\n    prod: { folders: /, role: admin }\n", 4],
    ["an endpoint that is none", "version: 1\naws:\n  endpoint: ftp://x\n", 3],
    ["something that is no YAML", `version: 1\naws: "${canary}\n`, 3],
  ])("with %s is refused at its line, before anything is asked or written", async (_, config, line) => {
    const world = await kmsWorld();
    const file = userConfig(world.dir, config);
    const { stderr } = await expectRefused(
      world,
      () => world.run(["encrypt", "--env", "prod"], { stdin: manifest() }),
      {
        code: "config-invalid",
        exit: 4,
      },
    );
    expect(stderr).toContain(`error: ${file}:${line}:`);
    expect(stderr).not.toContain("seal.yaml");
    expect(world.server.calls).toEqual([]);
  });

  test("that is named and not there is missed", async () => {
    const world = await kmsWorld();
    const given = { stdin: manifest(), env: { SEAL_CONFIG: "none.yaml" } };
    await expectRefused(world, () => world.run(["encrypt", "--env", "prod"], given), { code: "file-missing", exit: 6 });
  });

  test.each(["role: arn:aws:iam::111122223333:role/x", "profile: x", 'endpoint: "http://127.0.0.1:1"', "aws: {}"])(
    "is the only place for it: seal.yaml with %s is refused",
    async (line) => {
      const world = await kmsWorld({ more: `    ${line}\n` });
      const { stderr } = await expectRefused(
        world,
        () => world.run(["encrypt", "--env", "prod"], { stdin: manifest() }),
        {
          code: "config-invalid",
          exit: 4,
        },
      );
      expect(stderr).toMatch(/error: seal\.yaml:7:5: environments\.staging has no key/);
      expect(stderr).toContain("hint: correct seal.yaml at the place named");
      expect(world.server.calls).toEqual([]);
    },
  );

  test("seal.yaml with a key that is no ARN of one is refused", async () => {
    const world = await kmsWorld();
    world.dir.write("seal.yaml", world.sealYaml().replace(world.keys.prod, "alias/prod"));
    await expectRefused(world, () => world.run(["check"]), { code: "config-invalid", exit: 4 });
  });
});

describe("the name of a session", () => {
  test.each<[string, Record<string, string>, string]>([
    ["a person", { USER: "mira" }, "seal-mira"],
    ["a person by LOGNAME", { LOGNAME: "mira" }, "seal-mira"],
    ["a person on Windows", { USERNAME: "Mira B" }, "seal-Mira-B"],
    ["an empty USER", { USER: "", LOGNAME: "mira" }, "seal-mira"],
    ["nobody", {}, "seal-unknown"],
    ["nobody in a pipeline", { CI: "true" }, "seal-ci"],
    ["GitHub", { GITHUB_RUN_ID: "77", GITHUB_REPOSITORY: "acme/shop", USER: "runner" }, "seal-github-77-acme-shop"],
    ["GitLab", { CI_PIPELINE_ID: "5", CI_PROJECT_PATH: "acme/sub/shop", CI: "true" }, "seal-gitlab-5-acme-sub-shop"],
    ["Jenkins", { BUILD_TAG: "jenkins-shop-12" }, "seal-jenkins-shop-12"],
    ["characters that STS does not take", { USER: "Ünï\n\u0000☃" }, "seal--n-"],
    ["what could be taken for something else", { USER: "a@b.c,d=e+f_g-h" }, "seal-a@b.c,d=e+f_g-h"],
    ["a name that is too long", { BUILD_TAG: "x".repeat(100) }, `seal-${"x".repeat(59)}`],
  ])("%s", (_, env, expected) => {
    const name = asSessionName(sessionName({ env }));
    expect(name).toBe(expected);
    expect(name).toMatch(/^[\w+=,.@-]{2,64}$/);
  });

  test("keeps the run of a pipeline whatever the repository is called", () => {
    const env = { GITHUB_RUN_ID: "12345678901", GITHUB_REPOSITORY: `${"o".repeat(39)}/${"r".repeat(100)}` };
    expect(asSessionName(sessionName({ env }))).toMatch(/^seal-github-12345678901-o/);
  });
});
