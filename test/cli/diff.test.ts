// What changed, by key: seal diff, and what git diff shows by way of textconv.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { textconv as shown } from "../../cli/textconv.ts";
import { gitWorld, prodFile } from "./git-world.ts";
import { canary, gitdir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const file = prodFile;
const textconv = (text: string): string => shown(text, (one) => createHash("sha256").update(one).digest("hex"));

describe("diff", () => {
  test("names what changed since HEAD, with fingerprints and without values", async () => {
    const world = await gitWorld();
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "secret-two" }));
    await succeed(world.run(["set", file, "NEW"], { stdin: "secret-two" }));
    const { stdout, stderr } = await succeed(world.run(["diff"]));
    const [, before, after] = /~ PASSWORD {2}(#[0-9a-f]{8}) -> (#[0-9a-f]{8})\n/.exec(stdout) ?? [];
    expect(before).not.toBe(after);
    // The same value has the same fingerprint, wherever it stands.
    expect(stdout).toBe(
      `${file}\n  ~ PASSWORD  ${before} -> ${after}\n  + NEW       ${after}\n  1 sealed value the same\n`,
    );
    expect(stdout + stderr).not.toMatch(/secret-two|canary/);
    const again = (await succeed(world.run(["diff"]))).stdout;
    expect(again).not.toContain(after);
    expect((await world.run(["diff", "--exit-code"])).code).toBe(1);
  });

  test("--reveal shows values, made safe for a terminal", async () => {
    const world = await gitWorld();
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "two\u001b[2J" }));
    const { stdout } = await succeed(world.run(["diff", file, "--reveal"]));
    expect(stdout).toContain(`~ PASSWORD  "${canary}" -> "two\\u001b[2J"\n`);
  });

  test("says nothing where nothing changed, and so of a file that is named", async () => {
    const world = await gitWorld();
    expect((await succeed(world.run(["diff", "--exit-code"]))).stdout).toBe("");
    expect((await succeed(world.run(["diff", file]))).stdout).toBe(`${file}\n  2 sealed values the same\n`);
  });

  test("tells two environments' files apart, each opened where it belongs", async () => {
    const world = await gitWorld();
    await succeed(world.run(["set", file, "URL"], { stdin: "prod-only" }));
    const { stdout } = await succeed(world.run(["diff", "deploy/staging/db.sealed.yaml", file]));
    expect(stdout).toMatch(/^deploy\/staging\/db\.sealed\.yaml and deploy\/prod\/db\.sealed\.yaml\n/);
    expect(stdout).toMatch(/~ URL .*#[0-9a-f]{8} -> #[0-9a-f]{8}\n/);
    expect(stdout).toContain('~ ["metadata"]["annotations"]["sealward.dev/environment"]');
    expect(stdout).toContain('"staging" -> "prod"');
    expect(stdout).toContain("+ recipient age age1");
    // The same password in both environments is seen as such.
    expect(stdout).not.toContain("PASSWORD");
    expect(stdout).toContain("1 sealed value the same");
  });

  test("compares the index, another commit, and a repository without any", async () => {
    const world = await gitWorld();
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "staged" }));
    expect((await succeed(world.run(["diff", "--staged"]))).stdout).toBe("");
    world.git(["add", "-A"]);
    await succeed(world.run(["set", file, "URL"], { stdin: "not staged" }));
    const staged = (await succeed(world.run(["diff", "--staged"]))).stdout;
    expect(staged).toContain("~ PASSWORD");
    expect(staged).not.toContain("URL");
    world.git(["commit", "-qam", "two"]);
    expect((await succeed(world.run(["diff", "--rev", "HEAD~1", "--staged"]))).stdout).toContain("~ URL");
    expect((await world.run(["diff", "--rev", "no-such"])).code).toBe(2);
    expect((await world.run(["diff", "--rev", "--output=x"])).code).toBe(2);

    const fresh = await sealedRepository();
    const { stdout } = await succeed(fresh.run(["diff", file]));
    expect(stdout).toContain(`${file} (new)\n`);
    expect(stdout).toMatch(/\+ PASSWORD/);
  });

  test("shows a file that was removed, and one that is new", async () => {
    const world = await gitWorld();
    rmSync(join(world.path, file));
    await succeed(
      world.run(["--env", "prod", "-o", "deploy/prod/new.sealed.yaml"], { stdin: manifest({ name: "new" }) }),
    );
    world.git(["add", "-A"]);
    const { stdout } = await succeed(world.run(["diff"]));
    expect(stdout).toContain(`${file} (no longer sealed here)\n`);
    expect(stdout).toContain("deploy/prod/new.sealed.yaml (new)\n");
  });

  test("compares ciphertext where it cannot open, and says why", async () => {
    const world = await gitWorld();
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "two" }));
    const keyless = (await succeed(world.run(["diff", "--keyless"]))).stdout;
    expect(keyless).toContain("compared by ciphertext");
    rmSync(join(world.home, ".config"), { recursive: true });
    const { stdout } = await succeed(world.run(["diff"]));
    expect(stdout).toContain("identity-missing");
    expect(stdout).toMatch(/~ PASSWORD {2}#[0-9a-f]{8} -> #[0-9a-f]{8}\n/);
    expect(stdout).not.toContain("~ URL");
    expect(stdout).toContain("1 sealed value the same");
  });

  test.each([
    ["dotenv", "deploy/prod/app.sealed.env", "A=one\nB=two\n", ["A"]],
    ["JSON", "deploy/prod/app.sealed.json", '{\n\t"list": [\n\t\t1,\n\t\t2\n\t],\n\t"b": "x"\n}\n', ["list", 1]],
    ["binary", "deploy/prod/app.sealed.bin", "some bytes", null],
  ])("compares %s", async (_, path, text, at) => {
    const world = await gitWorld();
    world.write(path, text);
    await succeed(world.run(["encrypt", "-i", path]));
    world.git(["add", "-A"]);
    world.git(["commit", "-qm", "sealed"]);
    if (at === null) {
      world.write(path, "other bytes");
      await succeed(world.run(["encrypt", "-i", path]));
    } else
      await succeed(world.run(["set", path, at.map((part) => `[${JSON.stringify(part)}]`).join("")], { stdin: "new" }));
    const { stdout } = await succeed(world.run(["diff"]));
    expect(stdout).toMatch(
      new RegExp(`~ ${at === null ? "content" : String.raw`\["${at[0]}"\]`} +#\\w{8} -> #\\w{8}\n`),
    );
  });

  test("gives programs the same as JSON", async () => {
    const world = await gitWorld();
    await succeed(world.run(["set", file, "PASSWORD"], { stdin: "two" }));
    const [found] = JSON.parse((await succeed(world.run(["diff", "--output", "json"]))).stdout);
    expect(found).toMatchObject({ file, status: "changed", recipientsAdded: [], commentsChanged: false });
    const changed = found.values.filter(({ change }: { change: string }) => change !== "same");
    expect(changed).toMatchObject([{ name: "PASSWORD", change: "changed", sealed: true }]);
    expect(JSON.stringify(found)).not.toMatch(/canary|"two"/);
  });

  test("refuses what it cannot compare", async () => {
    const dir = await sealedRepository();
    dir.write("plain.yaml", "a: 1\n");
    const { code, stderr } = await dir.run(["diff", "plain.yaml", file]);
    expect([code, stderr]).toEqual([3, expect.stringContaining("(not-sealed)")]);
    expect((await dir.run(["diff", "a", "b", "c"])).code).toBe(2);
    expect((await dir.run(["diff", "no-such.yaml"])).code).toBe(6);
    expect((await gitdir().run(["diff"], { cwd: "../home" })).code).toBe(6);
  });
});

describe("git diff", () => {
  test("shows fingerprints of ciphertext, without a key and without plaintext", async () => {
    const world = await gitWorld();
    rmSync(join(world.home, ".config/sealward"), { recursive: true });
    const before = world.git(["show", `HEAD:${file}`]);
    world.write(file, before.replace(/(PASSWORD: ENC\[AES256_GCM,data:).{4}/, "$1AAAA"));
    const diff = world.git(["diff"]);
    expect(diff).toMatch(/^-\s+PASSWORD: sealed#[0-9a-f]{8}$/m);
    expect(diff).toMatch(/^\+\s+PASSWORD: sealed#[0-9a-f]{8}$/m);
    expect(diff).toMatch(/^ \s+URL: "sealed#[0-9a-f]{8}"$/m);
    expect(diff).not.toMatch(/ENC\[|BEGIN AGE/);
    expect(world.git(["log", "-p", "--", file])).not.toMatch(/ENC\[|BEGIN AGE/);
    expect(world.git(["for-each-ref", "refs/notes"])).toBe("");
  });

  test("the launcher shows the same as the program", async () => {
    const dir = await sealedRepository();
    const shown = (await succeed(dir.run(["git", "textconv", file]))).stdout;
    const launched = spawnSync(process.execPath, [resolve("dist/seal.cjs"), "git", "textconv", "--", file], {
      cwd: dir.path,
      encoding: "utf8",
    });
    expect([launched.status, launched.stdout, launched.stderr]).toEqual([0, shown, ""]);
    expect(shown).toContain("sealed#");
    const missing = spawnSync(process.execPath, [resolve("dist/seal.cjs"), "git", "textconv", "no-such"], {
      cwd: dir.path,
    });
    expect(missing.status).toBe(6);
  });

  test("textconv takes anything, and leaves what is not sealed as it is", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (given) => textconv(given) === given));
    const parts = fc.constantFrom(
      "ENC[AES256_GCM,data:aaaa,iv:b,tag:c,type:str]",
      "sops:",
      "\n",
      " enc: ",
      "x".repeat(70),
      "]",
      "ENC[AES256_GCM,data:",
      "-----BEGIN AGE ENCRYPTED FILE-----",
      "-----END AGE ENCRYPTED FILE-----",
      "é",
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 30 }), (given) => {
        const text = textconv(`sops${given.join("")}`);
        return !text.includes("ENC[AES256_GCM,data:aaaa,iv");
      }),
    );
  });

  test("textconv comes to an end on what is made to be slow", () => {
    for (const part of ["ENC[AES256_GCM,data:", "-----BEGIN AGE ENCRYPTED FILE-----", "enc: ", " enc: aaaa "]) {
      const text = `sops ENC[AES256_GCM, ${part.repeat(200_000 / part.length)}`;
      expect(textconv(text)).toBe(text);
    }
  });
});
