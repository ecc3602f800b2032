// Runs the `sh` blocks of a page as a reader would: in an empty folder, with the built `seal` on the PATH and a home of its
// own. A line that ends with `# refused: CODE` must fail with that code.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished } from "vitest";

/** A line that must be refused, as shell that fails unless it is. */
function expectRefusal(command: string, code: string): string {
  return `if said=$(${command} 2>&1); then echo "not refused: ${code}"; exit 91; fi
case "$said" in *"(${code})"*) ;; *) printf '%s\\n' "$said"; exit 92 ;; esac`;
}

/** Runs to the end, or fails the test with all that was printed. */
export function runAsReader(blocks: readonly string[]): { readonly stdout: string; readonly stderr: string } {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "seal-reader-")));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const [bin, home, work] = [join(base, "bin"), join(base, "home"), join(base, "work")];
  for (const folder of [bin, home, work]) mkdirSync(folder);
  writeFileSync(join(bin, "seal"), `#!/bin/sh\nexec "${process.execPath}" "${resolve("dist/seal.cjs")}" "$@"\n`);
  chmodSync(join(bin, "seal"), 0o755);
  const script = blocks
    .join("\n")
    .replace(/^(.*\S) +# refused: ([a-z-]+)$/gm, (_, command: string, code: string) => expectRefusal(command, code));
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
  return { stdout, stderr };
}
