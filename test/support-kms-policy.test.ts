// The policies of the KMS test server, held against tables of requests: what AWS documents of each operator, variable and
// principal. Needs no server; test/support-kms.test.ts has the requests that go over HTTP.
import { describe, expect, it } from "vitest";
import { type AccessRequest, decide, isAllowed, type Policies } from "./support/kms/policy.ts";
import { readPolicy } from "./support/kms/policy-documents.ts";

const account = "111122223333";
const key = `arn:aws:kms:eu-central-1:${account}:key/0f1e2d3c-0000-4000-8000-000000000000`;
const user = `arn:aws:iam::${account}:user/jane`;
const role = `arn:aws:iam::${account}:role/deploy`;
const session = `arn:aws:sts::${account}:assumed-role/deploy/ci-17`;
const root = `arn:aws:iam::${account}:root`;
const foreign = "arn:aws:iam::999988887777:user/other";

type Statement = Readonly<Record<string, unknown>>;
const document = (...statements: readonly Statement[]) => ({ Version: "2012-10-17", Statement: statements });
const statement = (overrides: Statement = {}): Statement => ({
  Effect: "Allow",
  Principal: { AWS: user },
  Action: "kms:Decrypt",
  Resource: "*",
  ...overrides,
});
const iam = (overrides: Statement = {}): Statement => ({
  Effect: "Allow",
  Action: "kms:Decrypt",
  Resource: "*",
  ...overrides,
});
const request = (overrides: Partial<AccessRequest> = {}): AccessRequest => ({
  principal: { arn: user },
  action: "kms:Decrypt",
  resource: key,
  ...overrides,
});
const conditional = (condition: object, version = "2012-10-17"): Policies => ({
  keyPolicy: { ...document(statement({ Condition: condition })), Version: version },
});

/** A condition on one key, and whether a request with this context meets it. */
type Row = readonly [
  operator: string,
  key: string,
  values: unknown,
  context: Record<string, string>,
  expected: boolean,
];

const env = "kms:EncryptionContext:seal:env";
const keys = "kms:EncryptionContextKeys";

/** A policy variable, which AWS fills in. */
const variableOf = (name: string): string => `$${"{"}${name}}`;

describe("condition operators", () => {
  it.each<Row>([
    ["StringEquals", env, "prod", { "seal:env": "prod" }, true],
    ["StringEquals", env, ["dev", "prod"], { "seal:env": "prod" }, true],
    ["StringEquals", env, "prod", { "seal:env": "Prod" }, false],
    ["StringEquals", env, "pr*", { "seal:env": "prod" }, false],
    ["StringEquals", env, "prod", {}, false],
    ["StringEquals", "kms:EncryptionContext:SEAL:Env", "prod", { "seal:env": "prod" }, true],
    ["StringNotEquals", env, "prod", { "seal:env": "dev" }, true],
    ["StringNotEquals", env, ["dev", "prod"], { "seal:env": "prod" }, false],
    ["StringNotEquals", env, "prod", {}, true],
    ["StringLike", env, "prod-*", { "seal:env": "prod-eu" }, true],
    ["StringLike", env, "prod-??", { "seal:env": "prod-eu" }, true],
    ["StringLike", env, "prod-?", { "seal:env": "prod-eu" }, false],
    ["StringLike", env, "prod.", { "seal:env": "prods" }, false],
    ["StringLike", env, "*", {}, false],
    ["StringEqualsIfExists", env, "prod", { "seal:env": "prod" }, true],
    ["StringEqualsIfExists", env, "prod", { "seal:env": "dev" }, false],
    ["StringEqualsIfExists", env, "prod", {}, true],
    ["Null", env, "false", { "seal:env": "" }, true],
    ["Null", env, "false", {}, false],
    ["Null", env, true, {}, true],
    ["Null", keys, "true", { "seal:env": "prod" }, false],
    ["ForAllValues:StringEquals", keys, ["seal:env", "seal:v"], { "seal:env": "prod" }, true],
    ["ForAllValues:StringEquals", keys, ["seal:env"], { "seal:env": "prod", other: "x" }, false],
    ["ForAllValues:StringEquals", keys, ["seal:env"], { "Seal:env": "prod" }, false],
    ["ForAllValues:StringEquals", keys, ["seal:env"], {}, true],
    ["ForAnyValue:StringEquals", keys, ["seal:env", "seal:v"], { "seal:env": "prod", other: "x" }, true],
    ["ForAnyValue:StringEquals", keys, ["seal:env"], { other: "x" }, false],
    ["ForAnyValue:StringEquals", keys, ["seal:env"], {}, false],
  ])("%s %s %j of the context %j: %s", (operator, name, values, encryptionContext, expected) => {
    const policies = conditional({ [operator]: { [name]: values } });
    expect(isAllowed(request({ encryptionContext }), policies)).toBe(expected);
  });

  it("must all hold, in one operator and in several", () => {
    const condition = {
      StringEquals: { [env]: "prod", "kms:EncryptionContext:seal:v": "1" },
      "ForAllValues:StringEquals": { [keys]: ["seal:env", "seal:v"] },
    };
    const allowed = (encryptionContext: Record<string, string>): boolean =>
      isAllowed(request({ encryptionContext }), conditional(condition));
    expect(allowed({ "seal:env": "prod", "seal:v": "1" })).toBe(true);
    expect(allowed({ "seal:env": "prod" })).toBe(false);
    expect(allowed({ "seal:env": "prod", "seal:v": "1", more: "x" })).toBe(false);
  });

  it.each([
    ["kms:ReEncryptOnSameKey", "true", { reEncryptOnSameKey: true }, true],
    ["kms:ReEncryptOnSameKey", "true", { reEncryptOnSameKey: false }, false],
    ["kms:ReEncryptOnSameKey", "false", {}, false],
  ])("Bool %s %s of %j: %s", (name, value, overrides, expected) => {
    expect(isAllowed(request(overrides), conditional({ Bool: { [name]: value } }))).toBe(expected);
  });

  it("look at the service in between and at the principal's ARN", () => {
    const via = conditional({ StringEquals: { "kms:ViaService": "s3.eu-central-1.amazonaws.com" } });
    expect(isAllowed(request({ viaService: "s3.eu-central-1.amazonaws.com" }), via)).toBe(true);
    expect(isAllowed(request(), via)).toBe(false);
    const arn = {
      keyPolicy: document(
        statement({ Principal: "*", Condition: { StringLike: { "aws:PrincipalArn": `*:role/de*` } } }),
      ),
    };
    expect(isAllowed(request({ principal: { arn: role, sessionArn: session } }), arn)).toBe(true);
    expect(isAllowed(request(), arn)).toBe(false);
  });
});

describe("policy variables", () => {
  const variable = variableOf("aws:PrincipalTag/cluster");
  const tagged = (tags: Record<string, string>, value: string): AccessRequest =>
    request({ principal: { arn: user, tags }, encryptionContext: { "seal:env": value } });

  it("are filled in from the principal's tags, whose values are no patterns", () => {
    const equal = conditional({ StringEquals: { [env]: variable } });
    expect(isAllowed(tagged({ cluster: "a" }, "a"), equal)).toBe(true);
    expect(isAllowed(tagged({ Cluster: "a" }, "a"), equal)).toBe(true);
    expect(isAllowed(tagged({ cluster: "b" }, "a"), equal)).toBe(false);
    const alike = conditional({ StringLike: { [env]: `${variable}-*` } });
    expect(isAllowed(tagged({ cluster: "a" }, "a-1"), alike)).toBe(true);
    expect(isAllowed(tagged({ cluster: "*" }, "a-1"), alike)).toBe(false);
  });

  it("match nothing where the principal has no such tag, not even the variable's own text", () => {
    const equal = conditional({ StringEquals: { [env]: variable } });
    expect(isAllowed(tagged({}, ""), equal)).toBe(false);
    expect(isAllowed(tagged({}, variable), equal)).toBe(false);
  });

  it("are plain text in a policy of the older version", () => {
    const old = conditional({ StringEquals: { [env]: variable } }, "2008-10-17");
    expect(isAllowed(tagged({ cluster: "a" }, "a"), old)).toBe(false);
    expect(isAllowed(tagged({}, variable), old)).toBe(true);
  });
});

describe("actions and resources", () => {
  it.each([
    ["kms:Decrypt", "kms:Decrypt", true],
    ["kms:decrypt", "kms:Decrypt", true],
    ["kms:*", "kms:PutKeyPolicy", true],
    ["*", "kms:Decrypt", true],
    ["kms:GenerateDataKey*", "kms:GenerateDataKeyWithoutPlaintext", true],
    ["kms:ReEncrypt*", "kms:ReEncryptFrom", true],
    ["kms:ReEncryptFrom", "kms:ReEncryptTo", false],
    ["kms:Encrypt", "kms:ReEncryptTo", false],
  ])("%s and %s: %s", (pattern, action, expected) => {
    expect(isAllowed(request({ action }), { keyPolicy: document(statement({ Action: ["kms:None", pattern] })) })).toBe(
      expected,
    );
  });

  it("name the key, with wildcards", () => {
    const allowed = (Resource: string): boolean =>
      isAllowed(request(), { keyPolicy: document(statement({ Resource })) });
    expect(allowed(key)).toBe(true);
    expect(allowed(`arn:aws:kms:*:${account}:key/*`)).toBe(true);
    expect(allowed(`arn:aws:kms:us-east-1:${account}:key/*`)).toBe(false);
  });
});

describe("principals", () => {
  const assumed = { arn: role, sessionArn: session };

  it.each([
    ["a user", user, { arn: user }, true],
    ["a role, for its sessions", role, assumed, true],
    ["one session", session, assumed, true],
    ["another session", `${session}-b`, assumed, false],
    ["everybody", "*", { arn: user }, true],
    ["everybody, but another account has to agree", "*", { arn: foreign }, false],
    ["the account, which leaves it to IAM", root, { arn: user }, false],
    ["the account by its number", account, { arn: user }, false],
    ["the account, for its root", root, { arn: root }, true],
  ])("%s", (_, named, principal, expected) => {
    const policies = { keyPolicy: document(statement({ Principal: { AWS: [named] } })) };
    expect(isAllowed(request({ principal }), policies)).toBe(expected);
  });

  const leftToIam = document(statement({ Principal: { AWS: root }, Action: "kms:*" }));
  const names = document(statement());

  it.each<[string, Policies, AccessRequest["principal"], string]>([
    ["no policies at all, own account", {}, { arn: user }, "allowed"],
    ["no policies at all, another account", {}, { arn: foreign }, "not allowed by any policy"],
    [
      "the default key policy and an IAM policy without it",
      { iamPolicies: [document(iam({ Action: "kms:Encrypt" }))] },
      { arn: user },
      "not allowed by any policy",
    ],
    ["left to IAM, which allows", { keyPolicy: leftToIam, iamPolicies: [document(iam())] }, { arn: user }, "allowed"],
    ["left to IAM, which has none", { keyPolicy: leftToIam }, { arn: user }, "not allowed by any policy"],
    [
      "not left to IAM, which allows",
      { keyPolicy: document(statement({ Principal: { AWS: role } })), iamPolicies: [document(iam())] },
      { arn: user },
      "not allowed by any policy",
    ],
    [
      "allowed by both, denied by IAM",
      { keyPolicy: names, iamPolicies: [document(iam(), iam({ Effect: "Deny" }))] },
      { arn: user },
      "denied by an IAM policy",
    ],
    [
      "allowed and denied by the key policy",
      { keyPolicy: document(statement(), statement({ Effect: "Deny", Principal: "*" })) },
      { arn: user },
      "denied by a key policy",
    ],
    [
      "denied as a member of the account",
      { keyPolicy: document(statement(), statement({ Effect: "Deny", Principal: { AWS: root } })) },
      { arn: user },
      "denied by a key policy",
    ],
    [
      "another account, named, which agrees",
      { keyPolicy: document(statement({ Principal: { AWS: foreign } })), iamPolicies: [document(iam())] },
      { arn: foreign },
      "allowed",
    ],
    [
      "another account, named, which does not",
      { keyPolicy: document(statement({ Principal: { AWS: foreign } })) },
      { arn: foreign },
      "not allowed by any policy",
    ],
  ])("%s", (_, policies, principal, expected) => {
    expect(decide(request({ principal }), policies)).toBe(expected);
  });
});

describe("what a policy may not say", () => {
  const read = (overrides: Statement) => () => readPolicy(document(statement(overrides)), "key policy");

  it.each<[string, Statement]>([
    ["ForAllValues on one context key", { Condition: { "ForAllValues:StringEquals": { [env]: "prod" } } }],
    ["a principal with a wildcard", { Principal: { AWS: `arn:aws:iam::${account}:role/*` } }],
    ["no principal", { Principal: undefined }],
    ["another effect", { Effect: "Maybe" }],
    ["no action", { Action: [] }],
    ["an element that there is none of", { Efect: "Allow" }],
  ])("AWS refuses %s", (_, overrides) => {
    expect(read(overrides)).toThrow(expect.objectContaining({ code: "MalformedPolicyDocumentException" }));
  });

  it.each<[string, Statement]>([
    ["the condition operator ArnLike", { Condition: { ArnLike: { "aws:PrincipalArn": "*" } } }],
    ["the condition operator constructor", { Condition: { constructor: { "aws:PrincipalArn": "*" } } }],
    ["the condition key aws:SourceIp", { Condition: { StringEquals: { "aws:SourceIp": "10.0.0.1" } } }],
    [
      `the policy variable ${variableOf("aws:username")}`,
      { Condition: { StringEquals: { [env]: variableOf("aws:username") } } },
    ],
    ["StringEquals on the multi-valued kms:EncryptionContextKeys", { Condition: { StringEquals: { [keys]: "a" } } }],
    ["principals of the kind Service", { Principal: { Service: "s3.amazonaws.com" } }],
    ["the policy element NotAction", { NotAction: "kms:Decrypt" }],
  ])("we refuse to guess about %s", (what, overrides) => {
    expect(read(overrides)).toThrow(`the KMS test server does not model ${what}`);
  });
});
