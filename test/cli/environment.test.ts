// Every source that speaks must agree, in every command; and which seal.yaml it is that governs a file.
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { canary, editor, type GitDir, gitdir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const moved = "deploy/prod/moved.sealed.yaml";

const commands: readonly [string, (dir: GitDir) => Parameters<GitDir["run"]>][] = [
  ["decrypt", () => [["decrypt", moved]]],
  ["decrypt --env prod", () => [["decrypt", moved, "--env", "prod"]]],
  ["edit", (dir) => [["edit", moved], { env: { EDITOR: editor(dir, "process.exit(9)") } }]],
  ["set", () => [["set", moved, "PASSWORD"], { stdin: "x" }]],
  ["bind", () => [["bind", moved]]],
  ["bind --env prod", () => [["bind", moved, "--env", "prod"]]],
  ["wrap", () => [["wrap", moved]]],
];

test.each(commands)(
  "a staging file copied to the prod path is refused by %s, which touches nothing",
  async (_, command) => {
    const dir = await sealedRepository();
    dir.write(moved, dir.read("deploy/staging/db.sealed.yaml"));
    const before = dir.snapshot();
    const { code, stdout, stderr } = await dir.run(...command(dir));
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("(environment-mismatch)");
    expect(stderr).toContain("prod");
    expect(stderr).toContain("staging");
    expect(stderr).not.toContain(canary);
    expect(dir.snapshot()).toEqual(before);
  },
);

test("check names the copied file, on stdout", async () => {
  const dir = await sealedRepository();
  dir.write(moved, dir.read("deploy/staging/db.sealed.yaml"));
  const { code, stdout } = await dir.run(["check"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^deploy\/prod\/moved\.sealed\.yaml: environment-mismatch: .*\n$/);
});

test("changing the copied file's claim does not help: the binding says where it belongs", async () => {
  const dir = await sealedRepository();
  dir.write(moved, dir.read("deploy/staging/db.sealed.yaml").replace("environment: staging", "environment: prod"));
  for (const argv of [
    ["decrypt", moved],
    ["bind", moved],
    ["set", moved, "PASSWORD"],
  ]) {
    const { code, stdout, stderr } = await dir.run(argv, { stdin: "x" });
    expect([code, stdout], argv.join(" ")).toEqual([argv[0] === "bind" ? 5 : 1, ""]);
    expect(stderr).toContain(argv[0] === "bind" ? "(identity-unmatched)" : "(recipient-foreign)");
  }
});

describe("a plain manifest", () => {
  test.each([
    ["its annotation and --env disagree", ["--env", "prod"], "staging"],
    ["its annotation and the output's path disagree", ["-o", "deploy/prod/x.yaml"], "staging"],
  ])("is not sealed when %s", async (_, argv, annotated) => {
    const dir = await sealedRepository();
    const stdin = manifest({ annotations: `  annotations:\n    sealward.dev/environment: ${annotated}\n` });
    const { code, stderr } = await dir.run(argv, { stdin });
    expect([code, stderr]).toEqual([1, expect.stringContaining("(environment-mismatch)")]);
  });

  test("in another environment's folder is not sealed for this one, wherever the output goes", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/staging/db.plain.yaml", manifest());
    for (const argv of [
      ["--env", "prod"],
      ["-o", "deploy/prod/x.yaml"],
    ]) {
      const { code, stderr } = await dir.run(["deploy/staging/db.plain.yaml", ...argv]);
      expect([code, stderr]).toEqual([1, expect.stringContaining("(environment-mismatch)")]);
    }
  });

  test("is sealed for the environment that its namespace belongs to, and for no other", async () => {
    const dir = gitdir();
    await succeed(dir.run(["init", "--namespace", "prod=payments", "--namespace", "staging=payments-test"]));
    expect((await succeed(dir.run([], { stdin: manifest() }))).stdout).toContain("sealward.dev/environment: prod");
    expect((await dir.run(["--env", "staging"], { stdin: manifest() })).stderr).toContain("(environment-mismatch)");
  });
});

describe("the governing seal.yaml", () => {
  test("a symbolic link does not lend a file another environment's path", async () => {
    const dir = await sealedRepository();
    symlinkSync("../staging/db.sealed.yaml", join(dir.path, "deploy/prod/link.sealed.yaml"));
    expect((await dir.run(["decrypt", "deploy/prod/link.sealed.yaml", "--env", "prod"])).stderr).toContain(
      "(environment-mismatch)",
    );
    expect((await succeed(dir.run(["decrypt", "deploy/prod/link.sealed.yaml"]))).stdout).toContain(
      "environment: staging",
    );
  });

  test("a link out of the work tree, into one with a seal.yaml of its own, is refused by every command", async () => {
    const dir = await sealedRepository();
    const other = await sealedRepository();
    symlinkSync(join(other.path, "deploy/prod/db.sealed.yaml"), join(dir.path, "deploy/prod/link.sealed.yaml"));
    symlinkSync(join(other.path, "deploy/prod"), join(dir.path, "deploy/prod/team"));
    for (const file of ["deploy/prod/link.sealed.yaml", "deploy/prod/team/db.sealed.yaml"]) {
      for (const [args, options] of [
        [["decrypt", file]],
        [["set", file, "PASSWORD"], { stdin: "x" }],
        [["bind", file]],
        [["wrap", file]],
      ] as const) {
        const { code, stderr } = await dir.run([...args], options);
        expect([code, stderr]).toEqual([1, expect.stringContaining("(environment-mismatch)")]);
        expect(stderr).toContain("link out of its Git work tree");
      }
    }
    expect((await dir.run(["check"])).stdout).toContain("environment-mismatch");
  });

  test("is found from a folder below, and paths stay relative to it", async () => {
    const dir = await sealedRepository();
    await succeed(dir.run(["decrypt", "db.sealed.yaml"], { cwd: "deploy/prod" }));
  });

  test("a nested one that the root does not list does not count, and a note says so", async () => {
    const dir = await sealedRepository();
    const other = gitdir();
    await succeed(other.run(["init"]));
    dir.write("deploy/prod/seal.yaml", other.read("seal.yaml"));
    const { stderr } = await succeed(dir.run(["decrypt", "deploy/prod/db.sealed.yaml"]));
    expect(stderr).toContain('deploy/prod/seal.yaml does not count: seal.yaml does not list it under "nested"');
    // Listed, it governs: what was sealed for the root's recipients is foreign to it.
    dir.write("seal.yaml", `${dir.read("seal.yaml")}nested: [deploy/prod/seal.yaml]\n`);
    expect((await dir.run(["decrypt", "deploy/prod/db.sealed.yaml"])).code).toBe(1);
  });

  test("ends at the Git root", async () => {
    const dir = await sealedRepository();
    mkdirSync(join(dir.path, "deploy/prod/inner/.git"), { recursive: true });
    dir.write("deploy/prod/inner/db.yaml", dir.read("deploy/prod/db.sealed.yaml"));
    const env = { SOPS_AGE_KEY_FILE: join(dir.home, ".config/sealward/repo/prod.agekey") };
    expect((await succeed(dir.run(["decrypt", "deploy/prod/inner/db.yaml"], { env }))).stderr).toContain(
      "no environment was confirmed",
    );
  });

  test("outside Git one in a parent of the working folder does not choose recipients", async () => {
    const dir = await sealedRepository();
    const outside = join(dir.home, "project");
    mkdirSync(outside);
    dir.write("../home/seal.yaml", dir.read("seal.yaml"));
    const { code, stderr } = await dir.run(["--env", "prod"], { cwd: "../home/project", stdin: manifest() });
    expect([code, stderr]).toEqual([4, expect.stringContaining("(config-missing)")]);
    await succeed(dir.run(["--env", "prod"], { cwd: "../home", stdin: manifest() }));
  });

  test("a mistake in it is shown with its place, by every command", async () => {
    const dir = await sealedRepository();
    dir.write("seal.yaml", "version: 1\nenvironments:\n  prod: 3\n");
    for (const argv of [
      ["--env", "prod"],
      ["decrypt", "deploy/prod/db.sealed.yaml"],
      ["check"],
      ["env", "manifest", "prod"],
    ]) {
      const { code, stderr } = await dir.run(argv, { stdin: manifest() });
      expect([code, stderr]).toEqual([4, expect.stringMatching(/^error: seal\.yaml:3:\d+: .*\(config-invalid\)/)]);
    }
  });
});
