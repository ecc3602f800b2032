// How failures are shown: exit codes, colour, and what never reaches the terminal.
import { expect, test } from "vitest";
import { exitOf, hasColour, internalFailure, safeJson, safeText, shellQuote } from "../../cli/report.ts";
import { run } from "../../cli/run.ts";
import { errorCodes } from "../../src/index.ts";
import { canary, fakeIo, gitdir } from "./gitdir.ts";

test("every error code has one of the documented exit codes", () => {
  for (const code of errorCodes) expect([1, 2, 3, 4, 5, 6, 130], code).toContain(exitOf(code));
});

test.each([
  [{}, true, true],
  [{}, false, false],
  [{ NO_COLOR: "1" }, true, false],
  [{ NO_COLOR: "" }, true, true],
  [{ FORCE_COLOR: "1" }, false, true],
  [{ FORCE_COLOR: "0" }, true, false],
  [{ FORCE_COLOR: "1", NO_COLOR: "1" }, true, false],
  [{ TERM: "dumb" }, true, false],
])("colour with %j on a terminal: %j is %j", (env, isTty, expected) => {
  expect(hasColour(fakeIo(gitdir(), { env: env as Record<string, string>, isTty }, { stdout: "", stderr: "" }))).toBe(
    expected,
  );
});

test("errors are coloured on a terminal and plain elsewhere", async () => {
  const dir = gitdir();
  expect((await dir.run(["decrypt", "none.yaml"], { isTty: true })).stderr).toContain("\u001b[1;31merror:\u001b[0m");
  expect((await dir.run(["decrypt", "none.yaml"])).stderr).toMatch(/^error: Cannot read .*\(file-missing\)\nhint: /);
});

test("a key typed where a file name belongs is not repeated", async () => {
  const key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
  for (const typed of [key, key.toLowerCase(), key.replace("SECRET", "SECRT"), `--identity=${key}`]) {
    const { stderr } = await gitdir().run(["decrypt", "--identity", typed]);
    expect(stderr.toUpperCase()).not.toContain("QQQQQQ");
  }
});

test("escape sequences in file names do not reach the terminal", () => {
  expect(safeText("a\u001b[31mb\u0007\u009b\tc\nd")).toBe("a\\x1b[31mb\\x07\\x9b\\x09c\\x0ad");
  expect(safeText("a\u202eb\u2028c\u{e0001}")).toBe("a\\u202eb\\u2028c\\udb40\\udc01");
  const value = { name: "a\u009b\u202e\u2028\u{e0001}\n\u007f" };
  expect(safeJson(value)).not.toMatch(/[\u007f-\u009f\p{Cf}\p{Zl}]/u);
  expect(JSON.parse(safeJson(value))).toEqual(value);
});

test("a failure that is a bug shows its kind and place but not its message, and exits 70", async () => {
  const out = { stdout: "", stderr: "" };
  const io = fakeIo(gitdir(), { stdin: "x" }, out);
  const broken = {
    ...io,
    stdin: { isTty: false, readAll: () => Promise.reject(new RangeError(`bad\n    at ${canary}`)) },
  };
  expect(await run(["--env", "prod"], broken)).toBe(70);
  expect(out.stderr).toContain("RangeError");
  expect(out.stderr).toMatch(/\n {4}at .*report\.test\.ts:\d+:\d+/);
  expect(out.stderr).not.toContain(canary);
  expect(internalFailure(canary)).not.toContain(canary);
});

test("file names in hints can be pasted into a shell", () => {
  expect(shellQuote("deploy/prod/db.yaml")).toBe("deploy/prod/db.yaml");
  expect(shellQuote("it's here.yaml")).toBe("'it'\\''s here.yaml'");
});
