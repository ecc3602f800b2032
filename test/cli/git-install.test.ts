import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withBlock } from "../../cli/marked-block.ts";
import { gitWorld } from "./git-world.ts";
import { gitdir, sealedRepository, succeed } from "./gitdir.ts";

const hook = ".git/hooks/pre-commit";
const line = "seal check --staged || exit $?";

describe("git install", () => {
  test("sets merge driver, textconv, attributes and hooks up, says so, and does nothing the second time", async () => {
    const world = await gitWorld({ hooks: true });
    expect(world.git(["config", "--get-regexp", "^(merge|diff)\\.seal\\."]).split("\n").sort().filter(Boolean)).toEqual(
      [
        "diff.seal.cachetextconv false",
        "diff.seal.textconv seal git textconv --",
        "merge.seal.driver seal git merge -- %O %A %B %L %P",
        "merge.seal.name sealed files by key",
        "merge.seal.recursive binary",
      ],
    );
    expect(
      world.git(["check-attr", "merge", "diff", "--", "deploy/prod/db.sealed.yaml", "x/prod/app.env", "x.yaml"]),
    ).toBe(
      [
        "deploy/prod/db.sealed.yaml: merge: seal",
        "deploy/prod/db.sealed.yaml: diff: seal",
        "x/prod/app.env: merge: seal",
        "x/prod/app.env: diff: seal",
        "x.yaml: merge: unspecified",
        "x.yaml: diff: unspecified",
        "",
      ].join("\n"),
    );
    for (const name of [hook, ".git/hooks/pre-merge-commit"]) {
      expect(world.read(name)).toContain(`\n${line}\n`);
      expect(statSync(join(world.path, name)).mode & 0o111).toBe(0o111);
    }
    const before = world.snapshot();
    const { stderr } = await succeed(world.run(["git", "install"]));
    expect(stderr).not.toContain("wrote");
    expect(world.snapshot()).toEqual(before);
  });

  test("--remove takes out what was put in, and nothing else", async () => {
    const dir = await sealedRepository();
    dir.write(".gitattributes", "*.png binary\n");
    dir.write(hook, "#!/bin/bash\necho mine\n");
    chmodSync(join(dir.path, hook), 0o750);
    const before = { ...dir.snapshot(), hook: dir.read(hook), config: dir.read(".git/config") };
    await succeed(dir.run(["git", "install"]));
    expect(dir.read(hook)).toMatch(
      /^#!\/bin\/bash\n# >>> sealward.*\nseal check --staged \|\| exit \$\?\n# <<< sealward\necho mine\n$/,
    );
    expect(statSync(join(dir.path, hook)).mode & 0o777).toBe(0o751);
    await succeed(dir.run(["git", "install", "--remove"]));
    expect({
      ...dir.snapshot(),
      hook: dir.read(hook),
      config: dir.read(".git/config").replace(/\[(?:merge|diff) "seal"\]\n/g, ""),
    }).toEqual(before);
    expect(dir.has(".git/hooks/pre-merge-commit")).toBe(false);
  });

  test("has Git start seal as it is told, and takes no script for a program", async () => {
    const dir = await sealedRepository();
    await succeed(dir.run(["git", "install", "--command", "npx --no-install seal"]));
    expect(dir.read(hook)).toContain("npx --no-install seal check --staged || exit $?");
    expect(dir.read(".git/config")).toContain("driver = npx --no-install seal git merge -- %O %A %B %L %P");
    for (const command of ["seal; rm -rf .", "seal $(x)", "seal\nx", "seal | tee", "'seal'", "seal %O #"])
      expect((await dir.run(["git", "install", "--command", command])).code, command).toBe(2);
  });

  test("leaves a hook alone that is no shell script, or that belongs to the repository", async () => {
    const dir = await sealedRepository();
    dir.write(hook, "#!/usr/bin/env python3\nprint()\n");
    const { code, stderr } = await dir.run(["git", "install"]);
    expect([code, stderr]).toEqual([6, expect.stringContaining("it is no shell script (git-failed)")]);
    expect(stderr).toContain("--no-hooks");
    expect(dir.read(hook)).toBe("#!/usr/bin/env python3\nprint()\n");

    const other = await sealedRepository();
    other.write(".husky/pre-commit", "npm test\n");
    writeFileSync(join(other.path, ".git/config"), `${other.read(".git/config")}[core]\n\thooksPath = .husky\n`);
    const said = await succeed(other.run(["git", "install"]));
    expect(said.stderr).toContain("belongs to the repository: add the line `seal check --staged`");
    expect(other.read(".husky/pre-commit")).toBe("npm test\n");
  });

  test("writes through no link that came with the repository", async () => {
    const dir = await sealedRepository();
    const outside = join(dir.home, "profile");
    writeFileSync(outside, "# mine\n");
    symlinkSync(outside, join(dir.path, ".gitattributes"));
    const { code, stderr } = await dir.run(["git", "install"]);
    expect([code, stderr]).toEqual([6, expect.stringContaining("it is a symbolic link (file-unwritable)")]);
    expect(readFileSync(outside, "utf8")).toBe("# mine\n");
    symlinkSync(join(dir.home, "nowhere"), join(dir.path, ".git/hooks/pre-commit"));
    expect((await dir.run(["git", "install"])).code).toBe(6);
  });

  test("works in a linked work tree and below the top of one", async () => {
    const world = await gitWorld();
    const tree = join(world.home, "linked");
    world.git(["worktree", "add", "-q", tree]);
    mkdirSync(join(world.path, "a/b"), { recursive: true });
    await succeed(world.run(["git", "install"], { cwd: "a/b" }));
    expect(world.read(hook)).toContain(line);
    const { code } = await world.run(["git", "install"], { cwd: "../home/linked" });
    expect(code).toBe(0);
    expect(readFileSync(join(tree, ".gitattributes"), "utf8")).toContain("*.sealed.* diff=seal merge=seal");
  });

  test("says where there is no work tree", async () => {
    const dir = gitdir();
    const { code, stderr } = await dir.run(["git", "install"], { cwd: "../home" });
    expect([code, stderr]).toEqual([6, expect.stringContaining("(git-failed)")]);
  });
});

describe("withBlock()", () => {
  test.each(["", "x\n", "x", "#!/bin/sh\n", "#!/bin/sh\r\nx\r\n", "a\n\n\n"])(
    "puts a block in, replaces it and takes it out of %j",
    (text) => {
      for (const place of [{}, { after: "first line" }] as const) {
        const one = withBlock(text, ["one"], place);
        expect(one).toContain(`one${text.includes("\r") ? "\r\n" : "\n"}`);
        expect(one.replace(/\r\n/g, "").includes("\n")).toBe(!text.includes("\r"));
        const two = withBlock(one, ["two", "$& $1"], place);
        expect(two).not.toContain("one");
        expect(two).toContain("$& $1");
        expect(withBlock(two, ["one"], place)).toBe(one);
        const whole = text === "" || text.endsWith("\n") ? text : `${text}\n`;
        expect(withBlock(one, null, place)).toBe(whole);
      }
      expect(withBlock(text, null)).toBe(text);
    },
  );
});
