// Merging with the real Git and the real `seal` behind it, and walking through what is left.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateAgeIdentity, sidesOf } from "../../src/index.ts";
import { type GitWorld, gitWorld, prodFile, valuesIn } from "./git-world.ts";
import { canary, type GitDir, gitdir, manifest, succeed } from "./gitdir.ts";

const file = prodFile;
const resolveWith = (dir: GitDir, args: readonly string[], answers?: readonly string[], secrets?: readonly string[]) =>
  dir.run(["git", "resolve", ...args], {
    ...(answers === undefined ? {} : { answers, isTty: true }),
    ...(secrets === undefined ? {} : { secrets }),
  });

/** Both branches changed PASSWORD, and each another key. The merge has just failed. */
async function conflicted(): Promise<GitWorld> {
  const world = await gitWorld();
  await world.branch("theirs", file, { PASSWORD: "their-password", THEIRS: "1" });
  await succeed(world.run(["set", file, "PASSWORD"], { stdin: "our-password" }));
  await succeed(world.run(["set", file, "OURS"], { stdin: "2" }));
  world.git(["commit", "-qam", "ours"]);
  expect(world.git(["merge", "theirs"], 1)).toContain("Both sides changed PASSWORD (merge-conflict)");
  return world;
}

describe("git merge", () => {
  test("takes what each side changed", async () => {
    const world = await gitWorld();
    await world.branch("theirs", file, { PASSWORD: "their-password", NEW_THEIRS: "1" });
    await succeed(world.run(["set", file, "NEW_OURS"], { stdin: "2" }));
    world.git(["commit", "-qam", "ours"]);
    expect(world.git(["merge", "theirs", "-m", "merged"])).toContain(`merged ${file} by key`);
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: "their-password", NEW_THEIRS: "1", NEW_OURS: "2" });
    expect((await world.run(["check"])).code).toBe(0);
  });

  test.each([
    ["rebase", ["rebase", "theirs"]],
    ["cherry-pick", ["cherry-pick", "theirs"]],
  ])("%s goes the same way", async (_, command) => {
    const world = await gitWorld();
    await world.branch("theirs", file, { PASSWORD: "their-password" });
    await succeed(world.run(["set", file, "NEW"], { stdin: "2" }));
    world.git(["commit", "-qam", "ours"]);
    world.git(command);
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: "their-password", NEW: "2" });
  });

  test("leaves of a real conflict two whole sealed files between markers, and no plaintext", async () => {
    const world = await conflicted();
    const sides = sidesOf(world.read(file));
    const read = async (text: string | undefined) => {
      writeFileSync(join(world.path, file), text ?? "");
      return valuesIn(world);
    };
    expect(await read(sides?.ours)).toMatchObject({ PASSWORD: "our-password", OURS: "2", THEIRS: "1" });
    expect(await read(sides?.theirs)).toMatchObject({ PASSWORD: "their-password", OURS: "2", THEIRS: "1" });
    expect(`${sides?.ours}${sides?.theirs}`).not.toMatch(/password|canary/);
  });

  test("leaves both versions as they are where it cannot open them, and Git does not go on", async () => {
    const world = await gitWorld();
    await world.branch("theirs", file, { PASSWORD: "their-password" });
    await succeed(world.run(["set", file, "NEW"], { stdin: "2" }));
    world.git(["commit", "-qam", "ours"]);
    const ours = world.read(file);
    rmSync(join(world.home, ".config"), { recursive: true });
    expect(world.git(["merge", "theirs"], 1)).toMatch(
      /Cannot merge: No age identity was found.*\(identity-missing\) \(merge-conflict\)/,
    );
    const sides = sidesOf(world.read(file));
    expect(sides?.ours).toBe(ours);
    expect(sides?.theirs).toBe(world.git(["show", `theirs:${file}`]));
  });

  test("leaves both versions where one side belongs to another environment", async () => {
    const world = await gitWorld();
    world.git(["checkout", "-q", "-b", "theirs"]);
    world.write(file, world.read("deploy/staging/db.sealed.yaml"));
    world.git(["commit", "-qam", "copied"]);
    world.git(["checkout", "-q", "main"]);
    await succeed(world.run(["set", file, "NEW"], { stdin: "2" }));
    world.git(["commit", "-qam", "ours"]);
    expect(world.git(["merge", "theirs"], 1)).toContain("(environment-mismatch) (merge-conflict)");
    expect((await world.run(["check"])).code).toBe(1);
  });

  test.each([
    ["theirs", "deploy/prod/db.sealed.yaml"],
    ["both sides", "deploy/prod/db.sealed.yaml"],
    ["theirs", "deploy/prod/app.sealed.env"],
  ])("seals for nobody whom %s took out: %s", async (who, path) => {
    const world = await gitWorld();
    const people = ["one", "two"].map((name) => {
      const { identity, secretKey } = generateAgeIdentity();
      const key = join(world.home, `${name}.agekey`);
      writeFileSync(key, `${secretKey}\n`);
      return { recipient: identity.recipient, key };
    });
    const [one, two] = people.map(({ recipient }) => `        - ${recipient}\n`);
    const plain = world.read("seal.yaml");
    const both = plain.replace(/(prod:\n {4}recipients:\n {6}age:\n)/, `$1${one}${two}`);
    world.write("seal.yaml", both);
    if (path.endsWith(".env")) {
      world.write(path, "PASSWORD=p\nOTHER=o\n");
      await succeed(world.run(["encrypt", "-i", path]));
    } else await succeed(world.run(["bind", path]));
    world.git(["add", "-A"]);
    world.git(["commit", "-qm", "both"]);
    const remove = async (line: string | undefined): Promise<void> => {
      world.write("seal.yaml", world.read("seal.yaml").replace(line ?? "", ""));
      if (!path.endsWith(".env")) return void (await succeed(world.run(["bind", path])));
      const { stdout } = await succeed(
        world.run(["decrypt", path, "--identity", join(world.home, ".config/sealward/repo/prod.agekey")], {}),
      );
      world.write(path, stdout);
      await succeed(world.run(["encrypt", "-i", path]));
    };
    world.git(["checkout", "-q", "-b", "theirs"]);
    if (path.endsWith(".env")) {
      const { stdout } = await succeed(world.run(["decrypt", path]));
      world.write("seal.yaml", world.read("seal.yaml").replace(one ?? "", ""));
      world.write(path, stdout);
      await succeed(world.run(["encrypt", "-i", path]));
    } else await remove(one);
    await succeed(world.run(["set", path, "PASSWORD"], { stdin: "theirs" }));
    world.git(["commit", "-qam", "theirs"]);
    world.git(["checkout", "-q", "main"]);
    if (who === "both sides") await remove(two);
    else await succeed(world.run(["set", path, "NEW"], { stdin: "ours" }));
    world.git(["commit", "-qam", "ours"]);
    const { status } = spawnSync("git", ["-C", world.path, "merge", "theirs", "-m", "merged"], {
      env: {
        ...process.env,
        ...world.env,
        PATH: `${join(world.home, "bin")}:${process.env["PATH"]}`,
        GIT_AUTHOR_NAME: "a",
        GIT_AUTHOR_EMAIL: "a@b",
        GIT_COMMITTER_NAME: "a",
        GIT_COMMITTER_EMAIL: "a@b",
      },
    });
    // Where both changed seal.yaml in one place, Git leaves that to a person.
    if (status !== 0) {
      world.write("seal.yaml", plain);
      if (world.read(path).includes("<<<<<<<")) await succeed(resolveWith(world, [path]));
    }
    const text = world.read(path);
    expect(text).not.toContain("<<<<<<<");
    expect(text).not.toContain(people[0]?.recipient);
    if (who === "both sides") expect(text).not.toContain(people[1]?.recipient);
    const elsewhere = gitdir({ [path]: text });
    const opened = await elsewhere.run(["decrypt", path, "--identity", people[0]?.key ?? ""]);
    expect(opened.code).toBe(5);
    expect((await succeed(world.run(["get", path, "PASSWORD"]))).stdout).toBe("theirs");
  });

  test("merges and shows a file whose name looks like a flag", async () => {
    const world = await gitWorld();
    const path = "-x.sealed.yaml";
    const config = world.read("seal.yaml");
    const paths = /prod:[\s\S]*?paths:[^\n]*\n(?: +- [^\n]*\n)*/.exec(config)?.[0] ?? "";
    expect(paths).toContain("**/prod/**");
    world.write(
      "seal.yaml",
      config.replace(paths, paths.replace(/paths:[\s\S]*$/, 'paths: ["**/prod/**", "*.sealed.yaml"]\n')),
    );
    await succeed(world.run(["--env", "prod", "-o", `./${path}`], { stdin: manifest() }));
    world.git(["add", "-A"]);
    world.git(["commit", "-qm", "odd"]);
    await world.branch("theirs", `./${path}`, { PASSWORD: "theirs" });
    await succeed(world.run(["set", `./${path}`, "NEW"], { stdin: "ours" }));
    expect(world.git(["diff"])).toContain("sealed#");
    world.git(["commit", "-qam", "ours"]);
    world.git(["merge", "theirs", "-m", "merged"]);
    expect(await valuesIn(world, `./${path}`)).toMatchObject({ PASSWORD: "theirs", NEW: "ours" });
  });

  test("merges what is not sealed as Git does, conflicts included", async () => {
    const world = await gitWorld();
    const plain = "deploy/prod/kustomization.yaml";
    world.write(plain, "a: 1\nb: 2\nc: 3\nd: 4\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-qm", "plain"]);
    world.git(["checkout", "-q", "-b", "theirs"]);
    world.write(plain, "a: 1\nb: 2\nc: 3\nd: theirs\n");
    world.git(["commit", "-qam", "theirs"]);
    world.git(["checkout", "-q", "main"]);
    world.write(plain, "a: ours\nb: 2\nc: 3\nd: 4\n");
    world.git(["commit", "-qam", "ours"]);
    world.git(["merge", "theirs", "-m", "merged"]);
    expect(world.read(plain)).toBe("a: ours\nb: 2\nc: 3\nd: theirs\n");
    world.git(["checkout", "-q", "-b", "again", "HEAD~1"]);
    world.write(plain, "a: ours\nb: 2\nc: 3\nd: otherwise\n");
    world.git(["commit", "-qam", "again"]);
    world.git(["merge", "main"], 1);
    expect(world.read(plain)).toContain("<<<<<<< ours\nd: otherwise\n=======\nd: theirs\n>>>>>>> theirs\n");
  });

  test.each([
    ["dotenv", "deploy/prod/app.sealed.env", "# values\nHOST=h\nPORT=1\nPASSWORD=p\n", ["HOST"], ["PASSWORD"]],
    [
      "JSON",
      "deploy/prod/app.sealed.json",
      '{\n\t"a": {\n\t\t"x": "1",\n\t\t"y": "2"\n\t}\n}\n',
      ["a", "x"],
      ["a", "y"],
    ],
    ["Helm values", "deploy/prod/values.sealed.yaml", "a:\n  x: '1'\n  # note\n  y: '2'\n", ["a", "x"], ["a", "y"]],
  ])("merges %s by key", async (_, path, text, mine, other) => {
    const world = await gitWorld();
    world.write(path, text);
    await succeed(world.run(["encrypt", "-i", path]));
    world.git(["add", "-A"]);
    world.git(["commit", "-qm", "sealed"]);
    const pathOf = (names: readonly string[]): string => names.map((name) => `["${name}"]`).join("");
    await world.branch("theirs", path, { [pathOf(other)]: "theirs" });
    await succeed(world.run(["set", path, pathOf(mine)], { stdin: "ours" }));
    world.git(["commit", "-qam", "ours"]);
    world.git(["merge", "theirs", "-m", "merged"]);
    expect((await succeed(world.run(["decrypt", path, "--extract", pathOf(other)]))).stdout).toBe("theirs");
    expect((await succeed(world.run(["decrypt", path, "--extract", pathOf(mine)]))).stdout).toBe("ours");
  });

  test("merges what a BoundSecret file carries, and not what is around it", async () => {
    const world = await gitWorld();
    const path = "deploy/prod/bound.yaml";
    await succeed(world.run(["encrypt", "--wrap", "--env", "prod", "-o", path], { stdin: manifest() }));
    world.git(["add", "-A"]);
    world.git(["commit", "-qm", "bound"]);
    await world.branch("theirs", path, { PASSWORD: "theirs" });
    await succeed(world.run(["set", path, "NEW"], { stdin: "ours" }));
    world.git(["commit", "-qam", "ours"]);
    world.git(["merge", "theirs", "-m", "merged"]);
    expect(await valuesIn(world, path)).toMatchObject({ PASSWORD: "theirs", NEW: "ours" });
    expect(world.read(path)).toMatch(/^kind: BoundSecret$/m);

    await world.branch("around", path, { PASSWORD: "again" });
    world.write(path, world.read(path).replace("metadata:\n", "metadata:\n  labels:\n    a: b\n"));
    await succeed(world.run(["set", path, "NEW"], { stdin: "more" }));
    world.git(["commit", "-qam", "labelled"]);
    expect(world.git(["merge", "around"], 1)).toContain("differ in the BoundSecret around the sealed file");
  });

  test("is refused by hand with anything else than what Git gives", async () => {
    const dir = gitdir({ a: "", b: "", c: "" });
    const { code, stderr } = await dir.run(["git", "merge", "a", "b", "c", "x", "path.yaml"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("for Git to run")]);
  });
});

describe("git resolve", () => {
  test("asks for each conflict, shows values only when asked to, and takes the answer", async () => {
    const world = await conflicted();
    const { stderr, stdout } = await succeed(resolveWith(world, [], ["?", "s", "t"]));
    expect(stderr).toMatch(/PASSWORD: before #[0-9a-f]{8}, ours #[0-9a-f]{8}, theirs #[0-9a-f]{8}/);
    expect(stderr).toContain('theirs: "their-password"');
    expect(stdout).toBe("");
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: "their-password", OURS: "2", THEIRS: "1" });
    expect(world.git(["status", "--porcelain"])).toBe(`M  ${file}\n`);
    world.git(["commit", "-qm", "resolved"]);
    expect((await world.run(["check"])).code).toBe(0);
  });

  test("shows no value that was not asked for", async () => {
    const world = await conflicted();
    expect((await succeed(resolveWith(world, [], ["o"]))).stderr).not.toMatch(/password|canary/);
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: "our-password" });
  });

  test("takes a new value that is typed", async () => {
    const world = await conflicted();
    const { stderr } = await succeed(resolveWith(world, [], ["e"], ["third"]));
    expect(stderr).not.toContain("third");
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: "third" });
  });

  test.each([
    [["--theirs", "PASSWORD"], "their-password"],
    [["--ours", "PASSWORD", file], "our-password"],
    [["--take", "theirs", "--no-add"], "their-password"],
  ])("needs no terminal with %j", async (args, expected) => {
    const world = await conflicted();
    await succeed(resolveWith(world, args));
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: expected });
    expect(world.git(["status", "--porcelain"])).toBe(`${args.includes("--no-add") ? "UU" : "M "} ${file}\n`);
  });

  test("changes nothing where something is left undecided, misnamed or given up", async () => {
    const world = await conflicted();
    const before = world.read(file);
    const undecided = await resolveWith(world, []);
    expect([undecided.code, undecided.stderr]).toEqual([2, expect.stringContaining("undecided are PASSWORD")]);
    const misnamed = await resolveWith(world, ["--ours", "PASSWRD"]);
    expect([misnamed.code, misnamed.stderr]).toEqual([2, expect.stringContaining("those in conflict are: PASSWORD")]);
    expect((await resolveWith(world, [], ["q"])).code).toBe(130);
    expect(world.read(file)).toBe(before);
    expect(world.git(["status", "--porcelain"])).toBe(`UU ${file}\n`);
  });

  test("mends what Git merged by line, without the driver", async () => {
    const world = await gitWorld();
    rmSync(join(world.path, ".gitattributes"));
    world.git(["commit", "-qam", "no driver"]);
    await world.branch("theirs", file, { PASSWORD: "their-password" });
    await succeed(world.run(["set", file, "NEW"], { stdin: "2" }));
    world.git(["commit", "-qam", "ours"]);
    expect(world.git(["merge", "theirs"], 1)).toContain("CONFLICT");
    // Different keys: nothing is left to ask.
    await succeed(resolveWith(world, []));
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: "their-password", NEW: "2" });
  });

  test("goes by the markers once the index has forgotten the versions", async () => {
    const world = await conflicted();
    world.git(["add", file]);
    await succeed(resolveWith(world, [file, "--theirs", "PASSWORD"]));
    expect(await valuesIn(world)).toMatchObject({ PASSWORD: "their-password", OURS: "2", THEIRS: "1" });
  });

  test("merges for recipients that the other side brought, once seal.yaml is merged", async () => {
    const world = await gitWorld();
    const { stderr: said } = await succeed(world.run(["keygen", "-o", "../home/new.agekey"]));
    const [recipient = ""] = /age1[0-9a-z]+/.exec(said + readFileSync(join(world.home, "new.agekey"), "utf8")) ?? [];
    world.git(["checkout", "-q", "-b", "theirs"]);
    const listed = world.read("seal.yaml").replace(/( {2}prod:\n(?:.*\n){2})/, `$1        - ${recipient}\n`);
    expect(listed).toContain(recipient);
    world.write("seal.yaml", listed);
    await succeed(world.run(["bind", file]));
    world.git(["commit", "-qam", "theirs"]);
    world.git(["checkout", "-q", "main"]);
    await succeed(world.run(["set", file, "NEW"], { stdin: "2" }));
    world.git(["commit", "-qam", "ours"]);
    expect(world.git(["merge", "theirs"], 1)).toContain("(recipient-foreign) (merge-conflict)");
    await succeed(resolveWith(world, []));
    expect(await valuesIn(world)).toMatchObject({ NEW: "2" });
    expect((await succeed(world.run(["explain", file]))).stdout).toContain(recipient);
    expect((await world.run(["check"])).code).toBe(0);
  });

  test("says what is to do where one side removed the file, or a person has resolved it", async () => {
    const world = await gitWorld();
    world.git(["checkout", "-q", "-b", "theirs"]);
    world.git(["rm", "-q", file]);
    world.git(["commit", "-qm", "removed"]);
    world.git(["checkout", "-q", "main"]);
    await succeed(world.run(["set", file, "NEW"], { stdin: "2" }));
    world.git(["commit", "-qam", "ours"]);
    world.git(["merge", "theirs"], 1);
    const { code, stderr } = await resolveWith(world, [file]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("theirs removed it (merge-conflict)")]);
    expect(stderr).toContain("git rm");

    const other = await conflicted();
    other.write(file, sidesOf(other.read(file))?.ours ?? "");
    expect((await resolveWith(other, [file])).stderr).toContain("it seems to be resolved");
    other.write(file, "<<<<<<< ours\nx\n");
    other.git(["add", file]);
    const broken = await resolveWith(other, [file]);
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringContaining("do not pair up")]);
    other.git(["reset", "-q", "--hard"]);
    expect((await resolveWith(other, [])).stderr).toContain("nothing to resolve");
    expect((await resolveWith(other, [file])).code).toBe(2);
  });

  test("prints no plaintext on the way, whatever is in the values", async () => {
    const world = await conflicted();
    const outcomes = [await resolveWith(world, []), await resolveWith(world, ["--take", "ours"])];
    for (const { stdout, stderr } of outcomes) expect(stdout + stderr).not.toContain(canary);
  });
});
