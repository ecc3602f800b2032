// What a test needs from outside the repository, and whether it is here: one table, so that a run says what it skipped.
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

const repository = resolve(import.meta.dirname, "../..");

/** Files that other tools wrote: `SEALWARD_FIXTURES`, else `../shared/fixtures` beside the repository. */
export function findFixtures(): string | null {
  const folder = resolve(repository, process.env["SEALWARD_FIXTURES"] ?? "../shared/fixtures");
  return existsSync(join(folder, "thirdparty", "keys.txt")) ? folder : null;
}

export type Tool = "sops" | "age" | "age-keygen";

/** A released tool: in the folder `bin` of `SEALWARD_PEERS`, else on PATH. */
export function findTool(name: Tool): string | null {
  const peers = process.env["SEALWARD_PEERS"];
  const folders = [...(peers ? [join(peers, "bin")] : []), ...(process.env["PATH"] ?? "").split(delimiter)];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is needed, as a test title says it where it is missing. */
export const reasons = {
  fixtures: "needs the fixtures folder (SEALWARD_FIXTURES)",
  sops: "needs sops on PATH or in SEALWARD_PEERS",
  age: "needs age on PATH or in SEALWARD_PEERS",
  "age-keygen": "needs age-keygen on PATH or in SEALWARD_PEERS",
} as const satisfies Record<"fixtures" | Tool, string>;

/** A suite's title, with the reason where it will be skipped. */
export function titled(title: string, need: keyof typeof reasons): string {
  const found = need === "fixtures" ? findFixtures() : findTool(need);
  return found === null ? `${title} (skipped: ${reasons[need]})` : title;
}
