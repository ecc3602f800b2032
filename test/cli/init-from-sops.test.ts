// seal init --from-sops: what seal.yaml gets from .sops.yaml, what it says of the rest, and that sealing works with it.
import { describe, expect, test } from "vitest";
import { generateAgeIdentity, parseConfig } from "../../src/index.ts";
import { type GitDir, gitdir, manifest, succeed } from "./gitdir.ts";

const people = [1, 2, 3].map(() => generateAgeIdentity());
const [a = "", b = "", c = ""] = people.map(({ identity }) => identity.recipient);
const [keyA = ""] = people.map(({ secretKey }) => secretKey);

const withRules = (rules: string): GitDir =>
  gitdir({ ".sops.yaml": `creation_rules:\n${rules.replace(/^(?=.)/gm, "  ")}` });
const environmentsOf = (dir: GitDir): Record<string, { recipients: readonly string[]; paths: readonly string[] }> =>
  Object.fromEntries(
    [...parseConfig(dir.read("seal.yaml"), "seal.yaml").environments].map(([name, policy]) => [
      name,
      { recipients: policy.ageRecipients, paths: policy.paths },
    ]),
  );

describe("init --from-sops", () => {
  test("each rule becomes an environment, and sealing, checking and opening work with it", async () => {
    const dir = withRules(`- {path_regex: '^deploy/prod/.*', age: '${a},${c}', encrypted_regex: '^(data|stringData)$'}
- path_regex: ^deploy/staging/[^/]+\\.ya?ml$
  age: [${b}, ${c}]
`);
    const { stdout, stderr } = await succeed(dir.run(["init", "--from-sops"]));
    expect(stdout).toBe("");
    expect(environmentsOf(dir)).toEqual({
      prod: { recipients: [a, c], paths: ["deploy/prod/**/*"] },
      staging: { recipients: [b, c], paths: ["deploy/staging/?*.yaml", "deploy/staging/?*.yml"] },
    });
    expect(parseConfig(dir.read("seal.yaml"), "seal.yaml").recovery).toEqual({ age: [], kms: [] });
    expect(
      stderr,
    ).toBe(`wrote seal.yaml with prod, staging from .sops.yaml, and *.plain.yaml, *.agekey into .gitignore; commit both
note: ${c} opens every environment; if it is kept offline for the worst case, list it under recovery in seal.yaml
From here on seal reads seal.yaml and not .sops.yaml, which stays for sops. Files that sops encrypted: \`seal bind FILE\`, then \`seal check\`.
`);
    for (const [env, file] of [
      ["prod", "deploy/prod/db.yaml"],
      ["staging", "deploy/staging/db.yaml"],
    ] as const) {
      dir.write(file, manifest());
      await succeed(dir.run(["encrypt", "-i", file]));
      expect(dir.read(file)).toContain(`environment: ${env}`);
    }
    await succeed(dir.run(["check"]));
    const opened = await succeed(dir.run(["decrypt", "deploy/prod/db.yaml"], { env: { SOPS_AGE_KEY: keyA } }));
    expect(opened.stdout).toContain("canary");
    const other = await dir.run(["decrypt", "deploy/staging/db.yaml"], { env: { SOPS_AGE_KEY: keyA } });
    expect([other.code, other.stderr]).toEqual([5, expect.stringContaining("(identity-unmatched)")]);
  });

  test("a recovery recipient is one only if the flag says so", async () => {
    const rules = `- {path_regex: ^prod/, age: '${a},${c}'}\n- {path_regex: ^dev/, age: '${c}'}\n`;
    const dir = withRules(rules);
    const { stderr } = await succeed(dir.run(["init", "--from-sops", ".sops.yaml", "--recovery", c]));
    expect(stderr).not.toContain("opens every environment");
    const config = parseConfig(dir.read("seal.yaml"), "seal.yaml");
    expect(config.recovery).toEqual({ age: [c], kms: [] });
    expect(environmentsOf(dir)).toMatchObject({ prod: { recipients: [a, c] }, dev: { recipients: [c] } });
    expect(dir.read("seal.yaml").match(new RegExp(c, "g"))).toHaveLength(2);
  });

  test("what cannot be carried over stands beside its environment, and on stderr", async () => {
    const dir = withRules(`- path_regex: ^prod/
  age: ${a}, age1yubikey1qqq
  pgp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21
  kms: arn:aws:kms:eu-west-1:1:key/k+arn:aws:iam::1:role/r
  encrypted_regex: ^password$
  mac_only_encrypted: true
  note: x
- path_regex: ^shared/
  pgp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21
- path_regex: ^split/
  key_groups: [{age: [${a}]}, {age: [${b}]}]
- path_regex: ^dev/
  age: ${c}
  key_groups: [{age: [${b}]}]
`);
    const { stderr } = await succeed(dir.run(["init", "--from-sops"]));
    expect(environmentsOf(dir)).toEqual({
      prod: { recipients: [a], paths: ["prod/**/*"] },
      dev: { recipients: [b], paths: ["dev/**/*"] },
    });
    const text = dir.read("seal.yaml");
    for (const lost of [
      "age age1yubikey1qqq (line 3): ",
      "pgp 85d77543b3d624b63cea9e6dbc17301b491b3f21 (line 4): a kind of key that seal.yaml does not have",
      "kms arn:aws:kms:eu-west-1:1:key/k role arn:aws:iam::1:role/r (line 5): ",
      'encrypted_regex "^password$": data and stringData are encrypted',
      "mac_only_encrypted: ",
      "note: no field of .sops.yaml",
      "age: key_groups overrode it",
    ]) {
      expect(text).toContain(`    # Not carried over: ${lost}`);
      expect(stderr).toContain(`not carried over: ${lost}`);
    }
    expect(text).toContain(
      '\n# Not carried over: creation rule 2 (line 9, path_regex "^shared/"): it has no age recipient',
    );
    expect(text).toContain("\n# Not carried over: creation rule 3 (line 11, ");
    expect(stderr).toContain(
      'creation rule 3 (line 11, path_regex "^split/") is not carried over: it takes keys of 2 of 2',
    );
  });

  test("KMS keys are taken over, and what of them stands elsewhere is said", async () => {
    const key = "arn:aws:kms:eu-west-1:111122223333:alias/prod";
    const role = "arn:aws:iam::111122223333:role/sops";
    const dir = withRules(
      `- path_regex: ^prod/\n  key_groups:\n  - kms: [{arn: "${key}", role: "${role}", context: {app: x}}]\n    age: [${a}]\n`,
    );
    await succeed(dir.run(["init", "--from-sops"]));
    const text = dir.read("seal.yaml");
    expect(parseConfig(text, "seal.yaml").environments.get("prod")).toMatchObject({
      ageRecipients: [a],
      kmsRecipients: [key],
    });
    expect(text).toMatch(/# .*kms arn:\S+ role arn:\S+ with an encryption context \(line 4\): who calls it stands in/);
  });

  test("an identity that stands among recipients comes back nowhere", async () => {
    const dir = withRules(`- {path_regex: ^prod/, age: ['${a}', '${keyA}'], pgp: '${keyA}', kms: '${keyA}'}\n`);
    const { stderr } = await succeed(dir.run(["init", "--from-sops"]));
    const secret = keyA.slice("AGE-SECRET-KEY-1".length).toLowerCase();
    expect(`${stderr}${dir.read("seal.yaml")}`.toLowerCase()).not.toContain(secret);
    expect(stderr).toContain(
      "age recipient (line 2): An age identity (a secret key) stands where a recipient is expected",
    );
  });

  test("paths are left out where they would not be exactly those of the rule", async () => {
    const dir = withRules(`- {path_regex: '^prod/', age: ${a}}
- {path_regex: '^qa/[a-z]+/', age: ${b}}
- {path_regex: '^dev/', age: ${c}}
- {age: ${b}}
`);
    const { stderr } = await succeed(dir.run(["init", "--from-sops", "--env", "other"]));
    expect(environmentsOf(dir)).toMatchObject({
      prod: { paths: ["prod/**/*"] },
      qa: { paths: [] },
      dev: { paths: [] },
      other: { paths: [] },
    });
    expect(stderr).toContain("paths: no globs match exactly what path_regex matches");
    expect(stderr).toContain("paths: creation rule 2 comes first and may match some of dev/**/*: write them by hand");
    expect(stderr).toContain("creation rule 4 (line 5, no path_regex), paths: it matches every path");
  });

  test("a rule behind one that has a part of its paths gets none; one that only odd paths share keeps them", async () => {
    const dir = withRules(`- {path_regex: '^prod/', age: ${a}}
- {path_regex: '\\.yaml$', age: ${b}}
`);
    await succeed(dir.run(["init", "--from-sops", "--env", "prod", "rest"]));
    expect(environmentsOf(dir)).toMatchObject({ prod: { paths: ["prod/**/*"] }, rest: { paths: [] } });
    const odd = withRules(`- {path_regex: /prod/, age: ${a}}\n- {path_regex: /staging/, age: ${b}}\n`);
    const { stderr } = await succeed(odd.run(["init", "--from-sops"]));
    expect(environmentsOf(odd)).toMatchObject({ staging: { paths: ["**/*/staging/**/*"] } });
    expect(stderr).toContain("a path that creation rule 1 matches as well needs --env");
  });

  test("rules of one name and the same recipients are one environment, with paths only if all have some", async () => {
    const dir = withRules(`- {path_regex: '^prod/.*\\.yaml$', age: '${a},${b}'}
- {path_regex: '^prod/.*\\.json$', age: '${b},${a}'}
- {path_regex: '^dev/', age: ${c}}
- {path_regex: 'dev.yaml$', age: ${c}}
`);
    const { stderr } = await succeed(dir.run(["init", "--from-sops"]));
    expect(environmentsOf(dir)).toEqual({
      prod: { recipients: [a, b], paths: ["prod/**/*.yaml", "prod/**/*.json"] },
      dev: { recipients: [c], paths: [] },
    });
    expect(stderr).toContain("another rule of this environment has none, so dev/**/* is not here");
  });

  test("a name that the rule does not have is asked for, or named in order", async () => {
    const rules = `- {path_regex: '^clusters/eu_west/', age: ${a}}\n- {path_regex: '(prod|live-?)x', age: ${b}}\n- {age: ${c}}\n`;
    const silent = withRules(rules);
    const { code, stderr } = await silent.run(["init", "--from-sops"]);
    expect([code, silent.has("seal.yaml"), silent.has(".gitignore")]).toEqual([2, false, false]);
    expect(stderr).toContain("Cannot tell the environment's name of creation rule 3 (line 4, no path_regex) (usage)");
    expect(stderr).toContain("`--env NAME`");
    const asked = withRules(rules);
    await succeed(asked.run(["init", "--from-sops"], { isTty: true, answers: [" rest "] }));
    expect(Object.keys(environmentsOf(asked))).toEqual(["eu-west", "prod", "rest"]);
    const named = withRules(rules);
    await succeed(named.run(["init", "--from-sops", "--env", "one", "two", "three", "--namespace", "two=shop"]));
    expect(Object.keys(environmentsOf(named))).toEqual(["one", "two", "three"]);
    expect(parseConfig(named.read("seal.yaml"), "f").environments.get("two")?.namespaces).toEqual(["shop"]);
  });

  test.each<[string, Record<string, string>, readonly string[], number, string]>([
    ["no .sops.yaml", {}, [], 4, "(config-missing)"],
    ["a FILE that is not there", {}, ["none.yaml"], 6, "(file-missing)"],
    [
      "one in another folder",
      { "sub/.sops.yaml": `creation_rules: [{age: ${a}}]\n` },
      ["sub/.sops.yaml"],
      2,
      "relative to its folder",
    ],
    ["no rules", { ".sops.yaml": "stores: {}\n" }, [], 4, "no creation rule (rule-missing)"],
    ["rules without age", { ".sops.yaml": "creation_rules: [{pgp: P}]\n" }, [], 5, "(recipients-unnamed)"],
    [
      "a typo",
      { ".sops.yaml": `creation_rules: [{path-regex: x, age: ${a}}]\n` },
      [],
      4,
      ".sops.yaml:1:19: A creation rule has no key",
    ],
    [
      "two environments of one name",
      { ".sops.yaml": `creation_rules: [{path_regex: a, age: ${a}}, {age: ${b}}]\n` },
      ["--env", "x", "x"],
      2,
      "their recipients differ",
    ],
    ["a bad name", { ".sops.yaml": `creation_rules: [{age: ${a}}]\n` }, ["--env", "X y"], 2, "lower-case"],
    ["the recovery name", { ".sops.yaml": `creation_rules: [{age: ${a}}]\n` }, ["--env", "recovery"], 2, '"recovery"'],
    [
      "too many names",
      { ".sops.yaml": `creation_rules: [{path_regex: prod, age: ${a}}]\n` },
      ["--env", "x", "y"],
      2,
      "--env names all 1 rules or none",
    ],
    ["--recipient", { ".sops.yaml": "" }, ["--recipient", `prod=${a}`], 2, "do not go with it"],
    ["a recovery identity", { ".sops.yaml": "" }, ["--recovery", "AGE-SECRET-KEY-1QQQQ"], 5, "Cannot use --recovery"],
    [
      "a seal.yaml",
      {
        "seal.yaml": `version: 1\nenvironments: {prod: {recipients: {age: ${a}}}}\n`,
        ".sops.yaml": `creation_rules: [{age: ${a}}]\n`,
      },
      [],
      6,
      "(file-exists)",
    ],
  ])("refuses %s, and writes nothing", async (_, files, flags, exit, message) => {
    const dir = gitdir(files);
    const before = dir.snapshot();
    const { code, stderr } = await dir.run(["init", "--from-sops", ...flags]);
    expect([code, stderr]).toEqual([exit, expect.stringContaining(message)]);
    expect(dir.snapshot()).toEqual(before);
  });
});
