// Data keys that KMS has unwrapped, kept for a short while in memory, for a process that opens the same files again and
// again. A cached key outlives a change of policy and makes no entry in the audit trail: bounded by number and age, off
// unless it is asked for, and wiped when it goes.
import { createHash } from "node:crypto";
import type { DecryptCall, Decrypted, Kms } from "./kms.ts";

export interface KmsCacheOptions {
  readonly maxEntries: number;
  readonly maxAgeMs: number;
  /** Milliseconds, of whatever beginning. */
  readonly now: () => number;
  /** Calls back after that long, so that a key is wiped though nobody asks any more. */
  readonly after: (ms: number, callback: () => void) => () => void;
}

interface Kept extends Decrypted {
  readonly expires: number;
}

/** One store for a process; {@link KmsCache.for} gives each environment and role a part of its own. */
export class KmsCache {
  readonly #options: KmsCacheOptions;
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  #cancel: (() => void) | null = null;
  #cleared = 0;
  /** The last time that was looked at. */
  #latest = Number.NEGATIVE_INFINITY;

  constructor(options: KmsCacheOptions) {
    this.#options = options;
  }

  /** `kms`, asked only for what is not kept. What one environment or role was given, no other gets. */
  for(kms: Kms, owner: { readonly environment: string; readonly role?: string | undefined }): Kms {
    return {
      encrypt: (call) => kms.encrypt(call),
      decrypt: async (call) => {
        const name = nameOf(call, owner);
        this.#expire();
        const kept = this.#kept.get(name);
        if (kept !== undefined) return copyOf(kept);
        const asked = this.#cleared;
        const opened = await kms.decrypt(call);
        // What was asked for before everything was wiped belongs to what is no more.
        if (opened === null || asked !== this.#cleared) return opened;
        const copy = copyOf(opened);
        this.#keep(name, opened);
        return copy;
      },
    };
  }

  /** Wipes everything, as when an environment or its keys have changed. What is still being asked for is not kept either. */
  clear(): void {
    this.#cleared++;
    for (const name of [...this.#kept.keys()]) this.#wipe(name);
    this.#cancel?.();
    this.#cancel = null;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Takes the very bytes that KMS gave, and wipes them in the end. */
  #keep(name: string, { plaintext, keyMaterialId }: Decrypted): void {
    const { maxEntries, maxAgeMs, now } = this.#options;
    this.#wipe(name);
    this.#kept.set(name, { plaintext, keyMaterialId, expires: now() + maxAgeMs });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= maxEntries) break;
      this.#wipe(oldest);
    }
    this.#schedule();
  }

  #expire(): void {
    const now = this.#options.now();
    // A clock that was set back tells nobody's age any more.
    const isSetBack = now < this.#latest;
    this.#latest = now;
    for (const [name, { expires }] of this.#kept) {
      if (expires > now && !isSetBack) return;
      this.#wipe(name);
    }
  }

  #wipe(name: string): void {
    this.#kept.get(name)?.plaintext.fill(0);
    this.#kept.delete(name);
  }

  #schedule(): void {
    if (this.#cancel !== null) return;
    const [oldest] = this.#kept.values();
    if (oldest === undefined) return;
    this.#cancel = this.#options.after(Math.max(0, oldest.expires - this.#options.now()), () => {
      this.#cancel = null;
      this.#expire();
      this.#schedule();
    });
  }
}

function copyOf({ plaintext, keyMaterialId }: Decrypted): Decrypted {
  return { plaintext: Uint8Array.from(plaintext), keyMaterialId };
}

/** Everything that decides what KMS would answer, and to whom. */
function nameOf(
  { arn, ciphertext, context }: DecryptCall,
  { environment, role }: { readonly environment: string; readonly role?: string | undefined },
): string {
  const pairs = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  const blob = createHash("sha256").update(ciphertext).digest("base64");
  return JSON.stringify([environment, role ?? null, arn, blob, pairs]);
}
