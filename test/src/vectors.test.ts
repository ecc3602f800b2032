// Files sealed by earlier releases, and one that sops changed since: what opened once must open for ever, to the same bytes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type EnvironmentPolicy,
  openSealed,
  parseAgeIdentities,
  type Scope,
  unwrapBoundSecret,
} from "../../src/index.ts";

const folder = join(import.meta.dirname, "..", "vectors");
const identities = await parseAgeIdentities(readFileSync(join(folder, "keys.txt"), "utf8"), "keys.txt");
const environment: EnvironmentPolicy = {
  name: "vectors",
  ageRecipients: identities.map(({ recipient }) => recipient),
  kmsRecipients: [],
  paths: [],
  namespaces: [],
  defaultScope: "strict",
  scopes: ["strict", "namespace", "environment"],
  strictRecipients: true,
  acceptedUnbound: [],
};
const values = {
  PASSWORD: "correct horse",
  QUOTED: "two words",
  UNICODE: "grüße, 世界 😀",
  EMPTY: "",
  LINES: "first\nsecond\n",
};
const expected: Readonly<Record<string, { readonly scope: Scope; readonly password: string }>> = {
  "strict.yaml": { scope: "strict", password: "correct horse" },
  "namespace.yaml": { scope: "namespace", password: "correct horse" },
  "environment.yaml": { scope: "environment", password: "correct horse" },
  "crlf.yaml": { scope: "strict", password: "correct horse" },
  "bound-secret.yaml": { scope: "strict", password: "correct horse" },
  "set-by-sops.yaml": { scope: "strict", password: "battery staple" },
};

describe("vectors", () => {
  it("are all expected", () => {
    expect(
      readdirSync(folder)
        .filter((name) => name.endsWith(".yaml"))
        .sort(),
    ).toEqual(Object.keys(expected).sort());
  });

  it.each(Object.entries(expected))("%s opens to what was sealed", async (name, { scope, password }) => {
    const text = readFileSync(join(folder, name), "utf8");
    const document = unwrapBoundSecret(text)?.document ?? text;
    const opened = await openSealed(
      document,
      { environment, target: { namespace: "vectors", name: "vector" } },
      identities,
    );
    expect(opened.info).toEqual({
      environment: "vectors",
      scope,
      namespace: "vectors",
      name: "vector",
      type: "Opaque",
    });
    const { BINARY, ...texts } = Object.fromEntries(opened.data);
    expect([...(BINARY ?? [])]).toEqual([0, 1, 2, 3, 4, 5, 254, 255]);
    const decoded = Object.entries(texts).map(([key, value]) => [key, Buffer.from(value).toString()]);
    expect(Object.fromEntries(decoded)).toEqual({ ...values, PASSWORD: password });
    expect(opened.labels).toEqual({ app: "vector" });
    expect(opened.immutable).toBe(false);
    expect(opened.plainText).toContain("# a sealed comment");
  });
});
