import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ErrorCode, type Expectation, openSealed, sealManifest } from "../../src/index.ts";
import { formatText } from "../../src/splice.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { layouts } from "../support/layouts.ts";
import { canary, databaseSecret, environment, expectRefusal, mutate, now, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const here: Expectation = { environment: prod.policy, target: "own" };
const open = (text: string) => openSealed(text, here, [prod.identity]);
const seal = (text: string) => sealManifest(text, { environment: prod.policy, now });
const enc = /ENC\[AES256_GCM,[^\]]*\]/;
const everyEnc = new RegExp(enc, "g");
const head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\n";

/** Every key and value of a plain manifest, as bytes in latin1. */
function valuesOf(manifest: string): Record<string, string> {
  const { data, stringData } = parseYaml(manifest).root.toJSON() as Record<string, Record<string, string> | null>;
  const decoded = Object.entries(data || {}).map(([key, text]) => [
    key,
    Buffer.from(text, "base64").toString("latin1"),
  ]);
  const texts = Object.entries(stringData || {}).map(([key, text]) => [key, Buffer.from(text).toString("latin1")]);
  return Object.fromEntries([...decoded, ...texts]);
}

async function openedValues(text: string): Promise<Record<string, string>> {
  const { data } = await open(text);
  return Object.fromEntries([...data].map(([key, bytes]) => [key, Buffer.from(bytes).toString("latin1")]));
}

/** The claims that sealing writes, and the lines around them that it needs. */
const inserted = /^ *(?:annotations:|"?sealward\.dev\/[a-z]+"?: .*)$/;

describe.each(layouts)("%s", async (_, manifest) => {
  const text = (await seal(manifest)).text;
  const newline = manifest.includes("\r\n") ? "\r\n" : "\n";

  it("gives every key and byte back", async () => {
    expect(await openedValues(text)).toEqual(valuesOf(manifest));
  });

  it("keeps every byte outside of values, comments of values and inserted lines", () => {
    const lines = text.slice(0, text.search(/^sops:/m)).split(newline);
    const kept = lines.filter((line) => !enc.test(line) && !inserted.test(line) && !/sealward|annotations/.test(line));
    const before = manifest.split(newline);
    let at = 0;
    for (const line of kept) {
      const found = before.indexOf(line, at);
      if (line === "" && found < 0) continue;
      expect(found, `line ${JSON.stringify(line)}`).toBeGreaterThanOrEqual(at);
      at = found + 1;
    }
  });

  it("comes back from its text in the clear as the same sealed file", async () => {
    const { plainText } = await open(text);
    expect(parseYaml(plainText).root.has("sops")).toBe(false);
    expect(plainText).not.toContain("ENC[");
    expect(plainText).not.toContain("sealward.dev/binding");
    expect(valuesOf(plainText)).toEqual(valuesOf(manifest));
    const again = await open((await seal(plainText)).text);
    expect(again.plainText).toBe(plainText);
  });

  it("leaves no value and no comment of a value in the clear", () => {
    const clear = text.replaceAll(everyEnc, "");
    for (const word of ["hello", "beside", "above", "what this is", "BEGIN KEY", "first"]) {
      if (new RegExp(`${word}`).test(manifest.slice(manifest.search(/stringData|data/))))
        expect(clear).not.toContain(word);
    }
  });
});

describe("where styles allow it, the text in the clear is the input and the claims, byte for byte", () => {
  const claims = "  annotations:\n    sealward.dev/environment: prod\n    sealward.dev/scope: strict\n";
  const unchanged = layouts.filter(([title]) =>
    /^(plain values|quoted|a literal block|comments everywhere|a tab|a document marker|four|one space|blank lines|empty values|data |base64|binary|type|names)/.test(
      title,
    ),
  );
  it.each(unchanged)("%s", async (_, manifest) => {
    const indent = /^( +)namespace/m.exec(manifest)?.[1] ?? "";
    const step = " ".repeat(Math.max(2, indent.length));
    const block = claims.replace(/^ {2}(?: {2})?/gm, (pad) => (pad.length === 4 ? indent + step : indent));
    const { plainText } = await open((await seal(manifest)).text);
    expect(plainText.replace(block, "")).toBe(manifest);
  });

  it("CRLF stays, and a copy with LF opens to the same", async () => {
    const manifest = `${head}stringData:\n  A: hello\n  B: |\n    one\n    two\n`.replaceAll("\n", "\r\n");
    const { text } = await seal(manifest);
    expect(text.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    const [opened, copy] = await Promise.all([open(text), open(text.replaceAll("\r\n", "\n"))]);
    expect(opened.plainText.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    expect(copy.plainText).toBe(opened.plainText.replaceAll("\r\n", "\n"));
    expect([...copy.data]).toEqual([...opened.data]);
    expect(Buffer.from(copy.data.get("B") ?? []).toString()).toBe("one\ntwo\n");
  });
});

describe("any content", () => {
  const key = fc.stringMatching(/^[-._a-zA-Z0-9]{1,20}$/);
  const text = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 60 }),
    fc.string({
      unit: fc.constantFrom(
        "a",
        " ",
        "\n",
        "\t",
        ":",
        "#",
        "'",
        '"',
        "-",
        "\\",
        "\r",
        "\u0085",
        "\u2028",
        "\ufeff",
        "é",
        "🎉",
        "|",
        ">",
        "%",
        "\u007f",
      ),
    }),
    fc.constantFrom(
      "true",
      "null",
      "1",
      "~",
      "2024-01-02",
      "---",
      "...",
      "ENC",
      "<<",
      "*x",
      "&x",
      "!x",
      "\n",
      " ",
      "\n\n",
      "a\n\n",
      " a",
      "a ",
      "a:",
      "- a",
      "? a",
    ),
  );
  const usable = (value: string) => !value.includes("\0") && Buffer.from(value).toString() === value;
  const strings = fc.dictionary(key, text.filter(usable), { maxKeys: 5, noNullPrototype: true });
  const bytes = fc.dictionary(key, fc.uint8Array({ maxLength: 50 }), { maxKeys: 4, noNullPrototype: true });
  const style = fc.constantFrom("PLAIN", "QUOTE_SINGLE", "QUOTE_DOUBLE", "BLOCK_LITERAL", undefined);

  it("comes back, through sealing, opening and sealing again", async () => {
    await fc.assert(
      fc.asyncProperty(strings, bytes, style, fc.boolean(), async (texts, binary, wanted, crlf) => {
        const newline = crlf ? "\r\n" : "\n";
        const how = { style: wanted as never, inFlow: false, indent: 2, newline, lineGoesOn: false };
        const entries = Object.entries(texts).filter(([name]) => !Object.hasOwn(binary, name));
        if (!entries.some(([, value]) => value !== "") && !Object.values(binary).some(({ length }) => length > 0))
          return;
        const lines = [
          ...head.trimEnd().split("\n"),
          "stringData:",
          ...entries.map(([name, value]) => `  ${JSON.stringify(name)}: ${formatText(value, how)}`),
          "data:",
          ...Object.entries(binary).map(([name, value]) => `  "${name}": "${Buffer.from(value).toString("base64")}"`),
          "",
        ];
        const expected = Object.fromEntries([
          ...entries.map(([name, value]) => [name, Buffer.from(value).toString("latin1")]),
          ...Object.entries(binary).map(([name, value]) => [name, Buffer.from(value).toString("latin1")]),
        ]);
        const first = (await seal(lines.join(newline))).text;
        expect(await openedValues(first)).toEqual(expected);
        const { plainText } = await open(first);
        const second = (await seal(plainText)).text;
        expect(await openedValues(second)).toEqual(expected);
        expect((await open(second)).plainText).toBe(plainText);
      }),
      { numRuns: 150 },
    );
  });
});

describe("what the manifest claims", () => {
  const all = environment("prod", { scopes: ["strict", "namespace", "environment"], namespaces: ["payments"] });
  const plain = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  A: hello\n";
  const sealWith = (text: string, options: Partial<Parameters<typeof sealManifest>[1]> = {}) =>
    sealManifest(text, { environment: all.policy, now, ...options });
  const claiming = (claim: string) => mutate(plain, "  name: db\n", `  name: db\n  annotations:\n    ${claim}\n`);

  it("takes the environment's one namespace, writes it, and says so", async () => {
    const result = await sealWith(plain);
    expect(result.info).toEqual({
      environment: "prod",
      scope: "strict",
      namespace: "payments",
      name: "db",
      type: "Opaque",
    });
    expect(result.text).toContain("  name: db\n  namespace: payments\n");
    expect(result.notices).toEqual(["wrote namespace payments into the file"]);
  });

  it("takes the given namespace before the environment's", async () => {
    expect((await sealWith(plain, { namespace: "billing" })).info.namespace).toBe("billing");
  });

  it("quotes a namespace that would not be a text", async () => {
    const { text } = await sealWith(plain, { namespace: "123" });
    expect(text).toContain('namespace: "123"');
  });

  it("takes the scope asked for, else the claimed one, else the environment's", async () => {
    expect((await sealWith(plain, { scope: "namespace" })).info.scope).toBe("namespace");
    expect((await sealWith(claiming("sealward.dev/scope: environment"))).info.scope).toBe("environment");
    expect((await sealWith(plain, { environment: { ...all.policy, defaultScope: "namespace" } })).info.scope).toBe(
      "namespace",
    );
  });

  it("needs no namespace for the environment scope", async () => {
    const none = { ...all.policy, namespaces: [] };
    expect((await sealWith(plain, { environment: none, scope: "environment" })).text).not.toContain("namespace:");
  });

  it.each<[string, () => unknown, ErrorCode]>([
    [
      "no namespace anywhere",
      () => sealWith(plain, { environment: { ...all.policy, namespaces: [] } }),
      "namespace-missing",
    ],
    [
      "two namespaces to choose from",
      () => sealWith(plain, { environment: { ...all.policy, namespaces: ["a", "b"] } }),
      "namespace-missing",
    ],
    [
      "another namespace than the manifest's",
      () => sealWith(mutate(plain, "name: db", "name: db\n  namespace: x1"), { namespace: "x2" }),
      "target-mismatch",
    ],
    [
      "another environment than the manifest's",
      () => sealWith(claiming("sealward.dev/environment: dev")),
      "environment-mismatch",
    ],
    [
      "another scope than the manifest's",
      () => sealWith(claiming("sealward.dev/scope: strict"), { scope: "environment" }),
      "target-mismatch",
    ],
    [
      "a scope that the environment does not allow",
      () => sealWith(plain, { environment: { ...all.policy, scopes: ["strict"] }, scope: "environment" }),
      "scope-not-allowed",
    ],
    ["a claimed scope that there is not", () => sealWith(claiming("sealward.dev/scope: cluster")), "scope-not-allowed"],
    ["a given namespace that is no name", () => sealWith(plain, { namespace: "a\n  labels: {}" }), "shape-invalid"],
  ])("refuses %s", async (_, call, code) => {
    await expectRefusal(call, code);
  });
});

describe("what servers and kubectl add", () => {
  const live = `apiVersion: v1
data:
  A: aGVsbG8gdGhlcmU=
kind: Secret
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"v1","data":{"A":"aGVsbG8gdGhlcmU="},"kind":"Secret"}
    team: core
  creationTimestamp: "2026-01-01T00:00:00Z"
  managedFields:
  - apiVersion: v1
    fieldsV1:
      f:data: {}
    manager: kubectl
  name: db
  namespace: payments
  ownerReferences: []
  resourceVersion: "12"
  uid: abc
  generation: 1
  selfLink: /x
type: Opaque
status:
  phase: x
`;

  it("is removed, with notice of each", async () => {
    const { text, notices } = await seal(live);
    expect(notices).toHaveLength(9);
    const opened = await open(text);
    expect(opened.plainText).toBe(`apiVersion: v1
data:
  A: aGVsbG8gdGhlcmU=
kind: Secret
metadata:
  annotations:
    team: core
    sealward.dev/environment: prod
    sealward.dev/scope: strict
  name: db
  namespace: payments
type: Opaque
`);
  });

  it.each<[string, string]>([
    [
      "alone among the annotations",
      `${head}  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{}'\nstringData:\n  A: hello\n`,
    ],
    [
      "alone in a flow map",
      `${head}  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}\nstringData:\n  A: hello\n`,
    ],
    [
      "alone in a flow map, with a trailing comma",
      `${head}  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}' , }\nstringData:\n  A: hello\n`,
    ],
    [
      "first in a flow map",
      `${head}  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', a: b}\nstringData:\n  A: hello\n`,
    ],
    [
      "last in a flow map",
      `${head}  annotations: {a: b, kubectl.kubernetes.io/last-applied-configuration: '{}'}\nstringData:\n  A: hello\n`,
    ],
  ])("is removed %s", async (_, manifest) => {
    const opened = await open((await seal(manifest)).text);
    expect(Object.keys(opened.annotations).filter((name) => name.includes("kubectl"))).toEqual([]);
    expect(Buffer.from(opened.data.get("A") ?? []).toString()).toBe("hello");
  });
});

describe("a value that the clear part repeats", () => {
  const base64 = Buffer.from(canary).toString("base64");
  const leaking = (line: string) =>
    mutate(`${head}stringData:\n  PASSWORD: ${canary}\n`, "  namespace: payments\n", `  namespace: payments\n${line}`);

  it.each<[string, string]>([
    ["an annotation", `  annotations:\n    note: the password is ${canary}!\n`],
    ["an annotation's name", `  annotations:\n    ${canary}: x1\n`],
    ["a label", `  labels:\n    note: ${canary}\n`],
    ["a comment", `# old: ${canary}\n`],
    ["an inline comment", `  labels: {} # ${canary}\n`],
    ["base64 in an annotation", `  annotations:\n    note: ${base64}\n`],
    ["base64 in a comment", `# ${base64}\n`],
  ])("is refused in %s, and not repeated in the refusal", async (_, line) => {
    const error = await expectRefusal(() => seal(leaking(line)), "clear-leak");
    expect(error.message).toContain("stringData.PASSWORD");
    expect(`${error.message}${error.stack}`).not.toContain(base64);
    expect(error.line).toBeGreaterThan(5);
  });

  it("is found for data as well, decoded or not", async () => {
    const manifest = `${head}  annotations:\n    note: ANY\ndata:\n  PASSWORD: ${base64}\n`;
    for (const note of [canary, base64]) await expectRefusal(() => seal(mutate(manifest, "ANY", note)), "clear-leak");
  });

  it("is no leak where it stands in comments of the values themselves, which are sealed as well", async () => {
    const { text } = await seal(`${head}stringData:\n  # was ${canary}\n  PASSWORD: ${canary} # ${canary}\n`);
    expect(text).not.toContain(canary);
    expect((await open(text)).plainText).toContain(`# was ${canary}`);
  });

  it("is no leak where it is short, or the Secret's own name", async () => {
    await seal(`${head}  annotations:\n    note: x-short-x\nstringData:\n  A: short\n`);
    await seal(mutate(`${head}stringData:\n  A: payments\n`, "name: db", "name: payments-db"));
  });
});

describe("never twice, never nothing", async () => {
  it.each<[string, string, ErrorCode]>([
    ["a sealed file", await sealed(prod), "already-sealed"],
    ["a sops block in a plain Secret", `${databaseSecret}sops: {}\n`, "already-sealed"],
    [
      "a sealed value in a plain Secret",
      mutate(databaseSecret, `: ${canary}`, ": ENC[AES256_GCM,data:x]"),
      "already-sealed",
    ],
    [
      "a binding in a plain Secret",
      mutate(databaseSecret, "team: core", "team: core\n    sealward.dev/binding: x1"),
      "already-sealed",
    ],
    ["a Secret without values", `${head}stringData:\n  A: ''\n`, "shape-invalid"],
    ["a Secret without maps", head, "shape-invalid"],
    ["JSON", '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db"},"data":{"A":"aGk="}}', "shape-invalid"],
    ["a manifest that is indented", databaseSecret.replace(/^(?=.)/gm, "  "), "shape-invalid"],
    ["a directive", `%YAML 1.1\n---\n${databaseSecret}`, "shape-invalid"],
    ["a directive of a version that SOPS does not read", `%YAML 1.2\n---\n${databaseSecret}`, "not-yaml"],
    ["an end marker", `${databaseSecret}...\n`, "shape-invalid"],
    ["two documents", `${databaseSecret}---\n${databaseSecret}`, "several-documents"],
    ["a kustomization", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", "not-a-secret"],
    ["UTF-16", Buffer.from(databaseSecret, "utf16le").toString("latin1"), "not-yaml"],
    [
      "more values than fit",
      `${head}stringData:\n${Array.from({ length: 8000 }, (_, index) => `  K${index}: v${index}\n`).join("")}`,
      "too-large",
    ],
  ])("%s is refused", async (_, text, code) => {
    await expectRefusal(() => seal(text), code);
  });
});

describe("two sealings of one manifest", () => {
  it("share no data key, IV, binding or blob", async () => {
    const [first, second] = [await sealed(prod), await sealed(prod)].map(
      (text) => new Set([...(text.match(everyEnc) ?? []), ...(text.match(/^ {12}\S{20,}$/gm) ?? []).slice(1)]),
    );
    expect([...(first ?? [])].filter((part) => second?.has(part))).toEqual([]);
  });
});
