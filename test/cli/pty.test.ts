// Sessions on a real terminal: what a person sees and types at prompts, in the editor, and after ^C.
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { hasPty, onPty, type Terminal } from "../support/pty.ts";
import { gitWorld, prodFile, valuesIn } from "./git-world.ts";
import { canary, type GitDir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const file = prodFile;

function seal(dir: GitDir, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Terminal {
  return onPty([process.execPath, resolve("dist/seal.cjs"), ...argv], { cwd: dir.path, env: { ...dir.env, ...env } });
}

/** An editor of which each run does what the next body says. */
function editorOf(dir: GitDir, ...bodies: readonly string[]): string {
  const program = join(dir.home, "editor.cjs");
  writeFileSync(
    program,
    `#!${process.execPath}
const { readFileSync, writeFileSync, existsSync } = require("node:fs");
const file = process.argv.at(-1);
const count = ${JSON.stringify(join(dir.home, "runs"))};
const run = existsSync(count) ? Number(readFileSync(count, "utf8")) : 0;
writeFileSync(count, String(run + 1));
const bodies = [${bodies.map((body) => `(text) => { ${body} }`).join(", ")}];
const edited = bodies[run](readFileSync(file, "utf8"));
if (typeof edited === "string") writeFileSync(file, edited);
`,
  );
  chmodSync(program, 0o755);
  return program;
}

describe.skipIf(!hasPty)(`on a terminal${hasPty ? "" : " (skipped: needs script of util-linux)"}`, () => {
  test("set asks twice, shows nothing of what is typed, and leaves the terminal as it was", async () => {
    const dir = await sealedRepository();
    const program = [process.execPath, resolve("dist/seal.cjs"), "set", file, "PASSWORD"]
      .map((word) => `'${word}'`)
      .join(" ");
    const terminal = onPty(["sh", "-c", `${program}; stty -a`], { cwd: dir.path, env: dir.env });
    await terminal.expect("Value of PASSWORD: ");
    terminal.send("typd\u007f\u007ffirst-try\r");
    await terminal.expect("Once more: ");
    terminal.send("other\r");
    await terminal.expect("the two are not the same");
    await terminal.expect("Value of PASSWORD: ");
    terminal.send("typed-value\r");
    await terminal.expect("Once more: ");
    terminal.send("typed-value\r");
    await terminal.expect(`sealed ${file}: changed PASSWORD`);
    const { screen } = await terminal.end();
    expect(screen).not.toMatch(/typed-value|first-try|other/);
    expect(screen).toMatch(/ icanon .* echo /s);
    expect((await valuesIn(dir))["PASSWORD"]).toBe("typed-value");
  });

  test("set is given up with ^C at the prompt", async () => {
    const dir = await sealedRepository();
    const before = dir.read(file);
    const terminal = seal(dir, ["set", file, "PASSWORD"]);
    await terminal.expect("Value of PASSWORD: ");
    terminal.send("half\u0003");
    const { status, screen } = await terminal.end();
    expect([status, dir.read(file)]).toEqual([130, before]);
    expect(screen).not.toContain("half");
  });

  test("edit names the line of a mistake, and lets it be corrected", async () => {
    const dir = await sealedRepository();
    const SEAL_EDITOR = editorOf(
      dir,
      'return text.replace("URL:", "PASSWORD:")',
      'if (!text.includes("PASSWORD: \\"postgres")) throw new Error("not what was typed before"); return text.replace("PASSWORD: \\"postgres", "URL: \\"postgres").replace("db/", "db2/")',
    );
    const terminal = seal(dir, ["edit", file], { SEAL_EDITOR });
    await terminal.expect(/:\d+:\d+: .*\(duplicate-key\)/);
    await terminal.expect("Edit again? [Y/n] ");
    terminal.send("\r");
    await terminal.expect(`sealed ${file}: changed URL`);
    const { status, screen } = await terminal.end();
    expect(status).toBe(0);
    expect(screen).not.toContain(canary);
    expect((await valuesIn(dir))["URL"]).toBe(`postgres://db2/${canary}`);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("edit is given up with ^C in the editor, and after a mistake, with the file as it was and no plaintext left", async () => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const waits = editorOf(
      dir,
      'require("node:fs").writeSync(1, "editing\\n"); setInterval(() => 0, 1000)',
      'return text.replace("URL:", "PASSWORD:")',
    );
    const cancelled = seal(dir, ["edit", file], { SEAL_EDITOR: waits });
    await cancelled.expect("editing");
    cancelled.send("\u0003");
    expect((await cancelled.end()).status).toBe(130);
    const mistaken = seal(dir, ["edit", file], { SEAL_EDITOR: waits });
    await mistaken.expect("Edit again? [Y/n] ");
    mistaken.send("n\r");
    expect((await mistaken.end()).status).toBe(130);
    expect(dir.snapshot()).toEqual(before);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("promote asks key by key, shows the plan, and writes after a yes", async () => {
    const dir = await sealedRepository();
    await succeed(
      dir.run(["--env", "staging", "-o", "deploy/staging/api.sealed.yaml"], { stdin: manifest({ name: "api" }) }),
    );
    const terminal = seal(dir, ["promote", "deploy/staging/api.sealed.yaml", "--from", "staging", "--to", "prod"]);
    await terminal.expect("PASSWORD: [k]eep");
    terminal.send("r\r");
    await terminal.expect("Value of PASSWORD: ");
    terminal.send("for-prod\r");
    await terminal.expect("Once more: ");
    terminal.send("for-prod\r");
    await terminal.expect("URL: [k]eep");
    terminal.send("k\r");
    await terminal.expect(/PASSWORD {2}new value[\s\S]*URL +same value as in the source/);
    await terminal.expect("[y/N] ");
    terminal.send("y\r");
    const { status, screen } = await terminal.end();
    expect(status).toBe(0);
    expect(screen).not.toMatch(new RegExp(`for-prod|${canary}`));
    expect(await valuesIn(dir, "deploy/prod/api.sealed.yaml")).toMatchObject({
      PASSWORD: "for-prod",
      URL: `postgres://db/${canary}`,
    });
  });

  test("unset and git resolve ask before they decide", async () => {
    const world = await gitWorld();
    const asked = seal(world, ["unset", file, "URL"]);
    await asked.expect("[y/N] ");
    asked.send("\r");
    expect((await asked.end()).status).toBe(130);
    await world.branch("theirs", file, { PASSWORD: "their-password" });
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "our-password" }));
    world.git(["commit", "-qam", "ours"]);
    world.git(["merge", "theirs"], 1);
    const terminal = seal(world, ["git", "resolve"]);
    await terminal.expect("[o]urs, [t]heirs, [e]nter a value");
    terminal.send("e\r");
    await terminal.expect("New value of PASSWORD: ");
    terminal.send("third\r");
    await terminal.expect("resolved");
    const { screen } = await terminal.end();
    expect(screen).not.toMatch(/third|their-password|our-password/);
    expect((await valuesIn(world))["PASSWORD"]).toBe("third");
  });

  test("doctor lists what is in order and what mends what is not, in colour unless NO_COLOR", async () => {
    const dir = await sealedRepository();
    const coloured = await seal(dir, ["doctor"]).end();
    expect(coloured.screen).toMatch(/ok/);
    expect(coloured.screen).toMatch(/seal git install/);
    expect(coloured.screen).toContain("\u001b[");
    const plain = await seal(dir, ["doctor"], { NO_COLOR: "1" }).end();
    expect(plain.screen).not.toContain("\u001b[");
  });
});
