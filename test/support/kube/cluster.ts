// The one face of the Kubernetes API servers that tests and the demo use: an embedded one, always there, and a real one
// where its binaries are. What works with one works with the other; knows no test framework.
import { accessSync } from "node:fs";
import { join } from "node:path";
import type { Answer } from "./cluster-client.ts";
import { startEmbedded } from "./embedded.ts";
import { startReal } from "./real.ts";

export interface TestCluster {
  readonly kind: "embedded" | "real";
  /** Its URL. */
  readonly server: string;
  readonly caFile?: string;
  /** Path of a kubeconfig file (0600, in a folder that stop() removes). */
  readonly adminKubeconfig: string;
  /** Path of a kubeconfig file with a fresh token of the ServiceAccount, which must exist. */
  kubeconfigFor(serviceAccount: { namespace: string; name: string }): Promise<string>;
  /** As admin. A string body is sent as it is, anything else as JSON. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Applies a multi-document YAML stream as admin; returns when its CustomResourceDefinitions are served. */
  apply(yamlText: string, options?: { namespace?: string }): Promise<void>;
  /** Polls the probe until it gives something; says what was awaited when time runs out (default 20 s). */
  waitFor<T>(what: string, probe: () => Promise<T | undefined>, timeoutMs?: number): Promise<T>;
  /** The API server goes and comes back at the same address with the same state. Every connection is dropped. */
  restart(): Promise<void>;
  /** History is forgotten: watches from older resourceVersions and started lists get 410. May drop open watches. */
  compact(): Promise<void>;
  stop(): Promise<void>;
}

export type { Answer } from "./cluster-client.ts";
export { startEmbedded } from "./embedded.ts";

const binaries = ["etcd", "kube-apiserver", "kube-controller-manager"] as const;

function hasBinaries(folder: string): boolean {
  try {
    for (const name of binaries) accessSync(join(folder, name));
    return true;
  } catch {
    return false;
  }
}

/** The embedded one, and the real one where KUBEBUILDER_ASSETS names a folder that holds all three binaries. */
export function availableClusters(): readonly { name: string; start: () => Promise<TestCluster> }[] {
  const assets = process.env["KUBEBUILDER_ASSETS"] ?? "";
  const embedded = { name: "embedded", start: startEmbedded };
  if (assets === "" || !hasBinaries(assets)) return [embedded];
  return [embedded, { name: "real", start: () => startReal(assets) }];
}
