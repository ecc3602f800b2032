import { createSecretKey, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aadOfPath, decryptValue, encryptValue, looksEncrypted, parseEncrypted } from "../../src/sops-value.ts";

const key = createSecretKey(randomBytes(32));
const enc = encryptValue(Buffer.from("hello"), { key, aad: "data:a:", type: "str" });

describe("an ENC text", () => {
  it("has SOPS' form: AES256_GCM, a 32-byte IV, a 16-byte tag, the plaintext's length", () => {
    const value = parseEncrypted(enc);
    expect(enc).toMatch(/^ENC\[AES256_GCM,data:[^,]+,iv:[^,]+,tag:[^,]+,type:str\]$/);
    expect([value?.data.length, value?.iv.length, value?.tag.length, value?.type]).toEqual([5, 32, 16, "str"]);
  });

  it("opens to the same bytes, whatever bytes, under the same key and path", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.string(), (bytes, aad) => {
        const value = parseEncrypted(encryptValue(bytes, { key, aad, type: "str" }));
        expect(value && Buffer.from(decryptValue(value, key, aad) ?? [])).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it("is another text each time", () => {
    expect(encryptValue(Buffer.from("hello"), { key, aad: "data:a:", type: "str" })).not.toBe(enc);
  });

  it("opens under no other key, path, IV, tag or data", () => {
    const value = parseEncrypted(enc);
    if (value === null) throw new Error("not parsed");
    const flip = (bytes: Uint8Array) => bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
    expect(decryptValue(value, createSecretKey(randomBytes(32)), "data:a:")).toBeNull();
    expect(decryptValue(value, key, "data:b:")).toBeNull();
    expect(decryptValue(value, key, "data:a")).toBeNull();
    for (const field of ["data", "iv", "tag"] as const)
      expect(decryptValue({ ...value, [field]: flip(value[field]) }, key, "data:a:")).toBeNull();
    expect(decryptValue({ ...value, iv: value.iv.subarray(0, 12) }, key, "data:a:")).toBeNull();
  });

  it.each<[string, string]>([
    ["text after it", `${enc}x`],
    ["a line break after it", `${enc}\n`],
    ["text before it", ` ${enc}`],
    ["no data", enc.replace(/data:[^,]+/, "data:")],
    ["no IV", enc.replace(/iv:[^,]+/, "iv:")],
    ["an IV longer than OpenSSL takes", enc.replace(/iv:[^,]+/, `iv:${Buffer.alloc(129).toString("base64")}`)],
    ["a short tag", enc.replace(/tag:[^,]+/, "tag:AAAA")],
    ["base64 without padding", enc.replace(/data:([^=,]+)=+/, "data:$1")],
    ["base64 with bits to spare", enc.replace(/data:[^,]+/, "data:aGVsbG9=")],
    ["a space in base64", enc.replace("data:", "data: ")],
    ["another cipher", enc.replace("GCM", "CBC")],
    ["the type bytes", enc.replace("type:str", "type:bytes")],
    ["an unknown type", enc.replace("type:str", "type:text")],
    ["another order", enc.replace(/(data:[^,]+),(iv:[^,]+)/, "$2,$1")],
    ["a field more", enc.replace(",type", ",x:y,type")],
  ])("with %s is none", (_, text) => {
    expect(text).not.toBe(enc);
    expect(parseEncrypted(text)).toBeNull();
  });

  it("looks encrypted as soon as it begins like one, whole or damaged", () => {
    expect([enc, "ENC[AES256_GCM,", `${enc}x`].map(looksEncrypted)).toEqual([true, true, true]);
    expect(["", "ENC", " ENC[AES256_GCM,", "enc[aes256_gcm,"].map(looksEncrypted)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});

describe("aadOfPath()", () => {
  it("puts a colon after every component, raw", () => {
    expect(aadOfPath(["data", "password"])).toBe("data:password:");
    expect(aadOfPath(["a:b", "", "ü"])).toBe("a:b::ü:");
    expect(aadOfPath([])).toBe("");
  });
});
