// The faults that a test scripts: which request fails, how, and which hang until they are released. Without a script
// every request is answered. Knows no HTTP: the server carries out what is decided here.

/** An answer other than the right one. `reset` drops the connection, `hang` answers nothing until release(). */
export type Fault = "throttle" | "internal" | "unavailable" | "expired" | "denied" | "reset" | "hang" | Delay;

export interface Delay {
  readonly delayMs: number;
  /** What comes after it; left out, the right answer. */
  readonly fault?: Exclude<Fault, Delay>;
}

/** What a script may look at. */
export interface FaultRequest {
  readonly service: "kms" | "sts";
  readonly operation: string;
  /** As the request names it. */
  readonly keyId: string | undefined;
  readonly region: string;
  /** How many requests of this operation came since use(), with this one. */
  readonly count: number;
  /** How many requests came at all since use(), with this one. */
  readonly total: number;
}

export type FaultScript = (request: FaultRequest) => Fault | undefined;

export class Faults {
  #script: FaultScript | undefined;
  readonly #queue: (Fault | undefined)[] = [];
  readonly #counts = new Map<string, number>();
  #total = 0;
  #hanging: (() => void)[] = [];
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  /** Decides for every request that the queue has nothing for; counts from now on. */
  use(script: FaultScript): void {
    this.#script = script;
    this.#counts.clear();
    this.#total = 0;
  }

  /** For the next requests, one each; undefined lets one pass. */
  next(...faults: readonly (Fault | undefined)[]): void {
    this.#queue.push(...faults);
  }

  /** No more faults, and what hangs is answered. */
  clear(): void {
    this.#script = undefined;
    this.#queue.length = 0;
    this.release();
  }

  /** Answers what hangs, rightly. */
  release(): void {
    const hanging = this.#hanging;
    this.#hanging = [];
    for (const go of hanging) go();
  }

  get hanging(): number {
    return this.#hanging.length;
  }

  /** Resolves as soon as so many requests hang, so that a test need not sleep. */
  whenHanging(count: number): Promise<void> {
    if (this.#hanging.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  /** For the server: what to do with this request. */
  decide(request: Omit<FaultRequest, "count" | "total">): Fault | undefined {
    const count = (this.#counts.get(request.operation) ?? 0) + 1;
    this.#counts.set(request.operation, count);
    this.#total += 1;
    if (this.#queue.length > 0) return this.#queue.shift();
    return this.#script?.({ ...request, count, total: this.#total });
  }

  /** For the server: resolves when the request may go on, or its sender has gone away. */
  async hang(gone: Promise<void>): Promise<void> {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#hanging.push(release);
    const reached = this.#waiting.filter(({ count }) => this.#hanging.length >= count);
    this.#waiting = this.#waiting.filter((waiting) => !reached.includes(waiting));
    for (const { resolve } of reached) resolve();
    await Promise.race([released, gone]);
    this.#hanging = this.#hanging.filter((other) => other !== release);
  }
}
