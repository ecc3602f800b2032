// Single values: get, set by argument, prompt and generator, unset, view; passwords and prompts.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generatePassword } from "../../cli/password.ts";
import { canary, gitdir, sealedRepository, succeed } from "./gitdir.ts";

const file = "deploy/prod/db.sealed.yaml";
const dotenv = "deploy/prod/app.env";

async function repository() {
  const dir = await sealedRepository();
  dir.write(dotenv, "A=one\nB=two\n");
  await succeed(dir.run(["encrypt", "-i", dotenv]));
  return dir;
}

describe("get", () => {
  test("prints a value byte for byte, and nothing else", async () => {
    const dir = await repository();
    expect((await succeed(dir.run(["get", file, "PASSWORD"]))).stdout).toBe(canary);
    expect((await succeed(dir.run(["get", file, "PASSWORD"], { isTty: true }))).stdout).toBe(`${canary}\n`);
    expect((await succeed(dir.run(["get", dotenv, "A"]))).stdout).toBe("one");
    expect((await succeed(dir.run(["get", dotenv, '["B"]']))).stdout).toBe("two");
  });

  test("decodes data, and writes bytes to a file of the owner's", async () => {
    const dir = await repository();
    const bytes = Buffer.from([0, 255, 10]);
    dir.write("bytes", bytes);
    await succeed(dir.run(["set", file, "RAW", "--from-file", "bytes"]));
    await succeed(dir.run(["get", file, "RAW", "-o", "out.plain.yaml"]));
    const out = join(dir.path, "out.plain.yaml");
    expect(readFileSync(out)).toEqual(bytes);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect((await dir.run(["get", file, "RAW", "-o", "out.plain.yaml"])).code).toBe(6);
    expect((await dir.run(["get", file, "RAW", "-o", file, "--force"])).code).toBe(2);
    // The same where no seal.yaml governs, and from a BoundSecret file.
    const env = { SOPS_AGE_KEY_FILE: join(dir.home, ".config/sealward/repo/prod.agekey") };
    const elsewhere = gitdir({ "db.yaml": dir.read(file) });
    expect((await succeed(elsewhere.run(["get", "db.yaml", "PASSWORD"], { env }))).stdout).toBe(canary);
    const raw = await succeed(elsewhere.run(["get", "db.yaml", "RAW", "-o", "x.plain.yaml"], { env }));
    expect(raw.stderr).toContain("no environment was confirmed");
    expect(readFileSync(join(elsewhere.path, "x.plain.yaml"))).toEqual(bytes);
    await succeed(dir.run(["wrap", file, "-o", "deploy/prod/bound.yaml"]));
    expect((await succeed(dir.run(["get", "deploy/prod/bound.yaml", "PASSWORD"]))).stdout).toBe(canary);
  });

  test("names the keys that are there where the one asked for is not", async () => {
    const dir = await repository();
    const { code, stderr } = await dir.run(["get", file, "PASWORD"]);
    expect([code, stderr]).toEqual([3, expect.stringContaining("the file has PASSWORD, URL (path-missing)")]);
    expect((await dir.run(["get", file, "__proto__"])).code).toBe(3);
    expect((await dir.run(["get", dotenv, "C"])).code).toBe(3);
  });

  test("goes through the gate", async () => {
    const dir = await repository();
    dir.write("deploy/staging/db.sealed.yaml", dir.read(file));
    const { code, stdout, stderr } = await dir.run(["get", "deploy/staging/db.sealed.yaml", "PASSWORD"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("(environment-mismatch)");
  });
});

describe("set", () => {
  test("takes a value from the argument list, and says who has seen it", async () => {
    const dir = await repository();
    const { stderr } = await succeed(dir.run(["set", file, "PASSWORD", "from-argv"]));
    expect(stderr).toContain("note: the value stood in the argument list");
    expect(stderr).not.toContain("from-argv");
    expect((await succeed(dir.run(["get", file, "PASSWORD"]))).stdout).toBe("from-argv");
    await succeed(dir.run(["set", dotenv, "A", "--", "--yes"]));
    expect((await succeed(dir.run(["get", dotenv, "A"]))).stdout).toBe("--yes");
  });

  test("asks twice at a terminal, and again where the two differ", async () => {
    const dir = await repository();
    const { stderr } = await succeed(
      dir.run(["set", file, "PASSWORD"], { isTty: true, secrets: ["one", "two", "typed", "typed"] }),
    );
    expect(stderr).toMatch(
      /^Value of PASSWORD: Once more: .*the two are not the same\nValue of PASSWORD: Once more: sealed /,
    );
    expect(stderr).not.toContain("typed");
    expect((await succeed(dir.run(["get", file, "PASSWORD"]))).stdout).toBe("typed");
    const before = dir.read(file);
    expect(
      (await dir.run(["set", file, "PASSWORD"], { isTty: true, secrets: ["a", "b", "a", "b", "a", "b"] })).code,
    ).toBe(2);
    expect((await dir.run(["set", file, "PASSWORD"], { isTty: true, secrets: [null] })).code).toBe(130);
    expect((await dir.run(["set", file, "PASSWORD"], { isTty: true, secrets: ["", ""] })).code).toBe(2);
    expect(dir.read(file)).toBe(before);
  });

  test("--generate makes a password and shows it to nobody", async () => {
    const dir = await repository();
    const { stdout, stderr } = await succeed(dir.run(["set", file, "PASSWORD", "--generate"]));
    const value = (await succeed(dir.run(["get", file, "PASSWORD"]))).stdout;
    expect(value).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(stdout + stderr).not.toContain(value);
    await succeed(dir.run(["set", file, "PASSWORD", "--generate", "length=64,hex"]));
    expect((await succeed(dir.run(["get", file, "PASSWORD"]))).stdout).toMatch(/^[0-9a-f]{64}$/);
  });

  test("refuses a value from two places, and several values", async () => {
    const dir = await repository();
    const before = dir.read(file);
    for (const argv of [
      ["PASSWORD", "x", "--generate"],
      ["PASSWORD", "x", "--from-file", "f"],
      ["PASSWORD", "two", "words"],
    ]) {
      const { code, stderr } = await dir.run(["set", file, ...argv]);
      expect([code, stderr.includes("words")]).toEqual([2, false]);
    }
    expect(dir.read(file)).toBe(before);
  });
});

describe("unset", () => {
  test("removes one key and changes no other line but time and MAC, and the binding that has the names", async () => {
    const dir = await repository();
    const before = dir.read(file).split("\n");
    expect((await succeed(dir.run(["unset", file, "URL"]))).stderr).toBe(`sealed ${file}: removed URL\n`);
    const after = dir.read(file).split("\n");
    const gone = before.filter((line) => !after.includes(line)).map((line) => line.trim().split(":")[0]);
    expect(gone.filter((name) => name !== "lastmodified")).toEqual(["sealward.dev/binding", "URL", "mac"]);
    expect((await succeed(dir.run(["decrypt", file]))).stdout).toContain("# who to ask: the database team");
    expect((await dir.run(["check", file])).code).toBe(0);
  });

  test("removes a key of data, of dotenv, and nothing that is not there", async () => {
    const dir = await repository();
    dir.write("bytes", Buffer.from([0, 1]));
    await succeed(dir.run(["set", file, "RAW", "--from-file", "bytes"]));
    await succeed(dir.run(["unset", file, "RAW"]));
    await succeed(dir.run(["unset", dotenv, "A"]));
    expect((await succeed(dir.run(["decrypt", dotenv]))).stdout).toBe("B=two\n");
    const missing = await dir.run(["unset", file, "RAW"]);
    expect([missing.code, missing.stderr]).toEqual([
      3,
      expect.stringContaining('it has "PASSWORD", "URL" (path-missing)'),
    ]);
    expect((await dir.run(["unset", dotenv, "A"])).code).toBe(3);
    await succeed(dir.run(["unset", file, "URL"]));
    const last = await dir.run(["unset", file, "PASSWORD"]);
    expect([last.code, last.stderr]).toEqual([3, expect.stringContaining("holds no value to seal")]);
  });

  test("asks at a terminal, unless --yes", async () => {
    const dir = await repository();
    const before = dir.read(file);
    expect((await dir.run(["unset", file, "URL"], { isTty: true, answers: ["n"] })).code).toBe(130);
    expect(dir.read(file)).toBe(before);
    await succeed(dir.run(["unset", file, "URL", "--yes"], { isTty: true }));
    expect(dir.read(file)).not.toContain("URL");
  });
});

describe("view", () => {
  test("masks what is sealed, shows it when asked to, and needs no key for names", async () => {
    const dir = await repository();
    const masked = (await succeed(dir.run(["view", file]))).stdout;
    expect(masked).toContain(`PASSWORD: •••••••• (${canary.length} bytes)\n`);
    expect(masked).toContain('["metadata"]["name"]: "db"\n');
    expect(masked).not.toContain(canary);
    expect((await succeed(dir.run(["view", file, "--reveal"]))).stdout).toContain(`PASSWORD: "${canary}"\n`);
    expect((await succeed(dir.run(["view", dotenv]))).stdout).toBe(
      '["A"]: •••••••• (3 bytes)\n["B"]: •••••••• (3 bytes)\n',
    );
    const nobody = { XDG_CONFIG_HOME: join(dir.home, "none") };
    expect((await succeed(dir.run(["view", file, "--keys"], { env: nobody }))).stdout).toBe("PASSWORD\nURL\n");
    expect((await dir.run(["view", file], { env: nobody })).code).toBe(5);
  });

  test("gives programs the same as JSON", async () => {
    const dir = await repository();
    const entries = JSON.parse((await succeed(dir.run(["view", file, "--output", "json"]))).stdout);
    expect(entries).toContainEqual({ name: "PASSWORD", sealed: true, bytes: canary.length });
    const revealed = JSON.parse((await succeed(dir.run(["view", file, "--output", "json", "--reveal"]))).stdout);
    expect(revealed).toContainEqual({
      name: "PASSWORD",
      sealed: true,
      bytes: canary.length,
      value: JSON.stringify(canary),
    });
  });
});

describe("--quiet", () => {
  test("leaves out what was done and what is to know, and no error", async () => {
    const dir = await repository();
    expect((await succeed(dir.run(["set", file, "PASSWORD", "x", "--quiet"]))).stderr).toBe("");
    const { code, stderr } = await dir.run(["--quiet", "get", file, "NONE"]);
    expect([code, stderr]).toEqual([3, expect.stringContaining("error:")]);
  });
});

describe("generatePassword()", () => {
  test("has the length and the alphabet of its policy, and one of each kind", () => {
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const kinds: Readonly<Record<string, string>> = {
      letters,
      lower: letters.slice(26),
      upper: letters.slice(0, 26),
      digits: "0123456789",
      symbols: "-_.~+=,@%^",
      hex: "0123456789abcdef",
    };
    const parts = fc.subarray(Object.keys(kinds), { minLength: 1 });
    fc.assert(
      fc.property(fc.integer({ min: 25, max: 200 }), parts, (length, names) => {
        const password = [...generatePassword([`length=${length}`, ...names].join(","))];
        expect(password).toHaveLength(length);
        for (const name of names) expect(password.some((character) => kinds[name]?.includes(character))).toBe(true);
        expect(password.every((character) => names.some((name) => kinds[name]?.includes(character)))).toBe(true);
      }),
    );
    expect(new Set(Array.from({ length: 50 }, () => generatePassword(""))).size).toBe(50);
  });

  test("draws every character as often as any other", () => {
    const counts = new Map<string, number>();
    for (const character of generatePassword("length=4096,digits") + generatePassword("length=4096,digits"))
      counts.set(character, (counts.get(character) ?? 0) + 1);
    // Chi squared with nine degrees of freedom: beyond 50 once in ten million runs.
    const expected = 819.2;
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(counts.size).toBe(10);
    expect(chi).toBeLessThan(50);
  });

  test.each(["length=10", "digits,length=8", "length=99999", "word", "length=x", "hex,length=19"])(
    "refuses %s",
    (policy) => {
      expect(() => generatePassword(policy)).toThrow(/Cannot generate a password/);
    },
  );
});
