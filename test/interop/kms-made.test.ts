// Files with KMS recipients that the released sops made: opened here as sops would, bound under a seal.yaml; and key groups in
// both directions.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { canary, manifest, succeed } from "../cli/gitdir.ts";
import { contextsOf, expectRefused } from "../cli/kms-world.ts";
import { findTool, titled } from "../support/available.ts";
import { formats, own, shared, types } from "./kms-shared.ts";

const prod = "deploy/prod/db.sealed.yaml";
const strict = { "sealward-environment": "prod", "sealward-namespace": "payments", "sealward-name": "db" };

describe.skipIf(findTool("sops") === null)(titled("KMS files of the released sops", "sops"), () => {
  describe("a file that sops made", () => {
    test.each<[string, readonly string[], Record<string, string>]>([
      ["without a context", [], {}],
      ["with a context", ["--encryption-context", "app:shop,stage:1"], { app: "shop", stage: "1" }],
    ])("%s opens here in every format, and is set", async (_, flags, context) => {
      const world = await shared();
      const kms = ["--kms", world.keys.prod, ...flags];
      for (const [name, file, plain] of formats) {
        world.dir.write(file, plain);
        await world.sops("encrypt", "-i", ...kms, ...types(name), file);
      }
      rmSync(join(world.dir.path, "seal.yaml"));
      world.server.forgetCalls();
      for (const [name, file, plain, path] of formats) {
        expect(contextsOf(file, world.dir.read(file))).toEqual([context]);
        expect((await succeed(world.run(["decrypt", file]))).stdout).toBe(plain);
        if (path === "") continue;
        await succeed(world.run(["set", file, path], { stdin: "rotated" }));
        expect((await world.sops("decrypt", ...types(name), file)).toString()).toContain("rotated");
      }
      for (const { encryptionContext } of world.server.calls) expect(encryptionContext ?? {}).toEqual(context);
    });

    test.each<[string, readonly string[]]>([
      ["without a context", []],
      ["with a context", ["--encryption-context", "app:shop"]],
    ])("of a Secret, %s, is bound under a seal.yaml, and opens for both", async (_, flags) => {
      const world = await shared();
      world.dir.write("plain.yaml", manifest());
      const args = ["--kms", world.keys.prod, ...flags, "--encrypted-regex", "^(data|stringData)$", "plain.yaml"];
      world.dir.write(prod, await world.sops("encrypt", ...args));
      await expectRefused(world, () => world.run(["decrypt", prod]), { code: "unbound", exit: 1 });
      await succeed(world.run(["bind", prod]));
      expect(contextsOf(prod, world.dir.read(prod))).toEqual([strict]);
      expect((await succeed(world.run(["decrypt", prod]))).stdout).toContain(canary);
      expect(parse((await world.sops("decrypt", prod)).toString()).stringData.PASSWORD).toBe(canary);
    });

    test("of an environment, no Secret and without our context: refused until it is sealed as the hint says, or made with our context", async () => {
      const world = await shared();
      const file = "deploy/prod/values.yaml";
      world.dir.write(file, "password: x\n");
      await world.sops("encrypt", "-i", "--kms", world.keys.prod, file);
      const { stderr } = await expectRefused(world, () => world.run(["decrypt", file]), {
        code: "context-mismatch",
        exit: 1,
      });
      expect(stderr).toContain(`hint: if you know where it came from, open it with the sops program`);
      expect(stderr).toContain(`\`sops decrypt -i ${file}\`, then \`seal encrypt -i ${file}\``);
      await world.sops("decrypt", "-i", file);
      await succeed(world.run(["encrypt", "-i", file]));
      expect((await succeed(world.run(["decrypt", file]))).stdout).toContain("password: x");
      const context = ["--encryption-context", "sealward-environment:prod"];
      world.dir.write(file, "password: x\n");
      await world.sops("encrypt", "-i", "--kms", world.keys.prod, ...context, file);
      expect((await succeed(world.run(["decrypt", file]))).stdout).toContain("password: x");
    });

    test("with a role is opened by sops in that role, and here as the user", async () => {
      const role = "arn:aws:iam::111122223333:role/sealer";
      const iamPolicies = [{ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "kms:*", Resource: "*" }] }];
      const world = await shared({
        roles: [{ arn: role, trusts: ["arn:aws:iam::111122223333:user/admin"], iamPolicies }],
      });
      const { arn } = world.server.createKey({ region: "eu-central-1" });
      world.dir.write("a.yaml", "a: x\n");
      rmSync(join(world.dir.path, "seal.yaml"));
      await succeed(world.run(["encrypt", "-i", "--kms", `${arn}+${role}`, "a.yaml"]));
      world.server.forgetCalls();
      expect((await world.sops("decrypt", "a.yaml")).toString()).toBe("a: x\n");
      expect(world.server.calls.map(({ operation, roleArn }) => [operation, roleArn])).toEqual([
        ["AssumeRole", role],
        ["Decrypt", undefined],
      ]);
      world.server.forgetCalls();
      await world.sops("set", "a.yaml", '["a"]', '"new"');
      world.server.forgetCalls();
      expect((await succeed(world.run(["decrypt", "a.yaml"]))).stdout).toBe("a: new\n");
      expect(world.server.calls.map(({ operation }) => operation)).toEqual(["Decrypt"]);
    });
  });

  describe("key groups with KMS in one, age in another", () => {
    const groups = (arn: string, other: string) => `creation_rules:
  - shamir_threshold: 2
    key_groups:
      - age: [${own.identity.recipient}]
      - kms: [{ arn: "${arn}", context: { app: shop, "1": "2" } }]
      - kms: [{ arn: "${other}" }]
`;

    test.each(["sops", "seal"])("made by %s, opened by the other with every pair of them", async (maker) => {
      for (const [name, file, plain] of formats) {
        const world = await shared();
        const other = world.server.createKey({ region: "us-east-1" }).arn;
        rmSync(join(world.dir.path, "seal.yaml"));
        world.dir.write(".sops.yaml", groups(world.keys.prod, other));
        world.dir.write(file, plain);
        if (maker === "sops") await world.sops("encrypt", "-i", ...types(name), file);
        else await succeed(world.run(["encrypt", "-i", file]));
        expect(contextsOf(file, world.dir.read(file))).toEqual([{ app: "shop", "1": "2" }, {}]);
        const opens = async (env: Record<string, string>): Promise<boolean> => {
          if (maker === "sops") {
            const { code, stdout } = await world.run(["decrypt", file], { env });
            return code === 0 && stdout === plain;
          }
          const { status, stdout } = await world.ended(["decrypt", ...types(name), file], {
            SOPS_AGE_KEY_FILE: "",
            ...env,
          });
          return status === 0 && stdout.toString() === plain;
        };
        const age = { SOPS_AGE_KEY: own.secretKey };
        expect(await opens({})).toBe(true);
        world.server.setKeyState(other, "Disabled");
        expect(await opens(age)).toBe(true);
        expect(await opens({})).toBe(false);
      }
    });
  });
});
