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

export async function startEmbedded(): Promise<TestCluster> {
  const server = new EmbeddedServer();
  await server.start();
  const folder = await temporaryFolder("embedded-kube-");
  const admin: Connection = { server: server.url, token: server.adminToken };
  for (const name of ["default", "kube-system"])
    await applyYaml(admin, JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name } }));
  let written = 0;
  return {
    kind: "embedded",
    server: server.url,
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
      await server.stop();
      await server.start();
    },
    compact: async () => server.compact(),
    stop: async () => {
      await server.stop();
      folder.remove();
    },
  };
}
