// What a test needs from outside the repository, and whether it is here: one table, so that a run says what it skipped.
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { availableClusters } from "./kube/cluster.ts";

const repository = resolve(import.meta.dirname, "../..");

/** Files that other tools wrote: `SEALWARD_FIXTURES`, else `../shared/fixtures` beside the repository. */
export function findFixtures(): string | null {
  const folder = resolve(repository, process.env["SEALWARD_FIXTURES"] ?? "../shared/fixtures");
  return existsSync(join(folder, "thirdparty", "keys.txt")) ? folder : null;
}

export type Tool = "gitleaks" | "sops" | "age" | "age-keygen" | "kubectl" | "moto_server";

/** A released tool: in the folder `bin` of `SEALWARD_PEERS`, else on PATH. */
export function findTool(name: Tool): string | null {
  const peers = process.env["SEALWARD_PEERS"];
  const fetched = peers ? [join(peers, "bin")] : [];
  // Of moto a test asserts each difference from AWS, which goes by the release.
  const folders = name === "moto_server" ? fetched : [...fetched, ...(process.env["PATH"] ?? "").split(delimiter)];
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

export type Need = "fixtures" | "api-server" | Tool;

/** What is needed, as a test title says it where it is missing. */
const reasons = {
  fixtures: "needs the fixtures folder (SEALWARD_FIXTURES)",
  "api-server": "needs a real API server (KUBEBUILDER_ASSETS)",
  gitleaks: "needs gitleaks on PATH or in SEALWARD_PEERS",
  sops: "needs sops on PATH or in SEALWARD_PEERS",
  age: "needs age on PATH or in SEALWARD_PEERS",
  "age-keygen": "needs age-keygen on PATH or in SEALWARD_PEERS",
  kubectl: "needs kubectl on PATH or in SEALWARD_PEERS",
  moto_server: "needs moto_server in SEALWARD_PEERS",
} as const satisfies Record<Need, string>;

export function isHere(need: Need): boolean {
  if (need === "fixtures") return findFixtures() !== null;
  if (need === "api-server") return availableClusters().some(({ name }) => name === "real");
  return findTool(need) !== null;
}

/** A suite's title, with the reason where it will be skipped. */
export function titled(title: string, ...needs: readonly Need[]): string {
  const missing = needs.find((need) => !isHere(need));
  return missing === undefined ? title : `${title} (skipped: ${reasons[missing]})`;
}
