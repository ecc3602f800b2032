// seal status: what it says of every sealed file without a key, in which order, and in which width.
import { describe, expect, it, test } from "vitest";
import { includesRecipient, wrapDocument } from "../../src/index.ts";
import { canary, type GitDir, manifest, sealedRepository, succeed } from "./gitdir.ts";

interface Row {
  readonly file: string;
  readonly missing: readonly string[];
  readonly foreign: readonly string[];
  readonly attention: readonly { readonly code: string }[];
}

async function rowsOf(dir: GitDir, ...argv: string[]): Promise<readonly Row[]> {
  const { stdout } = await succeed(dir.run(["status", "--output", "json", ...argv]));
  return JSON.parse(stdout) as readonly Row[];
}

const db = (env: string): string => `deploy/${env}/db.sealed.yaml`;

describe("seal status", () => {
  it("lists every sealed file with what it says of itself, and needs no key", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/values.yaml", `password: ${canary}\n`);
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/values.yaml"]));
    dir.write("deploy/prod/plain.yaml", "a: sops\n");
    const before = dir.snapshot();
    const rows = await succeed(dir.run(["status", "--output", "json"], { env: { XDG_CONFIG_HOME: "/nonexistent" } }));
    const facts = { keyMade: "2026-11-23T10:00:00Z", keyAgeDays: 0, lastSealed: "2026-11-23T10:00:00Z", recipients: 2 };
    expect(JSON.parse(rows.stdout)).toEqual(
      [
        { file: db("prod"), environment: "prod", scope: "strict" },
        { file: "deploy/prod/values.yaml", environment: "prod", scope: null },
        { file: db("staging"), environment: "staging", scope: "strict" },
      ].map((row) => ({ ...facts, missing: [], foreign: [], attention: [], ...row })),
    );
    expect(dir.snapshot()).toEqual(before);
  });

  it("puts first what the gate refuses, then what it mentions", async () => {
    const dir = await sealedRepository();
    const config = dir.read("seal.yaml");
    const [first = ""] = /age1\w+/.exec(config.slice(config.indexOf("staging:"))) ?? [];
    const { stderr } = await succeed(dir.run(["keygen"]));
    const [fresh = ""] = /age1\w+/.exec(stderr) ?? [];
    dir.write("deploy/prod/copied.sealed.yaml", dir.read(db("staging")));
    dir.write("seal.yaml", config.replace(`- ${first}`, `- ${first}\n        - ${fresh}`));
    const rows = await rowsOf(dir);
    expect(rows.map(({ file, attention }) => [file, attention.map(({ code }) => code)])).toEqual([
      ["deploy/prod/copied.sealed.yaml", ["environment-mismatch"]],
      [db("staging"), ["recipient-missing"]],
      [db("prod"), []],
    ]);
    expect(rows[1]?.missing).toEqual([fresh]);
    expect(includesRecipient(rows[1]?.missing ?? [], first)).toBe(false);
  });

  it("names a recipient that the environment does not list, and a file that is not bound", async () => {
    const dir = await sealedRepository();
    const config = dir.read("seal.yaml");
    const text = dir.read(db("prod"));
    const [own = ""] = /recipient: (age1\w+)/.exec(text)?.slice(1) ?? [];
    const { stderr } = await succeed(dir.run(["keygen"]));
    dir.write("seal.yaml", config.replaceAll(own, /age1\w+/.exec(stderr)?.[0] ?? ""));
    const [row] = await rowsOf(dir, db("prod"));
    expect(row).toMatchObject({ foreign: [own], attention: [{ code: "recipient-foreign" }] });
    dir.write("seal.yaml", config);
    const unbound = text
      .replace(/^ *sealward\.dev\/\w+: .*\n/gm, "")
      .replace(" annotations:\n", " annotations: {}\n")
      .replace("|sealward\\.dev/binding)", ")");
    dir.write(db("prod"), unbound);
    expect((await rowsOf(dir, db("prod")))[0]?.attention).toMatchObject([{ code: "unbound" }]);
  });

  it("looks into BoundSecret files, and says of a broken file and of a template what they are", async () => {
    const dir = await sealedRepository();
    const sealed = dir.read(db("prod"));
    dir.write("deploy/prod/bound.yaml", wrapDocument(sealed));
    dir.write("deploy/prod/broken.yaml", sealed.replace("type: Opaque", "type: [Opaque"));
    dir.write("deploy/prod/chart.yaml", `{{- if .Values.on }}\n${sealed}{{- end }}\n`);
    dir.write("deploy/prod/unknown.yaml", sealed.replace(/^ *sealward_created.*\n/m, ""));
    const rows = await rowsOf(dir, "deploy/prod");
    expect(rows.map(({ file, attention }) => [file, attention.map(({ code }) => code)])).toEqual([
      ["deploy/prod/broken.yaml", ["not-yaml"]],
      ["deploy/prod/chart.yaml", ["template"]],
      ["deploy/prod/bound.yaml", []],
      [db("prod"), []],
      ["deploy/prod/unknown.yaml", []],
    ]);
    expect(rows[4]).toMatchObject({ keyMade: null, keyAgeDays: null });
  });

  it("shows one environment, and says which was meant where there is none of that name", async () => {
    const dir = await sealedRepository();
    expect((await rowsOf(dir, "--env", "prod")).map(({ file }) => file)).toEqual([db("prod")]);
    const { code, stderr } = await dir.run(["status", "--env", "prd"]);
    expect(code).toBe(4);
    expect(stderr).toContain("did you mean prod? (environment-undefined)");
  });

  it("prints a table no wider than the terminal, with colour where the rules say so", async () => {
    const dir = await sealedRepository();
    const long = "deploy/prod/a-folder-with-a-long-name/and-a-file-with-one-too.sealed.yaml";
    dir.write(long, manifest({ name: "long" }));
    await succeed(dir.run(["encrypt", "-i", long]));
    const wide = await succeed(dir.run(["status"]));
    expect(wide.stdout).toContain(`${long}  prod `);
    expect(wide.stdout).not.toContain("\u001b");
    expect(wide.stdout.split("\n")[1]).toMatch(/ {2}prod +strict {2}2 +0 days +2026-11-23$/);
    expect(wide.stderr).toBe("3 sealed files, 0 in need of attention\n");
    const env = { TERM: "xterm" };
    const narrow = await succeed(dir.run(["status"], { isTty: true, columns: 80, env }));
    expect(narrow.stdout).toMatch(/^\u001b\[1mFILE/);
    const lines = narrow.stdout.replace(/\u001b\[\d+m/g, "").split("\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(narrow.stdout).toMatch(/^deploy\/p….*too\.sealed\.yaml {2}prod/m);
    const plain = await succeed(dir.run(["status"], { isTty: true, env: { ...env, NO_COLOR: "1" } }));
    expect(plain.stdout).not.toContain("\u001b");
  });

  it("--open without FILES opens every sealed file, and shows none that is not sealed", async () => {
    const dir = await sealedRepository();
    dir.write("notes.yaml", "a: 1\n");
    const { code, stdout } = await dir.run(["status", "--open"]);
    expect(code).toBe(0);
    expect(stdout.match(/opens for/g)).toHaveLength(2);
    expect(stdout).not.toContain(canary);
  });

  it("a path that a file does not have names the key that was meant", async () => {
    const dir = await sealedRepository();
    dir.write("deploy/prod/values.yaml", "database:\n  password: x\n");
    await succeed(dir.run(["encrypt", "-i", "deploy/prod/values.yaml"]));
    const get = (path: string) => dir.run(["decrypt", "deploy/prod/values.yaml", "--extract", path]);
    expect((await get('["database"]["pasword"]')).stderr).toContain('; did you mean "password"? (path-missing)');
    expect((await get('["other"]')).stderr).not.toContain("did you mean");
  });
});

test("explain says when the data key of a sealed file was made, or that nothing says it", async () => {
  const dir = await sealedRepository();
  const file = "deploy/prod/db.sealed.yaml";
  expect((await succeed(dir.run(["explain", file]))).stdout).toContain("data key: made 2026-11-23T10:00:00Z, by what");
  dir.write(file, dir.read(file).replace(/^ *sealward_created.*\n/m, ""));
  expect((await succeed(dir.run(["explain", file]))).stdout).toContain("data key: the file does not say when");
});
