import { describe, expect, it } from "vitest";
import { wrapDataKey } from "../../src/age.ts";
import {
  checkSealed,
  documentDigest,
  type EnvironmentPolicy,
  type ErrorCode,
  type Expectation,
  generateAgeIdentity,
  openSealed,
} from "../../src/index.ts";
import { canary, databaseSecret, environment, expectRefusal, mutate, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const staging = environment("staging");
const file = await sealed(prod);
const here: Expectation = { environment: prod.policy, target: { namespace: "payments", name: "db" } };
const withPolicy = (changes: Partial<EnvironmentPolicy>): Expectation => ({
  ...here,
  environment: { ...prod.policy, ...changes },
});
const encOf = (text: string, key: string) => new RegExp(`${key}: (.*)`).exec(text)?.[1] ?? "";
const lineOf = (text: string, key: string) => new RegExp(`^ *${key}: .*\n`, "m").exec(text)?.[0] ?? "";
const bindingLine = lineOf(file, "sealward.dev/binding");

describe("openSealed() in the place that the file is sealed for", () => {
  it("gives every value as bytes and the clear part as it was", async () => {
    const opened = await openSealed(file, here, [prod.identity]);
    expect(Object.fromEntries([...opened.data].map(([key, value]) => [key, Buffer.from(value).toString()]))).toEqual({
      USERNAME: "payments",
      PASSWORD: canary,
      EMPTY: "",
      TOKEN: canary,
    });
    expect(opened.labels).toEqual({ app: "payments" });
    expect(opened.annotations).toEqual({
      team: "core",
      "sealward.dev/environment": "prod",
      "sealward.dev/scope": "strict",
    });
    expect(opened.info).toEqual({
      environment: "prod",
      scope: "strict",
      namespace: "payments",
      name: "db",
      type: "Opaque",
    });
    expect(opened.notices).toEqual([]);
    expect(opened.documentDigest).toBe(documentDigest(file));
  });

  it("needs only one of several recipients' identities", async () => {
    const recovery = generateAgeIdentity().identity;
    const both = { ...prod.policy, ageRecipients: [...prod.policy.ageRecipients, recovery.recipient] };
    const text = await sealed({ ...prod, policy: both });
    await openSealed(text, { ...here, environment: both }, [recovery]);
    await openSealed(text, { ...here, environment: both }, [prod.identity]);
  });

  it("tells which recipients of the environment cannot open the file, and refuses only where that is asked for", async () => {
    const added = generateAgeIdentity().identity.recipient;
    const ageRecipients = [...prod.policy.ageRecipients, added];
    const opened = await openSealed(file, withPolicy({ ageRecipients }), [prod.identity]);
    expect(opened.notices).toEqual([{ code: "recipient-missing", message: expect.stringContaining(added) }]);
    await expectRefusal(
      () => openSealed(file, withPolicy({ ageRecipients, strictRecipients: true }), [prod.identity]),
      "recipient-missing",
    );
  });
});

describe("each scope pins what it says", () => {
  const wide = environment("prod", { scopes: ["strict", "namespace", "environment"] });
  const elsewhere = (namespace: string, name: string): Expectation => ({
    environment: wide.policy,
    target: { namespace, name },
  });
  const scoped = (scope: string) =>
    sealed(wide, mutate(databaseSecret, "    team: core", `    team: core\n    sealward.dev/scope: ${scope}`));

  it.each<[string, string, string, ErrorCode | null]>([
    ["strict", "payments", "db", null],
    ["strict", "payments", "other", "target-mismatch"],
    ["strict", "billing", "db", "target-mismatch"],
    ["namespace", "payments", "other", null],
    ["namespace", "billing", "db", "target-mismatch"],
    ["environment", "billing", "other", null],
  ])("scope %s opened as %s/%s: %s", async (scope, namespace, name, code) => {
    const open = async () => openSealed(await scoped(scope), elsewhere(namespace, name), [wide.identity]);
    if (code === null) await open();
    else await expectRefusal(open, code);
  });

  it("a scope that the environment does not allow is refused before any key is used", async () => {
    const error = await expectRefusal(
      async () =>
        checkSealed(await scoped("environment"), {
          ...elsewhere("payments", "db"),
          environment: { ...wide.policy, scopes: ["strict"] },
        }),
      "scope-not-allowed",
    );
    expect(error.message).toContain("environment");
    expect(error.message).toContain("strict");
  });

  it("widening the claimed scope does not widen the binding", async () => {
    const widened = mutate(await scoped("strict"), "scope: strict", "scope: environment");
    await expectRefusal(() => openSealed(widened, elsewhere("billing", "db"), [wide.identity]), "binding-mismatch");
  });
});

describe("the wrong place", () => {
  it("another environment: the reason names both", async () => {
    const there: Expectation = { ...here, environment: staging.policy };
    for (const call of [
      () => checkSealed(file, there),
      () => openSealed(file, there, [prod.identity, staging.identity]),
    ]) {
      const error = await expectRefusal(call, "environment-mismatch");
      expect(error.message).toContain('"prod"');
      expect(error.message).toContain('"staging"');
    }
  });

  it("another environment, the claim rewritten: the recipients tell", async () => {
    const relabelled = mutate(file, "environment: prod", "environment: staging");
    await expectRefusal(
      () => openSealed(relabelled, { ...here, environment: staging.policy }, [prod.identity, staging.identity]),
      "recipient-foreign",
    );
  });

  it("another environment that shares the recipient, the claim rewritten: the binding tells", async () => {
    const twin = { ...staging.policy, ageRecipients: prod.policy.ageRecipients };
    const relabelled = mutate(file, "environment: prod", "environment: staging");
    const error = await expectRefusal(
      () => openSealed(relabelled, { ...here, environment: twin }, [prod.identity]),
      "binding-mismatch",
    );
    expect(error.message).toContain('"prod"');
    expect(error.message).toContain('"staging"');
  });

  it.each<[string, string, string]>([
    ["namespace", "billing", "db"],
    ["name", "payments", "cache"],
  ])("another %s, claimed and rewritten", async (field, namespace, name) => {
    const target = { ...here, target: { namespace, name } };
    await expectRefusal(() => openSealed(file, target, [prod.identity]), "target-mismatch");
    const rewritten = file
      .replace("name: db\n", `name: ${name}\n`)
      .replace("namespace: payments", `namespace: ${namespace}`);
    expect(rewritten).not.toBe(file);
    await expectRefusal(() => openSealed(rewritten, target, [prod.identity]), "binding-mismatch");
    expect(field).toBeTruthy();
  });

  it("another type", async () => {
    const typed = mutate(file, "type: Opaque", "type: example.com/other");
    await expectRefusal(() => openSealed(typed, here, [prod.identity]), "binding-mismatch");
  });

  it("name and namespace cut elsewhere, which the MAC alone cannot see", async () => {
    const text = await sealed(
      prod,
      mutate(mutate(databaseSecret, "name: db", "name: mentsdb"), "namespace: payments", "namespace: pay"),
    );
    const cut = mutate(mutate(text, "name: mentsdb", "name: db"), "namespace: pay\n", "namespace: payments\n");
    await expectRefusal(() => openSealed(cut, here, [prod.identity]), "binding-mismatch");
  });
});

describe("the binding", async () => {
  const other = await sealed(prod, mutate(databaseSecret, "name: db", "name: cache"));
  it.each<[string, string, ErrorCode]>([
    ["removed", mutate(file, bindingLine, ""), "unbound"],
    ["edited", mutate(file, "binding: ENC[AES256_GCM,data:", "binding: ENC[AES256_GCM,data:AAAA"), "not-authentic"],
    ["taken from another file", mutate(file, bindingLine, lineOf(other, "sealward.dev/binding")), "not-authentic"],
    ["emptied", mutate(file, bindingLine, '    sealward.dev/binding: ""\n'), "shape-invalid"],
    [
      "replaced by another leaf of the file",
      mutate(file, bindingLine, `    sealward.dev/binding: ${encOf(file, "PASSWORD")}\n`),
      "not-authentic",
    ],
    [
      "turned into another type",
      file.replace(bindingLine, bindingLine.replace("type:str", "type:int")),
      "shape-invalid",
    ],
    [
      "moved to a label",
      mutate(mutate(file, bindingLine, ""), "    app: payments\n", `    app: payments\n${bindingLine}`),
      "shape-invalid",
    ],
  ])("%s", async (_, text, code) => {
    await expectRefusal(() => openSealed(text, here, [prod.identity]), code);
  });

  it("put in the clear: the leaf must be an ENC", async () => {
    const plain = JSON.stringify({
      environment: "prod",
      name: "db",
      namespace: "payments",
      nonce: "AAAA",
      plain: "",
      scope: "strict",
      type: "Opaque",
      v: 1,
    });
    const clear = mutate(file, bindingLine, `    sealward.dev/binding: '${plain}'\n`);
    await expectRefusal(() => openSealed(clear, here, [prod.identity]), "shape-invalid");
  });

  it("is decrypted before any other value: a wrong place is told even where values are damaged", async () => {
    const damaged = mutate(file, "PASSWORD: ENC[AES256_GCM,data:", "PASSWORD: ENC[AES256_GCM,data:AAAA");
    const rewritten = mutate(damaged, "name: db\n", "name: cache\n");
    await expectRefusal(
      () => openSealed(rewritten, { ...here, target: { namespace: "payments", name: "cache" } }, [prod.identity]),
      "binding-mismatch",
    );
  });
});

describe("what stays in the clear", () => {
  const afterLabel = (line: string) => mutate(file, "    app: payments\n", `    app: payments\n${line}`);
  it.each<[string, string, ErrorCode]>([
    ["a label added", afterLabel("    copy: everywhere\n"), "binding-mismatch"],
    ["an empty label added", afterLabel('    copy: ""\n'), "binding-mismatch"],
    ["a label changed", mutate(file, "app: payments", "app: paymentz"), "binding-mismatch"],
    ["a label renamed", mutate(file, "app: payments", "apps: payments"), "binding-mismatch"],
    ["a label removed", mutate(file, "    app: payments\n", "    app2: payments\n"), "binding-mismatch"],
    [
      "an annotation renamed under the same value",
      mutate(file, "team: core", "replicator/replicate-to: core"),
      "binding-mismatch",
    ],
    ["an annotation added", mutate(file, "    team: core\n", '    team: core\n    reflect: ""\n'), "binding-mismatch"],
    ["immutable added", mutate(file, "type: Opaque\n", "type: Opaque\nimmutable: true\n"), "binding-mismatch"],
    ["a label named like an encrypted part", afterLabel("    data: x\n"), "shape-invalid"],
    ["an unknown top-level field", mutate(file, "type: Opaque\n", "type: Opaque\nspec: {}\n"), "shape-invalid"],
    ["an unknown metadata field", mutate(file, "  name: db\n", "  name: db\n  generateName: x\n"), "shape-invalid"],
    ["finalizers", mutate(file, "  name: db\n", "  name: db\n  finalizers: [x]\n"), "shape-invalid"],
  ])("%s", async (_, text, code) => {
    await expectRefusal(() => openSealed(text, here, [prod.identity]), code);
  });
});

describe("the values", async () => {
  const password = lineOf(file, "PASSWORD");
  const username = lineOf(file, "USERNAME");
  const swapped = file
    .replace(encOf(file, "PASSWORD"), "@")
    .replace(encOf(file, "USERNAME"), encOf(file, "PASSWORD"))
    .replace("@", encOf(file, "USERNAME"));
  const otherFile = await sealed(prod);
  it.each<[string, string, ErrorCode]>([
    ["swapped between keys", swapped, "not-authentic"],
    ["moved to a new key", mutate(file, "PASSWORD:", "PASSPHRASE:"), "binding-mismatch"],
    ["removed", mutate(file, password, ""), "binding-mismatch"],
    ["added as a copy", mutate(file, username, username + username.replace("USERNAME", "ADMIN")), "binding-mismatch"],
    ["added empty", mutate(file, username, `${username}  ADMIN: ""\n`), "binding-mismatch"],
    ["emptied", mutate(file, password, '  PASSWORD: ""\n'), "binding-mismatch"],
    [
      "filled where it was empty",
      mutate(file, '  EMPTY: ""\n', `  EMPTY: ${encOf(file, "PASSWORD")}\n`),
      "binding-mismatch",
    ],
    ["put in the clear", mutate(file, password, "  PASSWORD: chosen\n"), "shape-invalid"],
    ["replaced by a null", mutate(file, password, "  PASSWORD: null\n"), "shape-invalid"],
    ["replaced by a list", mutate(file, password, "  PASSWORD: []\n"), "shape-invalid"],
    ["from another file of the same Secret", mutate(file, password, lineOf(otherFile, "PASSWORD")), "not-authentic"],
    [
      "with text after the bracket",
      mutate(file, password, password.replace("type:str]", "type:str] tail")),
      "shape-invalid",
    ],
    ["as another type", mutate(file, password, password.replace("type:str", "type:int")), "shape-invalid"],
    ["in both maps", mutate(file, "data:\n  TOKEN", `data:\n${password}  TOKEN`), "shape-invalid"],
    [
      "in data instead of stringData",
      file.replace(username, "").replace("data:\n  TOKEN", `data:\n${username}  TOKEN`),
      "binding-mismatch",
    ],
    ["reordered, which the MAC sees", file.replace(username + password, password + username), "not-authentic"],
  ])("%s", async (_, text, code) => {
    expect(text).not.toBe(file);
    await expectRefusal(() => openSealed(text, here, [prod.identity]), code);
  });
});

describe("the sops block", async () => {
  const line = lineOf(file, "encrypted_regex");
  const regex = (pattern: string) => mutate(file, line, `    encrypted_regex: ${pattern}\n`);
  const attacker = generateAgeIdentity().identity;
  const foreignEntry = `        - enc: |\n${(await wrapDataKey(new Uint8Array(32), attacker.recipient))
    .trimEnd()
    .split("\n")
    .map((row) => `            ${row}`)
    .join("\n")}\n          recipient: ${attacker.recipient}\n`;
  const beforeRegex = (lines: string) => mutate(file, line, lines + line);
  it.each<[string, string, ErrorCode]>([
    ["encrypted_regex narrowed", regex("^(stringData|sealward\\.dev/binding)$"), "shape-invalid"],
    ["encrypted_regex widened", regex("^(data|stringData|type|sealward\\.dev/binding)$"), "shape-invalid"],
    ["encrypted_regex that means the same", regex("^(stringData|data|sealward\\.dev/binding)$"), "shape-invalid"],
    ["another rule", mutate(file, line, "    unencrypted_suffix: _plain\n"), "shape-invalid"],
    ["a second rule", beforeRegex("    unencrypted_suffix: _plain\n"), "sops-metadata-invalid"],
    ["mac_only_encrypted", beforeRegex("    mac_only_encrypted: true\n"), "shape-invalid"],
    ["a foreign age recipient", beforeRegex(foreignEntry), "recipient-foreign"],
    [
      "a foreign recipient of another kind",
      beforeRegex("    pgp:\n        - fp: ABCDEF\n          enc: x\n"),
      "recipient-foreign",
    ],
    [
      "a KMS recipient that no environment lists",
      beforeRegex("    kms:\n        - arn: arn:aws:kms:eu-west-1:1:key/x\n          enc: x\n"),
      "recipient-foreign",
    ],
    ["a recipient entry that is no map", beforeRegex("    pgp: [x]\n"), "sops-metadata-invalid"],
    ["a recipient behind a merge key", beforeRegex("    <<: {pgp: [{fp: ABCDEF, enc: x}]}\n"), "sops-metadata-invalid"],
    ["a recipient behind an alias", beforeRegex("    kms: &x []\n    pgp: *x\n"), "sops-metadata-invalid"],
    ["a tag", beforeRegex("    pgp: !!seq []\n"), "sops-metadata-invalid"],
    [
      "a recipient of a kind nobody knows yet",
      beforeRegex("    new_kms:\n        - id: x\n          enc: x\n"),
      "recipient-foreign",
    ],
    ["key groups", beforeRegex("    key_groups:\n        - age: []\n"), "shape-invalid"],
    ["the MAC removed", mutate(file, lineOf(file, "mac"), ""), "not-authentic"],
    ["the MAC of another file", mutate(file, lineOf(file, "mac"), lineOf(await sealed(prod), "mac")), "not-authentic"],
    [
      "lastmodified changed",
      mutate(file, 'lastmodified: "2026-11-23T12:00:00Z', 'lastmodified: "2026-11-23T12:00:01Z'),
      "not-authentic",
    ],
    ["no recipient at all", file.replace(/ {4}age:\n[\s\S]*(?= {4}encrypted_regex)/, ""), "sops-metadata-invalid"],
    ["a key after it", `${file}extra: 1\n`, "shape-invalid"],
  ])("%s", async (_, text, code) => {
    expect(text).not.toBe(file);
    await expectRefusal(() => openSealed(text, here, [prod.identity]), code);
  });

  it("an entry relabelled to a recipient of the environment: other identities at hand are not tried", async () => {
    const relabelled = (await sealed(staging))
      .replaceAll(staging.identity.recipient, prod.identity.recipient)
      .replace("environment: staging", "environment: prod");
    await expectRefusal(() => openSealed(relabelled, here, [prod.identity, staging.identity]), "not-authentic");
  });

  it("one recipient listed twice", async () => {
    const entry = /( {8}- enc: \|[\s\S]*?recipient: .*\n)/.exec(file)?.[1] ?? "";
    await expectRefusal(
      () => openSealed(mutate(file, entry, entry + entry), here, [prod.identity]),
      "sops-metadata-invalid",
    );
  });
});

describe("identities", () => {
  it("none: the file's recipients are named", async () => {
    const error = await expectRefusal(() => openSealed(file, here, []), "identity-missing");
    expect(error.message).toContain(prod.identity.recipient);
  });

  it("only wrong ones", async () => {
    await expectRefusal(
      () => openSealed(file, here, [staging.identity, generateAgeIdentity().identity]),
      "identity-unmatched",
    );
  });
});

describe("a file without a binding", () => {
  const unbound = mutate(file, bindingLine, "").replace("|sealward\\.dev/binding)", ")");

  it("is refused", async () => {
    await expectRefusal(() => openSealed(unbound, here, [prod.identity]), "unbound");
  });

  it("passes the keyless steps only where the environment lists that very document", async () => {
    const listed = withPolicy({ acceptedUnbound: [documentDigest(unbound)] });
    expect(checkSealed(unbound, listed).info.scope).toBe("strict");
    await expectRefusal(() => checkSealed(`${unbound}\n`, listed), "unbound");
    // Listing does not make it authentic: its MAC was made over the binding too.
    await expectRefusal(() => openSealed(unbound, listed, [prod.identity]), "not-authentic");
  });
});

describe("Secret types that mint credentials", () => {
  it.each(["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"])(
    "%s is neither sealed nor opened",
    async (type) => {
      await expectRefusal(
        () => sealed(prod, mutate(databaseSecret, "type: Opaque", `type: ${type}`)),
        "secret-type-forbidden",
      );
      await expectRefusal(
        () => openSealed(mutate(file, "type: Opaque", `type: ${type}`), here, [prod.identity]),
        "secret-type-forbidden",
      );
    },
  );
});
