// Two parsers, one text: whatever spelling of a clear field we accept, the released sops must read as the same value, or the
// MAC that we wrote would not be its MAC. The seed is fixed; another one is the way to look for more.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSealed, SealwardError } from "../../src/index.ts";
import { findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";
import { environment, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\n  annotations:\n";
const secretWith = (spellings: readonly string[]) =>
  `${head}${spellings.map((spelling, index) => `    k${index}: ${spelling}\n`).join("")}stringData:\n  A: hello\n`;

const pieces = [
  "a",
  "word",
  " ",
  "  ",
  "\n",
  "\n      ",
  "\n    ",
  "\n\n",
  "\n     ",
  "\r\n",
  ": ",
  ":",
  " #",
  "#",
  "'",
  "''",
  '"',
  "|",
  ">",
  "- ",
  "-",
  ",",
  "[",
  "]",
  "{",
  "}",
  "é",
  "🎉",
  "\ufeff",
  "\u00a0",
  "\u3000",
  "%",
  "@",
  "`",
  "!",
  "&",
  "*",
  "?",
  "~",
  "1",
  "yes",
];
const escapes = [
  '\\"',
  "\\n",
  "\\x41",
  "\\u00e9",
  "\\t",
  "\\ ",
  "\\\n",
  "\\_",
  "\\N",
  "\\L",
  "\\P",
  "\\e",
  "\\/",
  "\\0",
  "\\U0001F600",
  "\\ud83d",
  "\\\\",
];
const body = fc
  .array(fc.constantFrom(...pieces, ...escapes), { minLength: 1, maxLength: 12 })
  .map((parts) => parts.join(""));
const headers = ["|", ">", "|-", ">-", "|+", ">+", "|2", ">1-"];
const spelling = fc.oneof(
  body,
  body.map((text) => `'${text}'`),
  body.map((text) => `"${text}"`),
  fc.tuple(fc.constantFrom(...headers), body).map(([header, text]) => `${header}\n      ${text}`),
);

/** The spellings that we take for one annotation and nothing else. */
async function accepted(samples: readonly string[]): Promise<string[]> {
  const taken: string[] = [];
  for (const sample of samples) {
    try {
      const opened = await openSealed(
        await sealed(prod, secretWith([sample])),
        { environment: prod.policy, target: "own" },
        [prod.identity],
      );
      if (Object.keys(opened.annotations).length === 3) taken.push(sample);
    } catch (error) {
      if (!(error instanceof SealwardError)) throw error;
    }
  }
  return taken;
}

describe.skipIf(findTool("sops") === null)(titled("spellings of a clear text", "sops"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([prod.secretKey]);
  });
  afterAll(() => tools.remove());

  it("are one text for sops and for us", async () => {
    const taken = await accepted(fc.sample(spelling, { numRuns: 300, seed: 20261123 }));
    expect(taken.length).toBeGreaterThan(100);
    for (let start = 0; start < taken.length; start += 20) {
      const batch = taken.slice(start, start + 20);
      const text = await sealed(prod, secretWith(batch));
      const { annotations } = await openSealed(text, { environment: prod.policy, target: "own" }, [prod.identity]);
      // As JSON, because sops' YAML writer has its own trouble with line separators.
      const theirs = JSON.parse(
        tools.run("sops", ["decrypt", "--output-type", "json", tools.file("sealed.yaml", text)]),
      );
      expect(theirs.metadata.annotations, JSON.stringify(batch)).toMatchObject(annotations);
    }
  });
});
