import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Expectation, editSealed, openSealed, sealManifest } from "../../src/index.ts";
import { withEncodedData, withReadableData } from "../../src/readable-data.ts";
import { environment, expectRefusal, now } from "../support/sealing.ts";

const base64 = (value: string | Uint8Array): string => Buffer.from(value as string).toString("base64");
const manifest = (lines: readonly string[]): string =>
  `apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  namespace: shop\ndata:\n${lines.map((line) => `  ${line}\n`).join("")}stringData:\n  Z: zz\n`;
const prod = environment("prod");
const here: Expectation = { environment: prod.policy, target: "own" };

describe("withReadableData()", () => {
  it("shows text as text in the style that fits, and bytes as tagged base64", () => {
    const text = manifest([
      "# note",
      `PLAIN: ${base64("hello")} # why`,
      `QUOTED: "${base64("a: b # c")}"`,
      `LINES: |\n    ${base64("one\ntwo\n")}`,
      `BYTES: ${base64(Buffer.from([0, 1, 255]))}`,
      'EMPTY: ""',
      `CONTROL: ${base64("\u001b[2J")}`,
    ]);
    expect(withReadableData(text)).toBe(
      manifest([
        "# note",
        "PLAIN: hello # why",
        'QUOTED: "a: b # c"',
        "LINES: |\n    one\n    two",
        "BYTES: !!binary AAH/",
        'EMPTY: ""',
        "CONTROL: !!binary G1sySg==",
      ]),
    );
  });

  it("comes back byte for byte, whatever the values and however they are written", () => {
    const written = fc
      .tuple(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.string({ unit: "binary", minLength: 1 }),
        fc.boolean(),
        fc.constantFrom("", "'", '"', "|"),
      )
      .map(([bytes, text, isText, style]) => {
        const value = base64(isText ? text : bytes);
        return style === "|" ? `|-\n    ${value}` : `${style}${value}${style}`;
      });
    fc.assert(
      fc.property(
        fc.array(written, { minLength: 1, maxLength: 4 }),
        fc.constantFrom("", " # note"),
        (values, comment) => {
          const text = manifest(values.map((value, at) => `K${at}: ${value}${value.includes("\n") ? "" : comment}`));
          expect(withEncodedData(withReadableData(text), text)?.text).toBe(text);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("editing a sealed file with data", () => {
  const sealed = async (): Promise<string> =>
    (
      await sealManifest(
        manifest([`A: ${base64("one")}`, `B: |\n    ${base64("x\ny\n")}`, `C: ${base64(Buffer.from([0]))}`]),
        { environment: prod.policy, now },
      )
    ).text;
  const edit = async (change: (text: string) => string) => {
    const document = await sealed();
    const { plainText, reseal } = await editSealed(document, here, [prod.identity], "db.yaml");
    return { document, ...reseal(change(plainText), now) };
  };

  it("changes nothing where nothing was changed", async () => {
    const { document, text, changed } = await edit((plain) => plain);
    expect([text, changed]).toEqual([document, []]);
  });

  it("takes text as it is typed, and a tagged value for base64", async () => {
    const { text, changed } = await edit((plain) =>
      plain
        .replace("A: one", "A: two words")
        .replace("!!binary AA==", "!!binary AAEC")
        .replace("    y\n", "    y\n    z\n"),
    );
    expect([...changed].sort()).toEqual(["data.A", "data.B", "data.C"]);
    const { data } = await openSealed(text, here, [prod.identity]);
    expect([...data].map(([key, value]) => [key, Buffer.from(value).toString("latin1")])).toEqual([
      ["A", "two words"],
      ["B", "x\ny\nz\n"],
      ["C", "\u0000\u0001\u0002"],
      ["Z", "zz"],
    ]);
  });

  it("refuses a tag that is not where it is written, and loses no key for one in a comment", async () => {
    for (const line of [
      "  # bytes take !!binary\n  P: !<tag:yaml.org,2002:binary> //4=\n",
      "  P: !!binary # !!binary\n    //4=\n",
    ])
      await expectRefusal(() => edit((plain) => plain.replace("data:\n", `data:\n${line}`)), "shape-invalid");
  });

  it("takes what looks like base64 and is not tagged for the text that it is", async () => {
    const { text } = await edit((plain) => plain.replace("A: one", "A: b25l"));
    const { data } = await openSealed(text, here, [prod.identity]);
    expect(Buffer.from(data.get("A") ?? []).toString()).toBe("b25l");
  });

  it("names the line of the edited text in which a mistake is", async () => {
    let edited = "";
    const wrong = (change: (text: string) => string) => () =>
      edit((plain) => {
        edited = change(plain);
        return edited;
      });
    const refusal = await expectRefusal(
      wrong((plain) => plain.replace("  Z: zz", "  Z: 12")),
      "shape-invalid",
    );
    // Below a text of two lines that is one line of base64 in the file.
    expect(edited.split("\n")[(refusal.line ?? 0) - 1]).toBe("  Z: 12");
    await expectRefusal(
      wrong((plain) => plain.replace("!!binary AA==", "!!binary A*")),
      "shape-invalid",
    );
    await expectRefusal(
      wrong((plain) => plain.replace("A: one", "A: [")),
      "not-yaml",
    );
  });
});
