import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decryptSops,
  type ErrorCode,
  type Expectation,
  generateAgeIdentity,
  isSealed,
  openSealed,
  SealwardError,
} from "../../src/index.ts";
import { maxSopsFileBytes } from "../../src/yaml-source.ts";
import { canary, databaseSecret, environment, expectRefusal, mutate, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const here: Expectation = { environment: prod.policy, target: "own" };
const manifest =
  "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\n  labels: {app: pay}\nstringData:\n  A: hello # why\n  B: ''\ndata: {C: aGk=}\n";
const file = await sealed(prod, manifest);

/** Everything of an opening that reaches the Secret. */
async function contentOf(text: string): Promise<string> {
  const { name, namespace, type, immutable, labels, annotations, data } = await openSealed(text, here, [prod.identity]);
  const sort = (record: Readonly<Record<string, string>>) => Object.entries(record).sort();
  return JSON.stringify([
    name,
    namespace,
    type,
    immutable,
    sort(labels),
    sort(annotations),
    [...data].map(([key, bytes]) => [key, Buffer.from(bytes).toString("hex")]).sort(),
  ]);
}

/** The content, or the code of the refusal. Any other error fails the test. */
async function outcomeOf(text: string): Promise<string> {
  try {
    return await contentOf(text);
  } catch (error) {
    if (error instanceof SealwardError) return "refused";
    throw error;
  }
}

describe("a sealed file that is damaged", () => {
  it("cut off at any length is refused, or has lost nothing", async () => {
    const whole = await contentOf(file);
    let opened = 0;
    for (let length = 0; length < file.length; length += 1) {
      const outcome = await outcomeOf(file.slice(0, length));
      if (outcome === "refused") continue;
      opened += 1;
      expect(outcome, `length ${length}`).toBe(whole);
    }
    expect(opened).toBeLessThanOrEqual(2);
  });

  it("with any one byte flipped opens to nothing else", async () => {
    const whole = await contentOf(file);
    const bytes = Buffer.from(file);
    for (let index = 0; index < bytes.length; index += 1) {
      const damaged = Buffer.from(bytes);
      damaged[index] = (damaged[index] ?? 0) ^ (1 << (index % 7));
      const outcome = await outcomeOf(damaged.toString());
      if (outcome !== "refused") expect(outcome, `byte ${index}`).toBe(whole);
    }
  });

  it("with any one line taken out, doubled or swapped with the next opens to nothing else", async () => {
    const whole = await contentOf(file);
    const lines = file.split("\n");
    for (let index = 0; index < lines.length; index += 1) {
      const [line = "", next = ""] = lines.slice(index, index + 2);
      const rest = lines.slice(index + 2);
      for (const middle of [[next], [line, line, next], [next, line]]) {
        const outcome = await outcomeOf([...lines.slice(0, index), ...middle, ...rest].join("\n"));
        if (outcome !== "refused") expect(outcome, `line ${index + 1}`).toBe(whole);
      }
    }
  });

  it("put together from two files of one environment opens to one of them or not at all", async () => {
    const other = await sealed(prod, mutate(manifest, "A: hello", "A: other"));
    const contents = ["refused", await contentOf(file), await contentOf(other)];
    const [mine, theirs] = [file.split("\n"), other.split("\n")];
    expect(mine.length).toBe(theirs.length);
    const choice = fc.array(fc.boolean(), { minLength: mine.length, maxLength: mine.length });
    const cut = fc.nat({ max: mine.length }).map((at) => mine.map((_, index) => index < at));
    const single = fc.nat({ max: mine.length - 1 }).map((at) => mine.map((_, index) => index === at));
    await fc.assert(
      fc.asyncProperty(fc.oneof(choice, cut, single), async (picks) => {
        const spliced = picks.map((pick, index) => (pick ? mine : theirs)[index]).join("\n");
        expect(contents).toContain(await outcomeOf(spliced));
      }),
      { numRuns: 400 },
    );
  });

  it("with a value of the same file in another place is not authentic", async () => {
    const [first = "", second = ""] = await Promise.all(
      ["A: hello # why", "A: hello # why\n  D: other"].map((text) =>
        sealed(prod, mutate(manifest, "A: hello # why", text)),
      ),
    );
    expect(await outcomeOf(first)).not.toBe(await outcomeOf(second));
    const values = second.match(/(?<= [AD]: )ENC\[[^\]]*\]/g) ?? [];
    const swapped = second
      .replace(values[0] ?? "", "@@")
      .replace(values[1] ?? "", values[0] ?? "")
      .replace("@@", values[1] ?? "");
    await expectRefusal(() => contentOf(swapped), "not-authentic");
  });
});

describe("isSealed()", () => {
  it.each<[boolean, string, string]>([
    [true, "a sealed file", file],
    [true, "any YAML with a sops map", "a: b\nsops: {}\n"],
    [true, "JSON", '{"a":"b","sops":{}}'],
    [true, "the first of several documents", "a: b\nsops: {}\n---\nc: d\n"],
    [false, "a plain manifest", databaseSecret],
    [false, "a sops key further in", "a:\n  sops: {}\n"],
    [false, "a sops text", "sops: hello\n"],
    [false, "a sops list", "sops: []\n"],
    [false, "nothing", ""],
    [false, "no YAML", "sops: {\n"],
    [false, "control characters", "sops: {}\0"],
    [false, "no map", "- sops: {}\n"],
    [false, "too much", `sops: {}\n# ${"x".repeat(maxSopsFileBytes)}`],
    [false, "nesting without end", `sops: {a: ${"[".repeat(20_000)}`],
  ])("%s for %s", (expected, _, text) => expect(isSealed(text)).toBe(expected));

  it("never throws", () => {
    const pieces = fc.constantFrom(
      "sops",
      ": ",
      "\n",
      "{",
      "}",
      "- ",
      "? ",
      "&a ",
      "*a",
      "!x ",
      "!!map ",
      "|\n",
      '"',
      "\\ud800",
      "%TAG ! x\n",
      "---\n",
      " ",
      "#",
      "\0",
      "<<: ",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 25 }), (parts) => {
        expect(typeof isSealed(`sops: ${parts.join("")}`)).toBe("boolean");
        expect(typeof isSealed(`${parts.join("")}sops`)).toBe("boolean");
      }),
      { numRuns: 1000 },
    );
  });
});

describe("decryptSops() where no environment governs", () => {
  it("opens what the identities open, and says whether there is a binding", async () => {
    const { text, bound } = await decryptSops(file, [generateAgeIdentity().identity, prod.identity], "f.yaml");
    expect(bound).toBe(true);
    expect(text).toContain("  A: hello # why\n");
    expect(text).not.toMatch(/sops|ENC|binding/);
  });

  it("checks the binding against the file's own fields", async () => {
    await expectRefusal(
      () => decryptSops(mutate(file, "name: db", "name: other"), [prod.identity]),
      "binding-mismatch",
    );
    await expectRefusal(
      () => decryptSops(mutate(file, "environment: prod", "environment: dev"), [prod.identity]),
      "binding-mismatch",
    );
    await expectRefusal(
      () => decryptSops(mutate(file, "scope: strict", "scope: environment"), [prod.identity]),
      "binding-mismatch",
    );
  });

  it("verifies the MAC", async () => {
    await expectRefusal(() => decryptSops(mutate(file, / {4}mac: .*\n/, ""), [prod.identity]), "not-authentic");
    await expectRefusal(
      () => decryptSops(mutate(file, / {4}mac: .*\n/, "    mac: x\n"), [prod.identity]),
      "not-authentic",
    );
    await expectRefusal(
      () => decryptSops(mutate(file, /lastmodified: "\d{4}/, 'lastmodified: "2020'), [prod.identity]),
      "not-authentic",
    );
  });

  it.each<[string, () => string, ErrorCode]>([
    ["no sops block", () => databaseSecret, "not-sealed"],
    [
      "no age recipient",
      () => file.replace(/ {4}age:\n[\s\S]*?(?= {4}encrypted_regex)/, "    pgp:\n        - fp: AB\n"),
      "sops-unsupported",
    ],
    ["a document added behind it", () => `${file}---\n${file}`, "several-documents"],
    ["an empty document added behind it, which the MAC does not see", () => `${file}---\n{}\n`, "several-documents"],
    ["a pattern that is none", () => file.replace(/encrypted_regex: .*/, "encrypted_regex: (?=x)"), "pattern-invalid"],
    ["an anchor", () => mutate(file, "{app: pay}", "{app: &a pay}"), "shape-invalid"],
  ])("refuses %s", async (_, text, code) => {
    const error = await expectRefusal(() => decryptSops(text(), [prod.identity], "f.yaml"), code);
    expect(error.file).toBe("f.yaml");
  });

  it("tells a missing identity from a wrong one, and shows neither", async () => {
    await expectRefusal(() => decryptSops(file, []), "identity-missing");
    const wrong = generateAgeIdentity();
    const error = await expectRefusal(() => decryptSops(file, [wrong.identity]), "identity-unmatched");
    expect(error.message).toContain(prod.identity.recipient);
    expect(error.message).not.toContain(wrong.secretKey.slice(16, 24));
  });

  it("shows nothing of the values in any refusal", async () => {
    const secret = await sealed(prod);
    for (const at of ["USERNAME", "PASSWORD", "TOKEN", "mac"]) {
      const damaged = secret.replace(
        new RegExp(`(${at}: ENC\\[AES256_GCM,data:)(.)`),
        (_, before, letter) => before + (letter === "A" ? "B" : "A"),
      );
      const error = await expectRefusal(() => decryptSops(damaged, [prod.identity]), "not-authentic");
      expect(`${error.message}${error.stack}`).not.toContain(canary);
    }
  });
});
