// Some six hundred plain files for the tests against the released sops: every store, rule, type, and one to twenty
// recipients. Made from a fixed seed and from rows written by hand, one for each odd thing of the format.
import fc from "fast-check";
import type { SelectionRule, StoreName } from "../../src/index.ts";

export interface CorpusFile {
  readonly name: string;
  readonly store: StoreName;
  readonly text: string;
  readonly rule: SelectionRule | null;
  readonly onlyEncrypted: boolean;
  /** How many recipients each key group has. */
  readonly groups: readonly number[];
  readonly threshold: number;
}

const suffix: Readonly<Record<StoreName, string>> = {
  yaml: "yaml",
  json: "json",
  dotenv: "env",
  ini: "ini",
  binary: "bin",
};

export function fileName({ name, store }: CorpusFile): string {
  return `${name}.${suffix[store]}`;
}

const rules: readonly (SelectionRule | null)[] = [
  null,
  { name: "unencrypted_suffix", pattern: "_clear" },
  { name: "encrypted_suffix", pattern: "_secret" },
  { name: "unencrypted_regex", pattern: "^(open|kind)" },
  { name: "encrypted_regex", pattern: "(?i)secret|^data$" },
  { name: "encrypted_regex", pattern: "^(data|stringData)$" },
  { name: "unencrypted_comment_regex", pattern: "sops:clear" },
  { name: "encrypted_comment_regex", pattern: "sops:enc" },
];

/** One of each odd thing; every rule that selects something is applied to each. */
const yamlRows: Readonly<Record<string, string>> = {
  types:
    "data:\n  text: hello\n  int: 42\n  negative: -7\n  float: 1.5\n  yes: true\n  no: false\n  none: null\n  empty: ''\n",
  integers:
    "data:\n  a: 0x1F\n  b: 0b11\n  c: 0o17\n  d: 017\n  e: 1_000\n  f: +5\n  g: 9223372036854775807\n  h: 08\n",
  bigger: "data:\n  a: 18446744073709551616\n  b: 12345678901234567890123\n",
  floats:
    "data:\n  a: 1e3\n  b: 1e-7\n  c: -0.0\n  d: .5\n  e: 1.\n  f: 1e23\n  g: .inf\n  h: -.inf\n  i: 123456789.125\n",
  nan: "data:\n  a: .nan\n",
  times:
    "data:\n  a: 2024-01-02\n  b: 2024-01-02T03:04:05Z\n  c: 2024-01-02T03:04:05.5+02:00\n  d: 2024-1-2\n  e: 2024-01-02 03:04:05\n",
  nearly:
    "data:\n  a: yes\n  b: off\n  c: 12:30\n  d: 2024-01-02T03:04:05\n  e: 1e400\n  f: y\n  g: '1'\n  h: \"true\"\n  i: 0x\n",
  empties: 'data:\n  map: {}\n  list: []\n  null1: ~\n  null2:\n  text: ""\n  last: x\n',
  lists: "data:\n  - one\n  - 2\n  - [a, b]\n  - x: 1\n    y: two\n  -\n    - deep\n  - null\n  - {}\nrest: clear\n",
  same: "data:\n  - same\n  - same\n  - same\nsecret:\n  a: same\n  b: same\n",
  nested: "secret:\n  a:\n    b:\n      c:\n        d:\n          e: deep\nopen:\n  data:\n    x: inner\n",
  quotes:
    "data:\n  a: 'it''s'\n  b: \"tab\\t quote\\\" nl\\n\"\n  c: plain with:colon:inside\n  d: '#no comment'\n  e: \"\\u00e9\\U0001F600\"\n",
  literal:
    "data:\n  a: |\n    line one\n    line two\n  b: |-\n    no end\n  c: |+\n    kept\n\n  d: |2\n      indented\n  e: last\n",
  folded:
    'data:\n  a: >\n    folded text\n    goes on\n\n    new paragraph\n  b: >-\n    one\n    two\n  c: plain text\n    over lines\n  d: "quoted text\n    over lines"\n',
  keys: 'data:\n  "1": a\n  "true": b\n  a.b: c\n  \'a:b\': d\n  ключ: e\n  "": f\n  \'with space\': g\n',
  flow: 'data: {a: b, c: [1, "two", three], d: {}}\nlist: [x, {y: z}]\n',
  binary: "data:\n  a: !!binary aGVsbG8=\n  b: !!binary |\n    AAECAwQ=\n",
  tags: 'data:\n  a: !!str 123\n  b: !!int "5"\n  c: !!float 1\n  d: !custom x\n',
  anchors: "open_clear: &base\n  a: 1\n  b: two\nopen_too_clear: *base\ndata:\n  x: y\n",
  merge: "open_clear: &base\n  a: 1\nopen2_clear:\n  <<: *base\n  b: 2\ndata:\n  x: y\n",
  shared: "data:\n  one: &one secret value\n  two: *one\n  map: &map {k: v}\n  three: *map\n",
  merged: "data:\n  base: &base\n    user: u\n    port: 1\n  prod:\n    <<: *base\n    port: 2\n",
  documents: "data:\n  a: one\n---\ndata:\n  a: two\n---\nsecret: three\n",
  markers: "---\ndata:\n  a: one\n...\n---\n# only a comment\n---\ndata: two\n",
  crlf: "data:\r\n  a: one\r\n  # note\r\n  b: |\r\n    two\r\n    lines\r\n",
  bare: "data:\n  a: one\n  b: two",
  comments:
    "# head\n\ndata: # of data\n  # of a\n  a: one # behind a\n\n  # foot\nlist:\n  # of the first\n  - x # behind x\n  # of the second\n  - y\n# tail\n",
  "comment-rules":
    "# sops:enc\nfirst: one\nsecond: two\nmap:\n  # sops:clear\n  a: three\n  # sops:enc\n  # another\n  b: four\nlist:\n  # sops:enc\n  - five\n  - six # sops:clear\n",
  "comment-alone": "data:\n  a: [] # behind\n  c:\n    - [] # inner\n    - x\n",
  "comment-empty": "data:\n  #\n  a: one\n  #   \n  b: two\n  # trailing blanks   \n  c: three\n",
  unicode: 'data:\n  a: Grüße\n  b: 日本語\n  c: 🎉\n  d: "zero\\u200bwidth"\n',
  wide: `data:\n  a: ${"long ".repeat(100)}end\n  b: ${"x".repeat(5000)}\n`,
  suffixes: "a_clear: 1\nb_secret: two\nc:\n  d_secret:\n    e: 3\n  f_clear:\n    g: 4\nopenly: 5\n",
};

const jsonRows: Readonly<Record<string, string>> = {
  types:
    '{\n\t"data": {\n\t\t"a": "text",\n\t\t"b": 1,\n\t\t"c": -2.50,\n\t\t"d": true,\n\t\t"e": null,\n\t\t"f": "",\n\t\t"g": {},\n\t\t"h": []\n\t}\n}\n',
  spaces: '{"data":{"a":"b","list":[1,"two",[3],{"k":"v"}]},"open":"x"}',
  numbers: '{\n  "data": [9223372036854775807, 1e3, 1.0, 0, -0, 1E-7, 12345678901234567890, 0.1]\n}\n',
  escapes:
    '{\n    "data": {\n        "a": "\\u00e9\\n\\t\\"\\\\",\n        "b": "<&>\\u2028",\n        "c": "\\/slash",\n        "ключ": "🎉 \\ud83d\\ude00"\n    }\n}\n',
  suffixes: '{"a_clear": 1, "b_secret": "two", "secret": {"x": ["y"]}, "openly": false}\n',
  crlf: '{\r\n  "data": "x",\r\n  "secret": "y"\r\n}\r\n',
};

const dotenvRows: Readonly<Record<string, string>> = {
  plain: "SECRET_A=one\nsecret_b=two words\n\n# a comment\ndata=three\nOPEN='quoted # here'\n",
  odd: "data=a=b=c\nsecret=\nexport SECRET=x\nsecret_nl=one\\ntwo\nsecret_sp = y \n",
  bare: "data=no newline",
  unicode: "data=Grüße 🎉\n#комментарий\nsecret_clear=x\n",
};

const iniRows: Readonly<Record<string, string>> = {
  plain: "[data]\na = one\nb = two words\n\n[secret]\n; a comment\nc = 3\n",
  top: "top_secret = 1\n\n[data]\nkey = value\n",
  tight: "[data]\na=one\nb=two\n",
  empty: "[data]\na =\nb = x\n\n[open]\nc = d\n",
};

const binaryRows: Readonly<Record<string, string>> = {
  text: "any text\n\u0000\u0001\n",
  empty: "",
  json: '{"looks": "like json"}\n',
};

/** Whether the rule says anything about the file: a file of which nothing is selected is refused, which is tested elsewhere. */
function selects(rule: SelectionRule | null, text: string): boolean {
  if (rule === null) return true;
  if (rule.name.includes("comment_regex")) return rule.name.startsWith("un") || text.includes(rule.pattern);
  if (rule.name === "encrypted_suffix") return /_secret["']?\s*[:=\]]/.test(text);
  if (rule.pattern === "^(data|stringData)$") return /(?:^|[{,\s"[])data["']?\s*[:=\]]/.test(text);
  return rule.name.startsWith("un") || /secret|(?:^|[{,\s"[])data["']?\s*[:=\]]/i.test(text);
}

export function corpus(): CorpusFile[] {
  const files: CorpusFile[] = [];
  const add = (store: StoreName, name: string, text: string, rule: SelectionRule | null): void => {
    const count = files.length;
    const groups = count % 17 === 5 ? [1, 1, 2] : count % 17 === 9 ? [2, 1] : [1 + (count % 20)];
    files.push({
      name: `${String(count).padStart(3, "0")}-${name}`,
      store,
      text,
      rule,
      onlyEncrypted: count % 7 === 3,
      groups,
      threshold: groups.length === 3 ? 2 : 0,
    });
  };
  const rows: [StoreName, Readonly<Record<string, string>>][] = [
    ["yaml", yamlRows],
    ["json", jsonRows],
    ["dotenv", dotenvRows],
    ["ini", iniRows],
  ];
  // JSON has no comments.
  for (const [store, texts] of rows)
    for (const [name, text] of Object.entries(texts))
      for (const rule of rules)
        if (selects(rule, text) && !(store === "json" && rule?.name.includes("comment"))) add(store, name, text, rule);
  for (const [name, text] of Object.entries(binaryRows)) add("binary", name, text, null);
  for (const [index, tree] of fc.sample(trees, { seed: 20261126, numRuns: 160 }).entries()) {
    add("yaml", `tree-${index}`, yamlOf(tree), rules[index % 6] ?? null);
    add(
      "json",
      `tree-${index}`,
      `${JSON.stringify(tree, null, [undefined, 2, 4, "\t"][index % 4])}\n`,
      rules[index % 6] ?? null,
    );
  }
  return files;
}

type Tree = { readonly [key: string]: unknown };

const word = fc.stringMatching(/^[a-zA-Z0-9 _.:/#'"\\é🎉-]{0,24}$/u);
const scalar = fc.oneof(
  word,
  fc.string({ maxLength: 12 }).filter((text) => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/.test(text)),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }),
  fc.constant("two\nlines\n"),
);
const key = fc
  .stringMatching(/^[a-z][a-z_.]{0,8}$/)
  .filter((name) => !/^(?:y|n|yes|no|on|off|true|false|null|sops)$/.test(name));
const tree = fc.letrec<{ value: unknown; map: Tree }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, scalar, tie("map"), fc.array(scalar, { maxLength: 3 })),
  map: fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
}));
/** Every rule finds something to encrypt and something to spare. */
const trees = fc.tuple(tree.map, word).map(
  ([map, text]): Tree => ({
    ...map,
    data: { a: `x${text}`, b_clear: 1 },
    secret: [text, 2],
    b_secret: "z",
    openly: true,
  }),
);

/** Flow style is JSON; block style by hand, so that no library's layout is all there is. */
function yamlOf(value: Tree, indent = ""): string {
  return Object.entries(value)
    .map(([name, item]) => {
      if (typeof item === "object" && item !== null && !Array.isArray(item) && Object.keys(item).length > 0)
        return `${indent}${name}:\n${yamlOf(item as Tree, `${indent}  `)}`;
      if (Array.isArray(item) && item.length > 0)
        return `${indent}${name}:\n${item.map((entry) => `${indent}- ${JSON.stringify(entry)}\n`).join("")}`;
      return `${indent}${name}: ${JSON.stringify(item)}\n`;
    })
    .join("");
}
