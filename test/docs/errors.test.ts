// docs/errors.md against the code: every code once, in the order of src/errors.ts, with the CLI's exit code and the
// controller's verdict.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exitOf } from "../../cli/report.ts";
import { verdicts } from "../../controller/verdict.ts";
import { type ErrorCode, errorCodes } from "../../src/errors.ts";
import { sectionOf } from "./markdown.ts";

const page = readFileSync("docs/errors.md", "utf8");
const documented = [...page.matchAll(/^### (.*)$/gm)].map(([, code]) => code);
const verdictWord = { terminal: "waits", retry: "retries" } as const;

test("the page has every code, in the order of the source", () => {
  expect(documented).toEqual([...errorCodes]);
});

test.each(errorCodes.map((code): [ErrorCode] => [code]))(
  "%s states its exit code, its verdict and what to do",
  (code) => {
    const text = sectionOf(page, `### ${code}`).replaceAll("\n", " ");
    const stated = /^ *Exit (\d+), (waits|retries)\. \S/.exec(text);
    expect(stated?.slice(1)).toEqual([String(exitOf(code)), verdictWord[verdicts[code]]]);
    expect(text).toMatch(/\*\*Do:\*\* \S.*\.\s*$/);
  },
);
