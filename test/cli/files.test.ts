// Writing files: whole or not at all, and nothing left behind.
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeFiles } from "../../cli/files.ts";
import { gitdir } from "./gitdir.ts";

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("write()", () => {
  test("keeps the mode of the file it replaces and leaves no temporary file", async () => {
    const dir = gitdir({ "a.yaml": "old" });
    const file = join(dir.path, "a.yaml");
    chmodSync(file, 0o640);
    await nodeFiles.write(file, "new");
    expect([readFileSync(file, "utf8"), mode(file)]).toEqual(["new", "640"]);
    expect(readdirSync(dir.path).sort()).toEqual([".git", "a.yaml"]);
  });

  test("gives plaintext the mode 0600 even where the file was open to all", async () => {
    const dir = gitdir({ "a.yaml": "old" });
    chmodSync(join(dir.path, "a.yaml"), 0o666);
    await nodeFiles.write(join(dir.path, "a.yaml"), "new", { plaintext: true });
    expect(mode(join(dir.path, "a.yaml"))).toBe("600");
  });

  test("writes through a symbolic link instead of replacing it", async () => {
    const dir = gitdir({ "real.yaml": "old" });
    symlinkSync("real.yaml", join(dir.path, "link.yaml"));
    await nodeFiles.write(join(dir.path, "link.yaml"), "new");
    expect(dir.read("real.yaml")).toBe("new");
    expect(readdirSync(dir.path).sort()).toEqual([".git", "link.yaml", "real.yaml"]);
  });

  test("leaves nothing behind when the target cannot be replaced", async () => {
    const dir = gitdir();
    mkdirSync(join(dir.path, "folder"));
    await expect(nodeFiles.write(join(dir.path, "folder"), "new")).rejects.toMatchObject({ code: "file-unreadable" });
    expect(readdirSync(dir.path).sort()).toEqual([".git", "folder"]);
  });

  test("names the missing folder", async () => {
    const dir = gitdir();
    await expect(nodeFiles.write(join(dir.path, "none/a.yaml"), "new")).rejects.toMatchObject({ code: "file-missing" });
  });
});

test("create() never replaces, and only the owner can read what it makes", async () => {
  const dir = gitdir();
  const file = join(dir.home, "keys/a.agekey");
  await nodeFiles.create(file, "one");
  expect([mode(file), mode(join(dir.home, "keys"))]).toEqual(["600", "700"]);
  await expect(nodeFiles.create(file, "two")).rejects.toMatchObject({ code: "file-exists" });
  expect(readFileSync(file, "utf8")).toBe("one");
});

test("realPath() takes a new file in an existing folder, and refuses a dangling link", async () => {
  const dir = gitdir();
  expect(await nodeFiles.realPath(join(dir.path, "new.yaml"))).toBe(join(dir.path, "new.yaml"));
  symlinkSync("nowhere.yaml", join(dir.path, "link.yaml"));
  await expect(nodeFiles.realPath(join(dir.path, "link.yaml"))).rejects.toMatchObject({ code: "file-missing" });
});

test("wipeFolder() removes everything, folders and links in it included, and does not follow a link", async () => {
  const dir = gitdir({ "keep.txt": "kept" });
  const folder = (await nodeFiles.privateFolder(dir.runtime)) ?? "";
  expect(mode(folder)).toBe("700");
  mkdirSync(join(folder, "sub"));
  await nodeFiles.create(join(folder, "sub/a"), "plaintext");
  symlinkSync(join(dir.path, "keep.txt"), join(folder, "link"));
  await nodeFiles.wipeFolder(folder);
  expect(readdirSync(dir.runtime)).toEqual([]);
  expect(dir.read("keep.txt")).toBe("kept");
});
