// Starts the embedded API server as a test cluster. Usable from the demo too: needs nothing but Node.
import type { TestCluster } from "./cluster.ts";
import {
  applyYaml,
  type Connection,
  requestToken,
  send,
  temporaryFolder,
  waitFor,
  writeKubeconfig,
} from "./cluster-client.ts";
import { EmbeddedServer } from "./embedded-server.ts";

export interface EmbeddedCluster extends TestCluster {
  readonly kind: "embedded";
  /** What only an embedded server can be told and asked: stop(), start(), dropWatches(), compact(), goneAs, requests. */
  readonly controls: EmbeddedServer;
}

export async function startEmbedded(options: { now?: () => Date } = {}): Promise<EmbeddedCluster> {
  const controls = new EmbeddedServer(options.now ?? (() => new Date()));
  await controls.start();
  const folder = await temporaryFolder("embedded-kube-");
  const admin: Connection = { server: controls.url, token: controls.identities.adminToken };
  let written = 0;
  return {
    kind: "embedded",
    server: controls.url,
    controls,
    adminKubeconfig: await writeKubeconfig(folder.path, "admin", admin),
    kubeconfigFor: async (account) => {
      written += 1;
      const token = await requestToken(admin, account);
      return writeKubeconfig(folder.path, `${account.namespace}-${account.name}-${written}`, { ...admin, token });
    },
    request: (method, path, body, headers = {}) => send(admin, { method, path, body, headers }),
    apply: (text, { namespace } = {}) => applyYaml(admin, text, namespace),
    waitFor,
    restart: async () => {
      await controls.stop();
      await controls.start();
    },
    compact: async () => controls.compact(),
    stop: async () => {
      await controls.stop();
      folder.remove();
    },
  };
}
