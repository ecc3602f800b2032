// What is offered where the cursor is: by the function, by the program that a shell starts, and in a real bash, zsh and fish.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it, test } from "vitest";
import { complete, environmentsIn, keysIn, type Place } from "../../cli/complete.ts";
import { nodeIo } from "../../cli/io.ts";
import { createProgram } from "../../cli/program.ts";
import { referenceOf } from "../../cli/reference.ts";
import { type GitDir, sealedRepository, succeed } from "./gitdir.ts";

const table = referenceOf(createProgram(nodeIo(process), () => undefined));
const sealedText = "kind: Secret\nstringData:\n  PASSWORD: ENC[x]\n  URL: ENC[y]\nsops:\n  mac: x\n";
const files: Readonly<Record<string, string>> = {
  "deploy/db.sealed.yaml": sealedText,
  "deploy/plain.yaml": "a: 1\n",
  "deploy/bad\u001b[31m.yaml": sealedText,
  "deploy/.hidden.yaml": sealedText,
  "values.json": '{"a":"ENC[x]","sops":{}}',
};
const place: Place = {
  list: (folder) =>
    folder === ""
      ? ["deploy/", "values.json", ".git/"]
      : folder === "deploy/"
        ? Object.keys(files)
            .filter((name) => name.startsWith(folder))
            .map((name) => name.slice(folder.length))
        : [],
  read: (file) => files[file] ?? null,
  config: () => "version: 1\nenvironments:\n  staging:\n    paths: []\n  prod: # live\n    paths: []\nrecovery: {}\n",
};
const offered = (...words: string[]) => {
  const { candidates, kind } = complete(table, words, place);
  return { kind, names: candidates.map((one) => one.split("\t")[0]) };
};

describe("complete()", () => {
  it("offers commands, those of a group, and nothing that begins otherwise", () => {
    expect(offered("").names).toEqual(expect.arrayContaining(["check", "encrypt", "completion", "help"]));
    expect(offered("de")).toEqual({ kind: "words", names: ["decrypt"] });
    expect(offered("env", "")).toEqual({ kind: "words", names: ["manifest"] });
    expect(offered("deploy/x")).toEqual({ kind: "default", names: [] });
    expect(offered("completion", "z").names).toEqual(["zsh"]);
  });

  it("offers a command's flags with what they do, and the global ones; none that is hidden", () => {
    const flags = offered("check", "--").names;
    expect(flags).toEqual(expect.arrayContaining(["--env", "--output", "--yes", "--quiet", "--help"]));
    expect(offered("decrypt", "--out").names).toEqual(["--output-type", "--out"]);
    expect(complete(table, ["check", "--quiet"], place).candidates[0]).toMatch(/^--quiet\tprint no notes/);
  });

  it.each([
    [
      ["check", "--output", ""],
      ["text", "json", "sarif", "github"],
    ],
    [["check", "--output=j"], ["--output=json"]],
    [["check", "--output", "=", "j"], ["json"]],
    [
      ["check", "--output", "="],
      ["text", "json", "sarif", "github"],
    ],
    [
      ["encrypt", "--env", ""],
      ["staging", "prod"],
    ],
    [["encrypt", "--env=p"], ["--env=prod"]],
    [["--env", "p"], ["prod"]],
    [["--quiet", "che"], ["check"]],
    [["init", "--env", "a", "p"], ["prod"]],
    [
      ["env", "manifest", ""],
      ["staging", "prod"],
    ],
    [
      ["set", "deploy/db.sealed.yaml", ""],
      ["PASSWORD", "URL"],
    ],
    [["set", "--env", "prod", "deploy/db.sealed.yaml", "P"], ["PASSWORD"]],
    [["set", "none.yaml", ""], []],
  ])("%j: %j", (words, names) => expect(offered(...words)).toEqual({ kind: "words", names }));

  it("offers sealed files and folders where a command takes those, and any file elsewhere", () => {
    expect(offered("decrypt", "")).toEqual({ kind: "files", names: ["deploy/", "values.json"] });
    expect(offered("decrypt", "--env", "prod", "deploy/")).toEqual({ kind: "files", names: ["deploy/db.sealed.yaml"] });
    expect(offered("decrypt", "deploy/.h").names).toEqual(["deploy/.hidden.yaml"]);
    for (const words of [
      ["encrypt", "x"],
      ["explain", ""],
      ["keygen", "-o", ""],
      ["keygen", "--from", ""],
      ["decrypt", "nothing"],
    ])
      expect(offered(...words)).toEqual({ kind: "default", names: [] });
    expect(offered("exec", "--", "x").kind).toBe("default");
  });
});

test.each([
  ["no environments", "version: 1\n", []],
  ["CR LF", "environments:\r\n    prod:\r\n        paths:\r\n    dev:\r\n", ["prod", "dev"]],
  [
    "comments and quotes",
    "environments: # ours\n\n  # live\n  'prod':\n  \"dev\": {}\nnested:\n  - x\n",
    ["prod", "dev"],
  ],
  ["a name that is none", "environments:\n  $(rm):\n  ok:\n", ["ok"]],
])("environments by lines: %s", (_, text, names) => expect(environmentsIn(text)).toEqual(names));

test.each([
  [
    "a BoundSecret",
    `apiVersion: sealward.dev/v1alpha1\nkind: BoundSecret\nspec:\n  document: |\n${sealedText.replace(/^/gm, "    ")}`,
    ["PASSWORD", "URL"],
  ],
  [
    "data and stringData",
    "kind: Secret\r\ndata:\r\n    a.b: ENC[x]\r\n    # c\r\n    more: |\r\n        in: 1\r\nstringData:\r\n    c-d: x\r\nsops:\r\n    e: 1\r\n",
    ["a.b", "more", "c-d"],
  ],
  [
    "JSON",
    '{\n  "kind": "Secret",\n  "data": {\n    "A": "x",\n    "B": "y"\n  },\n  "sops": {\n    "mac": "x"\n  }\n}',
    ["A", "B"],
  ],
  ["values", "db:\n  password: ENC[x]\nsize: 1\nsops:\n  mac: x\n", ["db", "size"]],
  ["dotenv", "A=ENC[x]\nB=ENC[y]\nsops_mac=z\n", ["A", "B"]],
  ["escapes", 'kind: Secret\ndata:\n  "a\\e[31m": x\n  ok: y\n', ["ok"]],
])("keys by lines: %s", (_, text, names) => expect(keysIn(text)).toEqual(names));

/** A `seal` on PATH that is the built one. */
function installed(dir: GitDir): NodeJS.ProcessEnv {
  const folder = join(dir.home, "bin");
  mkdirSync(folder);
  const script = join(folder, "seal");
  writeFileSync(script, `#!/bin/sh\nexec '${process.execPath}' '${resolve("dist/seal.cjs")}' "$@"\n`);
  chmodSync(script, 0o755);
  return { ...dir.env, PATH: `${folder}:${process.env["PATH"]}` };
}

describe("the program that a shell starts", () => {
  it("knows the commands of this build, and looks at files", async () => {
    const dir = await sealedRepository();
    const ask = (...words: string[]) =>
      spawnSync("seal", ["__complete", "zsh", "--", ...words], { cwd: dir.path, env: installedOnce, encoding: "utf8" });
    const installedOnce = installed(dir);
    expect(ask("statu").stdout).toMatch(/^status\tlist every sealed file[^\n]*\n:words\n$/);
    expect(ask("decrypt", "deploy/prod/").stdout).toBe("deploy/prod/db.sealed.yaml\n:files\n");
    expect(ask("set", "deploy/prod/db.sealed.yaml", "").stdout).toBe("PASSWORD\nURL\n:words\n");
    expect(ask("check", "--env", "").stdout).toBe("staging\nprod\n:words\n");
  });

  it("says nothing where it is called wrongly, or cannot look", async () => {
    const dir = await sealedRepository();
    const env = installed(dir);
    for (const args of [["__complete"], ["__complete", "bash"], ["__complete", "bash", "--", "decrypt", "/no/such/"]])
      expect(spawnSync("seal", args, { cwd: dir.path, env, encoding: "utf8" })).toMatchObject({
        status: 0,
        stderr: "",
      });
  });
});

const has = (shell: string): boolean => spawnSync(shell, ["--version"]).status === 0;
/** Sets the words up as readline does, calls the function, and prints what it would offer. */
const bashAsk = (words: readonly string[]): string => `
source <(seal completion bash)
compopt() { echo "compopt $*"; }
COMP_WORDS=(seal ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length}
_seal
printf '%s\\n' "\${COMPREPLY[@]}"`;

describe.skipIf(!has("bash"))("in bash", () => {
  it.each([
    [
      ["deco", "x"],
      ["compopt -o default", ""],
    ],
    [["dec"], ["decrypt"]],
    [["check", "--env", "=", "pr"], ["prod"]],
    [
      ["edit", "deploy/prod/"],
      ["compopt -o filenames", "deploy/prod/db.sealed.yaml"],
    ],
    [
      ["edit", "with\\ blank/"],
      ["compopt -o filenames", "with blank/a b.yaml"],
    ],
    [["set", "deploy/prod/db.sealed.yaml", "U"], ["URL"]],
    [["encrypt", "--from-"], [""]],
  ])("%j gives %j", async (words, lines) => {
    const dir = await sealedRepository();
    dir.write("with blank/a b.yaml", dir.read("deploy/prod/db.sealed.yaml"));
    const options = { cwd: dir.path, env: installed(dir), encoding: "utf8" as const };
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", bashAsk(words)], options);
    expect([stdout.trimEnd().split("\n"), stderr]).toEqual([
      lines.length === 2 && lines[1] === "" ? [lines[0]] : lines,
      "",
    ]);
  });

  it("starts no seal of the folder that it is in", async () => {
    const dir = await sealedRepository();
    dir.write("seal", "#!/bin/sh\ntouch was-run\n");
    chmodSync(join(dir.path, "seal"), 0o755);
    const text = bashAsk(["dec"]).replace("COMP_WORDS=(seal", "COMP_WORDS=(./seal");
    spawnSync("bash", ["--norc", "-c", text], { cwd: dir.path, env: installed(dir) });
    expect(dir.has("was-run")).toBe(false);
  });
});

describe.each(["bash", "zsh", "fish"] as const)("the script for %s", (shell) => {
  it.skipIf(!has(shell))("is one that the shell takes", async () => {
    const dir = await sealedRepository();
    const { stdout } = await succeed(dir.run(["completion", shell]));
    dir.write("script", stdout);
    const check = spawnSync(shell, ["-n", join(dir.path, "script")], { encoding: "utf8" });
    expect([check.status, check.stderr]).toEqual([0, ""]);
  });
});

it.skipIf(!has("fish"))("completes in fish", async () => {
  const dir = await sealedRepository();
  const text = "seal completion fish | source; complete -C 'seal check --env pr'";
  const { stdout } = spawnSync("fish", ["-N", "-c", text], { cwd: dir.path, env: installed(dir), encoding: "utf8" });
  expect(stdout).toBe("prod\n");
});

test("only shells that there are scripts for are taken", async () => {
  const dir = await sealedRepository();
  expect(await dir.run(["completion", "tcsh"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("bash, zsh, fish"),
  });
});
