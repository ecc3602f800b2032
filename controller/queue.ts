// The work queue: one entry per key, at most one worker per key, per-key back-off, delayed entries; lanes take turns.
// Knows nothing about what a key means, and gives up on none.
import { backoffMs, type Clock } from "./clock.ts";

/** `again`: done, look again after that long. `retry`: failed, after a back-off (at least `afterMs`). `forget`: the object is gone. */
export type WorkResult =
  | { readonly kind: "again"; readonly afterMs: number }
  | { readonly kind: "retry"; readonly afterMs?: number | undefined }
  | { readonly kind: "forget" };

export interface QueueOptions {
  readonly clock: Clock;
  readonly workers: number;
  readonly work: (key: string) => Promise<WorkResult>;
  /** Keys of one lane are worked on in their order, and lanes in turn: a long one makes no other wait for all of it. */
  readonly laneOf?: (key: string) => string;
  /** Told about everything `work` throws; the key is retried. */
  readonly onError: (key: string, error: unknown) => void;
  readonly baseMs?: number;
  readonly capMs?: number;
  /** 0 to 1, for jitter. */
  readonly random?: () => number;
}

export class WorkQueue {
  readonly #options: Required<QueueOptions>;
  /** By lane; the lane whose turn is next comes first, and none is empty. */
  readonly #ready = new Map<string, Set<string>>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, () => void>();
  readonly #failures = new Map<string, number>();
  #started = false;
  #stopped = false;

  constructor(options: QueueOptions) {
    this.#options = { baseMs: 500, capMs: 300_000, random: Math.random, laneOf: () => "", ...options };
  }

  /** Work on this key soon. Cuts short a delay or a back-off: the world has changed. */
  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelDelay(key);
    if (this.#running.has(key)) this.#dirty.add(key);
    else this.#makeReady(key);
    this.#dispatch();
  }

  addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    this.#cancelDelay(key);
    this.#delayed.set(
      key,
      this.#options.clock.after(ms, () => {
        this.#delayed.delete(key);
        this.add(key);
      }),
    );
  }

  /** Keys added before the start wait for it, so that the first pass sees a complete world. */
  start(): void {
    this.#started = true;
    this.#dispatch();
  }

  /** True when nothing is waiting for a worker and none is busy; delayed keys do not count. */
  isIdle(): boolean {
    return this.#ready.size === 0 && this.#running.size === 0;
  }

  /** Takes no more work and resolves when what is running has finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#ready.clear();
    this.#dirty.clear();
    for (const key of [...this.#delayed.keys()]) this.#cancelDelay(key);
    await Promise.all(this.#running.values());
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.();
    this.#delayed.delete(key);
  }

  #makeReady(key: string): void {
    const lane = this.#options.laneOf(key);
    this.#ready.set(lane, (this.#ready.get(lane) ?? new Set()).add(key));
  }

  #takeReady(): string | undefined {
    const [next] = this.#ready;
    if (next === undefined) return undefined;
    const [lane, keys] = next;
    const [key = ""] = keys;
    keys.delete(key);
    this.#ready.delete(lane);
    if (keys.size > 0) this.#ready.set(lane, keys);
    return key;
  }

  #dispatch(): void {
    while (this.#started && !this.#stopped && this.#running.size < this.#options.workers) {
      const key = this.#takeReady();
      if (key === undefined) return;
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    let result: WorkResult = { kind: "retry" };
    try {
      // A turn of the event loop first: #running must hold the key before any of its work happens.
      await Promise.resolve();
      result = await this.#options.work(key);
    } catch (error) {
      this.#options.onError(key, error);
    }
    this.#running.delete(key);
    this.#settle(key, result);
    this.#dispatch();
  }

  #settle(key: string, result: WorkResult): void {
    const failures = result.kind === "retry" ? (this.#failures.get(key) ?? 0) + 1 : 0;
    if (failures === 0) this.#failures.delete(key);
    else this.#failures.set(key, failures);
    if (this.#dirty.delete(key)) {
      this.add(key);
    } else if (result.kind === "again") {
      this.addAfter(key, result.afterMs);
    } else if (result.kind === "retry") {
      this.addAfter(key, Math.max(result.afterMs ?? 0, backoffMs(failures, this.#options, this.#options.random())));
    }
  }
}
