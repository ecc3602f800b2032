import { describe, expect, it } from "vitest";
import { type EnvironmentResource, parseEnvironment, policyOf } from "../../controller/environment-resource.ts";
import { govern } from "../../controller/govern.ts";
import { type ErrorCode, generateAgeIdentity, SealwardError } from "../../src/index.ts";

const { identity, secretKey } = generateAgeIdentity();
const valid = {
  namespaces: { names: ["payments"] },
  identities: [{ age: { secretRef: { name: "sealward-age-prod" } } }],
  recipients: { age: [identity.recipient] },
};
const environment = (spec: unknown, name = "prod"): EnvironmentResource =>
  parseEnvironment({ metadata: { name, uid: "u", resourceVersion: "1" }, spec });
const selecting = (selector: unknown, name = "prod"): EnvironmentResource =>
  environment({ ...valid, namespaces: { selector } }, name);

function codeOf(action: () => unknown): { code: ErrorCode; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof SealwardError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was thrown");
}

const key = "arn:aws:kms:eu-west-1:111122223333:alias/prod";

describe("parseEnvironment()", () => {
  it("takes KMS keys as identities, called as the pod or as a role", () => {
    const role = "arn:aws:iam::111122223333:role/sealward/prod";
    const spec = { ...valid, recipients: { kms: [key] } };
    const own = environment({ ...spec, identities: [{ kms: {} }] });
    expect([own.kms, own.policy?.kmsRecipients, own.policy?.ageRecipients]).toEqual([{}, [key], []]);
    const assuming = environment({ ...spec, identities: [...valid.identities, { kms: { assumeRole: role } }] });
    expect([assuming.kms, assuming.identityRefs.length]).toEqual([{ role }, 1]);
  });

  it("gives the policy of a valid Environment, strict by default", () => {
    const { policy, identityRefs, kms } = environment(valid);
    expect(kms).toBeNull();
    expect(identityRefs).toEqual([{ secret: "sealward-age-prod", key: "identity" }]);
    expect(policy).toEqual({
      name: "prod",
      ageRecipients: [identity.recipient],
      kmsRecipients: [],
      paths: [],
      namespaces: [],
      defaultScope: "strict",
      scopes: ["strict"],
      strictRecipients: false,
      acceptedUnbound: [],
    });
  });

  it.each<[string, object, string]>([
    ["an empty selector", { namespaces: { selector: {} } }, "spec.namespaces.selector is empty"],
    [
      "a selector of empty parts",
      { namespaces: { selector: { matchLabels: {}, matchExpressions: [] } } },
      "spec.namespaces.selector is empty",
    ],
    [
      "an empty selector beside names",
      { namespaces: { names: ["a"], selector: {} } },
      "spec.namespaces.selector is empty",
    ],
    ["neither names nor selector", { namespaces: {} }, "spec.namespaces gives neither names nor a selector"],
    ["empty names", { namespaces: { names: [] } }, "spec.namespaces gives neither names nor a selector"],
    ["a name that is none", { namespaces: { names: ["*"] } }, "spec.namespaces.names[0] is not valid"],
    [
      "an unknown operator",
      { namespaces: { selector: { matchExpressions: [{ key: "a", operator: "Near" }] } } },
      "spec.namespaces.selector.matchExpressions[0].operator is not one of",
    ],
    [
      "In without values",
      { namespaces: { selector: { matchExpressions: [{ key: "a", operator: "In" }] } } },
      "matchExpressions[0].values is empty",
    ],
    ["no identities", { identities: [] }, "spec.identities names no identity"],
    ["an identity without Secret", { identities: [{ age: {} }] }, "spec.identities[0].age.secretRef is missing"],
    ["no recipients", { recipients: { age: [] } }, "spec.recipients names no recipient"],
    ["age and kms in one identity", { identities: [{ age: {}, kms: {} }] }, "spec.identities[0] has both age and kms"],
    ["kms twice", { identities: [{ kms: {} }, { kms: {} }] }, "spec.identities[1] is a second identity kms"],
    ["kms without a key", { identities: [{ kms: {} }] }, "spec.recipients.kms names no key for the identity kms"],
    [
      "a role that is none",
      { identities: [{ kms: { assumeRole: "arn:aws:iam::1:user/x" } }], recipients: { kms: [key] } },
      "spec.identities[0].kms.assumeRole is not the ARN of a role",
    ],
    [
      "a key that is none",
      { recipients: { kms: ["alias/prod"] } },
      "spec.recipients.kms[0] is not the ARN of a KMS key",
    ],
    [
      "a recipient with a wrong checksum",
      { recipients: { age: [identity.recipient.replace(/.$/, (last) => (last === "q" ? "p" : "q"))] } },
      "spec.recipients.age[0] is not an age recipient",
    ],
    [
      "a secret key in place of a recipient",
      { recipients: { age: [secretKey] } },
      "spec.recipients.age[0] is not an age recipient",
    ],
    ["an unknown scope", { scopes: ["cluster"] }, "spec.scopes[0] is not one of strict, namespace, environment"],
    ["no scope", { scopes: [] }, "spec.scopes allows no scope"],
    ["a digest that is none", { unbound: ["sha256:12"] }, "spec.unbound[0] is not valid"],
    ["strictRecipients in words", { strictRecipients: "yes" }, "spec.strictRecipients is not true or false"],
  ])("refuses %s and names the field", (_, change, problem) => {
    const parsed = environment({ ...valid, ...change });
    const { code, message } = codeOf(() => policyOf(parsed));
    expect(code).toBe("environment-invalid");
    expect(message).toContain(problem);
    expect(message).not.toContain(secretKey);
  });

  it("reports every problem at once, also for a spec that is missing", () => {
    expect(environment(undefined).problems.length).toBeGreaterThan(3);
  });

  it.each<[string, object, Record<string, string>, boolean]>([
    ["a label that agrees", { matchLabels: { env: "prod" } }, { env: "prod" }, true],
    ["a label that differs", { matchLabels: { env: "prod" } }, { env: "dev" }, false],
    ["one of two labels", { matchLabels: { env: "prod", team: "a" } }, { env: "prod" }, false],
    ["In", { matchExpressions: [{ key: "env", operator: "In", values: ["prod", "live"] }] }, { env: "live" }, true],
    ["In without the label", { matchExpressions: [{ key: "env", operator: "In", values: ["prod"] }] }, {}, false],
    ["NotIn", { matchExpressions: [{ key: "env", operator: "NotIn", values: ["prod"] }] }, { env: "prod" }, false],
    ["NotIn without the label", { matchExpressions: [{ key: "env", operator: "NotIn", values: ["prod"] }] }, {}, true],
    ["Exists", { matchExpressions: [{ key: "env", operator: "Exists" }] }, { env: "" }, true],
    ["DoesNotExist", { matchExpressions: [{ key: "env", operator: "DoesNotExist" }] }, { env: "" }, false],
    [
      "labels and expressions together",
      { matchLabels: { a: "1" }, matchExpressions: [{ key: "b", operator: "Exists" }] },
      { a: "1" },
      false,
    ],
    ["a key that every object inherits", { matchExpressions: [{ key: "constructor", operator: "Exists" }] }, {}, false],
    [
      "a broken expression, which matches nothing",
      { matchLabels: { env: "prod" }, matchExpressions: [{ operator: "Exists" }] },
      { env: "prod" },
      false,
    ],
  ])("matches labels as Kubernetes does: %s", (_, selector, labels, expected) => {
    expect(selecting(selector).governs({ name: "shop", labels })).toBe(expected ? "selector" : null);
  });
});

describe("govern()", () => {
  const own = "sealward-system";
  const payments = { name: "payments", labels: { env: "prod" } };
  const prod = environment(valid);
  const wide = { ...valid, scopes: ["namespace", "environment"] };

  it("finds the one Environment that governs a namespace", () => {
    expect(
      govern(payments, [prod, environment({ ...valid, namespaces: { names: ["shop"] } }, "staging")], own),
    ).toMatchObject({
      by: "name",
      policy: { name: "prod" },
    });
  });

  it.each<[string, { name: string; labels: Record<string, string> }, EnvironmentResource[], ErrorCode, string]>([
    ["none", { name: "shop", labels: {} }, [prod], "namespace-ungoverned", '"shop"'],
    [
      "two, and names both",
      payments,
      [prod, selecting({ matchLabels: { env: "prod" } }, "staging")],
      "namespace-contested",
      '"prod" and "staging"',
    ],
    [
      "a valid and an invalid one",
      payments,
      [prod, environment({ ...valid, scopes: [] }, "broken")],
      "namespace-contested",
      '"broken" and "prod"',
    ],
    ["an invalid one", payments, [environment({ ...valid, scopes: [] })], "environment-invalid", "spec.scopes"],
    [
      "one, but it is the controller's own",
      { name: own, labels: {} },
      [environment({ ...valid, namespaces: { names: [own] } })],
      "namespace-protected",
      own,
    ],
  ])("refuses a namespace governed by %s", (_, namespace, environments, code, text) => {
    const refusal = codeOf(() => govern(namespace, environments, own));
    expect(refusal.code).toBe(code);
    expect(refusal.message).toContain(text);
  });

  it("allows environment scope in namespaces listed by name only", () => {
    expect(govern(payments, [environment(wide)], own).policy.scopes).toEqual(["namespace", "environment"]);
    const bySelector = environment({ ...wide, namespaces: { selector: { matchLabels: { env: "prod" } } } });
    expect(govern(payments, [bySelector], own).policy.scopes).toEqual(["namespace"]);
  });
});
