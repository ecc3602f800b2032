// Where identities come from, and what is said about sources that cannot be used.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type GitDir, sealedRepository, succeed } from "./gitdir.ts";

const prod = "deploy/prod/db.sealed.yaml";

/** A repository whose prod identity lies in none of the usual places; it is returned. */
async function withoutIdentity(): Promise<{ dir: GitDir; identity: string; file: string }> {
  const dir = await sealedRepository();
  const kept = join(dir.home, ".config/sealward/repo/prod.agekey");
  const identity = readFileSync(kept, "utf8");
  rmSync(join(dir.home, ".config"), { recursive: true });
  const file = join(dir.home, "prod.txt");
  writeFileSync(file, identity);
  return { dir, identity, file };
}

const put = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

const having = <T>(_: unknown, value: T): T => value;

describe("a sealed file opens with an identity from", () => {
  const sources: readonly [
    string,
    (given: { dir: GitDir; identity: string; file: string }) => { flags?: string[]; env?: Record<string, string> },
  ][] = [
    ["--identity", ({ file }) => ({ flags: ["--identity", file] })],
    [
      "one of several --identity files",
      ({ dir, file }) =>
        having(writeFileSync(join(dir.home, "empty"), "# none\n"), {
          flags: ["--identity", join(dir.home, "empty"), "--identity", file],
        }),
    ],
    ["SOPS_AGE_KEY_FILE", ({ file }) => ({ env: { SOPS_AGE_KEY_FILE: file } })],
    ["SOPS_AGE_KEY", ({ identity }) => ({ env: { SOPS_AGE_KEY: identity } })],
    [
      "SOPS_AGE_KEY with several on one line",
      ({ identity }) => ({ env: { SOPS_AGE_KEY: `${identity.split("\n")[3]} ${identity.split("\n")[3]}` } }),
    ],
    [
      "sops/age/keys.txt in XDG_CONFIG_HOME",
      ({ dir, identity }) => having(put(join(dir.home, ".config/sops/age/keys.txt"), identity), {}),
    ],
    [
      "sops/age/keys.txt in ~/.config",
      ({ dir, identity }) =>
        having(put(join(dir.home, ".config/sops/age/keys.txt"), identity), { env: { XDG_CONFIG_HOME: "" } }),
    ],
    [
      "the folder that `seal init` writes to",
      ({ dir, identity }) => having(put(join(dir.home, ".config/sealward/repo/prod.agekey"), identity), {}),
    ],
  ];
  test.each(sources)("%s", async (_, source) => {
    const given = await withoutIdentity();
    const { flags = [], env = {} } = source(given);
    await succeed(given.dir.run(["decrypt", prod, ...flags], { env }));
  });
});

test("no identity anywhere is identity-missing, with the flag and the variable to use", async () => {
  const { dir } = await withoutIdentity();
  const { code, stdout, stderr } = await dir.run(["decrypt", prod]);
  expect([code, stdout]).toEqual([5, ""]);
  expect(stderr).toMatch(/\(identity-missing\)\nhint: .*--identity FILE.*SOPS_AGE_KEY_FILE/);
});

test("what `seal init` wrote serves the repository it was made for, and no other of the same name", async () => {
  const dir = await sealedRepository();
  const kept = join(dir.home, ".config/sealward/repo/prod.agekey");
  expect(readFileSync(kept, "utf8")).toContain(`# repository: ${dir.path}\n`);
  writeFileSync(
    kept,
    readFileSync(kept, "utf8").replace(`# repository: ${dir.path}`, "# repository: /somewhere/else/repo"),
  );
  const { code, stdout, stderr } = await dir.run(["decrypt", prod]);
  expect([code, stdout]).toEqual([5, ""]);
  expect(stderr).toContain("made for a repository in another folder");
  await succeed(dir.run(["decrypt", prod, "--identity", kept]));
});

test("another environment's key file of `seal init` is not even read", async () => {
  const dir = await sealedRepository();
  put(join(dir.home, ".config/sealward/repo/staging.agekey"), "broken");
  await succeed(dir.run(["decrypt", prod]));
  rmSync(join(dir.home, ".config/sealward/repo/prod.agekey"));
  const { stderr } = await dir.run(["decrypt", prod]);
  expect(stderr).toContain("(identity-missing)");
  expect(stderr).not.toContain("unusable");
});

test("a source that cannot be used is mentioned only when opening fails for want of an identity", async () => {
  const { dir, file } = await withoutIdentity();
  const env = { SOPS_AGE_KEY: "AGE-SECRET-KEY-1MISTYPED", SOPS_AGE_KEY_FILE: join(dir.home, "none") };
  expect((await succeed(dir.run(["decrypt", prod, "--identity", file], { env }))).stderr).toBe("");
  const { code, stderr } = await dir.run(["decrypt", prod], { env });
  expect(code).toBe(5);
  expect(stderr).toContain("note: unusable identities: SOPS_AGE_KEY:1: ");
  expect(stderr).toContain(`note: unusable identities: SOPS_AGE_KEY_FILE: Cannot read "${join(dir.home, "none")}"`);
  expect(stderr).not.toContain("No age identity was found");
  expect(stderr).toContain("hint: correct the source that the note names");
  expect(stderr).not.toContain("MISTYPED");
});

test("identities that do not fit are told with whose they are", async () => {
  const { dir, file } = await withoutIdentity();
  const stranger = join(dir.home, "stranger");
  await succeed(dir.run(["keygen", "-o", stranger]));
  const staging = "deploy/staging/db.sealed.yaml";
  const { code, stderr } = await dir.run(["decrypt", staging, "--identity", file, "--identity", stranger]);
  expect([code, stderr]).toEqual([5, expect.stringContaining("(identity-unmatched)")]);
  expect(stderr).toMatch(/note: found an identity for age1\w+, which seal\.yaml lists for prod\n/);
  expect(stderr).toMatch(/note: found an identity for age1\w+, which seal\.yaml lists nowhere\n/);
});

test("a file named with --identity must be readable and right, whatever else opens the file", async () => {
  const dir = await sealedRepository();
  writeFileSync(join(dir.home, "bad"), "# fine\nAGE-SECRET-KEY-1MISTYPED\n");
  const bad = await dir.run(["decrypt", prod, "--identity", join(dir.home, "bad")]);
  expect([bad.code, bad.stderr]).toEqual([5, expect.stringMatching(/^error: .*\/bad:2: .*\(identity-invalid\)/)]);
  expect(bad.stderr).not.toContain("MISTYPED");
  expect((await dir.run(["decrypt", prod, "--identity", "none"])).code).toBe(6);
});
