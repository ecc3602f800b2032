// Commands on files with KMS recipients, start to end against a KMS over HTTP: what is written, what KMS is asked and with
// which context, and which commands ask nothing.
import { describe, expect, test } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import { canary, editor, manifest, succeed } from "./gitdir.ts";
import { contextsOf, expectRefused, kmsEntries, kmsWorld, operations, sealedFile } from "./kms-world.ts";

const strict = { "sealward-environment": "prod", "sealward-namespace": "payments", "sealward-name": "db" };

describe("a Secret", () => {
  test.each([
    ["strict", strict],
    ["namespace", { "sealward-environment": "prod", "sealward-namespace": "payments" }],
    ["environment", { "sealward-environment": "prod" }],
  ])(
    "sealed with scope %s carries its place as far as that, and KMS is asked with just this",
    async (scope, context) => {
      const world = await kmsWorld();
      const file = "deploy/prod/db.sealed.yaml";
      await succeed(world.run(["encrypt", "-o", file, "--scope", scope], { stdin: manifest() }));
      const [entry, second] = kmsEntries(file, world.dir.read(file));
      expect(second).toBeUndefined();
      expect([...(entry?.raw.keys() ?? [])]).toEqual(["arn", "aws_profile", "context", "created_at", "enc"]);
      expect(entry).toMatchObject({ arn: world.keys.prod, context });
      expect(entry?.raw.get("aws_profile")).toBe("");
      expect(entry?.raw.get("created_at")).toBe("2026-11-23T10:00:00Z");
      expect((await succeed(world.run(["decrypt", file]))).stdout).toContain(canary);
      expect(
        world.server.calls.map(({ operation, keyId, encryptionContext }) => [operation, keyId, encryptionContext]),
      ).toEqual([
        ["Encrypt", world.keys.prod, context],
        ["Decrypt", world.keys.prod, context],
      ]);
    },
  );

  test("is set, edited, bound and opened again, with one call to open and none to write", async () => {
    const world = await kmsWorld();
    const file = await sealedFile(world, manifest());
    const enc = kmsEntries(file, world.dir.read(file))[0]?.enc;
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "rotated" }));
    expect(operations(world)).toEqual(["Decrypt"]);
    const SEAL_EDITOR = editor(
      world.dir,
      `return text.replace("rotated", "edited").replace("type:", "  labels: {a: b}\\ntype:");`,
    );
    await succeed(world.run(["edit", file], { env: { SEAL_EDITOR } }));
    world.dir.write(file, world.dir.read(file).replace("a: b", "a: c"));
    await expectRefused(world, () => world.run(["decrypt", file]), { code: "binding-mismatch", exit: 1 });
    world.server.forgetCalls();
    await expectRefused(world, () => world.run(["bind", file]), { code: "not-authentic", exit: 1 });
    world.dir.write(file, world.dir.read(file).replace("a: c", "a: b"));
    await succeed(world.run(["bind", file]));
    expect(new Set(operations(world))).toEqual(new Set(["Decrypt"]));
    for (const { encryptionContext } of world.server.calls) expect(encryptionContext).toEqual(strict);
    expect((await succeed(world.run(["decrypt", file]))).stdout).toContain("PASSWORD: edited");
    expect(kmsEntries(file, world.dir.read(file))[0]?.enc).toBe(enc);
  });

  test.each([
    ["a Secret", "deploy/prod/db.sealed.yaml"],
    ["another file", "deploy/prod/values.yaml"],
  ])("%s is edited with one call, and what was typed is sealed though KMS is gone by then", async (_, file) => {
    const world = await kmsWorld();
    await sealedFile(world, file.includes("values") ? "password: first\n" : manifest({ value: "first" }), {
      out: file,
    });
    // The editor takes its time, and the session is over when it is closed.
    world.server.faults.use(({ count }) => (count > 1 ? "expired" : undefined));
    const SEAL_EDITOR = editor(world.dir, `return text.replace("first", "second");`);
    await succeed(world.run(["edit", file], { env: { SEAL_EDITOR } }));
    expect(operations(world)).toEqual(["Decrypt"]);
    world.server.faults.clear();
    expect((await succeed(world.run(["decrypt", file]))).stdout).toContain("second");
  });

  test("is checked, wrapped, explained and listed without a call, and without AWS", async () => {
    const world = await kmsWorld();
    const file = await sealedFile(world, manifest());
    for (const argv of [["check"], ["wrap", file], ["explain", file]]) await succeed(world.dir.run(argv));
    const explained = await succeed(world.dir.run(["explain", file]));
    expect(explained.stdout).toContain(
      `recipient: kms ${world.keys.prod}, from the file, which seal.yaml lists for prod`,
    );
    const keys = await succeed(world.dir.run(["keys", file]));
    expect(keys.stdout).toContain(`${file}: no age identity here opens it; an AWS KMS key may: \`seal status\` asks`);
    expect(keys.stdout).toContain("AWS is asked only when the file is opened");
    expect(world.server.calls).toEqual([]);
  });

  test("that is not sealed yet is explained with the keys it would be sealed to, without a call", async () => {
    const world = await kmsWorld();
    world.dir.write("deploy/prod/db.plain.yaml", manifest());
    const { stdout } = await succeed(world.dir.run(["explain", "deploy/prod/db.plain.yaml"]));
    expect(stdout).toContain(`recipient: kms ${world.keys.prod}, from seal.yaml, which seal.yaml lists for prod`);
  });

  test("in a BoundSecret opens under the BoundSecret's name, and under no other", async () => {
    const world = await kmsWorld();
    const file = await sealedFile(world, manifest(), { args: ["--wrap"] });
    expect(world.dir.read(file)).toMatch(/^kind: BoundSecret$/m);
    await succeed(world.run(["decrypt", file]));
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "rotated" }));
    await succeed(world.run(["check"]));
    world.server.forgetCalls();
    world.dir.write(file, world.dir.read(file).replace(/^ {2}name: "?db"?$/m, "  name: other"));
    await expectRefused(world, () => world.run(["decrypt", file]), { code: "target-mismatch", exit: 1 });
    expect(world.server.calls).toEqual([]);
  });

  test("whose namespace and name look like numbers and words of YAML keeps them as texts", async () => {
    for (const [namespace, name] of [
      ["1234", "1e5"],
      ["null", "true"],
      ["yes", "0x1f"],
      ["2026-11-23", "12-30"],
    ] as const) {
      const world = await kmsWorld();
      const file = await sealedFile(world, manifest({ namespace: `"${namespace}"`, name: `"${name}"` }));
      const context = { "sealward-environment": "prod", "sealward-namespace": namespace, "sealward-name": name };
      expect(contextsOf(file, world.dir.read(file))).toEqual([context]);
      await succeed(world.run(["decrypt", file]));
      await succeed(world.run(["check"]));
    }
  });
});

describe("several recipients", () => {
  const own = generateAgeIdentity();
  const recovery = generateAgeIdentity();

  test("age, KMS and both kinds for recovery each open the file", async () => {
    const world = await kmsWorld({ age: [own.identity.recipient] });
    const spare = world.server.createKey({ region: "us-east-1" }).arn;
    const top = `recovery: { kms: ["${spare}"], age: [${recovery.identity.recipient}] }\n`;
    world.dir.write("seal.yaml", world.sealYaml().replace("environments:", `${top}environments:`));
    const file = await sealedFile(world, manifest());
    expect(kmsEntries(file, world.dir.read(file)).map(({ arn, context }) => [arn, context])).toEqual([
      [world.keys.prod, strict],
      [spare, strict],
    ]);
    for (const { secretKey } of [own, recovery])
      await succeed(world.dir.run(["decrypt", file], { env: { SOPS_AGE_KEY: secretKey } }));
    expect(world.server.calls).toEqual([]);
    await succeed(world.run(["decrypt", file]));
    expect(world.server.calls.map(({ keyId }) => keyId)).toEqual([world.keys.prod]);
    world.server.setKeyState(world.keys.prod, "Disabled");
    world.server.forgetCalls();
    await succeed(world.run(["decrypt", file]));
    expect(world.server.calls.map(({ keyId, errorCode }) => [keyId, errorCode])).toEqual([
      [world.keys.prod, "DisabledException"],
      [spare, undefined],
    ]);
  });

  test("where one key of several is denied, nothing is written", async () => {
    const world = await kmsWorld();
    const denied = world.server.createKey({ region: "us-east-1" }).arn;
    world.server.setKeyState(denied, "Disabled");
    world.dir.write("seal.yaml", world.sealYaml().replaceAll("kms: [", `kms: ["${denied}", `));
    world.dir.write("deploy/prod/db.plain.yaml", manifest());
    world.dir.write("deploy/prod/values.yaml", `a: ${canary}\n`);
    for (const argv of [
      ["encrypt", "deploy/prod/db.plain.yaml", "-o", "deploy/prod/db.sealed.yaml"],
      ["encrypt", "-i", "deploy/prod/values.yaml"],
      ["encrypt", "-i", "deploy/prod/values.yaml", "deploy/prod/db.plain.yaml"],
    ]) {
      const before = world.dir.snapshot();
      const { code, stdout, stderr } = await world.run(argv);
      expect([code, stdout]).toEqual([5, ""]);
      expect(stderr).toContain(`kms:Encrypt for ${denied}: the key is disabled (DisabledException)`);
      expect(world.dir.snapshot()).toEqual(before);
    }
  });
});

describe("a file that is no Secret", () => {
  const plain: Readonly<Record<string, string>> = {
    "values.yaml": `database:\n  password: ${canary}\n`,
    "app.env": `PASSWORD=${canary}\n`,
    "app.json": `{\n  "password": "${canary}"\n}\n`,
    "app.ini": `[database]\npassword = ${canary}\n`,
    "app.bin": `${canary}\0\u0001`,
  };
  const context = { "sealward-environment": "prod" };

  test.each(Object.keys(plain))("%s carries its environment and no more", async (name) => {
    const world = await kmsWorld();
    const file = `deploy/prod/${name}`;
    world.dir.write(file, plain[name] ?? "");
    await succeed(world.run(["encrypt", "-i", file]));
    expect(world.dir.read(file)).not.toContain(canary);
    expect(kmsEntries(file, world.dir.read(file))).toMatchObject([{ arn: world.keys.prod, context }]);
    expect((await succeed(world.run(["decrypt", file]))).stdout).toBe(plain[name]);
    await succeed(world.dir.run(["explain", file]));
    if (name !== "app.bin") {
      expect((await succeed(world.dir.run(["check"]))).stderr).toContain("1 sealed and in order");
      const path = name === "app.ini" || name === "values.yaml" ? '["database"]["password"]' : '["password"]';
      const key = name === "app.env" ? '["PASSWORD"]' : path;
      await succeed(world.run(["set", file, key], { stdin: "rotated" }));
      const SEAL_EDITOR = editor(world.dir, `return text.replace("rotated", "edited");`);
      await succeed(world.run(["edit", file], { env: { SEAL_EDITOR } }));
      expect((await succeed(world.run(["decrypt", file]))).stdout).toContain("edited");
    }
    for (const { encryptionContext } of world.server.calls) expect(encryptionContext).toEqual(context);
    await succeed(world.run(["decrypt", "-i", file]));
  });

  test.each([true, false])(
    "of another environment is refused before KMS is asked; one key for both: %s",
    async (shared) => {
      const world = await kmsWorld({ shared });
      const code = shared ? "context-mismatch" : "recipient-foreign";
      const files = Object.keys(plain);
      for (const name of files) world.dir.write(`deploy/staging/${name}`, plain[name] ?? "");
      await succeed(world.run(["encrypt", "-i", ...files.map((name) => `deploy/staging/${name}`)]));
      for (const name of files) world.dir.write(`deploy/prod/${name}`, world.dir.read(`deploy/staging/${name}`));
      world.server.forgetCalls();
      for (const name of files) {
        const file = `deploy/prod/${name}`;
        await expectRefused(world, () => world.run(["decrypt", file]), { code, exit: 1 });
        await expectRefused(world, () => world.run(["decrypt", file, "--env", "prod"]), { code, exit: 1 });
        if (name === "app.bin") continue;
        await expectRefused(world, () => world.run(["set", file, '["a"]'], { stdin: "x" }), { code, exit: 1 });
      }
      const { stdout } = await world.run(["check"]);
      for (const name of files) expect(stdout.includes(`deploy/prod/${name}`), name).toBe(name !== "app.bin");
      expect(stdout.split("\n").filter((line) => line.includes(`: ${code}: `))).toHaveLength(4);
      expect(world.server.calls).toEqual([]);
    },
  );
});
