import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import {
  bindSealed,
  decryptSops,
  type Expectation,
  generateAgeIdentity,
  openSealed,
  resealEdited,
  sealManifest,
  setValue,
} from "../../src/index.ts";
import { findTool, titled } from "../support/available.ts";
import { layouts } from "../support/layouts.ts";
import { type Peers, peers } from "../support/peers.ts";
import { canary, databaseSecret, environment, expectRefusal, mutate, now, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const here: Expectation = { environment: prod.policy, target: "own" };
const stranger = generateAgeIdentity();

/** What a Secret holds, whichever reader gave it. */
function contentOf(yaml: string): { data: Record<string, string>; clear: unknown } {
  const { data, stringData, sops: _, metadata, ...rest } = parse(yaml);
  const { "sealward.dev/binding": __, ...annotations } = metadata.annotations ?? {};
  const decoded = Object.entries<string>(data ?? {}).map(([key, text]) => [
    key,
    Buffer.from(text, "base64").toString("latin1"),
  ]);
  const texts = Object.entries<string>(stringData ?? {}).map(([key, text]) => [
    key,
    Buffer.from(text).toString("latin1"),
  ]);
  return { data: Object.fromEntries([...decoded, ...texts]), clear: { ...rest, ...metadata, annotations } };
}

async function ourContentOf(document: string): Promise<Record<string, string>> {
  const { data } = await openSealed(document, here, [prod.identity]);
  return Object.fromEntries([...data].map(([key, bytes]) => [key, Buffer.from(bytes).toString("latin1")]));
}

describe.skipIf(findTool("sops") === null)(titled("the released sops", "sops"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([prod.secretKey]);
  });
  afterAll(() => tools.remove());
  const decrypt = (text: string) => tools.run("sops", ["decrypt", tools.file("sealed.yaml", text)]);
  /** The file after a command of sops; `FILE` among the arguments is its path. */
  const change = (text: string, ...args: string[]) => {
    const path = tools.file("sealed.yaml", text);
    tools.run(
      "sops",
      args.map((arg) => (arg === "FILE" ? path : arg)),
    );
    return tools.read(path);
  };

  it.each(layouts)("opens what we sealed, with equal content: %s", async (_, manifest) => {
    const text = await sealed(prod, manifest);
    const theirs = contentOf(decrypt(text));
    expect(theirs.data).toEqual(await ourContentOf(text));
    expect(theirs.data).toEqual(contentOf(manifest).data);
    expect(theirs.clear).toEqual(contentOf((await openSealed(text, here, [prod.identity])).plainText).clear);
  });

  it("opens what we sealed again after an edit and after setting a value", async () => {
    const text = await sealed(prod);
    const opened = await openSealed(text, here, [prod.identity]);
    const edited = await resealEdited(
      text,
      mutate(opened.plainText, "team: core", "team: other"),
      here,
      [prod.identity],
      { now },
    );
    const set = await setValue(edited.text, "NEW", Buffer.from("fresh"), here, [prod.identity], { now });
    const theirs = contentOf(decrypt(set.text));
    expect(theirs.data).toEqual({ ...contentOf(databaseSecret).data, NEW: "fresh" });
    expect(theirs.clear).toMatchObject({ annotations: { team: "other" } });
  });

  it("changes a value, and the binding holds", async () => {
    const changed = change(await sealed(prod), "set", "FILE", '["stringData"]["PASSWORD"]', '"rotated"');
    expect(await ourContentOf(changed)).toMatchObject({ PASSWORD: "rotated", TOKEN: canary });
  });

  it("edits a value and a comment, and the binding holds", async () => {
    const manifest = mutate(databaseSecret, "stringData:\n", "stringData:\n  # rotate in May\n");
    const path = tools.file("sealed.yaml", await sealed(prod, manifest));
    const script = tools.file("edit.sh", `#!/bin/sh\nsed -i 's/${canary}$/rotated/; s/in May/in June/' "$1"\n`);
    tools.run("sops", ["decrypt", path]);
    tools.run("sops", ["edit", path], { editor: `sh ${script}` });
    const changed = tools.read(path);
    expect(await ourContentOf(changed)).toMatchObject({ PASSWORD: "rotated" });
    expect((await openSealed(changed, here, [prod.identity])).plainText).toContain("# rotate in June");
  });

  it.each<[string, string, string]>([
    ["adds a key", '["stringData"]["EXTRA"]', '"more"'],
    ["changes a label", '["metadata"]["labels"]["app"]', '"billing"'],
    ["adds an annotation", '["metadata"]["annotations"]["note"]', '"hello"'],
    ["renames the Secret's type", '["type"]', '"example.org/other"'],
  ])("%s: the binding tells, and binding again repairs it", async (_, path, value) => {
    const changed = change(await sealed(prod), "set", "FILE", path, value);
    await expectRefusal(() => openSealed(changed, here, [prod.identity]), "binding-mismatch");
    const bound = await bindSealed(changed, { environment: prod.policy, now }, [prod.identity]);
    const opened = await openSealed(bound.text, here, [prod.identity]);
    expect(Object.keys(contentOf(opened.plainText).data).sort()).toEqual(
      Object.keys(contentOf(decrypt(bound.text)).data).sort(),
    );
  });

  it("adds a recipient: the gate calls it foreign", async () => {
    const changed = change(await sealed(prod), "rotate", "-i", "--add-age", stranger.identity.recipient, "FILE");
    await expectRefusal(() => openSealed(changed, here, [prod.identity]), "recipient-foreign");
    const bound = await bindSealed(changed, { environment: prod.policy, now }, [prod.identity]);
    expect(bound.text).not.toContain(stranger.identity.recipient);
    await openSealed(bound.text, here, [prod.identity]);
  });

  it("synchronises recipients (updatekeys): a foreign one is refused", async () => {
    tools.file(".sops.yaml", `creation_rules:\n  - age: ${prod.identity.recipient},${stranger.identity.recipient}\n`);
    const path = tools.file("sealed.yaml", await sealed(prod));
    tools.run("sops", ["updatekeys", "-y", path]);
    tools.file(".sops.yaml", "");
    await expectRefusal(() => openSealed(tools.read(path), here, [prod.identity]), "recipient-foreign");
  });

  it("rotates the data key, and the binding holds", async () => {
    const text = await sealed(prod);
    const rotated = change(text, "rotate", "-i", "FILE");
    expect(rotated).not.toBe(text);
    expect(await ourContentOf(rotated)).toEqual(contentOf(databaseSecret).data);
  });

  describe("a Secret that sops encrypted", () => {
    const encrypt = (manifest: string, ...args: string[]) =>
      tools.run("sops", ["encrypt", "--age", prod.identity.recipient, ...args, tools.file("plain.yaml", manifest)]);

    it("is unbound; binding keeps its data key and makes it a sealed file for both", async () => {
      const theirs = encrypt(databaseSecret, "--encrypted-regex", "^(data|stringData)$");
      await expectRefusal(() => openSealed(theirs, here, [prod.identity]), "unbound");
      const { text, changes } = await bindSealed(theirs, { environment: prod.policy, now }, [prod.identity]);
      expect(changes[0]).toBe("bound to prod, scope strict");
      expect(await ourContentOf(text)).toEqual(contentOf(databaseSecret).data);
      expect(contentOf(decrypt(text)).data).toEqual(contentOf(databaseSecret).data);
      const blob = /-----BEGIN[\s\S]*?-----END/.exec(theirs)?.[0];
      expect(text.replaceAll(/^ */gm, "")).toContain(blob?.replaceAll(/^ */gm, ""));
    });

    it.each<[string, string[]]>([
      ["every value", []],
      ["a suffix", ["--unencrypted-suffix", "a"]],
      ["another pattern", ["--encrypted-regex", "^data|stringData$"]],
    ])("with another selection (%s) gets a new data key", async (_, args) => {
      const theirs = encrypt(mutate(databaseSecret, "# credentials of the payments database\n", ""), ...args);
      const { text } = await bindSealed(theirs, { environment: prod.policy, now }, [prod.identity]);
      expect(await ourContentOf(text)).toEqual(contentOf(databaseSecret).data);
      expect(contentOf(decrypt(text)).data).toEqual(contentOf(databaseSecret).data);
    });

    it("with a sealed comment where comments stay in the clear is not bound", async () => {
      const theirs = encrypt(databaseSecret);
      expect(theirs).not.toContain("credentials");
      await expectRefusal(() => bindSealed(theirs, { environment: prod.policy, now }, [prod.identity]), "clear-leak");
    });

    it("with a MAC over encrypted values only gets a new data key", async () => {
      tools.file(
        ".sops.yaml",
        `creation_rules:\n  - age: ${prod.identity.recipient}\n    mac_only_encrypted: true\n    encrypted_regex: ^(data|stringData)$\n`,
      );
      const theirs = tools.run("sops", ["encrypt", tools.file("plain.yaml", databaseSecret)]);
      tools.file(".sops.yaml", "");
      expect(theirs).toContain("mac_only_encrypted: true");
      const { text } = await bindSealed(theirs, { environment: prod.policy, now }, [prod.identity]);
      expect(contentOf(decrypt(text)).data).toEqual(contentOf(databaseSecret).data);
    });

    it("opens here without an environment, comments included", async () => {
      const manifest = mutate(databaseSecret, "stringData:\n", "stringData:\n  # rotate in May\n");
      const { text, bound } = await decryptSops(encrypt(manifest), [prod.identity]);
      expect(bound).toBe(false);
      expect(parse(text)).toEqual(parse(manifest));
      expect(text).toContain("# rotate in May");
    });

    it("changed in the clear without the MAC is not authentic", async () => {
      const theirs = encrypt(databaseSecret, "--encrypted-regex", "^(data|stringData)$");
      await expectRefusal(
        () => decryptSops(mutate(theirs, "app: payments", "app: billing"), [prod.identity]),
        "not-authentic",
      );
    });
  });

  it("gives files that are sealed already, for us", async () => {
    const theirs = change(
      databaseSecret,
      "encrypt",
      "-i",
      "--age",
      prod.identity.recipient,
      "--encrypted-regex",
      "^data$",
      "FILE",
    );
    await expectRefusal(() => sealManifest(theirs, { environment: prod.policy, now }), "already-sealed");
  });
});
