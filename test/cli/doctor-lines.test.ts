// seal doctor beside AWS: each thing it looks at in order, wrong, and mended by the command that it names. Git is real; sops and
// kubectl are scripts outside the work tree that say what the test wants.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { type GitDir, type Given, gitdir, sealedRepository, succeed } from "./gitdir.ts";

interface Line {
  readonly about: string;
  readonly status: "ok" | "warn" | "fail";
  readonly message: string;
  readonly mend?: string;
}

async function linesOf(dir: GitDir, argv: readonly string[] = [], given: Given = {}) {
  const { code, stdout, stderr } = await dir.run(["doctor", "--output", "json", ...argv], given);
  const { lines } = JSON.parse(stdout) as { readonly lines: readonly Line[] };
  const of = (about: string): readonly Line[] => lines.filter((line) => line.about === about);
  return { code, stderr, lines, of, one: (about: string): Line | undefined => of(about)[0] };
}

function git(dir: GitDir, ...args: string[]): void {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  expect(spawnSync("git", args, { cwd: dir.path, env }).status).toBe(0);
}

/** A script on PATH; gives the PATH. */
function program(dir: GitDir, name: string, body: string, folder = join(dir.home, "bin")): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, name), 0o755);
  return folder;
}

test("a repository after `seal init` has warnings, each with what mends it, and no failure", async () => {
  const dir = await sealedRepository();
  const before = dir.snapshot();
  const { code, stdout, stderr } = await dir.run(["doctor"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("ok    seal.yaml: seal.yaml defines staging, prod\n");
  expect(stdout).toMatch(/^ok {4}git: version \d+\.\d+/m);
  expect(stdout).toContain("ok    identity: one at hand opens prod\n");
  expect(stdout).toContain("warn  hook: no pre-commit hook runs `seal check --staged`\n      mend: seal git install\n");
  expect(stdout).toContain("ok    ignored: Git ignores *.plain.yaml and *.agekey\n");
  expect(stdout).toContain("ok    private folder: ");
  const lines = stdout.trimEnd().split("\n");
  for (const [index, line] of lines.entries())
    if (/^(warn|fail)/.test(line)) expect(lines[index + 1]).toMatch(/^ {6}mend: \S/);
  expect(dir.snapshot()).toEqual(before);
  expect(stdout).not.toMatch(/AGE-SECRET-KEY/i);
});

test("no seal.yaml is a failure, and so is a wrong one, with its place", async () => {
  const none = await linesOf(gitdir());
  expect(none.code).toBe(1);
  expect(none.one("seal.yaml")).toMatchObject({ status: "fail", mend: "seal init" });
  const wrong = await linesOf(gitdir({ "seal.yaml": "version: 1\nenvironments:\n  prod: 1\n" }));
  expect(wrong.one("seal.yaml")).toMatchObject({ status: "fail", mend: "correct seal.yaml:3:3" });
  expect(wrong.stderr).toContain("The doctor found 1 thing to correct");
});

test("outside a work tree it says so and goes on", async () => {
  const dir = await sealedRepository();
  spawnSync("rm", ["-rf", join(dir.path, ".git")]);
  const { one } = await linesOf(dir);
  expect(one("work tree")).toMatchObject({ status: "warn", mend: "git init" });
  expect(one("editor")).toBeDefined();
});

test("hook, drivers and attributes are found where Git itself finds them", async () => {
  const dir = await sealedRepository();
  git(dir, "config", "core.hooksPath", ".hooks");
  dir.write(".hooks/pre-commit", "#!/bin/sh\n# seal check --staged\nexec seal check\n");
  expect((await linesOf(dir)).one("hook")).toMatchObject({
    status: "warn",
    message: expect.stringMatching(/work tree and not/),
  });
  dir.write(".hooks/pre-commit", "#!/bin/sh\r\nexec seal check --staged\r\n");
  git(dir, "config", "merge.seal.driver", "seal git merge %O %A %B");
  expect((await linesOf(dir)).one("drivers")).toMatchObject({
    message: expect.stringMatching(/has no diff\.seal\.textconv/),
  });
  git(dir, "config", "diff.seal.textconv", "seal git textconv");
  dir.write(".gitattributes", "*.sealed.yaml merge=seal\r\n");
  expect((await linesOf(dir)).one("attributes")).toMatchObject({
    status: "warn",
    message: expect.stringMatching(/no diff=seal$/),
  });
  dir.write(".gitattributes", "*.sealed.yaml merge=seal diff=seal\r\n");
  const { one } = await linesOf(dir);
  expect(["hook", "drivers", "attributes"].map((about) => one(about)?.status)).toEqual(["ok", "ok", "ok"]);
});

test("plaintext that Git tracks is a failure that names the files", async () => {
  const dir = await sealedRepository();
  dir.write("a b.plain.yaml", "x: 1\n");
  dir.write("sub/prod.agekey", "no key\n");
  git(dir, "add", "-f", "a b.plain.yaml", "sub/prod.agekey");
  const { code, one } = await linesOf(dir);
  expect(code).toBe(1);
  expect(one("plaintext")).toMatchObject({ status: "fail", message: /a b\.plain\.yaml, sub\/prod\.agekey/ });
  expect(one("plaintext")?.mend).toContain("git rm --cached -- 'a b.plain.yaml' sub/prod.agekey");
});

test("names that Git does not ignore are told, and the command mends it", async () => {
  const dir = await sealedRepository();
  dir.write(".gitignore", "*.agekey\n");
  const mend = (await linesOf(dir)).one("ignored")?.mend ?? "";
  expect(spawnSync("sh", ["-c", mend], { cwd: dir.path }).status).toBe(0);
  expect(dir.read(".gitignore")).toBe("*.agekey\n*.plain.yaml\n");
  expect((await linesOf(dir)).one("ignored")?.status).toBe("ok");
});

test("an identity file that others can read, one that is none, and an environment without any", async () => {
  const dir = await sealedRepository();
  const file = join(dir.home, "keys 1.txt");
  await succeed(dir.run(["keygen", "-o", file]));
  chmodSync(file, 0o644);
  const open = await linesOf(dir, [], { env: { SOPS_AGE_KEY_FILE: file } });
  const [line] = open.of("identity").filter(({ status }) => status === "warn");
  expect(line).toMatchObject({ message: `${file} can be read by others (mode 0644)`, mend: `chmod 600 '${file}'` });
  expect(spawnSync("sh", ["-c", line?.mend ?? ""]).status).toBe(0);
  const closed = await linesOf(dir, [], { env: { SOPS_AGE_KEY_FILE: file } });
  expect(closed.of("identity").map(({ status }) => status)).toEqual(["ok", "ok"]);
  const none = await linesOf(dir, [], {
    env: { XDG_CONFIG_HOME: "/nonexistent", SOPS_AGE_KEY: "AGE-SECRET-KEY-1NOT" },
  });
  expect(none.code).toBe(0);
  expect(none.of("identity").map(({ message }) => message)).toEqual([
    "none at hand opens staging, unless an SSH key or a command does",
    "none at hand opens prod, unless an SSH key or a command does",
    expect.stringMatching(/^SOPS_AGE_KEY is unusable: /),
  ]);
  expect(JSON.stringify(none.lines)).not.toContain("1NOT");
});

test("no command of a variable is run", async () => {
  const dir = await sealedRepository();
  const path = join(dir.home, "was-run");
  await linesOf(dir, [], { env: { SOPS_AGE_KEY_CMD: `touch ${path}` } });
  expect(spawnSync("test", ["-e", path]).status).toBe(1);
});

test.each([
  ["sops 3.13.2 (latest)", "warn"],
  ["sops 3.9.4", "warn"],
  ["sops 3.13.3", "ok"],
  ["sops 4.0.0", "ok"],
  ["no idea", "warn"],
])("a program that says %j: %s", async (said, status) => {
  const dir = await sealedRepository();
  const env = { PATH: `relative:${program(dir, "sops", `echo "${said}"`)}` };
  expect((await linesOf(dir, [], { env })).one("sops")).toMatchObject({ status });
});

test("nothing that lies in the work tree is run, and no sops is nothing to tell", async () => {
  const dir = await sealedRepository();
  const mark = join(dir.home, "was-run");
  const env = { PATH: `${program(dir, "sops", `touch ${mark}`, join(dir.path, "bin"))}:.` };
  const { of } = await linesOf(dir, ["--cluster"], { env });
  expect(of("sops")).toEqual([]);
  expect(of("cluster")).toMatchObject([{ status: "fail", message: "kubectl is not on PATH" }]);
  expect(spawnSync("test", ["-e", mark]).status).toBe(1);
});

test("an editor is looked for, by the variable that names it", async () => {
  const dir = await sealedRepository();
  const env = { PATH: program(dir, "ed it", "exit 0"), SEAL_EDITOR: `"ed it" --wait` };
  expect((await linesOf(dir, [], { env })).one("editor")).toMatchObject({
    status: "ok",
    message: expect.stringMatching(/by SEAL_EDITOR/),
  });
  const lost = await linesOf(dir, [], { env: { ...env, SEAL_EDITOR: "lost" } });
  expect(lost.one("editor")).toMatchObject({ status: "warn", mend: "export SEAL_EDITOR=PROGRAM" });
});

const kubectl = (environments: string): string => `case "$*" in
*current-context*) echo "kind one";;
*version*) echo '{"clientVersion":{"gitVersion":"v1"},"serverVersion":{"gitVersion":"v1.31.0"}}';;
*environments.sealward.dev*) ${environments};;
esac`;

test.each([
  [
    "printf 'environment.sealward.dev/prod\\nenvironment.sealward.dev/dev\\n'",
    "ok",
    "it has the Environments prod, dev",
  ],
  ["true", "warn", "it has no Environment yet"],
  ["exit 1", "warn", "its Environments cannot be listed: not installed there, or not allowed"],
])("the cluster is asked with --cluster only: %s", async (answer, status, message) => {
  const dir = await sealedRepository();
  const env = { PATH: `${program(dir, "kubectl", kubectl(answer))}:/usr/bin:/bin` };
  expect((await linesOf(dir, [], { env })).of("cluster")).toEqual([]);
  expect((await linesOf(dir, ["--cluster"], { env })).of("cluster")).toMatchObject([
    { status: "ok", message: "the context kind one reaches Kubernetes v1.31.0" },
    { status, message },
  ]);
});

test("a cluster that does not answer is a failure", async () => {
  const dir = await sealedRepository();
  const env = { PATH: program(dir, "kubectl", `case "$*" in *current-context*) echo kind;; *) exit 1;; esac`) };
  const { code, of } = await linesOf(dir, ["--cluster"], { env });
  expect(code).toBe(1);
  expect(of("cluster")).toMatchObject([{ status: "fail", message: expect.stringMatching(/kind does not answer/) }]);
});

/** A terminal of the system, in which the built program runs. */
const hasTerminal = spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux") === true;

test.skipIf(!hasTerminal).each([
  ["in colour", {}, "\u001b[32mok   \u001b[0m seal.yaml: "],
  ["without, where NO_COLOR is set", { NO_COLOR: "1" }, "ok    seal.yaml: "],
])("at a real terminal it answers %s", async (_, variables, start) => {
  const dir = await sealedRepository();
  const command = `'${process.execPath}' '${resolve("dist/seal.cjs")}' doctor`;
  const env = { ...dir.env, PATH: process.env["PATH"] ?? "", TERM: "xterm", ...variables };
  const { status, stdout } = spawnSync("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    cwd: dir.path,
    env,
    encoding: "utf8",
  });
  expect(status).toBe(0);
  expect(stdout.startsWith(start)).toBe(true);
  expect(stdout).toContain("mend: seal git install");
});
