// What was tried against files with KMS keys, and got through once. Each opened, called or wrote something that it must not.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import { canary, gitdir, manifest, succeed } from "./gitdir.ts";
import { awsOf, expectRefused, foreignlySealed, kmsServer, kmsWorld, operations, sealedFile } from "./kms-world.ts";

/** The MAC covers no names: with this, nothing in the clear says that the file is a Secret. */
const disguised = (text: string): string =>
  text.replace("kind: Secret", "kindOf: Secret").replace("stringData:", '"string\\u0044ata":');

describe("a bound Secret whose clear names were changed, so that it passes for a values file", () => {
  const { identity, secretKey } = generateAgeIdentity();
  const env = { SOPS_AGE_KEY: secretKey };

  test.each(["strict", "namespace", "environment"])(
    "is refused for its binding, which stays: scope %s",
    async (scope) => {
      const world = await kmsWorld({ age: [identity.recipient] });
      const file = await sealedFile(world, manifest(), { args: ["--scope", scope] });
      world.dir.write("deploy/prod/values.yaml", disguised(world.dir.read(file)));
      for (const argv of [
        ["decrypt", "deploy/prod/values.yaml"],
        ["set", "deploy/prod/values.yaml", '["stringData"]["PASSWORD"]'],
        ["edit", "deploy/prod/values.yaml"],
        ["check", "deploy/prod/values.yaml"],
      ]) {
        const outcome = await world.run(argv, { env, stdin: "x" });
        expect(outcome.stdout + outcome.stderr, argv[0]).toContain("shape-invalid");
        expect(outcome.stdout + outcome.stderr).not.toContain(canary);
      }
      expect(operations(world)).toEqual([]);
    },
  );

  test("in another environment, opened by the recovery identity that both have", async () => {
    const world = await kmsWorld({ top: `recovery: { age: "${identity.recipient}" }\n` });
    const staging = await sealedFile(world, manifest(), { out: "deploy/staging/db.sealed.yaml" });
    const withoutKms = disguised(world.dir.read(staging)).replace(/ {4}kms:\n(?: {6,}.*\n| {4}- .*\n)+/, "");
    expect(withoutKms).not.toContain("arn:");
    world.dir.write("deploy/prod/values.yaml", withoutKms);
    const outcome = () => world.run(["decrypt", "deploy/prod/values.yaml"], { env });
    await expectRefused(world, outcome, { code: "shape-invalid", exit: 3 });
  });

  test.each([
    ["the kind", disguised],
    [
      "the way to the binding",
      (text: string) =>
        text
          .replace("metadata:\n", '"metadata:annotations":\n')
          .replace("  annotations:\n", "")
          .replace(/^ {4}(sealward\.dev)/gm, "  $1"),
    ],
    [
      "a list on the way",
      (text: string) =>
        text
          .replace("  annotations:\n    sealward", "  annotations:\n  - sealward")
          .replace(/^ {4}(sealward\.dev)/gm, "    $1"),
    ],
  ])("is refused where no seal.yaml governs, too: %s", async (_, change) => {
    const world = await kmsWorld({ age: [identity.recipient] });
    const text = change(world.dir.read(await sealedFile(world, manifest())));
    const elsewhere = gitdir({ "a.yaml": text });
    const { code, stdout, stderr } = await elsewhere.run(["decrypt", "a.yaml"], { env });
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/\(shape-invalid\)|\(sops-metadata-invalid\)/);
  });
});

describe("a repository of somebody else's", () => {
  const role = "arn:aws:iam::111122223333:role/prod-opener";

  test("does not get the user's role by naming an environment prod", async () => {
    const world = await kmsWorld({ roles: [{ arn: role, trusts: ["arn:aws:iam::111122223333:user/admin"] }] });
    const SEAL_CONFIG = join(world.dir.home, "own.yaml");
    writeFileSync(
      SEAL_CONFIG,
      `version: 1\naws:\n  environments:\n    prod: { folders: "${world.dir.path}", role: "${role}" }\n`,
    );
    const hostile = gitdir({ "seal.yaml": world.dir.read("seal.yaml") });
    hostile.write("deploy/prod/a.plain.yaml", manifest());
    const { stderr } = await succeed(
      hostile.run(["encrypt", "deploy/prod/a.plain.yaml"], { ...awsOf(world.server), env: { SEAL_CONFIG } }),
    );
    expect(stderr).toContain(`note: your configuration for prod is not used: it is for ${world.dir.path}`);
    expect(operations(world)).toEqual(["Encrypt"]);
  });

  test.each([
    ["a flag", ["--encryption-context", "sealward-environment:prod,sealward-name:db"], {}],
    ["in another case", ["--encryption-context", "Sealward-Environment:prod"], {}],
    [
      ".sops.yaml",
      [],
      {
        ".sops.yaml": "creation_rules:\n- key_groups:\n  - kms: [{arn: KEY, context: {sealward-environment: prod}}]\n",
      },
    ],
  ])("does not get a file made here that passes for one of an environment: by %s", async (_, flags, files) => {
    const server = await kmsServer();
    const { arn } = server.createKey({ region: "eu-west-1" });
    const texts = Object.entries(files).map(([name, text]) => [name, text.replace("KEY", arn)]);
    const dir = gitdir({ "v.yaml": "a: b\n", ...Object.fromEntries(texts) });
    const keys = flags.length === 0 ? [] : ["--kms", arn];
    const { code, stdout, stderr } = await dir.run(["encrypt", ...keys, ...flags, "v.yaml"], awsOf(server));
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("an encryption context of Sealward's own");
    expect(server.calls).toEqual([]);
  });
});

test("an unbound Secret of another environment is not bound here by the name of another replica of its key", async () => {
  const server = await kmsServer();
  const { arn, replicas } = server.createKey({ region: "eu-west-1", replicas: ["eu-central-1"] });
  const [replica = ""] = replicas;
  const environment = (name: string, key: string) =>
    `  ${name}: { recipients: { kms: "${key}" }, paths: ["${name}/**"] }\n`;
  const dir = gitdir({
    "seal.yaml": `version: 1\nenvironments:\n${environment("prod", arn)}${environment("staging", replica)}`,
  });
  const how = { name: "db.yaml", text: manifest(), context: null, rule: "^(data|stringData)$" };
  const made = await foreignlySealed({ server, keys: { staging: "", prod: replica } }, how);
  dir.write("prod/db.yaml", made.replace(replica, arn));
  const { code, stderr } = await dir.run(["bind", "prod/db.yaml"], awsOf(server));
  expect([code, stderr]).toEqual([1, expect.stringContaining("(recipient-foreign)")]);
});

test("a ciphertext that no key can have made is sent to none", async () => {
  const world = await kmsWorld();
  const file = await sealedFile(world, manifest());
  for (const enc of ["", Buffer.alloc(6145).toString("base64")]) {
    const changed = world.dir.read(file).replace(/^( +enc: ).*$/m, `$1"${enc}"`);
    world.dir.write(file, changed);
    await expectRefused(world, () => world.run(["decrypt", file]), { code: "not-authentic", exit: 1 });
  }
  expect(operations(world)).toEqual([]);
});

test("one file has KMS asked 64 times at most, over all its key groups", async () => {
  const server = await kmsServer();
  const { arn } = server.createKey({ region: "eu-west-1" });
  const how = { name: "v.yaml", text: "a: b\n", context: null, rule: null };
  const made = await foreignlySealed({ server, keys: { staging: "", prod: arn } }, how);
  const [, entry = ""] = /^ {4}kms:\n((?: {6,}.*\n| {4}- .*\n)+)/m.exec(made) ?? [];
  const group = `    - kms:\n${entry.replace(/^ {4}/gm, "        ").replace(/enc: .*/, `enc: ${Buffer.alloc(99).toString("base64")}`)}`;
  // Of 200 groups two are needed, so that there is always hope.
  const text = made
    .replace(` {4}kms:\n${entry}`, "")
    .replace(/^ {4}kms:\n(?: {6,}.*\n| {4}- .*\n)+/m, `    shamir_threshold: 2\n    key_groups:\n${group.repeat(200)}`);
  const dir = gitdir({ "v.yaml": text });
  const { code, stderr } = await dir.run(["decrypt", "v.yaml"], awsOf(server));
  expect([code, stderr]).toEqual([1, expect.stringContaining("(not-authentic)")]);
  expect(server.statistics().operations).toEqual({ Decrypt: 64 });
});
