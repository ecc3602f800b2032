import { describe, expect, it } from "vitest";
import type { Metadata } from "../../src/store.ts";
import { formatFlowMetadata, formatMetadata, readYamlMetadata, sameMetadata } from "../../src/yaml-metadata.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { expectRefusal } from "../support/sealing.ts";

const read = (text: string) => readYamlMetadata(parseYaml(text));
const metadata: Metadata = new Map<string, string | number | boolean | null | Metadata | Metadata[]>([
  [
    "age",
    [
      new Map([
        ["enc", "blob\nmore\n"],
        ["recipient", "age1one"],
      ]),
    ],
  ],
  ["encrypted_regex", "^(data)$"],
  ["lastmodified", "2026-01-02T03:04:05Z"],
  ["mac", "ENC[AES256_GCM,data:x]"],
  ["mac_only_encrypted", true],
  ["shamir_threshold", 2],
  ["future", new Map([["deep", null]])],
  ["empty", ""],
  ["version", "3.13.3"],
]);

describe("readYamlMetadata()", () => {
  it("gives texts, numbers and words as what they are, in the order of the file", () => {
    const block = read(
      "a: x\nsops:\n  version: 3.13.3\n  n: 2\n  yes: true\n  quoted: '2'\n  none:\n  list: [a, {b: c}]\n",
    );
    expect([...(block ?? [])]).toEqual([
      ["version", "3.13.3"],
      ["n", 2],
      ["yes", true],
      ["quoted", "2"],
      ["none", null],
      ["list", ["a", new Map([["b", "c"]])]],
    ]);
  });

  it.each(["a: x\n", "sops: x\n", "sops:\n", "sops: []\n", "a:\n  sops: {mac: x}\n"])(
    "finds no block in %j",
    (text) => {
      expect(read(text)).toBeNull();
    },
  );

  it.each<[string, string]>([
    ["an anchor", "sops:\n  mac: &x y\n"],
    ["an alias", "a: &x y\nsops:\n  mac: *x\n"],
    ["a tag", "sops:\n  mac: !!str y\n"],
    ["a merge key", "sops:\n  <<: {age: []}\n"],
  ])("refuses %s, behind which an entry could hide", async (_, text) => {
    const error = await expectRefusal(() => read(text), "sops-metadata-invalid");
    expect(error.line).toBeGreaterThan(0);
  });
});

describe("formatMetadata()", () => {
  it.each([
    ["block", `sops:\n${formatMetadata(metadata, 4, "\n")}`],
    ["block with CRLF", `sops:\r\n${formatMetadata(metadata, 4, "\r\n")}`],
    ["flow", `{"sops": ${formatFlowMetadata(metadata)}}\n`],
  ])("is read again as the same: %s", (_, text) => {
    const block = read(text);
    expect(block).toEqual(metadata);
    expect(block !== null && sameMetadata(block, metadata)).toBe(true);
  });

  it("is laid out as SOPS does it", () => {
    const lines = formatMetadata(metadata, 4, "\n");
    expect(lines).toContain(
      "    age:\n        - enc: |\n            blob\n            more\n          recipient: age1one\n",
    );
    expect(lines).toContain('    lastmodified: "2026-01-02T03:04:05Z"\n    mac: ENC[AES256_GCM,data:x]\n');
    expect(lines).toContain("    version: 3.13.3\n");
  });
});
