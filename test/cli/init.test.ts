// seal init, keygen, env manifest: what they write, where, and what they never replace.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateAgeIdentity, parseAgeIdentities, parseConfig } from "../../src/index.ts";
import { gitdir, manifest, succeed } from "./gitdir.ts";

const keysOf = (home: string): string => join(home, ".config/sealward/repo");
const { recipient } = generateAgeIdentity().identity;

describe("init", () => {
  test("writes seal.yaml, .gitignore lines and identities outside the repository, each for the owner only", async () => {
    const dir = gitdir({ ".gitignore": "node_modules" });
    const { stdout, stderr } = await succeed(dir.run(["init"]));
    expect(stdout).toBe("");
    expect(Object.keys(dir.snapshot()).sort()).toEqual([".gitignore", "seal.yaml"]);
    expect(dir.read(".gitignore")).toBe("node_modules\n*.plain.yaml\n*.agekey\n");
    const config = parseConfig(dir.read("seal.yaml"), "seal.yaml");
    expect([...config.environments.keys()]).toEqual(["staging", "prod"]);
    expect(config.environments.get("prod")).toMatchObject({
      paths: ["**/prod/**"],
      namespaces: [],
      scopes: ["strict"],
    });
    for (const name of ["staging", "prod", "recovery"]) {
      const file = join(keysOf(dir.home), `${name}.agekey`);
      expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
      const [identity] = await parseAgeIdentities(readFileSync(file, "utf8"), file);
      const listed = name === "recovery" ? config.recovery.age : config.environments.get(name)?.ageRecipients;
      expect(listed).toContain(identity?.recipient);
      expect(stderr).toContain(file);
    }
    expect(stderr).toMatch(/Move .*recovery\.agekey to an offline place now, and delete it here/);
    expect(stderr).toContain(`export SOPS_AGE_KEY_FILE=${keysOf(dir.home)}/staging.agekey`);
    expect(stderr).not.toContain("AGE-SECRET-KEY");
  });

  test("after it, sealing and opening work as they are; each environment's identity opens its own files only", async () => {
    const dir = gitdir();
    await succeed(dir.run(["init", "--env", "dev", "prod"]));
    const sealed = await succeed(dir.run(["--env", "prod"], { stdin: manifest() }));
    await succeed(dir.run(["decrypt"], { stdin: sealed.stdout }));
    const env = { XDG_CONFIG_HOME: join(dir.home, "none"), SOPS_AGE_KEY_FILE: join(keysOf(dir.home), "dev.agekey") };
    const { code, stderr } = await dir.run(["decrypt"], { stdin: sealed.stdout, env });
    expect([code, stderr]).toEqual([5, expect.stringContaining("(identity-unmatched)")]);
  });

  test("the recovery identity opens what every environment sealed", async () => {
    const dir = gitdir();
    await succeed(dir.run(["init"]));
    const { stdout } = await succeed(dir.run(["--env", "prod"], { stdin: manifest() }));
    const env = { XDG_CONFIG_HOME: join(dir.home, "none") };
    await succeed(
      dir.run(["decrypt", "--identity", join(keysOf(dir.home), "recovery.agekey")], { stdin: stdout, env }),
    );
  });

  test("takes existing recipients and namespaces, and then writes no identity", async () => {
    const dir = gitdir();
    await succeed(
      dir.run([
        "init",
        "--env",
        "prod",
        "--recipient",
        `prod=${recipient}`,
        "--recovery",
        recipient,
        "--namespace",
        "prod=payments",
      ]),
    );
    const prod = parseConfig(dir.read("seal.yaml"), "seal.yaml").environments.get("prod");
    expect(prod).toMatchObject({ ageRecipients: [recipient], namespaces: ["payments"] });
    expect(readdirSync(dir.home)).toEqual([]);
  });

  test("a name that YAML would read as something else is kept as a name", async () => {
    const dir = gitdir();
    await succeed(dir.run(["init", "--env", "no", "123"]));
    expect([...parseConfig(dir.read("seal.yaml"), "seal.yaml").environments.keys()]).toEqual(["no", "123"]);
  });

  test.each([
    ["a keys folder in the work tree", ["--keys-dir", "keys"], 2, "lies in the Git work tree"],
    ["an environment's name with capitals", ["--env", "Prod"], 2, "lower-case"],
    [
      "an environment whose identity would take the recovery identity's place",
      ["--env", "recovery"],
      2,
      "another name",
    ],
    ["a recipient of an unknown environment", ["--recipient", `qa=${recipient}`], 2, "NAME=VALUE"],
    ["something that is no recipient", ["--recipient", "prod=age1nope"], 5, "Cannot use --recipient prod=…: "],
    ["an identity where a recipient belongs", ["--recovery", "AGE-SECRET-KEY-1QQQQ"], 5, "Cannot use --recovery: "],
  ])("refuses %s, and leaves nothing behind", async (_, flags, exit, message) => {
    const dir = gitdir();
    const { code, stderr } = await dir.run(["init", ...flags]);
    expect([code, stderr]).toEqual([exit, expect.stringContaining(message)]);
    expect(stderr).not.toContain("QQQQ");
    expect([dir.snapshot(), readdirSync(dir.home)]).toEqual([{}, []]);
  });

  test("never replaces a seal.yaml, nor an identity", async () => {
    const dir = gitdir({ "seal.yaml": `version: 1\nenvironments: {prod: {recipients: {age: [${recipient}]}}}\n` });
    const before = dir.snapshot();
    expect((await dir.run(["init"])).stderr).toContain("governs this folder already (file-exists)");
    expect(dir.snapshot()).toEqual(before);
    const other = gitdir();
    mkdirSync(keysOf(other.home), { recursive: true });
    writeFileSync(join(keysOf(other.home), "prod.agekey"), "mine");
    const { code, stderr } = await other.run(["init"]);
    expect([code, stderr]).toEqual([6, expect.stringContaining("(file-exists)")]);
    expect(stderr).toContain("`--recipient prod=age1…`");
    expect([other.snapshot(), readdirSync(keysOf(other.home))]).toEqual([{}, ["prod.agekey"]]);
  });

  test("names the flags that take over identities that are there, with their recipients", async () => {
    const dir = gitdir();
    await succeed(dir.run(["init"]));
    const before = dir.read("seal.yaml");
    rmSync(join(dir.path, "seal.yaml"));
    const { stderr } = await dir.run(["init"]);
    expect(stderr.split(keysOf(dir.home)).length).toBe(2);
    const flags = /identities: `(.*?)`/.exec(stderr)?.[1]?.split(" ") ?? [];
    expect(flags.filter((word) => word.startsWith("--"))).toEqual(["--recovery", "--recipient", "--recipient"]);
    await succeed(dir.run(["init", ...flags]));
    expect(dir.read("seal.yaml")).toBe(before);
    const again = await dir.run(["init"]);
    expect(again.stderr).toContain("hint: add environments to that file by hand");
    expect(again.stderr).not.toContain("--force");
  });

  test("the next command has the namespace that was given", async () => {
    const { stderr } = await succeed(gitdir().run(["init", "--namespace", "prod=pay", "staging=shop"]));
    expect(stderr).toContain("kubectl create secret generic db -n shop ");
  });

  test("takes the identities back when seal.yaml cannot be written", async () => {
    const dir = gitdir();
    mkdirSync(join(dir.path, "seal.yaml"));
    const { code } = await dir.run(["init"]);
    expect([code, readdirSync(keysOf(dir.home))]).toEqual([6, []]);
  });
});

describe("keygen", () => {
  test("prints an identity as age-keygen does, the recipient on stderr", async () => {
    const { stdout, stderr } = await succeed(gitdir().run(["keygen"]));
    expect(stdout).toMatch(
      /^# created: 2026-11-23T10:00:00Z\n# public key: age1[a-z0-9]{58}\nAGE-SECRET-KEY-1[A-Z0-9]{58}\n$/,
    );
    expect(stderr).toBe(`recipient: ${/age1\w+/.exec(stdout)?.[0]}\n`);
  });

  test("-o makes a file for the owner only, never over another, and warns inside a work tree", async () => {
    const dir = gitdir();
    await succeed(dir.run(["keygen", "-o", "../home/a.agekey"]));
    expect(statSync(join(dir.home, "a.agekey")).mode & 0o777).toBe(0o600);
    const before = readFileSync(join(dir.home, "a.agekey"), "utf8");
    expect((await dir.run(["keygen", "-o", "../home/a.agekey"])).code).toBe(6);
    expect(readFileSync(join(dir.home, "a.agekey"), "utf8")).toBe(before);
    expect((await succeed(dir.run(["keygen", "-o", "b.agekey"]))).stderr).toContain("never commit it");
  });

  test("--secret prints the controller's key Secret, fresh or from a file, with nothing else of the file", async () => {
    const dir = gitdir();
    await succeed(dir.run(["init"]));
    const file = join(keysOf(dir.home), "prod.agekey");
    writeFileSync(file, `# stray\n${readFileSync(file, "utf8")}`);
    const { stdout, stderr } = await succeed(dir.run(["keygen", "--secret", "--env", "prod", "--from", file]));
    expect(stdout).toMatch(
      /^apiVersion: v1\nkind: Secret\nmetadata:\n {2}name: sealward-age-prod\n {2}namespace: sealward-system\ntype: Opaque\nstringData:\n {2}identity: \|\n {4}# public key: age1\w+\n {4}AGE-SECRET-KEY-1\w+\n$/,
    );
    expect(stderr).toMatch(/^recipient: age1\w+\n$/);
    const fresh = await succeed(dir.run(["keygen", "--secret", "--env", "prod", "--namespace", "keys"]));
    expect(fresh.stdout).toContain("namespace: keys");
    expect(fresh.stderr).toContain('does not list this recipient for "prod" (which seal.yaml lists nowhere)');
    const noteOf = async (env: string, name: string): Promise<string> =>
      (await succeed(dir.run(["keygen", "--secret", "--env", env, "--from", join(keysOf(dir.home), `${name}.agekey`)])))
        .stderr;
    expect(await noteOf("prod", "staging")).toContain('for "prod" (which seal.yaml lists for staging)');
    expect(await noteOf("prod", "recovery")).toContain("note: this identity opens every environment");
    expect(await noteOf("qa", "prod")).toContain('note: seal.yaml has no environment "qa", only staging, prod\n');
  });

  test.each([
    [["--secret"], 2, "one environment"],
    [["--env", "prod"], 2, "belong to --secret"],
    [["--secret", "--env", "a\nb"], 2, "lower-case"],
    [["--secret", "--env", "prod", "--from", "none"], 6, "(file-missing)"],
    [["--secret", "--env", "prod", "--from", "broken"], 5, "broken:1: "],
  ])("%j is refused", async (flags, exit, message) => {
    const { code, stdout, stderr } = await gitdir({ broken: "AGE-SECRET-KEY-1CANARY\n" }).run(["keygen", ...flags]);
    expect([code, stdout, stderr]).toEqual([exit, "", expect.stringContaining(message)]);
    expect(stderr).not.toContain("CANARY");
  });
});

test("init does not write through a .gitignore that leads elsewhere, and takes back the keys", async () => {
  const dir = gitdir();
  const profile = join(dir.home, ".bashrc");
  writeFileSync(profile, "# mine\n");
  symlinkSync(profile, join(dir.path, ".gitignore"));
  const { code, stderr } = await dir.run(["init"]);
  expect([code, stderr]).toEqual([6, expect.stringContaining("symbolic link (file-unwritable)")]);
  expect(readFileSync(profile, "utf8")).toBe("# mine\n");
  expect([dir.has("seal.yaml"), readdirSync(join(dir.home, ".config/sealward/repo"))]).toEqual([false, []]);
});

describe("env manifest", () => {
  test("prints the Environment that seal.yaml describes", async () => {
    const dir = gitdir();
    await succeed(
      dir.run([
        "init",
        "--env",
        "prod",
        "--recipient",
        `prod=${recipient}`,
        "--recovery",
        recipient,
        "--namespace",
        "prod=payments",
      ]),
    );
    expect((await succeed(dir.run(["env", "manifest", "prod"]))).stdout).toBe(`apiVersion: sealward.dev/v1alpha1
kind: Environment
metadata:
  name: prod
spec:
  namespaces:
    names:
      - payments
  identities:
    - age:
        secretRef:
          name: sealward-age-prod
  recipients:
    age:
      - ${recipient}
  scopes:
    - strict
  strictRecipients: false
`);
  });

  test("takes namespaces from the flag only where seal.yaml names none", async () => {
    const dir = gitdir();
    await succeed(dir.run(["init", "--namespace", "prod=payments"]));
    expect(
      (await succeed(dir.run(["env", "manifest", "staging", "--namespace", "a", "--namespace", "b"]))).stdout,
    ).toContain("      - a\n      - b\n");
    expect((await dir.run(["env", "manifest", "prod", "--namespace", "a"])).stderr).toContain("(environment-mismatch)");
    expect((await dir.run(["env", "manifest", "staging"])).stderr).toContain("governs none opens nothing");
    expect((await dir.run(["env", "manifest", "qa"])).stderr).toContain(
      "seal.yaml has staging, prod (environment-undefined)",
    );
    expect((await gitdir().run(["env", "manifest", "prod"])).code).toBe(4);
  });
});
