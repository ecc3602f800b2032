// Secrets found by how they look, by gitleaks where it is installed: its findings become ours, the matched text does not.
import { isAbsolute, join, relative, sep } from "node:path";
import type { Io } from "../io.ts";
import type { Finding } from "./finding.ts";

export interface GitleaksRun {
  /** The top folder of what is looked at. */
  readonly folder: string;
  readonly staged: boolean;
}

/**
 * Null where gitleaks is not there. A program of that name in the work tree, or anywhere else than in a folder that the PATH
 * names in full, is not run.
 */
export async function gitleaksFindings(io: Io, { folder, staged }: GitleaksRun): Promise<readonly Finding[] | null> {
  const program = await installed(io, folder);
  if (program === null) return null;
  const common = [
    "--redact=100",
    "--no-banner",
    "--no-color",
    "--log-level=error",
    "--exit-code=0",
    "--report-format=json",
    "--report-path=-",
  ];
  const command = staged ? ["git", "--staged", "--pre-commit", ...common, folder] : ["dir", ...common, folder];
  const { status, stdout } = await io.run([program, ...command], { cwd: folder, capture: true });
  const listed = status === 0 ? parsed(stdout) : null;
  if (listed === null) {
    const message =
      "gitleaks is installed and did not do its work: run it by itself to see why, or leave it out with --no-gitleaks";
    return [{ file: relativeTo(io, folder), status: "warning", code: "check-failed", message }];
  }
  return listed.map(({ RuleID, File, StartLine, StartColumn }) => ({
    file: relativeTo(io, isAbsolute(File) ? File : join(folder, File)),
    status: "warning",
    code: "clear-leak",
    message: `gitleaks finds what looks like a secret (${RuleID})`,
    line: Math.max(1, StartLine),
    column: Math.max(1, StartColumn),
  }));
}

const relativeTo = (io: Io, path: string): string => relative(io.cwd, path).split(sep).join("/") || ".";

async function installed(io: Io, folder: string): Promise<string | null> {
  const real = await io.fs.realPath(folder);
  const name = io.platform === "win32" ? "gitleaks.exe" : "gitleaks";
  for (const part of (io.env["PATH"] ?? "").split(io.platform === "win32" ? ";" : ":")) {
    if (!isAbsolute(part) || (await io.fs.kind(join(part, name))) !== "file") continue;
    const program = await io.fs.realPath(join(part, name));
    if (program !== join(real, name) && !program.startsWith(real + sep)) return program;
  }
  return null;
}

interface Leak {
  readonly RuleID: string;
  readonly File: string;
  readonly StartLine: number;
  readonly StartColumn: number;
}

/** Null for what is no report. Nothing of it is kept but rule and place. */
function parsed(bytes: Uint8Array): readonly Leak[] | null {
  try {
    const report: unknown = JSON.parse(Buffer.from(bytes).toString() || "[]");
    if (!Array.isArray(report)) return null;
    return report.flatMap((leak: Partial<Record<keyof Leak, unknown>> | null) => {
      const { RuleID, File, StartLine, StartColumn } = leak ?? {};
      if (typeof RuleID !== "string" || typeof File !== "string" || File === "" || !/^[\w-]{1,100}$/.test(RuleID))
        return [];
      return [{ RuleID, File, StartLine: Number(StartLine) || 1, StartColumn: Number(StartColumn) || 1 }];
    });
  } catch {
    return null;
  }
}
