// The oracle for src/go-scalar.ts: what the released sops makes of a plain scalar. Its ENC texts name the type, and hold
// the very bytes that go into the MAC.
import { createSecretKey } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { unwrapDataKey } from "../../src/age.ts";
import { resolveGoScalar } from "../../src/go-scalar.ts";
import { generateAgeIdentity } from "../../src/index.ts";
import { aadOfPath, decryptValue, parseEncrypted } from "../../src/sops-value.ts";
import { findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";

const own = generateAgeIdentity();

/** What sops makes of each scalar, in one run: `type bytes`, or `null`. */
async function oracle(tools: Peers, scalars: readonly string[]): Promise<string[]> {
  const lines = scalars.map((scalar, index) => `k${index}: ${scalar}`);
  const path = tools.file("scalars.yaml", `${lines.join("\n")}\n`);
  const text = tools.run("sops", ["encrypt", "--age", own.identity.recipient, path]);
  const read = parse(text, { schema: "failsafe", uniqueKeys: false });
  const dataKey = await unwrapDataKey(read.sops.age[0].enc, own.identity);
  if (dataKey === null) throw new Error("sops wrote a blob that we cannot open");
  const key = createSecretKey(dataKey);
  return scalars.map((_, index) => {
    const encrypted = parseEncrypted(read[`k${index}`]);
    if (encrypted === null) return "null";
    const bytes = decryptValue(encrypted, key, aadOfPath([`k${index}`]));
    return `${encrypted.type} ${Buffer.from(bytes ?? []).toString()}`;
  });
}

function ours(scalar: string): string {
  const value = resolveGoScalar(scalar);
  return "bytes" in value ? `${value.type} ${value.bytes}` : value.type;
}

const digits = fc.stringMatching(/^[0-9_]{1,20}$/);
const numberLike = fc.oneof(
  fc.stringMatching(/^[-+]?[0-9][0-9_]{0,22}$/),
  fc.stringMatching(/^[-+]?0[xXbBoO_]?[0-9a-fA-F_]{1,18}$/),
  fc.stringMatching(/^[-+]?[0-9]{0,6}\.[0-9]{0,6}([eE][-+]?[0-9]{1,3})?$/),
  fc.stringMatching(/^[-+]?[0-9]{1,6}([eE][-+]?[0-9]{1,3})$/),
  fc.stringMatching(/^(19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}$/),
  fc.stringMatching(
    /^20[0-9]{2}-0[1-9]-[0-3][0-9][Tt][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]0[0-9]:[0-5][0-9])?$/,
  ),
  fc.stringMatching(/^20[0-9]{2}-0[1-9]-[0-3][0-9] [0-2]?[0-9]:[0-5]?[0-9]:[0-5]?[0-9](\.[0-9]{1,9})?$/),
  fc.stringMatching(/^[0-9]{1,3}(:[0-5][0-9]){1,2}$/),
  fc.constantFrom(
    "true",
    "False",
    "TRUE",
    "tRUE",
    "yes",
    "on",
    "y",
    "N",
    "off",
    "null",
    "Null",
    "nUll",
    "~",
    ".inf",
    "-.Inf",
    "+.INF",
    ".nan",
    ".NaN",
    ".iNF",
  ),
  fc.tuple(digits, fc.constantFrom("e", "E", ".", "-", "+", ""), digits).map((parts) => parts.join("")),
);
/** These two are no plain scalars. */
const isScalar = (text: string) => text !== "" && !/^-$|^\.$/.test(text);

describe.skipIf(findTool("sops") === null)(titled("plain scalars, as the released sops types them", "sops"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([own.secretKey]);
  });
  afterAll(() => tools.remove());

  it("numbers, times, words and what looks like them", async () => {
    const random = fc.sample(numberLike, 3000).filter(isScalar);
    const unique = [...new Set(random)].filter((text) => ours(text) !== "unsupported");
    const theirs = await oracle(tools, unique);
    expect(
      unique.flatMap((text, index) =>
        ours(text) === theirs[index] ? [] : [`${text}: ${ours(text)} / ${theirs[index]}`],
      ),
    ).toEqual([]);
  });
});
