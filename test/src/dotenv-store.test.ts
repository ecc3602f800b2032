import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dotenvStore } from "../../src/dotenv-store.ts";
import type { Leaf, MapValue } from "../../src/store.ts";
import { expectRefusal } from "../support/sealing.ts";
import {
  block,
  changedLines,
  enclosed,
  expectMetadataReversible,
  expectReversible,
  expectSealable,
  load,
  seed,
  treeOf,
} from "../support/stores.ts";

const leaf = (text: string, type: Leaf["type"] = "str"): Leaf => ({
  kind: "leaf",
  type,
  bytes: Buffer.from(text),
  offset: 0,
});
const documentOf = (...pairs: [string, Leaf][]): MapValue => ({
  kind: "map",
  offset: 0,
  items: pairs.map(([key, value]) => ({ kind: "pair", key, value, offset: 0 })),
});

const lineText = fc.string().map((text) => text.replace(/[\r\n]/g, " "));
const key = lineText.map((text) => text.replace(/[=#]/g, "_")).filter((text) => !text.startsWith("sops_"));

/** Lines of every kind, with either line end; blank lines only where SOPS reads them. */
const texts = fc
  .tuple(
    fc.uniqueArray(
      fc.oneof(
        fc.tuple(fc.constant("pair"), key, lineText),
        fc.tuple(fc.constant("comment"), fc.uuid(), lineText),
        fc.tuple(fc.constant("blank"), fc.uuid(), fc.constant("")),
      ),
      { selector: ([, name]) => name, maxLength: 8 },
    ),
    fc.constantFrom("\n", "\r\n"),
    fc.boolean(),
  )
  .map(([lines, newline, isClosed]) => {
    const written = lines.map(([kind, name, text]) => {
      if (kind === "pair") return `${name}=${text}`;
      if (kind === "comment") return `#${text}`;
      return newline === "\n" ? "" : "#";
    });
    return written.join(newline) + (isClosed && written.length > 0 ? newline : "");
  });

const odd = [
  "",
  "\n",
  "\n\nA=1\n\n\n",
  "A=1",
  "A=1\r\n# c\r\nB=2\r\n",
  "# only a comment",
  "#\nA=\n",
  "export A=\"x y\"\nB='q' # not a comment\n =z\n",
  "A=one\\ntwo\nB=a=b=c\n",
];

describe("the dotenv store", () => {
  it("gives back every text whose values were replaced, and its values without their spelling", () => {
    fc.assert(
      fc.property(texts, (text) => expectReversible(dotenvStore, text)),
      { seed, numRuns: 300 },
    );
    for (const text of odd) expectReversible(dotenvStore, text);
  });

  it("appends, changes and removes the block without touching anything else", () => {
    fc.assert(
      fc.property(texts, (text) => expectMetadataReversible(dotenvStore, text)),
      { seed, numRuns: 200 },
    );
    for (const text of odd) expectMetadataReversible(dotenvStore, text);
  });

  it("gives the engine back the very bytes that it encrypted", async () => {
    for (const text of odd) await expectSealable(dotenvStore, Buffer.from(text));
    await fc.assert(
      fc.asyncProperty(texts, async (text) => void (await expectSealable(dotenvStore, Buffer.from(text)))),
      { seed, numRuns: 25 },
    );
  });

  it("splits lines as SOPS does: nothing is trimmed, quotes stay, a carriage return is part of a value", () => {
    expect(treeOf(load(dotenvStore, '# c \nA B ="x" \nE=\nN=a\\nb\nR=r\r\n# d\r\n'))).toEqual([
      [
        { comment: " c " },
        { key: "A B ", value: ["str", '"x" '] },
        { key: "E", value: ["str", ""] },
        { key: "N", value: ["str", "a\nb"] },
        { key: "R", value: ["str", "r\r"] },
        { comment: " d" },
      ],
    ]);
  });

  it("writes the block as SOPS flattens it", () => {
    expect(
      load(dotenvStore, enclosed(load(dotenvStore, "A=1\n")))
        .text.split("\n")
        .slice(1),
    ).toEqual([
      "sops_age__list_0__map_enc=-----BEGIN AGE ENCRYPTED FILE-----\\nYWdl=\\n-----END AGE ENCRYPTED FILE-----\\n",
      expect.stringMatching(/^sops_age__list_0__map_recipient=age1/),
      "sops_lastmodified=2026-01-02T03:04:05Z",
      expect.stringMatching(/^sops_mac=ENC\[/),
      "sops_unencrypted_suffix=_unencrypted",
      "sops_version=3.13.3",
      "",
    ]);
  });

  it("reads a block whose lines stand anywhere, lists in the order of their numbers", () => {
    const file = load(
      dotenvStore,
      "sops_mac=m\nA=1\nsops_age__list_1__map_enc=two\nB=2\nsops_age__list_0__map_enc=one\n",
    );
    expect(file.metadata).toEqual(
      new Map<string, unknown>([
        ["mac", "m"],
        ["age", [new Map([["enc", "one"]]), new Map([["enc", "two"]])]],
      ]),
    );
    expect(file.metadataOffset).toBe(0);
    expect(file.write({ leaves: new Map(), comments: new Map(), metadata: null })).toBe("A=1\nB=2\n");
  });

  it("sets and removes values by their key, touching one line", () => {
    const sealed = load(dotenvStore, enclosed(load(dotenvStore, "# c\nA=1\n\nB=2\n")));
    const { text } = sealed;
    expect(sealed.set(["A"], leaf("x\ny"))).toBe(text.replace(/^A=.*$/m, "A=x\\ny"));
    expect(sealed.set(["C"], leaf("x"))).toBe(text.replace("\nsops_age", "\nC=x\nsops_age"));
    expect(sealed.unset(["B"])).toBe(text.replace(/^B=.*\n/m, ""));
    expect(changedLines(text, sealed.set(["C"], leaf("x")))).toBe(1);
    expect(load(dotenvStore, "A=1").set(["B"], leaf("True", "bool"))).toBe("A=1\nB=true");
    expect(load(dotenvStore, "").set(["B"], leaf("1"))).toBe("B=1\n");
  });

  it("refuses what dotenv cannot hold", async () => {
    const file = load(dotenvStore, "A=1\n");
    for (const path of [[], ["A", "b"], [0]]) await expectRefusal(() => file.set(path, leaf("x")), "path-missing");
    await expectRefusal(() => file.unset(["B"]), "path-missing");
    for (const name of ["sops_x", "#a", "a=b", "a\nb"])
      await expectRefusal(() => file.set([name], leaf("x")), "sops-unsupported");
    await expectRefusal(() => file.set(["B"], leaf("back\\nslash")), "sops-unsupported");
    await expectRefusal(() => file.set(["B"], documentOf()), "sops-unsupported");
  });

  it.each([
    ["a line without an equal sign", "A=1\nwords\n", "not-dotenv", 2],
    ["a line of blanks", "A=1\n  \n", "not-dotenv", 2],
    ["a blank line that ends in CR LF", "A=1\r\n\r\nB=2\r\n", "not-dotenv", 2],
    ["a key twice", "A=1\nB=2\nA=3\n", "duplicate-key", 3],
    ["a key of the block twice", "sops_mac=1\nsops_mac=2\n", "duplicate-key", 2],
    ["a byte order mark", "\ufeffA=1\n", "not-utf8", 1],
    ["a gap in a list of the block", "sops_age__list_1__map_enc=x\n", "sops-metadata-invalid", 1],
    ["a list of the block with a word for a number", "sops_age__list_x=x\n", "sops-metadata-invalid", 1],
    ["a list that is a map, too", "sops_a__list_0=x\nsops_a__map_b=y\n", "sops-metadata-invalid", 1],
    ["a text that is a map, too", "sops_a=x\nsops_a__map_b=y\n", "sops-metadata-invalid", 1],
    ["a block nested too deep", `sops_a${"__map_a".repeat(100_000)}=x\n`, "sops-metadata-invalid", 1],
  ] as const)("refuses %s", async (_, text, code, line) => {
    expect((await expectRefusal(() => load(dotenvStore, text), code)).line).toBe(line);
  });

  it("refuses bytes that are not UTF-8", async () => {
    await expectRefusal(() => dotenvStore.load(Buffer.from("A=\xff\n", "latin1")), "not-utf8");
  });

  it("is done quickly with large files", () => {
    const started = performance.now();
    const many = Array.from({ length: 300_000 }, (_, index) => `K${index}=${index}\n`).join("");
    expect(enclosed(load(dotenvStore, many)).length).toBeGreaterThan(many.length);
    const lists = Array.from({ length: 90_000 }, (_, index) => `sops_x__list_${index}=y\n`).join("");
    const file = load(dotenvStore, lists);
    expect(file.write({ leaves: new Map(), comments: new Map(), metadata: block })).toContain("sops_mac=ENC[");
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it("dumps a flat tree, and refuses any other with the name of its key", async () => {
    expect(dotenvStore.dump([documentOf(["A", leaf("1\n2")], ["B", leaf("False", "bool")])], null)).toBe(
      "A=1\\n2\nB=false\n",
    );
    expect(dotenvStore.dump([documentOf(["A", leaf("1")])], new Map([["mac", "ENC[x]"]]))).toBe(
      "A=1\nsops_mac=ENC[x]\n",
    );
    const inner = { ...documentOf(), items: [{ kind: "pair", key: "deep", value: documentOf(), offset: 0 } as const] };
    const error = await expectRefusal(() => dotenvStore.dump([inner], null), "sops-unsupported");
    expect(error.message).toContain('"deep"');
    await expectRefusal(() => dotenvStore.dump([documentOf(), documentOf()], null), "sops-unsupported");
  });
});
