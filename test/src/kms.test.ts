import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assertKeyArn, environmentContext, isSameKey, KmsIdentity, parseKeyArn } from "../../src/index.ts";
import { contextOf, type EncryptionContext, isOurContext, isSameContext } from "../../src/kms.ts";
import { expectRefusal } from "../support/sealing.ts";

const id = "1234abcd-12ab-34cd-56ef-1234567890ab";
const account = "111122223333";
const arnOf = (region: string, key = `key/${id}`, partition = "aws") =>
  `arn:${partition}:kms:${region}:${account}:${key}`;

describe("parseKeyArn()", () => {
  it.each<[partition: string, region: string]>([
    ["aws", "eu-central-1"],
    ["aws", "us-east-1"],
    ["aws", "ap-southeast-15"],
    ["aws", "mx-central-1"],
    ["aws-cn", "cn-northwest-1"],
    ["aws-us-gov", "us-gov-west-1"],
    ["aws-iso", "us-iso-east-1"],
    ["aws-iso-b", "us-isob-east-1"],
    ["aws-iso-e", "eu-isoe-west-1"],
    ["aws-iso-f", "us-isof-south-1"],
    ["aws-eusc", "eusc-de-east-1"],
  ])("reads a key of the partition %s in %s", (partition, region) => {
    expect(parseKeyArn(arnOf(region, `key/${id}`, partition))).toEqual({ partition, region, account, key: id });
  });

  it.each([
    ["a multi-Region key", "key/mrk-1234abcd12ab34cd56ef1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"],
    ["an alias, which keeps its kind", "alias/prod", "alias/prod"],
    ["an alias with slashes", "alias/team_a/prod-1/", "alias/team_a/prod-1/"],
    ["an alias that is called like a multi-Region key", "alias/mrk-1", "alias/mrk-1"],
    ["a long alias", `alias/${"a".repeat(250)}`, `alias/${"a".repeat(250)}`],
  ])("reads %s", (_, resource, key) => {
    expect(parseKeyArn(arnOf("eu-west-1", resource))?.key).toBe(key);
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["a key id", id],
    ["a prefix", ` ${arnOf("eu-west-1")}`],
    ["a line break at the end", `${arnOf("eu-west-1")}\n`],
    ["a line break within", arnOf("eu-west-1\n")],
    ["a second line", `${arnOf("eu-west-1")}\n${arnOf("eu-west-1")}`],
    ["SOPS' form with a role", `${arnOf("eu-west-1")}+arn:aws:iam::${account}:role/x`],
    ["another service", arnOf("eu-west-1").replace(":kms:", ":iam:")],
    ["another service in capitals", arnOf("eu-west-1").replace(":kms:", ":KMS:")],
    ["capitals", arnOf("EU-WEST-1")],
    ["another beginning", arnOf("eu-west-1", `key/${id}`, "azure")],
    ["a partition that goes on", arnOf("eu-west-1", `key/${id}`, "aws-a-b-c-d")],
    ["an empty partition", arnOf("eu-west-1", `key/${id}`, "")],
    ["no region", arnOf("")],
    ["a host for a region", arnOf("evil.example.com")],
    ["a host with a region before it", arnOf("eu-west-1.evil.example.com")],
    ["a host with a region behind it", arnOf("evil.example.com/eu-west-1")],
    ["a user before a host", arnOf("eu-west-1@evil.example.com")],
    ["a user with a password", arnOf("user:secret@eu-west-1")],
    ["a fragment", arnOf("eu-west-1#")],
    ["a query", arnOf("eu-west-1?x=1")],
    ["an escape", arnOf("eu-west%2d1")],
    ["a region that stands for a FIPS endpoint", arnOf("fips-us-east-1")],
    ["a region that stands for a FIPS endpoint, behind", arnOf("us-east-1-fips")],
    ["a region that stands for all", arnOf("aws-global")],
    ["a region with two dashes", arnOf("eu--west-1")],
    ["a region that begins with a dash", arnOf("-eu-west-1")],
    ["a region without a number", arnOf("eu-west")],
    ["a region with a long number", arnOf("eu-west-123")],
    ["a long region", arnOf(`eu-${"a".repeat(60)}-1`)],
    ["letters of another alphabet", arnOf("еu-west-1")],
    ["digits of another alphabet", arnOf("eu-west-١")],
    ["an account of 11 digits", arnOf("eu-west-1").replace(account, account.slice(1))],
    ["an account of 13 digits", arnOf("eu-west-1").replace(account, `${account}1`)],
    ["an account of other digits", arnOf("eu-west-1").replace(account, "١١١١٢٢٢٢٣٣٣٣")],
    ["no account", arnOf("eu-west-1").replace(account, "")],
    ["neither key nor alias", arnOf("eu-west-1", id)],
    ["a grant", arnOf("eu-west-1", `grant/${id}`)],
    ["an empty key", arnOf("eu-west-1", "key/")],
    ["an empty alias", arnOf("eu-west-1", "alias/")],
    ["a key with a path", arnOf("eu-west-1", `key/${id}/more`)],
    ["a key with a colon", arnOf("eu-west-1", `key/${id}:more`)],
    ["a long key", arnOf("eu-west-1", `key/${"a".repeat(65)}`)],
    ["a long alias", arnOf("eu-west-1", `alias/${"a".repeat(251)}`)],
    ["an alias with a dot", arnOf("eu-west-1", "alias/a.b")],
    ["an alias with a blank", arnOf("eu-west-1", "alias/a b")],
    ["a zero byte", arnOf("eu-west-1", `key/${id}\0`)],
  ])("takes no text with %s", async (_, text) => {
    expect(parseKeyArn(text)).toBeNull();
    const { message } = await expectRefusal(() => assertKeyArn(text), "recipient-invalid");
    if (text !== "") expect(message).not.toContain(text);
  });

  it("takes a megabyte of anything for none, at once", () => {
    for (const part of ["-a", "a", "1", "/"]) {
      const long = part.repeat(1_000_000 / part.length);
      expect(parseKeyArn(arnOf(`eu${long}-1`))).toBeNull();
      expect(parseKeyArn(arnOf("eu-west-1", `alias/${long}`))).toBeNull();
      expect(parseKeyArn(arnOf("eu-west-1", `key/${id}`, `aws${long}`))).toBeNull();
    }
  });

  it("gives only regions that are one label of a host name", () => {
    const part = fc.constantFrom("eu", "us", "fips", "eusc", "-", ".", "@", "/", "west", "gov", "1", "12", "%", " ");
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const region = parseKeyArn(arnOf(parts.join("")))?.region;
        if (region === undefined) return;
        expect(region).toMatch(/^[a-z][a-z0-9-]{0,61}[a-z0-9]$/);
        expect(region).not.toMatch(/fips-|-fips$/);
      }),
    );
  });
});

describe("isSameKey()", () => {
  const replica = (region: string) => arnOf(region, "key/mrk-1234abcd12ab34cd56ef1234567890ab");
  it.each<[string, string, string, boolean]>([
    ["one key", arnOf("eu-west-1"), arnOf("eu-west-1"), true],
    ["two replicas", replica("eu-west-1"), replica("us-east-1"), true],
    ["one id in two Regions, of a key of one Region", arnOf("eu-west-1"), arnOf("us-east-1"), false],
    ["replicas of two accounts", replica("eu-west-1"), replica("us-east-1").replace(account, "999988887777"), false],
    [
      "replicas of two partitions",
      replica("eu-west-1"),
      replica("cn-north-1").replace("arn:aws:", "arn:aws-cn:"),
      false,
    ],
    ["two multi-Region keys", replica("eu-west-1"), replica("us-east-1").replace("mrk-1", "mrk-2"), false],
    ["one alias in two Regions", arnOf("eu-west-1", "alias/mrk-a"), arnOf("us-east-1", "alias/mrk-a"), false],
    ["a key and an alias of its id", replica("eu-west-1"), replica("us-east-1").replace("key/", "alias/"), false],
    ["a key and a text that only begins as it", replica("eu-west-1"), `${replica("us-east-1")} `, false],
    ["one text that is no ARN", "x", "x", true],
    ["two texts that are no ARNs", "x", "y", false],
  ])("%s", (_, a, b, expected) => {
    expect(isSameKey(a, b)).toBe(expected);
    expect(isSameKey(b, a)).toBe(expected);
  });
});

describe("contextOf() says as much of a place as its scope pins", () => {
  const place = { environment: "prod", namespace: "payments", name: "db" };
  it.each([
    ["strict", { "sealward-environment": "prod", "sealward-namespace": "payments", "sealward-name": "db" }],
    ["namespace", { "sealward-environment": "prod", "sealward-namespace": "payments" }],
    ["environment", { "sealward-environment": "prod" }],
  ] as const)("%s", (scope, expected) => {
    expect(contextOf({ ...place, scope })).toEqual(expected);
  });

  it("a file without a namespace has none in its context", () => {
    expect(contextOf({ ...place, namespace: undefined, scope: "environment" })).toEqual(environmentContext("prod"));
  });

  it("no two places have one context", () => {
    const name = fc.constantFrom("a", "b", "__proto__", "constructor", "a/b");
    const scope = fc.constantFrom("strict" as const, "namespace" as const, "environment" as const);
    const any = fc.record({ environment: name, namespace: name, name, scope });
    const pinned = ({ environment, namespace, name: own, scope: how }: typeof place & { scope: string }) =>
      JSON.stringify([how, environment, how !== "environment" && namespace, how === "strict" && own]);
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(isSameContext(contextOf(a), contextOf(b))).toBe(pinned(a) === pinned(b));
      }),
    );
  });
});

const own = (...pairs: [string, string][]): EncryptionContext => Object.fromEntries(pairs);

describe("isSameContext()", () => {
  it.each<[string, EncryptionContext, EncryptionContext, boolean]>([
    ["nothing and nothing", {}, {}, true],
    ["one order and another", own(["a", "1"], ["b", "2"]), own(["b", "2"], ["a", "1"]), true],
    ["a pair more", own(["a", "1"]), own(["a", "1"], ["b", "2"]), false],
    ["another name", own(["a", "1"]), own(["b", "1"]), false],
    ["another value", own(["a", "1"]), own(["a", "2"]), false],
    ["another case of the name", own(["a", "1"]), own(["A", "1"]), false],
    ["another case of the value", own(["a", "x"]), own(["a", "X"]), false],
    ["a blank at the end", own(["a", "1"]), own(["a", "1 "]), false],
    ["another composition of a letter", own(["a", "\u00e9"]), own(["a", "e\u0301"]), false],
    ["an empty value and none", own(["a", ""]), {}, false],
    ["a name of the prototype and another", own(["constructor", "1"]), own(["a", "1"]), false],
    [
      "a name of the prototype and its value",
      own(["toString", String(Object.prototype.toString)]),
      own(["a", ""]),
      false,
    ],
    ["__proto__ and another", own(["__proto__", "1"]), own(["a", "1"]), false],
    ["__proto__ and nothing", own(["__proto__", "1"]), {}, false],
    ["__proto__ and itself", own(["__proto__", "1"]), own(["__proto__", "1"]), true],
    ["__proto__ and another value", own(["__proto__", "1"]), own(["__proto__", "2"]), false],
  ])("%s", (_, a, b, expected) => {
    expect(isSameContext(a, b)).toBe(expected);
    expect(isSameContext(b, a)).toBe(expected);
  });
});

describe("isOurContext()", () => {
  it.each<[string, EncryptionContext, boolean]>([
    ["none", {}, false],
    ["another tool's", own(["Environment", "prod"]), false],
    ["ours", environmentContext("prod"), true],
    ["ours among others", own(["Environment", "prod"], ["sealward-name", "db"]), true],
    ["ours in capitals", own(["SEALWARD-ENVIRONMENT", "prod"]), true],
    ["ours in both", own(["SealWard-x", ""]), true],
    ["a name of ours that does not exist", own(["sealward-", ""]), true],
    ["ours in the value", own(["x", "sealward-environment"]), false],
    ["ours behind a blank", own([" sealward-environment", "prod"]), false],
    ["without the dash", own(["sealward", "prod"]), false],
    ["names of the prototype", own(["__proto__", "sealward-x"], ["constructor", ""], ["hasOwnProperty", ""]), false],
  ])("%s", (_, context, expected) => {
    expect(isOurContext(context)).toBe(expected);
  });
});

it("an identity asks the key that it stands for, and sends the context as it is given", async () => {
  const asked: unknown[] = [];
  const identity = new KmsIdentity(arnOf("eu-west-1"), {
    encrypt: async () => Uint8Array.of(),
    decrypt: async (call) => {
      asked.push(call);
      return null;
    },
  });
  const ciphertext = Uint8Array.of(1);
  const context = environmentContext("prod");
  expect(await identity.decrypt(ciphertext, context)).toBeNull();
  expect(asked).toEqual([{ arn: arnOf("eu-west-1"), ciphertext, context }]);
});
