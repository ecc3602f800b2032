// The released gitleaks behind `seal check`: its flags, its report, and that what it matched stays with it.

import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { sealedRepository } from "../cli/gitdir.ts";
import { findTool, titled } from "../support/available.ts";

const gitleaks = findTool("gitleaks");
// Made up in the form of a real one, and in two parts, so that no scanner takes this file for a leak.
const token = ["xoxb-263594206564-2343594206574", "FGqddMF8t08v8N7Oq4i57vs1"].join("-");

describe.skipIf(gitleaks === null)(titled("gitleaks", "gitleaks"), () => {
  test.each([
    ["in the work tree", []],
    ["that is staged", ["--staged"]],
  ])("finds a token %s, which is not shown", async (_, flags) => {
    const dir = await sealedRepository();
    dir.write("app.yaml", `a: 1\nslack: ${token}\n`);
    spawnSync("git", ["add", "-A"], { cwd: dir.path });
    const env = { PATH: `${dirname(gitleaks ?? "")}:${process.env["PATH"]}` };
    const { code, stdout, stderr } = await dir.run(["check", ...flags], { env });
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(
        /^app\.yaml:2:\d+: warning: clear-leak: gitleaks finds what looks like a secret \(slack-bot-token\)\n$/,
      ),
    ]);
    expect(stdout + stderr).not.toContain(token);
    expect((await dir.run(["check", "--strict", ...flags], { env })).code).toBe(1);
  });

  test("says nothing of sealed files", async () => {
    const dir = await sealedRepository();
    const env = { PATH: `${dirname(gitleaks ?? "")}:${process.env["PATH"]}` };
    expect((await dir.run(["check", "--strict"], { env })).stdout).toBe("");
  });
});
