import { describe, expect, it } from "vitest";
import type { DecryptCall, Decrypted, Kms } from "../../src/kms.ts";
import { KmsCache, type KmsCacheOptions } from "../../src/kms-cache.ts";

const maxAgeMs = 60_000;
const dataKey = Uint8Array.from({ length: 32 }, (_, index) => index + 1);
const zeros = new Uint8Array(32);

const call: DecryptCall = {
  arn: "arn:aws:kms:eu-west-1:111122223333:key/one",
  ciphertext: Uint8Array.of(1, 2, 3),
  context: { "sealward-environment": "prod", "sealward-name": "db" },
};
const owner = { environment: "prod", role: "arn:aws:iam::111122223333:role/prod" };
const numbered = (index: number): DecryptCall => ({ ...call, ciphertext: Uint8Array.of(index) });

/** A cache on a clock of its own, and a KMS that keeps a hand on every data key that it gives out. */
function world(options: Partial<KmsCacheOptions> = {}) {
  const clock = { now: 5000 };
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  const after = (ms: number, callback: () => void): (() => void) => {
    const timer = { at: clock.now + ms, callback };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  /** Time passes, and what was to be called back is. */
  const pass = (ms: number): void => {
    clock.now += ms;
    for (const timer of [...timers].filter(({ at }) => at <= clock.now)) {
      timers.delete(timer);
      timer.callback();
    }
  };
  const given: Uint8Array[] = [];
  const held: (() => void)[] = [];
  const kms = {
    decrypts: 0,
    holds: false,
    answersNull: false,
    async decrypt(): Promise<Decrypted | null> {
      kms.decrypts++;
      if (kms.holds) await new Promise<void>((resolve) => held.push(resolve));
      if (kms.answersNull) return null;
      const plaintext = Uint8Array.from(dataKey);
      given.push(plaintext);
      return { plaintext, keyMaterialId: "material" };
    },
    encrypt: async () => Uint8Array.of(9),
  } satisfies Kms & Record<string, unknown>;
  const cache = new KmsCache({ maxEntries: 10, maxAgeMs, now: () => clock.now, after, ...options });
  const release = (): void => {
    for (const go of held.splice(0)) go();
  };
  return { cache, kms, calls: cache.for(kms, owner), given, clock, timers, pass, release };
}

describe("a data key is kept", () => {
  it("and given out again with what KMS said of it", async () => {
    const { calls, kms, cache } = world();
    const opened = [await calls.decrypt(call), await calls.decrypt(call)];
    for (const one of opened) expect(one).toEqual({ plaintext: dataKey, keyMaterialId: "material" });
    expect(kms.decrypts).toBe(1);
    expect(cache.size).toBe(1);
  });

  it("whatever the order of its context's pairs", async () => {
    const { calls, kms } = world();
    await calls.decrypt(call);
    await calls.decrypt({ ...call, context: { "sealward-name": "db", "sealward-environment": "prod" } });
    expect(kms.decrypts).toBe(1);
  });

  it.each<[string, Partial<DecryptCall>]>([
    ["another key", { arn: "arn:aws:kms:eu-west-1:111122223333:key/two" }],
    ["the key of that id in another Region", { arn: "arn:aws:kms:eu-west-2:111122223333:key/one" }],
    ["another ciphertext", { ciphertext: Uint8Array.of(1, 2, 4) }],
    ["a longer ciphertext", { ciphertext: Uint8Array.of(1, 2, 3, 0) }],
    ["another value in the context", { context: { ...call.context, "sealward-name": "other" } }],
    ["another pair in the context", { context: { ...call.context, more: "" } }],
    ["a pair less in the context", { context: { "sealward-environment": "prod" } }],
    ["names and values exchanged", { context: { prod: "sealward-environment", db: "sealward-name" } }],
    ["pairs that run together", { context: { 'sealward-environment","prod': "", "sealward-name": "db" } }],
    ["another case", { context: { "Sealward-environment": "prod", "sealward-name": "db" } }],
    ["no context", { context: {} }],
  ])("and not given out for %s", async (_, other) => {
    const { calls, kms } = world();
    await calls.decrypt(call);
    await calls.decrypt({ ...call, ...other });
    expect(kms.decrypts).toBe(2);
  });

  it.each([
    ["environment", { ...owner, environment: "staging" }],
    ["role", { ...owner, role: "arn:aws:iam::111122223333:role/staging" }],
    ["caller without a role", { environment: "prod" }],
  ])("and not given to another %s", async (_, other) => {
    const { cache, kms } = world();
    await cache.for(kms, owner).decrypt(call);
    await cache.for(kms, other).decrypt(call);
    await cache.for(kms, other).decrypt(call);
    expect(kms.decrypts).toBe(2);
  });

  it("and given to the same environment and role through another face", async () => {
    const { cache, kms } = world();
    await cache.for(kms, owner).decrypt(call);
    await cache.for(kms, { ...owner }).decrypt(call);
    expect(kms.decrypts).toBe(1);
  });

  it("not where KMS says that there is none, nor where it fails", async () => {
    const { calls, kms, cache } = world();
    kms.answersNull = true;
    expect(await calls.decrypt(call)).toBeNull();
    expect(cache.size).toBe(0);
    const failing = cache.for({ ...kms, decrypt: () => Promise.reject(new Error("away")) }, owner);
    await expect(failing.decrypt(call)).rejects.toThrow("away");
    expect(cache.size).toBe(0);
    kms.answersNull = false;
    await calls.decrypt(call);
    expect(kms.decrypts).toBe(2);
  });

  it("and nothing of wrapping is", async () => {
    const { calls, cache } = world();
    expect(await calls.encrypt({ ...call, plaintext: dataKey })).toEqual(Uint8Array.of(9));
    expect(cache.size).toBe(0);
  });
});

describe("whoever takes a data key has it alone", () => {
  it("wiping it changes nothing for the next one", async () => {
    const { calls } = world();
    for (let count = 0; count < 3; count++) {
      const opened = await calls.decrypt(call);
      expect(opened?.plaintext).toEqual(dataKey);
      opened?.plaintext.fill(0);
    }
  });

  it("it is whole after the cache has been wiped", async () => {
    const { calls, cache } = world();
    const opened = [await calls.decrypt(call), await calls.decrypt(call)];
    cache.clear();
    for (const one of opened) expect(one?.plaintext).toEqual(dataKey);
  });
});

describe("what is kept is wiped", () => {
  it("when its time is over, though nobody asks", async () => {
    const { calls, given, pass, cache, timers } = world();
    await calls.decrypt(call);
    pass(maxAgeMs - 1);
    expect(given).toEqual([dataKey]);
    pass(1);
    expect(given).toEqual([zeros]);
    expect(cache.size).toBe(0);
    expect(timers.size).toBe(0);
  });

  it("when its time is over and the timer is late, at the next question", async () => {
    const { calls, given, clock, kms } = world();
    await calls.decrypt(call);
    clock.now += maxAgeMs;
    await calls.decrypt(numbered(7));
    expect(given).toEqual([zeros, dataKey]);
    await calls.decrypt(call);
    expect(kms.decrypts).toBe(3);
  });

  it("one after the other, each at its own time, with one timer", async () => {
    const { calls, given, pass, timers } = world();
    for (let index = 0; index < 3; index++) {
      await calls.decrypt(numbered(index));
      expect(timers.size).toBe(1);
      pass(10);
    }
    pass(maxAgeMs - 30);
    expect(given).toEqual([zeros, dataKey, dataKey]);
    pass(10);
    expect(given).toEqual([zeros, zeros, dataKey]);
    pass(10);
    expect(given).toEqual([zeros, zeros, zeros]);
    expect(timers.size).toBe(0);
  });

  it("a hit does not make it younger", async () => {
    const { calls, given, pass } = world();
    await calls.decrypt(call);
    pass(maxAgeMs - 1);
    await calls.decrypt(call);
    pass(1);
    expect(given).toEqual([zeros]);
  });

  it("after its time at the latest, though the clock was set back", async () => {
    const { calls, given, clock, cache, timers } = world();
    await calls.decrypt(call);
    await calls.decrypt(numbered(7));
    clock.now -= 3_600_000;
    // A timer takes its time whatever a clock says.
    for (const { callback } of [...timers]) callback();
    expect(given).toEqual([zeros, zeros]);
    expect(cache.size).toBe(0);
    clock.now += 1;
    await calls.decrypt(call);
    await calls.decrypt(call);
    expect(given).toHaveLength(3);
  });

  it("the oldest first where there are too many", async () => {
    const { calls, given, cache, kms } = world({ maxEntries: 2 });
    for (const index of [0, 1, 2]) await calls.decrypt(numbered(index));
    expect(given).toEqual([zeros, dataKey, dataKey]);
    expect(cache.size).toBe(2);
    await calls.decrypt(numbered(2));
    await calls.decrypt(numbered(1));
    expect(kms.decrypts).toBe(3);
  });

  it("at once where none may be kept, and the answer is whole", async () => {
    const { calls, given, cache, kms } = world({ maxEntries: 0 });
    expect((await calls.decrypt(call))?.plaintext).toEqual(dataKey);
    await calls.decrypt(call);
    expect(given).toEqual([zeros, zeros]);
    expect(cache.size).toBe(0);
    expect(kms.decrypts).toBe(2);
  });

  it("by clear(), which stops the timer too; then it begins anew", async () => {
    const { calls, given, cache, timers, pass, kms } = world();
    await calls.decrypt(call);
    await calls.decrypt(numbered(7));
    cache.clear();
    expect(given).toEqual([zeros, zeros]);
    expect(timers.size).toBe(0);
    await calls.decrypt(call);
    expect(kms.decrypts).toBe(3);
    expect(timers.size).toBe(1);
    pass(maxAgeMs);
    expect(given).toEqual([zeros, zeros, zeros]);
  });

  it("where two asked for it at the same time, both copies", async () => {
    const { calls, given, kms, release, pass, cache } = world();
    kms.holds = true;
    const opening = [calls.decrypt(call), calls.decrypt(call)];
    release();
    for (const opened of await Promise.all(opening)) expect(opened?.plaintext).toEqual(dataKey);
    expect(kms.decrypts).toBe(2);
    expect(cache.size).toBe(1);
    expect(given).toEqual([zeros, dataKey]);
    pass(maxAgeMs);
    expect(given).toEqual([zeros, zeros]);
  });

  it("an answer to a question from before clear() is given out and not kept", async () => {
    const { calls, kms, cache, release, timers } = world();
    kms.holds = true;
    const opening = calls.decrypt(call);
    cache.clear();
    release();
    expect((await opening)?.plaintext).toEqual(dataKey);
    expect(cache.size).toBe(0);
    expect(timers.size).toBe(0);
  });
});
