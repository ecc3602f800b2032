// Kills the real program at each of its calls of the file system, before and after the call, and has each fail. Whatever happens,
// the file is the old or the new one, no plaintext is left where nobody asked for it, and the next run works. By default a
// sample; FAULTS=all goes through every call of every command (`npm run faults`).
import { spawn } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import type { GitWorld } from "../cli/git-world.ts";
import { canary } from "../cli/gitdir.ts";
import { bytesUnder, commands, type Writing, worldFor } from "./commands.ts";

const isWhole = process.env["FAULTS"] === "all";
/** What a sample goes through: one command at each call that changes something, others at a few. */
const thorough = "set";
const fewCalls = 2;

interface Fault {
  readonly at: number;
  readonly when: "before" | "after" | "error";
  readonly code?: string;
}

interface Call {
  readonly name: string;
  readonly isChanging: boolean;
}

const codes = ["ENOSPC", "EIO", "EACCES"] as const;

class Stage {
  readonly #writing: Writing;
  readonly #world: GitWorld;
  readonly #saved: string;
  readonly #base: string;
  readonly #old: string | null;

  constructor(writing: Writing, world: GitWorld) {
    this.#writing = writing;
    this.#world = world;
    this.#base = dirname(world.path);
    this.#saved = `${this.#base}-saved`;
    cpSync(this.#base, this.#saved, { recursive: true });
    this.#old = this.#text();
  }

  #text(): string | null {
    const path = join(this.#world.path, this.#writing.target);
    return existsSync(path) ? readFileSync(path, "latin1") : null;
  }

  reset(): void {
    rmSync(this.#base, { recursive: true });
    cpSync(this.#saved, this.#base, { recursive: true });
  }

  remove(): void {
    rmSync(this.#saved, { recursive: true, force: true });
  }

  run(
    fault: Fault | null,
  ): Promise<{ readonly status: number | null; readonly out: string; readonly calls: readonly Call[] }> {
    const log = join(this.#world.home, "calls.json");
    const env = {
      PATH: process.env["PATH"] ?? "",
      ...this.#world.env,
      TMPDIR: this.#world.runtime,
      GIT_CONFIG_NOSYSTEM: "1",
      ...this.#writing.env,
      SEAL_FAULT_LOG: log,
      ...(fault === null
        ? {}
        : { SEAL_FAULT_AT: String(fault.at), SEAL_FAULT_WHEN: fault.when, SEAL_FAULT_CODE: fault.code ?? "" }),
    };
    const argv = ["--require", resolve("test/faults/preload.cjs"), resolve("dist/seal.cjs"), ...this.#writing.argv];
    return new Promise((done) => {
      const child = spawn(process.execPath, argv, { cwd: this.#world.path, env });
      let out = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (out += String(chunk)));
      child.stdin.on("error", () => undefined).end(this.#writing.stdin ?? "");
      child.on("close", (status) => {
        const calls = existsSync(log) ? (JSON.parse(readFileSync(log, "utf8")) as Call[]) : [];
        rmSync(log, { force: true });
        done({ status, out, calls });
      });
    });
  }

  /** Throws what is wrong with what a fault left behind. */
  async assertSound(
    fault: Fault & { readonly call: string | undefined },
    { status, out }: { readonly status: number | null; readonly out: string },
  ): Promise<void> {
    // What cannot be removed stays, until the next run.
    const cleans = ["rm", "unlink"].includes(fault.call ?? "");
    const { writesPlaintext = false, refusesAgain = false, isDone } = this.#writing;
    const isOld = this.#text() === this.#old;
    const isNew = !isOld && (await isDone(this.#world));
    if (!isOld && !isNew && fault.when === "error" && this.#writing.isSound?.(this.#world) === true) {
      expect(this.#leftovers()).toEqual([]);
      return this.#assertNoPlaintext(this.#world.path);
    }
    expect(isOld || isNew, "the file is neither the old nor the new one").toBe(true);
    expect(out).not.toContain(canary);
    if (status === 0) expect(isNew || this.#old === this.#text(), "it said that it was done").toBe(true);
    if (!writesPlaintext) this.#assertNoPlaintext(this.#world.path);
    this.#assertNoPlaintextInGit();
    const stopped = fault.when === "error";
    if (stopped) {
      // A failure is ours to clean up after; of a kill the next run takes the rest away.
      if (!cleans) expect(this.#leftovers()).toEqual([]);
      this.#assertNoPlaintext(this.#world.runtime);
      expect([0, 1, 3, 4, 5, 6], out).toContain(status);
    }
    // Nothing was touched, so the next run is the first one again.
    if (isOld && this.#leftovers().length + bytesUnder(this.#world.runtime).length === 0) return;
    const again = await this.run(null);
    if (refusesAgain && again.status === 6) return;
    if (isNew && again.status !== 0) return this.#assertNoPlaintext(this.#world.runtime);
    expect(again.status, again.out).toBe(0);
    expect(await isDone(this.#world), "the next run does not get it done").toBe(true);
    // A run that finds everything done writes nothing, and so takes nothing away; what is left then is no plaintext.
    if (!isNew) expect(this.#leftovers()).toEqual([]);
    if (!writesPlaintext) this.#assertNoPlaintext(this.#world.path);
    this.#assertNoPlaintext(this.#world.runtime);
  }

  #leftovers(): readonly string[] {
    const target = join(this.#world.path, this.#writing.target);
    const folder = dirname(target);
    return existsSync(folder)
      ? bytesUnder(folder)
          .map(({ name }) => name)
          .filter((name) => /\.(?:tmp|lock|left)$|^\..*[0-9a-f]{12}/.test(name))
      : [];
  }

  #assertNoPlaintext(folder: string): void {
    for (const { path } of bytesUnder(folder)) {
      const bytes = readFileSync(path);
      for (const form of [
        canary,
        Buffer.from(canary).toString("base64").replace(/=+$/, ""),
        Buffer.from(canary).toString("hex"),
      ])
        if (bytes.includes(form)) throw new Error(`${path} has the plaintext`);
    }
  }

  #assertNoPlaintextInGit(): void {
    const objects = this.#world.git(["cat-file", "--batch-all-objects", "--batch"]);
    expect(objects.includes(canary), "Git has the plaintext").toBe(false);
  }
}

/** The faults for one command: all of them, or a few that are spread over the calls that change something. */
function faultsFor(name: string, calls: readonly Call[]): readonly Fault[] {
  const numbered = calls.map((call, index) => ({ ...call, at: index + 1 }));
  const changing = numbered.filter(({ isChanging }) => isChanging);
  const kills = isWhole ? numbered : name === thorough ? changing : spread(changing);
  const failing = isWhole ? changing : spread(changing);
  return [
    // After a call that only reads is before the next one.
    ...kills.flatMap(({ at, isChanging }): Fault[] =>
      isWhole && isChanging
        ? [
            { at, when: "before" },
            { at, when: "after" },
          ]
        : [{ at, when: "before" }],
    ),
    ...failing.flatMap(({ at }, index) =>
      (isWhole ? codes : codes.slice(index % codes.length).slice(0, 1)).map(
        (code): Fault => ({ at, when: "error", code }),
      ),
    ),
  ];
}

const spread = <T>(items: readonly T[]): readonly T[] =>
  items.filter(
    (_, index) => Math.floor((index * fewCalls) / items.length) !== Math.floor(((index - 1) * fewCalls) / items.length),
  );

const sample = ["set", "edit", "promote", "git resolve", "encrypt -i"];

describe("a process that is killed, or whose disk fails, at a call of the file system", () => {
  test.each(
    commands.filter(({ name }) => isWhole || sample.includes(name)).map((one): [string, Writing] => [one.name, one]),
  )(
    "%s leaves the old file or the new one, and no plaintext",
    async (name, writing) => {
      const first = new Stage(writing, await worldFor(writing));
      const counted = await first.run(null);
      expect(counted.status, counted.out).toBe(0);
      const faults = [...faultsFor(name, counted.calls)];
      if (isWhole) expect(faults.length).toBeGreaterThan(3);
      // Two at once: there are that many cores, and each has a repository of its own.
      const stages = [first, new Stage(writing, await worldFor(writing))];
      const queue = faults.values();
      try {
        await Promise.all(
          stages.map(async (stage) => {
            for (const fault of queue) {
              stage.reset();
              const call = counted.calls[fault.at - 1]?.name;
              try {
                await stage.assertSound({ ...fault, call }, await stage.run(fault));
              } catch (problem) {
                throw new Error(`${fault.when} ${fault.code ?? ""} call ${fault.at} (${call}): ${String(problem)}`, {
                  cause: problem,
                });
              }
            }
          }),
        );
      } finally {
        for (const stage of stages) stage.remove();
      }
    },
    isWhole ? 900_000 : 60_000,
  );
});
