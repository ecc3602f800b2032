import { describe, expect, it } from "vitest";
import { selectionRules } from "../../src/selection.ts";
import { metadataOf } from "../../src/sops-file.ts";
import { canonicalTime, formatTime, newMetadata } from "../../src/sops-metadata.ts";
import { formatMetadata } from "../../src/yaml-metadata.ts";
import { loadYaml } from "../../src/yaml-store.ts";
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
const read = (text: string) => metadataOf(loadYaml(text));
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
      { kind: "kms", id: "arn:aws:kms:x" },
      { kind: "gcp_kms", id: "projects/p" },
      { kind: "hckms", id: "r:k" },
      { kind: "azure_kv", id: "https://v" },
      { kind: "hc_vault", id: "https://h" },
      { kind: "pgp", id: "ABCD" },
      { kind: "age", id: "age1one" },
      { kind: "pgp", id: "EF01" },
      { kind: "age", id: "age1two" },
      { kind: "kms", id: "(unnamed)" },
    ]);
    expect(read(text).hasKeyGroups).toBe(true);
  });

  it("takes empty and null lists of entries as none, and skips keys it does not know", () => {
    const text = withLines("kms: []", "pgp: null", "hc_vault:", "gcp_kms: ~", "sealward_signature: x");
    expect(read(text).recipients).toHaveLength(1);
  });

  it.each<[string, string]>([
    ["a map where a list stands", withLines("kms:\n        arn: x")],
    ["a text in a list of entries", withLines("kms:\n        - x")],
    ["a list in a list", withLines("pgp:\n        - - fp: x")],
    ["a text for a list", withLines("pgp: x")],
    ["an empty text for a list", withLines('hckms: ""')],
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
    ["mac_only_encrypted in a way that SOPS reads and we would not", withLines("mac_only_encrypted: yes")],
    ["mac_only_encrypted as a number", withLines("mac_only_encrypted: 1")],
  ])("refuses %s", async (_, text) => {
    expect(text).not.toBe(base);
    const error = await expectRefusal(() => read(text), "sops-metadata-invalid");
    expect(error.line).toBeGreaterThan(1);
  });

  it.each(selectionRules)("reads the rule %s", (name) => {
    expect(read(withLines(`${name}: x`)).rule).toEqual({ name, pattern: "x" });
  });

  it("takes a rule without a pattern for none", () => {
    expect(read(withLines('encrypted_regex: ""', "unencrypted_suffix: x")).rule?.name).toBe("unencrypted_suffix");
  });

  it.each<[string, boolean]>([
    ["mac_only_encrypted: true", true],
    ["mac_only_encrypted: True", true],
    ["mac_only_encrypted: false", false],
    ["mac_only_encrypted:", false],
  ])("reads %j as SOPS does", (line, expected) => {
    expect(read(withLines(line)).onlyEncrypted).toBe(expected);
  });

  it("keeps the whole block as it was read", () => {
    const { raw } = read(withLines("future: [x]"));
    expect([...raw.keys()]).toEqual(["age", "lastmodified", "mac", "version", "future"]);
    expect(raw.get("future")).toEqual(["x"]);
  });

  const group = (recipient: string) => `        - age:\n            - enc: e\n              recipient: ${recipient}\n`;
  const grouped = (...lines: string[]) =>
    `${base.replace(/ {4}age:[\s\S]*?(?= {4}lastmodified)/, "")}    key_groups:\n${["a", "b", "c"].map(group).join("")}${lines.map((line) => `    ${line}\n`).join("")}`;

  it("reads key groups and how many of them open the file", () => {
    const { groups, threshold, age } = read(grouped("shamir_threshold: 2"));
    expect(groups.map(({ age: entries }) => entries.map(({ recipient }) => recipient))).toEqual([["a"], ["b"], ["c"]]);
    expect(threshold).toBe(2);
    expect(age).toHaveLength(3);
  });

  it.each([[], ["shamir_threshold: 0"]])("needs all groups where the block does not say how many", (...lines) => {
    expect(read(grouped(...lines)).threshold).toBe(3);
  });

  it("looks at no group where the block itself lists a key, as SOPS does, but names its recipients", () => {
    const { groups, threshold, recipients } = read(withLines(`key_groups:\n${group("a")}${group("b")}`.trimEnd()));
    expect(groups.map(({ age }) => age.map(({ recipient }) => recipient))).toEqual([["age1one"]]);
    expect(threshold).toBe(1);
    expect(recipients.map(({ id }) => id)).toEqual(["age1one", "a", "b"]);
  });

  it.each(["1", "4", "-1", "2.5", "x"])("refuses a threshold of %s for three groups", async (threshold) => {
    await expectRefusal(() => read(grouped(`shamir_threshold: ${threshold}`)), "sops-metadata-invalid");
  });

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

describe("newMetadata()", () => {
  const age = [{ recipient: "age1one", enc: "blob\nmore\n" }];
  const rule = { name: "encrypted_regex", pattern: "^(data)$" } as const;
  const rest = { lastModified: "2026-01-02T03:04:05Z", keyMade: "2026-01-01T00:00:00Z", mac: "ENC[x]" };
  const textOf = (metadata: ReturnType<typeof newMetadata>) => `a: x\nsops:\n${formatMetadata(metadata, 4, "\n")}`;

  it("is what readSopsMetadata() reads, in SOPS' own key order and quoting", () => {
    const metadata = newMetadata({ groups: [{ age, kms: [] }], rule, ...rest });
    const text = textOf(metadata);
    expect(read(text)).toMatchObject({ age, rule, mac: "ENC[x]" });
    expect(text).toContain("mac: ENC[");
    expect([...metadata.keys()]).toEqual([
      "age",
      "encrypted_regex",
      "lastmodified",
      "mac",
      "sealward_created",
      "version",
    ]);
    expect(
      text
        .split("\n")
        .map((line) => /^ {4}(\w+)/.exec(line)?.[1])
        .filter(Boolean),
    ).toEqual([...metadata.keys()]);
  });

  it("holds key groups and a threshold only where there are several", () => {
    const groups = [age, [{ recipient: "age1two", enc: "other\n" }]].map((entries) => ({ age: entries, kms: [] }));
    const written = read(textOf(newMetadata({ groups, threshold: 2, rule: null, onlyEncrypted: true, ...rest })));
    expect(written).toMatchObject({ threshold: 2, hasKeyGroups: true, rule: null, onlyEncrypted: true });
    expect(written.groups.map(({ age: entries, kms }) => ({ age: entries, kms }))).toEqual(groups);
    expect(newMetadata({ groups: [{ age, kms: [] }], threshold: 2, rule, ...rest }).has("shamir_threshold")).toBe(
      false,
    );
  });
});
