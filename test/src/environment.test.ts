import { describe, expect, it } from "vitest";
import {
  type Config,
  type EnvironmentPolicy,
  type EnvironmentSources,
  findEnvironment,
  SealwardError,
} from "../../src/index.ts";

function policy(name: string, paths: readonly string[], namespaces: readonly string[]): EnvironmentPolicy {
  return {
    name,
    ageRecipients: [],
    kmsRecipients: [],
    paths,
    namespaces,
    defaultScope: "strict",
    scopes: ["strict"],
    strictRecipients: false,
    acceptedUnbound: [],
  };
}

function config(...policies: EnvironmentPolicy[]): Config {
  return {
    file: "seal.yaml",
    environments: new Map(policies.map((one) => [one.name, one])),
    nested: [],
    mustSeal: [],
    recovery: { age: [], kms: [] },
  };
}

function answer(where: Config, sources: EnvironmentSources): string {
  try {
    return findEnvironment(where, sources).name;
  } catch (error) {
    if (error instanceof SealwardError) return error.code;
    throw error;
  }
}

const prod = policy("prod", ["deploy/prod/**"], ["payments"]);
const dev = policy("dev", ["deploy/dev/**"], ["sandbox"]);
const open = policy("open", [], []);
const mismatch = "environment-mismatch";
const unknown = "environment-unknown";

describe("findEnvironment() with environments that list paths and namespaces", () => {
  it.each<[EnvironmentSources, string]>([
    [{}, unknown],
    [{ flag: "prod" }, "prod"],
    [{ annotation: "prod" }, "prod"],
    [{ path: "deploy/prod/db.yaml" }, "prod"],
    [{ path: "deploy/prod/.hidden/db.yaml" }, "prod"],
    [{ path: "deploy/prod" }, "prod"],
    [{ namespace: "payments" }, "prod"],
    [{ flag: "prod", annotation: "prod", path: "deploy/prod/db.yaml", namespace: "payments" }, "prod"],
    [{ flag: "dev", annotation: "prod" }, mismatch],
    [{ flag: "prod", path: "deploy/dev/db.yaml" }, mismatch],
    [{ flag: "prod", path: "elsewhere/db.yaml" }, mismatch],
    [{ annotation: "prod", path: "deploy/dev/db.yaml" }, mismatch],
    [{ annotation: "prod", namespace: "sandbox" }, mismatch],
    [{ annotation: "prod", namespace: "other" }, mismatch],
    [{ path: "deploy/prod/db.yaml", namespace: "sandbox" }, mismatch],
    [{ path: "deploy/prod/db.yaml", namespace: "other" }, mismatch],
    [{ path: "elsewhere/db.yaml" }, mismatch],
    [{ flag: "qa" }, "environment-undefined"],
    [{ annotation: "qa", flag: "prod" }, "environment-undefined"],
    [{ flag: "" }, "environment-undefined"],
    [{ flag: "Prod" }, "environment-undefined"],
    [{ flag: "__proto__" }, "environment-undefined"],
  ])("%j: %s", (sources, expected) => expect(answer(config(prod, dev), sources)).toBe(expected));
});

describe("findEnvironment() with one that lists nothing", () => {
  it.each<[EnvironmentSources, string]>([
    [{}, unknown],
    [{ flag: "open" }, "open"],
    [{ annotation: "open", path: "anywhere.yaml", namespace: "other" }, "open"],
    [{ path: "anywhere.yaml" }, unknown],
    [{ namespace: "other" }, unknown],
    [{ path: "deploy/prod/db.yaml" }, "prod"],
    [{ flag: "open", path: "deploy/prod/db.yaml" }, mismatch],
    [{ flag: "open", namespace: "payments" }, mismatch],
    [{ flag: "prod", path: "anywhere.yaml" }, mismatch],
    [{ namespace: "payments", path: "anywhere.yaml" }, mismatch],
  ])("%j: %s", (sources, expected) => expect(answer(config(prod, open), sources)).toBe(expected));
});

describe("findEnvironment() where lists overlap or only one kind is listed", () => {
  const wide = policy("wide", ["deploy/**"], []);
  const named = policy("named", [], ["payments"]);

  it.each<[Config, EnvironmentSources, string]>([
    [config(prod, wide), { path: "deploy/prod/db.yaml" }, unknown],
    [config(prod, wide), { path: "deploy/prod/db.yaml", annotation: "wide" }, "wide"],
    [config(prod, wide), { path: "deploy/prod/db.yaml", annotation: "prod" }, "prod"],
    [config(prod, wide), { path: "deploy/prod/db.yaml", namespace: "payments" }, "prod"],
    [config(prod, wide), { path: "deploy/prod/db.yaml", namespace: "other" }, "wide"],
    [config(prod, wide), { path: "deploy/other/db.yaml" }, "wide"],
    [config(prod, named), { namespace: "payments" }, unknown],
    [config(prod, named), { namespace: "payments", path: "deploy/prod/x.yaml" }, "prod"],
    [config(prod, named), { namespace: "payments", path: "x.yaml" }, "named"],
    [config(named), { path: "x.yaml" }, unknown],
    [config(open), {}, unknown],
    [config(open), { path: "x.yaml", namespace: "n" }, unknown],
    [config(open), { flag: "open", path: "x.yaml" }, "open"],
  ])("case %#", (where, sources, expected) => expect(answer(where, sources)).toBe(expected));
});

describe("globs mean what they read like", () => {
  it.each<[string, string, boolean]>([
    ["deploy/*/db.yaml", "deploy/prod/db.yaml", true],
    ["deploy/*/db.yaml", "deploy/a/b/db.yaml", false],
    ["./deploy/**", "deploy/prod/db.yaml", true],
    ["deploy/", "deploy/db.yaml", false],
    ["deploy", "deploy/db.yaml", false],
    ["*.yaml", "deploy/db.yaml", false],
    ["**/*.sealed.yaml", "a/b.sealed.yaml", true],
    ["**/*.sealed.yaml", "b.sealed.yaml", true],
    ["deploy/prod/**", "deploy/prod-eu/db.yaml", false],
    ["deploy/prod/**", "deploy/Prod/db.yaml", false],
    ["deploy/prod/**", "other/deploy/prod/db.yaml", false],
    ["deploy/{a,b}/**", "deploy/b/db.yaml", true],
    ["deploy/!(prod)/**", "deploy/dev/db.yaml", false],
    ["deploy/@(prod)/**", "deploy/prod/db.yaml", false],
    ["deploy/[ab]/**", "deploy/a/db.yaml", false],
    ["deploy/[ab]/**", "deploy/[ab]/db.yaml", true],
    ["deploy/prod/**", "deploy/prod/../dev/db.yaml", false],
  ])("%s, %s: %s", (glob, path, matches) => {
    const where = config(policy("it", [glob], []));
    expect(answer(where, { path })).toBe(matches ? "it" : mismatch);
  });
});

describe("the reason names every side", () => {
  it("of a dispute", () => {
    const call = () =>
      findEnvironment(config(prod, dev), { annotation: "prod", path: "deploy/dev/db.yaml", namespace: "payments" });
    expect(call).toThrow(
      /annotation.*says prod; the path deploy\/dev\/db\.yaml says dev; the namespace payments says prod/,
    );
  });

  it("of silence, and of a name that is not there", () => {
    expect(() => findEnvironment(config(prod, dev), {})).toThrow(/prod, dev/);
    expect(() => findEnvironment(config(prod, dev), { flag: "qa" })).toThrow(/--env.*"qa".*seal\.yaml has prod, dev/);
  });
});
