// Where identities come from, and what is said about sources that cannot be used.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { armor, Encrypter } from "age-encryption";
import { describe, expect, test } from "vitest";
import { identitySources } from "../../cli/identity-sources.ts";
import { fakeIo, type GitDir, sealedRepository, succeed } from "./gitdir.ts";

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

const put = (path: string, text: string | Uint8Array): void => {
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
    ["SOPS_AGE_KEY_CMD", ({ file }) => ({ env: { SOPS_AGE_KEY_CMD: `cat '${file}'` } })],
    ["SOPS_AGE_SSH_PRIVATE_KEY_FILE", ({ file }) => ({ env: { SOPS_AGE_SSH_PRIVATE_KEY_FILE: file } })],
    ["SOPS_AGE_SSH_PRIVATE_KEY_CMD", ({ file }) => ({ env: { SOPS_AGE_SSH_PRIVATE_KEY_CMD: `cat "${file}"` } })],
    ["~/.ssh/id_ed25519", ({ dir, identity }) => having(put(join(dir.home, ".ssh/id_ed25519"), identity), {})],
    ["~/.ssh/id_rsa", ({ dir, identity }) => having(put(join(dir.home, ".ssh/id_rsa"), identity), {})],
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

test("the places are those of sops in its order, with ours before and after", async () => {
  const { dir } = await withoutIdentity();
  const io = fakeIo(dir, {}, { stdout: "", stderr: "" });
  const sources = identitySources(io, { identity: ["mine"], own: [{ folder: dir.path, environment: "prod" }] });
  expect(sources.map(({ name }) => name.replace(dir.home, "~"))).toEqual([
    "mine",
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_rsa",
    "SOPS_AGE_KEY",
    "SOPS_AGE_KEY_FILE",
    "SOPS_AGE_KEY_CMD",
    "~/.config/sops/age/keys.txt",
    "~/.config/sealward/repo/prod.agekey",
  ]);
});

describe("a command that prints an identity", () => {
  /** Prints the file, and adds a line with SOPS_AGE_RECIPIENT to `log`. */
  const logging = (file: string, log: string): string =>
    `sh -c 'echo "[${"$"}{SOPS_AGE_RECIPIENT-unset}]" >> "${log}"; cat "${file}"'`;

  test("is not run where another identity opens the file", async () => {
    const { dir, file } = await withoutIdentity();
    const log = join(dir.home, "log");
    const env = { SOPS_AGE_KEY_CMD: logging(file, log), SOPS_AGE_SSH_PRIVATE_KEY_CMD: logging(file, log) };
    await succeed(dir.run(["decrypt", prod, "--identity", file], { env }));
    expect(existsSync(log)).toBe(false);
    await succeed(dir.run(["decrypt", prod], { env }));
    expect(readFileSync(log, "utf8")).toBe("[unset]\n[unset]\n");
  });

  test("hears of the recipient where there is but one, and never of a stale one", async () => {
    const { dir, file } = await withoutIdentity();
    const log = join(dir.home, "log");
    const env = { SOPS_AGE_KEY_CMD: logging(file, log), SOPS_AGE_RECIPIENT: "stale" };
    for (const recipient of [undefined, "age1only"]) {
      const io = fakeIo(dir, { env }, { stdout: "", stderr: "" });
      const source = identitySources(io, { recipient }).find(({ name }) => name === "SOPS_AGE_KEY_CMD");
      // However many files ask for it, it is run once.
      await Promise.all([source?.read(), source?.read()]);
    }
    expect(readFileSync(log, "utf8")).toBe("[unset]\n[age1only]\n");
  });

  test.each([
    ["that fails", "sh -c 'echo CANARY; echo CANARY >&2; exit 3'", "The command ended with status 3"],
    ["that is not there", "/none/CANARY", "The command could not be started"],
    ["of blanks", "  ", "It names no command"],
  ])("%s is told of by the outcome alone", async (_, command, message) => {
    const { dir } = await withoutIdentity();
    const { code, stdout, stderr } = await dir.run(["decrypt", prod], { env: { SOPS_AGE_KEY_CMD: command } });
    expect([code, stdout]).toEqual([5, ""]);
    expect(stderr).toContain(`note: unusable identities: SOPS_AGE_KEY_CMD: ${message}`);
    expect(stderr).not.toContain("CANARY");
  });
});

test("an SSH key that lies about and is of no use is no reason to speak of sources that were named", async () => {
  const { dir } = await withoutIdentity();
  put(join(dir.home, ".ssh/id_rsa"), "whatever\n");
  const { code, stderr } = await dir.run(["decrypt", prod]);
  expect(code).toBe(5);
  expect(stderr).toContain("No age identity was found");
  expect(stderr).toMatch(/note: unusable identities: .*\/\.ssh\/id_rsa/);
});

describe("an identity file with a passphrase", () => {
  async function encrypted(identity: string): Promise<Uint8Array> {
    const encrypter = new Encrypter();
    encrypter.setPassphrase("three word phrase");
    encrypter.setScryptWorkFactor(10);
    return encrypter.encrypt(identity);
  }

  async function given(): Promise<{ dir: GitDir; identity: string; file: string; locked: string }> {
    const { dir, identity, file } = await withoutIdentity();
    const locked = join(dir.home, "locked");
    put(locked, await encrypted(identity));
    return { dir, identity, file, locked };
  }

  test("opens once the passphrase is right, which is not shown", async () => {
    const { dir, locked } = await given();
    const { stderr } = await succeed(
      dir.run(["decrypt", prod, "--identity", locked], { secrets: ["wrong", "three word phrase"] }),
    );
    expect(stderr).toBe(`Passphrase of ${locked}: Passphrase of ${locked} (the last one was wrong): `);
  });

  test.each([
    ["SOPS_AGE_KEY_FILE", ({ locked }: { locked: string }) => ({ SOPS_AGE_KEY_FILE: locked })],
    ["SOPS_AGE_KEY_CMD", ({ locked }: { locked: string }) => ({ SOPS_AGE_KEY_CMD: `cat ${locked}` })],
  ])("may be what %s names", async (_, env) => {
    const setting = await given();
    const secrets = ["three word phrase"];
    await succeed(setting.dir.run(["decrypt", prod], { env: env(setting), secrets }));
  });

  test("may stand in SOPS_AGE_KEY and in keys.txt, in armor", async () => {
    const { dir, identity } = await given();
    const armored = armor.encode(await encrypted(identity));
    const secrets = ["three word phrase"];
    await succeed(dir.run(["decrypt", prod], { env: { SOPS_AGE_KEY: armored }, secrets }));
    put(join(dir.home, ".config/sops/age/keys.txt"), armored);
    await succeed(dir.run(["decrypt", prod], { secrets }));
  });

  test("is not asked about where another identity opens the file, be it what a command prints", async () => {
    const { dir, file, locked } = await given();
    await succeed(dir.run(["decrypt", prod, "--identity", locked, "--identity", file], { secrets: [] }));
    const env = { SOPS_AGE_KEY_CMD: `cat ${file}` };
    await succeed(dir.run(["decrypt", prod, "--identity", locked], { env, secrets: [] }));
  });

  test("is asked about after another one that did not help", async () => {
    const { dir, locked } = await given();
    await succeed(dir.run(["keygen", "-o", join(dir.home, "stranger")]));
    const other = join(dir.home, "other");
    put(other, await encrypted(readFileSync(join(dir.home, "stranger"), "utf8")));
    const secrets = ["three word phrase", "three word phrase"];
    await succeed(dir.run(["decrypt", prod, "--identity", other, "--identity", locked], { secrets }));
  });

  test("is asked about once for several files", async () => {
    const { dir, locked } = await given();
    const files = ["one", "two", "three"].map((name) => `deploy/prod/${name}.sealed.yaml`);
    for (const file of files) dir.write(file, dir.read(prod));
    await succeed(dir.run(["decrypt", "-i", ...files, "--identity", locked], { secrets: ["three word phrase"] }));
  });

  test.each([
    ["three wrong passphrases", ["a", "b", "c"], "3 that were given are wrong"],
    ["no passphrase", [""], "none was given"],
    ["no terminal", undefined, "there is no terminal"],
  ])(
    "is refused after %s, as an error where --identity names it and with a note elsewhere",
    async (_, secrets, why) => {
      const { dir, locked } = await given();
      const asked = secrets === undefined ? {} : { secrets };
      const named = await dir.run(["decrypt", prod, "--identity", locked], asked);
      expect([named.code, named.stdout]).toEqual([5, ""]);
      expect(named.stderr).toContain(why);
      expect(named.stderr).toContain("(identity-invalid)");
      const set = await dir.run(["decrypt", prod], { ...asked, env: { SOPS_AGE_KEY_FILE: locked } });
      expect(set.stderr).toMatch(new RegExp(`note: unusable identities: SOPS_AGE_KEY_FILE: .*${why}`));
      expect(set.stderr).toContain("(identity-missing)");
    },
  );

  test("ends the command at ^C", async () => {
    const { dir, locked } = await given();
    for (const [flags, env] of [
      [["--identity", locked], {}],
      [[], { SOPS_AGE_KEY_FILE: locked }],
    ] as const) {
      const { code, stderr } = await dir.run(["decrypt", prod, ...flags], { env, secrets: [null] });
      expect([code, stderr]).toEqual([130, expect.stringContaining("(cancelled)")]);
    }
  });
});

test("a key mistyped in any source is in no output", async () => {
  const { dir } = await withoutIdentity();
  const mistyped = "AGE-SECRET-KEY-1wr0ngkey";
  const bad = join(dir.home, "bad");
  put(bad, `${mistyped}\n`);
  for (const path of [".ssh/id_ed25519", ".config/sops/age/keys.txt"]) put(join(dir.home, path), `${mistyped}\n`);
  const begin = "-----BEGIN OPENSSH PRIVATE KEY-----";
  put(join(dir.home, ".ssh/id_rsa"), `${begin}\nwr0ngkey\n${begin.replace("BEGIN", "END")}\n`);
  put(join(dir.home, ".config/sealward/repo/prod.agekey"), `# repository: ${dir.path}\n${mistyped}\n`);
  const env = {
    SOPS_AGE_SSH_PRIVATE_KEY_FILE: bad,
    SOPS_AGE_SSH_PRIVATE_KEY_CMD: `cat ${bad}`,
    SOPS_AGE_KEY: mistyped,
    SOPS_AGE_KEY_FILE: bad,
    SOPS_AGE_KEY_CMD: `cat ${bad}`,
  };
  for (const command of [
    ["decrypt", prod],
    ["keys", prod],
    ["keys", prod, "--output", "json"],
  ]) {
    const { code, stdout, stderr } = await dir.run(command, { env });
    expect(code).toBe(command[0] === "keys" ? 1 : 5);
    expect(stdout + stderr).not.toMatch(/wr0ngkey/i);
    if (command[0] === "decrypt") expect(stderr.match(/note: unusable identities/g)).toHaveLength(9);
    const named = await dir.run([...command, "--identity", bad], { env });
    expect([named.code, named.stdout]).toEqual([5, ""]);
    expect(named.stderr).not.toMatch(/wr0ngkey/i);
  }
});
