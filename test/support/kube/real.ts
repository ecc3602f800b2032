// Starts a real etcd, kube-apiserver and kube-controller-manager as a test cluster: RBAC, one admin by static token, a
// certificate that the API server makes for itself, all state in a temporary folder. Takes the binaries as they are.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
import { freePort, type Program, RunningProgram } from "./real-process.ts";

interface Place {
  readonly assets: string;
  readonly folder: string;
  readonly etcdPort: number;
  readonly peerPort: number;
  readonly apiPort: number;
}

const startTimeoutMs = 60_000;

const etcd = ({ assets, folder, etcdPort, peerPort }: Place): Program => ({
  binary: join(assets, "etcd"),
  logFile: join(folder, "etcd.log"),
  args: [
    `--data-dir=${join(folder, "etcd")}`,
    `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
    `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
    "--heartbeat-interval=20",
    "--election-timeout=200",
  ],
});

const apiServer = ({ assets, folder, etcdPort, apiPort }: Place): Program => ({
  binary: join(assets, "kube-apiserver"),
  logFile: join(folder, "kube-apiserver.log"),
  args: [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    // Compaction happens when a test asks for it.
    "--etcd-compaction-interval=0",
    `--cert-dir=${join(folder, "certs")}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${apiPort}`,
    "--endpoint-reconciler-type=none",
    "--service-cluster-ip-range=10.0.0.0/24",
    "--anonymous-auth=false",
    "--authorization-mode=RBAC",
    `--token-auth-file=${join(folder, "tokens.csv")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${join(folder, "service-account.pem")}`,
    `--service-account-signing-key-file=${join(folder, "service-account.pem")}`,
    "--profiling=false",
  ],
});

// No `serviceaccount-token`: supported releases no longer put a token Secret into every namespace.
const controllers = [
  "garbagecollector",
  "namespace",
  "serviceaccount",
  "root-ca-cert-publisher",
  "clusterrole-aggregation",
];

const controllerManager = ({ assets, folder }: Place): Program => ({
  binary: join(assets, "kube-controller-manager"),
  logFile: join(folder, "kube-controller-manager.log"),
  args: [
    `--kubeconfig=${join(folder, "admin.kubeconfig")}`,
    `--controllers=${controllers.join(",")}`,
    `--root-ca-file=${join(folder, "certs", "apiserver.crt")}`,
    "--leader-elect=false",
    "--port=0",
    "--secure-port=0",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
  ],
});

function fetchJson(port: number, path: string, body: object): Promise<unknown> {
  return fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body: JSON.stringify(body) }).then((answer) => {
    if (!answer.ok) throw new Error(`etcd refused ${path}: HTTP ${answer.status}`);
    return answer.json();
  });
}

/** Forgets all versions but the current one. */
async function compactEtcd(port: number): Promise<void> {
  const key = Buffer.from("\0").toString("base64");
  const current = (await fetchJson(port, "/v3/kv/range", { key, limit: 1, keys_only: true })) as {
    header: { revision: string };
  };
  await fetchJson(port, "/v3/kv/compaction", { revision: current.header.revision, physical: true });
}

async function writeCredentials(folder: string, token: string): Promise<void> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs1", format: "pem" });
  await writeFile(join(folder, "service-account.pem"), pem, { mode: 0o600 });
  await writeFile(join(folder, "tokens.csv"), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
}

export async function startReal(assets: string): Promise<TestCluster> {
  const token = randomBytes(24).toString("hex");
  const { path: folder, remove } = await temporaryFolder("real-kube-");
  await writeCredentials(folder, token);
  const place: Place = {
    assets,
    folder,
    etcdPort: await freePort(),
    peerPort: await freePort(),
    apiPort: await freePort(),
  };
  const caFile = join(folder, "certs", "apiserver.crt");
  const server = `https://127.0.0.1:${place.apiPort}`;
  const running: RunningProgram[] = [];
  const start = (program: Program): RunningProgram => {
    const started = new RunningProgram(program);
    running.push(started);
    return started;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(running.splice(0).map((program) => program.kill()));
    remove();
  };

  const connect = async (): Promise<Connection> => ({ server, ca: await readFile(caFile, "utf8"), token });
  const startApiServer = async (): Promise<RunningProgram> => {
    const program = start(apiServer(place));
    await waitUntil(program, "the API server to be ready", async () => {
      const { status } = await send(await connect(), { method: "GET", path: "/readyz" });
      return status === 200 || undefined;
    });
    return program;
  };

  try {
    start(etcd(place));
    let api = await startApiServer();
    const admin = await connect();
    const adminKubeconfig = await writeKubeconfig(folder, "admin", admin);
    const manager = start(controllerManager(place));
    await waitUntil(manager, "the controllers to be at work", async () => {
      const path = "/api/v1/namespaces/default/serviceaccounts/default";
      return (await send(admin, { method: "GET", path })).status === 200 || undefined;
    });
    const restart = async (meanwhile: () => Promise<void> = async () => undefined): Promise<void> => {
      running.splice(running.indexOf(api), 1);
      await api.kill();
      await meanwhile();
      api = await startApiServer();
    };
    let written = 0;
    return {
      kind: "real",
      server,
      caFile,
      adminKubeconfig,
      kubeconfigFor: async (account) => {
        written += 1;
        const accountToken = await requestToken(admin, account);
        return writeKubeconfig(folder, `${account.namespace}-${account.name}-${written}`, {
          ...admin,
          token: accountToken,
        });
      },
      request: (method, path, body, headers = {}) => send(admin, { method, path, body, headers }),
      apply: (text, { namespace } = {}) => applyYaml(admin, text, namespace),
      waitFor,
      restart: () => restart(),
      // The API server answers old watches from its own memory, so it has to forget as well.
      compact: () => restart(() => compactEtcd(place.etcdPort)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function waitUntil(program: RunningProgram, what: string, probe: () => Promise<true | undefined>): Promise<void> {
  let ended: unknown;
  await waitFor(
    what,
    async () => {
      try {
        program.assertRunning();
      } catch (error) {
        ended = error;
        return true;
      }
      return probe();
    },
    startTimeoutMs,
  );
  if (ended !== undefined) throw ended;
}
