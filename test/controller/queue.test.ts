import { describe, expect, it } from "vitest";
import { backoffMs } from "../../controller/clock.ts";
import { WorkQueue, type WorkResult } from "../../controller/queue.ts";
import { FakeClock, turns } from "./fake-clock.ts";

interface Desk {
  readonly clock: FakeClock;
  readonly queue: WorkQueue;
  readonly done: string[];
  readonly errors: unknown[];
  /** Ends the work on a key. */
  finish(key: string, result: WorkResult | Error): Promise<void>;
}

const settled: WorkResult = { kind: "again", afterMs: 600_000 };

function desk(workers = 2): Desk {
  const clock = new FakeClock();
  const done: string[] = [];
  const errors: unknown[] = [];
  const open = new Map<string, (result: WorkResult | Error) => void>();
  const queue = new WorkQueue({
    clock,
    workers,
    baseMs: 1000,
    capMs: 300_000,
    random: () => 1,
    laneOf: (key) => key.split("/")[0] ?? "",
    onError: (_, error) => errors.push(error),
    work: (key) => {
      done.push(key);
      return new Promise((resolve, reject) => {
        open.set(key, (result) => (result instanceof Error ? reject(result) : resolve(result)));
      });
    },
  });
  const finish = async (key: string, result: WorkResult | Error): Promise<void> => {
    await turns();
    open.get(key)?.(result);
    await turns();
  };
  return { clock, queue, done, errors, finish };
}

describe("work queue", () => {
  it("waits for the start, and takes a key that was added twice once", async () => {
    const { queue, done } = desk();
    queue.add("a");
    queue.add("a");
    await turns();
    expect(done).toEqual([]);
    queue.start();
    await turns();
    expect(done).toEqual(["a"]);
  });

  it("never works on one key twice at a time, and looks again when it was added meanwhile", async () => {
    const { queue, done, finish } = desk();
    queue.start();
    queue.add("a");
    await turns();
    queue.add("a");
    await turns();
    expect(done).toEqual(["a"]);
    await finish("a", settled);
    expect(done).toEqual(["a", "a"]);
  });

  it("works on as many keys at a time as it has workers", async () => {
    const { queue, done, finish } = desk(2);
    queue.start();
    for (const key of ["a", "b", "c"]) queue.add(key);
    await turns();
    expect(done).toEqual(["a", "b"]);
    expect(queue.isIdle()).toBe(false);
    await finish("a", settled);
    expect(done).toEqual(["a", "b", "c"]);
    await finish("b", settled);
    await finish("c", settled);
    expect(queue.isIdle()).toBe(true);
  });

  it("takes turns between lanes, so that a long one holds up no other", async () => {
    const { queue, done, finish } = desk(1);
    for (const key of ["a/1", "a/2", "a/3", "b/1", "c/1", "b/2"]) queue.add(key);
    queue.start();
    await turns();
    queue.add("d/1");
    for (let index = 0; index < 7; index++) await finish(done.at(-1) ?? "", settled);
    expect(done).toEqual(["a/1", "b/1", "c/1", "a/2", "d/1", "b/2", "a/3"]);
    expect(queue.isIdle()).toBe(true);
  });

  it("retries for ever, twice as late each time, at most every five minutes", async () => {
    const { clock, queue, finish } = desk();
    queue.start();
    queue.add("a");
    const delays: number[] = [];
    for (let failure = 0; failure < 12; failure++) {
      await finish("a", { kind: "retry" });
      const [delay = 0] = clock.pending();
      delays.push(delay);
      await clock.advance(delay);
    }
    expect(delays.slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 16_000]);
    expect(delays.slice(-3)).toEqual([300_000, 300_000, 300_000]);
  });

  it("starts the back-off anew after a success", async () => {
    const { clock, queue, finish } = desk();
    queue.start();
    queue.add("a");
    for (const result of [
      { kind: "retry" },
      { kind: "retry" },
      { kind: "again", afterMs: 5 },
      { kind: "retry" },
    ] as const) {
      await finish("a", result);
      await clock.advance(clock.pending()[0] ?? 0);
    }
    await finish("a", { kind: "retry" });
    expect(clock.pending()).toEqual([2000]);
  });

  it("cuts a back-off short when the world changes", async () => {
    const { clock, queue, done, finish } = desk();
    queue.start();
    queue.add("a");
    await finish("a", { kind: "retry", afterMs: 60_000 });
    expect(clock.pending()).toEqual([60_000]);
    queue.add("a");
    await turns();
    expect(done).toEqual(["a", "a"]);
    expect(clock.pending()).toEqual([]);
  });

  it("retries a key whose work threw, and reports the error", async () => {
    const { clock, queue, done, errors, finish } = desk();
    queue.start();
    queue.add("a");
    await finish("a", new TypeError("bug"));
    expect(errors).toHaveLength(1);
    await clock.advance(1000);
    expect(done).toEqual(["a", "a"]);
  });

  it("looks again at a settled key after the resync, and forgets one that is gone", async () => {
    const { clock, queue, done, finish } = desk();
    queue.start();
    queue.add("a");
    await finish("a", settled);
    await clock.advance(599_999);
    expect(done).toEqual(["a"]);
    await clock.advance(1);
    expect(done).toEqual(["a", "a"]);
    await finish("a", { kind: "forget" });
    expect(clock.pending()).toEqual([]);
  });

  it("stops after the work at hand and takes no more", async () => {
    const { clock, queue, done, finish } = desk(1);
    queue.start();
    queue.add("a");
    queue.add("b");
    await turns();
    let stopped = false;
    const stopping = queue.stop().then(() => {
      stopped = true;
    });
    await turns();
    expect(stopped).toBe(false);
    await finish("a", settled);
    await stopping;
    queue.add("c");
    await clock.advance(1_000_000);
    expect(done).toEqual(["a"]);
  });
});

describe("backoffMs()", () => {
  it.each([
    [1, 0, 500],
    [1, 1, 1000],
    [3, 1, 4000],
    [3, 0, 2000],
    [1000, 1, 60_000],
  ])("after %i failures and with jitter %d is %i", (failures, random, expected) => {
    expect(backoffMs(failures, { baseMs: 1000, capMs: 60_000 }, random)).toBe(expected);
  });
});
