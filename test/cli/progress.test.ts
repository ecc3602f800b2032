// The bar over work that takes long: when it is shown, what of it stays, and where it is not.
import { describe, expect, it } from "vitest";
import { startProgress } from "../../cli/progress.ts";
import { eachOf } from "../../cli/several.ts";
import { fakeIo, type Given, gitdir } from "./gitdir.ts";

/** A terminal whose clock goes on by `ms` at each look at it. */
function terminal(given: Given, ms: number) {
  const out = { stdout: "", stderr: "" };
  let time = 0;
  const now = (): Date => {
    time += ms;
    return new Date(time);
  };
  const io = { ...fakeIo(gitdir(), { isTty: true, ...given }, out), now };
  return { io, out };
}

describe("a bar", () => {
  it("appears after a second, and leaves nothing", async () => {
    const { io, out } = terminal({}, 300);
    const progress = startProgress(io, "checking", 8);
    for (let step = 0; step < 3; step++) await progress.step();
    expect(out.stderr).toBe("");
    await progress.step();
    expect(out.stderr).toBe("\r\u001b[Kchecking [############------------] 4/8\r");
    await progress.end();
    expect(out.stderr.endsWith("\r\u001b[K")).toBe(true);
  });

  it("is drawn ten times a second at most, and never where the work was short", async () => {
    const { io, out } = terminal({}, 10);
    const progress = startProgress(io, "checking", 1000);
    for (let step = 0; step < 200; step++) await progress.step();
    await progress.end();
    expect(out.stderr.match(/checking/g)?.length).toBe(11);
    const short = terminal({}, 1);
    const quick = startProgress(short.io, "checking", 10);
    for (let step = 0; step < 10; step++) await quick.step();
    await quick.end();
    expect(short.out.stderr).toBe("");
  });

  it.each([
    ["without a terminal", { isTty: false }, false],
    ["on one that cannot go back in a line", { env: { TERM: "dumb" } }, false],
    ["when told to be quiet", {}, true],
  ] as const)("is not shown %s", async (_, given, isQuiet) => {
    const { io, out } = terminal(given, 2000);
    const progress = startProgress({ ...io, isQuiet }, "checking", 2);
    await progress.step();
    await progress.end();
    expect(out.stderr).toBe("");
  });

  it("goes over the files of a command, those that fail included, and is cleared", async () => {
    const { io, out } = terminal({}, 600);
    const work = async (file: string): Promise<void> => {
      if (file === "b") throw new Error("no");
    };
    await expect(eachOf(["a", "b", "c"], work, startProgress(io, "sealing", 3))).rejects.toThrow("no");
    expect(out.stderr).toContain("3/3");
    expect(out.stderr.endsWith("\r\u001b[K")).toBe(true);
  });
});
