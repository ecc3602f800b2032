// The built program as it is installed: the launcher, the program and the bytecode beside it, which may be missing or of
// another build, and must never change what happens.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Script } from "node:vm";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { version } from "../../cli/version.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "seal-launcher-"));
  for (const name of ["seal.cjs", "seal-main.cjs", "seal-main.bin", "re2js.cjs"])
    copyFileSync(join("dist", name), at(name));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

const at = (name: string): string => join(folder, name);
const seal = (...argv: readonly string[]): readonly [number | null, string, string] => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [at("seal.cjs"), ...argv], {
    cwd: folder,
    env: { HOME: folder, PATH: process.env["PATH"] ?? "" },
    encoding: "utf8",
  });
  return [status, stdout, stderr];
};
const works = (): void => {
  expect(seal("keygen", "--out", "a.agekey")).toEqual([0, "", expect.stringMatching(/^recipient: age1/)]);
  expect(seal("decrypt", "none.yaml")).toEqual([6, "", expect.stringContaining("file-missing")]);
};

test("what is loaded when it is used is found: child processes, and the chunk beside the program", () => {
  spawnSync("git", ["init", "-q", folder]);
  expect(seal("check")).toEqual([0, expect.any(String), expect.not.stringContaining("internal")]);
});

const header = (): string => readFileSync(at("seal-main.bin"), "latin1").split("\n")[0] ?? "";

test.each([["--version"], ["-V"]])("%s needs nothing but the launcher", (flag) => {
  rmSync(at("seal-main.cjs"));
  expect(seal(flag)).toEqual([0, `${version}\n`, ""]);
});

test("--version with something else is the program's to answer", () => {
  expect(seal("--version", "encrypt")).toEqual([0, `${version}\n`, ""]);
});

describe("the bytecode", () => {
  test("is of this program and this Node, and accepted", () => {
    const program = readFileSync(at("seal-main.cjs"), "latin1");
    expect(header()).toBe(`${program.split("\n")[0]} ${process.version} ${process.arch}`);
    const script = new Script(program, {
      filename: at("seal-main.cjs"),
      cachedData: readFileSync(at("seal-main.bin")).subarray(header().length + 1),
    });
    expect(script.cachedDataRejected).toBe(false);
    works();
  });

  test("may be missing", () => {
    rmSync(at("seal-main.bin"));
    works();
  });

  test.each([
    ["another build", (line: string) => line.replace(/^\/\/\w{8}/, "//00000000")],
    ["another Node", (line: string) => line.replace(/ v\S+ /, " v0.0.0 ")],
    ["another machine", (line: string) => line.replace(/ \w+$/, " pdp11")],
  ])("of %s is not looked at", (_, changed) => {
    writeFileSync(at("seal-main.bin"), `${changed(header())}\nnot bytecode`);
    works();
  });

  test("that V8 rejects is compiled anew", () => {
    writeFileSync(at("seal-main.bin"), `${header()}\nnot bytecode`);
    works();
  });
});
