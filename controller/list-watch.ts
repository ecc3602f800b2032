// Keeps a local copy of one collection: paged LIST, then WATCH with bookmarks, for ever. Resumes from the last
// resourceVersion after any break, lists again only when the server has forgotten it (410) or nothing else helps, and
// backs off on every end that brought nothing. Knows nothing about what the objects are for.
import { backoffMs, type Clock, sleep } from "./clock.ts";
import { isClusterError, toClusterError } from "./cluster-error.ts";
import type { KubeClient } from "./kube-client.ts";
import { describeUnexpected, type Log } from "./log.ts";
import type { KubeObject } from "./resources.ts";

export interface ListWatchOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly path: string;
  /** Ask for metadata alone; the copies then hold nothing else. */
  readonly metadataOnly: boolean;
  /** Cuts an object down to what is worth keeping. */
  readonly trim: (object: T) => T;
  /** Called for every difference; `current` is undefined for a deletion. Must not throw. */
  readonly onChange: (current: T | undefined, previous: T | undefined) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly pageSize?: number;
  readonly silenceMs?: number;
  readonly baseMs?: number;
  readonly capMs?: number;
  readonly random?: () => number;
}

/** How long the server may keep one watch open; it is renewed from where it stopped. */
const watchSeconds = 300;
/** A watch that lasted this long was healthy even if nothing happened. */
const healthyMs = 30_000;
/** So many watches in a row without one event: the version may be from a future that a restore took away. */
const fruitlessLimit = 5;

export class ListWatch<T extends KubeObject> {
  readonly objects: Map<string, T> = new Map<string, T>();
  readonly synced: Promise<void>;
  readonly #options: Required<ListWatchOptions<T>>;
  #markSynced: () => void = () => undefined;
  #version: string | undefined;
  #sawEvent = false;

  constructor(options: ListWatchOptions<T>) {
    this.#options = { pageSize: 500, silenceMs: 150_000, baseMs: 250, capMs: 30_000, random: Math.random, ...options };
    this.synced = new Promise((resolve) => {
      this.#markSynced = resolve;
    });
  }

  /** Runs until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    let failures = 0;
    let fruitless = 0;
    while (!signal.aborted) {
      const startedAt = clock.now();
      this.#sawEvent = false;
      const failure = await this.#once(signal);
      if (signal.aborted) return;
      fruitless = this.#sawEvent ? 0 : fruitless + 1;
      if (isClusterError(failure, "gone") || fruitless >= fruitlessLimit) {
        this.#version = undefined;
        fruitless = 0;
      }
      failures = this.#sawEvent || (failure === undefined && clock.now() - startedAt >= healthyMs) ? 1 : failures + 1;
      const delayMs = Math.max(this.#retryAfterMs(failure), backoffMs(failures, this.#options, random()));
      if (failure !== undefined) this.#report(failure, failures, delayMs);
      await sleep(clock, delayMs, signal);
    }
  }

  async #once(signal: AbortSignal): Promise<unknown> {
    try {
      this.#version ??= await this.#list();
      await this.#watch(this.#version, signal);
      return undefined;
    } catch (error) {
      return error ?? new Error("unknown");
    }
  }

  async #list(): Promise<string> {
    const { client, path, metadataOnly, pageSize } = this.#options;
    const found = new Map<string, T>();
    let next = "";
    let version = "";
    do {
      const query = { limit: String(pageSize), ...(next === "" ? {} : { continue: next }) };
      const page = await client.list<T>(path, query, { metadataOnly });
      for (const object of page.items) found.set(keyOf(object), this.#options.trim(object));
      version = page.resourceVersion;
      next = page.continue;
    } while (next !== "");
    for (const key of [...this.objects.keys()]) if (!found.has(key)) this.#set(key, undefined);
    for (const [key, object] of found) this.#set(key, object);
    this.#markSynced();
    return version;
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { client, path, metadataOnly, silenceMs } = this.#options;
    const query = { resourceVersion, allowWatchBookmarks: "true", timeoutSeconds: String(watchSeconds) };
    for await (const { type, object } of client.watch(path, query, { metadataOnly, silenceMs, signal })) {
      if (type === "ERROR") {
        const code = (object as { code?: unknown } | null)?.code;
        throw toClusterError(typeof code === "number" ? code : 500, object, `WATCH ${path}`);
      }
      const current = object as T;
      this.#version = current.metadata.resourceVersion;
      this.#sawEvent = true;
      if (type === "BOOKMARK") continue;
      this.#set(keyOf(current), type === "DELETED" ? undefined : this.#options.trim(current));
    }
  }

  #set(key: string, current: T | undefined): void {
    const previous = this.objects.get(key);
    if (current === undefined) this.objects.delete(key);
    else this.objects.set(key, current);
    if (current?.metadata.resourceVersion === previous?.metadata.resourceVersion) return;
    this.#options.onChange(current, previous);
  }

  #retryAfterMs(failure: unknown): number {
    return isClusterError(failure) ? Math.min(failure.retryAfterMs ?? 0, this.#options.capMs) : 0;
  }

  #report(failure: unknown, attempt: number, delayMs: number): void {
    const { log, path } = this.#options;
    const what = isClusterError(failure) ? { kind: failure.kind } : describeUnexpected(failure);
    log.warn("watch interrupted", { resource: path, attempt, delayMs, ...what });
  }
}

function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
