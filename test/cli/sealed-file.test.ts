// The commands that take a sealed file: decrypt, edit, set, bind, wrap. Each changes what it says and nothing else.
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { canary, editor, type GitDir, gitdir, manifest, sealedRepository, succeed } from "./gitdir.ts";

const prod = "deploy/prod/db.sealed.yaml";

/** Lines of `after` that `before` does not have. */
const changedLines = (before: string, after: string): string[] => {
  const known = new Set(before.split("\n"));
  return after.split("\n").filter((line) => !known.has(line));
};

const openedText = async (dir: GitDir, file = prod): Promise<string> =>
  (await succeed(dir.run(["decrypt", file]))).stdout;

describe("decrypt", () => {
  test("prints the manifest as it was, with the claims and without the sops block", async () => {
    const dir = await sealedRepository();
    const text = await openedText(dir);
    expect(text).toContain(
      `  # who to ask: the database team\n  PASSWORD: ${canary}\n  URL: "postgres://db/${canary}"\n`,
    );
    expect(text).not.toMatch(/sops|sealward\.dev\/binding|ENC\[/);
  });

  test("-o writes for the owner only, never over a file without --force, and warns inside a work tree", async () => {
    const dir = await sealedRepository();
    expect((await succeed(dir.run(["decrypt", prod, "-o", "db.plain.yaml"]))).stderr).toBe(
      `wrote db.plain.yaml: the plaintext of ${prod}\n`,
    );
    expect(statSync(join(dir.path, "db.plain.yaml")).mode & 0o777).toBe(0o600);
    expect((await dir.run(["decrypt", prod, "-o", "db.plain.yaml"])).code).toBe(6);
    await succeed(dir.run(["decrypt", prod, "-o", "db.plain.yaml", "--force"]));
    expect((await succeed(dir.run(["decrypt", prod, "-o", "x.yaml"]))).stderr).toContain(
      "plaintext inside a Git work tree",
    );
    expect((await dir.run(["decrypt", prod, "-o", prod, "--force"])).code).toBe(2);
  });

  test("reads stdin under the seal.yaml of the working folder", async () => {
    const dir = await sealedRepository();
    expect((await succeed(dir.run(["decrypt"], { stdin: dir.read(prod) }))).stdout).toContain(canary);
    expect((await dir.run(["decrypt", "--env", "staging"], { stdin: dir.read(prod) })).stderr).toContain(
      "(environment-mismatch)",
    );
  });

  test("with no seal.yaml opens as sops does and says that no environment was confirmed", async () => {
    const dir = await sealedRepository();
    const elsewhere = gitdir({ "db.yaml": dir.read(prod) });
    const env = { SOPS_AGE_KEY_FILE: join(dir.home, ".config/sealward/repo/prod.agekey") };
    const { stdout, stderr } = await succeed(elsewhere.run(["decrypt", "db.yaml"], { env }));
    expect(stdout).toContain(canary);
    expect(stderr).toContain("no environment was confirmed");
    const asked = await elsewhere.run(["decrypt", "db.yaml", "--env", "prod"], { env });
    expect([asked.code, asked.stdout]).toEqual([4, ""]);
  });
});

describe("edit", () => {
  test("changes only the lines of changed values and what follows from them, and leaves no plaintext behind", async () => {
    const dir = await sealedRepository();
    const before = dir.read(prod);
    const program = editor(dir, `return text.replace("PASSWORD: ${canary}", "PASSWORD: changed");`);
    const { stdout, stderr } = await succeed(dir.run(["edit", prod], { env: { SEAL_EDITOR: program } }));
    expect(stdout).toBe("");
    expect(stderr).toContain(`sealed ${prod}: changed PASSWORD\n`);
    const names = changedLines(before, dir.read(prod)).map((line) => line.trim().split(":")[0]);
    expect(names.filter((name) => !["PASSWORD", "lastmodified", "mac"].includes(name ?? ""))).toEqual([]);
    expect(await openedText(dir)).toContain("PASSWORD: changed");
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("says which keys were added, changed and removed, and what else", async () => {
    const dir = await sealedRepository();
    const told = async (body: string): Promise<string> =>
      (await succeed(dir.run(["edit", prod], { env: { EDITOR: editor(dir, body) } }))).stderr;
    expect(
      await told('return text.replace(/ {2}URL.*\\n/, "  TOKEN: t\\n").replace("PASSWORD: ", "PASSWORD: x");'),
    ).toBe(`sealed ${prod}: changed PASSWORD; added TOKEN; removed URL\n`);
    expect(await told('return text.replace("metadata:", "metadata:\\n  labels: {a: b}");')).toBe(
      `sealed ${prod}: changed the metadata\n`,
    );
    expect(await told('return text.replace("who to ask", "whom to ask");')).toBe(
      `sealed ${prod}: changed comments or layout\n`,
    );
  });

  test("nothing changed: the file is untouched", async () => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const { stderr } = await succeed(dir.run(["edit", prod], { env: { EDITOR: editor(dir, "return text;") } }));
    expect(stderr).toBe(`nothing changed: ${prod}\n`);
    expect(dir.snapshot()).toEqual(before);
  });

  test("the file to edit is the owner's alone, outside the work tree", async () => {
    const dir = await sealedRepository();
    const report = join(dir.home, "report");
    const program = editor(
      dir,
      `const fs = require("node:fs"), path = require("node:path");
       const mode = (p) => (fs.statSync(p).mode & 0o777).toString(8);
       fs.writeFileSync(${JSON.stringify(report)}, [path.dirname(path.dirname(file)), mode(file), mode(path.dirname(file))].join(" "));`,
    );
    await succeed(dir.run(["edit", prod], { env: { VISUAL: program } }));
    expect((await import("node:fs")).readFileSync(report, "utf8")).toBe(`${dir.runtime} 600 700`);
  });

  test("a mistake without a terminal fails and touches nothing", async () => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const program = editor(dir, 'return text.replace("stringData:", "stringData: [");');
    const { code, stderr } = await dir.run(["edit", prod], { env: { SEAL_EDITOR: program } });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^error: .*:\d+:\d+: /);
    expect(stderr).toContain("hint: correct the YAML at the place named\n");
    expect(stderr).toContain(`hint: ${prod} was not changed, and the line is one of the edited text\n`);
    expect(stderr).not.toContain(canary);
    expect(dir.snapshot()).toEqual(before);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("a mistake at a terminal is shown and can be corrected in the text as it was left", async () => {
    const dir = await sealedRepository();
    const program = editor(
      dir,
      'return text.includes("stringData: [") ? text.replace("stringData: [", "stringData:").replace("PASSWORD: canary", "PASSWORD: second-canary") : text.replace("stringData:", "stringData: [");',
    );
    const { stderr } = await succeed(
      dir.run(["edit", prod], { env: { SEAL_EDITOR: program }, isTty: true, answers: ["y"] }),
    );
    expect(stderr).toContain("error:");
    expect(await openedText(dir)).toContain("PASSWORD: second-canary");
  });

  test("giving up at a terminal is 130 and touches nothing", async () => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const program = editor(dir, 'return text.replace("stringData:", "stringData: [");');
    const { code } = await dir.run(["edit", prod], { env: { SEAL_EDITOR: program }, isTty: true, answers: ["n"] });
    expect([code, dir.snapshot()]).toEqual([130, before]);
  });

  test("a file that changed meanwhile is not overwritten", async () => {
    const dir = await sealedRepository();
    const other = join(dir.path, prod);
    const program = editor(
      dir,
      `require("node:fs").appendFileSync(${JSON.stringify(other)}, "# theirs\\n"); return text.replace("PASSWORD: ", "PASSWORD: x");`,
    );
    const { code, stderr } = await dir.run(["edit", prod], { env: { SEAL_EDITOR: program } });
    expect([code, stderr]).toEqual([6, expect.stringContaining("someone changed it")]);
    expect(dir.read(prod)).toContain("# theirs");
  });

  test.each([
    ["an editor that fails", "process.exit(3)"],
    [
      "an editor that removes the folder",
      'require("node:fs").rmSync(require("node:path").dirname(file), { recursive: true });',
    ],
    ["an editor that leaves a folder", 'require("node:fs").rmSync(file); require("node:fs").mkdirSync(file);'],
    ["an editor that is not there", null],
  ])("%s leaves everything as it was", async (_, body) => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const { code, stderr } = await dir.run(["edit", prod], {
      env: { SEAL_EDITOR: body === null ? "/no/such/editor" : editor(dir, body) },
    });
    expect([code, stderr]).toEqual([6, expect.stringContaining("(editor-failed)")]);
    expect(stderr).toContain("hint: nothing was changed; ");
    expect(dir.snapshot()).toEqual(before);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test.each([
    ["an empty word", "''", "SEAL_EDITOR"],
    ["more words than the system takes", `a ${"b".repeat(3_000_000)}`, "could not be started"],
  ])("%s as the editor is told as that", async (_, program, message) => {
    const dir = await sealedRepository();
    const { code, stderr } = await dir.run(["edit", prod], { env: { SEAL_EDITOR: program } });
    expect([code, stderr]).toEqual([6, expect.stringContaining("(editor-failed)")]);
    expect(stderr).toContain(message);
    expect(readdirSync(dir.runtime)).toEqual([]);
  });

  test("without an editor and without a terminal nothing is opened", async () => {
    const dir = await sealedRepository();
    expect((await dir.run(["edit", prod])).stderr).toContain("SEAL_EDITOR");
  });
});

describe("set", () => {
  test("sets a value from stdin byte for byte, with a note on a line break at the end", async () => {
    const dir = await sealedRepository();
    const before = dir.read(prod);
    const { stderr } = await succeed(dir.run(["set", prod, "PASSWORD"], { stdin: "new\n" }));
    expect(stderr).toContain("--trim");
    expect(stderr).toContain(`sealed ${prod}: changed PASSWORD\n`);
    expect(await openedText(dir)).toMatch(/PASSWORD: (\|\n {4}new\n|"new\\n")/);
    const names = changedLines(before, dir.read(prod)).map((line) => line.trim().split(":")[0]);
    expect(names.filter((name) => !["PASSWORD", "lastmodified", "mac"].includes(name ?? ""))).toEqual([]);
  });

  test("--trim drops one line break, --from-file reads a file, and a new key may be set", async () => {
    const dir = await sealedRepository();
    await succeed(dir.run(["set", prod, "PASSWORD", "--trim"], { stdin: "new\r\n" }));
    dir.write("../value", "token\n");
    const { stderr } = await succeed(dir.run(["set", prod, "TOKEN", "--from-file", "../value", "--trim"]));
    expect(stderr).toBe(`sealed ${prod}: added TOKEN (new; the file has PASSWORD, URL)\n`);
    const text = await openedText(dir);
    expect(text).toContain("PASSWORD: new\n");
    expect(text).toContain("TOKEN: token\n");
  });

  test.each([["stringData.PASSWORD"], ["data.PASSWORD"]])("%s is taken for PASSWORD, which is there", async (key) => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const { code, stderr } = await dir.run(["set", prod, key], { stdin: "new" });
    expect([code, stderr]).toEqual([2, expect.stringContaining(`hint: \`seal set ${prod} PASSWORD\``)]);
    expect(dir.snapshot()).toEqual(before);
    await succeed(dir.run(["set", prod, "data.json"], { stdin: "{}" }));
    expect((await succeed(dir.run(["set", prod, "data.json"], { stdin: "new" }))).stderr).toContain(
      "changed data.json",
    );
  });

  test("the same value again changes nothing", async () => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    expect((await succeed(dir.run(["set", prod, "PASSWORD"], { stdin: canary }))).stderr).toContain("nothing changed");
    expect(dir.snapshot()).toEqual(before);
  });

  test.each([
    ["an empty value, unless allowed", [prod, "PASSWORD"], "", "--allow-empty"],
    ["KEY=VALUE, without repeating it", [prod, `PASSWORD=${canary}`], "x", "KEY may hold only"],
    ["stdin as the file", ["-", "PASSWORD"], "x", "in place"],
  ])("refuses %s", async (_, argv, stdin, message) => {
    const dir = await sealedRepository();
    const before = dir.snapshot();
    const { code, stderr } = await dir.run(["set", ...argv], { stdin });
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(stderr).not.toContain(canary);
    expect(dir.snapshot()).toEqual(before);
  });

  test("refuses a terminal, which would show the value", async () => {
    const dir = await sealedRepository();
    expect((await dir.run(["set", prod, "PASSWORD"], { isTty: true })).stderr).toContain("terminal");
  });
});

describe("bind", () => {
  test("binds a file anew after a change that SOPS does not see, and says what changed", async () => {
    const dir = await sealedRepository();
    const stdin = manifest({ annotations: "  labels:\n    team: shop\n" });
    await succeed(dir.run(["--env", "prod", "-o", prod], { stdin }));
    // The MAC is over values alone, so a renamed label keeps it.
    dir.write(prod, dir.read(prod).replace("team: shop", "app: shop"));
    const before = await dir.run(["decrypt", prod]);
    expect([before.code, before.stderr]).toEqual([1, expect.stringContaining("(binding-mismatch)")]);
    expect(before.stderr).toContain(`seal bind ${prod}`);
    const { stderr } = await succeed(dir.run(["bind", prod]));
    expect(stderr).toContain(`bound payments/db to prod (strict): ${prod}`);
    expect(await openedText(dir)).toContain("app: shop");
  });

  test("-o leaves the file itself alone", async () => {
    const dir = await sealedRepository();
    const before = dir.read(prod);
    await succeed(dir.run(["bind", prod, "-o", "deploy/prod/again.sealed.yaml"]));
    expect(dir.read(prod)).toBe(before);
    expect(await openedText(dir, "deploy/prod/again.sealed.yaml")).toContain(canary);
  });
});

test("bind leaves an unbound file of another environment alone, also for someone who can open both", async () => {
  const dir = await sealedRepository();
  // As sops would write it for prod, and as someone who can write the repository would place it.
  const unbound = dir
    .read(prod)
    .replace(/^ {4}sealward\.dev\/(binding|environment|scope): .*\n/gm, "")
    .replace(" annotations:\n", " annotations: {}\n")
    .replace("|sealward\\.dev/binding)", ")");
  expect(unbound).not.toContain("sealward.dev");
  const moved = "deploy/staging/moved.sealed.yaml";
  dir.write(moved, unbound);
  const keys = join(dir.home, ".config/sealward/repo");
  const both = ["prod", "staging"].flatMap((name) => ["--identity", join(keys, `${name}.agekey`)]);
  const { code, stderr } = await dir.run(["bind", moved, ...both]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("(recipient-foreign)")]);
  expect(dir.read(moved)).toBe(unbound);
});

describe("wrap", () => {
  test("needs no key and gives the same text every time", async () => {
    const dir = await sealedRepository();
    const env = { XDG_CONFIG_HOME: join(dir.home, "none") };
    const [one, two] = [
      await succeed(dir.run(["wrap", prod], { env })),
      await succeed(dir.run(["wrap", prod], { env })),
    ];
    expect(one.stdout).toBe(two.stdout);
    expect(one.stdout).toContain("apiVersion: sealward.dev/v1alpha1\nkind: BoundSecret\n");
    expect((await succeed(dir.run(["wrap"], { env, stdin: one.stdout }))).stdout).toBe(one.stdout);
  });

  test("refuses a manifest that is not sealed", async () => {
    const dir = await sealedRepository();
    const { code, stderr } = await dir.run(["wrap"], { stdin: manifest() });
    expect([code, stderr]).toEqual([3, expect.stringContaining("(not-sealed)")]);
  });
});

describe("several at once", () => {
  test("every value that set says it sealed is in the file", async () => {
    const dir = await sealedRepository();
    const keys = Array.from({ length: 8 }, (_, index) => `K${index}`);
    const outcomes = await Promise.all(keys.map((key) => dir.run(["set", prod, key], { stdin: `of ${key}` })));
    expect(outcomes.map(({ code }) => code)).toEqual(keys.map(() => 0));
    const text = await openedText(dir);
    for (const key of keys) expect(text).toContain(`${key}: of ${key}\n`);
    expect(readdirSync(join(dir.path, "deploy/prod"))).toEqual(["db.sealed.yaml"]);
  });

  // The file changes while the identity is read, which is after the file was.
  const meanwhile = (dir: GitDir, file: string): { file: string; change: Promise<void> } => {
    const pipe = join(dir.home, "identity");
    spawnSync("sh", ["-c", 'mkfifo "$0"', pipe]);
    const change = (async () => {
      const handle = await open(pipe, "w");
      dir.write(file, `${dir.read(file)}# theirs\n`);
      await handle.writeFile(readFileSync(join(dir.home, ".config/sealward/repo/prod.agekey")));
      await handle.close();
    })();
    return { file: pipe, change };
  };

  test("bind does not undo what someone wrote meanwhile", async () => {
    const dir = await sealedRepository();
    await succeed(
      dir.run(["--env", "prod", "-o", prod], { stdin: manifest({ annotations: "  labels:\n    team: a\n" }) }),
    );
    dir.write(prod, dir.read(prod).replace("team: a", "app: a"));
    const { file, change } = meanwhile(dir, prod);
    const [{ code, stderr }] = await Promise.all([dir.run(["bind", prod, "--identity", file]), change]);
    expect([code, stderr]).toEqual([6, expect.stringContaining("someone changed it meanwhile")]);
    expect(stderr).toContain("hint: run the command again");
    expect(dir.read(prod)).toMatch(/# theirs\n$/);
  });

  test("set starts again from what someone wrote meanwhile", async () => {
    const dir = await sealedRepository();
    const { file, change } = meanwhile(dir, prod);
    await Promise.all([succeed(dir.run(["set", prod, "URL", "--identity", file], { stdin: "new" })), change]);
    expect(dir.read(prod)).toMatch(/# theirs\n$/);
    expect(await openedText(dir)).toContain('URL: "new"\n');
  });
});

test.each([
  ["set", ["set"], ["PASSWORD"]],
  ["edit", ["edit"], []],
  ["bind", ["bind"], []],
  ["encrypt -i", ["encrypt", "-i"], []],
])("%s refuses a pipe, which it would replace by a file", async (_, command, more) => {
  const dir = await sealedRepository();
  const pipe = join(dir.path, "deploy/prod/pipe.yaml");
  spawnSync("sh", ["-c", 'mkfifo "$0"', pipe]);
  dir.write("given", command[0] === "encrypt" ? manifest() : dir.read(prod));
  const writer = spawn("sh", ["-c", 'exec cat "$0" > "$1"', join(dir.path, "given"), pipe]);
  try {
    const env = { EDITOR: editor(dir, 'return text.replace("PASSWORD: ", "PASSWORD: x");') };
    const { code, stderr } = await dir.run([...command, "deploy/prod/pipe.yaml", ...more], { stdin: "new", env });
    expect([code, stderr]).toEqual([2, expect.stringContaining("in place")]);
    expect(statSync(pipe).isFIFO()).toBe(true);
  } finally {
    writer.kill();
  }
});

describe("a BoundSecret file is taken wherever a sealed file is", () => {
  const bound = "deploy/prod/db.bound.yaml";
  const boundRepository = async (): Promise<GitDir> => {
    const dir = await sealedRepository();
    const { stderr } = await succeed(dir.run(["wrap", prod, "-o", bound]));
    expect(stderr).toBe(`wrote ${bound}: the BoundSecret that carries ${prod}\n`);
    dir.write(bound, `# kept\n${dir.read(bound)}`);
    return dir;
  };

  test("decrypt, set, edit, bind and check open it and keep what is around the document", async () => {
    const dir = await boundRepository();
    expect(await openedText(dir, bound)).toContain(canary);
    await succeed(dir.run(["set", bound, "PASSWORD"], { stdin: "from-set" }));
    expect(await openedText(dir, bound)).toContain("PASSWORD: from-set");
    await succeed(
      dir.run(["edit", bound], { env: { EDITOR: editor(dir, 'return text.replace("from-set", "from-edit");') } }),
    );
    expect(await openedText(dir, bound)).toContain("PASSWORD: from-edit");
    await succeed(dir.run(["bind", bound]));
    expect(dir.read(bound)).toMatch(/^# kept\napiVersion: sealward.dev\/v1alpha1\nkind: BoundSecret\n/);
    await succeed(dir.run(["check", bound]));
  });

  test("under another name it is refused, as the cluster would", async () => {
    const dir = await boundRepository();
    dir.write(bound, dir.read(bound).replace(/^ {2}name: .*$/m, "  name: other"));
    const { code, stderr } = await dir.run(["decrypt", bound]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("(target-mismatch)")]);
  });
});

test("only where the command has --force its hint names it", async () => {
  const dir = await sealedRepository();
  dir.write("deploy/prod/other.yaml", "a: 1\n");
  for (const [command, isThere] of [
    ["bind", false],
    ["wrap", true],
    ["decrypt", true],
  ] as const) {
    const { code, stderr } = await dir.run([command, prod, "-o", "deploy/prod/other.yaml"]);
    expect([code, stderr.includes("(file-exists)"), stderr.includes("--force")]).toEqual([6, true, isThere]);
  }
});

test.each([["decrypt"], ["edit"], ["wrap"], ["set"]])(
  "%s of a plain file shows a command that seals it",
  async (command) => {
    const dir = await sealedRepository();
    dir.write("my db.yaml", manifest({ name: "new" }));
    const { code, stderr } = await dir.run([command, "my db.yaml", ...(command === "set" ? ["KEY"] : [])]);
    expect([code, stderr]).toEqual([3, expect.stringContaining("(not-sealed)")]);
    expect(stderr).toContain("hint: seal it: `seal encrypt 'my db.yaml' --env NAME -o 'NAME/my db.sealed.yaml'`\n");
    dir.write("prod/README", "");
    await succeed(dir.run(["encrypt", "my db.yaml", "--env", "prod", "-o", "prod/my db.sealed.yaml"]));
  },
);
