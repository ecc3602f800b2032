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

interface Kept {
  readonly plaintext: Uint8Array;
  readonly keyMaterialId: string | undefined;
  readonly expires: number;
}

/** One store for a process; {@link KmsCache.for} gives each environment and role a part of its own. */
export class KmsCache {
  readonly #options: KmsCacheOptions;
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  #cancel: (() => void) | null = null;

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
        if (kept !== undefined)
          return { plaintext: Uint8Array.from(kept.plaintext), keyMaterialId: kept.keyMaterialId };
        const opened = await kms.decrypt(call);
        if (opened !== null) this.#keep(name, opened);
        return opened;
      },
    };
  }

  /** Wipes everything, as when an environment or its keys have changed. */
  clear(): void {
    for (const name of [...this.#kept.keys()]) this.#wipe(name);
    this.#cancel?.();
    this.#cancel = null;
  }

  get size(): number {
    return this.#kept.size;
  }

  #keep(name: string, { plaintext, keyMaterialId }: Decrypted): void {
    const { maxEntries, maxAgeMs, now } = this.#options;
    this.#wipe(name);
    while (this.#kept.size >= maxEntries) {
      const [oldest] = this.#kept.keys();
      if (oldest === undefined) return;
      this.#wipe(oldest);
    }
    this.#kept.set(name, { plaintext: Uint8Array.from(plaintext), keyMaterialId, expires: now() + maxAgeMs });
    this.#schedule();
  }

  #expire(): void {
    const now = this.#options.now();
    for (const [name, { expires }] of this.#kept) {
      if (expires > now) return;
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

/** Everything that decides what KMS would answer, and to whom. */
function nameOf(
  { arn, ciphertext, context }: DecryptCall,
  { environment, role }: { readonly environment: string; readonly role?: string | undefined },
): string {
  const pairs = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  const blob = createHash("sha256").update(ciphertext).digest("base64");
  return JSON.stringify([environment, role ?? null, arn, blob, pairs]);
}
