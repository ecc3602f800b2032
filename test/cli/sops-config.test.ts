// Which .sops.yaml is read for a file: as sops looks for it, and refused where people may have meant another.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findSettings } from "../../cli/settings.ts";
import { findRule, findSopsConfig, matchedPath } from "../../cli/sops-config.ts";
import { fakeIo, type GitDir, type Given, gitdir } from "./gitdir.ts";

const config = (name: string): string => `creation_rules: [{path_regex: '^${name}', age: ${name}}]\n`;

/** The file that was found, relative to the repository, and what was said. */
async function found(
  dir: GitDir,
  file: string | null,
  { flag, ...given }: Given & { readonly flag?: string } = {},
): Promise<[file: string | null, stderr: string]> {
  const out = { stdout: "", stderr: "" };
  const io = fakeIo(dir, given, out);
  const result = await findSopsConfig(io, file, { flag, settings: await findSettings(io, file) });
  return [result === null ? null : result.file.slice(dir.path.length + 1), out.stderr];
}

describe("the .sops.yaml of a file", () => {
  test("is the nearest above the working folder, however deep the file lies", async () => {
    const dir = gitdir({ ".sops.yaml": config("a"), "sub/deep/x": "" });
    expect(await found(dir, "sub/deep/x")).toEqual([".sops.yaml", ""]);
    expect(await found(dir, "x", { cwd: "sub/deep" })).toEqual([".sops.yaml", ""]);
    expect(await found(dir, null, { cwd: "sub" })).toEqual([".sops.yaml", ""]);
    expect(await found(gitdir(), "x")).toEqual([null, ""]);
  });

  test("is refused where the nearest above the file is another, with the names of both", async () => {
    const dir = gitdir({ ".sops.yaml": config("a"), "sub/.sops.yaml": config("b"), "sub/x": "" });
    await expect(found(dir, "sub/x")).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(
        / \.sops\.yaml is the nearest above the working folder, .* sub\/\.sops\.yaml the nearest above the file/,
      ),
    });
    await expect(found(dir, "../x", { cwd: "sub" })).rejects.toMatchObject({ code: "usage" });
    expect(await found(dir, "x", { cwd: "sub" })).toEqual(["sub/.sops.yaml", ""]);
    expect(await found(dir, "sub/x", { flag: "sub/.sops.yaml" })).toEqual(["sub/.sops.yaml", ""]);
    expect(await found(dir, "sub/x", { env: { SOPS_CONFIG: ".sops.yaml" } })).toEqual([".sops.yaml", ""]);
    expect(await found(dir, "sub/x", { flag: ".sops.yaml", env: { SOPS_CONFIG: "none" } })).toEqual([".sops.yaml", ""]);
  });

  test("is not read where only the file's folder leads to it, which a note says", async () => {
    const dir = gitdir({ "sub/.sops.yaml": config("b"), "sub/x": "" });
    const [file, stderr] = await found(dir, "sub/x");
    expect([file, stderr]).toEqual([null, expect.stringContaining("note: sub/.sops.yaml is not read")]);
    expect(stderr).toContain("`--config sub/.sops.yaml`");
  });

  test("is not .sops.yml, which a note says", async () => {
    const dir = gitdir({ ".sops.yaml": config("a"), "sub/.sops.yml": config("b") });
    expect(await found(dir, "x", { cwd: "sub" })).toEqual([
      ".sops.yaml",
      "note: .sops.yml is not read, neither here nor by sops: it must be called .sops.yaml\n",
    ]);
  });

  test("is none where a seal.yaml governs; one note if one was named", async () => {
    const governed =
      "version: 1\nenvironments: {prod: {recipients: {age: age1mw2yn988vzwd5r0yztl6nmavcsdcek4p247383gq8a630cas83fqa69ual}}}\n";
    const dir = gitdir({ ".sops.yaml": config("a"), "seal.yaml": governed });
    expect(await found(dir, "x")).toEqual([null, ""]);
    expect(await found(dir, "x", { flag: ".sops.yaml" })).toEqual([
      null,
      "note: --config has no effect: seal.yaml governs this file, and .sops.yaml is not read\n",
    ]);
    expect((await found(dir, "x", { env: { SOPS_CONFIG: "y" } }))[1]).toContain("note: SOPS_CONFIG has no effect");
  });

  test.each([
    ["a file that is not there", "none", "file-missing"],
    ["a broken one", "broken", "config-invalid"],
  ])("that is named and is %s is refused", async (_, flag, code) => {
    await expect(found(gitdir({ broken: "a: [\n" }), "x", { flag })).rejects.toMatchObject({ code });
  });
});

describe("the rule of a file", () => {
  test("is found by the path below the config's folder, wherever the command runs", async () => {
    const dir = gitdir({ ".sops.yaml": config("sub/x") });
    mkdirSync(join(dir.path, "sub"));
    const io = fakeIo(dir, { cwd: "sub" }, { stdout: "", stderr: "" });
    const sopsConfig = await findSopsConfig(io, "x", { settings: null });
    if (sopsConfig === null) throw new Error("no config");
    expect(await findRule(io, sopsConfig, "x")).toMatchObject({ index: 0 });
    await expect(findRule(io, sopsConfig, "y")).rejects.toMatchObject({
      code: "rule-missing",
      message: expect.stringContaining("sub/y"),
    });
    expect(await findRule(io, { ...sopsConfig, config: { ...sopsConfig.config, rules: null } }, "y")).toBeNull();
  });

  test.each([
    ["/r/a/b", "a/b"],
    ["/r/..a", "..a"],
    ["/rest/a", "/rest/a"],
    ["/a", "/a"],
  ])("%s is matched as %s", (path, name) => {
    expect(matchedPath("/r", path)).toBe(name);
  });
});
