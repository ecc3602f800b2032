import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { SealwardError } from "../../src/errors.ts";
import { explainRule } from "../../src/rule-explanation.ts";
import { findCreationRule, parseSopsConfig } from "../../src/sops-config.ts";

const [alice, bob] = ["age1alice", "age1bob"];

async function groupsOf(rule: string, path = "x"): Promise<unknown> {
  const found = await findCreationRule(parseSopsConfig(rule, ".sops.yaml"), path);
  return found?.groups.map((keys) =>
    keys.map(({ kind, id, role, context, profile }) =>
      [kind, id, role, profile, context && Object.fromEntries(context)].filter((part) => part !== undefined),
    ),
  );
}

const rule = (fields: string): string => `creation_rules:\n  - ${fields.replaceAll("\n", "\n    ")}\n`;

function refusalOf(run: () => unknown): Pick<SealwardError, "code" | "line" | "column" | "message"> {
  try {
    run();
  } catch (problem) {
    if (problem instanceof SealwardError) return problem;
    throw problem;
  }
  throw new Error("nothing was refused");
}

describe("the keys of a rule", () => {
  it.each<[string, string, unknown]>([
    [
      "a text with commas",
      "age: ' age1alice , ,age1bob,'",
      [
        [
          ["age", alice],
          ["age", bob],
        ],
      ],
    ],
    [
      "a folded text",
      "age: >-\n  age1alice,\n  age1bob",
      [
        [
          ["age", alice],
          ["age", bob],
        ],
      ],
    ],
    [
      "a list, whose items may hold commas",
      "age: [age1alice, 'age1bob, age1carol']",
      [
        [
          ["age", alice],
          ["age", bob],
          ["age", "age1carol"],
        ],
      ],
    ],
    ["nothing", "age:", [[]]],
    [
      "the same key twice, which flat fields keep",
      "age: age1bob,age1bob",
      [
        [
          ["age", bob],
          ["age", bob],
        ],
      ],
    ],
    [
      "fingerprints, without their blanks",
      "pgp: 'AB CD, EF01'",
      [
        [
          ["pgp", "ABCD"],
          ["pgp", "EF01"],
        ],
      ],
    ],
    [
      "an ARN with a role and the rule's profile",
      "kms: 'arn:aws:kms:r:1:key/k + arn:aws:iam::1:role/x'\naws_profile: dev",
      [[["kms", "arn:aws:kms:r:1:key/k", "arn:aws:iam::1:role/x", "dev"]]],
    ],
    ["resource ids", "gcp_kms: [projects/a]", [[["gcp_kms", "projects/a"]]]],
    [
      "hckms, which is a list",
      "hckms: ['eu:1', ' eu:2,eu:3 ']",
      [
        [
          ["hckms", "eu:1"],
          ["hckms", "eu:2"],
          ["hckms", "eu:3"],
        ],
      ],
    ],
    ["azure_keyvault", "azure_keyvault: https://v.example/keys/k/1", [[["azure_kv", "https://v.example/keys/k/1"]]]],
    [
      "hc_vault_transit_uri",
      "hc_vault_transit_uri: https://v.example/v1/transit/keys/k",
      [[["hc_vault", "https://v.example/v1/transit/keys/k"]]],
    ],
    [
      "all of them, in SOPS' order",
      "hc_vault_transit_uri: h\nazure_keyvault: z\nhckms: [c]\ngcp_kms: g\nkms: k\npgp: p\nage: a",
      [["age", "pgp", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault"].map((kind, at) => [kind, "apkgczh"[at]])],
    ],
  ])("%s", async (_, fields, expected) => {
    expect(await groupsOf(rule(fields))).toEqual(expected);
  });

  it("key groups override the flat fields, which are listed as overridden", async () => {
    const text = rule("age: age1alice\nkey_groups:\n- age: [age1bob]\n- hc_vault: [h]\n  age: ['a,b']");
    expect(await groupsOf(text)).toEqual([
      [["age", bob]],
      [
        ["age", "a"],
        ["age", "b"],
        ["hc_vault", "h"],
      ],
    ]);
    const found = await findCreationRule(parseSopsConfig(text, ".sops.yaml"), "x");
    expect(found?.unused).toEqual([
      { name: "age", why: "overridden", place: { file: ".sops.yaml", line: 2, column: 5 } },
    ]);
  });

  it("a key group has maps for keys of clouds, and each key once", async () => {
    const group = `key_groups:
- kms:
  - {arn: k, role: r, context: {b: '2', a: 1}, aws_profile: p}
  - {arn: k, role: r, context: {a: 1, b: '2'}, aws_profile: p}
  - {arn: k}
  gcp_kms: [{resource_id: g}]
  hckms: [{key_id: c}]
  azure_keyvault: [{vaultUrl: u, key: n, version: v}, {vaultUrl: u, key: n}]
  pgp: [A B]`;
    expect(await groupsOf(rule(group))).toEqual([
      [
        ["pgp", "AB"],
        ["kms", "k", "r", "p", { a: "1", b: "2" }],
        ["kms", "k"],
        ["gcp_kms", "g"],
        ["hckms", "c"],
        ["azure_kv", "u/keys/n/v"],
        ["azure_kv", "u/keys/n"],
      ],
    ]);
  });

  it("what a group merges in comes first, recursively, each key once", async () => {
    const text = `groups:
  - &ops {age: [age1alice], pgp: [P]}
  - &all {merge: [*ops], age: [age1bob]}
creation_rules:
  - key_groups:
      - merge: [*all, *ops]
        age: [age1alice, age1carol]
`;
    expect(await groupsOf(text)).toEqual([
      [
        ["age", alice],
        ["pgp", "P"],
        ["age", bob],
        ["age", "age1carol"],
      ],
    ]);
    const found = await findCreationRule(parseSopsConfig(text, "f"), "x");
    expect(found?.groups[0]?.map(({ origin, place }) => [origin, place.line])).toEqual([
      ["merge", 2],
      ["merge", 2],
      ["merge", 3],
      ["group", 7],
    ]);
  });
});

describe("anchors and merge keys", () => {
  it("an alias stands for a recipient, a list, a group and a rule; the last anchor of a name before it counts", async () => {
    const text = `keys:
  - &one age1alice
  - &one age1bob
  - &two [*one, age1carol]
  - &rule {path_regex: ^a, age: *two}
creation_rules: [*rule, {age: [*one]}]
`;
    expect(await groupsOf(text, "a")).toEqual([
      [
        ["age", bob],
        ["age", "age1carol"],
      ],
    ]);
    expect(await groupsOf(text, "b")).toEqual([[["age", bob]]]);
    expect(parseSopsConfig(text, "f").unused).toEqual([]);
  });

  it("a merge key brings in what a rule does not say itself; the first of several wins", async () => {
    const text = `x-base: &base {age: age1alice, encrypted_regex: ^data$, mac_only_encrypted: yes}
x-more: &more {age: age1bob, pgp: P, <<: *base}
creation_rules:
  - {path_regex: ^a, <<: [*base, *more]}
  - <<: *more
    age:
    pgp: "Q"
`;
    expect(await groupsOf(text, "a")).toEqual([
      [
        ["age", alice],
        ["pgp", "P"],
      ],
    ]);
    expect(await groupsOf(text, "b")).toEqual([[["pgp", "Q"]]]);
    expect(await findCreationRule(parseSopsConfig(text, "f"), "b")).toMatchObject({
      selection: { name: "encrypted_regex", pattern: "^data$" },
      macOnlyEncrypted: true,
    });
  });

  it.each([
    ["an alias without an anchor", "creation_rules: *none\n", 1, 17],
    ["an alias inside of what it names", "creation_rules:\n  - key_groups: [&g {merge: [*g]}]\n", 2, 30],
    ["a merge of something that is no map", "a: &a [x]\ncreation_rules:\n  - {<<: [*a]}\n", 3, 11],
  ])("%s is refused", (_, text, line, column) => {
    expect(refusalOf(() => parseSopsConfig(text, "f"))).toMatchObject({ code: "config-invalid", line, column });
  });

  it("aliases that multiply are refused at once", () => {
    const levels = Array.from({ length: 60 }, (_, at) => `  - &l${at + 1} {merge: [*l${at}, *l${at}]}`).join("\n");
    const bomb = `keys:\n  - &l0 {age: [age1alice]}\n${levels}\ncreation_rules: [{key_groups: [*l60]}]\n`;
    expect(refusalOf(() => parseSopsConfig(bomb, "f"))).toMatchObject({ code: "config-invalid" });
    const chain = `keys:\n  - &l0 {age: [age1alice]}\n${levels.replaceAll(/, \*l\d+\]/g, "]")}\n`;
    expect(parseSopsConfig(`${chain}creation_rules: [{key_groups: [*l60]}]\n`, "f").rules).toHaveLength(1);
    const commas = `keys: [&k "${"a,".repeat(9000)}a"]\ncreation_rules: [{age: [*k, *k, *k]}]\n`;
    expect(refusalOf(() => parseSopsConfig(commas, "f"))).toMatchObject({ code: "config-invalid" });
  });
});

describe("which rule matches", () => {
  const config = parseSopsConfig(
    `creation_rules:
  - {path_regex: '^prod/', age: a}
  - {path_regex: 'pro[[:alpha:]]', age: b}
  -
  - {path_regex: '(?i)STAGING/.*\\.ya?ml\\z', age: c}
  - {path_regex: 123, age: d}
  - {path_regex: '', age: e}
  - {age: f}
`,
    "f",
  );
  it.each([
    ["prod/x", 0],
    ["./prod/x", 1],
    ["/abs/prod/x", 1],
    ["a/staging/b/c.yml", 2],
    ["123", 3],
    ["other", 4],
  ])("%s: %i", async (path, index) => {
    expect((await findCreationRule(config, path))?.index).toBe(index);
  });

  it("the first, as for a naive reference", async () => {
    const pattern = fc.constantFrom("^a", "b$", "a/b", "c", "^a/.*c$", "[bc]/", "\\.", "");
    const path = fc.array(fc.constantFrom("a", "b", "c", "/", "."), { maxLength: 8 }).map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(fc.array(pattern, { maxLength: 6 }), path, async (patterns, candidate) => {
        const text = `creation_rules: ${JSON.stringify(patterns.map((path_regex) => ({ path_regex })))}\n`;
        const found = await findCreationRule(parseSopsConfig(text, "f"), candidate);
        const expected = patterns.findIndex((one) => new RegExp(one).test(candidate));
        expect(found?.index ?? -1).toBe(expected);
      }),
      { seed: 11, numRuns: 500 },
    );
  });

  it.each([
    ["no content", "# nothing\n", null],
    ["no creation_rules", "stores: {yaml: {indent: 2}}\n", null],
    ["creation_rules without a value", "creation_rules:\n", null],
    ["an empty list", "creation_rules: []\n", []],
  ])("%s is told apart", async (_, text, rules) => {
    const empty = parseSopsConfig(text, "f");
    expect(empty.rules).toEqual(rules);
    expect(await findCreationRule(empty, "x")).toBeNull();
  });

  it("a pattern that does not compile is refused if it is reached, with its place", async () => {
    const broken = parseSopsConfig("creation_rules:\n  - {path_regex: ^a}\n  - path_regex: '(?=b)'\n", "f");
    expect((await findCreationRule(broken, "a"))?.index).toBe(0);
    await expect(findCreationRule(broken, "b")).rejects.toMatchObject({
      code: "pattern-invalid",
      file: "f",
      line: 3,
      column: 17,
    });
  });

  it("two selection fields are refused in the rule that is used", async () => {
    const two = parseSopsConfig(
      "creation_rules:\n  - {path_regex: ^a}\n  - encrypted_suffix: _x\n    unencrypted_comment_regex: y\n",
      "f",
    );
    expect((await findCreationRule(two, "a"))?.selection).toBeNull();
    await expect(findCreationRule(two, "b")).rejects.toMatchObject({ code: "config-invalid", line: 4, column: 5 });
  });

  it.each([
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
  ])("%s is read", async (name) => {
    const found = await findCreationRule(parseSopsConfig(rule(`${name}: ^a`), "f"), "x");
    expect(found?.selection).toEqual({ name, pattern: "^a" });
  });

  it.each([
    ["true", true],
    ["True", true],
    ["on", true],
    ["'yes'", true],
    ["no", false],
    ["", false],
  ])("mac_only_encrypted: %s", async (text, flag) => {
    const found = await findCreationRule(
      parseSopsConfig(rule(`mac_only_encrypted: ${text}\nshamir_threshold: 0x2`), "f"),
      "x",
    );
    expect(found).toMatchObject({ macOnlyEncrypted: flag, shamirThreshold: 2 });
  });
});

describe("what SOPS would skip or take for something else", () => {
  it.each([
    ["path-regex: a", "path_regex"],
    ["path_regexp: a", "path_regex"],
    ["pathRegex: a", "path_regex"],
    ["regex: a", "path_regex"],
    ["path: a", "path_regex"],
    ["encypted_regex: a", "encrypted_regex"],
    ["age_recipients: a", "age"],
    ["azure_kv: a", "azure_keyvault"],
    ["hc_vault: [a]", "hc_vault_transit_uri"],
    ["PGP: a", "pgp"],
    ["mac-only-encrypted: true", "mac_only_encrypted"],
    ["key_groups: [{hc_vault_transit_uri: [a]}]", "hc_vault"],
    ["key_groups: [{azure_keyvault: [{vault_url: u, key: k}]}]", "vaultUrl"],
    ["key_groups: [{kms: [{Arn: a}]}]", "arn"],
  ])("%s is refused, with %s", (fields, meant) => {
    const problem = refusalOf(() => parseSopsConfig(rule(fields), "f"));
    expect(problem).toMatchObject({
      code: "config-invalid",
      line: 2,
      message: expect.stringContaining(`did you mean ${meant}?`),
    });
  });

  it("a key that is close to creation_rules is refused", () => {
    expect(refusalOf(() => parseSopsConfig("creation-rules: []\n", "f"))).toMatchObject({
      code: "config-invalid",
      line: 1,
      column: 1,
    });
  });

  it.each(["description: x", "comment: x", "owner: team", "x-note: 1", "encryption_context: a"])(
    "%s is listed as unused",
    async (fields) => {
      const found = await findCreationRule(parseSopsConfig(rule(fields), "f"), "x");
      expect(found?.unused).toMatchObject([{ name: fields.split(":")[0], why: "unknown" }]);
    },
  );

  it("outside of the rules, what is not used is listed, but for what holds anchors", () => {
    const text = "people: [&a age1]\nversion: 3\nstores: {}\ndestination_rules: [{s3_bucket: b}]\n";
    expect(parseSopsConfig(text, "f").unused.map(({ name, why }) => [name, why])).toEqual([
      ["version", "unknown"],
      ["stores", "not-used"],
      ["destination_rules", "not-used"],
    ]);
  });

  it.each<[string, string, number, number]>([
    ["a number where a key belongs", "age: 123", 2, 10],
    ["an empty item in a list of keys", "age: [age1alice, '']", 2, 22],
    ["an item without a value", "age: [age1alice, ~]", 2, 22],
    ["hckms as a text", "hckms: a", 2, 12],
    ["age of a group as a text", "key_groups: [{age: a}]", 2, 24],
    ["a KMS key of a group as a text", "key_groups: [{kms: [a]}]", 2, 25],
    ["a KMS key without arn", "key_groups: [{kms: [{role: r}]}]", 2, 25],
    ["a group that is no map", "key_groups: [a]", 2, 18],
    ["a list for a path_regex", "path_regex: [a]", 2, 17],
    ["a quoted number of groups", "shamir_threshold: '2'", 2, 23],
    ["a negative number of groups", "shamir_threshold: -1", 2, 23],
    ["a quoted true", "mac_only_encrypted: 'true'", 2, 25],
  ])("%s is refused", (_, fields, line, column) => {
    expect(refusalOf(() => parseSopsConfig(rule(fields), "f"))).toMatchObject({ code: "config-invalid", line, column });
  });

  it.each<[string, string]>([
    ["broken YAML", "creation_rules: [\n"],
    ["several documents", "creation_rules: []\n---\na: 1\n"],
    ["a list", "- a\n"],
    ["a map of rules", "creation_rules: {age: a}\n"],
    ["a key that stands twice", "creation_rules: []\ncreation_rules: []\n"],
  ])("%s is refused", (_, text) => {
    expect(refusalOf(() => parseSopsConfig(text, "f")).code satisfies ErrorCode).toBe("config-invalid");
  });

  it.each(["age: [[CANARY]]", "shamir_threshold: CANARY", "mac_only_encrypted: CANARY", "kms: [{CANARY: CANARY}]"])(
    "the message for %s quotes no value",
    (fields) => {
      expect(refusalOf(() => parseSopsConfig(rule(fields), "f")).message).not.toContain("CANARY");
    },
  );
});

describe("the explanation of a rule", () => {
  it("says which rule decided, from which line each key came, and what is encrypted", async () => {
    const text = `x: &g {age: [age1alice]}
creation_rules:
  - {path_regex: ^a/, age: age1bob}
  - path_regex: ^b/
    age: age1carol
    key_groups:
      - {merge: [*g], kms: [{arn: k, role: r, aws_profile: p, context: {c: d}}]}
      - {pgp: [P]}
    encrypted_regex: ^data$
    note: for b
`;
    const config = parseSopsConfig(text, "f");
    const [flat, grouped] = [await findCreationRule(config, "a/x"), await findCreationRule(config, "b/x")];
    if (flat === null || grouped === null) throw new Error("no rule");
    expect(explainRule(flat)).toEqual({
      rule: "creation rule 1",
      place: { file: "f", line: 3, column: 5 },
      because: "its path_regex is the first that matches: ^a/",
      groups: [
        {
          keys: [
            {
              kind: "age",
              id: bob,
              details: [],
              from: "field age of the rule",
              place: { file: "f", line: 3, column: 28 },
            },
          ],
        },
      ],
      needed: "any one of the keys",
      selection: "every value but those under a key that ends in _unencrypted (SOPS' default)",
      mac: "covers every value",
      unused: [],
    });
    expect(explainRule(grouped)).toMatchObject({
      groups: [
        {
          keys: [
            { id: alice, from: "key group 1, merged in", place: { line: 1 } },
            { id: "k", details: ["role r", "profile p", "context c=d"], from: "key group 1" },
          ],
        },
        { keys: [{ id: "P", from: "key group 2" }] },
      ],
      needed: "one key of each of 2 of the 2 key groups",
      selection: "only values under a key that matches ^data$ (encrypted_regex)",
      unused: [
        { text: "note is no field of .sops.yaml and has no effect", place: { line: 10 } },
        { text: "age has no effect, because the rule has key_groups", place: { line: 5 } },
      ],
    });
  });
});
