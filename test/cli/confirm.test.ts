// --yes, --quiet, and the question that one of them answers.
import { expect, test } from "vitest";
import { confirm } from "../../cli/confirm.ts";
import { withGlobalFlags } from "../../cli/global-flags.ts";
import { printDone, printError, printNote } from "../../cli/report.ts";
import { SealwardError } from "../../src/index.ts";
import { fakeIo, type Given, gitdir, sealedRepository } from "./gitdir.ts";

const quietly = () => ({ stdout: "", stderr: "" });

test.each([
  ["y", true],
  ["Yes ", true],
  ["", false],
  ["n", false],
  ["yesterday", false],
])("the answer %j means %s", async (answer, meant) => {
  const given: Given = { isTty: true, answers: [answer] };
  expect(await confirm(fakeIo(gitdir(), given, quietly()), "Remove PASSWORD?")).toBe(meant);
});

test("without a terminal the question is refused, not answered", async () => {
  const io = fakeIo(gitdir(), { answers: ["y"] }, quietly());
  await expect(confirm(io, "Remove PASSWORD?")).rejects.toMatchObject({
    code: "usage",
    hint: expect.stringContaining("--yes"),
  });
});

test("--yes answers it, wherever it stands before --", async () => {
  const plain = fakeIo(gitdir(), {}, quietly());
  for (const argv of [
    ["--yes", "set", "a"],
    ["set", "--yes", "a"],
    ["set", "a", "--yes"],
  ]) {
    const { argv: rest, io } = withGlobalFlags(argv, plain);
    expect(rest).toEqual(["set", "a"]);
    expect(await confirm(io, "?")).toBe(true);
  }
  const after = withGlobalFlags(["exec", "a", "--", "apt", "--yes", "--quiet"], plain);
  expect(after).toEqual({ argv: ["exec", "a", "--", "apt", "--yes", "--quiet"], io: plain });
});

test("what the surroundings look up when asked, they still do under a flag", () => {
  let folder = "/a";
  const plain = fakeIo(gitdir(), {}, quietly());
  Object.defineProperty(plain, "cwd", { get: () => folder });
  const { io } = withGlobalFlags(["--quiet"], plain);
  folder = "/b";
  expect([io.cwd, io.isQuiet, plain.isQuiet]).toEqual(["/b", true, false]);
});

test("--quiet leaves errors and their hints, and nothing else", async () => {
  const out = quietly();
  const { io } = withGlobalFlags(["--quiet"], fakeIo(gitdir(), {}, out));
  await printNote(io, "a note");
  await printDone(io, "done");
  expect(out.stderr).toBe("");
  await printError(io, new SealwardError("not-yaml", "bad"));
  expect(out.stderr).toMatch(/^error: bad \(not-yaml\)\nhint: /);
});

test("a command is quiet when told, and does the same", async () => {
  const dir = await sealedRepository();
  const loud = await dir.run(["check"]);
  const quiet = await dir.run(["check", "--quiet"]);
  expect(loud.stderr).toContain("checked: 2 sealed");
  expect(quiet).toEqual({ code: 0, stdout: loud.stdout, stderr: "" });
  const { code, stderr } = await dir.run(["--quiet", "chek"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("did you mean check?")]);
});
