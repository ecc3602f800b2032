// SOPS files of every kind through the commands, where no seal.yaml governs them and where one does: what is written where,
// what is refused, and that a failure loses nothing and shows no value.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import { canary, editor, type GitDir, gitdir, manifest, type Outcome, sealedRepository, succeed } from "./gitdir.ts";

const own = generateAgeIdentity();
const { recipient } = own.identity;

const plain: Readonly<Record<string, string>> = {
  "a.yaml": `# about\ndatabase:\n  user: app\n  password: ${canary}\n  ports: [1, 2]\n`,
  "a.json": `{\n  "database": {\n    "user": "app",\n    "password": "${canary}",\n    "ports": [1, 2]\n  }\n}\n`,
  "a.env": `USER=app\nPASSWORD=${canary}\n`,
  "a.ini": `[database]\nuser     = app\npassword = ${canary}\n`,
  "a.bin": `${canary}\0\u0001\n`,
};
const names = Object.keys(plain);

/** A repository that knows SOPS only, with an identity where `sops` looks for it. */
function sopsRepository(files: Readonly<Record<string, string>> = plain): GitDir {
  const dir = gitdir({ ".sops.yaml": `creation_rules:\n  - age: ${recipient}\n`, ...files });
  const keys = join(dir.home, ".config", "sops", "age");
  mkdirSync(keys, { recursive: true });
  writeFileSync(join(keys, "keys.txt"), `${own.secretKey}\n`);
  return dir;
}

async function sealedSops(): Promise<GitDir> {
  const dir = sopsRepository();
  await succeed(dir.run(["encrypt", "-i", ...names]));
  return dir;
}

function expectRefused({ code, stdout, stderr }: Outcome, error: string): void {
  expect(stderr).toContain(`(${error})`);
  expect(code).not.toBe(0);
  expect(stdout + stderr).not.toContain(canary);
}

describe("without a seal.yaml", () => {
  test("encrypt -i and decrypt -i give every format back byte for byte", async () => {
    const dir = await sealedSops();
    for (const name of names) expect(dir.read(name)).not.toContain(canary);
    await succeed(dir.run(["decrypt", "-i", ...names]));
    for (const name of names) expect(dir.read(name)).toBe(plain[name]);
  });

  test("the flags of sops do what they do there", async () => {
    const dir = sopsRepository({ "a.yaml": plain["a.yaml"] ?? "" });
    const { stdout } = await succeed(
      dir.run(["-e", "--age", recipient, "--encrypted-regex", "^password$", "--mac-only-encrypted", "a.yaml"]),
    );
    expect(stdout).toContain("user: app");
    expect(stdout).not.toContain(canary);
    expect(stdout).toContain("mac_only_encrypted: true");
    dir.write("b.yaml", stdout);
    const extracted = await succeed(dir.run(["-d", "--extract", '["database"]["password"]', "b.yaml"]));
    expect(extracted.stdout).toBe(canary);
  });

  test("a file that cannot be encrypted keeps the others as they are", async () => {
    const dir = sopsRepository({ ...plain, "broken.yaml": `a: "${canary}\n` });
    const before = dir.snapshot();
    expectRefused(await dir.run(["encrypt", "-i", "a.yaml", "broken.yaml", "a.json"]), "not-yaml");
    const after = dir.snapshot();
    expect(after["broken.yaml"]).toBe(before["broken.yaml"]);
    for (const name of ["a.yaml", "a.json"]) {
      // Each file is whole: as it was, or sealed and opening to what it was.
      if (after[name] === before[name]) continue;
      const { stdout } = await succeed(dir.run(["decrypt", name]));
      expect(stdout).toBe(plain[name]);
    }
  });

  test("a file that is sealed already is not sealed twice", async () => {
    const dir = await sealedSops();
    const before = dir.snapshot();
    for (const name of names.filter((name) => name !== "a.bin"))
      expectRefused(await dir.run(["encrypt", "-i", name]), "already-sealed");
    expect(dir.snapshot()).toEqual(before);
  });

  test("formats are converted as asked", async () => {
    const dir = await sealedSops();
    const { stdout } = await succeed(dir.run(["decrypt", "--output-type", "json", "a.yaml"]));
    expect(JSON.parse(stdout)).toEqual({ database: { user: "app", password: canary, ports: [1, 2] } });
    const ini = await succeed(
      dir.run(["decrypt", "--input-type", "ini", "--output-type", "yaml"], { stdin: dir.read("a.ini") }),
    );
    expect(ini.stdout).toBe(`DEFAULT: {}\ndatabase:\n    user: app\n    password: ${canary}\n`);
    dir.write("list.json", '{"a": [1]}');
    expectRefused(await dir.run(["encrypt", "--output-type", "dotenv", "list.json"]), "sops-unsupported");
  });

  test.each<[string, string, string[], string]>([
    ["a.yaml", '["database"]["user"]', [], "    user: other"],
    ["a.json", '["database"]["user"]', [], '"user": "other"'],
    ["a.env", '["USER"]', [], "USER=other"],
    ["a.ini", '["database"]["user"]', [], "user     = other"],
    ["a.yaml", '["database"]["ports"][1]', ["--json"], ""],
  ])("set changes %s at %s: one line, the time and the MAC", async (name, path, flags) => {
    const dir = await sealedSops();
    const before = dir.read(name).split("\n");
    await succeed(dir.run(["set", name, path, ...flags], { stdin: flags.length > 0 ? "3" : "other" }));
    const after = dir.read(name).split("\n");
    expect(after).toHaveLength(before.length);
    // The clock of this test stands still: the time is the same.
    expect(after.filter((line, index) => line !== before[index])).toHaveLength(2);
    const { stdout } = await succeed(dir.run(["decrypt", "--extract", path, name]));
    expect(stdout).toBe(flags.length > 0 ? "3" : "other");
  });

  test("set refuses a path that leads nowhere and a value that is no JSON", async () => {
    const dir = await sealedSops();
    const before = dir.snapshot();
    expectRefused(await dir.run(["set", "a.yaml", '["database"]["user"]["x"]'], { stdin: canary }), "path-missing");
    expectRefused(await dir.run(["set", "a.yaml", '["database"]["x"]', "--json"], { stdin: `{${canary}` }), "not-json");
    expect(dir.snapshot()).toEqual(before);
  });

  test.each(names.filter((name) => name !== "a.bin"))("edit of %s changes what was edited", async (name) => {
    const dir = await sealedSops();
    const program = editor(dir, `return text.replace("app", "edited");`);
    await succeed(dir.run(["edit", name], { env: { EDITOR: program } }));
    expect(dir.read(name)).not.toContain("edited");
    const { stdout } = await succeed(dir.run(["decrypt", name]));
    expect(stdout).toBe(plain[name]?.replace("app", "edited"));
  });

  test("edit keeps the file if what was saved cannot be read", async () => {
    const dir = await sealedSops();
    const before = dir.snapshot();
    const program = editor(dir, `return text + "x: [${canary}";`);
    expectRefused(await dir.run(["edit", "a.yaml"], { env: { EDITOR: program } }), "not-yaml");
    expect(dir.snapshot()).toEqual(before);
  });

  test("a changed value is refused; --ignore-mac opens what only lost its MAC", async () => {
    const dir = await sealedSops();
    const text = dir.read("a.env");
    dir.write(
      "swapped.env",
      text.replace(/^(PASSWORD=.*data:)./m, (_, before: string) => `${before}A`).replace(/data:AA/, "data:BA"),
    );
    expectRefused(await dir.run(["decrypt", "swapped.env"]), "not-authentic");
    dir.write("less.env", text.replace(/^USER=.*\n/m, ""));
    expectRefused(await dir.run(["decrypt", "less.env"]), "not-authentic");
    const { stdout } = await succeed(dir.run(["decrypt", "--ignore-mac", "less.env"]));
    expect(stdout).toBe(`PASSWORD=${canary}\n`);
  });

  test("--pgp is refused, for there is no such key here", async () => {
    const dir = sopsRepository();
    const value = "85D77543B3D624B63CEA9E6DBC17301B491B3F21";
    expectRefused(await dir.run(["encrypt", "--pgp", value, "a.yaml"]), "recipient-unsupported");
  });

  test("explain says which line decided, for a plain file and for a sealed one", async () => {
    const dir = sopsRepository();
    const before = await succeed(dir.run(["explain", "a.yaml"]));
    expect(before.stdout).toContain("creation rule 1");
    expect(before.stdout).toContain(recipient);
    expect(before.stdout).toContain('["database"]["password"]');
    await succeed(dir.run(["encrypt", "-i", "a.yaml"]));
    const after = await succeed(dir.run(["explain", "a.yaml"]));
    expect(after.stdout).toContain("stated in the file");
    expect(before.stdout + after.stdout).not.toContain(canary);
  });

  test("keys says which identity opens which file", async () => {
    const dir = await sealedSops();
    const { stdout } = await succeed(dir.run(["keys", ...names]));
    expect(stdout).toContain(recipient);
    expect(stdout).not.toContain("AGE-SECRET-KEY");
    for (const name of names) expect(stdout).toContain(name);
  });

  test("a JSON file of several values under another name is not opened as one of them", async () => {
    const dir = sopsRepository({ "two.json": `{"user": "u1", "pw": "${canary}"}` });
    dir.write("two.enc", (await succeed(dir.run(["encrypt", "two.json"]))).stdout);
    const before = dir.snapshot();
    for (const argv of [["decrypt"], ["decrypt", "-i"], ["edit"]])
      expectRefused(await dir.run([...argv, "two.enc"]), "sops-unsupported");
    expect(dir.snapshot()).toEqual(before);
    const { stdout } = await succeed(dir.run(["decrypt", "--input-type", "json", "two.enc"]));
    expect(stdout).toBe(dir.read("two.json"));
  });

  test.skipIf(process.platform !== "linux")("a device that never ends is not read for ever", async () => {
    const dir = sopsRepository();
    for (const command of ["check", "decrypt", "encrypt"])
      expect((await dir.run([command, "/dev/zero"])).code, command).not.toBe(0);
  });

  test.each<[string, string, string]>([
    ["half.json", `{"a": "\\ud800", "b": "${canary}"}`, "not-json"],
    ["new.yaml", `%YAML 1.2\n---\na: ${canary}\n`, "not-yaml"],
  ])("what sops would not read is not sealed: %s", async (name, text, code) => {
    const dir = sopsRepository({ [name]: text });
    expectRefused(await dir.run(["encrypt", "-i", name]), code);
    expect(dir.read(name)).toBe(text);
  });

  test("no rule and no recipient is an error that says what is missing", async () => {
    const dir = gitdir({ "a.env": plain["a.env"] ?? "" });
    expectRefused(await dir.run(["encrypt", "-i", "a.env"]), "config-missing");
    expect(dir.read("a.env")).toBe(plain["a.env"]);
  });
});

describe("under a seal.yaml", () => {
  test("a values file is sealed for the environment of its path, and opens nowhere else", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/values.yaml", plain["a.yaml"] ?? "");
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/values.yaml"]));
    expect(dir.read("deploy/prod/values.yaml")).not.toContain(canary);
    expect((await succeed(dir.run(["decrypt", "deploy/prod/values.yaml"]))).stdout).toBe(plain["a.yaml"]);
    dir.write("deploy/staging/values.yaml", dir.read("deploy/prod/values.yaml"));
    expectRefused(await dir.run(["decrypt", "deploy/staging/values.yaml"]), "recipient-foreign");
    const { code, stderr, stdout } = await dir.run(["check"]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("recipient-foreign");
  });

  test("no Secret is sealed as a file of another format", async () => {
    const dir = await sealedRepository();
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "x" }, stringData: { a: canary } };
    dir.write("deploy/prod/secret.json", JSON.stringify(secret));
    const before = dir.snapshot();
    expectRefused(await dir.run(["encrypt", "-i", "deploy/prod/secret.json"]), "shape-invalid");
    expect(dir.snapshot()).toEqual(before);
  });

  test.each([["--age", recipient], ["--ignore-mac"], ["--encrypted-regex", "x"]])(
    "%s is not for files that a seal.yaml governs",
    async (...flags) => {
      const dir = await sealedRepository();
      dir.write("deploy/prod/values.yaml", plain["a.yaml"] ?? "");
      const command = flags[0] === "--ignore-mac" ? "decrypt" : "encrypt";
      const before = dir.snapshot();
      const { code, stdout, stderr } = await dir.run([command, "-i", ...flags, "deploy/prod/values.yaml"]);
      expect(code).not.toBe(0);
      expect(stdout + stderr).not.toContain(canary);
      expect(dir.snapshot()).toEqual(before);
    },
  );

  test("a Secret among several files is sealed as one, with its binding", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/new.yaml", manifest({ name: "new" }));
    dir.write("deploy/prod/values.json", plain["a.json"] ?? "");
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/new.yaml", "deploy/prod/values.json"]));
    expect(dir.read("deploy/prod/new.yaml")).toContain("sealward.dev/binding: ENC[");
    expect(dir.read("deploy/prod/values.json")).not.toContain(canary);
  });
});
