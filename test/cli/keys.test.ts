// seal keys, and seal keygen --pq: what is said about sources and files, and that it is true.
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { parseAgeIdentities } from "../../src/index.ts";
import { openSshKey, sshLine } from "../support/ssh-keys.ts";
import { canary, gitdir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const prod = "deploy/prod/db.sealed.yaml";
const staging = "deploy/staging/db.sealed.yaml";

const recipientIn = (file: string): string => /age1\w+/.exec(readFileSync(file, "utf8"))?.[0] ?? "";

test("without FILE, every place is listed in order with what is there", async () => {
  const dir = await sealedRepository();
  const own = join(dir.home, ".config/sealward/repo");
  mkdirSync(join(dir.home, ".ssh"));
  writeFileSync(join(dir.home, ".ssh/id_rsa"), "# nothing\n");
  const env = { SOPS_AGE_KEY: "AGE-SECRET-KEY-1wr0ngkey", SOPS_AGE_KEY_CMD: "false" };
  const { stdout, stderr } = await succeed(dir.run(["keys"], { env }));
  expect(stderr).toBe("");
  expect(stdout.replaceAll(dir.home, "~").split("\n")).toEqual([
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE: absent",
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD: absent",
    "~/.ssh/id_ed25519: absent",
    "~/.ssh/id_rsa: holds no identity",
    expect.stringMatching(/^SOPS_AGE_KEY:1: unusable: Cannot read the age identity/),
    "SOPS_AGE_KEY_FILE: absent",
    "SOPS_AGE_KEY_CMD: unusable: The command ended with status 1",
    "~/.config/sops/age/keys.txt: absent",
    `~/.config/sealward/repo/staging.agekey: ${recipientIn(join(own, "staging.agekey"))}`,
    `~/.config/sealward/repo/prod.agekey: ${recipientIn(join(own, "prod.agekey"))}`,
    "",
  ]);
});

test("for each FILE, the recipients are listed with where the identity is that opens it", async () => {
  const dir = await sealedRepository();
  const own = join(dir.home, ".config/sealward/repo/prod.agekey");
  const { stdout } = await succeed(dir.run(["keys", prod, staging]));
  const [opened = "", first = "", second = ""] = stdout.slice(stdout.indexOf(`${prod}: `)).split("\n");
  expect(opened).toBe(`${prod}: opened by ${recipientIn(own)} (${own})`);
  expect([first, second]).toContain(`  ${recipientIn(own)}: ${own}`);
  expect([first, second]).toContainEqual(expect.stringMatching(/^ {2}age1\w{58}: no identity here$/));
  expect(stdout).toContain(`${staging}: opened by `);
});

test("a BoundSecret file counts as the file it carries", async () => {
  const dir = await sealedRepository();
  await succeed(dir.run(["wrap", prod, "-o", "deploy/prod/bound.yaml"]));
  expect((await succeed(dir.run(["keys", "deploy/prod/bound.yaml"]))).stdout).toContain(
    "deploy/prod/bound.yaml: opened by age1",
  );
});

test("a FILE that no identity opens, or that is none to open, is a finding, and the others are still told of", async () => {
  const dir = await sealedRepository();
  const other = gitdir();
  for (const file of [prod, "plain.yaml"]) mkdirSync(dirname(join(other.path, file)), { recursive: true });
  other.write(prod, dir.read(prod));
  other.write("plain.yaml", "a: 1\n");
  const identity = join(dir.home, ".config/sealward/repo/staging.agekey");
  const files = [prod, "plain.yaml", "missing.yaml", join(dir.path, staging)];
  const { code, stdout, stderr } = await other.run(["keys", ...files, "--identity", identity]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: 3 of 4 files are not opened by the identities found \(check-failed\)\nhint: /);
  expect(stdout).toMatch(/^deploy\/prod\/db\.sealed\.yaml: not opened: .*\(identity-unmatched\)$/m);
  expect(stdout.match(/^ {2}age1\w{58}: no identity here$/gm)?.length).toBeGreaterThan(1);
  expect(stdout).toMatch(/^plain\.yaml: not opened: .*\(not-sealed\)$/m);
  expect(stdout).toMatch(/^missing\.yaml: not opened: .*\(file-missing\)$/m);
  expect(stdout).toContain(`${join(dir.path, staging)}: opened by age1`);
});

test("of a file with key groups, each identity at hand is told of, be they enough or not", async () => {
  const dir = gitdir();
  const names = ["one", "two", "three"].map((name) => join(dir.home, name));
  for (const name of names) await succeed(dir.run(["keygen", "-o", name]));
  const [one = "", two = "", three = ""] = names;
  const group = (name: string): string => `      - age: ["${recipientIn(name)}"]\n`;
  dir.write(
    ".sops.yaml",
    `creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n${group(one)}${group(two)}${group(three)}`,
  );
  dir.write("a.yaml", "a: 1\n");
  await succeed(dir.run(["encrypt", "-i", "a.yaml"]));
  const linesWith = async (...files: string[]): Promise<readonly string[]> => {
    const { stdout } = await dir.run(["keys", "a.yaml", ...files.flatMap((file) => ["--identity", file])]);
    return stdout.slice(stdout.indexOf("a.yaml: ")).trimEnd().split("\n");
  };
  const held = (number: number, file: string, where: string): string =>
    `  group ${number}: ${recipientIn(file)}: ${where}`;
  expect(await linesWith(one, two, three)).toEqual([
    `a.yaml: opened by ${recipientIn(one)} (${one}), ${recipientIn(two)} (${two})`,
    "  2 of 3 key groups open it",
    held(1, one, one),
    held(2, two, two),
    held(3, three, three),
  ]);
  expect(await linesWith(three)).toEqual([
    expect.stringMatching(/^a\.yaml: not opened: .* 1 of the 2 key groups .*\(identity-unmatched\)$/),
    "  2 of 3 key groups open it",
    held(1, one, "no identity here"),
    held(2, two, "no identity here"),
    held(3, three, three),
  ]);
});

test("JSON has the same, whole recipients included", async () => {
  const dir = await sealedRepository();
  const own = join(dir.home, ".config/sealward/repo/prod.agekey");
  const env = { SOPS_AGE_KEY: "# fine\nwr0ngkey" };
  const { stdout } = await succeed(dir.run(["keys", prod, "--output", "json"], { env }));
  const { sources, files } = JSON.parse(stdout);
  expect(sources).toContainEqual({ source: own, status: "found", recipients: [recipientIn(own)] });
  expect(sources).toContainEqual({ source: "SOPS_AGE_KEY_FILE", status: "absent", recipients: [] });
  expect(sources).toContainEqual(expect.objectContaining({ source: "SOPS_AGE_KEY", status: "unusable", line: 1 }));
  expect(files).toEqual([
    {
      file: prod,
      status: "opened",
      groups: [expect.arrayContaining([{ kind: "age", id: recipientIn(own), source: own }])],
      threshold: 1,
      openedBy: [{ recipient: recipientIn(own), source: own }],
    },
  ]);
});

test("keygen --pq says what it takes to use the identity, and with --from has nothing to do", async () => {
  const dir = gitdir();
  const { stdout, stderr } = await succeed(dir.run(["keygen", "--pq"]));
  expect(stderr).toMatch(/^note: .*age 1\.3 or sops 3\.12.*\nrecipient: age1/);
  expect(stdout).toMatch(/^# created: .*\n# public key: age1\w+\nAGE-SECRET-KEY-/);
  const both = await dir.run(["keygen", "--secret", "--env", "prod", "--pq", "--from", "x"]);
  expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("(usage)")]);
});

test("keygen --secret hands over an SSH key whole, and a recipient that is listed with a comment is listed", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const [key, recipient] = [openSshKey(privateKey), sshLine(publicKey)];
  const config = `version: 1\nenvironments:\n  prod:\n    recipients:\n      age: ["${recipient} me@laptop"]\n`;
  const dir = gitdir({ "seal.yaml": config, "id.key": `# mine\n${key.replaceAll("\n", "\r\n")}` });
  const { stdout, stderr } = await succeed(dir.run(["keygen", "--secret", "--env", "prod", "--from", "id.key"]));
  const { identity } = parse(stdout).stringData;
  expect(identity).toBe(`# public key: ${recipient}\n${key}`);
  expect((await parseAgeIdentities(identity, "Secret")).map((one) => one.recipient)).toEqual([recipient]);
  expect(stderr).toBe(`recipient: ${recipient}\n`);
});

test("an SSH key in ~/.ssh opens what is sealed for it, and one with a passphrase is in nobody's way", async () => {
  const [ed, rsa] = [generateKeyPairSync("ed25519"), generateKeyPairSync("rsa", { modulusLength: 2048 })];
  const config = `version: 1\nenvironments:\n  prod:\n    recipients:\n      age: ["${sshLine(rsa.publicKey)} me"]\n`;
  const dir = gitdir({ "seal.yaml": config, "db.yaml": manifest() });
  mkdirSync(join(dir.home, ".ssh"));
  writeFileSync(join(dir.home, ".ssh/id_ed25519"), openSshKey(ed.privateKey, { cipher: "aes256-ctr", kdf: "bcrypt" }));
  writeFileSync(join(dir.home, ".ssh/id_rsa"), openSshKey(rsa.privateKey));
  await succeed(dir.run(["encrypt", "--env", "prod", "-o", "db.sealed.yaml", "db.yaml"]));
  const { stdout, stderr } = await succeed(dir.run(["decrypt", "db.sealed.yaml"]));
  expect(stdout).toContain(canary);
  expect(stderr).not.toContain("passphrase");
  writeFileSync(
    join(dir.home, ".ssh/id_rsa"),
    openSshKey(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey),
  );
  const refused = await dir.run(["decrypt", "db.sealed.yaml"]);
  expect(refused.code).toBe(5);
  expect(refused.stderr).toMatch(/unusable identities: .*id_ed25519:1: The SSH private key has a passphrase/);
});
