// Starts a real etcd, kube-apiserver and kube-controller-manager as a test cluster.
import type { TestCluster } from "./cluster.ts";

export function startReal(assets: string): Promise<TestCluster> {
  return Promise.reject(new Error(`cannot start the binaries of ${assets} yet`));
}
