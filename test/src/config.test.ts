import { describe, expect, it } from "vitest";
import { generateAgeIdentity, parseConfig } from "../../src/index.ts";
import { expectRefusal, mutate } from "../support/sealing.ts";

const [first, second, recovery] = [1, 2, 3].map(() => generateAgeIdentity().identity.recipient) as [
  string,
  string,
  string,
];
const full = `version: 1
recovery:
  age: [${recovery}]
nested: [apps/team-a/seal.yaml]
environments:
  prod:
    recipients:
      age:
        - ${first}
        - ${second} # a cluster
    paths: ["deploy/prod/**"]
    namespaces: [payments, billing]
    scope: namespace
    scopes: [strict, namespace]
    strictRecipients: true
    unbound: ["sha256:${"0".repeat(64)}"]
  dev:
    recipients: {age: ${first}}
`;

describe("parseConfig()", () => {
  it("reads every field", () => {
    const config = parseConfig(full, "seal.yaml");
    expect(config.nested).toEqual(["apps/team-a/seal.yaml"]);
    expect(config.recovery).toEqual({ age: [recovery], kms: [] });
    expect(config.environments.get("prod")).toEqual({
      name: "prod",
      ageRecipients: [first, second, recovery],
      kmsRecipients: [],
      paths: ["deploy/prod/**"],
      namespaces: ["payments", "billing"],
      defaultScope: "namespace",
      scopes: ["strict", "namespace"],
      strictRecipients: true,
      acceptedUnbound: [`sha256:${"0".repeat(64)}`],
    });
  });

  it("takes a scalar for a list of one, and says nothing where nothing is said", () => {
    expect(parseConfig(full, "seal.yaml").environments.get("dev")).toEqual({
      name: "dev",
      ageRecipients: [first, recovery],
      kmsRecipients: [],
      paths: [],
      namespaces: [],
      defaultScope: "strict",
      scopes: ["strict"],
      strictRecipients: false,
      acceptedUnbound: [],
    });
  });

  it("takes KMS keys, of an environment and for recovery", () => {
    const [own, spare] = ["key/0f1e2d3c-1111-4222-8333-444455556666", "alias/recovery"].map(
      (key) => `arn:aws:kms:eu-west-1:111122223333:${key}`,
    ) as [string, string];
    const text = `version: 1\nrecovery: {kms: "${spare}"}\nenvironments:\n  prod: {recipients: {kms: ["${own}"]}}\n`;
    const { recovery: everybodys, environments } = parseConfig(text, "seal.yaml");
    expect(everybodys).toEqual({ age: [], kms: [spare] });
    expect(environments.get("prod")).toMatchObject({ ageRecipients: [], kmsRecipients: [own, spare] });
  });

  it("keeps one of two equal recipients", () => {
    const text = mutate(full, `[${recovery}]`, `[${first}]`);
    expect(parseConfig(text, "seal.yaml").environments.get("dev")?.ageRecipients).toEqual([first]);
  });

  it.each<[string, string, number, number?]>([
    ["no version", mutate(full, "version: 1\n", ""), 1],
    ["another version", mutate(full, "version: 1", "version: 2"), 1],
    ["an unknown key", `${full}hooks: [x]\n`, 19, 1],
    ["a key in an environment that would run something", `${full}    exec: rm\n`, 19, 5],
    ["another kind of recipient", mutate(full, "{age:", "{ssh:"), 18, 18],
    ["no environments", full.slice(0, full.indexOf("environments:")), 1],
    ["environments that are a list", `${full.slice(0, full.indexOf("environments:"))}environments: [a]\n`, 1],
    ["no environment among them", `${full.slice(0, full.indexOf("environments:"))}environments: {}\n`, 1],
    ["an environment's name in capitals", mutate(full, "  dev:", "  Dev:"), 17, 3],
    ["an environment's name with a dot", mutate(full, "  dev:", "  a.b:"), 17, 3],
    ["an environment that is empty", `${full}  staging:\n`, 19, 3],
    ["an environment without recipients", `${full}  staging:\n    paths: [x]\n`, 20, 5],
    ["an environment with the recovery recipient only", `${full}  staging:\n    recipients: {age: []}\n`, 20, 5],
    ["recipients that are a list", mutate(full, `{age: ${first}}`, `[${first}]`), 18, 17],
    ["a recipient with a wrong checksum", mutate(full, `{age: ${first}}`, `{age: ${first.slice(0, -2)}zz}`), 18, 23],
    ["a KMS key that is no ARN", mutate(full, "{age:", "{kms: alias/prod, age:"), 18, 23],
    [
      "a KMS key with a host in its Region",
      mutate(full, "{age:", '{kms: "arn:aws:kms:x.evil.example/:111122223333:alias/a", age:'),
      18,
      23,
    ],
    ["a role", mutate(full, "    recipients: {age:", "    role: arn\n    recipients: {age:"), 18, 5],
    [
      "a recipient that is a map of something else",
      mutate(full, `        - ${second}`, `        - {x: ${second}}`),
      10,
      12,
    ],
    ["a recipient that is an alias", mutate(full, "recovery:\n", `x: &a ${first}\nrecovery:\n`), 2],
    ["a path that is absolute", mutate(full, '"deploy/prod/**"', "/etc/**"), 11, 13],
    ["a path that climbs out", mutate(full, '"deploy/prod/**"', "a/../../b"), 11, 13],
    ["a path that negates", mutate(full, '"deploy/prod/**"', '"!deploy/**"'), 11, 13],
    ["a path that is empty", mutate(full, '"deploy/prod/**"', '""'), 11, 13],
    ["a namespace in capitals", mutate(full, "payments", "Payments"), 12, 18],
    ["a namespace that is a glob", mutate(full, "payments", '"pay*"'), 12, 18],
    ["a scope that there is not", mutate(full, "scope: namespace", "scope: cluster"), 13, 12],
    ["two default scopes", mutate(full, "scope: namespace", "scope: [namespace, strict]"), 7],
    ["a default scope that is not allowed", mutate(full, "scope: namespace", "scope: environment"), 7],
    ["a list of scopes with one that there is not", mutate(full, "[strict, namespace]", "[strict, all]"), 14, 22],
    ["strictRecipients as a text", mutate(full, "strictRecipients: true", 'strictRecipients: "true"'), 15, 23],
    ["strictRecipients: yes", mutate(full, "strictRecipients: true", "strictRecipients: yes"), 15, 23],
    ["a digest that is cut off", mutate(full, "0".repeat(64), "0".repeat(63)), 16, 15],
    ["a nested file outside", mutate(full, "apps/team-a/seal.yaml", "../seal.yaml"), 4, 10],
    ["a nested file that is absolute", mutate(full, "apps/team-a/seal.yaml", "/etc/seal.yaml"), 4, 10],
    ["the same environment twice", `${full}  prod:\n    recipients: {age: ${first}}\n`, 19, 3],
    ["two documents", `${full}---\nversion: 1\n`, 20, 1],
    ["a byte-order mark", `\ufeff${full}`, 1, 1],
    ["no YAML", "version: [\n", 2],
    ["a list", "- version: 1\n", 1, 1],
  ])("refuses %s, and says where", async (_, text, line, column) => {
    const error = await expectRefusal(() => parseConfig(text, "conf/seal.yaml"), "config-invalid");
    expect([error.file, error.line]).toEqual(["conf/seal.yaml", line]);
    if (column !== undefined) expect(error.column).toBe(column);
  });

  it("refuses an empty file, which has no place to point at", async () => {
    expect((await expectRefusal(() => parseConfig("", "seal.yaml"), "config-invalid")).file).toBe("seal.yaml");
  });

  it("never repeats a secret key that stands in a recipient's place", async () => {
    const { secretKey } = generateAgeIdentity();
    for (const key of [secretKey, secretKey.toLowerCase(), `age1${secretKey.toLowerCase()}`]) {
      const error = await expectRefusal(
        () => parseConfig(mutate(full, `{age: ${first}}`, `{age: ${key}}`), "seal.yaml"),
        "config-invalid",
      );
      expect(`${error.message}${error.stack}`.toLowerCase()).not.toContain(secretKey.slice(17, 25).toLowerCase());
    }
  });
});
