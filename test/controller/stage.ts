// A cluster with deploy/ applied, two environments with their keys, and the controller, for tests to play on. Everything
// goes over HTTP; the controller has the rights of its ServiceAccount and no others.
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import type { Clock } from "../../controller/clock.ts";
import { type Controller, type ControllerOptions, startController } from "../../controller/controller.ts";
import { createKubeClient, type KubeClient } from "../../controller/kube-client.ts";
import { loadKubeAccess } from "../../controller/kube-config.ts";
import { createLog } from "../../controller/log.ts";
import type { BoundSecret, Condition, EnvironmentObject, KubeObject } from "../../controller/resources.ts";
import { AwsKms, type EnvironmentPolicy, generateAgeIdentity, type Scope, sealManifest } from "../../src/index.ts";
import type { TestCluster } from "../support/kube/cluster.ts";

export interface StoredSecret extends KubeObject {
  readonly type: string;
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
}

export interface Keyed {
  readonly policy: EnvironmentPolicy;
  readonly secretKey: string;
}

export const ownNamespace = "sealward-system";
/** Stands in every value that is sealed here, and may be found nowhere but in Secrets. */
export const canary = "CANARY-5f1e0c7a9b";

/** What a controller is started with, where a test has its own. */
export type Surroundings = Partial<Pick<ControllerOptions, "aws" | "clock" | "resyncMs" | "dataKeyCacheMs" | "random">>;

/** No test reaches the real AWS, whatever the machine is signed in to. */
const nobody = { endpoint: "http://127.0.0.1:9", credentials: { accessKeyId: "AKIATEST", secretAccessKey: "none" } };

export const wallClock: Clock = {
  now: Date.now,
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

export function keyed(name: string, change: Partial<EnvironmentPolicy> = {}): Keyed {
  const { identity, secretKey } = generateAgeIdentity();
  const policy: EnvironmentPolicy = {
    name,
    ageRecipients: [identity.recipient],
    kmsRecipients: [],
    paths: [],
    namespaces: [],
    defaultScope: "strict",
    scopes: ["strict", "namespace", "environment"],
    strictRecipients: false,
    acceptedUnbound: [],
    ...change,
  };
  return { policy, secretKey };
}

export function environmentObject({ policy }: Keyed, namespaces: object, change: object = {}): object {
  return {
    apiVersion: "sealward.dev/v1alpha1",
    kind: "Environment",
    metadata: { name: policy.name },
    spec: {
      namespaces,
      identities: [{ age: { secretRef: { name: `sealward-age-${policy.name}` } } }],
      recipients: { age: policy.ageRecipients },
      scopes: policy.scopes,
      ...change,
    },
  };
}

export function keySecret({ policy, secretKey }: Keyed): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `sealward-age-${policy.name}`, namespace: ownNamespace },
    stringData: { identity: `# for tests\n${secretKey}\n` },
  };
}

export interface Plain {
  readonly name: string;
  readonly namespace: string;
  readonly values?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly scope?: Scope;
  /** More lines under metadata, indented by two. */
  readonly metadata?: string;
}

/** A manifest with the canary in it, sealed. */
export async function seal({ policy }: Keyed, plain: Plain): Promise<string> {
  const { name, namespace, values = { PASSWORD: canary }, type = "Opaque", scope, metadata = "" } = plain;
  const lines = Object.entries(values).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}\n`);
  const text = `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\n${metadata}type: ${type}\nstringData:\n${lines.join("")}`;
  return (await sealManifest(text, { environment: policy, now: new Date(), ...(scope === undefined ? {} : { scope }) }))
    .text;
}

export class Stage {
  readonly cluster: TestCluster;
  readonly kubeconfig: string;
  readonly client: KubeClient;
  readonly prod: Keyed = keyed("prod");
  readonly staging: Keyed = keyed("staging");
  readonly log: string[] = [];
  #controller: Controller | undefined;
  #surroundings: Surroundings = {};
  readonly #closeClient: () => void;

  private constructor(cluster: TestCluster, kubeconfig: string, connection: { client: KubeClient; close: () => void }) {
    this.cluster = cluster;
    this.kubeconfig = kubeconfig;
    this.client = connection.client;
    this.#closeClient = connection.close;
  }

  /** prod governs payments and ledger, staging governs shop. */
  static async open(start: () => Promise<TestCluster>): Promise<Stage> {
    const cluster = await start();
    const { resources } = parse(await readFile("deploy/kustomization.yaml", "utf8")) as { resources: string[] };
    for (const file of resources) await cluster.apply(await readFile(`deploy/${file}`, "utf8"));
    const kubeconfig = await cluster.kubeconfigFor({ namespace: ownNamespace, name: "sealward-controller" });
    const access = await loadKubeAccess({ kubeconfig, inCluster: false, now: Date.now });
    const stage = new Stage(cluster, kubeconfig, { client: createKubeClient(access), close: () => access.close() });
    for (const name of ["payments", "ledger", "shop"]) await stage.namespace(name);
    for (const key of [stage.prod, stage.staging]) await stage.apply(keySecret(key));
    await stage.apply(environmentObject(stage.prod, { names: ["payments", "ledger"] }));
    await stage.apply(environmentObject(stage.staging, { names: ["shop"] }));
    return stage;
  }

  async close(): Promise<void> {
    await this.stopController();
    this.#closeClient();
    await this.cluster.stop();
  }

  /** `change` stands between the controller and the API server. */
  async startController(change: Partial<KubeClient> = {}, surroundings: Surroundings = {}): Promise<void> {
    this.#surroundings = surroundings;
    this.#controller = startController({
      client: { ...this.client, ...change },
      ownNamespace,
      workers: 2,
      instance: "test",
      clock: wallClock,
      aws: new AwsKms({ sessionName: "test", now: Date.now, ...nobody }),
      ...surroundings,
      log: createLog((line) => this.log.push(line), Date.now),
    });
    await this.#controller.started;
  }

  async stopController(): Promise<void> {
    await this.#controller?.stop();
    this.#controller = undefined;
  }

  async apply(object: object): Promise<void> {
    await this.cluster.apply(JSON.stringify(object));
  }

  async namespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  }

  async bind(namespace: string, name: string, document: string): Promise<void> {
    await this.apply({
      apiVersion: "sealward.dev/v1alpha1",
      kind: "BoundSecret",
      metadata: { name, namespace },
      spec: { document },
    });
  }

  async controllerToken(): Promise<string> {
    const { users } = parse(await readFile(this.kubeconfig, "utf8")) as { users: { user: { token: string } }[] };
    return users[0]?.user.token ?? "";
  }

  async remove(path: string): Promise<void> {
    const { status } = await this.cluster.request("DELETE", path);
    if (status >= 300) throw new Error(`cannot delete ${path}: ${status}`);
  }

  async secret(namespace: string, name: string): Promise<StoredSecret | null> {
    const { status, body } = await this.cluster.request("GET", `/api/v1/namespaces/${namespace}/secrets/${name}`);
    return status === 404 ? null : (body as StoredSecret);
  }

  async boundSecret(namespace: string, name: string): Promise<BoundSecret> {
    const path = `/apis/sealward.dev/v1alpha1/namespaces/${namespace}/boundsecrets/${name}`;
    return (await this.cluster.request("GET", path)).body as BoundSecret;
  }

  /** Waits until Ready has this reason for the present generation; gives all conditions by type. */
  async untilReason(namespace: string, name: string, reason: string): Promise<Record<string, Condition>> {
    return this.#until(`BoundSecret ${namespace}/${name}`, reason, () => this.boundSecret(namespace, name));
  }

  async untilEnvironment(name: string, reason: string): Promise<Record<string, Condition>> {
    const path = `/apis/sealward.dev/v1alpha1/environments/${name}`;
    const read = async (): Promise<EnvironmentObject> =>
      (await this.cluster.request("GET", path)).body as EnvironmentObject;
    return this.#until(`Environment ${name}`, reason, read);
  }

  async #until(
    what: string,
    reason: string,
    read: () => Promise<BoundSecret | EnvironmentObject>,
  ): Promise<Record<string, Condition>> {
    return this.cluster.waitFor(`${what} to be ${reason}`, async () => {
      const { metadata, status } = await read();
      const conditions = Object.fromEntries((status?.conditions ?? []).map((one) => [one.type, one]));
      const ready = conditions["Ready"];
      if (ready?.reason === reason && ready.observedGeneration === metadata.generation) return conditions;
      throw new Error(`it is ${ready?.reason ?? "without status"}: ${ready?.message ?? ""}`);
    });
  }

  async events(
    namespace: string,
  ): Promise<readonly { reason: string; note: string; type: string; regarding: { name: string } }[]> {
    const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
    const { body } = await this.cluster.request("GET", path);
    return (body as { items: { reason: string; note: string; type: string; regarding: { name: string } }[] }).items;
  }

  /**
   * Starts the controller anew, so that it looks at everything once more, and gives the names of all objects that were
   * written meanwhile. Level-triggered means: none.
   */
  async changedBySecondPass(): Promise<string[]> {
    await this.idle();
    const before = await this.versions();
    await this.stopController();
    await this.startController({}, this.#surroundings);
    await this.idle();
    const after = await this.versions();
    return [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
  }

  async idle(): Promise<void> {
    await this.cluster.waitFor(
      "the controller to have nothing to do",
      async () => this.#controller?.isIdle() || undefined,
    );
  }

  /** Everything that must be free of plaintext: logs, events, statuses. */
  async spoken(): Promise<string> {
    const paths = [
      "/apis/events.k8s.io/v1/events",
      "/apis/sealward.dev/v1alpha1/boundsecrets",
      "/apis/sealward.dev/v1alpha1/environments",
    ];
    const bodies = await Promise.all(
      paths.map(async (path) => {
        const { items } = (await this.cluster.request("GET", path)).body as { items: { spec?: unknown }[] };
        return items.map(({ spec: _, ...rest }) => rest);
      }),
    );
    return this.log.join("") + JSON.stringify(bodies);
  }

  async versions(): Promise<Map<string, string>> {
    const versions = new Map<string, string>();
    for (const path of [
      "/api/v1/secrets",
      "/apis/sealward.dev/v1alpha1/boundsecrets",
      "/apis/sealward.dev/v1alpha1/environments",
    ]) {
      const { body } = await this.cluster.request("GET", path);
      for (const { metadata, type } of (body as { items: (KubeObject & { type?: string })[] }).items) {
        if (type === "kubernetes.io/service-account-token") continue;
        versions.set(`${path} ${metadata.namespace ?? ""}/${metadata.name}`, metadata.resourceVersion);
      }
    }
    return versions;
  }
}
