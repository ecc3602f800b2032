// Runs the example of docs/coming-from-sops.md as it stands, in an empty folder that no seal.yaml governs.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fencedBlocks } from "./markdown.ts";

const example = fencedBlocks(readFileSync("docs/coming-from-sops.md", "utf8"), "sh").join("\n");

test("the example for those who come from sops runs as it stands", () => {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "seal-sops-")));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const [bin, work] = [join(base, "bin"), join(base, "work")];
  for (const folder of [bin, work]) mkdirSync(folder);
  writeFileSync(join(bin, "seal"), `#!/bin/sh\nexec "${process.execPath}" "${resolve("dist/seal.cjs")}" "$@"\n`);
  chmodSync(join(bin, "seal"), 0o755);
  const { status, stdout, stderr } = spawnSync("bash", ["-euo", "pipefail", "-c", example], {
    cwd: work,
    encoding: "utf8",
    env: { PATH: `${bin}:${process.env["PATH"]}`, HOME: base },
  });
  expect(status, `${stdout}${stderr}`).toBe(0);
  expect(stdout).toContain('encrypted: ["database"]["password"]\n');
  expect(stdout).toContain('clear: ["database"]["host"]\n');
  expect(stdout).toContain("\nnot a real one");
  expect(stdout).toContain('database:\n  host: db.internal # clear\n  password: "another"\n');
});
