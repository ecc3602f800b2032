// The walls of the repository: who may import whom, what files may be called, and that the rules which say so still bite.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const bin = (name: string) => join(root, "node_modules", ".bin", name);

async function sourcesOf(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true });
  return entries.filter((name) => name.endsWith(".ts")).map((name) => join(folder, name));
}

/** Relative imports of a file, as paths from the root; type-only imports are marked, for they vanish at run time. */
async function importsOf(file: string): Promise<{ readonly target: string; readonly typeOnly: boolean }[]> {
  const text = await readFile(join(root, file), "utf8");
  const found = text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+"(\.[^"]+)"|import\("(\.[^"]+)"\)/gms);
  return [...found].map((match) => ({
    target: relative(root, resolve(root, dirname(file), match[2] ?? match[3] ?? "")),
    typeOnly: match[1] !== undefined,
  }));
}

async function outcomeOf(
  name: string,
  args: readonly string[],
  cwd: string,
): Promise<{ readonly failed: boolean; readonly output: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(bin(name), args, { cwd });
    return { failed: false, output: stdout + stderr };
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    return { failed: true, output: stdout + stderr };
  }
}

/** A folder with the real configuration and next to nothing in it, so that a rule can be broken. */
async function inCopyOfTheWalls(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sealward-walls-"));
  try {
    await cp(join(root, "tsconfig.base.json"), join(folder, "tsconfig.base.json"));
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    await symlink(join(root, "node_modules"), join(folder, "node_modules"));
    for (const part of ["src", "cli", "controller"]) {
      await mkdir(join(folder, part));
      await cp(join(root, part, "tsconfig.json"), join(folder, part, "tsconfig.json"));
      await writeFile(join(folder, part, "index.ts"), "export const here: number = 1;\n");
    }
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const forbidden: readonly (readonly [string, string])[] = [
  ["src/probe.ts", "../cli/run.ts"],
  ["src/probe.ts", "../controller/queue.ts"],
  ["src/probe.ts", "node:fs"],
  ["src/probe.ts", "node:child_process"],
  ["cli/probe.ts", "../src/gate.ts"],
  ["cli/probe.ts", "../controller/queue.ts"],
  ["cli/commands/probe.ts", "../../src/gate.ts"],
  ["controller/probe.ts", "../src/gate.ts"],
  ["controller/probe.ts", "../cli/run.ts"],
];

describe("the direction of imports", () => {
  it("holds in every file", async () => {
    for (const folder of ["src", "cli", "controller"]) {
      for (const file of await sourcesOf(folder)) {
        for (const { target } of await importsOf(file)) {
          const allowed = target.startsWith(`${folder}/`) || (folder !== "src" && target === "src/index.ts");
          expect(allowed, `${file} imports ${target}`).toBe(true);
        }
      }
    }
  });

  it("is enforced by the linter: each forbidden import is refused, the allowed one passes", async () => {
    await inCopyOfTheWalls(async (folder) => {
      const config = JSON.parse(await readFile(join(root, "biome.json"), "utf8")) as Record<string, unknown>;
      await writeFile(join(folder, "biome.json"), JSON.stringify({ ...config, vcs: { enabled: false } }));
      const lint = async (file: string, target: string) => {
        await mkdir(dirname(join(folder, file)), { recursive: true });
        await writeFile(
          join(folder, file),
          `import * as probe from "${target}";\nexport const used: unknown = probe;\n`,
        );
        const outcome = await outcomeOf("biome", ["lint", file], folder);
        await rm(join(folder, file));
        return outcome;
      };
      expect(await lint("cli/commands/probe.ts", "../../src/index.ts")).toMatchObject({ failed: false });
      expect(await lint("src/probe.ts", "node:crypto")).toMatchObject({ failed: false });
      for (const [file, target] of forbidden) {
        const { failed, output } = await lint(file, target);
        expect(failed && output.includes("noRestrictedImports"), `${file} importing ${target}\n${output}`).toBe(true);
      }
    });
  });

  it("is enforced by the compiler", async () => {
    await inCopyOfTheWalls(async (folder) => {
      const build = async (part: string, target: string) => {
        await writeFile(join(folder, part, "probe.ts"), `export { here } from "${target}";\n`);
        const { output } = await outcomeOf("tsc", ["-b", part, "--pretty", "false"], folder);
        await rm(join(folder, part, "probe.ts"));
        return output;
      };
      expect(await build("cli", "../src/index.ts")).toBe("");
      for (const [part, target] of [
        ["src", "../cli/index.ts"],
        ["src", "../controller/index.ts"],
        ["controller", "../cli/index.ts"],
        ["cli", "../controller/index.ts"],
      ] as const) {
        expect(await build(part, target), `${part} importing ${target}`).toContain("TS6307");
      }
    });
  });

  it("has no cycle at run time", async () => {
    const graph = new Map<string, string[]>();
    for (const folder of ["src", "cli", "controller"]) {
      for (const file of await sourcesOf(folder)) {
        graph.set(
          file,
          (await importsOf(file)).filter(({ typeOnly }) => !typeOnly).map(({ target }) => target),
        );
      }
    }
    const done = new Set<string>();
    const walk = (file: string, path: readonly string[]) => {
      expect(path, `a cycle through ${file}`).not.toContain(file);
      if (done.has(file)) return;
      for (const target of graph.get(file) ?? []) walk(target, [...path, file]);
      done.add(file);
    };
    for (const file of graph.keys()) walk(file, []);
    expect(done.size).toBeGreaterThan(50);
  });
});

describe("files", () => {
  it("are named after what they do and open with a line that says so", async () => {
    const files = (await Promise.all(["src", "cli", "controller", "examples"].map(sourcesOf))).flat();
    for (const file of files) {
      expect(file).not.toMatch(/(?:utils?|helpers?|common|misc|types)\.ts$/);
      expect((await readFile(join(root, file), "utf8")).startsWith("// "), `${file} opens with a comment`).toBe(true);
    }
  });

  it("the lock file lists every platform's package: npm drops those that the registry at hand lacks, and then `npm ci` fails", async () => {
    const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;
    };
    for (const [path, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
      for (const name of Object.keys(optionalDependencies)) {
        const listed = `node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages;
        expect(listed, `${name}, which ${path} names`).toBe(true);
      }
    }
  });

  it("name no registry host, in the lock file either", async () => {
    for (const file of ["package.json", "package-lock.json", ".npmrc", ".ci/run"]) {
      expect(await readFile(join(root, file), "utf8"), file).not.toMatch(/registry\.|npmjs|proxy\.golang|"resolved"/);
    }
  });
});
