import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type AgeIdentity, decryptSops, parseAgeIdentities } from "../../src/index.ts";
import { findFixtures, titled } from "../support/available.ts";
import { expectRefusal } from "../support/sealing.ts";

const fixtures = findFixtures() ?? "";
const read = (...path: string[]) => readFileSync(join(fixtures, ...path), "utf8");
const yamlFilesIn = (folder: string) =>
  fixtures === "" ? [] : readdirSync(join(fixtures, folder)).filter((name) => name.endsWith(".yaml"));
const identitiesIn = async (...path: string[]): Promise<AgeIdentity[]> =>
  parseAgeIdentities(read(...path), path.join("/"));

const content = (text: string): unknown => parse(text, { uniqueKeys: false });

/** Files that need what is not there yet, and files that must not open. */
const refused: Readonly<Record<string, "not-authentic" | "several-documents" | "sops-unsupported">> = {
  "no_mac.yaml": "not-authentic",
};

describe.skipIf(fixtures === "")(titled("files that released versions of sops wrote", "fixtures"), () => {
  it.each(yamlFilesIn("thirdparty"))("%s opens, MAC verified, to what sops gives", async (name) => {
    const { text, bound } = await decryptSops(
      read("thirdparty", name),
      await identitiesIn("thirdparty", "keys.txt"),
      name,
    );
    expect(bound).toBe(false);
    expect(content(text)).toEqual(content(read("thirdparty", `${name}.decrypted`)));
  });

  it.each(yamlFilesIn("upstream-rewrapped"))(
    "sops' own example %s opens as sops opens it, or is refused",
    async (name) => {
      const open = async () => decryptSops(read("upstream-rewrapped", name), await identitiesIn("keys", "a.txt"), name);
      const code = refused[name];
      if (code !== undefined) return void (await expectRefusal(open, code));
      expect(content((await open()).text)).toEqual(content(read("upstream-rewrapped", `${name}.decrypted`)));
    },
  );

  it.each(yamlFilesIn("thirdparty"))("%s opens with no other identity", async (name) => {
    const open = (identities: AgeIdentity[]) => decryptSops(read("thirdparty", name), identities, name);
    await expectRefusal(async () => open(await identitiesIn("keys", "a.txt")), "identity-unmatched");
    await expectRefusal(() => open([]), "identity-missing");
  });
});
