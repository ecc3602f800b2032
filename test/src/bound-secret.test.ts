import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import {
  type ErrorCode,
  maxDocumentBytes,
  rewrapBoundSecret,
  unwrapBoundSecret,
  wrapDocument,
} from "../../src/index.ts";
import { layouts } from "../support/layouts.ts";
import { databaseSecret, environment, expectRefusal, mutate, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const file = await sealed(prod);
const sealedLayouts = await Promise.all(
  layouts.map(async ([title, manifest]): Promise<[string, string]> => [title, await sealed(prod, manifest)]),
);
const shell = (document: string) =>
  `apiVersion: sealward.dev/v1alpha1\nkind: BoundSecret\nmetadata:\n  name: db\nspec:\n  document: ${JSON.stringify(document)}\n`;

/** The document as any other YAML reader has it. */
const carried = (text: string): unknown => parse(text).spec.document;

describe("wrapDocument()", () => {
  it("writes a BoundSecret of the file's own name and namespace, readable in a diff", () => {
    const text = wrapDocument(file);
    expect(text).toContain(
      'kind: BoundSecret\nmetadata:\n  name: "db"\n  namespace: "payments"\nspec:\n  document: |\n    # credentials of the payments database\n',
    );
    expect(unwrapBoundSecret(text)).toEqual({ document: file, name: "db", namespace: "payments" });
  });

  it("gives the same text every time", () => {
    expect(wrapDocument(file)).toBe(wrapDocument(file));
  });

  it.each([
    ...sealedLayouts,
    ["CRLF throughout", file.replaceAll("\n", "\r\n")],
    ["one CRLF", file.replace("\n", "\r\n")],
    ["spaces at line ends", file.replaceAll(/$(?=\n)/gm, "  ")],
    ["a tab at a line's end", file.replace("type: Opaque", "type: Opaque\t")],
    ["lines of spaces", file.replace("type: Opaque", "type: Opaque\n   \n\n  ")],
    ["no final line break", file.trimEnd()],
    ["several final line breaks", `${file}\n\n`],
    ["a final line of spaces", `${file}  `],
    ["a blank first line", `\n${file}`],
    ["a first line of spaces", `  \n${file}`],
    ["a comment that looks like an end", `${file}# ...\n`],
    ["characters from everywhere", file.replace("# credentials", "# ⚿ 🎉 \ufeff é")],
  ])("carries it byte for byte: %s", (_, document) => {
    const text = wrapDocument(document);
    expect(unwrapBoundSecret(text)?.document).toBe(document);
    expect(carried(text)).toBe(document);
    expect(carried(rewrapBoundSecret(text, file))).toBe(file);
    expect(carried(rewrapBoundSecret(shell(file), document))).toBe(document);
  });

  it("wraps only sealed files", async () => {
    await expectRefusal(() => wrapDocument(databaseSecret, "f.yaml"), "not-sealed");
    await expectRefusal(() => wrapDocument("a: b\n"), "not-a-secret");
    await expectRefusal(() => wrapDocument(`# ${"x".repeat(maxDocumentBytes)}\n${file}`), "too-large");
  });
});

describe("unwrapBoundSecret()", () => {
  it.each([
    "",
    "a: b\n",
    databaseSecret,
    file,
    "kind: BoundSecret\n",
    "apiVersion: v1\nkind: BoundSecret\n",
    "kind: ConfigMap\na: BoundSecret\n",
  ])("gives null for %j", (text) => expect(unwrapBoundSecret(text)).toBeNull());

  it.each<[string, string, ErrorCode]>([
    ["no document", mutate(shell(""), 'spec:\n  document: ""\n', ""), "shape-invalid"],
    ["an empty document", shell(""), "shape-invalid"],
    ["a document that is a map", mutate(shell("x"), 'document: "x"', "document: {a: b}"), "shape-invalid"],
    ["no name", mutate(shell("x"), "  name: db\n", "  namespace: db\n"), "shape-invalid"],
    ["two of them", `${shell("x")}---\n${shell("y")}`, "several-documents"],
    ["no YAML", `${shell("x")}\t{`, "not-yaml"],
  ])("refuses a BoundSecret with %s", async (_, text, code) => {
    await expectRefusal(() => unwrapBoundSecret(text), code);
  });

  it("takes any document up to the limit, quoted", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (document) => {
        expect(
          unwrapBoundSecret(shell(document).replaceAll(/[\u007f-\u009f\u2028\u2029\ufffe\uffff]/g, "x"))?.document
            .length,
        ).toBe(document.length);
      }),
    );
    const whole = `${"é".repeat(maxDocumentBytes / 2)}`;
    expect(unwrapBoundSecret(shell(whole))?.document).toBe(whole);
  });
});

describe("rewrapBoundSecret() keeps every other byte", async () => {
  const other = await sealed(prod);
  const wrapped = wrapDocument(file);
  const literal = (document: string, indent: string) =>
    document
      .replace(/\n$/, "")
      .split("\n")
      .map((line) => (line === "" ? "" : indent + line))
      .join("\n");

  it.each<[string, string, string]>([
    ["what we wrote", wrapped, wrapDocument(other)],
    [
      "labels, comments and status around it",
      `# top\n${wrapped.replace("spec:\n", "  labels: {a: b} # c\nspec: # s\n")}status:\n  x: y\n`,
      `# top\n${wrapDocument(other).replace("spec:\n", "  labels: {a: b} # c\nspec: # s\n")}status:\n  x: y\n`,
    ],
    [
      "another indentation",
      wrapped.replace(/^ {2}document: [\s\S]*$/m, `      document: |\n${literal(file, "        ")}\n`),
      wrapped.replace(/^ {2}document: [\s\S]*$/m, `      document: |\n${literal(other, "        ")}\n`),
    ],
    [
      "a quoted document with a comment after it",
      shell(file).replace(/"\n$/, '" # kept\n'),
      shell(other).replace(/"\n$/, '" # kept\n'),
    ],
    [
      "JSON",
      JSON.stringify({
        apiVersion: "sealward.dev/v1alpha1",
        kind: "BoundSecret",
        metadata: { name: "db" },
        spec: { document: file },
      }),
      JSON.stringify({
        apiVersion: "sealward.dev/v1alpha1",
        kind: "BoundSecret",
        metadata: { name: "db" },
        spec: { document: other },
      }),
    ],
    [
      "a flow map for the spec",
      mutate(shell(file), /\n {2}document: (?=")/, " {document: ").replace(/\n$/, "}\n"),
      mutate(shell(other), /\n {2}document: (?=")/, " {document: ").replace(/\n$/, "}\n"),
    ],
    ["no line break at the end", shell(file).trimEnd(), ""],
  ])("%s", (_, text, expected) => {
    const next = rewrapBoundSecret(text, other);
    expect(unwrapBoundSecret(next)?.document).toBe(other);
    expect(carried(next)).toBe(other);
    if (expected !== "") expect(next).toBe(expected);
  });

  it("the same document again changes nothing", () => {
    expect(rewrapBoundSecret(wrapped, file)).toBe(wrapped);
  });

  it("refuses what is no BoundSecret", async () => {
    await expectRefusal(() => rewrapBoundSecret(file, other), "shape-invalid");
  });
});
