// Files with KMS recipients that we seal and the released sops opens and changes, both asking one KMS: it opens them with the
// MAC verified, and what of its changes the gate refuses is told.
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { canary, manifest, succeed } from "../cli/gitdir.ts";
import { contextsOf, expectRefused, kmsEntries, sealedFile } from "../cli/kms-world.ts";
import { findTool, titled } from "../support/available.ts";
import { formats, own, shared, types } from "./kms-shared.ts";

const prod = "deploy/prod/db.sealed.yaml";
const strict = { "sealward-environment": "prod", "sealward-namespace": "payments", "sealward-name": "db" };

describe.skipIf(findTool("sops") === null)(titled("KMS files and the released sops", "sops"), () => {
  describe("what we seal for an environment", () => {
    test.each(["strict", "namespace", "environment"])(
      "a Secret of scope %s opens, and KMS is sent its context",
      async (scope) => {
        const world = await shared();
        await sealedFile(world, manifest(), { args: ["--scope", scope] });
        const opened = parse((await world.sops("decrypt", prod)).toString());
        expect(opened.stringData.PASSWORD).toBe(canary);
        expect(world.server.calls.map(({ operation, encryptionContext }) => [operation, encryptionContext])).toEqual([
          ["Decrypt", contextsOf(prod, world.dir.read(prod))[0]],
        ]);
      },
    );

    test.each([
      ["1234", "1e5"],
      ["null", "true"],
      ["yes", "0x1f"],
      ["2026-11-23", "12-30"],
    ])(
      "a Secret %s/%s, which YAML could take for something else, opens and comes back from sops as it was",
      async (namespace, name) => {
        const world = await shared();
        await sealedFile(world, manifest({ namespace: `"${namespace}"`, name: `"${name}"` }));
        await world.sops("set", prod, '["stringData"]["PASSWORD"]', '"rotated"');
        const context = { "sealward-environment": "prod", "sealward-namespace": namespace, "sealward-name": name };
        expect(contextsOf(prod, world.dir.read(prod))).toEqual([context]);
        expect((await succeed(world.run(["decrypt", prod]))).stdout).toContain("rotated");
      },
    );

    test.each(formats)(
      "%s opens, is set and rotated by sops, and opens here with the context it had",
      async (name, file, plain, path) => {
        const world = await shared();
        const sealed = `deploy/prod/${file}`;
        world.dir.write(sealed, plain);
        await succeed(world.run(["encrypt", "-i", sealed]));
        expect((await world.sops("decrypt", ...types(name), sealed)).toString()).toBe(plain);
        if (path !== "") {
          await world.sops("set", ...types(name).slice(0, 2), ...types(name).slice(2), sealed, path, '"rotated"');
          expect((await succeed(world.run(["decrypt", sealed]))).stdout).toContain("rotated");
        }
        const [before] = kmsEntries(sealed, world.dir.read(sealed));
        await world.sops("rotate", "-i", ...types(name), sealed);
        const [after] = kmsEntries(sealed, world.dir.read(sealed));
        expect(after?.context).toEqual({ "sealward-environment": "prod" });
        expect(after?.enc).not.toBe(before?.enc);
        await succeed(world.run(["decrypt", sealed]));
        for (const { encryptionContext } of world.server.calls)
          expect(encryptionContext).toEqual({ "sealward-environment": "prod" });
      },
    );

    test("changed in one byte, or under another context, opens for neither", async () => {
      const world = await shared();
      await sealedFile(world, manifest());
      const text = world.dir.read(prod);
      world.dir.write(prod, text.replace("sealward-name: db", "sealward-name: dc"));
      expect((await world.ended(["decrypt", prod])).status).not.toBe(0);
      await expectRefused(world, () => world.run(["decrypt", prod]), { code: "context-mismatch", exit: 1 });
      world.dir.write(prod, text.replace("namespace: payments", "namespace: payment"));
      expect((await world.ended(["decrypt", prod])).status).not.toBe(0);
    });
  });

  describe("a bound Secret that sops changed", () => {
    test("set: the binding and the entry hold", async () => {
      const world = await shared();
      await sealedFile(world, manifest());
      const [before] = kmsEntries(prod, world.dir.read(prod));
      await world.sops("set", prod, '["stringData"]["PASSWORD"]', '"rotated"');
      expect(kmsEntries(prod, world.dir.read(prod))[0]?.raw).toEqual(before?.raw);
      expect((await succeed(world.run(["decrypt", prod]))).stdout).toContain("PASSWORD: rotated");
      await succeed(world.run(["check"]));
    });

    test("rotated: a new data key under the same context, and the binding holds", async () => {
      const world = await shared();
      await sealedFile(world, manifest());
      const [before] = kmsEntries(prod, world.dir.read(prod));
      await world.sops("rotate", "-i", prod);
      const [after] = kmsEntries(prod, world.dir.read(prod));
      expect(after?.enc).not.toBe(before?.enc);
      expect(after?.context).toEqual(strict);
      expect((await succeed(world.run(["decrypt", prod]))).stdout).toContain(canary);
    });

    test("renamed: refused by its context, and bound again only with --move", async () => {
      const world = await shared();
      await sealedFile(world, manifest());
      await world.sops("set", prod, '["metadata"]["name"]', '"other"');
      await expectRefused(world, () => world.run(["decrypt", prod]), { code: "context-mismatch", exit: 1 });
      await expectRefused(world, () => world.run(["bind", prod]), { code: "context-mismatch", exit: 1 });
      await succeed(world.run(["bind", "--move", prod]));
      expect(parse((await world.sops("decrypt", prod)).toString()).metadata.name).toBe("other");
    });

    test("rotated with a further key (--add-kms): it gets no context, which binding gives it", async () => {
      const world = await shared({ age: [own.identity.recipient] });
      world.dir.write("seal.yaml", world.sealYaml().replace(/kms: \["[^"]+"\], /g, ""));
      await sealedFile(world, manifest());
      world.dir.write("seal.yaml", world.sealYaml());
      await world.sops("rotate", "-i", "--add-kms", world.keys.prod, prod);
      expect(contextsOf(prod, world.dir.read(prod))).toEqual([{}]);
      const env = { SOPS_AGE_KEY: own.secretKey };
      for (const given of [{}, { env }])
        await expectRefused(world, () => world.run(["decrypt", prod], given), { code: "context-mismatch", exit: 1 });
      // By KMS alone, and then by age alone.
      const before = world.dir.read(prod);
      for (const given of [{}, { env }]) {
        world.dir.write(prod, before);
        const { stderr } = await succeed(world.run(["bind", prod], given));
        expect(stderr).toContain("the encryption context that belongs here");
        expect(contextsOf(prod, world.dir.read(prod))).toEqual([strict]);
        await succeed(world.run(["decrypt", prod]));
        await world.sops("decrypt", prod);
      }
    });

    test("updatekeys adds a key of nobody's here: foreign, and binding takes it out with a new data key", async () => {
      const world = await shared();
      const other = world.server.createKey({ region: "us-east-1" }).arn;
      await sealedFile(world, manifest());
      const entry = (arn: string, context: string) => `          - { arn: "${arn}"${context} }\n`;
      const context = `, context: ${JSON.stringify(strict)}`;
      const rule = (kms: string) =>
        world.dir.write(".sops.yaml", `creation_rules:\n  - key_groups:\n      - kms:\n${kms}`);
      rule(entry(world.keys.prod, context) + entry(other, ""));
      await world.sops("updatekeys", "-y", prod);
      expect(kmsEntries(prod, world.dir.read(prod)).map(({ arn }) => arn)).toEqual([world.keys.prod, other]);
      await expectRefused(world, () => world.run(["decrypt", prod]), { code: "recipient-foreign", exit: 1 });
      const bound = await succeed(world.run(["bind", prod]));
      expect(bound.stderr).toContain(`removed the kms recipient ${other}: new data key`);
      expect(kmsEntries(prod, world.dir.read(prod)).map(({ arn }) => arn)).toEqual([world.keys.prod]);
      await succeed(world.run(["decrypt", prod]));
      // And it takes a context away.
      rule(entry(world.keys.prod, ""));
      await world.sops("updatekeys", "-y", prod);
      expect(contextsOf(prod, world.dir.read(prod))).toEqual([{}]);
      await expectRefused(world, () => world.run(["decrypt", prod]), { code: "context-mismatch", exit: 1 });
      await succeed(world.run(["bind", prod]));
      expect(contextsOf(prod, world.dir.read(prod))).toEqual([strict]);
      expect(parse((await world.sops("decrypt", prod)).toString()).stringData.PASSWORD).toBe(canary);
    });
  });
});
