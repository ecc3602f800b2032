import { createSecretKey } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unwrapDataKey, wrapDataKey } from "../../src/age.ts";
import { sealedSelection } from "../../src/gate.ts";
import {
  type AgeIdentity,
  bindSealed,
  type Expectation,
  generateAgeIdentity,
  openSealed,
  resealEdited,
  setValue,
} from "../../src/index.ts";
import { entriesOf, macOf, openLeaves, sealMac } from "../../src/sops-tree.ts";
import { aadOfPath, decryptValue, parseEncrypted } from "../../src/sops-value.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { loadYaml } from "../../src/yaml-store.ts";
import { layouts } from "../support/layouts.ts";
import { databaseSecret, environment, expectRefusal, mutate, now, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const here: Expectation = { environment: prod.policy, target: "own" };
const later = new Date("2026-12-01T00:00:00Z");
const open = (text: string, identity: AgeIdentity = prod.identity) => openSealed(text, here, [identity]);
const edit = (text: string, plainText: string) => resealEdited(text, plainText, here, [prod.identity], { now: later });
const set = (text: string, key: string, value: string | Uint8Array) =>
  setValue(text, key, Buffer.from(value as string), here, [prod.identity], { now: later });
const bind = (text: string, environment = prod.policy) =>
  bindSealed(text, { environment, now: later }, [prod.identity]);

/** Names of the lines (up to the colon) in which two texts differ, in both directions. */
function changedLines(before: string, after: string): string[] {
  const [old, fresh] = [before.split("\n"), after.split("\n")];
  const differing = [...old.filter((line) => !fresh.includes(line)), ...fresh.filter((line) => !old.includes(line))];
  return [...new Set(differing.map((line) => line.trim().split(":")[0] ?? ""))].sort();
}

async function textAt(text: string, key: string): Promise<string | undefined> {
  const bytes = (await open(text)).data.get(key);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

/** The data key of a file, as its owner has it. */
function dataKeyOf(text: string, identity: AgeIdentity): Promise<Uint8Array | null> {
  const [blob = ""] = /-----BEGIN[\s\S]*?-----END.*$/m.exec(text) ?? [];
  return unwrapDataKey(blob.replace(/^ +/gm, ""), identity);
}

/** A file changed in the clear by someone who can open it and makes the MAC right, as other tools do. */
async function withMac(text: string): Promise<string> {
  const key = createSecretKey((await dataKeyOf(text, prod.identity)) ?? new Uint8Array());
  const { leaves } = entriesOf(loadYaml(text).documents, sealedSelection, { isEncrypted: true });
  const mac = macOf(openLeaves(leaves, key, undefined), { onlyEncrypted: false });
  const time = /lastmodified: "(.*)"/.exec(text)?.[1] ?? "";
  return text.replace(/mac: ENC\[.*/, `mac: ${sealMac(mac, key, time)}`);
}

describe("resealEdited()", () => {
  it.each(layouts)("gives the document itself where nothing was changed: %s", async (_, manifest) => {
    const text = await sealed(prod, manifest);
    const { plainText } = await open(text);
    expect(await edit(text, plainText)).toEqual({ text, changed: [] });
  });

  it.each(layouts)("changes nothing but what is added: %s", async (_, manifest) => {
    const text = await sealed(prod, manifest);
    const { text: after } = await set(text, "ADDED", "new value");
    expect(await textAt(after, "ADDED")).toBe("new value");
    const encsOf = (document: string) => document.match(/ENC\[AES256_GCM,[^\]]*\]/g) ?? [];
    const gone = encsOf(text.replace(/^ +mac: .*/m, "")).filter((enc) => !after.includes(enc));
    expect(gone).toHaveLength(1);
    const { plainText } = await open(after);
    const removed = await edit(after, (await open(text)).plainText);
    expect((await open(removed.text)).plainText).toBe((await open(text)).plainText);
    expect(plainText.length).toBeGreaterThan((await open(text)).plainText.length);
  });

  it("one value changed: its line, the time and the MAC, and nothing else", async () => {
    const text = await sealed(prod);
    const { plainText } = await open(text);
    const { text: after, changed } = await edit(text, mutate(plainText, "USERNAME: payments", "USERNAME: billing"));
    expect(changed).toEqual(["stringData.USERNAME"]);
    expect(changedLines(text, after)).toEqual(["USERNAME", "lastmodified", "mac"]);
    expect(await textAt(after, "USERNAME")).toBe("billing");
  });

  it("a comment of the clear part changed: that line, the time and the MAC", async () => {
    const text = await sealed(prod);
    const { plainText } = await open(text);
    const { text: after } = await edit(text, mutate(plainText, "# credentials", "# new credentials"));
    expect(changedLines(text, after)).toEqual([
      "# credentials of the payments database",
      "# new credentials of the payments database",
      "lastmodified",
      "mac",
    ]);
  });

  it("a label changed: that line and the binding as well", async () => {
    const text = await sealed(prod);
    const { plainText } = await open(text);
    const { text: after, changed } = await edit(text, mutate(plainText, "app: payments", "app: billing"));
    expect(changed).toEqual(["metadata"]);
    expect(changedLines(text, after)).toEqual(["app", "lastmodified", "mac", "sealward.dev/binding"]);
  });

  it("a sealed comment changed: that comment, the time and the MAC", async () => {
    const text = await sealed(
      prod,
      mutate(databaseSecret, "stringData:\n", "stringData:\n  # rotate in May\n  # by hand\n"),
    );
    const { plainText } = await open(text);
    const { text: after } = await edit(text, mutate(plainText, "May", "June"));
    expect(changedLines(text, after)).toEqual(["#ENC[AES256_GCM,data", "lastmodified", "mac"]);
    expect((await open(after)).plainText).toContain("# rotate in June\n  # by hand\n");
  });

  it("a value moved to a flow map keeps its ENC, quoted there, and comes back as it was written", async () => {
    const text = await sealed(prod, mutate(databaseSecret, '  EMPTY: ""\n', ""));
    const { plainText } = await open(text);
    const moved = plainText.replace(
      /stringData:\n {2}USERNAME: (.*)\n {2}PASSWORD: (.*)\n/,
      "stringData: {USERNAME: $1, PASSWORD: $2}\n",
    );
    const { text: after } = await edit(text, moved);
    const [enc = ""] = /ENC\[.*/.exec(text.slice(text.indexOf("USERNAME"))) ?? [];
    expect(after).toContain(`USERNAME: "${enc}"`);
    expect((await open(after)).plainText).toContain("{USERNAME: payments, ");
  });

  it("a value with its quotes changed is the same value: its ENC gets the quotes", async () => {
    const text = await sealed(prod);
    const { plainText } = await open(text);
    const { text: after } = await edit(text, mutate(plainText, "USERNAME: payments", "USERNAME: 'payments'"));
    expect(changedLines(text, after)).toEqual(["USERNAME", "lastmodified", "mac"]);
    const [enc = ""] = /(?<=USERNAME: ).*/.exec(text) ?? [];
    expect(after).toContain(`  USERNAME: '${enc}'\n`);
    expect((await open(after)).plainText).toContain("  USERNAME: 'payments'\n");
  });

  it("keeps the order, spelling and unknown keys of the sops block", async () => {
    const text = (await sealed(prod)).replace(
      / {4}lastmodified: (.*)\n {4}mac: (.*)\n {4}version: .*\n$/,
      "    version: 3.9.1 # old\n    future: x\n    mac: $2\n    lastmodified: $1\n",
    );
    const { plainText } = await open(text);
    const { text: after } = await edit(text, mutate(plainText, "USERNAME: payments", "USERNAME: billing"));
    expect(changedLines(text, after)).toEqual(["USERNAME", "lastmodified", "mac"]);
  });

  it("a sops block in flow style still opens afterwards", async () => {
    const text = await sealed(prod);
    const block = parseYaml(text).root.get("sops") as { toJSON(): unknown };
    const flow = `${text.slice(0, text.search(/^sops:/m))}sops: ${JSON.stringify(block.toJSON())}\n`;
    await open(flow);
    const { text: after } = await set(flow, "USERNAME", "billing");
    expect(await textAt(after, "USERNAME")).toBe("billing");
  });

  it.each<[string, string, string]>([
    ["name", "name: db", "name: other"],
    ["namespace", "namespace: payments", "namespace: billing"],
  ])("refuses another %s: an edit does not move a Secret", async (_, from, to) => {
    const text = await sealed(prod);
    const { plainText } = await open(text);
    await expectRefusal(() => edit(text, mutate(plainText, from, to)), "target-mismatch");
  });

  it("refuses what sealing refuses, and what the gate refuses", async () => {
    const text = await sealed(prod);
    const { plainText } = await open(text);
    await expectRefusal(
      () => edit(text, mutate(plainText, "environment: prod", "environment: dev")),
      "environment-mismatch",
    );
    await expectRefusal(() => edit(text, mutate(plainText, "scope: strict", "scope: environment")), "target-mismatch");
    await expectRefusal(
      () => edit(text, plainText.replaceAll(/ {2}(USERNAME|PASSWORD|EMPTY|TOKEN): .*\n/g, "")),
      "shape-invalid",
    );
    await expectRefusal(() => edit(mutate(text, "app: payments", "app: billing"), plainText), "binding-mismatch");
    await expectRefusal(() => edit(text, "a: b\n"), "not-a-secret");
  });

  it("claims that an edit drops are written again", async () => {
    const text = await sealed(prod);
    const { plainText } = await open(text);
    const { text: after } = await edit(text, plainText.replaceAll(/ +sealward.*\n/g, ""));
    expect((await open(after)).info).toMatchObject({ environment: "prod", scope: "strict" });
  });
});

describe("setValue()", () => {
  it("puts text where the key is, else to stringData, else to data", async () => {
    const both = await sealed(prod);
    const onlyData = await sealed(prod, databaseSecret.replace(/stringData:[\s\S]*?(?=data:\n)/, ""));
    expect((await open((await set(both, "NEW", "x y")).text)).plainText).toContain('  EMPTY: ""\n  NEW: x y\ndata:');
    expect((await open((await set(both, "TOKEN", "x y")).text)).plainText).toContain(
      `  TOKEN: ${Buffer.from("x y").toString("base64")}\n`,
    );
    expect((await open((await set(onlyData, "NEW", "x y")).text)).plainText).toContain(
      `  NEW: ${Buffer.from("x y").toString("base64")}\n`,
    );
  });

  it("puts bytes that are not text to data, making the map where there is none", async () => {
    const text = await sealed(prod, databaseSecret.replace(/data:\n {2}TOKEN.*\n$/, ""));
    const { text: after } = await set(text, "BIN", Uint8Array.from([255, 0, 1]));
    expect((await open(after)).data.get("BIN")).toEqual(Buffer.from([255, 0, 1]));
    await expectRefusal(() => set(text, "USERNAME", Uint8Array.from([255])), "shape-invalid");
    await expectRefusal(() => set(text, "USERNAME", "a\0b"), "shape-invalid");
  });

  it("keeps quotes and block style", async () => {
    const manifest = mutate(
      databaseSecret,
      '  EMPTY: ""\n',
      "  A: 'x'\n  B: \"y\"\n  C: |\n    one\n    two\n  D: e # why\n",
    );
    let text = await sealed(prod, manifest);
    for (const [key, value] of [
      ["A", "it's"],
      ["B", "z"],
      ["C", "three\nfour\n"],
      ["D", "two\nlines"],
    ] as const)
      text = (await set(text, key, value)).text;
    const { plainText } = await open(text);
    expect(plainText).toContain("  A: 'it''s'\n  B: \"z\"\n  C: |\n    three\n    four\n  D: \"two\\nlines\" # why\n");
  });

  it("the same value again changes nothing", async () => {
    const text = await sealed(prod);
    expect(await set(text, "USERNAME", "payments")).toEqual({ text, changed: [] });
  });

  it("an empty value is one too", async () => {
    expect(await textAt((await set(await sealed(prod), "USERNAME", "")).text, "USERNAME")).toBe("");
  });

  it.each([
    "123",
    "y",
    "null",
    "1.5",
    "-",
    "--",
    "---",
    "...",
    ".",
    "0x1F",
    "2024-01-02",
    "_",
    ".dockerconfigjson",
    "a.b-c_D",

    "__proto__",
    "constructor",
    "data",
    "stringData",
    "sops",
  ])("takes any key that Kubernetes takes: %s", async (key) => {
    const flow = mutate(databaseSecret, /stringData:[\s\S]*?(?=data:\n)/, "stringData: {A: b}\n");
    const empty = mutate(databaseSecret, /stringData:[\s\S]*?(?=data:\n)/, "stringData: # none\n");
    for (const manifest of [databaseSecret, flow, empty])
      expect(await textAt((await set(await sealed(prod, manifest), key, "value: #1")).text, key)).toBe("value: #1");
  });

  it.each(["", "a b", "a/b", "a:", "A: x\n  B", 'a"', "#", "ü", "x".repeat(254), "a\u2028b"])(
    "refuses the key %j, which Kubernetes does not take",
    async (key) => {
      await expectRefusal(async () => set(await sealed(prod), key, "x"), "shape-invalid");
    },
  );

  it("takes any value in any layout", async () => {
    const anyLayout = fc.constantFrom(...layouts.map(([, manifest]) => manifest));
    const value = fc.oneof(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      fc
        .string({ unit: fc.constantFrom("a", " ", "\n", ":", "#", "'", '"', "-", "\t", "\r", "é", "🎉", "\u2028") })
        .map((text) => Buffer.from(text)),
    );
    const key = fc.constantFrom("A", "B", "NEW");
    await fc.assert(
      fc.asyncProperty(anyLayout, key, value, async (manifest, name, bytes) => {
        const text = await sealed(prod, manifest);
        const inText = new RegExp(`stringData:[\\s\\S]*\\b${name}\\b`).test(manifest);
        if (inText && (Buffer.from(bytes.toString()).compare(bytes) !== 0 || bytes.includes(0))) return;
        const others = [...(await open(text)).data].filter(([other]) => other !== name);
        if (bytes.length === 0 && others.every(([, { length }]) => length === 0)) return;
        const { text: after } = await set(text, name, bytes);
        const { data } = await open(after);
        expect(Buffer.from(data.get(name) ?? [])).toEqual(bytes);
        expect([...data].filter(([other]) => other !== name)).toEqual(others);
      }),
      { numRuns: 150 },
    );
  });
});

describe("bindSealed()", () => {
  const relabelled = async () => withMac(mutate(await sealed(prod), "app: payments", "app: billing"));

  it("binds again what was changed with the MAC made right, under the same data key and with the same values", async () => {
    const text = await relabelled();
    await expectRefusal(() => open(text), "binding-mismatch");
    const { text: after, changes, info } = await bind(text);
    expect(changes).toEqual([
      "binding renewed",
      expect.stringContaining("labels, annotations, immutable or key names"),
    ]);
    expect(info).toEqual({ environment: "prod", scope: "strict", namespace: "payments", name: "db", type: "Opaque" });
    expect((await open(after)).labels).toEqual({ app: "billing" });
    expect(changedLines(text, after)).toEqual(["lastmodified", "mac", "sealward.dev/binding"]);
    expect(await dataKeyOf(after, prod.identity)).toEqual(await dataKeyOf(text, prod.identity));
  });

  it("does not bind what is not authentic", async () => {
    await expectRefusal(async () => bind(mutate(await sealed(prod), "app: payments", "app: billing")), "not-authentic");
  });

  it("never uses a nonce for two statements", async () => {
    const nonceOf = async (text: string) => {
      const key = createSecretKey((await dataKeyOf(text, prod.identity)) ?? new Uint8Array());
      const value = parseEncrypted(/binding: (.*)/.exec(text)?.[1] ?? "");
      const bytes = value && decryptValue(value, key, aadOfPath(["metadata", "annotations", "sealward.dev/binding"]));
      return (JSON.parse(Buffer.from(bytes ?? []).toString()) as { nonce: string }).nonce;
    };
    const text = await relabelled();
    expect(await nonceOf((await bind(text)).text)).not.toBe(await nonceOf(text));
  });

  it("adds a recipient that the environment has since then, and keeps the data key and every other line", async () => {
    const text = await sealed(prod);
    const added = generateAgeIdentity();
    const policy = { ...prod.policy, ageRecipients: [...prod.policy.ageRecipients, added.identity.recipient] };
    const { text: after, changes } = await bind(text, policy);
    expect(changes).toEqual(["binding renewed", `added the recipient ${added.identity.recipient}`]);
    expect(await dataKeyOf(after, prod.identity)).toEqual(await dataKeyOf(text, prod.identity));
    const removed = text.split("\n").filter((line) => !after.split("\n").includes(line));
    expect(removed.map((line) => line.trim().split(":")[0]).sort()).toEqual(["lastmodified", "mac"]);
    expect((await openSealed(after, { environment: policy, target: "own" }, [added.identity])).notices).toEqual([]);
  });

  it("removes a foreign recipient under a new data key, which the old one does not open", async () => {
    const stranger = generateAgeIdentity();
    const text = await sealed(prod);
    const dataKey = (await dataKeyOf(text, prod.identity)) ?? new Uint8Array();
    const blob = (await wrapDataKey(dataKey, stranger.identity.recipient)).trimEnd().replaceAll("\n", "\n            ");
    const shared = mutate(
      text,
      "    encrypted_regex",
      `        - enc: |\n            ${blob}\n          recipient: ${stranger.identity.recipient}\n    encrypted_regex`,
    );
    await expectRefusal(() => open(shared), "recipient-foreign");
    const { text: after, changes } = await bind(shared);
    expect(changes).toContain(`removed the age recipient ${stranger.identity.recipient}: new data key`);
    expect(after).not.toContain(stranger.identity.recipient);
    expect(await dataKeyOf(after, stranger.identity)).toBeNull();
    const oldKey = createSecretKey(dataKey);
    for (const [, path, enc] of after.matchAll(/^ +(USERNAME|PASSWORD): (ENC.*)$/gm)) {
      const value = parseEncrypted(enc ?? "");
      expect(value && decryptValue(value, oldKey, aadOfPath(["stringData", path ?? ""]))).toBeNull();
      expect(shared).not.toContain(enc);
    }
    expect((await open(after)).plainText).toBe((await open(text)).plainText);
  });

  it("moves no file to another environment", async () => {
    const staging = environment("staging");
    const both = { ...staging.policy, ageRecipients: prod.policy.ageRecipients };
    await expectRefusal(async () => bind(await sealed(prod), both), "environment-mismatch");
    const claimed = await withMac(mutate(await sealed(prod), "environment: prod", "environment: staging"));
    await expectRefusal(() => bind(claimed, both), "environment-mismatch");
    await expectRefusal(() => bind(claimed), "environment-mismatch");
  });

  it("changes the scope where that is asked for and allowed", async () => {
    const wide = { ...prod.policy, scopes: ["strict", "namespace"] as const };
    const { text } = await bindSealed(await sealed(prod), { environment: wide, scope: "namespace", now: later }, [
      prod.identity,
    ]);
    expect(
      (await openSealed(text, { environment: wide, target: { namespace: "payments", name: "other" } }, [prod.identity]))
        .info.scope,
    ).toBe("namespace");
    await expectRefusal(
      async () =>
        bindSealed(await sealed(prod), { environment: wide, scope: "environment", now: later }, [prod.identity]),
      "scope-not-allowed",
    );
  });

  it("needs an identity that opens the file", async () => {
    const text = await relabelled();
    await expectRefusal(() => bindSealed(text, { environment: prod.policy, now }, []), "identity-missing");
    await expectRefusal(
      () => bindSealed(text, { environment: prod.policy, now }, [generateAgeIdentity().identity]),
      "identity-unmatched",
    );
  });

  it("binds a file without a binding: no value's text changes", async () => {
    const bare = (await sealed(prod)).replace(/ +sealward.dev\/.*\n/g, "").replace("|sealward\\.dev/binding", "");
    const unbound = await withMac(bare);
    await expectRefusal(() => open(unbound), "unbound");
    const { text, changes } = await bind(unbound);
    expect(changes).toEqual(["bound to prod, scope strict"]);
    expect((await open(text)).info.name).toBe("db");
    for (const [enc] of unbound.matchAll(/(?<=(?:USERNAME|PASSWORD|TOKEN): ).*/g)) expect(text).toContain(enc);
  });
});
