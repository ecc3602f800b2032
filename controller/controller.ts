// Puts the parts together: watches fill the queue, the queue reconciles. Knows no process; main.ts gives it everything.
import type { AwsKms } from "../src/index.ts";
import type { Clock } from "./clock.ts";
import { isClusterError } from "./cluster-error.ts";
import { IdentityStore } from "./identities.ts";
import { KmsKeys } from "./kms-keys.ts";
import type { KubeClient } from "./kube-client.ts";
import { describeUnexpected, type Log } from "./log.ts";
import { WorkQueue, type WorkResult } from "./queue.ts";
import { reconcile } from "./reconcile.ts";
import { World } from "./world.ts";

export interface ControllerOptions {
  readonly client: KubeClient;
  /** Where key Secrets are, and where nothing is ever opened. */
  readonly ownNamespace: string;
  readonly workers: number;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A settled object is looked at again after about this long, so that drift is repaired. */
  readonly resyncMs?: number;
  /** The calls to AWS KMS. */
  readonly aws: Pick<AwsKms, "as" | "close">;
  /** How long an unwrapped data key is kept; 0 keeps none. */
  readonly dataKeyCacheMs?: number;
  readonly random?: () => number;
}

export interface Controller {
  /** Resolves when the world has been listed and work has begun. */
  readonly started: Promise<void>;
  /** True when the queue has nothing to do but wait. */
  isIdle(): boolean;
  /** Finishes the work at hand, then resolves. */
  stop(): Promise<void>;
}

export function startController(options: ControllerOptions): Controller {
  const { client, ownNamespace, workers, instance, clock, log, resyncMs = 600_000, random = Math.random } = options;
  const { aws, dataKeyCacheMs = 0 } = options;
  const stopping = new AbortController();
  // A lane for each namespace: what a tenant makes this process work on is that tenant's own to wait for.
  const laneOf = (key: string): string => key.slice(0, key.lastIndexOf("/"));
  const queue = new WorkQueue({ clock, workers, random, work, onError, laneOf });
  const world = new World({
    client,
    ownNamespace,
    clock,
    log,
    enqueue: (key) => queue.add(key),
    onKeySecret: (name) => identities.forget(name),
    onEnvironment: () => kmsKeys.forget(),
  });
  const kmsKeys = new KmsKeys({ aws, clock, cacheMs: dataKeyCacheMs });
  const identities = new IdentityStore({ client, ownNamespace, versionOf: (name) => world.keySecretVersion(name) });

  async function work(key: string): Promise<WorkResult> {
    try {
      return await reconcile(key, {
        client,
        world,
        identities,
        kmsKeys,
        ownNamespace,
        instance,
        log,
        now: () => new Date(clock.now()),
        // Spread out, or every restart would bring all objects round at the same moment for ever after.
        resyncMs: () => resyncMs * (0.9 + 0.2 * random()),
      });
    } catch (error) {
      if (!isClusterError(error)) throw error;
      // A conflict means that someone wrote meanwhile: look again, soon. The rest may last.
      log[error.kind === "conflict" ? "info" : "warn"]("will retry", { resource: key, code: error.kind });
      return { kind: "retry", afterMs: error.retryAfterMs };
    }
  }

  function onError(key: string, error: unknown): void {
    log.error("unexpected failure", { resource: key, ...describeUnexpected(error) });
  }

  const running = world.run(stopping.signal);
  const started = running.then(() => {
    if (stopping.signal.aborted) return;
    log.info("started", { workers, namespace: ownNamespace });
    queue.start();
  });
  return {
    started,
    isIdle: () => queue.isIdle(),
    stop: async () => {
      stopping.abort();
      await queue.stop();
      kmsKeys.forget();
      await aws.close();
      await (await running).ended;
      log.info("stopped");
    },
  };
}
