import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SealwardError } from "../../src/index.ts";
import { KmsGuard } from "../../src/kms-guard.ts";
import { expectRefusal } from "../support/sealing.ts";

const one = "arn:aws:kms:eu-west-1:111122223333:key/one";
const other = "arn:aws:kms:eu-west-1:111122223333:key/other";
const pauseMs = 10_000;

/** A call that ends when the test says so. */
interface Call {
  readonly name: string;
  answer(): Promise<void>;
  fail(problem: unknown): Promise<void>;
}

const away = () => new SealwardError("key-unreachable", "AWS is not available");
const refused = () => new SealwardError("key-refused", "the key is disabled");

/** A guard with a clock, and every call that it let through, in order. */
function guarded(maxInFlight = 16) {
  const clock = { now: 1_000_000 };
  const guard = new KmsGuard({ maxInFlight, failures: 3, pauseMs, now: () => clock.now });
  const started: Call[] = [];
  const run = (arn: string, name = arn): Promise<string> => {
    const running = guard.run(
      arn,
      () =>
        new Promise<string>((resolve, reject) => {
          started.push({
            name,
            answer: () => settled(() => resolve(name)),
            fail: (problem) => settled(() => reject(problem)),
          });
        }),
    );
    // A test looks at the outcome when it is its turn.
    running.catch(() => undefined);
    return running;
  };
  /** One call that ends at once. */
  const failing = (arn: string, problem: unknown) => guard.run(arn, () => Promise.reject(problem)).catch((e) => e);
  const opened = async (arn: string): Promise<void> => {
    for (let count = 0; count < 3; count++) await failing(arn, away());
  };
  const names = () => started.map(({ name }) => name);
  const call = (index: number): Call => {
    const found = started[index];
    if (found === undefined) throw new Error(`call ${index} has not started`);
    return found;
  };
  return { clock, guard, run, failing, opened, names, call };
}

/** Everything that follows from it has happened afterwards: only promises are involved. */
async function settled(act: () => void): Promise<void> {
  act();
  await new Promise((resolve) => setImmediate(resolve));
}

describe("the bound on calls at the same time", () => {
  it("holds over all keys, and lets the next one in, first come first served", async () => {
    const { run, names, call } = guarded(2);
    const all = ["a", "b", "c", "d", "e"].map((name, index) => run(index % 2 === 0 ? one : other, name));
    expect(names()).toEqual(["a", "b"]);
    await call(1).answer();
    expect(names()).toEqual(["a", "b", "c"]);
    await call(0).fail(refused());
    expect(names()).toEqual(["a", "b", "c", "d"]);
    await call(3).answer();
    await call(2).answer();
    await call(4).answer();
    expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual([
      "rejected",
      ...Array(4).fill("fulfilled"),
    ]);
  });

  it("is not passed by somebody who comes just as a slot becomes free", async () => {
    const { guard, run, names, call } = guarded(1);
    const late: Promise<string>[] = [];
    const first = guard.run(one, async () => "first").then(() => late.push(run(one, "late")));
    const waiting = run(one, "waiting");
    await settled(() => undefined);
    await first;
    expect(names()).toEqual(["waiting"]);
    await call(0).answer();
    expect(names()).toEqual(["waiting", "late"]);
    await call(1).answer();
    await Promise.all([waiting, ...late]);
  });

  it.each<[string, () => Promise<never>]>([
    ["rejects with something else", () => Promise.reject(new TypeError("a mistake"))],
    [
      "throws before there is a promise",
      () => {
        throw new TypeError("a mistake");
      },
    ],
    ["rejects with nothing", () => Promise.reject(undefined)],
  ])("a call that %s gives its slot back", async (_, call) => {
    const { guard } = guarded(1);
    for (let count = 0; count < 5; count++)
      expect((await Promise.allSettled([guard.run(one, call)]))[0]?.status).toBe("rejected");
    await expect(guard.run(one, async () => "answer")).resolves.toBe("answer");
  });

  it("whatever comes and ends in whatever order, it holds, nobody is forgotten, and all slots come back", async () => {
    const end = fc.constantFrom("answer", "refused", "away", "mistake");
    const step = fc.record({ key: fc.constantFrom(one, other), ticks: fc.nat(4), end });
    const property = async (maxInFlight: number, steps: readonly { key: string; ticks: number; end: string }[]) => {
      const guard = new KmsGuard({ maxInFlight, failures: 3, pauseMs, now: () => 0 });
      let [inFlight, most] = [0, 0];
      const ended = await Promise.allSettled(
        steps.map(({ key, ticks, end: how }) =>
          guard.run(key, async () => {
            most = Math.max(most, ++inFlight);
            for (let tick = 0; tick < ticks; tick++) await undefined;
            inFlight--;
            if (how === "answer") return;
            throw how === "refused" ? refused() : how === "away" ? away() : new TypeError("a mistake");
          }),
        ),
      );
      expect(ended).toHaveLength(steps.length);
      expect(inFlight).toBe(0);
      expect(most).toBeLessThanOrEqual(maxInFlight);
      let together = 0;
      const fresh = Array.from({ length: maxInFlight }, (_, index) =>
        guard.run(`fresh ${index}`, async () => void together++),
      );
      expect(together).toBe(maxInFlight);
      await Promise.all(fresh);
    };
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 40 }), property));
  });
});

describe("a key that fails again and again is left alone", () => {
  it("after three failures in a row, and says what the last failure was, no more and no less", async () => {
    const { clock, failing, run, names } = guarded();
    for (let count = 0; count < 3; count++) {
      await failing(one, away());
      clock.now += 4000;
    }
    const { message } = await expectRefusal(() => run(one), "key-unreachable");
    // A condition that shows it stays as it is, however long it lasts.
    expect(message).toBe("AWS is not available");
    expect(names()).toEqual([]);
  });

  it("after two it is called", async () => {
    const { failing, run, call } = guarded();
    await failing(one, away());
    await failing(one, away());
    const running = run(one);
    await call(0).answer();
    await running;
  });

  it("no other key is", async () => {
    const { opened, run, call } = guarded();
    await opened(one);
    const running = run(other);
    await call(0).answer();
    await running;
  });

  it.each([
    ["an answer", (end: Call) => end.answer()],
    ["a refusal, which is an answer", (end: Call) => end.fail(refused())],
    ["credentials that are missing", (end: Call) => end.fail(new SealwardError("credentials-missing", "nobody"))],
    ["a mistake of ours", (end: Call) => end.fail(new TypeError("a mistake"))],
  ])("%s begins the count anew", async (_, end) => {
    const { failing, run, call } = guarded();
    await failing(one, away());
    await failing(one, away());
    const ended = Promise.allSettled([run(one, "between")]);
    await end(call(0));
    await ended;
    await failing(one, away());
    await failing(one, away());
    const running = run(one, "again");
    await call(1).answer();
    await running;
  });

  it("until the pause is over, to the millisecond", async () => {
    const { clock, opened, run, names } = guarded();
    await opened(one);
    clock.now += pauseMs - 1;
    await expectRefusal(() => run(one), "key-unreachable");
    clock.now += 1;
    void run(one);
    expect(names()).toHaveLength(1);
  });

  it("then one call tries, and all others fail at once until it is back", async () => {
    const { clock, opened, run, names, call } = guarded();
    await opened(one);
    clock.now += pauseMs;
    const probe = run(one, "probe");
    await expectRefusal(() => run(one), "key-unreachable");
    await expectRefusal(() => run(one), "key-unreachable");
    await call(0).answer();
    await probe;
    const more = [run(one, "b"), run(one, "c")];
    expect(names()).toEqual(["probe", "b", "c"]);
    await call(1).answer();
    await call(2).answer();
    await Promise.all(more);
  });

  it("a probe that fails begins another pause", async () => {
    const { clock, opened, failing, run, names } = guarded();
    await opened(one);
    clock.now += pauseMs;
    await failing(one, away());
    clock.now += pauseMs - 1;
    await expectRefusal(() => run(one), "key-unreachable");
    clock.now += 1;
    void run(one, "probe");
    expect(names()).toEqual(["probe"]);
  });

  it.each([
    ["a refusal", refused()],
    ["a mistake of ours", new TypeError("a mistake")],
  ])("a probe that ends with %s closes the breaker as well", async (_, problem) => {
    const { clock, opened, failing, run, names } = guarded();
    await opened(one);
    clock.now += pauseMs;
    await failing(one, problem);
    void run(one, "b");
    void run(one, "c");
    expect(names()).toEqual(["b", "c"]);
  });

  it("who waited for a turn meanwhile does not call, and holds up nobody", async () => {
    const { run, names, call } = guarded(2);
    const running = ["a", "b", "c"].map((name) => run(one, name));
    const waiting = ["d", "e"].map((name) => expectRefusal(() => run(one, name), "key-unreachable"));
    const elsewhere = run(other, "f");
    const failed = Promise.allSettled(running);
    await call(0).fail(away());
    expect(names()).toEqual(["a", "b", "c"]);
    await call(1).fail(away());
    // The breaker was not open yet.
    expect(names()).toEqual(["a", "b", "c", "d"]);
    await call(2).fail(away());
    expect(names()).toEqual(["a", "b", "c", "d", "f"]);
    await call(3).fail(away());
    await call(4).answer();
    await Promise.all([failed, elsewhere, ...waiting]);
    expect(names()).toHaveLength(5);
  });

  it("a call from before the pause does not let a second one try", async () => {
    const { clock, run, failing, names, call } = guarded();
    const early = Promise.allSettled([run(one, "early")]);
    for (let count = 0; count < 3; count++) await failing(one, away());
    clock.now += pauseMs;
    const probe = run(one, "probe");
    await call(0).fail(away());
    await early;
    clock.now += pauseMs;
    await expectRefusal(() => run(one), "key-unreachable");
    await call(1).answer();
    await probe;
    expect(names()).toEqual(["early", "probe"]);
  });
});
