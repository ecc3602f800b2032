import { describe, expect, it } from "vitest";
import { type Binding, bindingDifference, bindingOf, encodeBinding, parseBinding } from "../../src/binding.ts";
import { readManifestShape, type Scope } from "../../src/manifest.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { databaseSecret } from "../support/sealing.ts";

const manifest = readManifestShape(parseYaml(databaseSecret));
const at = (scope: Scope) =>
  bindingOf(manifest, { environment: "prod", scope, namespace: "payments", name: "db" }, "bm9uY2U=");
const strict = at("strict");
const textOf = (binding: Binding) => Buffer.from(encodeBinding(binding)).toString();
const parse = (text: string) => parseBinding(Buffer.from(text));

describe("a binding's plaintext", () => {
  it("is compact JSON with sorted keys", () => {
    expect(textOf(strict)).toBe(
      `{"environment":"prod","name":"db","namespace":"payments","nonce":"bm9uY2U=","plain":"${strict.plain}","scope":"strict","type":"Opaque","v":1}`,
    );
  });

  it.each<[Scope, string[]]>([
    ["strict", ["environment", "name", "namespace", "nonce", "plain", "scope", "type", "v"]],
    ["namespace", ["environment", "namespace", "nonce", "plain", "scope", "type", "v"]],
    ["environment", ["environment", "nonce", "plain", "scope", "type", "v"]],
  ])("of scope %s pins %j", (scope, keys) => {
    expect(Object.keys(JSON.parse(textOf(at(scope))))).toEqual(keys);
    expect(parse(textOf(at(scope)))).toEqual(at(scope));
  });

  it("has 128 fresh random bits each time", () => {
    const nonces = [1, 2].map(
      () => bindingOf(manifest, { environment: "prod", scope: "strict", namespace: "payments", name: "db" }).nonce,
    );
    expect(nonces[0]).not.toBe(nonces[1]);
    expect(nonces.map((nonce) => Buffer.from(nonce, "base64").length)).toEqual([16, 16]);
  });
});

describe("parseBinding() gives null for", () => {
  const text = textOf(strict);
  it.each<[string, string]>([
    ["nothing", ""],
    ["null", "null"],
    ["a number", "1"],
    ["a list", "[]"],
    ["a text", '"x"'],
    ["no JSON", `${text}}`],
    ["a space", text.replace(":", ": ")],
    ["a line break after it", `${text}\n`],
    ["another version", text.replace('"v":1', '"v":2')],
    ["a version that is a text", text.replace('"v":1', '"v":"1"')],
    ["a field more", text.replace("}", ',"x":1}')],
    ["another order", text.replace('"v":1}', "}").replace("{", '{"v":1,').replace(",}", "}")],
    ["a field twice", text.replace("{", '{"environment":"dev",')],
    ["no environment", text.replace('"environment":"prod",', "")],
    ["an environment that is a number", text.replace('"prod"', "1")],
    ["a scope that there is not", text.replace('"strict"', '"cluster"')],
    ["a name that is null", text.replace('"name":"db"', '"name":null')],
    ["an escape for a letter", text.replace('"db"', '"\\u0064b"')],
  ])("%s", (_, wrong) => {
    expect(wrong).not.toBe(text);
    expect(parse(wrong)).toBeNull();
  });

  it("bytes that are no text", () => {
    expect(parseBinding(Uint8Array.from([0xff]))).toBeNull();
  });
});

describe("bindingDifference()", () => {
  it("is null where all agree, whatever the nonce", () => {
    expect(bindingDifference(strict, { ...strict, nonce: "other" })).toBeNull();
  });

  it.each<[Partial<Binding>, string]>([
    [{ environment: "dev" }, 'bound to environment "prod", but this is environment "dev"'],
    [{ scope: "environment" }, 'bound to scope "strict", but this is scope "environment"'],
    [{ namespace: "other" }, 'bound to namespace "payments", but this is namespace "other"'],
    [{ namespace: undefined }, 'bound to namespace "payments", but this is namespace (none)'],
    [{ name: "other" }, 'bound to name "db", but this is name "other"'],
    [{ type: "x/y" }, 'bound to type "Opaque", but this is type "x/y"'],
    [
      { plain: "0" },
      "the labels, annotations, immutable flag or key names in the clear are not the ones that were bound",
    ],
  ])("with %j names both sides", (other, message) => {
    expect(bindingDifference(strict, { ...strict, ...other })).toBe(message);
  });
});
