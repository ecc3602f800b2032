// A clock that stands still until a test moves it. Timers fire in order; work that they start is given turns to run.
import type { Clock } from "../../controller/clock.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #now = Date.parse("2026-01-01T00:00:00Z");
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Milliseconds until each timer that is set, soonest first. */
  pending(): number[] {
    return this.#timers.map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await turns();
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#now = next.at;
      next.callback();
      await turns();
    }
    this.#now = end;
    await turns();
  }
}

/** Lets everything that is ready to run, run. */
export function turns(): Promise<void> {
  // Every promise that is settled has run its callbacks before the event loop comes round to this.
  return new Promise((resolve) => setImmediate(resolve));
}
