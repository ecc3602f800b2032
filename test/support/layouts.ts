// Ways in which people write one and the same Secret, for tests that must hold whatever the layout.
import { toBase64 } from "../../src/bytes.ts";

const head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\n";
const longText = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n\n  indented\n-----END KEY-----\n";
const blockOf = (text: string, indent: string) =>
  text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => (line === "" ? "" : indent + line))
    .join("\n");

/** Title and plain manifest; all of them are Secret payments/db. */
export const layouts: readonly (readonly [string, string])[] = [
  ["plain values", `${head}stringData:\n  A: hello\n  B: x.y/z\n`],
  ["quoted values", `${head}stringData:\n  A: 'it''s here'\n  B: "tab\\there"\n  C: "true"\n`],
  ["a literal block", `${head}stringData:\n  KEY: |\n${blockOf(longText, "    ")}\n  B: x\n`],
  ["a stripped and a kept block", `${head}stringData:\n  A: |-\n    one\n    two\n  B: |+\n    one\n\n  C: x\n`],
  ["folded blocks", `${head}stringData:\n  A: >-\n    one\n    two\n\n    three\n  B: >\n    one\n    two\n`],
  ["an indentation digit", `${head}stringData:\n  A: |2-\n      two more\n    less\n`],
  ["a comment after a block's header", `${head}stringData:\n  A: | # what this is\n    one\n    two\n  B: x\n`],
  ["values on the next line", `${head}stringData:\n  A:\n    hello\n  B:\n    |\n    one\n    two\n`],
  [
    "several lines in a plain and a quoted text",
    `${head}stringData:\n  A: one\n    two\n  B: 'one\n    two'\n  C: "a\\\n    b"\n`,
  ],
  [
    "flow maps",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: payments}\nstringData: {A: hello, 'B': 'x', C: \"q r\"}\n",
  ],
  [
    "flow maps over lines, with comments and trailing commas",
    "apiVersion: v1\nkind: Secret\nmetadata: {\n  name: db, # whose\n  namespace: payments,\n}\nstringData: {\n  A: hello, # first\n  B: x,\n}\n",
  ],
  ["flow annotations", `${head}  annotations: {team: core}\nstringData:\n  A: hello\n`],
  [
    "flow annotations in flow metadata",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: payments, annotations: {team: core,}, labels: {app: pay}}\nstringData:\n  A: hello\n",
  ],
  [
    "empty annotations in flow metadata",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: payments, annotations: {}}\nstringData:\n  A: hello\n",
  ],
  [
    "null annotations in flow metadata",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: payments, annotations: null}\nstringData:\n  A: hello\n",
  ],
  ["annotations and labels without a value", `${head}  annotations:\n  labels:\nstringData:\n  A: hello\n`],
  [
    "null annotations with a comment",
    `${head}  annotations: # none yet\n  labels: ~ # nor these\nstringData:\n  A: hello\n`,
  ],
  ["a tilde for annotations, with a comment", `${head}  annotations: ~ # none yet\nstringData:\n  A: hello\n`],
  ["empty annotations with a comment", `${head}  annotations: {} # none yet\n  labels: {}\nstringData:\n  A: hello\n`],
  [
    "annotations before the name",
    "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations:\n    team: core\n    note: |\n      two\n      lines\n  name: db\n  namespace: payments\nstringData:\n  A: hello\n",
  ],
  [
    "claims that are there already",
    `${head}  annotations:\n    sealward.dev/scope: strict\n    team: core\n    "sealward.dev/environment": 'prod'\nstringData:\n  A: hello\n`,
  ],
  [
    "comments everywhere",
    `# top\n\n${head}# before\nstringData: # on the map\n  # above\n  A: hello # beside\n\n  B: x\n  # after\n\n # less far in\n# outside\ntype: Opaque # kind of it\n`,
  ],
  ["a tab before a comment", `${head}stringData:\n  A: hello\t# beside\n`],
  ["a document marker", `---\n${head}stringData:\n  A: hello\n`],
  ["a document marker with a comment above", `# top\n---\n${head}stringData:\n  A: hello\n`],
  [
    "four spaces",
    "apiVersion: v1\nkind: Secret\nmetadata:\n    name: db\n    namespace: payments\n    labels:\n        app: pay\nstringData:\n    A: hello\n    B: |\n        one\n        two\n",
  ],
  [
    "one space",
    "apiVersion: v1\nkind: Secret\nmetadata:\n name: db\n namespace: payments\nstringData:\n A: hello\n B: |\n  one\n",
  ],
  ["no line break at the end", `${head}stringData:\n  A: hello`],
  [
    "metadata last, no line break at the end",
    "stringData:\n  A: hello\nkind: Secret\napiVersion: v1\nmetadata:\n  namespace: payments\n  name: db",
  ],
  ["blank lines at the end", `${head}stringData:\n  A: hello\n\n\n`],
  ["empty values and maps", `${head}stringData:\n  A: hello\n  B: ''\n  C: ""\ndata: {}\n`],
  ["data without a value", `${head}data:\nstringData:\n  A: hello\n`],
  ["data beside stringData", `${head}data:\n  A: aGVsbG8=\n  B: "aGVsbG8="\nstringData:\n  C: hello\n`],
  ["base64 over several lines", `${head}data:\n  A: |\n    aGVs\n    bG8=\n`],
  ["binary data", `${head}data:\n  A: ${toBase64(Uint8Array.from([0, 255, 254, 13, 10, 128]))}\n`],
  [
    "type and immutable",
    `${head}type: kubernetes.io/basic-auth\nimmutable: true\nstringData:\n  username: u\n  password: hello there\n`,
  ],
  ["names that only quotes make texts", `${head}  labels:\n    "1": 'y'\nstringData:\n  "123": hello\n  "y": 'no'\n`],
  [
    "characters from everywhere",
    `${head}  annotations:\n    note: grüße 你好 🎉\nstringData:\n  A: pässwörd 🎉\n  B: "\\u2028\\x85\\u00e9"\n`,
  ],
  [
    "CRLF",
    `# top\n${head}stringData: # on the map\n  # above\n  A: hello # beside\n  B: |\n    one\n    two\n  C: "q"\n`.replaceAll(
      "\n",
      "\r\n",
    ),
  ],
];
