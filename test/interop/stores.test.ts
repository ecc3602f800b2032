import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binaryStore } from "../../src/binary-store.ts";
import { dotenvStore } from "../../src/dotenv-store.ts";
import { openSops, parseAgeIdentities } from "../../src/index.ts";
import { iniStore } from "../../src/ini-store.ts";
import { jsonStore } from "../../src/json-store.ts";
import { clearBytes, openFile } from "../../src/sops-file.ts";
import type { Store } from "../../src/store.ts";
import { storeNamed, storeOf } from "../../src/stores.ts";
import { findFixtures, findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";
import { expectSealable, identity, load, plain, secretKey, seed, treeOf } from "../support/stores.ts";

const samples = <T>(arbitrary: fc.Arbitrary<T>): T[] => fc.sample(arbitrary, { seed, numRuns: 6 });

const jsonTexts = [
  '{"a":"x","n":{"i":1,"f":1.5,"e":1e-7,"big":12345678901234567890,"z":-0},"l":[1,"two",{"three":[]}],"t":true,"u":null}',
  '{\r\n  "a": "\\u003cb\\u003e \\ud83d\\ude00 \\/ \u2028",\r\n  "a_unencrypted": [1, 2.50, "x"],\r\n  "e": "", "m": {}\r\n}',
  "{}",
  ...samples(
    fc
      .tuple(
        fc.dictionary(
          fc.string({ unit: "grapheme" }).filter((key) => key !== "sops" && key !== "__proto__"),
          fc.jsonValue({ maxDepth: 3 }),
          { minKeys: 1, maxKeys: 6 },
        ),
        fc.constantFrom(0, 2, 4, "\t"),
      )
      .map(([value, indent]) => JSON.stringify(value, null, indent)),
  ),
];
const dotenvTexts = [
  '# about\nA=1\n\nB="q" \nexport C=x=y\nE=\nN=one\\ntwo\nU_unencrypted=clear\n',
  "A=1\r\n# c\r\nB=2",
  ...samples(
    fc
      .uniqueArray(fc.tuple(fc.stringMatching(/^[A-Z][A-Z_ ]{0,5}$/), fc.string({ unit: "grapheme" })), {
        selector: ([key]) => key,
        minLength: 1,
      })
      .map((pairs) => pairs.map(([key, text]) => `${key}=${text.replace(/[\r\n]/g, " ")}\n`).join("")),
  ),
];
const iniTexts = [
  "top = 1\n\n; about a\n; and more\n[a]\n# of k\nk = v\nq = \"quoted\"\ns = 'x' y\nb = `# ;`\nu: p\nx_unencrypted = clear\ne =\n",
  '[a]\r\nm = """one\r\ntwo"""\r\n\r\n; end\r\n',
  "[DEFAULT]\nk = v\n[b]\n`a:b` = c\n; one\n\n;  two\nl = w",
  ...samples(
    fc
      .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z][a-z_.]{0,5}$/), fc.stringMatching(/^[A-Za-z0-9 '"=:/.-]*$/)), {
        selector: ([key]) => key,
        minLength: 1,
      })
      .map((pairs) => `[s]\n${pairs.map(([key, text]) => `${key} = ${text}\n`).join("")}`),
  ),
];
const binaryTexts = ["", "text\n", "\u0000\u0001 \ufeff", '{"json": true}', ...samples(fc.string({ unit: "binary" }))];

const corpora: [Store, string, string, readonly string[]][] = [
  [jsonStore, "json", "plain.json", jsonTexts],
  [dotenvStore, "dotenv", "plain.env", dotenvTexts],
  [iniStore, "ini", "plain.ini", iniTexts],
  [binaryStore, "binary", "plain.bin", binaryTexts],
];

/** Values alone: SOPS drops comments in some places, and whole floats become ints in JSON. */
function valuesOf(store: Store, text: string | Uint8Array): unknown {
  const file = store.load(Buffer.from(text));
  const withoutComments = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(withoutComments).filter((item) => !(item !== null && typeof item === "object" && "comment" in item))
      : value !== null && typeof value === "object" && "value" in value
        ? { ...value, value: withoutComments(value.value) }
        : value;
  return JSON.parse(JSON.stringify(withoutComments(treeOf(file))).replaceAll('["float",', '["int",'));
}

describe.skipIf(findTool("sops") === null)(titled("stores and the released sops", "sops"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([secretKey]);
  });
  afterAll(() => tools.remove());
  const bytesFrom = (args: readonly string[]): Buffer => {
    const output = join(tools.home, "output");
    tools.run("sops", [...args.slice(0, 1), "--output", output, ...args.slice(1)]);
    return tools.readBytes(output);
  };
  const types = (name: string) => ["--input-type", name, "--output-type", name];

  it.each(corpora)(
    "opens what we sealed, with equal values: $1",
    { timeout: 120_000 },
    async (store, name, file, texts) => {
      for (const text of texts) {
        const sealed = await expectSealable(store, Buffer.from(text));
        const clear = bytesFrom(["decrypt", ...types(name), tools.file(`sealed-${file}`, sealed)]);
        if (name === "binary") expect(clear.equals(Buffer.from(text))).toBe(true);
        else expect(valuesOf(store, clear)).toEqual(valuesOf(store, text));
      }
    },
  );

  it.each(corpora)(
    "seals what we open, MAC verified, to equal values: $1",
    { timeout: 120_000 },
    async (store, name, file, texts) => {
      for (const text of texts) {
        if (text === "" && name !== "binary") continue;
        const path = tools.file(file, text);
        const sealed = bytesFrom(["encrypt", "--age", identity.recipient, ...types(name), path]);
        const opened = await openFile(store.load(sealed), { identities: [identity] });
        const clear = Buffer.from(clearBytes(opened));
        if (name === "binary") expect(clear.equals(Buffer.from(text))).toBe(true);
        else {
          expect(valuesOf(store, clear)).toEqual(valuesOf(store, text));
          const theirs = bytesFrom(["decrypt", ...types(name), tools.file(`theirs-${file}`, sealed)]);
          expect(valuesOf(store, clear)).toEqual(valuesOf(store, theirs));
        }
      }
    },
  );

  it.each<[string, string, Store]>([
    [
      "dotenv",
      "A: true\nB: 1.50\nC: 42\nD: text\nE: 2024-01-02\nF: ''\nG: false\nH: -0.0\nI: 1234567.5\nJ: 1e21\nK: 0.00001\n",
      dotenvStore,
    ],
    ["ini", "s:\n  A: true\n  B: 1.50\n  C: 42\n  D: text\n  F: ''\n  G: False\n  E: 2024-01-02T03:04:05Z\n", iniStore],
    ["json", "A: true\nB: 1.50\nC: 42\nD: text\nE: 2024-01-02\nF: ''\nG: null\nH: [1, 2.0, {I: no}]\n", jsonStore],
  ])("opens the typed values that sops takes from YAML to %s", async (name, text, store) => {
    const path = tools.file("typed.yaml", text);
    const to = ["--input-type", "yaml", "--output-type", name];
    const sealed = bytesFrom(["encrypt", "--age", identity.recipient, ...to, path]);
    const clear = clearBytes(await openFile(store.load(sealed), { identities: [identity] }));
    const theirs = bytesFrom(["decrypt", ...types(name), tools.file(`typed.${name}`, sealed)]);
    expect(valuesOf(store, clear)).toEqual(valuesOf(store, theirs));
    // Whatever the flat files do not show is there again in a format that does.
    const ours = await openSops({ bytes: sealed, store: store.name }, { identities: [identity], output: "json" });
    const asJson = bytesFrom(["decrypt", "--input-type", name, "--output-type", "json", tools.file("typed", sealed)]);
    expect(valuesOf(jsonStore, ours.bytes)).toEqual(valuesOf(jsonStore, asJson));
  });

  it("reads the values that SOPS reads, comments included", () => {
    const comments = (store: Store, text: string) => load(store, text).documents.map((document) => plain(document));
    for (const [store, name, file, texts] of corpora.slice(1, 3))
      for (const text of texts.slice(0, 1)) {
        const sealed = bytesFrom(["encrypt", "--age", identity.recipient, ...types(name), tools.file(file, text)]);
        const again = bytesFrom(["decrypt", ...types(name), tools.file(`again-${file}`, sealed)]);
        expect(comments(store, again.toString())).toEqual(comments(store, text));
      }
  });
});

const fixtures = findFixtures() ?? "";
const keyFiles: Readonly<Record<string, readonly string[]>> = {
  thirdparty: ["thirdparty", "keys.txt"],
  "upstream-rewrapped": ["keys", "a.txt"],
};
const others = Object.keys(keyFiles).flatMap((folder) =>
  fixtures === ""
    ? []
    : readdirSync(join(fixtures, folder))
        .filter((name) => readdirSync(join(fixtures, folder)).includes(`${name}.decrypted`) && !name.endsWith(".yaml"))
        .map((name): [string, string] => [folder, name]),
);

describe.skipIf(fixtures === "")(
  titled("files of other stores that released versions of sops wrote", "fixtures"),
  () => {
    it.each(others)("%s/%s opens, MAC verified, to what sops gives", async (folder, name) => {
      const read = (...path: string[]) => readFileSync(join(fixtures, ...path));
      // What was decrypted as JSON, whatever its name.
      const isObject = /^\{\n\t"data"/.test(read(folder, `${name}.decrypted`).toString());
      const store = isObject ? jsonStore : storeNamed(storeOf(name));
      const identities = await parseAgeIdentities(read(...(keyFiles[folder] ?? [])).toString(), name);
      const opened = await openFile(store.load(read(folder, name)), { identities });
      const [ours, theirs] = [Buffer.from(clearBytes(opened)), read(folder, `${name}.decrypted`)];
      if (store.name === "binary") expect(ours.equals(theirs)).toBe(true);
      else expect(valuesOf(store, ours)).toEqual(valuesOf(store, theirs));
    });
  },
);
