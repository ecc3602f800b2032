import { describe, expect, it } from "vitest";
import {
  canonicalTime,
  compileSelection,
  formatSopsBlock,
  formatTime,
  readSopsMetadata,
  type SelectionRule,
} from "../../src/sops-metadata.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { expectRefusal } from "../support/sealing.ts";

const base = `a: x
sops:
    age:
        - enc: |
            blob
          recipient: age1one
    lastmodified: "2026-01-02T03:04:05Z"
    mac: ENC[x]
    version: 3.13.3
`;
const read = (text: string) => readSopsMetadata(parseYaml(text));
const withLines = (...lines: string[]) => base + lines.map((line) => `    ${line}\n`).join("");

describe("readSopsMetadata()", () => {
  it("reads what we act on", () => {
    expect(read(base)).toMatchObject({
      age: [{ recipient: "age1one", enc: "blob\n" }],
      recipients: [{ kind: "age", id: "age1one" }],
      hasKeyGroups: false,
      rule: null,
      onlyEncrypted: false,
      lastModified: "2026-01-02T03:04:05Z",
      mac: "ENC[x]",
    });
  });

  it("sees recipients of every kind, key groups included", () => {
    const text = withLines(
      "kms:\n        - arn: arn:aws:kms:x",
      "gcp_kms:\n        - resource_id: projects/p",
      "azure_kv:\n        - vault_url: https://v",
      "hc_vault:\n        - vault_address: https://h",
      "hckms:\n        - key_id: r:k",
      "pgp:\n        - fp: ABCD",
      "key_groups:\n        - age:\n            - recipient: age1two\n          pgp:\n            - fp: EF01\n        - kms:\n            - enc: x",
    );
    expect(read(text).recipients).toEqual([
      { kind: "age", id: "age1one" },
      { kind: "kms", id: "arn:aws:kms:x" },
      { kind: "gcp_kms", id: "projects/p" },
      { kind: "azure_kv", id: "https://v" },
      { kind: "hc_vault", id: "https://h" },
      { kind: "hckms", id: "r:k" },
      { kind: "pgp", id: "ABCD" },
      { kind: "age", id: "age1two" },
      { kind: "pgp", id: "EF01" },
      { kind: "kms", id: "(unnamed)" },
    ]);
    expect(read(text).hasKeyGroups).toBe(true);
  });

  it("takes empty and null lists of entries as none, and skips keys it does not know", () => {
    const text = withLines("kms: []", "pgp: null", "hc_vault:", "gcp_kms: ~", 'hckms: ""', "sealward_signature: x");
    expect(read(text).recipients).toHaveLength(1);
  });

  it.each<[string, string]>([
    ["a map where a list stands", withLines("kms:\n        arn: x")],
    ["a text in a list of entries", withLines("kms:\n        - x")],
    ["a list in a list", withLines("pgp:\n        - - fp: x")],
    ["a text for a list", withLines("pgp: x")],
    ["a key group that is no map", withLines("key_groups:\n        - x")],
    ["two selection rules", withLines("encrypted_regex: x", "unencrypted_suffix: y")],
    ["no time", base.replace(/ +lastmodified.*\n/, "")],
    ["a time that is none", base.replace("2026-01-02T", "2026-01-02 ")],
    ["a day that is none", base.replace("2026-01-02T", "2026-02-30T")],
    ["no version", base.replace(/ +version.*\n/, "")],
    ["a version of two numbers", base.replace("3.13.3", "3.13")],
    ["a list in capitals, which SOPS reads", withLines("KMS:\n        - arn: x")],
    ["a list with a Kelvin sign, which SOPS reads", withLines("\u212ams:\n        - arn: x")],
    ["a list with a long s, which SOPS reads", withLines("km\u017f:\n        - arn: x")],
    ["an entry's key in capitals", base.replace("recipient:", "Recipient:")],
    ["mac_only_encrypted in a way that SOPS reads and we would not", withLines("mac_only_encrypted: True")],
    ["mac_only_encrypted as a number", withLines("mac_only_encrypted: 1")],
    ["mac_only_encrypted without a value", withLines("mac_only_encrypted:")],
  ])("refuses %s", async (_, text) => {
    expect(text).not.toBe(base);
    const error = await expectRefusal(() => read(text), "sops-metadata-invalid");
    expect(error.line).toBeGreaterThan(1);
  });

  it.each(["encrypted_comment_regex", "unencrypted_comment_regex"])(
    "does not support %s yet, and says so",
    async (name) => {
      await expectRefusal(() => read(withLines(`${name}: x`)), "sops-unsupported");
    },
  );

  it("a file without the block is not sealed", () => expectRefusal(() => read("a: x\n"), "not-sealed"));
});

describe("canonicalTime() is Go's form of a time", () => {
  it.each<[string, string | null]>([
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"],
    ["2026-01-02T03:04:05.999Z", "2026-01-02T03:04:05Z"],
    ["2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+02:00"],
    ["2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05Z"],
    ["2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"],
    ["2026-02-29T00:00:00Z", null],
    ["2026-01-02T24:00:00Z", null],
    ["2026-01-02T23:59:60Z", null],
    ["2026-13-02T03:04:05Z", null],
    ["2026-01-02t03:04:05z", null],
    ["2026-01-02 03:04:05Z", null],
    ["2026-01-02T03:04:05", null],
    ["2026-01-02", null],
    ["2026-01-02T03:04:05Z\n", null],
    ["", null],
  ])("%j: %j", (text, expected) => expect(canonicalTime(text)).toBe(expected));

  it("is what formatTime() writes", () => {
    expect(formatTime(new Date("2026-01-02T03:04:05.999Z"))).toBe("2026-01-02T03:04:05Z");
  });
});

describe("compileSelection()", () => {
  const source = parseYaml(base);
  const selects = async (rule: SelectionRule | null, ...path: string[]) => (await compileSelection(source, rule))(path);

  it.each<[SelectionRule | null, string[], boolean]>([
    [null, ["a"], true],
    [null, ["a_unencrypted"], false],
    [null, ["a_unencrypted", "b"], false],
    [{ name: "unencrypted_suffix", pattern: "_clear" }, ["a_unencrypted"], true],
    [{ name: "encrypted_suffix", pattern: "_secret" }, ["a_secret", "b"], true],
    [{ name: "encrypted_suffix", pattern: "_secret" }, ["a"], false],
    [{ name: "encrypted_regex", pattern: "^(data|stringData)$" }, ["data", "a"], true],
    [{ name: "encrypted_regex", pattern: "^(data|stringData)$" }, ["spec", "template", "data"], true],
    [{ name: "encrypted_regex", pattern: "^(data|stringData)$" }, ["metadata", "name"], false],
    [{ name: "encrypted_regex", pattern: "^(a\\.b|c)$" }, ["a.b"], true],
    [{ name: "encrypted_regex", pattern: "^(a\\.b|c)$" }, ["axb"], false],
    [{ name: "encrypted_regex", pattern: "^(a.b|c)$" }, ["axb"], true],
    [{ name: "encrypted_regex", pattern: "data" }, ["metadata"], true],
    [{ name: "encrypted_regex", pattern: "(?i)^DATA$" }, ["data"], true],
    [{ name: "encrypted_regex", pattern: "\\Adata\\z" }, ["data"], true],
    [{ name: "encrypted_regex", pattern: "\\Qa.b\\E" }, ["a.b"], true],
    [{ name: "encrypted_regex", pattern: "\\Qa.b\\E" }, ["axb"], false],
    [{ name: "encrypted_regex", pattern: "[[:upper:]]" }, ["A"], true],
    [{ name: "encrypted_regex", pattern: "\\pL" }, ["ü"], true],
    [{ name: "unencrypted_regex", pattern: "^(metadata|kind)$" }, ["metadata", "name"], false],
    [{ name: "unencrypted_regex", pattern: "^(metadata|kind)$" }, ["data"], true],
    [
      { name: "encrypted_regex", pattern: "^(data|stringData|sealward\\.dev/binding)$" },
      ["metadata", "annotations", "sealward.dev/binding"],
      true,
    ],
    [
      { name: "encrypted_regex", pattern: "^(data|stringData|sealward\\.dev/binding)$" },
      ["metadata", "annotations", "sealwardxdev/binding"],
      false,
    ],
  ])("%j selects %j: %s", async (rule, path, expected) => {
    expect(await selects(rule, ...path)).toBe(expected);
  });

  it.each(["(?=data)", "(?<!x)y", "(a)\\1", "(", "[", "*", "a**", "(?P<n>a)(?P<n>b)", "\\8", "a{1001}"])(
    "refuses %j, which SOPS would take for a pattern that matches nothing",
    async (pattern) => {
      await expectRefusal(
        () => compileSelection(source, { name: "encrypted_regex", pattern }),
        "sops-metadata-invalid",
      );
    },
  );

  it("takes a hostile pattern in linear time", async () => {
    const selected = await compileSelection(source, { name: "encrypted_regex", pattern: "^(a+)+$" });
    expect(selected([`${"a".repeat(5000)}b`])).toBe(false);
  });
});

describe("formatSopsBlock()", () => {
  it("writes what readSopsMetadata() reads, in SOPS' own key order and quoting", () => {
    const block = formatSopsBlock({
      age: [{ recipient: "age1one", enc: "blob\nmore\n" }],
      encryptedRegex: "^(data)$",
      lastModified: "2026-01-02T03:04:05Z",
      mac: "ENC[x]",
    });
    const text = `a: x\n${block.join("\n")}\n`;
    expect(read(text)).toMatchObject({ age: [{ recipient: "age1one", enc: "blob\nmore\n" }], mac: "ENC[x]" });
    expect(text).toContain("mac: ENC[");
    expect(block.map((line) => /^ {4}(\w+)/.exec(line)?.[1]).filter(Boolean)).toEqual([
      "age",
      "encrypted_regex",
      "lastmodified",
      "mac",
      "version",
    ]);
  });
});
