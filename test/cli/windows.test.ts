// What is different on Windows and can be tried everywhere: paths with drives and backslashes, and files whose lines end in CR LF.
import { win32 } from "node:path";
import { describe, expect, it, test } from "vitest";
import { isWithin, posixRelative, upwards } from "../../cli/paths.ts";
import { findEnvironment, parseConfig } from "../../src/index.ts";
import { canary, type GitDir, manifest, sealedRepository, succeed } from "./gitdir.ts";

describe("paths of Windows", () => {
  it.each([
    ["C:\\work\\repo", "C:\\work\\repo\\deploy\\prod\\db.yaml", "deploy/prod/db.yaml"],
    ["C:\\work\\repo", "c:\\WORK\\repo\\deploy\\db.yaml", "deploy/db.yaml"],
    ["C:\\work\\repo", "C:\\work\\other\\db.yaml", "../other/db.yaml"],
    ["C:\\", "C:\\db.yaml", "db.yaml"],
    ["\\\\server\\share\\repo", "\\\\server\\share\\repo\\a\\b.yaml", "a/b.yaml"],
    ["C:/work/repo", "C:\\work\\repo\\a\\b.yaml", "a/b.yaml"],
  ])("from %s to %s: %s", (from, to, expected) => expect(posixRelative(from, to, win32)).toBe(expected));

  const config = (recipient: string) =>
    parseConfig(
      `version: 1\nenvironments:\n  prod:\n    recipients: {age: ${recipient}}\n    paths: ["deploy/prod/**"]\n  any:\n    recipients: {age: ${recipient}}\n    paths: ["**/any/**"]\n`,
      "seal.yaml",
    );

  it("a file is its environment's by the same globs, and one of another drive is nobody's", async () => {
    const dir = await sealedRepository();
    const [recipient = ""] = /age1\w+/.exec(dir.read("seal.yaml")) ?? [];
    const environmentOf = (path: string) => findEnvironment(config(recipient), { path }).name;
    expect(environmentOf(posixRelative("C:\\repo", "C:\\repo\\deploy\\prod\\db.yaml", win32))).toBe("prod");
    const elsewhere = posixRelative("C:\\repo", "D:\\deploy\\prod\\db.yaml", win32);
    expect(elsewhere).toBe("D:/deploy/prod/db.yaml");
    expect(() => environmentOf(elsewhere)).toThrow(expect.objectContaining({ code: "environment-mismatch" }));
  });

  it.each([
    ["C:\\work\\repo", ["C:\\work\\repo", "C:\\work", "C:\\"]],
    ["\\\\server\\share\\repo", ["\\\\server\\share\\repo", "\\\\server\\share\\"]],
    ["C:\\", ["C:\\"]],
  ])("the folders above %s end at the root", (folder, expected) => {
    expect([...upwards(folder, win32)]).toEqual(expected);
  });

  it.each([
    ["C:\\repo", "C:\\repo\\bin\\sops.exe", true],
    ["C:\\repo", "C:\\repo", true],
    ["C:\\repo", "C:\\repo-other\\sops.exe", false],
    ["C:\\", "C:\\x", true],
    ["C:\\repo", "D:\\repo\\x", false],
  ])("%s holds %s: %s", (folder, file, is) => expect(isWithin(folder, file, win32)).toBe(is));
});

const withCrLf = (dir: GitDir, ...files: string[]): void => {
  for (const file of files) dir.write(file, dir.read(file).replaceAll("\n", "\r\n"));
};
const lonely = /(?<!\r)\n/;

describe("files whose lines end in CR LF", () => {
  const file = "deploy/prod/db.sealed.yaml";

  it("seal.yaml and sealed files are read, checked and opened as ever", async () => {
    const dir = await sealedRepository();
    withCrLf(dir, "seal.yaml", file);
    expect((await succeed(dir.run(["check"]))).stderr).toContain("2 sealed and in order");
    expect((await succeed(dir.run(["status"]))).stderr).toBe("2 sealed files, 0 in need of attention\n");
    expect((await succeed(dir.run(["decrypt", file]))).stdout).toContain(canary);
    expect((await succeed(dir.run(["explain", file]))).stdout).toContain("environment: prod, by seal.yaml");
    expect((await dir.run(["doctor"])).stdout).toContain("ok    seal.yaml: seal.yaml defines staging, prod\n");
  });

  it("a sealed file keeps its line ends when a value is set", async () => {
    const dir = await sealedRepository();
    withCrLf(dir, file);
    await succeed(dir.run(["set", file, "PASSWORD"], { stdin: "new value" }));
    expect(dir.read(file)).not.toMatch(lonely);
    expect((await succeed(dir.run(["decrypt", file]))).stdout).toContain("new value");
  });

  it("a manifest is sealed with the line ends it has", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/new.yaml", manifest({ name: "new" }).replaceAll("\n", "\r\n"));
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/new.yaml"]));
    expect(dir.read("deploy/prod/new.yaml")).not.toMatch(lonely);
    expect(dir.read("deploy/prod/new.yaml")).toContain("sealward_created");
    await succeed(dir.run(["check"]));
  });

  it("a .gitignore of Windows counts", async () => {
    const dir = await sealedRepository();
    dir.write(".gitignore", "*.plain.yaml\r\n*.agekey\r\n");
    expect((await dir.run(["doctor"])).stdout).toContain("ok    ignored: ");
  });
});

test("a mistake in a seal.yaml of Windows has the place that an editor shows", async () => {
  const dir = await sealedRepository();
  dir.write("seal.yaml", "version: 1\r\nenvironments:\r\n  prod: 1\r\n");
  expect((await dir.run(["check"])).stderr).toContain("seal.yaml:3:3: ");
});
