// Runs the tour of README.md as it stands: its `sh` blocks, one after another, in an empty folder with the built `seal` on
// the PATH. A line that ends with `# refused: CODE` must fail with that code.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parseYaml } from "../../src/yaml-source.ts";
import { fencedBlocks } from "./markdown.ts";

const page = readFileSync("README.md", "utf8");
const tour = fencedBlocks(page, "sh").join("\n");

/** A line that must be refused, as shell that fails unless it is. */
function expectRefusal(command: string, code: string): string {
  const said = `said=$(${command} 2>&1)`;
  return `if ${said}; then echo "not refused: ${code}"; exit 91; fi
case "$said" in *"(${code})"*) ;; *) printf '%s\\n' "$said"; exit 92 ;; esac`;
}

test("the tour of the README runs as it stands, and what it calls refused is refused with that code", () => {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "seal-readme-")));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const [bin, home, work] = [join(base, "bin"), join(base, "home"), join(base, "work")];
  for (const folder of [bin, home, work]) mkdirSync(folder);
  writeFileSync(join(bin, "seal"), `#!/bin/sh\nexec "${process.execPath}" "${resolve("dist/seal.cjs")}" "$@"\n`);
  chmodSync(join(bin, "seal"), 0o755);
  const script = tour.replace(/^(.*\S) +# refused: ([a-z-]+)$/gm, (_, command: string, code: string) =>
    expectRefusal(command, code),
  );
  const { status, stdout, stderr } = spawnSync("bash", ["-euo", "pipefail", "-c", script], {
    cwd: work,
    encoding: "utf8",
    env: {
      PATH: `${bin}:${process.env["PATH"]}`,
      HOME: home,
      XDG_CONFIG_HOME: join(home, ".config"),
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_AUTHOR_NAME: "reader",
      GIT_AUTHOR_EMAIL: "reader@example.com",
      GIT_COMMITTER_NAME: "reader",
      GIT_COMMITTER_EMAIL: "reader@example.com",
    },
  });
  expect(status, `${stdout}${stderr}`).toBe(0);
  expect(stdout).toContain("DATABASE_URL: postgres://shop:example@db/shop # changed every quarter");
  // Three lines, or two when sealing and changing fell into one second and `lastmodified` stayed.
  expect(stdout).toMatch(/1 file changed, [23] insertions\(\+\), [23] deletions\(-\)/);
});

test("the tour has refusals, and each is marked on a line of its own", () => {
  expect(tour.match(/# refused: /g)).toHaveLength(4);
});

test("the manifest before sealing is the one of the tour", () => {
  const [before = "", after = ""] = fencedBlocks(page, "yaml");
  expect(tour).toContain(before);
  expect(parseYaml(after).root.has("sops")).toBe(true);
});
