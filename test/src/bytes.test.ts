import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, decodeUtf8, documentDigest, fromBase64, type Json, toBase64 } from "../../src/bytes.ts";

describe("fromBase64()", () => {
  it("reads what toBase64() writes, line breaks skipped", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = toBase64(bytes);
        expect(Buffer.from(fromBase64(text) ?? [255, 255])).toEqual(Buffer.from(bytes));
        expect(Buffer.from(fromBase64(text.replace(/.{5}/g, "$&\r\n")) ?? [255, 255])).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it.each(["a", "aGk", "aGl=", "aGk==", "aG=k", "aGk =", "-_-_", "aGk=\t", "aGk=x", "====", "ä==="])(
    "gives null for %j",
    (text) => {
      expect(fromBase64(text)).toBeNull();
    },
  );

  it("encodes the part of a buffer that it is given", () => {
    expect(toBase64(Buffer.from("xhix").subarray(1, 3))).toBe("aGk=");
  });
});

describe("decodeUtf8()", () => {
  it.each([[[0xff]], [[0xc0, 0x80]], [[0xed, 0xa0, 0x80]], [[0xe2, 0x82]], [[0xf4, 0x90, 0x80, 0x80]]])(
    "gives null for %j",
    (bytes) => {
      expect(decodeUtf8(Uint8Array.from(bytes))).toBeNull();
    },
  );

  it("keeps a byte-order mark, as part of the text", () => {
    expect(decodeUtf8(Uint8Array.from([0xef, 0xbb, 0xbf, 0x61]))).toBe("\ufeffa");
  });
});

describe("canonicalJson()", () => {
  it("gives one text for one value, whatever the order of keys", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "ü\n" }], a: true })).toBe('{"a":true,"b":[1,{"c":"ü\\n","d":null}]}');
    expect(canonicalJson(JSON.parse('{"__proto__": 1, "a": 2}'))).toBe('{"__proto__":1,"a":2}');
  });

  it("is JSON that reads back as the value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value as Json))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

it("documentDigest() names a document by its bytes", () => {
  expect(documentDigest("abc")).toBe("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(documentDigest("é")).not.toBe(documentDigest("e\u0301"));
});
