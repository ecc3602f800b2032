import { describe, expect, it } from "vitest";
import { floatBytes, isAmbiguousString, resolveGoScalar } from "../../src/go-scalar.ts";

function resolved(source: string): string {
  const value = resolveGoScalar(source);
  return "bytes" in value ? `${value.type} ${value.bytes}` : value.type;
}

describe("resolveGoScalar() types a plain scalar as SOPS does", () => {
  it.each([
    ...["", "~", "null", "Null", "NULL"].map((source) => [source, "null"]),
    ["nUll", "str nUll"],
    ["true", "bool True"],
    ["TRUE", "bool True"],
    ["False", "bool False"],
    ...["yes", "no", "on", "off", "y", "n", "tRUE", "12:30", "190:20:30"].map((source) => [source, `str ${source}`]),
    ["<<", "merge"],
    ["0", "int 0"],
    ["-0", "int 0"],
    ["+1", "int 1"],
    ["017", "int 15"],
    ["0777", "int 511"],
    ["0o17", "int 15"],
    ["08", "float 8"],
    ["0x1F", "int 31"],
    ["-0x1F", "int -31"],
    ["0b11", "int 3"],
    ["1_000", "int 1000"],
    ["12345_54321", "int 1234554321"],
    ["0x_1", "int 1"],
    ["9007199254740993", "int 9007199254740993"],
    ["9223372036854775807", "int 9223372036854775807"],
    ["-9223372036854775808", "int -9223372036854775808"],
    ["9223372036854775808", "unsupported"],
    ["18446744073709551615", "unsupported"],
    ["18446744073709551616", "float 18446744073709552000"],
    ["0xFFFFFFFFFFFFFFFFF", "str 0xFFFFFFFFFFFFFFFFF"],
    ["1.", "float 1"],
    ["1.0", "float 1"],
    ["-0.0", "float -0"],
    [".5", "float 0.5"],
    ["1e3", "float 1000"],
    ["1e-7", "float 0.0000001"],
    ["1e23", "float 100000000000000000000000"],
    ["1e400", "str 1e400"],
    [".inf", "float +Inf"],
    ["-.INF", "float -Inf"],
    [".NaN", "float NaN"],
    [".iNF", "str .iNF"],
    ["2024-01-02", "time 2024-01-02T00:00:00Z"],
    ["2024-1-2", "time 2024-01-02T00:00:00Z"],
    ["2024-01-02 03:04:05", "time 2024-01-02T03:04:05Z"],
    ["2024-01-02T03:04:05Z", "time 2024-01-02T03:04:05Z"],
    ["2024-01-02T03:04:05.120Z", "time 2024-01-02T03:04:05.12Z"],
    ["2024-01-02T03:04:05+02:00", "time 2024-01-02T03:04:05+02:00"],
    ["2024-01-02T03:04:05", "str 2024-01-02T03:04:05"],
    ["2024-02-30", "str 2024-02-30"],
    ["hello", "str hello"],
    ["-", "str -"],
    ["1.2.3", "str 1.2.3"],
    ["0x", "str 0x"],
  ])("%j is %s", (source, expected) => {
    expect(resolved(source)).toBe(expected);
  });
});

describe("isAmbiguousString()", () => {
  it.each([
    "yes",
    "NO",
    "on",
    "y",
    "N",
    "190:20:30",
    "1",
    "1.5",
    "true",
    "~",
    "",
    "2024-01-02",
    ".inf",
    "0o7",
    "1_0",
    ".1_0",
  ])("%j is not the same text for every reader", (source) => expect(isAmbiguousString(source)).toBe(true));

  it.each(["hello", "yess", "a1", "1.2.3", "-x", "payments", "v1", "12ab"])("%j is", (source) =>
    expect(isAmbiguousString(source)).toBe(false),
  );
});

describe("floatBytes()", () => {
  it.each<[number, string]>([
    [1e21, "1000000000000000000000"],
    [1.5e-10, "0.00000000015"],
    [-1.25e22, "-12500000000000000000000"],
    [123456.789, "123456.789"],
    [5e-324, `0.${"0".repeat(323)}5`],
    [-0, "-0"],
    [0, "0"],
  ])("%d is %s, never with an exponent", (value, text) => {
    expect(floatBytes(value)).toBe(text);
    expect(Number(text)).toBe(value);
  });
});
