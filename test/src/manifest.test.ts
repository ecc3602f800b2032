import { describe, expect, it } from "vitest";
import { type ErrorCode, readManifest } from "../../src/index.ts";
import { plainDigest, readManifestShape } from "../../src/manifest.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { databaseSecret, environment, expectRefusal, mutate, sealed } from "../support/sealing.ts";

const head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n";
const secret = `${head}stringData:\n  A: hello\n`;

describe("readManifest()", () => {
  it("says what a plain Secret says about itself", () => {
    expect(readManifest(databaseSecret)).toEqual({
      sealed: false,
      name: "db",
      namespace: "payments",
      type: "Opaque",
      environment: undefined,
      scope: undefined,
      recipients: [],
      dataKeys: ["TOKEN"],
      stringDataKeys: ["USERNAME", "PASSWORD", "EMPTY"],
    });
  });

  it("says what a sealed file claims", async () => {
    const prod = environment("prod");
    expect(readManifest(await sealed(prod))).toMatchObject({
      sealed: true,
      environment: "prod",
      scope: "strict",
      recipients: [{ kind: "age", id: prod.identity.recipient }],
    });
  });

  it("reads over what servers add", () => {
    expect(readManifest(`${head}  uid: x\n  creationTimestamp: null\nstringData:\n  A: x\nstatus: {}\n`).name).toBe(
      "db",
    );
  });

  it("refuses a plain manifest in JSON before anything about its fields", async () => {
    const json =
      '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","creationTimestamp":null},"data":{"A":"aGk="}}';
    const error = await expectRefusal(() => readManifest(json), "shape-invalid");
    expect(error.message).toContain("-o yaml");
  });
});

describe("the closed shape", () => {
  it.each<[string, string, ErrorCode, number?, number?]>([
    ["no kind", "a: b\n", "not-a-secret", 1, 1],
    ["a ConfigMap", mutate(secret, "Secret", "ConfigMap"), "not-a-secret", 1, 1],
    ["another apiVersion", mutate(secret, "v1", "v2"), "not-a-secret"],
    ["a List", "apiVersion: v1\nkind: List\nitems: []\n", "not-a-secret"],
    ["a SecretList", "apiVersion: v1\nkind: SecretList\nitems: []\n", "not-a-secret"],
    ["an encrypted kind", mutate(secret, "Secret", "ENC[AES256_GCM,data:x]"), "not-a-secret"],
    ["an unknown field", `${secret}spec: {}\n`, "shape-invalid", 7, 1],
    ["a field in another case", mutate(secret, "stringData", "StringData"), "shape-invalid", 5, 1],
    ["finalizers", mutate(secret, "  name: db\n", "  name: db\n  finalizers: []\n"), "shape-invalid", 5, 3],
    ["generateName", mutate(secret, "  name: db\n", "  generateName: db-\n"), "shape-invalid", 4, 3],
    ["no metadata", mutate(secret, "metadata:\n  name: db\n", ""), "shape-invalid"],
    ["metadata as a list", mutate(secret, "metadata:\n  name: db\n", "metadata: []\n"), "shape-invalid"],
    ["no name", mutate(secret, "  name: db\n", "  namespace: x\n"), "shape-invalid"],
    ["an empty name", mutate(secret, "name: db", "name: ''"), "shape-invalid"],
    ["a name in capitals", mutate(secret, "name: db", "name: Db"), "shape-invalid"],
    ["a name that is a path", mutate(secret, "name: db", "name: ../db"), "shape-invalid"],
    ["a name with a line break", mutate(secret, "name: db", 'name: "db\\n"'), "shape-invalid"],
    ["a name that is a number", mutate(secret, "name: db", "name: 12"), "shape-invalid", 4, 9],
    ["a namespace with a dot", mutate(secret, "  name: db\n", "  name: db\n  namespace: a.b\n"), "shape-invalid"],
    [
      "a namespace of 64 letters",
      mutate(secret, "  name: db\n", `  name: db\n  namespace: ${"a".repeat(64)}\n`),
      "shape-invalid",
    ],
    ["a null namespace", mutate(secret, "  name: db\n", "  name: db\n  namespace:\n"), "shape-invalid"],
    ["a type that is a list", `${secret}type: [a]\n`, "shape-invalid", 7, 7],
    ["a type that mints tokens", `${secret}type: kubernetes.io/service-account-token\n`, "secret-type-forbidden"],
    ["a type that joins nodes", `${secret}type: bootstrap.kubernetes.io/token\n`, "secret-type-forbidden"],
    ["immutable as a text", `${secret}immutable: "true"\n`, "shape-invalid", 7, 12],
    ["immutable: yes", `${secret}immutable: yes\n`, "shape-invalid", 7, 12],
    ["immutable: True", `${secret}immutable: True\n`, "shape-invalid", 7, 12],
    ["a null immutable", `${secret}immutable:\n`, "shape-invalid"],
    [
      "a label that is a number",
      mutate(secret, "  name: db\n", "  name: db\n  labels:\n    a: 1\n"),
      "shape-invalid",
      6,
      8,
    ],
    [
      "a label that some read as a truth value",
      mutate(secret, "  name: db\n", "  name: db\n  labels:\n    a: on\n"),
      "shape-invalid",
      6,
      8,
    ],
    [
      "a label that is a map",
      mutate(secret, "  name: db\n", "  name: db\n  labels:\n    a: {}\n"),
      "shape-invalid",
      6,
      8,
    ],
    ["a null annotation", mutate(secret, "  name: db\n", "  name: db\n  annotations:\n    a:\n"), "shape-invalid"],
    ["labels that are a list", mutate(secret, "  name: db\n", "  name: db\n  labels: [a]\n"), "shape-invalid", 5, 11],
    [
      "an annotation that the selection would take",
      mutate(secret, "  name: db\n", "  name: db\n  annotations:\n    data: x\n"),
      "shape-invalid",
      6,
      5,
    ],
    [
      "a label that the selection would take",
      mutate(secret, "  name: db\n", "  name: db\n  labels:\n    sealward.dev/binding: x\n"),
      "shape-invalid",
      6,
      5,
    ],
    ["a key that some read as a truth value", `${secret}  y: x\n`, "shape-invalid", 7, 3],
    ["a key that is a number", `${secret}  12: x\n`, "shape-invalid", 7, 3],
    ["a key with a question mark", `${secret}  ? B\n  : x\n`, "shape-invalid", 7, 5],
    ["a key that Kubernetes does not allow", `${secret}  a/b: x\n`, "shape-invalid", 7, 3],
    ["an empty key", `${secret}  "": x\n`, "shape-invalid", 7, 3],
    ["a key of 254 letters", `${secret}  ${"a".repeat(254)}: x\n`, "shape-invalid", 7, 3],
    ["a value that is a number", `${secret}  B: 1\n`, "shape-invalid", 7, 6],
    ["a value that is a time", `${secret}  B: 2024-01-02\n`, "shape-invalid", 7, 6],
    ["a value that some read as a number", `${secret}  B: 12:30:45\n`, "shape-invalid", 7, 6],
    ["a value that is true", `${secret}  B: true\n`, "shape-invalid", 7, 6],
    ["a null value", `${secret}  B:\n`, "shape-invalid", 7],
    ["a value that is a list", `${secret}  B: [x]\n`, "shape-invalid", 7, 6],
    ["a NUL in a value", `${secret}  B: "a\\0b"\n`, "shape-invalid", 7, 6],
    ["an anchor", `${secret}  B: &x y2\n`, "shape-invalid", 7, 9],
    ["an alias", `${head}stringData:\n  A: &x y2\n  B: *x\n`, "shape-invalid"],
    ["an anchored map", `${head}stringData: &x\n  A: hello\n`, "shape-invalid"],
    ["a merge key", `${head}stringData:\n  <<: {A: x}\n`, "shape-invalid", 6, 3],
    ["a tag on a value", `${secret}  B: !!str 1\n`, "shape-invalid", 7],
    ["a tag on a map", `${head}stringData: !!map\n  A: hello\n`, "shape-invalid"],
    ["stringData that is a list", `${head}stringData: [a]\n`, "shape-invalid", 5, 13],
    ["stringData that is a text", `${head}stringData: a\n`, "shape-invalid", 5, 13],
    ["data that is not base64", `${secret}data:\n  B: hello\n`, "shape-invalid", 8, 6],
    ["data in base64 without padding", `${secret}data:\n  B: aGk\n`, "shape-invalid", 8, 6],
    ["data in the URL alphabet", `${secret}data:\n  B: "-_-_"\n`, "shape-invalid", 8, 6],
    ["data with bits to spare", `${secret}data:\n  B: aGl=\n`, "shape-invalid", 8, 6],
    ["a key in both maps", `${secret}data:\n  A: aGk=\n`, "shape-invalid", 8, 3],
    ["sops that is a text", `${secret}sops: x\n`, "shape-invalid"],
    ["sops before the end", `${head}sops: {}\nstringData:\n  A: x\n`, "shape-invalid"],
    [
      "annotations above the API server's limit",
      mutate(secret, "  name: db\n", `  name: db\n  annotations:\n    a: ${"x".repeat(270_000)}\n`),
      "shape-invalid",
    ],
    ["a clear value in a sealed file", `${secret}sops: {}\n`, "shape-invalid", 6, 6],
    ["two documents", `${secret}---\n${secret}`, "several-documents"],
  ])("refuses %s", async (_, text, code, line, column) => {
    const error = await expectRefusal(() => readManifest(text, "f.yaml"), code);
    expect(error.file).toBe("f.yaml");
    if (line !== undefined) expect(error.line).toBe(line);
    if (column !== undefined) expect(error.column).toBe(column);
  });

  it.each<[string, string]>([
    ["an encrypted truth value", "bool"],
    ["an encrypted comment", "comment"],
    ["an encrypted number", "int"],
  ])("refuses %s in a sealed file", async (_, type) => {
    const text = await sealed(environment("prod"));
    await expectRefusal(() => readManifest(text.replace(/(PASSWORD: .*type:)str/, `$1${type}`)), "shape-invalid");
  });

  it.each<[string, string]>([
    ["quoted words", `${secret}  "y": 'no'\n  "12": "1"\n`],
    ["labels without a value", mutate(secret, "  name: db\n", "  name: db\n  labels:\n  annotations: ~\n")],
    ["base64 over lines", `${secret}data:\n  B: |\n    aG\n    k=\n`],
    ["a name with dots", mutate(secret, "name: db", "name: db.example.org")],
    ["a key that begins with a dot", `${secret}  .dockerconfigjson: "{}"\n`],
  ])("takes %s", (_, text) => {
    expect(readManifest(text).sealed).toBe(false);
  });
});

describe("plainDigest()", () => {
  const digestOf = (text: string) => plainDigest(readManifestShape(parseYaml(text)));
  const base = `${head}  labels:\n    a: x\n  annotations:\n    b: z\nstringData:\n  A: hello\n  B: ""\ndata:\n  C: aGk=\n`;

  it("does not depend on order, style, comments or values", () => {
    const other = `kind: Secret\napiVersion: v1\ndata: {C: "eW8="} # c\nstringData:\n  B: ''\n  A: 'other'\nmetadata:\n  annotations: {"b": 'z'}\n  labels: {a: "x"}\n  name: db\n`;
    expect(digestOf(other)).toBe(digestOf(base));
  });

  it.each<[string, string, string]>([
    ["a label's value", "a: x", "a: y2"],
    ["a label's name", "a: x", "c: x"],
    ["an annotation moved to the labels", "  annotations:\n    b: z\n", "    b: z\n"],
    ["an annotation's value", "b: z", "b: zz"],
    ["a key's name", "A: hello", "D: hello"],
    ["a value made empty", "A: hello", "A: ''"],
    ["a value no longer empty", 'B: ""', "B: x"],
    ["a key moved from data to stringData", "data:\n  C: aGk=\n", "  C: aGk=\n"],
    ["immutable", "stringData:", "immutable: false\nstringData:"],
  ])("depends on %s", (_, from, to) => {
    const text = from.startsWith("data") ? base.replace(/data:\n {2}C: aGk=\n$/, to) : base.replace(from, to);
    expect(text).not.toBe(base);
    expect(digestOf(text)).not.toBe(digestOf(base));
  });

  it("takes __proto__ for a name like any other", () => {
    const withProto = mutate(base, "    a: x\n", "    a: x\n    __proto__: y2\n");
    expect(digestOf(withProto)).not.toBe(digestOf(base));
  });
});
