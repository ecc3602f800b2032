import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { binaryStore } from "../../src/binary-store.ts";
import type { Leaf, MapValue } from "../../src/store.ts";
import { expectRefusal } from "../support/sealing.ts";
import { block, enclosed, expectSealable, itemsOf, load, seed } from "../support/stores.ts";

const leaf = (bytes: Uint8Array): Leaf => ({ kind: "leaf", type: "str", bytes, offset: 0 });
const documentOf = (key: string, bytes: Uint8Array): MapValue => ({
  kind: "map",
  offset: 0,
  items: [{ kind: "pair", key, value: leaf(bytes), offset: 0 }],
});

describe("the binary store", () => {
  it("gives the engine back any bytes that it encrypted", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        async (bytes) => void (await expectSealable(binaryStore, bytes)),
      ),
      { seed, numRuns: 40 },
    );
    for (const text of ["", "{}", '{"data":"x"}', "{not json", "\ufeff", "a\r\nb", '{"a":"\\"sops\\""}'])
      await expectSealable(binaryStore, Buffer.from(text));
  });

  it("writes SOPS' envelope", () => {
    const text = enclosed(load(binaryStore, "any\u0000thing"));
    expect(text.split("\n").slice(0, 5)).toEqual([
      "{",
      expect.stringMatching(/^\t"data": "ENC\[AES256_GCM,.*",$/),
      '\t"sops": {',
      '\t\t"age": [',
      "\t\t\t{",
    ]);
    expect(text.endsWith("\t}\n}\n")).toBe(true);
    expect(text).toContain('"mac": "ENC[');
    const again = load(binaryStore, text);
    expect(again.metadata).toEqual(block);
    expect(again.metadataOffset).toBeGreaterThan(0);
    expect(itemsOf(again).leaves).toHaveLength(1);
  });

  it("keeps an empty file empty", () => {
    const file = load(binaryStore, "");
    expect(file.write({ leaves: new Map(), comments: new Map(), metadata: new Map() })).toBe(
      '{\n\t"data": "",\n\t"sops": {}\n}\n',
    );
  });

  it("takes JSON without a block for content", () => {
    const file = load(binaryStore, '{"a": 1}');
    expect(file.metadata).toBeNull();
    expect(Buffer.from(itemsOf(file).leaves[0]?.bytes ?? []).toString()).toBe('{"a": 1}');
  });

  it("dumps the bytes of data alone, and refuses any other tree", async () => {
    const bytes = Buffer.from([0, 255, 10]);
    expect(binaryStore.dump([documentOf("data", bytes)], null)).toEqual(bytes);
    expect(binaryStore.dump([documentOf("data", Buffer.from("x"))], new Map([["mac", "m"]]))).toBe(
      '{\n\t"data": "x",\n\t"sops": {\n\t\t"mac": "m"\n\t}\n}\n',
    );
    await expectRefusal(() => binaryStore.dump([documentOf("other", bytes)], null), "sops-unsupported");
    await expectRefusal(() => binaryStore.dump([], null), "sops-unsupported");
  });

  it("has one path, which cannot be removed", async () => {
    const sealed = load(binaryStore, enclosed(load(binaryStore, "x")));
    expect(sealed.set(["data"], leaf(Buffer.from("ENC[y]")))).toContain('\t"data": "ENC[y]",\n');
    await expectRefusal(() => sealed.set(["other"], leaf(Buffer.from("x"))), "path-missing");
    await expectRefusal(() => sealed.unset(["data"]), "sops-unsupported");
    await expectRefusal(() => load(binaryStore, "x").unset(["other"]), "path-missing");
  });

  it("refuses files that are too large", async () => {
    await expectRefusal(() => binaryStore.load(Buffer.from("12345"), { maxBytes: 4 }), "too-large");
  });

  it("reads and writes ten megabytes in a moment", () => {
    const bytes = randomBytes(10 * 1024 * 1024);
    const enc = `ENC[AES256_GCM,data:${bytes.toString("base64")},iv:A,tag:B,type:str]`;
    const started = performance.now();
    const file = binaryStore.load(bytes);
    const [only] = itemsOf(file).leaves;
    const text = file.write({
      leaves: new Map(only === undefined ? [] : [[only, { enc }]]),
      comments: new Map(),
      metadata: block,
    });
    const again = binaryStore.load(Buffer.from(text));
    expect(itemsOf(again).leaves[0]?.bytes.length).toBe(enc.length);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
