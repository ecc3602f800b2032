// Stands between callers and KMS: no more than so many calls at once, and no call to a key that has just failed several
// times in a row. Knows what `key-unreachable` means and nothing about AWS.
import { SealwardError } from "./errors.ts";

export interface GuardOptions {
  /** Calls at the same time, over all keys. */
  readonly maxInFlight: number;
  /** Failures in a row after which a key is left alone. */
  readonly failures: number;
  /** For how long, in milliseconds; then one call tries whether it is back. */
  readonly pauseMs: number;
  /** Milliseconds, of whatever beginning. */
  readonly now: () => number;
}

interface Health {
  failures: number;
  /** The last failure in our words. */
  said: string;
  /** No call before this time. */
  until: number;
  isProbing: boolean;
}

/** Only what may pass by itself opens the breaker: a refusal is an answer, and the key is there to give it. */
export class KmsGuard {
  readonly #options: GuardOptions;
  readonly #waiting: (() => void)[] = [];
  readonly #health = new Map<string, Health>();
  #inFlight = 0;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** Runs the call for this key when its turn comes. @throws key-unreachable at once while the key is left alone */
  async run<T>(arn: string, call: () => Promise<T>): Promise<T> {
    this.#assertClosed(arn);
    if (this.#inFlight >= this.#options.maxInFlight) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inFlight++;
    try {
      // What came first may have failed while this one waited for its turn.
      this.#assertClosed(arn);
      return await this.#watched(arn, call);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inFlight--;
      else next();
    }
  }

  #assertClosed(arn: string): void {
    const health = this.#health.get(arn);
    if (health === undefined || health.failures < this.#options.failures) return;
    const now = this.#options.now();
    if (now >= health.until && !health.isProbing) return;
    // In the words of the last failure, with nothing that counts: who shows it is not to show it anew each time.
    throw new SealwardError("key-unreachable", health.said);
  }

  async #watched<T>(arn: string, call: () => Promise<T>): Promise<T> {
    const before = this.#health.get(arn);
    const isProbe = before !== undefined && before.failures >= this.#options.failures;
    if (isProbe) before.isProbing = true;
    try {
      const answer = await call();
      this.#health.delete(arn);
      return answer;
    } catch (problem) {
      if (problem instanceof SealwardError && problem.code === "key-unreachable")
        this.#failed(arn, problem.message, isProbe);
      else this.#health.delete(arn);
      throw problem;
    }
  }

  #failed(arn: string, said: string, isProbe: boolean): void {
    const now = this.#options.now();
    const before = this.#health.get(arn);
    const failures = (before?.failures ?? 0) + 1;
    const until = failures >= this.#options.failures ? now + this.#options.pauseMs : 0;
    // A call from before the pause says nothing of the probe that is out.
    const isProbing = !isProbe && before?.isProbing === true;
    this.#health.set(arn, { failures, said, until, isProbing });
  }
}
