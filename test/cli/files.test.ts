// Writing files: whole or not at all, and nothing left behind.
import { EventEmitter } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeFiles } from "../../cli/files.ts";
import { nodeIo } from "../../cli/io.ts";
import { gitdir } from "./gitdir.ts";

const files = nodeFiles();
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("write()", () => {
  test("keeps the mode of the file it replaces and leaves no temporary file", async () => {
    const dir = gitdir({ "a.yaml": "old" });
    const file = join(dir.path, "a.yaml");
    chmodSync(file, 0o640);
    await files.write(file, "new");
    expect([readFileSync(file, "utf8"), mode(file)]).toEqual(["new", "640"]);
    expect(readdirSync(dir.path).sort()).toEqual([".git", "a.yaml"]);
  });

  test("gives plaintext the mode 0600 even where the file was open to all", async () => {
    const dir = gitdir({ "a.yaml": "old" });
    chmodSync(join(dir.path, "a.yaml"), 0o666);
    await files.write(join(dir.path, "a.yaml"), "new", { plaintext: true });
    expect(mode(join(dir.path, "a.yaml"))).toBe("600");
  });

  test("writes through a symbolic link instead of replacing it", async () => {
    const dir = gitdir({ "real.yaml": "old" });
    symlinkSync("real.yaml", join(dir.path, "link.yaml"));
    await files.write(join(dir.path, "link.yaml"), "new");
    expect(dir.read("real.yaml")).toBe("new");
    expect(readdirSync(dir.path).sort()).toEqual([".git", "link.yaml", "real.yaml"]);
  });

  test("leaves nothing behind when the target cannot be replaced", async () => {
    const dir = gitdir();
    mkdirSync(join(dir.path, "folder"));
    await expect(files.write(join(dir.path, "folder"), "new")).rejects.toMatchObject({ code: "file-unreadable" });
    expect(readdirSync(dir.path).sort()).toEqual([".git", "folder"]);
  });

  test("names the missing folder", async () => {
    const dir = gitdir();
    await expect(files.write(join(dir.path, "none/a.yaml"), "new")).rejects.toMatchObject({ code: "file-missing" });
  });
});

describe("replace()", () => {
  const change = { expected: "old", data: "new" };

  test("writes only over what is expected, through a link too, and leaves no lock", async () => {
    const dir = gitdir({ "a.yaml": "old" });
    symlinkSync("a.yaml", join(dir.path, "link.yaml"));
    expect(await files.replace(join(dir.path, "link.yaml"), change)).toBe(true);
    expect(await files.replace(join(dir.path, "a.yaml"), change)).toBe(false);
    expect(dir.read("a.yaml")).toBe("new");
    expect(readdirSync(dir.path).sort()).toEqual([".git", "a.yaml", "link.yaml"]);
  });

  test("of many at once exactly one succeeds", async () => {
    const dir = gitdir({ "a.yaml": "old" });
    const file = join(dir.path, "a.yaml");
    const written = await Promise.all(
      Array.from({ length: 20 }, (_, data) => files.replace(file, { expected: "old", data: `${data}` })),
    );
    expect(written.filter(Boolean)).toHaveLength(1);
    expect(written[Number(dir.read("a.yaml"))]).toBe(true);
    expect(readdirSync(dir.path).sort()).toEqual([".git", "a.yaml"]);
  });

  test("waits for another's turn to end, and then sees what it wrote", async () => {
    const dir = gitdir({ "a.yaml": "old", ".a.yaml.lock": "theirs" });
    const writing = files.replace(join(dir.path, "a.yaml"), change);
    await files.write(join(dir.path, "a.yaml"), "their change");
    await files.remove(join(dir.path, ".a.yaml.lock"));
    expect([await writing, dir.read("a.yaml")]).toEqual([false, "their change"]);
  });

  test("takes away the lock of a process that was killed", async () => {
    const dir = gitdir({ "a.yaml": "old", ".a.yaml.lock": "left behind" });
    const file = join(dir.path, "a.yaml");
    const hasty = nodeFiles({ patience: 30 });
    const written = await Promise.all([hasty.replace(file, change), hasty.replace(file, change)]);
    expect(written.sort()).toEqual([false, true]);
    expect(readdirSync(dir.path).sort()).toEqual([".git", "a.yaml"]);
  });

  test.each([
    ["a link to nowhere", (lock: string) => symlinkSync("nowhere", lock)],
    ["a link to a device without end", (lock: string) => symlinkSync("/dev/zero", lock)],
    ["a large file", (lock: string) => writeFileSync(lock, "x".repeat(1000))],
  ])("takes away %s in place of the lock", async (_, place) => {
    const dir = gitdir({ "a.yaml": "old" });
    place(join(dir.path, ".a.yaml.lock"));
    expect(await nodeFiles({ patience: 30 }).replace(join(dir.path, "a.yaml"), change)).toBe(true);
    expect(readdirSync(dir.path).sort()).toEqual([".git", "a.yaml"]);
  });

  test("names a folder in place of the lock", async () => {
    const dir = gitdir({ "a.yaml": "old", ".a.yaml.lock/keep": "kept" });
    await expect(files.replace(join(dir.path, "a.yaml"), change)).rejects.toMatchObject({
      code: "file-unwritable",
      message: expect.stringContaining('.a.yaml.lock" is a folder'),
    });
    expect([dir.read("a.yaml"), dir.read(".a.yaml.lock/keep")]).toEqual(["old", "kept"]);
  });

  test("does not write once its own lock was taken away, and leaves the new one alone", async () => {
    const dir = gitdir({ "a.yaml": "old" });
    const lock = join(dir.path, ".a.yaml.lock");
    const taking = nodeFiles({
      shield: async (work) => {
        const outcome = work();
        while (!(existsSync(lock) && readFileSync(lock, "utf8") !== "")) await new Promise(setImmediate);
        writeFileSync(lock, "another's");
        return outcome;
      },
    });
    expect(await taking.replace(join(dir.path, "a.yaml"), change)).toBe(false);
    expect([dir.read("a.yaml"), dir.read(".a.yaml.lock")]).toEqual(["old", "another's"]);
    expect(readdirSync(dir.path).sort()).toEqual([".a.yaml.lock", ".git", "a.yaml"]);
  });
});

test("a signal during a write comes into effect after it", async () => {
  const dir = gitdir({ "a.yaml": "old" });
  const process = Object.assign(new EventEmitter(), {
    pid: 42,
    kill: (...killed: unknown[]) => killedAt.push([...killed, dir.read("a.yaml")]),
    stdin: {},
    stdout: new EventEmitter(),
    stderr: new EventEmitter(),
    cwd: () => dir.path,
  });
  const killedAt: unknown[] = [];
  const { fs, onSignal } = nodeIo(process as unknown as NodeJS.Process);
  const signalled = async (writing: Promise<unknown>): Promise<void> => {
    process.emit("SIGTERM", "SIGTERM");
    await writing;
  };
  await signalled(fs.write(join(dir.path, "a.yaml"), "one"));
  await signalled(fs.create(join(dir.path, "b.yaml"), "three"));
  expect(killedAt).toEqual(["one", "one"].map((text) => [42, "SIGTERM", text]));
  expect(readdirSync(dir.path).sort()).toEqual([".git", "a.yaml", "b.yaml"]);
  expect(process.listenerCount("SIGTERM")).toBe(0);
  // A command that listens itself has heard it.
  let heard = 0;
  onSignal(() => heard++);
  await signalled(fs.write(join(dir.path, "a.yaml"), "four"));
  expect([heard, killedAt.length]).toEqual([1, 2]);
});

test("create() never replaces, and only the owner can read what it makes", async () => {
  const dir = gitdir();
  const file = join(dir.home, "keys/a.agekey");
  await files.create(file, "one");
  expect([mode(file), mode(join(dir.home, "keys"))]).toEqual(["600", "700"]);
  await expect(files.create(file, "two")).rejects.toMatchObject({ code: "file-exists" });
  expect(readFileSync(file, "utf8")).toBe("one");
});

test("realPath() takes a new file in an existing folder, and refuses a dangling link", async () => {
  const dir = gitdir();
  expect(await files.realPath(join(dir.path, "new.yaml"))).toBe(join(dir.path, "new.yaml"));
  symlinkSync("nowhere.yaml", join(dir.path, "link.yaml"));
  await expect(files.realPath(join(dir.path, "link.yaml"))).rejects.toMatchObject({ code: "file-missing" });
});

test("wipeFolder() has nothing to do where the folder is gone, and removes one that may not be listed", async () => {
  const dir = gitdir();
  await files.wipeFolder(join(dir.runtime, "none"));
  mkdirSync(join(dir.runtime, "closed/sub"), { recursive: true });
  chmodSync(join(dir.runtime, "closed"), 0);
  await files.wipeFolder(join(dir.runtime, "closed"));
  expect(readdirSync(dir.runtime)).toEqual([]);
});

test("wipeFolder() removes everything, folders and links in it included, and does not follow a link", async () => {
  const dir = gitdir({ "keep.txt": "kept" });
  const folder = (await files.privateFolder(dir.runtime)) ?? "";
  expect(mode(folder)).toBe("700");
  mkdirSync(join(folder, "sub"));
  await files.create(join(folder, "sub/a"), "plaintext");
  symlinkSync(join(dir.path, "keep.txt"), join(folder, "link"));
  await files.wipeFolder(folder);
  expect(readdirSync(dir.runtime)).toEqual([]);
  expect(dir.read("keep.txt")).toBe("kept");
});
