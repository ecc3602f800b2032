// Grammars of everything that Sealward reads, and texts made from them: `<name>` stands for one of the productions of
// that name. `S3CR3T` marks what must never be seen in the clear once its file is sealed.
import type { StoreName } from "../../src/index.ts";
import type { Random } from "./random.ts";

export type Grammar = Readonly<Record<string, readonly string[]>>;

export const canary = "S3CR3T";
/** Long enough that a Secret which repeats it in the clear is refused. */
export const longSecret = "S3CR3T-value";

const words: Grammar = {
  word: ["a", "b", "key", "password", "A_B", "x.y", "1", "0x1F", "ключ", "data", "k-1"],
  value: [
    canary,
    `${canary} <word>`,
    "<word>",
    "42",
    "-1.5e3",
    "true",
    "null",
    "2024-01-02",
    "~",
    "",
    "99999999999999999999",
  ],
};

const yaml: Grammar = {
  ...words,
  start: [
    "<map>",
    "<map>",
    "---\n<map>",
    "<map>---\n<map>",
    "<map>...\n",
    "# <value>\n<map>",
    "\ufeff<map>",
    "[<value>]\n",
  ],
  map: ["<pair>", "<pair><pair>", "<pair><pair><pair>", "<comment><pair>", "<pair>\n<comment>"],
  pair: [
    "<key>: <scalar>\n",
    "<key>: <scalar> # <value>\n",
    "<key>:\n  <key>: <scalar>\n  <key>:\n    <key>: <flow>\n",
    "<key>:\n- <scalar>\n<comment>- <key>: <scalar>\n  <key>: <scalar>\n-\n  - <scalar>\n",
    "<key>: |<chomp>\n  <value>\n\n  <value>\n",
    "<key>: ><chomp>\n    <value>\n     <value>\n",
    "<key>: <flow>\n",
    "? <key>\n: <scalar>\n",
    "? - <key>\n: <scalar>\n",
    "<key>: &a <scalar>\n<key>: *a\n",
    "<key>: &m {<key>: <scalar>}\n<key>:\n  <<: *m\n  <key>: <scalar>\n",
    "<key>:\n",
  ],
  key: ["<word>", "<word>", "'<word>'", '"<word>"', "<word>_unencrypted", "<<", "sops", "?", "- ", ""],
  scalar: [
    "<value>",
    "'<value>'",
    '"<value>"',
    '"\\u0041\\n<value>"',
    "!!str <value>",
    "!!binary aGVsbG8=",
    "!x <value>",
    "[]",
  ],
  flow: [
    "{<key>: <scalar>}",
    "[<scalar>, <scalar>]",
    "[{<key>: <flow>}, <flow>]",
    "{}",
    "{<key>: <scalar>, <key>: <scalar>,}",
  ],
  chomp: ["", "-", "+", "2", "-1"],
  comment: ["# <value>\n", "  # <value>\n", "#\n", "\n"],
};

const json: Grammar = {
  ...words,
  start: ["<object>", "<object>\n", " <object> ", "<array>", "\ufeff<object>"],
  object: ["{}", "{<pair>}", "{ <pair> ,\n\t<pair> }", "{<pair>,<pair>,<pair>}"],
  pair: ['"<word>": <any>', '"\\u0061<word>" :<any>', '"sops": <any>', '"": <any>', '"<word>_unencrypted": <any>'],
  any: [
    `"${canary}"`,
    '"<value>"',
    "12",
    "-0.5e-7",
    "true",
    "null",
    "<object>",
    "<array>",
    "1e400",
    "123456789012345678901",
  ],
  array: ["[]", "[<any>]", "[<any>, <any> ,<any>]", "[[<any>]]"],
};

const dotenv: Grammar = {
  ...words,
  start: ["<line>", "<line><line>", "<line><line><line><line>"],
  line: [
    "<word>=<value>\n",
    "<word>=<value>\n",
    '<word>="<value>"\n',
    "<word>=\n",
    "#<value>\n",
    "# <value>=<value>\n",
    "\n",
    "export <word>=<value>\n",
    "<word>=<value>\r\n",
    "<word>=a\\n<value>\n",
    "sops_mac=<value>\n",
    " <word>=<value>\n",
    "<word>\n",
  ],
};

const ini: Grammar = {
  ...words,
  start: ["<line>", "<section><line>", "<line><section><line><line><section><line>"],
  section: ["[<word>]\n", "[ <word> ]\n", "[<word>.<word>]\n", "[sops]\n", "[DEFAULT]\n"],
  line: [
    "<word>=<value>\n",
    "<word> = <value>\n",
    "<word> : <value>\n",
    ";<value>\n",
    "# <value>\n",
    "\n",
    '<word> = """<value>\n<value>"""\n',
    "<word> = `<value>`\n",
    "<word> = <value> \\\n  <value>\n",
    '"<word>" = "<value>"\n',
    "<word> = <value> ; <value>\n",
    "- = <value>\n",
  ],
};

const binary: Grammar = {
  ...words,
  start: [`${canary}\0\u00ff<value>`, "<value>\n", "{<value>}", "<value><value><value>"],
};

/** Of plain files, by store. */
export const stores: Readonly<Record<StoreName, Grammar>> = { yaml, json, dotenv, ini, binary };

export const secret: Grammar = {
  ...words,
  start: [
    "<head><meta><body>",
    "# <value>\n<head><meta><body>",
    "<head><body><meta>",
    "<head><meta><body>---\n<head><meta><body>",
  ],
  head: ["apiVersion: v1\nkind: Secret\n", "kind: Secret\napiVersion: v1\n", "apiVersion: v1\nkind: List\nitems: []\n"],
  meta: [
    "metadata:\n  name: db\n  namespace: payments\n",
    "metadata: {name: db, namespace: payments}\n",
    "metadata:\n  name: db\n  namespace: payments\n  labels:\n    app: <word>\n  annotations:\n    <word>: <value>\n",
    "metadata:\n  name: db\n",
  ],
  body: [
    `type: Opaque\nstringData:\n  <word>: ${longSecret}\n`,
    `stringData:\n  a: ${longSecret}\n  b: |\n    <value>\n  c: '<value>'\ndata:\n  <word>: UzNDUjNU\n`,
    "data:\n  <word>: <value>\n",
    `stringData:\n  # ${longSecret}\n  <word>: "<value>" # <value>\nimmutable: true\n`,
    "stringData: {<word>: <value>}\n",
  ],
};

export const sealYaml: Grammar = {
  ...words,
  start: [
    "<version>environments:\n<env><env>",
    "environments:\n<env><version>",
    "<version>recovery:\n  age: <keys>\nenvironments:\n<env>",
  ],
  version: ["version: 1\n", "", "version: 2\n"],
  env: [
    "  <name>:\n    age: <keys>\n    paths: [<glob>]\n",
    "  <name>:\n    age: <keys>\n    paths:\n      - <glob>\n      - <glob>\n    namespaces: [<glob>]\n    scope: <scope>\n",
    "  <name>: {age: <keys>, paths: [<glob>], scopes: [<scope>, <scope>]}\n",
  ],
  name: ["prod", "staging", "Prod", "<word>"],
  scope: ["strict", "namespace", "environment", "<word>"],
  keys: ["[age1dg0asl4fdje7y2fp58zzkvj9rjj5qeg2k2lamse6fwa8d62c0f8qqjuu8n]", "<word>", "[ssh-ed25519 AAAA]", "[]"],
  glob: [
    '"<path>"',
    '"<path>/<path>"',
    '"**/<path>/**"',
    "'*'",
    '"*<path>*<path>*"',
    '"[<path>]"',
    '"!(<path>)"',
    '"{<path>,<path>}"',
  ],
  path: ["prod", "**", "*", "?", "a", "..", ".", "/", "\\"],
};

export const sopsYaml: Grammar = {
  ...words,
  start: [
    "creation_rules:\n<rule>",
    "creation_rules:\n<rule><rule><rule>",
    "stores:\n  yaml:\n    indent: 2\ncreation_rules:\n<rule>",
  ],
  rule: [
    "  - path_regex: <regex>\n    age: <keys>\n",
    "  - path_regex: '<regex>'\n    encrypted_regex: <regex>\n    age: >-\n      <keys>,\n      <keys>\n",
    "  - key_groups:\n      - age: [<keys>]\n      - pgp: [<word>]\n        kms:\n          - arn: arn:aws:kms:eu-west-1:1:key/<word>\n            context: {<word>: <word>}\n    shamir_threshold: 2\n",
    "  - &r\n    age: <keys>\n  - <<: *r\n    kms: arn:aws:kms:eu-west-1:1:key/a\n",
    "  - pgp: <word>\n    mac_only_encrypted: true\n    unencrypted_suffix: <word>\n    encrypted_suffix: <word>\n",
  ],
  keys: ["age1dg0asl4fdje7y2fp58zzkvj9rjj5qeg2k2lamse6fwa8d62c0f8qqjuu8n", "<word>", ""],
  regex: [
    "\\.yaml$",
    "^prod/<regex>",
    "(<regex>|<regex>)",
    "[^/]*",
    ".*",
    "<regex>+",
    "<regex>{2,5}",
    "(?i)<word>",
    "(?=a)",
    "[",
  ],
};

export const identities: Grammar = {
  ...words,
  start: ["<line>", "<line><line>", "<line><line><line>"],
  line: [
    "# created: 2026-01-01\n",
    "AGE-SECRET-KEY-1<bech>\n",
    "AGE-SECRET-KEY-PQ-1<bech>\n",
    "AGE-PLUGIN-YUBIKEY-1<bech>\n",
    "age1<word>\n",
    "\n",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n<base64>\n-----END OPENSSH PRIVATE KEY-----\n",
    "-----BEGIN RSA PRIVATE KEY-----\n<base64>\n-----END RSA PRIVATE KEY-----\n",
    "-----BEGIN AGE ENCRYPTED FILE-----\n<base64>\n-----END AGE ENCRYPTED FILE-----\n",
  ],
  bech: ["QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQS", "<bech>Q", "<bech><bech>", "1"],
  base64: [
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQ",
    "<base64>AAAA",
    "<base64>\n<base64>",
    "====",
  ],
};

export const paths: Grammar = {
  ...words,
  start: ["<part>", "<part><part>", "<regex>"],
  part: ['["<word>"]', "['<word>']", "[<digit>]", '["\\u0041<word>"]', "[", '["'],
  digit: ["0", "1", "999999999999"],
  regex: [
    "^<regex>$",
    ".*<regex>",
    "(<regex>|<regex>)",
    "<word>/<regex>",
    "[^/]+",
    "\\.yaml",
    "(<regex>)?",
    "<regex>\\",
  ],
};

/** A text of the grammar. Beyond a depth of 12 what stands for something is left out. */
export function textOf(grammar: Grammar, random: Random, name = "start", depth = 0): string {
  const production = random.pick(grammar[name] ?? [""]);
  return production.replace(/<([a-z0-9]+)>/g, (_, inner: string) =>
    depth > 12 ? "" : textOf(grammar, random, inner, depth + 1),
  );
}

/** The pieces of a grammar without what they stand for: what a change may put in. */
export function dictionary(grammar: Grammar): string[] {
  return Object.values(grammar)
    .flatMap((productions) => productions.flatMap((text) => text.split(/<[a-z0-9]+>/)))
    .filter((text) => text !== "");
}
