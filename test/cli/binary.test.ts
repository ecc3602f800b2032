// The bundled program as people run it: pipes, signals, terminals. What the commands do is tested without a process.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canary, type GitDir, manifest, type Outcome, sealedRepository } from "./gitdir.ts";

const prod = "deploy/prod/db.sealed.yaml";
let folder = "";
let seal = "";

// The same bundle that build.mjs makes, in a place of its own: other tests may be building too.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "seal-binary-"));
  seal = join(folder, "seal.cjs");
  await build({
    entryPoints: ["cli/main.ts"],
    outfile: seal,
    bundle: true,
    platform: "node",
    target: "node20.19",
    format: "cjs",
    mainFields: ["module", "main"],
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Only what a program needs, so that no key or setting of the machine takes part. */
const environment = (dir: GitDir, extra: Record<string, string> = {}): Record<string, string> => ({
  ...dir.env,
  PATH: process.env["PATH"] ?? "",
  ...extra,
});

function start(dir: GitDir, argv: readonly string[], extra: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [seal, ...argv], { cwd: dir.path, env: environment(dir, extra), detached: true });
}

function finish(dir: GitDir, argv: readonly string[], input = "", extra: Record<string, string> = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [seal, ...argv], {
    cwd: dir.path,
    env: environment(dir, extra),
    input,
    encoding: "utf8",
  });
  return { code: status ?? -1, stdout, stderr };
}

function shell(dir: GitDir, script: string): Outcome {
  const command = `seal() { "${process.execPath}" "${seal}" "$@"; }\nset -o pipefail\n${script}`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", command], {
    cwd: dir.path,
    env: environment(dir),
    encoding: "utf8",
  });
  return { code: status ?? -1, stdout, stderr };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error(`gave up waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ended = (child: ChildProcess): Promise<{ code: number | null; signal: string | null }> =>
  new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));

describe("in a pipe", () => {
  test("`… | seal --env prod | seal decrypt` gives back the manifest", async () => {
    const dir = await sealedRepository();
    dir.write("db.plain.yaml", manifest());
    const { code, stdout, stderr } = shell(dir, "cat db.plain.yaml | seal --env prod | seal decrypt");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`PASSWORD: ${canary}\n`);
  });

  test("`seal <(command)` is as good as stdin", async () => {
    const dir = await sealedRepository();
    dir.write("db.plain.yaml", manifest());
    const { code, stdout } = shell(dir, "seal --env prod <(cat db.plain.yaml) | seal decrypt /dev/stdin");
    expect([code, stdout]).toEqual([0, expect.stringContaining(canary)]);
  });

  test("a reader that has seen enough ends it quietly", async () => {
    const dir = await sealedRepository();
    const big = join(dir.home, "big");
    writeFileSync(big, "x".repeat(500_000));
    expect(finish(dir, ["set", prod, "BIG", "--from-file", big]).code).toBe(0);
    const { code, stdout, stderr } = shell(dir, `seal decrypt ${prod} | head -c 10`);
    expect([code, stdout, stderr]).toEqual([141, "apiVersion", ""]);
  });

  test("data goes to stdout and everything else to stderr, without colour", async () => {
    const dir = await sealedRepository();
    const { code, stdout, stderr } = finish(dir, ["decrypt", prod, "--env", "staging"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^error: .*\(environment-mismatch\)\nhint: .*\n$/);
    expect(finish(dir, ["decrypt", "none"], "", { FORCE_COLOR: "1" }).stderr).toContain("\u001b[");
    expect(finish(dir, ["decrypt", "none"], "", { FORCE_COLOR: "1", NO_COLOR: "1" }).stderr).not.toContain("\u001b[");
  });

  test("--version starts no command and takes no stdin", async () => {
    expect(finish(await sealedRepository(), ["--version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("what the system refuses is told as that, not as a bug", () => {
  test.each([
    ["a full disk behind stdout", `seal decrypt ${prod} > /dev/full`, "Cannot write stdout: the system says ENOSPC"],
    ["a device that fails as stdin", "seal --env prod < /proc/self/mem", "Cannot read stdin: the system says EIO"],
    ["a working folder that was removed", "mkdir d; cd d; rmdir ../d; seal check", "Cannot find the working folder"],
  ])("%s", async (_, script, message) => {
    const { code, stdout, stderr } = shell(await sealedRepository(), script);
    expect([code, stdout, stderr]).toEqual([6, "", expect.stringMatching(new RegExp(`^error: ${message}.*\\nhint: `))]);
  });

  test("a full disk behind stderr changes nothing about the outcome", async () => {
    const dir = await sealedRepository();
    expect(shell(dir, `printf new | seal set ${prod} URL 2> /dev/full`).code).toBe(0);
    expect(shell(dir, "seal decrypt none 2> /dev/full").code).toBe(6);
    expect(finish(dir, ["decrypt", prod]).stdout).toContain('URL: "new"\n');
  });
});

describe("edit", () => {
  /** An editor that says where it edits, adds plaintext of its own beside it, and then waits. */
  const waiting = (dir: GitDir, onSignal: string): { program: string; ready: string } => {
    const ready = join(dir.home, "ready");
    const program = join(dir.home, "editor.cjs");
    writeFileSync(
      program,
      `#!${process.execPath}
const { writeFileSync } = require("node:fs");
const file = process.argv.at(-1);
writeFileSync(file + ".swp", "${canary}");
${onSignal}
writeFileSync(${JSON.stringify(ready)}, file);
setInterval(() => {}, 1000);
`,
    );
    chmodSync(program, 0o700);
    return { program, ready };
  };

  const signalled = async (dir: GitDir, signal: NodeJS.Signals, onSignal: string, toGroup: boolean) => {
    const { program, ready } = waiting(dir, onSignal);
    const child = start(dir, ["edit", prod], { SEAL_EDITOR: program });
    const outcome = ended(child);
    let stderr = "";
    child.stderr?.on("data", (chunk) => (stderr += chunk));
    await until(() => existsSync(ready), "the editor");
    expect(readdirSync(dir.runtime)).toHaveLength(1);
    process.kill(toGroup ? -(child.pid ?? 0) : (child.pid ?? 0), signal);
    return { ...(await outcome), stderr };
  };

  test.each([
    ["SIGINT from the terminal, which the editor gets as well", "SIGINT", "", true],
    ["SIGINT to seal alone", "SIGINT", "", false],
    ["SIGTERM", "SIGTERM", "", false],
    ["SIGHUP", "SIGHUP", "", true],
    ["SIGTERM while the editor does not listen", "SIGTERM", 'process.on("SIGTERM", () => {});', false],
  ] as const)("%s leaves no plaintext and the file as it was", async (_, signal, onSignal, toGroup) => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const { code, stderr } = await signalled(dir, signal, onSignal, toGroup);
    expect([code, stderr]).toEqual([130, expect.stringContaining("(cancelled)")]);
    expect(readdirSync(dir.runtime)).toEqual([]);
    expect(dir.snapshot()).toEqual(before);
  });

  test("an editor that uses ^C for itself keeps the edit", async () => {
    const dir = await sealedRepository();
    const takesIt = `process.on("SIGINT", () => { const fs = require("node:fs"); fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace("PASSWORD: ${canary}", "PASSWORD: after")); process.exit(0); });`;
    const { code } = await signalled(dir, "SIGINT", takesIt, true);
    expect(code).toBe(0);
    expect(finish(dir, ["decrypt", prod]).stdout).toContain("PASSWORD: after");
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("whoever reads stderr may go: no plaintext stays behind", async () => {
    const dir = await sealedRepository();
    const go = join(dir.home, "go");
    const { program, ready } = waiting(
      dir,
      `const fs = require("node:fs");
fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace("PASSWORD: ${canary}", "PASSWORD: after"));
setInterval(() => fs.existsSync(${JSON.stringify(go)}) && process.exit(0), 20);`,
    );
    const child = start(dir, ["edit", prod], { SEAL_EDITOR: program });
    const outcome = ended(child);
    await until(() => existsSync(ready), "the editor");
    const closed = new Promise((resolve) => child.stderr?.once("close", resolve));
    child.stderr?.destroy();
    await closed;
    writeFileSync(go, "");
    expect((await outcome).code).toBe(0);
    expect(readdirSync(dir.runtime)).toEqual([]);
    expect(finish(dir, ["decrypt", prod]).stdout).toContain("PASSWORD: after");
  });

  test("arguments of the editor command are passed on, and no shell reads it", async () => {
    const dir = await sealedRepository();
    const program = join(dir.home, "with space.cjs");
    writeFileSync(
      program,
      `require("node:fs").writeFileSync(${JSON.stringify(join(dir.home, "argv"))}, JSON.stringify(process.argv.slice(2, -1)));`,
    );
    expect(
      finish(dir, ["edit", prod], "", { EDITOR: `"${process.execPath}" "${program}" --wait '$HOME' a"b c"` }).code,
    ).toBe(0);
    expect(JSON.parse((await import("node:fs")).readFileSync(join(dir.home, "argv"), "utf8"))).toEqual([
      "--wait",
      "$HOME",
      "ab c",
    ]);
  });
});
