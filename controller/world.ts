// What the controller keeps of the cluster, and which objects a change of it concerns. Environments are kept parsed; of
// BoundSecrets, namespaces and key Secrets only metadata is asked for, so no ciphertext piles up and no key is cached here.
import type { Clock } from "./clock.ts";
import { type EnvironmentResource, type NamespaceView, parseEnvironment } from "./environment-resource.ts";
import type { KubeClient } from "./kube-client.ts";
import { ListWatch } from "./list-watch.ts";
import type { Log } from "./log.ts";
import { type EnvironmentObject, type KubeObject, type ObjectMeta, paths } from "./resources.ts";

export interface WorldOptions {
  readonly client: KubeClient;
  readonly ownNamespace: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes the key of an object that should be looked at. */
  readonly enqueue: (key: string) => void;
  /** What was read from this key Secret should not be relied on any more. */
  readonly onKeySecret: (name: string) => void;
  /** What was kept for an Environment should not be relied on any more. */
  readonly onEnvironment: () => void;
}

export class World {
  readonly #options: WorldOptions;
  readonly #parsed = new Map<string, EnvironmentResource>();
  readonly #boundSecrets: ListWatch<KubeObject>;
  readonly #environments: ListWatch<EnvironmentObject>;
  readonly #namespaces: ListWatch<KubeObject>;
  readonly #keySecrets: ListWatch<KubeObject>;

  constructor(options: WorldOptions) {
    this.#options = options;
    const { client, clock, log, ownNamespace } = options;
    const metadata = { client, clock, log, metadataOnly: true, trim: trimToMetadata };
    this.#boundSecrets = new ListWatch({
      ...metadata,
      path: paths.boundSecrets,
      onChange: (now, before) => this.#onBoundSecret(now, before),
    });
    this.#namespaces = new ListWatch({
      ...metadata,
      path: paths.namespaces,
      onChange: (now, before) => this.#onNamespace(now, before),
    });
    this.#keySecrets = new ListWatch({
      ...metadata,
      path: paths.secrets(ownNamespace),
      onChange: (now, before) => this.#onKeySecret(now, before),
    });
    this.#environments = new ListWatch({
      client,
      clock,
      log,
      path: paths.environments,
      metadataOnly: false,
      trim: ({ metadata: meta, spec }) => ({ metadata: trimMeta(meta), spec }),
      onChange: (now, before) => this.#onEnvironment(now, before),
    });
  }

  /** Resolves when everything has been listed once; keeps up with changes until the signal aborts. */
  async run(signal: AbortSignal): Promise<{ readonly ended: Promise<unknown> }> {
    const watches = [this.#environments, this.#namespaces, this.#keySecrets, this.#boundSecrets];
    const ended = Promise.all(watches.map((watch) => watch.run(signal)));
    await Promise.race([Promise.all(watches.map(({ synced }) => synced)), ended]);
    return { ended };
  }

  environments(): Iterable<EnvironmentResource> {
    return this.#parsed.values();
  }

  /** With the labels as last seen; null for a namespace that the watch has not shown yet, which brings its objects back. */
  namespace(name: string): NamespaceView | null {
    const seen = this.#namespaces.objects.get(name);
    return seen === undefined ? null : namespaceView(seen);
  }

  keySecretVersion(name: string): string | undefined {
    return this.#keySecrets.objects.get(`${this.#options.ownNamespace}/${name}`)?.metadata.resourceVersion;
  }

  #onBoundSecret(current: KubeObject | undefined, previous: KubeObject | undefined): void {
    // Our own status writes come back here; they change neither uid nor generation.
    if (current === undefined || isSameSpec(current, previous)) return;
    this.#options.enqueue(boundSecretKey(current.metadata));
  }

  #onEnvironment(current: EnvironmentObject | undefined, previous: EnvironmentObject | undefined): void {
    const name = (current ?? previous)?.metadata.name ?? "";
    const before = this.#parsed.get(name);
    if (current === undefined) this.#parsed.delete(name);
    else if (isSameSpec(current, previous)) return;
    else this.#parsed.set(name, parseEnvironment(current));
    if (current !== undefined) this.#options.enqueue(`environment/${name}`);
    this.#options.onEnvironment();
    // Keys that no Environment names any more have no business in memory; those still named are read again.
    for (const { secret } of before?.identityRefs ?? []) this.#options.onKeySecret(secret);
    const after = this.#parsed.get(name);
    this.#enqueueWhere((namespace) =>
      [before, after].some((one) => one !== undefined && one.governs(namespace) !== null),
    );
  }

  #onNamespace(current: KubeObject | undefined, previous: KubeObject | undefined): void {
    if (current === undefined || isSameLabels(current, previous)) return;
    this.#enqueueWhere(({ name }) => name === current.metadata.name);
  }

  #onKeySecret(current: KubeObject | undefined, previous: KubeObject | undefined): void {
    const secret = (current ?? previous)?.metadata.name ?? "";
    this.#options.onKeySecret(secret);
    const concerned = [...this.#parsed.values()].filter(({ identityRefs }) =>
      identityRefs.some((ref) => ref.secret === secret),
    );
    for (const { name } of concerned) this.#options.enqueue(`environment/${name}`);
    this.#enqueueWhere((namespace) => concerned.some((environment) => environment.governs(namespace) !== null));
  }

  #enqueueWhere(concerns: (namespace: NamespaceView) => boolean): void {
    const answers = new Map<string, boolean>();
    const isConcerned = (name: string): boolean => {
      const namespace = this.namespace(name);
      return namespace !== null && concerns(namespace);
    };
    for (const { metadata } of this.#boundSecrets.objects.values()) {
      const { namespace = "" } = metadata;
      const answer = answers.get(namespace) ?? isConcerned(namespace);
      answers.set(namespace, answer);
      if (answer) this.#options.enqueue(boundSecretKey(metadata));
    }
  }
}

export const namespaceView = ({ metadata: { name, labels = {} } }: KubeObject): NamespaceView => ({ name, labels });

const boundSecretKey = ({ namespace = "", name }: ObjectMeta): string => `boundsecret/${namespace}/${name}`;

function isSameSpec(current: KubeObject, previous: KubeObject | undefined): boolean {
  return (
    previous?.metadata.uid === current.metadata.uid && previous.metadata.generation === current.metadata.generation
  );
}

function isSameLabels(current: KubeObject, previous: KubeObject | undefined): boolean {
  const entries = (object: KubeObject | undefined): string =>
    JSON.stringify(Object.entries(object?.metadata.labels ?? {}).sort());
  return previous !== undefined && entries(current) === entries(previous);
}

const trimToMetadata = ({ metadata }: KubeObject): KubeObject => ({ metadata: trimMeta(metadata) });

/** Without managedFields and annotations, which are most of an object's metadata and decide nothing here. */
function trimMeta({ name, namespace, uid, resourceVersion, generation, labels }: ObjectMeta): ObjectMeta {
  return {
    name,
    uid,
    resourceVersion,
    ...(namespace === undefined ? {} : { namespace }),
    ...(generation === undefined ? {} : { generation }),
    ...(labels === undefined ? {} : { labels }),
  };
}
