// Who calls AWS and what they may: a writer who cannot open, and nobody at all; and what else opens a file when KMS does not.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Encrypter } from "age-encryption";
import { describe, expect, test } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import { canary, editor, type Given, gitdir, manifest, succeed } from "./gitdir.ts";
import { admin, awsOf, expectRefused, kmsWorld, operations, sealedFile, writer } from "./kms-world.ts";

const prod = "deploy/prod/db.sealed.yaml";
const refused = { code: "key-refused", exit: 5 } as const;

describe("who may encrypt and not decrypt", () => {
  test("seals; set, edit and bind say what to do, and doing it replaces the file", async () => {
    const world = await kmsWorld();
    const aws = world.as(writer);
    await succeed(world.run(["encrypt", "-o", prod], { ...aws, stdin: manifest() }));
    await expectRefused(world, () => world.run(["decrypt", prod], aws), refused);
    const SEAL_EDITOR = editor(world.dir, 'return text + "  MORE: x\\n";');
    for (const argv of [
      ["set", prod, "PASSWORD"],
      ["edit", prod],
      ["bind", prod],
    ]) {
      const { stderr } = await expectRefused(
        world,
        () => world.run(argv, { ...aws, stdin: canary, env: { SEAL_EDITOR } }),
        refused,
      );
      expect(stderr).toContain("Cannot change the file without opening it: AWS did not do kms:Decrypt");
      expect(stderr).toContain(`replaces the whole file: \`seal encrypt MANIFEST --env prod -o ${prod}\``);
      expect(stderr).toContain("ask for kms:Decrypt: `seal kms policy --env prod`");
    }
    world.dir.write("new.plain.yaml", manifest({ value: "rotated" }));
    await succeed(world.run(["encrypt", "new.plain.yaml", "--env", "prod", "-o", prod], aws));
    expect((await succeed(world.run(["decrypt", prod]))).stdout).toContain("PASSWORD: rotated");
  });

  test("does the same with a file that is no Secret", async () => {
    const world = await kmsWorld();
    const aws = world.as(writer);
    const file = "deploy/prod/it's values.yaml";
    world.dir.write(file, `password: ${canary}\n`);
    await succeed(world.run(["encrypt", "-i", file], aws));
    for (const argv of [
      ["set", file, "password"],
      ["edit", file],
    ]) {
      const { stderr } = await expectRefused(world, () => world.run(argv, { ...aws, stdin: "x" }), refused);
      expect(stderr).toContain("`seal encrypt PLAIN_FILE --env prod --force -o 'deploy/prod/it'\\''s values.yaml'`");
    }
    world.dir.write("new.yaml", "password: rotated\n");
    await succeed(world.run(["encrypt", "new.yaml", "--env", "prod", "--force", "-o", file], aws));
    expect((await succeed(world.run(["decrypt", file]))).stdout).toBe("password: rotated\n");
  });

  test("is told so of a file that no seal.yaml governs, without a word about environments", async () => {
    const world = await kmsWorld();
    const aws = world.as(writer);
    rmSync(join(world.dir.path, "seal.yaml"));
    world.dir.write("values.yaml", `password: ${canary}\n`);
    await succeed(world.run(["encrypt", "-i", "--kms", world.keys.prod, "values.yaml"], aws));
    const { stderr } = await expectRefused(
      world,
      () => world.run(["set", "values.yaml", "password"], { ...aws, stdin: "x" }),
      refused,
    );
    expect(stderr).toContain("`seal encrypt PLAIN_FILE --force -o values.yaml`");
    expect(stderr).not.toContain("--env");
  });
});

describe("nobody to call as, and nowhere to call", () => {
  const noCredentials = async (): Promise<never> => {
    throw Object.assign(new Error(`tried the profile ${canary}`), { name: "CredentialsProviderError" });
  };

  test.each<
    [
      string,
      (world: { readonly server: { readonly endpoint: string } }) => Given,
      "credentials-missing" | "key-unreachable",
      string,
    ]
  >([
    [
      "no credentials",
      ({ server: { endpoint } }) => ({ aws: { endpoint, credentials: noCredentials } }),
      "credentials-missing",
      "hint: sign in (`aws sso login`), set AWS_PROFILE",
    ],
    [
      "credentials that AWS does not know",
      ({ server: { endpoint } }) => ({
        aws: { endpoint, credentials: { accessKeyId: "AKIANONE", secretAccessKey: canary } },
      }),
      "credentials-missing",
      "hint: correct the credentials",
    ],
    ["no connection", () => ({ aws: {} }), "key-unreachable", "hint: try again; if it lasts, check the network"],
  ])("%s: every command says so, and leaves everything as it is", async (_, given, code, hint) => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    world.dir.write("deploy/prod/values.yaml", `a: ${canary}\n`);
    world.dir.write("deploy/prod/new.plain.yaml", manifest({ name: "new" }));
    for (const argv of [
      ["encrypt", "-i", "deploy/prod/values.yaml"],
      ["encrypt", "deploy/prod/new.plain.yaml", "-o", "deploy/prod/new.sealed.yaml"],
      ["decrypt", prod],
      ["set", prod, "PASSWORD"],
      ["edit", prod],
      ["bind", prod],
    ]) {
      const { stderr } = await expectRefused(world, () => world.run(argv, { ...given(world), stdin: "x" }), {
        code,
        exit: 5,
      });
      expect(stderr).toContain(hint);
    }
  });

  test("an age identity opens a mixed environment's files without a call", async () => {
    const own = generateAgeIdentity();
    const world = await kmsWorld({ age: [own.identity.recipient] });
    const file = await sealedFile(world, manifest());
    const env = { SOPS_AGE_KEY: own.secretKey };
    await succeed(world.run(["decrypt", file], { env }));
    await succeed(world.run(["set", file, "PASSWORD"], { env, stdin: "x" }));
    await succeed(world.run(["bind", file], { env }));
    expect(world.server.calls).toEqual([]);
  });

  test("an SSH key and what a command prints come before a call where age opens the file, too", async () => {
    const own = generateAgeIdentity();
    const world = await kmsWorld({ age: [own.identity.recipient] });
    const file = await sealedFile(world, manifest());
    writeFileSync(join(world.dir.home, "key"), `${own.secretKey}\n`);
    await succeed(world.run(["decrypt", file], { env: { SOPS_AGE_KEY_CMD: `cat ${join(world.dir.home, "key")}` } }));
    expect(world.server.calls).toEqual([]);
  });
});

describe("KMS refused", () => {
  const lockedKeys = async (home: string, secretKey: string): Promise<string> => {
    const encrypter = new Encrypter();
    encrypter.setPassphrase("open sesame");
    encrypter.setScryptWorkFactor(10);
    const file = join(home, "locked.age");
    writeFileSync(file, await encrypter.encrypt(`${secretKey}\n`));
    return file;
  };

  test("an identity behind a passphrase opens a mixed environment's file, after KMS was asked once", async () => {
    const own = generateAgeIdentity();
    const world = await kmsWorld({ age: [own.identity.recipient] });
    const file = await sealedFile(world, manifest());
    const env = { SOPS_AGE_KEY_FILE: await lockedKeys(world.dir.home, own.secretKey) };
    const { stdout } = await succeed(
      world.run(["decrypt", file], { ...world.as(writer), env, secrets: ["open sesame"] }),
    );
    expect(stdout).toContain(canary);
    expect(operations(world)).toEqual(["Decrypt"]);
  });

  test("nobody is asked for a passphrase where only KMS opens the file", async () => {
    const own = generateAgeIdentity();
    const world = await kmsWorld();
    const file = await sealedFile(world, manifest());
    const ran = join(world.dir.home, "ran");
    const env = {
      SOPS_AGE_KEY_FILE: await lockedKeys(world.dir.home, own.secretKey),
      SOPS_AGE_KEY_CMD: `touch ${ran}`,
    };
    const given = { ...world.as(writer), env, secrets: ["open sesame"] };
    await expectRefused(world, () => world.run(["decrypt", file], given), refused);
    const elsewhere = gitdir({ "db.yaml": world.dir.read(file) });
    const outcome = await elsewhere.run(["decrypt", "db.yaml"], given);
    expect(outcome.stderr).toContain("(key-refused)");
    expect(outcome.stderr).not.toContain("Passphrase");
    expect(existsSync(ran)).toBe(false);
    expect(operations(world)).toEqual(["Decrypt", "Decrypt"]);
  });
});

/** Replaces text of the sealed file that is there, so that an attack which no longer applies fails its test. */
function rewrite({ dir }: Awaited<ReturnType<typeof kmsWorld>>, from: string | RegExp, to: string): void {
  const next = dir.read(prod).replace(from, to);
  expect(next).not.toBe(dir.read(prod));
  dir.write(prod, next);
}

describe("what a file says of keys and callers", () => {
  test("a key of nobody's here is foreign, before it is asked", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    const foreign = world.server.createKey({ region: "us-west-2" }).arn;
    rewrite(world, world.keys.prod, foreign);
    for (const argv of [["decrypt"], ["set"], ["edit"]])
      await expectRefused(
        world,
        () => world.run([...argv, prod, ...(argv[0] === "set" ? ["A"] : [])], { stdin: "x" }),
        {
          code: "recipient-foreign",
          exit: 1,
        },
      );
    expect(world.server.calls).toEqual([]);
  });

  test("text that is no ARN of a key is foreign as well, and where nothing governs no host of its own", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    rewrite(world, world.keys.prod, "arn:aws:kms:evil.example/:111122223333:key/x");
    await expectRefused(world, () => world.run(["decrypt", prod]), { code: "recipient-foreign", exit: 1 });
    const elsewhere = gitdir({ "db.yaml": world.dir.read(prod) });
    const outcome = await elsewhere.run(["decrypt", "db.yaml"], awsOf(world.server));
    expect(outcome.stderr).toContain("(recipient-invalid)");
    expect(outcome.code).toBe(5);
    expect(world.server.calls).toEqual([]);
  });

  test.each([
    ["a role", "role: arn:aws:iam::111122223333:role/taken\n"],
    ["an endpoint", 'endpoint: "http://127.0.0.1:1/"\n'],
  ])("%s in an entry changes nothing about who asks and where", async (_, line) => {
    const world = await kmsWorld({ roles: [{ arn: "arn:aws:iam::111122223333:role/taken", trusts: [admin] }] });
    await sealedFile(world, manifest());
    rewrite(world, /^( +)aws_profile: ""\n/m, `$1aws_profile: nobody-has-this\n$1${line}`);
    const elsewhere = gitdir({ "db.yaml": world.dir.read(prod) });
    await succeed(elsewhere.run(["decrypt", "db.yaml"], awsOf(world.server)));
    await succeed(world.run(["decrypt", prod]));
    await succeed(world.run(["set", prod, "PASSWORD"], { stdin: "x" }));
    await succeed(world.run(["bind", prod]));
    expect(world.server.calls.length).toBeGreaterThan(3);
    for (const { principal, service } of world.server.calls) expect([principal, service]).toEqual([admin, "kms"]);
  });
});
