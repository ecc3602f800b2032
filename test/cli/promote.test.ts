import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { documentDigest } from "../../src/index.ts";
import { valuesIn } from "./git-world.ts";
import { canary, type GitDir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const source = "deploy/staging/api.sealed.yaml";
const target = "deploy/prod/api.sealed.yaml";

async function repository(): Promise<GitDir> {
  const dir = await sealedRepository();
  const text = `${manifest({ name: "api", annotations: "  annotations:\n    team: core\n  labels:\n    app: api\n" })}`;
  await succeed(dir.run(["--env", "staging", "-o", source], { stdin: text }));
  return dir;
}

const promote = (dir: GitDir, args: readonly string[], given: Parameters<GitDir["run"]>[1] = {}) =>
  dir.run(["promote", source, "--from", "staging", "--to", "prod", ...args], given);

describe("promote", () => {
  test("seals what was decided for the other environment, with provenance, and no other value", async () => {
    const dir = await repository();
    const { stderr, stdout } = await succeed(promote(dir, ["--keep", "URL", "--generate", "PASSWORD"]));
    expect(stdout).toBe("");
    expect(stderr).toMatch(/promoting .*\n {2}PASSWORD {2}generated\n {2}URL {7}same value as in the source\nsealed /);
    expect(stderr).not.toContain(canary);
    expect(dir.read(target)).toContain(`sealward.dev/promoted-from: staging ${documentDigest(dir.read(source))}`);
    const values = await valuesIn(dir, target);
    expect(values["URL"]).toBe(`postgres://db/${canary}`);
    expect(values["PASSWORD"]).toMatch(/^[A-Za-z0-9]{32}$/);
    const text = (await succeed(dir.run(["decrypt", target]))).stdout;
    expect(text).toContain("    team: core\n");
    expect(text).toContain("    app: api\n");
    // Comments may hold what the value must not.
    expect(text).not.toContain("who to ask");
    expect((await dir.run(["check"])).code).toBe(0);
    // Another data key, other recipients: nothing of the source's is in it.
    const [enc] = /ENC\[[^\]]*\]/.exec(dir.read(source)) ?? [];
    expect(dir.read(target)).not.toContain(enc);
    expect((await dir.run(["decrypt", target, "--env", "staging"])).code).toBe(1);
  });

  test("asks key by key at a terminal, and before it writes", async () => {
    const dir = await repository();
    const given = { isTty: true, answers: ["x", "r", "k", "y"], secrets: ["for-prod", "for-prod"] };
    const { stderr } = await succeed(promote(dir, [], given));
    expect(stderr).not.toMatch(/for-prod|canary/);
    expect(await valuesIn(dir, target)).toMatchObject({ PASSWORD: "for-prod", URL: `postgres://db/${canary}` });
  });

  test.each([
    ["given up at a question", { isTty: true, answers: ["q"] }, 130],
    ["given up at the plan", { isTty: true, answers: ["g", "g", "n"] }, 130],
    ["undecided without a terminal", {}, 2],
  ])("writes nothing where it is %s", async (_, given, expected) => {
    const dir = await repository();
    const { code, stderr } = await promote(dir, [], given);
    expect(code).toBe(expected);
    if (code === 2) expect(stderr).toContain("nothing says what is to become of PASSWORD, URL");
    expect(existsSync(join(dir.path, target))).toBe(false);
  });

  test("takes values from files, arguments and a prompt, leaves keys out, and writes nothing with --dry-run", async () => {
    const dir = await repository();
    dir.write("value", "from a file\n");
    const flags = ["--from-file", "PASSWORD=value", "--skip", "URL"];
    await succeed(promote(dir, [...flags, "--dry-run"]));
    expect(existsSync(join(dir.path, target))).toBe(false);
    await succeed(promote(dir, flags));
    expect((await succeed(dir.run(["get", target, "PASSWORD"]))).stdout).toBe("from a file\n");
    expect((await succeed(dir.run(["view", target, "--keys"]))).stdout).toBe("PASSWORD\n");
    // What is left out of one promotion can come with the next; what the target has stays.
    const { stderr } = await succeed(promote(dir, ["--set", "URL=for-prod"]));
    expect(stderr).toContain("stays as it is");
    expect(await valuesIn(dir, target)).toMatchObject({ URL: "for-prod" });
    expect((await succeed(dir.run(["get", target, "PASSWORD"]))).stdout).toBe("from a file\n");
  });

  test("refuses a value that would be the same in both, unless told", async () => {
    const dir = await repository();
    dir.write("value", canary);
    const same = await promote(dir, ["--from-file", "PASSWORD=value", "--generate", "URL"]);
    expect([same.code, same.stderr]).toEqual([
      1,
      expect.stringContaining("The value of PASSWORD would be the same in both environments (value-shared)"),
    ]);
    expect(same.stderr).not.toContain(canary);
    expect(existsSync(join(dir.path, target))).toBe(false);
    await succeed(promote(dir, ["--from-file", "PASSWORD=value", "--generate", "URL", "--allow-same", "PASSWORD"]));
    // What stays in the target counts as well.
    expect((await promote(dir, [])).code).toBe(1);
    await succeed(promote(dir, ["--keep", "PASSWORD"]));
    await succeed(promote(dir, ["--generate", "PASSWORD=length=40"]));
    expect((await valuesIn(dir, target))["PASSWORD"]).toHaveLength(40);
  });

  test("keeps what only the target has, its data key and its layout", async () => {
    const dir = await repository();
    await succeed(promote(dir, ["--generate", "PASSWORD", "--generate", "URL"]));
    await succeed(dir.run(["set", target, "ONLY_PROD", "x"]));
    const before = dir.read(target);
    await succeed(promote(dir, ["--generate", "URL"]));
    const after = dir.read(target);
    const keyOf = (text: string) => /-----BEGIN AGE[\s\S]*?END AGE/.exec(text)?.[0];
    expect(keyOf(after)).toBe(keyOf(before));
    expect(after).toContain(/^ {2}ONLY_PROD: .*$/m.exec(before)?.[0]);
    expect(after).toContain(/^ {2}PASSWORD: .*$/m.exec(before)?.[0]);
  });

  test.each<[string, readonly string[], number, string]>([
    [
      "a file that is not the source environment's",
      ["promote", "deploy/prod/db.sealed.yaml", "--from", "staging", "--to", "prod"],
      1,
      "environment-mismatch",
    ],
    ["one environment", ["promote", source, "--from", "prod", "--to", "prod"], 2, "usage"],
    [
      "an output that is another environment's",
      [
        "promote",
        source,
        "--from",
        "staging",
        "--to",
        "prod",
        "-o",
        "deploy/staging/x.sealed.yaml",
        "--generate",
        "PASSWORD",
        "--skip",
        "URL",
      ],
      1,
      "environment-mismatch",
    ],
    [
      "an output that is another Secret",
      [
        "promote",
        source,
        "--from",
        "staging",
        "--to",
        "prod",
        "-o",
        "deploy/prod/db.sealed.yaml",
        "--generate",
        "PASSWORD",
        "--skip",
        "URL",
      ],
      1,
      "target-mismatch",
    ],
    [
      "an output that is no sealed file",
      ["promote", source, "--from", "staging", "--to", "prod", "-o", "deploy/prod/plain.yaml"],
      3,
      "not-a-secret",
    ],
    ["an unknown key", ["promote", source, "--from", "staging", "--to", "prod", "--keep", "NONE"], 2, "usage"],
    [
      "a key that is decided twice",
      ["promote", source, "--from", "staging", "--to", "prod", "--keep", "URL", "--skip", "URL"],
      2,
      "usage",
    ],
    [
      "an environment that is not there",
      ["promote", source, "--from", "staging", "--to", "live", "-o", target],
      4,
      "environment-undefined",
    ],
    [
      "a path that does not say where to",
      ["promote", "x.sealed.yaml", "--from", "staging", "--to", "prod"],
      6,
      "file-missing",
    ],
  ])("refuses %s and writes nothing", async (_, argv, expected, word) => {
    const dir = await repository();
    dir.write("deploy/prod/plain.yaml", "a: 1\n");
    const before = dir.snapshot();
    const { code, stderr } = await dir.run(argv);
    expect([code, stderr]).toEqual([expected, expect.stringContaining(`(${word})`)]);
    expect(dir.snapshot()).toEqual(before);
  });

  test("needs the identities of both where the target is there already", async () => {
    const dir = await repository();
    await succeed(promote(dir, ["--generate", "PASSWORD", "--generate", "URL"]));
    const env = {
      XDG_CONFIG_HOME: join(dir.home, "none"),
      SOPS_AGE_KEY_FILE: join(dir.home, ".config/sealward/repo/staging.agekey"),
    };
    expect((await promote(dir, ["--generate", "PASSWORD"], { env })).code).toBe(5);
  });
});
