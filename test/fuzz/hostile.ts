// Texts that are small to write down and made to be slow, deep or large for a reader: each as large as an input may be.
import { maxBytes } from "./mutate.ts";

const filled = (piece: string, before = "", after = ""): string =>
  before + piece.repeat(Math.floor((maxBytes - before.length - after.length) / piece.length)) + after;
const nested = (open: string, middle: string, close: string): string => {
  const depth = Math.floor(maxBytes / (open.length + close.length)) - middle.length;
  return open.repeat(depth) + middle + close.repeat(depth);
};
const counted = (line: (index: number) => string, before = ""): string => {
  const lines = [before];
  for (let index = 0, size = before.length; ; index++) {
    const next = line(index);
    size += next.length;
    if (size > maxBytes) return lines.join("");
    lines.push(next);
  }
};
const indented = (line: string): string => {
  let text = "";
  for (let depth = 0; text.length + depth + line.length < maxBytes; depth++) text += `${" ".repeat(depth)}${line}`;
  return text;
};
/** Each anchor holds nine of the one before: a billion laughs. */
const laughs = () =>
  counted((index) =>
    index === 0
      ? "a0: &a0 [x, x]\n"
      : `a${index}: &a${index} [${Array(9)
          .fill(`*a${index - 1}`)
          .join(", ")}]\n`,
  ).slice(0, 20_000);

/** For every reader, whatever it reads. */
export const hostileTexts: Readonly<Record<string, () => string>> = {
  empty: () => "",
  zeros: () => filled("\0"),
  blanks: () => filled(" "),
  tabs: () => filled("\t"),
  "line breaks": () => filled("\n"),
  "carriage returns": () => filled("\r"),
  "one word": () => filled("a"),
  "one word of two bytes": () => filled("é").slice(0, maxBytes / 2),
  "half a surrogate": () => filled("\ud800").slice(0, maxBytes / 3),
  comments: () => filled("#\n"),
  "a long comment": () => filled("x", "# "),
  semicolons: () => filled(";\n"),
  documents: () => filled("---\n"),
  "documents with a map": () => filled("---\na: b\n"),
  "ends of documents": () => filled("...\n"),
  directives: () => filled("%\n"),
  "open brackets": () => filled("["),
  "open braces": () => filled("{"),
  "open pairs": () => filled("{a: "),
  "nested lists": () => nested("[", "x", "]"),
  "nested maps": () => nested('{"a":', "1", "}"),
  dashes: () => filled("- "),
  "dashes in lines": () => filled("- - -\n"),
  "question marks": () => filled("? "),
  colons: () => filled(":\n"),
  "colons in a line": () => filled(": "),
  "deep maps": () => indented("a:\n"),
  "deep lists": () => indented("- a:\n"),
  anchors: () => filled("a: &\n"),
  "many anchors": () => counted((index) => `k${index}: &a${index} x\n`),
  aliases: () => filled("- *a\n", "- &a x\n"),
  "merge keys": () => filled("- <<: *a\n", "- &a {b: c}\n"),
  "a billion laughs": laughs,
  tags: () => filled("!"),
  "tagged values": () => filled("- !a b\n"),
  "an open quote": () => filled("x", 'a: "'),
  "an open single quote": () => filled("'", "a: '"),
  escapes: () => filled("\\", '{"a":"'),
  "unicode escapes": () => filled("\\u0041", '{"a":"', '"}'),
  "a literal block": () => filled("  x\n", "a: |\n"),
  "a folded block": () => filled("  x\n", "a: >\n"),
  "a folded block of blanks": () => filled(" \n", "a: >\n"),
  "many keys": () => counted((index) => `k${index}: x\n`),
  "many keys of an object": () => `${counted((index) => `"k${index}": 1,`, "{").slice(0, -20)}"z":1}`,
  "one key many times": () => filled("a: b\n"),
  "many assignments": () => counted((index) => `K${index}=x\n`),
  "one assignment many times": () => filled("A=b\n"),
  "many sections": () => counted((index) => `[s${index}]\na=b\n`),
  "one section many times": () => filled("[s]\na=b\n"),
  continued: () => filled("a=b\\\n"),
  "three quotes": () => filled('"""\n', 'a = """'),
  "a long number": () => filled("9", "a: "),
  "a long number in json": () => filled("9", '{"a":', "}"),
  "a long exponent": () => filled("9", '{"a":1e', "}"),
  "a long word in base64": () => filled("A", "a: !!binary "),
  "many values that look encrypted": () => filled("- ENC[AES256_GCM,data:a,iv:a,tag:a,type:str]\n", "a:\n"),
  "an encrypted value without an end": () => filled("A", "a: ENC[AES256_GCM,data:"),
  "many age keys": () => filled("AGE-SECRET-KEY-1Q\n"),
  "a long age key": () => filled("Q", "AGE-SECRET-KEY-1"),
  "armor without an end": () => filled("A", "-----BEGIN AGE ENCRYPTED FILE-----\n"),
  "many stanzas": () => filled("-> X25519 a\nA\n", "age-encryption.org/v1\n"),
  "a PEM key without an end": () => filled("A", "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
  "an expression of groups": () => filled("(a?", ""),
  "an expression of repeats": () => nested("(", "a", "){9}").slice(0, 5000),
  "an expression of stars": () => filled(".*"),
  "path parts": () => filled('["a"]'),
  "a sops block of lists": () => filled('[{"x":1}],', '{"a":1,"sops":{"age":[', "[]]}}"),
  "many recipients": () =>
    counted(
      (index) => `    - recipient: age1x${index}\n      enc: x\n`,
      "a: b\nsops:\n  mac: x\n  version: 3.13.3\n  age:\n",
    ),
  "many flat recipients": () => counted((index) => `sops_age__list_${index}__map_enc=x\n`, "a=b\n"),
  "a flat index beyond all": () => "a=b\nsops_age__list_999999999__map_enc=x\nsops_mac=x\n",
  "a flat name of depth": () => `a=b\nsops_${filled("__map_a").slice(0, 500_000)}=x\n`,
};
