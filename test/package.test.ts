// The package as a user gets it: what is in it, that its programs start from it, and that its library compiles and runs in
// somebody else's project.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "..");

describe("the published package", () => {
  let folder: string;
  let installed: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sealward-package-"));
    const modules = join(folder, "node_modules");
    installed = join(modules, "sealward");
    await mkdir(installed, { recursive: true });
    await run(join(root, "node_modules", ".bin", "tsc"), ["-b", "src"], { cwd: root });
    // The bundles were built before the suite; building them here would pull them away from under other tests.
    await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: root });
    await run("tar", ["-xzf", join(folder, "sealward-0.1.0.tgz"), "--strip-components=1", "-C", installed]);
    for (const name of [
      "yaml",
      "@noble",
      "@scure",
      "age-encryption",
      "node-diff3",
      "picomatch",
      "re2js",
      "@aws-sdk",
      "@smithy",
      "tslib",
      "@types",
      "undici-types",
    ]) {
      await symlink(join(root, "node_modules", name), join(modules, name));
    }
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("holds programs, library, types and manifests, and nothing of the tests or the demo", async () => {
    const { stdout } = await run("tar", ["-tzf", join(folder, "sealward-0.1.0.tgz")]);
    const files = stdout
      .trim()
      .split("\n")
      .map((name) => name.replace("package/", ""));
    for (const name of [
      "dist/seal.cjs",
      "dist/seal-main.cjs",
      "dist/seal-main.bin",
      "dist/seal-complete.cjs",
      "dist/commands.json",
      "dist/answers.json",
      "dist/seal.1",
      "schema/seal.schema.json",
      "dist/aws-sdk.cjs",
      "dist/aws-sdk.bin",
      "dist/sealward-controller.cjs",
      "dist/index.js",
      "deploy/kustomization.yaml",
    ]) {
      expect(files).toContain(name);
    }
    expect(files.filter((name) => /test|demo|example|\.agekey|tsbuildinfo/.test(name))).toEqual([]);
  });

  it.each(["seal", "sealward-controller"])("%s starts from it", async (name) => {
    const { bin } = JSON.parse(await readFile(join(installed, "package.json"), "utf8")) as {
      bin: Record<string, string>;
    };
    const { stdout } = await run(process.execPath, [join(installed, bin[name] ?? ""), "--help"], { cwd: folder });
    expect(stdout).toContain(`Usage: ${name}`);
  });

  it("makes post-quantum identities, which takes a file beside the program", async () => {
    const { stdout } = await run(process.execPath, [join(installed, "dist/seal.cjs"), "keygen", "--pq"], {
      cwd: folder,
    });
    expect(stdout).toMatch(/^AGE-SECRET-KEY-PQ-1[A-Z0-9]{58}$/m);
  });

  it("is a library that compiles and runs in another project", async () => {
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    const source = `import { type ErrorCode, generateAgeIdentity, generateHybridIdentity, SealwardError } from "sealward";
const { identity } = generateAgeIdentity();
const hybrid = await generateHybridIdentity();
const code: ErrorCode = new SealwardError("unbound", "x").code;
console.log(identity.recipient.startsWith("age1"), hybrid.identity.recipient.startsWith("age1pq1"), code);
`;
    await writeFile(join(folder, "use.ts"), source);
    const flags = [
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2023",
      "--types",
      "node",
      "--outDir",
      "out",
      "use.ts",
    ];
    await run(join(root, "node_modules", ".bin", "tsc"), flags, { cwd: folder });
    const { stdout } = await run(process.execPath, ["out/use.js"], { cwd: folder });
    expect(stdout).toBe("true true unbound\n");
  });
});
