// schema/seal.schema.json against what parseConfig takes: editors and `seal` must say the same of a seal.yaml, and where they
// cannot, the reason stands here.
import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { parseConfig, SealwardError, scopes } from "../src/index.ts";
import { fencedBlocks } from "./docs/markdown.ts";
import { type Schema, violations } from "./support/json-schema.ts";
import { mutate } from "./support/sealing.ts";

const schema = JSON.parse(readFileSync("schema/seal.schema.json", "utf8")) as Schema;
const fits = (text: string): boolean => violations(schema, parse(text)).length === 0;
const parses = (text: string): boolean => {
  try {
    parseConfig(text, "seal.yaml");
    return true;
  } catch (problem) {
    if (problem instanceof SealwardError) return false;
    throw problem;
  }
};

const [example = ""] = fencedBlocks(readFileSync("docs/seal-yaml.md", "utf8"), "yaml");
const age = /age1\w+/.exec(example)?.[0] ?? "";
const arn = "arn:aws:kms:eu-west-1:111122223333:alias/prod";
const minimal = `version: 1\nenvironments:\n  prod:\n    recipients: {age: ${age}}\n`;
const withLine = (line: string): string => `${minimal}    ${line}\n`;

describe("both take", () => {
  it.each([
    ["the example of the documentation", example],
    ["the least there can be", minimal],
    ["KMS keys", minimal.replace(`age: ${age}`, `kms: ["${arn}"]`)],
    [
      "an SSH key",
      minimal.replace(age, '"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN a@b"'),
    ],
    ["recovery", `${minimal}recovery: {age: [${age}]}\n`],
    ["nested files", `${minimal}nested: [apps/a/seal.yaml]\n`],
    ["one path", withLine('paths: "deploy/prod/**"')],
    ["several", withLine('paths: ["deploy/prod/**", "a b/*.sealed.yaml", "x?.yaml"]')],
    ["namespaces", withLine("namespaces: [payments, shop]")],
    ["every scope", withLine(`scope: ${scopes[0]}\n    scopes: [${scopes.join(", ")}]`)],
    ["strictRecipients", withLine("strictRecipients: true")],
    ["a digest", withLine(`unbound: sha256:${"0".repeat(64)}`)],
  ])("%s", (_, text) => {
    expect(violations(schema, parse(text))).toEqual([]);
    expect(() => parseConfig(text, "seal.yaml")).not.toThrow();
  });
});

describe("both refuse", () => {
  it.each([
    ["no version", mutate(minimal, "version: 1\n", "")],
    ["another version", mutate(minimal, "version: 1", "version: 2")],
    ["an unknown key", `${minimal}hooks: [x]\n`],
    ["an unknown key of an environment", withLine("exec: rm")],
    ["no environments", "version: 1\n"],
    ["none among them", "version: 1\nenvironments: {}\n"],
    ["a list of them", "version: 1\nenvironments: [a]\n"],
    ["a name in capitals", mutate(minimal, "  prod:", "  Prod:")],
    ["a name with a dot", mutate(minimal, "  prod:", "  a.b:")],
    ["an empty environment", `${minimal}  dev:\n`],
    ["one without recipients", `${minimal}  dev:\n    paths: [x]\n`],
    ["recipients that are a list", mutate(minimal, `{age: ${age}}`, `[${age}]`)],
    ["no recipients in the map", mutate(minimal, `{age: ${age}}`, "{}")],
    ["another kind of recipient", mutate(minimal, "{age:", "{pgp:")],
    ["an identity", mutate(minimal, age, "AGE-SECRET-KEY-1QQQQ")],
    ["a KMS key that is no ARN", mutate(minimal, `age: ${age}`, "kms: alias/prod")],
    [
      "more KMS keys than are asked",
      mutate(minimal, `age: ${age}`, `kms: [${Array.from({ length: 65 }, (_, n) => `"${arn}${n}"`).join(", ")}]`),
    ],
    ["an absolute path", withLine("paths: /etc/**")],
    ["one that climbs out", withLine("paths: a/../b")],
    ["one that negates", withLine('paths: "!a"')],
    ["one with braces", withLine('paths: "{a,b}/**"')],
    ["one that is too long", withLine(`paths: ${"a".repeat(201)}`)],
    ["an empty one", withLine('paths: ""')],
    ["a namespace that is a glob", withLine('namespaces: "pay*"')],
    ["a scope that there is not", withLine("scope: cluster")],
    ["one that there is not among those allowed", withLine("scopes: [strict, all]")],
    ["strictRecipients as a text", withLine('strictRecipients: "true"')],
    ["a digest that is cut off", withLine(`unbound: sha256:${"0".repeat(63)}`)],
    ["a nested file outside", `${minimal}nested: ../seal.yaml\n`],
  ])("%s", (_, text) => expect([fits(text), parses(text)]).toEqual([false, false]));
});

describe("the schema takes what seal refuses", () => {
  it.each([
    ["a checksum is not for a pattern", mutate(minimal, age, `${age.slice(0, -2)}zz`)],
    ["counting the stars of a glob is not for a pattern", withLine("paths: a*b*c*d")],
    ["an empty list of recipients is one of two", mutate(minimal, `{age: ${age}}`, "{age: []}")],
    ["one key is held against another", withLine("scope: environment\n    scopes: [strict]")],
  ])("%s", (_, text) => expect([fits(text), parses(text)]).toEqual([true, false]));
});

describe("the schema refuses what seal takes, to have one way of writing it", () => {
  it.each([
    ["a version in quotes", mutate(minimal, "version: 1", 'version: "1"')],
    ["a scope in a list", withLine("scope: [strict]")],
    ["a number for a name", withLine("namespaces: 12")],
  ])("%s", (_, text) => expect([fits(text), parses(text)]).toEqual([false, true]));
});

describe("names, expiry and files that must be sealed", () => {
  const named = (fields: string): string =>
    minimal.replace(`{age: ${age}}`, `{age: [{recipient: ${age}${fields}}, ${age}]}`);
  it.each([
    ["a recipient with a name", named(", name: Ada"), true],
    ["one with its last day", named(", expires: 2027-01-31"), true],
    ["one with a day that there is not", named(", expires: 2027-13-01"), false],
    ["one with an unknown key", named(", until: 2027-01-31"), false],
    ["a name alone", minimal.replace(`{age: ${age}}`, "{age: [{name: Ada}]}"), false],
    ["globs of what must be sealed", `${minimal}mustSeal: ["**/secrets/*.yaml"]\n`, true],
    ["globs that climb out", `${minimal}mustSeal: ["../x"]\n`, false],
  ])("%s: %s", (_, text, is) => expect([fits(text), parses(text)]).toEqual([is, is]));
});

test("every key says in words what it is for", () => {
  const keysOf = (part: unknown): [string, Schema][] =>
    Object.entries((part as Schema)["properties"] as Record<string, Schema>);
  const { environment } = schema["definitions"] as Record<string, Schema>;
  for (const [name, { description }] of [...keysOf(schema), ...keysOf(environment)])
    expect([name, String(description).length > 15]).toEqual([name, true]);
});
