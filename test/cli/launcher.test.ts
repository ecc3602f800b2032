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
  for (const name of ["seal.cjs", "seal-main.cjs", "seal-main.bin", "re2js.cjs", "aws-sdk.cjs", "aws-sdk.bin"])
    copyFileSync(join("dist", name), at(name));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

const at = (name: string): string => join(folder, name);
const seal = (...argv: readonly string[]): readonly [number | null, string, string] => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [at("seal.cjs"), ...argv], {
    cwd: folder,
    env: { HOME: folder, PATH: process.env["PATH"] ?? "", AWS_EC2_METADATA_DISABLED: "true" },
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

describe("the SDK of AWS beside the program", () => {
  const config = `version: 1\nenvironments: {prod: {recipients: {kms: "arn:aws:kms:eu-west-1:111122223333:alias/a"}}}\n`;
  const secret =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {A: not-a-real-password}\n";
  /** Nobody to call as, which only the SDK can say. */
  const callsNobody = (): void => {
    spawnSync("git", ["init", "-q", folder]);
    writeFileSync(at("seal.yaml"), config);
    writeFileSync(at("plain.yaml"), secret);
    const [status, stdout, stderr] = seal("encrypt", "--env", "prod", "plain.yaml");
    expect([status, stdout]).toEqual([5, ""]);
    expect(stderr).toContain("no AWS credentials were found (CredentialsProviderError) (credentials-missing)");
    expect(stderr).not.toMatch(/warning/i);
  };
  const named = (): string => readFileSync(at("aws-sdk.bin"), "latin1").split("\n")[0] ?? "";

  test("has bytecode that is accepted", () => {
    const text = readFileSync(at("aws-sdk.cjs"), "latin1");
    const [build = "", ...rest] = text.split("\n");
    expect(named()).toBe(`${build} ${process.version} ${process.arch}`);
    const script = new Script(`${build}\n(function (require, module) {${rest.join("\n")}})`, {
      filename: at("aws-sdk.cjs"),
      cachedData: readFileSync(at("aws-sdk.bin")).subarray(named().length + 1),
    });
    expect(script.cachedDataRejected).toBe(false);
    callsNobody();
  });

  test("works without, and with that of another build", () => {
    writeFileSync(at("aws-sdk.bin"), `${named().replace(/^\/\/\w{8}/, "//00000000")}\nnot bytecode`);
    callsNobody();
    rmSync(at("aws-sdk.bin"));
    callsNobody();
  });

  test("is not loaded where no key is named", () => {
    rmSync(at("aws-sdk.cjs"));
    works();
  });
});

test.each([[["--help"]], [["help", "check"]], [["env", "manifest", "-h"]], [["completion", "bash"]]])(
  "%j is answered by a text of the build, which says what the program says",
  (argv) => {
    const programs = seal(...argv);
    copyFileSync(join("dist", "answers.json"), at("answers.json"));
    rmSync(at("seal-main.cjs"));
    expect(seal(...argv)).toEqual(programs);
    expect(programs).toEqual([0, expect.stringContaining("seal"), ""]);
  },
);

test.each([[["check --help"]], [["help", "nothing"]], [["toString", "--help"]], [["--help", "check", "--env"]]])(
  "%j is the program's to answer",
  (argv) => {
    const programs = seal(...argv);
    copyFileSync(join("dist", "answers.json"), at("answers.json"));
    expect(seal(...argv)).toEqual(programs);
  },
);
