// seal exec with real programs: what they get, what is left, and what they print.
import { spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactor } from "../../cli/redaction.ts";
import { canary, type GitDir, sealedRepository, succeed } from "./gitdir.ts";

const file = "deploy/prod/db.sealed.yaml";
const node = process.execPath;

/** The real program, for what is about its own streams. */
function seal(dir: GitDir, argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(node, [resolve("dist/seal.cjs"), ...argv], {
    cwd: dir.path,
    env: { PATH: process.env["PATH"] ?? "", ...dir.env, ...env },
  });
  const out = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (chunk) => (out[name] += String(chunk)));
  const ended = new Promise<{ status: number | null; stdout: string; stderr: string }>((done) =>
    child.on("close", (status) => done({ status, ...out })),
  );
  return { child, out, ended };
}

const run = (dir: GitDir, argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  seal(dir, argv, env).ended;
const print = (expression: string) => [node, "-e", `process.stdout.write(String(${expression}))`];

describe("exec", () => {
  test("hands values over as files that only the owner reads, and leaves none behind", async () => {
    const dir = await sealedRepository();
    const script = `const { readFileSync, statSync, readdirSync } = require("fs"); const d = process.env.SEAL_MOUNT;
      console.log(JSON.stringify([process.argv[1] === d + "/PASSWORD", readdirSync(d), readFileSync(d + "/PASSWORD", "utf8"), statSync(d + "/PASSWORD").mode & 0o777, statSync(d).mode & 0o777, process.env.PASSWORD]))`;
    const { status, stdout } = await run(dir, ["exec", file, "--", node, "-e", script, "{}/PASSWORD"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual([true, ["PASSWORD", "URL"], canary, 0o600, 0o700, null]);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("hands values over as variables or through a descriptor where that is asked for", async () => {
    const dir = await sealedRepository();
    expect((await run(dir, ["exec", "--env-file", file, "--", ...print("process.env.PASSWORD")])).stdout).toBe(canary);
    const read = await run(dir, [
      "exec",
      "--fd",
      file,
      "--",
      ...print('JSON.parse(require("fs").readFileSync(process.env.SEAL_FD, "utf8")).PASSWORD'),
    ]);
    expect(read.stdout).toBe(canary);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("takes other files too, and passes arguments, stdin and the exit code through", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/app.env", "A=one\nB_C=two\n");
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/app.env"]));
    const { child, ended } = seal(dir, [
      "exec",
      "--env-file",
      "deploy/prod/app.env",
      "--",
      "sh",
      "-c",
      'cat; echo "$1 $B_C"; exit 7',
      "sh",
      "--yes",
    ]);
    child.stdin.end("in ");
    const { status, stdout } = await ended;
    expect([status, stdout]).toEqual([7, "in --yes two\n"]);
  });

  test("ends as the program did that a signal ended, and passes signals on", async () => {
    const dir = await sealedRepository();
    expect((await run(dir, ["exec", file, "--", "sh", "-c", "kill -9 $$"])).status).toBe(137);
    const { child, out, ended } = seal(dir, [
      "exec",
      file,
      "--",
      "sh",
      "-c",
      'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.05; done',
    ]);
    await new Promise<void>((ready) => child.stdout.on("data", () => out.stdout.includes("ready") && ready()));
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({ status: 3, stdout: "ready\ngot it\n" });
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("wipes what a killed one left behind, with the next that runs", async () => {
    const dir = await sealedRepository();
    const { child, out, ended } = seal(dir, ["exec", file, "--", "sh", "-c", "echo ready; read x"]);
    await new Promise<void>((ready) => child.stdout.on("data", () => out.stdout.includes("ready") && ready()));
    child.kill("SIGKILL");
    child.stdin.end();
    await ended;
    expect(readdirSync(dir.runtime)).toHaveLength(1);
    await run(dir, ["exec", file, "--", "true"]);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("says what cannot be started, and ends with 127", async () => {
    const dir = await sealedRepository();
    const { status, stderr } = await run(dir, ["exec", file, "--", "no-such-program"]);
    expect([status, stderr]).toEqual([127, expect.stringContaining("Cannot run no-such-program")]);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("leaves the program no identities, unless told", async () => {
    const dir = await sealedRepository();
    const env = { SOPS_AGE_KEY_FILE: join(dir.home, ".config/sealward/repo/prod.agekey") };
    const asked = print("process.env.SOPS_AGE_KEY_FILE");
    expect((await run(dir, ["exec", file, "--", ...asked], env)).stdout).toBe("undefined");
    expect((await run(dir, ["exec", "--keep-identities", file, "--", ...asked], env)).stdout).toBe(
      env.SOPS_AGE_KEY_FILE,
    );
  });

  test.each([
    ["no program", ["exec", file], "none is named"],
    ["no file", ["exec", "--", "true"], "no FILE is named"],
    [
      "two values of one name",
      ["exec", file, "deploy/staging/db.sealed.yaml", "--", "true"],
      "stands in two of the files",
    ],
    [
      "a name that is no variable",
      ["exec", "--env-file", "deploy/prod/odd.sealed.yaml", "--", "true"],
      "is no name for an environment variable",
    ],
    [
      "a variable that chooses what runs",
      ["exec", "--env-file", "deploy/prod/ld.sealed.yaml", "--", "true"],
      "would change how programs start",
    ],
  ])("refuses %s", async (_, argv, message) => {
    const dir = await sealedRepository();
    for (const [name, key] of [
      ["odd", "a.b"],
      ["ld", "LD_PRELOAD"],
    ]) {
      const text = `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\n  namespace: payments\nstringData:\n  ${key}: some-value\n`;
      await succeed(dir.run(["--env", "prod", "-o", `deploy/prod/${name}.sealed.yaml`], { stdin: text }));
    }
    const { code, stderr } = await dir.run(argv);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("opens nothing where the gate refuses", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/staging/copy.sealed.yaml", dir.read(file));
    const { status, stdout, stderr } = await run(dir, ["exec", "deploy/staging/copy.sealed.yaml", "--", "echo", "ran"]);
    expect([status, stdout, stderr]).toEqual([1, "", expect.stringContaining("(environment-mismatch)")]);
  });

  test("--redact takes the values out of what is printed, also where one comes in two parts", async () => {
    const dir = await sealedRepository();
    const script = join(dir.home, "print.cjs");
    writeFileSync(
      script,
      `const v = require("fs").readFileSync(process.env.SEAL_MOUNT + "/PASSWORD", "utf8");
       process.stdout.write("a" + v.slice(0, 5)); setImmediate(() => { process.stdout.write(v.slice(5) + "b\\n" + Buffer.from(v).toString("base64") + "\\n"); process.stderr.write(v + "\\n"); });`,
    );
    const { stdout, stderr, status } = await run(dir, ["exec", "--redact", file, "--", node, script]);
    expect([status, stdout, stderr]).toEqual([
      0,
      "a[redacted PASSWORD]b\n[redacted PASSWORD]\n",
      "[redacted PASSWORD]\n",
    ]);
  });
});

describe("redactor()", () => {
  const value = fc.string({ unit: "binary", minLength: 4, maxLength: 12 });

  test("lets no value through, wherever the chunks end", () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 3 }),
        fc.array(fc.string({ maxLength: 6 })),
        fc.array(fc.nat(20)),
        (values, between, cuts) => {
          const known = new Map(values.map((text, at) => [`K${at}`, Buffer.from(text)]));
          const whole = Buffer.from(
            [...between, ""].map((text, at) => `${text}${values[at % values.length]}`).join(""),
          );
          const filter = redactor(known);
          const parts: Uint8Array[] = [];
          let at = 0;
          for (const cut of cuts) {
            parts.push(filter(whole.subarray(at, at + cut)));
            at += cut;
          }
          parts.push(filter(whole.subarray(at)), filter(null));
          const shown = Buffer.concat(parts);
          for (const [key, bytes] of known)
            if (bytes.length >= 4 && !`[redacted ${key}]`.includes(bytes.toString()))
              expect(shown.toString("latin1").replace(/\[redacted K\d\]/g, "\0")).not.toContain(
                bytes.toString("latin1"),
              );
        },
      ),
      { numRuns: 300 },
    );
  });

  test("knows a value without its last line break", () => {
    const filter = redactor(new Map([["A", Buffer.from("of-several-lines\n")]]));
    expect(Buffer.concat([filter(Buffer.from("[of-several-lines]")), filter(null)]).toString()).toBe("[[redacted A]]");
  });

  test("changes nothing where there is nothing to hide", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (chunks) => {
        for (const filter of [
          redactor(new Map([["A", Buffer.from("abc")]])),
          redactor(new Map([["A", Buffer.from("a value that is not there")]])),
        ]) {
          const shown = Buffer.concat([...chunks.map(filter), filter(null)]);
          expect(shown).toEqual(Buffer.concat(chunks));
        }
      }),
    );
  });
});
