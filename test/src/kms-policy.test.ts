// The printed policies, asked what they allow: by the evaluator for tables of requests, and over HTTP by the real SDK.
import { DecryptCommand, EncryptCommand, PutKeyPolicyCommand, ReEncryptCommand } from "@aws-sdk/client-kms";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type AccessPolicy,
  type EncryptionContext,
  type EnvironmentPolicy,
  type KmsPolicyOptions,
  kmsPolicies,
  openSealed,
  type Scope,
  sealManifest,
  sealPlain,
} from "../../src/index.ts";
import { contextOf } from "../../src/kms.ts";
import { kmsClient } from "../support/kms/clients.ts";
import { type KmsServer, startKmsServer } from "../support/kms/kms-server.ts";
import { type AccessRequest, isAllowed, type Policies } from "../support/kms/policy.ts";
import { administratorPolicy, type PolicyDocument, readPolicy } from "../support/kms/policy-documents.ts";
import { awsAt, type KmsEnvironment, kmsEnvironment } from "../support/kms-environments.ts";
import { databaseSecret, environment, expectRefusal, now } from "../support/sealing.ts";

const account = "111122223333";
const region = "eu-central-1";
const key = `arn:aws:kms:${region}:${account}:key/0f1e2d3c-0000-4000-8000-000000000000`;
const sealer = `arn:aws:iam::${account}:user/sealer`;
const opener = `arn:aws:iam::${account}:user/opener`;
const stranger = `arn:aws:iam::${account}:user/stranger`;
const admin = `arn:aws:iam::${account}:user/admin`;
const foreign = "arn:aws:iam::999988887777:role/sealer";

const policyOf = (scopes: readonly Scope[], name = "prod"): EnvironmentPolicy =>
  environment(name, { scopes, kmsRecipients: [key] }).policy;
const prod = policyOf(["strict"]);
const principals: KmsPolicyOptions = { sealers: [sealer], openers: [opener] };

/** As a test reads any policy. */
const asDocument = (policy: AccessPolicy): PolicyDocument => ({ ...policy });

/** What the first key's policy says, to someone with these IAM policies. */
function keyPolicyOf(
  environmentPolicy: EnvironmentPolicy,
  options: KmsPolicyOptions = principals,
  iamPolicies: readonly PolicyDocument[] = [],
): Policies {
  const [first] = kmsPolicies(environmentPolicy, [key], options).keys;
  if (first === undefined) throw new Error("no policy");
  return { keyPolicy: asDocument(first.policy), iamPolicies };
}

const may = (
  policies: Policies,
  arn: string,
  action: string,
  encryptionContext: EncryptionContext = {},
  more: Partial<AccessRequest> & { readonly tags?: Readonly<Record<string, string>> } = {},
): boolean => {
  const { tags = {}, ...request } = more;
  return isAllowed(
    { principal: { arn, tags }, action: `kms:${action}`, resource: key, encryptionContext, ...request },
    policies,
  );
};

const place = (scope: Scope, name = "prod") =>
  contextOf({ environment: name, scope, namespace: "payments", name: "db" });
const strict = place("strict");
const everyUse = ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "CreateGrant"];

describe("a sealer", () => {
  const scopes: readonly Scope[] = ["strict", "namespace", "environment"];
  test.each(scopes)("may encrypt with prod's context of scope %s where prod allows it", (scope) => {
    expect(may(keyPolicyOf(policyOf([scope])), sealer, "Encrypt", place(scope))).toBe(true);
    expect(may(keyPolicyOf(policyOf(scopes)), sealer, "Encrypt", place(scope))).toBe(true);
  });

  const refused: readonly [title: string, context: EncryptionContext][] = [
    ["staging's", place("strict", "staging")],
    ["none", {}],
    ["one of somebody else's", { app: "billing" }],
    ["an extra key", { ...strict, extra: "1" }],
    ["an extra key of ours", { ...strict, "sealward-cluster": "1" }],
    ["another case of the value", { ...strict, "sealward-environment": "Prod" }],
    [
      "another case of the key",
      { "Sealward-Environment": "prod", "sealward-namespace": "payments", "sealward-name": "db" },
    ],
    ["a name that only begins so", { ...strict, "sealward-environment": "prod-2" }],
    ["a place without an environment", { "sealward-namespace": "payments", "sealward-name": "db" }],
  ];
  test.each(refused)("may not encrypt with %s", (_, context) => {
    for (const policy of [prod, policyOf(scopes)])
      expect(may(keyPolicyOf(policy), sealer, "Encrypt", context)).toBe(false);
  });

  test("is held to the narrowest scope that prod allows", () => {
    const narrow = keyPolicyOf(policyOf(["namespace", "strict"]));
    expect(may(narrow, sealer, "Encrypt", place("namespace"))).toBe(true);
    expect(may(narrow, sealer, "Encrypt", place("environment"))).toBe(false);
    expect(may(keyPolicyOf(prod), sealer, "Encrypt", place("namespace"))).toBe(false);
    expect(may(keyPolicyOf(policyOf(["namespace"])), sealer, "Encrypt", strict)).toBe(false);
    expect(may(keyPolicyOf(policyOf(["environment"])), sealer, "Encrypt", place("namespace"))).toBe(false);
  });

  test("may seal a file that is no Secret where that is asked for, and still nothing of staging's", () => {
    const policies = keyPolicyOf(prod, { ...principals, plainFiles: true });
    expect(may(keyPolicyOf(prod), sealer, "Encrypt", place("environment"))).toBe(false);
    for (const scope of ["environment", "strict"] as const) {
      expect(may(policies, sealer, "Encrypt", place(scope))).toBe(true);
      expect(may(policies, sealer, "Encrypt", place(scope, "staging"))).toBe(false);
    }
  });

  test.each(everyUse.slice(1))("may not %s", (action) => {
    for (const reEncryptOnSameKey of [true, false])
      expect(may(keyPolicyOf(prod), sealer, action, strict, { reEncryptOnSameKey })).toBe(false);
  });
});

describe("an opener", () => {
  test("may decrypt with prod's context and no other", () => {
    const policies = keyPolicyOf(prod);
    expect(may(policies, opener, "Decrypt", strict)).toBe(true);
    for (const context of [{}, place("strict", "staging"), place("environment"), { ...strict, extra: "1" }])
      expect(may(policies, opener, "Decrypt", context)).toBe(false);
  });

  test.each(everyUse.filter((action) => action !== "Decrypt"))("may not %s", (action) => {
    expect(may(keyPolicyOf(prod), opener, action, strict, { reEncryptOnSameKey: false })).toBe(false);
  });

  const pod = { cluster: "prod-1", namespace: "sealward-system", serviceAccount: "sealward-controller" };
  const tags = {
    "eks-cluster-name": "prod-1",
    "kubernetes-namespace": "sealward-system",
    "kubernetes-service-account": "sealward-controller",
  };
  test("is only the named service account of the named cluster, where pods are named", () => {
    const policies = keyPolicyOf(prod, { ...principals, podIdentities: [pod, { ...pod, cluster: "prod-2" }] });
    expect(may(policies, opener, "Decrypt", strict, { tags })).toBe(true);
    expect(may(policies, opener, "Decrypt", strict, { tags: { ...tags, "eks-cluster-name": "prod-2" } })).toBe(true);
    for (const tag of Object.keys(tags))
      expect(may(policies, opener, "Decrypt", strict, { tags: { ...tags, [tag]: "other" } }), tag).toBe(false);
    expect(may(policies, opener, "Decrypt", strict)).toBe(false);
    expect(may(policies, opener, "Decrypt", place("strict", "staging"), { tags })).toBe(false);
  });

  test("two pods are two statements, so that the one's cluster does not go with the other's namespace", () => {
    const podIdentities = [pod, { cluster: "prod-2", namespace: "other", serviceAccount: "sealward-controller" }];
    const policies = keyPolicyOf(prod, { ...principals, podIdentities });
    const mixed = { ...tags, "eks-cluster-name": "prod-2" };
    expect(may(policies, opener, "Decrypt", strict, { tags: mixed })).toBe(false);
    const second = { ...mixed, "kubernetes-namespace": "other" };
    expect(may(policies, opener, "Decrypt", strict, { tags: second })).toBe(true);
  });
});

describe("anybody else", () => {
  test.each(everyUse)("may not %s, not even with every right that IAM can give", (action) => {
    const policies = keyPolicyOf(prod, principals, [administratorPolicy]);
    expect(may(policies, stranger, action, strict)).toBe(false);
    expect(may(keyPolicyOf(prod), stranger, action, strict)).toBe(false);
  });

  test("who administers the key may look after it and give rights away in public, and not use it", () => {
    const byIam = keyPolicyOf(prod, principals, [administratorPolicy]);
    const byName = keyPolicyOf(prod, { ...principals, administrators: [admin] });
    for (const action of ["PutKeyPolicy", "ScheduleKeyDeletion", "EnableKeyRotation", "DescribeKey"]) {
      expect([may(byIam, stranger, action), may(byName, admin, action), may(byName, stranger, action)]).toEqual([
        true,
        true,
        false,
      ]);
    }
    for (const action of everyUse) expect(may(byName, admin, action, strict), action).toBe(false);
  });

  test("a statement added later does not lend the key to another environment, or to no context", () => {
    const [first] = kmsPolicies(prod, [key], principals).keys;
    const added = { Sid: "Added", Effect: "Allow", Principal: { AWS: stranger }, Action: "kms:*", Resource: "*" };
    const policies = {
      keyPolicy: { Version: "2012-10-17", Statement: [...(first?.policy.Statement ?? []), added] },
      iamPolicies: [],
    };
    expect(may(policies, stranger, "Decrypt", strict)).toBe(true);
    for (const context of [{}, place("strict", "staging")])
      for (const action of ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKeyWithoutPlaintext"])
        expect(may(policies, stranger, action, context), action).toBe(false);
  });

  test("sealers and openers may look at the key, and others not", () => {
    const policies = keyPolicyOf(prod);
    expect([sealer, opener, stranger].map((arn) => may(policies, arn, "DescribeKey"))).toEqual([true, true, false]);
  });
});

describe("the IAM policies", () => {
  const { iam } = kmsPolicies(prod, [key], { sealers: [foreign], openers: [foreign] });
  const inOtherAccount = (policy: AccessPolicy): Policies =>
    keyPolicyOf(prod, { sealers: [foreign], openers: [foreign] }, [asDocument(policy)]);

  test("are what a role of another account needs besides the key policy, each for its own use", () => {
    expect(may(keyPolicyOf(prod, { sealers: [foreign] }), foreign, "Encrypt", strict)).toBe(false);
    expect(may(inOtherAccount(iam.sealer), foreign, "Encrypt", strict)).toBe(true);
    expect(may(inOtherAccount(iam.sealer), foreign, "Decrypt", strict)).toBe(false);
    expect(may(inOtherAccount(iam.opener), foreign, "Decrypt", strict)).toBe(true);
    expect(may(inOtherAccount(iam.opener), foreign, "Encrypt", strict)).toBe(false);
    expect(may(inOtherAccount(iam.opener), foreign, "DescribeKey")).toBe(true);
  });

  test("hold to prod by themselves, under a key policy that leaves everything to IAM", () => {
    const policies: Policies = { iamPolicies: [asDocument(iam.opener)] };
    expect(may(policies, opener, "Decrypt", strict)).toBe(true);
    for (const context of [{}, place("strict", "staging"), { ...strict, extra: "1" }])
      expect(may(policies, opener, "Decrypt", context)).toBe(false);
    const other = key.replace("0f1e2d3c", "99999999");
    expect(may(policies, opener, "Decrypt", strict, { resource: other })).toBe(false);
  });

  test("name the keys, and for an alias a placeholder that is no key's", () => {
    const alias = `arn:aws:kms:${region}:${account}:alias/team/prod`;
    const { sealer: policy } = kmsPolicies(prod, [key, alias]).iam;
    const resources = [key, `arn:aws:kms:${region}:${account}:key/REPLACE-team-prod`];
    expect(policy.Statement.map(({ Resource }) => Resource)).toEqual([resources, resources]);
    expect(may({ iamPolicies: [asDocument(policy)] }, sealer, "Encrypt", strict, { resource: alias })).toBe(false);
  });
});

describe("the documents", () => {
  test("are read as AWS reads them", () => {
    const { keys, iam } = kmsPolicies(prod, [key]);
    for (const { policy } of keys) expect(readPolicy(asDocument(policy), "key policy")).toHaveLength(5);
    for (const policy of Object.values(iam)) expect(readPolicy(asDocument(policy), "IAM policy")).toHaveLength(2);
  });

  test("never ask with ForAllValues for what has one value, which holds where there is nothing", () => {
    expect(JSON.stringify(kmsPolicies(prod, [key]))).not.toMatch(/"ForAllValues:[^{]*\{"kms:EncryptionContext:/);
  });

  test("have placeholders in the key's account where nobody is named", () => {
    const [first] = kmsPolicies(prod, [key]).keys;
    const named = first?.policy.Statement.flatMap(({ Principal }) => Principal?.AWS ?? []);
    expect([...new Set(named)]).toEqual([
      `arn:aws:iam::${account}:root`,
      `arn:aws:iam::${account}:role/REPLACE-sealers`,
      `arn:aws:iam::${account}:role/REPLACE-openers`,
      "*",
    ]);
  });

  test.each([
    ["aws-cn", "cn-north-1"],
    ["aws-us-gov", "us-gov-west-1"],
  ])("of %s differ in the partition alone, and the Region", (partition, region) => {
    const there = (text: string): string =>
      text.replaceAll("arn:aws:", `arn:${partition}:`).replaceAll(/(?<=:kms:)[\w-]+(?=:)/g, region);
    const written = JSON.stringify(kmsPolicies(prod, [there(key)]));
    expect(written).toBe(there(JSON.stringify(kmsPolicies(prod, [key]))));
  });

  test("are one for each replica of a multi-Region key, alike", () => {
    const replica = (where: string): string => `arn:aws:kms:${where}:${account}:key/mrk-1`;
    const { keys } = kmsPolicies(prod, [replica("eu-central-1"), replica("us-east-1")], principals);
    expect(keys.map(({ arn }) => arn)).toEqual([replica("eu-central-1"), replica("us-east-1")]);
    expect(keys[0]?.policy).toEqual(keys[1]?.policy);
  });

  test("leave room for every environment that lists the key, and give its sealers prod's context only", () => {
    const environments = [policyOf(["strict"], "staging"), prod, environment("dev", { kmsRecipients: [] }).policy];
    const [first] = kmsPolicies(prod, [key], { ...principals, environments }).keys;
    expect(first?.sharedWith).toEqual(["staging"]);
    expect(first?.policy.Statement.at(-1)?.Condition).toEqual({
      StringNotEquals: { "kms:EncryptionContext:sealward-environment": ["prod", "staging"] },
    });
    const policies = keyPolicyOf(prod, { ...principals, environments });
    expect(may(policies, sealer, "Encrypt", strict)).toBe(true);
    expect(may(policies, sealer, "Encrypt", place("strict", "staging"))).toBe(false);
  });

  test("are refused for what is no key", async () => {
    await expectRefusal(() => kmsPolicies(prod, ["arn:aws:s3:::bucket"]), "recipient-invalid");
  });
});

describe("over HTTP", () => {
  interface World {
    readonly server: KmsServer;
    readonly arn: string;
    readonly other: string;
    as(user: string): ReturnType<typeof kmsClient>;
  }

  async function start({
    scopes = ["strict"],
    plainFiles = false,
  }: {
    readonly scopes?: readonly Scope[];
    readonly plainFiles?: boolean;
  } = {}): Promise<World> {
    const users = [
      { arn: admin, iamPolicies: [administratorPolicy] },
      ...[sealer, opener].map((arn) => ({ arn, iamPolicies: [] })),
      { arn: stranger, iamPolicies: [administratorPolicy] },
    ];
    const server = await startKmsServer({ users });
    onTestFinished(() => server.close());
    const { arn } = server.createKey({ region });
    const other = server.createKey({ region }).arn;
    const as = (user: string) =>
      kmsClient({ endpoint: server.endpoint, region, credentials: server.credentials(user) });
    const [first] = kmsPolicies(policyOf(scopes), [arn], { ...principals, plainFiles }).keys;
    await as(admin).send(new PutKeyPolicyCommand({ KeyId: arn, Policy: JSON.stringify(first?.policy) }));
    return { server, arn, other, as };
  }

  const bytes = Buffer.from("a data key of thirty-two bytes..");
  const denied = { name: "AccessDeniedException" };

  test("a sealer wraps, an opener unwraps, and neither does the other's", async () => {
    const { arn, as } = await start();
    const encrypt = (user: string, EncryptionContext: Record<string, string>) =>
      as(user).send(new EncryptCommand({ KeyId: arn, Plaintext: bytes, EncryptionContext }));
    const { CiphertextBlob } = await encrypt(sealer, { ...strict });
    const decrypt = (user: string, EncryptionContext: Record<string, string>) =>
      as(user).send(new DecryptCommand({ KeyId: arn, CiphertextBlob, EncryptionContext }));
    expect(Buffer.from((await decrypt(opener, { ...strict })).Plaintext ?? [])).toEqual(bytes);

    for (const context of [{}, place("strict", "staging"), { ...strict, extra: "1" }, place("namespace")]) {
      await expect(encrypt(sealer, { ...context })).rejects.toMatchObject(denied);
      await expect(decrypt(opener, { ...context })).rejects.toMatchObject(denied);
    }
    await expect(encrypt(opener, { ...strict })).rejects.toMatchObject(denied);
    for (const user of [sealer, stranger, admin])
      await expect(decrypt(user, { ...strict })).rejects.toMatchObject(denied);
  });

  test("nobody takes a data key out by wrapping it anew with another key", async () => {
    const { arn, other, as } = await start();
    const { CiphertextBlob } = await as(sealer).send(
      new EncryptCommand({ KeyId: arn, Plaintext: bytes, EncryptionContext: { ...strict } }),
    );
    for (const user of [sealer, opener, stranger, admin]) {
      const command = new ReEncryptCommand({
        CiphertextBlob,
        SourceKeyId: arn,
        SourceEncryptionContext: { ...strict },
        DestinationKeyId: other,
      });
      await expect(as(user).send(command)).rejects.toMatchObject(denied);
    }
  });

  test.each<Scope>(["strict", "namespace", "environment"])(
    "what Sealward sends passes, and for another environment does not: scope %s",
    async (scope) => {
      const { server, arn } = await start({ scopes: [scope] });
      const of = (name: string, user: string) =>
        kmsEnvironment(name, {
          kms: awsAt({ endpoint: server.endpoint, credentials: server.credentials(user) }).as(),
          keys: [arn],
          scopes: [scope],
          defaultScope: scope,
        });
      const seal = ({ policy, kms }: KmsEnvironment) => sealManifest(databaseSecret, { environment: policy, kms, now });
      const { text } = await seal(of("prod", sealer));
      const open = ({ policy, identities }: KmsEnvironment) =>
        openSealed(text, { environment: policy, target: "own" }, identities);
      expect((await open(of("prod", opener))).info.environment).toBe("prod");
      await expectRefusal(() => open(of("prod", sealer)), "key-refused");
      await expectRefusal(() => seal(of("staging", sealer)), "key-refused");
      await expectRefusal(() => seal(of("prod", opener)), "key-refused");
    },
  );

  test("a file that is no Secret passes where the policy was printed for such files", async () => {
    const source = { bytes: Buffer.from("a: 1\n"), store: "yaml", file: "values.yaml" } as const;
    const seal = ({ server, arn }: World) => {
      const kms = awsAt({ endpoint: server.endpoint, credentials: server.credentials(sealer) }).as();
      return sealPlain(source, kmsEnvironment("prod", { kms, keys: [arn] }).policy, { kms, now, rule: null });
    };
    await seal(await start({ plainFiles: true }));
    await expectRefusal(async () => seal(await start()), "key-refused");
  });

  test("the key can still be managed", async () => {
    const { arn, as } = await start();
    const [anew] = kmsPolicies(prod, [arn], { sealers: [sealer], openers: [sealer] }).keys;
    const command = new PutKeyPolicyCommand({ KeyId: arn, Policy: JSON.stringify(anew?.policy) });
    await expect(as(opener).send(command)).rejects.toMatchObject(denied);
    await as(admin).send(command);
  });
});
