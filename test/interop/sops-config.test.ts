// Which rule of .sops.yaml decides, and what it says: the released sops encrypts, its `sops` block is compared with ours.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { findCreationRule, generateAgeIdentity, parseSopsConfig } from "../../src/index.ts";
import { findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";

const [a, b, c] = [1, 2, 3].map(() => generateAgeIdentity().identity.recipient);

interface Outcome {
  readonly groups: readonly (readonly string[])[];
  readonly threshold: number;
  readonly selection: readonly [string, string];
  readonly macOnlyEncrypted: boolean;
}

const selectionFields = ["suffix", "regex", "comment_regex"].flatMap((kind) => [
  `unencrypted_${kind}`,
  `encrypted_${kind}`,
]);
const configs: Record<string, string> = {
  "first match, unanchored": `creation_rules:
  - {path_regex: '^prod/', age: ${a}, encrypted_regex: '^(data|stringData)$'}
  - {path_regex: 'prod', age: ${b}, unencrypted_suffix: _plain}
  - {path_regex: '\\.json$', age: '${c} , ${a},', mac_only_encrypted: on}
`,
  "RE2 syntax": `creation_rules:
  - {path_regex: '(?i)PROD/[[:alpha:]]+\\.yaml\\z', age: ${a}}
  - {path_regex: '\\Qa.b\\E', age: ${b}}
  - {path_regex: '^\\pL{3}/', age: ${c}}
`,
  "a rule without a pattern before others": `creation_rules:
  - {age: ['${a}', '${b},${c}'], encrypted_suffix: _secret}
  - {path_regex: prod, age: ${a}}
`,
  "twice the same recipient": `creation_rules:
  - {path_regex: prod, age: [${a}, ${a}]}
  - key_groups: [{age: [${a}, ${b}, ${a}]}]
`,
  "key groups with merge": `groups:
  - &ops {age: [${b}]}
  - &both {merge: [*ops], age: [${a}]}
creation_rules:
  - path_regex: prod
    age: ${c}
    shamir_threshold: 2
    key_groups:
      - merge: [*both, *ops]
        age: ['${c}']
      - age: [${c}]
  - key_groups:
      - merge: [{merge: [*both]}]
    unencrypted_regex: ^metadata$
`,
  "anchors and merge keys": `people:
  - &a ${a}
  - &list [*a, ${b}]
  - &base {encrypted_comment_regex: seal, age: *list}
  - &more {age: ${c}, mac_only_encrypted: yes}
creation_rules:
  - {path_regex: prod, <<: *base}
  - {path_regex: a, <<: [*more, *base]}
  - {<<: *base, age: , mac_only_encrypted: }
`,
  "empty items and null": `creation_rules:
  -
  - {path_regex: ~, age: ${a}, shamir_threshold: 0}
`,
  "a pattern that is a number, and one that does not compile behind it": `creation_rules:
  - {path_regex: 1, age: ${a}}
  - {path_regex: '(?=x)', age: ${b}}
`,
  "two selection fields in the second rule": `creation_rules:
  - {path_regex: prod, age: ${a}, unencrypted_comment_regex: open}
  - {age: ${a}, encrypted_regex: x, encrypted_suffix: y}
`,
  "no rule": "creation_rules: []\n",
  "a text where a list belongs": `creation_rules: [{age: ${a}, hckms: x}]\n`,
  "a number for a key": "creation_rules: [{age: 1}]\n",
  "a map for rules": `creation_rules: {age: ${a}}\n`,
  "a quoted threshold": `creation_rules: [{age: ${a}, shamir_threshold: '1'}]\n`,
  "an unknown alias": "creation_rules: *none\n",
  "key groups as a map": `creation_rules: [{key_groups: {age: [${a}]}}]\n`,
};
const paths = ["prod/db.yaml", "x/prod/db.yaml", "a.b", "abc/d", "v1.json", "./prod/x.yaml", "../outside-prod.yaml"];

describe.skipIf(findTool("sops") === null)(titled("the released sops", "sops"), () => {
  let tools: Peers;
  let accepted = 0;
  beforeAll(() => {
    tools = peers([]);
    tools.file("plain", '{"data": {"a": "1"}}');
  });
  afterAll(() => tools.remove());

  const theirs = (path: string): Outcome | "refused" => {
    const args = ["encrypt", "--filename-override", path, "--input-type", "json", "--output-type", "json", "plain"];
    let output: string;
    try {
      output = tools.run("sops", args);
    } catch {
      return "refused";
    }
    const { sops } = parse(output);
    const recipients = (entries: readonly { recipient: string }[] = []): string[] =>
      entries.map(({ recipient }) => recipient);
    const [name = "", other] = selectionFields.filter((field) => sops[field] !== undefined);
    expect(other).toBeUndefined();
    return {
      groups: sops.key_groups?.map((group: { age: { recipient: string }[] }) => recipients(group.age)) ?? [
        recipients(sops.age),
      ],
      threshold: sops.shamir_threshold ?? 0,
      selection: [name, sops[name]],
      macOnlyEncrypted: sops.mac_only_encrypted ?? false,
    };
  };

  const ours = async (text: string, path: string): Promise<Outcome | "refused"> => {
    try {
      const rule = await findCreationRule(parseSopsConfig(text, ".sops.yaml"), path);
      if (rule === null || rule.groups.flat().length === 0) return "refused";
      const { name, pattern } = rule.selection ?? { name: "unencrypted_suffix", pattern: "_unencrypted" };
      return {
        groups: rule.groups.map((keys) => keys.map(({ id }) => id)),
        threshold: rule.groups.length === 1 ? 0 : rule.shamirThreshold || rule.groups.length,
        selection: [name, pattern],
        macOnlyEncrypted: rule.macOnlyEncrypted,
      };
    } catch {
      return "refused";
    }
  };

  /** As a caller finds it: sops makes the path absolute and takes the folder of the config away. */
  const toRules = (path: string): string => {
    if (path.startsWith("./")) return path.slice(2);
    return path.startsWith("../") ? `${tools.home.slice(0, tools.home.lastIndexOf("/"))}/${path.slice(3)}` : path;
  };

  it.each(Object.entries(configs))("%s", { timeout: 60_000 }, async (_, text) => {
    tools.file(".sops.yaml", text);
    const outcomes = await Promise.all(paths.map(async (path) => [path, await ours(text, toRules(path))]));
    expect(outcomes).toEqual(paths.map((path) => [path, theirs(path)]));
    accepted += outcomes.filter(([, outcome]) => outcome !== "refused").length;
  });

  it("both accept much of it", () => {
    expect(accepted).toBeGreaterThan(40);
  });

  it("without creation_rules it is as if there were no config", () => {
    for (const text of ["stores: {}\n", "creation_rules:\n", "# nothing\n"]) {
      tools.file(".sops.yaml", text);
      expect(parseSopsConfig(text, ".sops.yaml").rules).toBeNull();
      expect(() => tools.run("sops", ["encrypt", "--filename-override", "x.yaml", "plain"])).toThrow(
        "no creation rules",
      );
      expect(tools.run("sops", ["encrypt", "--age", a ?? "", "--filename-override", "x.yaml", "plain"])).toContain(
        "recipient",
      );
    }
  });
});
