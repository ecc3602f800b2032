// A user's own configuration: what it may name, and that whatever else stands there is refused with its place.
import { describe, expect, it } from "vitest";
import { isRoleArn, noUserConfig, parseUserConfig } from "../../src/index.ts";
import { expectRefusal } from "../support/sealing.ts";

const role = "arn:aws:iam::111122223333:role/teams/sealward-prod";
const full = `version: 1
aws:
  endpoint: https://kms.example:8443/base
  stsEndpoint: http://127.0.0.1:4566
  fips: true
  environments:
    prod:
      folders: [~/work, /srv/ci]
      profile: work
      role: ${role}
    dev: {folders: /, profile: "work dev"}
`;

describe("parseUserConfig()", () => {
  it("reads every field", () => {
    const { aws } = parseUserConfig(full, "config.yaml");
    expect(aws).toMatchObject({
      endpoint: "https://kms.example:8443/base",
      stsEndpoint: "http://127.0.0.1:4566",
      useFips: true,
    });
    expect([...aws.callers]).toEqual([
      ["prod", { folders: ["~/work", "/srv/ci"], profile: "work", role }],
      ["dev", { folders: ["/"], profile: "work dev", role: undefined }],
    ]);
  });

  it("says nothing where nothing is said", () => {
    expect(parseUserConfig("version: 1\n", "config.yaml")).toEqual(noUserConfig);
    expect(parseUserConfig("version: 1\naws: {}\n", "config.yaml").aws.useFips).toBeUndefined();
  });

  it.each<[string, string, string, number]>([
    ["no version", "version: 1\n", "", 1],
    ["an unknown key", "aws:", "hooks: [x]\naws:", 2],
    ["an unknown key of an environment", "      profile: work\n", "      exec: x\n", 9],
    ["an endpoint that is no URL", "https://kms.example:8443/base", "kms.example", 3],
    ["an endpoint with credentials in it", "https://kms.example", "https://user:word@kms.example", 3],
    ["two endpoints", "http://127.0.0.1:4566", "[https://a, https://b]", 4],
    ["fips in words", "fips: true", "fips: yes", 5],
    ["a role that is a user", role, "arn:aws:iam::111122223333:user/me", 10],
    ["an environment in capitals", "    prod:", "    Prod:", 7],
    ["an environment that is a text", '{folders: /, profile: "work dev"}', "work", 11],
    ["no folders", "      folders: [~/work, /srv/ci]\n", "", 8],
    ["a folder that depends on where one is", "[~/work, /srv/ci]", "[work]", 8],
    ["an endpoint in the clear", "https://kms.example:8443/base", "http://kms.example", 3],
    ["an endpoint that only begins with this machine", "http://127.0.0.1:4566", "http://127.0.0.1.example", 4],
  ])("refuses %s, and says where", async (_, from, to, line) => {
    const error = await expectRefusal(() => parseUserConfig(full.replace(from, to), "config.yaml"), "config-invalid");
    expect([error.file, error.line]).toEqual(["config.yaml", line]);
  });
});

it.each([
  [role, true],
  ["arn:aws-us-gov:iam::111122223333:role/x", true],
  ["arn:aws:iam::1:role/x", false],
  ["arn:aws:iam::111122223333:role/", false],
  ["arn:aws:iam::111122223333:role/x\n", false],
  ["arn:aws:sts::111122223333:assumed-role/x/y", false],
])("isRoleArn(%j) is %j", (text, expected) => {
  expect(isRoleArn(text)).toBe(expected);
});
