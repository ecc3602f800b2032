// The KMS keys of an Environment as identities: called as the pod's own workload identity, or as the role that the Environment
// names. Data keys are kept for a short while, for one environment and role at a time. Knows no document and no credential.
import { type AwsCaller, type AwsKms, type Kms, KmsCache, KmsIdentity } from "../src/index.ts";
import type { Clock } from "./clock.ts";
import type { EnvironmentResource } from "./environment-resource.ts";

export interface KmsKeysOptions {
  readonly aws: Pick<AwsKms, "as">;
  readonly clock: Clock;
  /** How long a data key is kept; 0 keeps none. */
  readonly cacheMs: number;
}

const maxDataKeys = 4096;

export class KmsKeys {
  readonly #options: KmsKeysOptions;
  readonly #cache: KmsCache;

  constructor(options: KmsKeysOptions) {
    this.#options = options;
    const { clock, cacheMs } = options;
    this.#cache = new KmsCache({
      maxEntries: maxDataKeys,
      maxAgeMs: cacheMs,
      now: () => clock.now(),
      after: (ms, callback) => clock.after(ms, callback),
    });
  }

  /** None where the Environment does not say that KMS keys open its files. */
  identities({ name, kms, policy }: EnvironmentResource): readonly KmsIdentity[] {
    if (kms === null || policy === null) return [];
    const calls = this.#callsAs(name, kms);
    return policy.kmsRecipients.map((arn) => new KmsIdentity(arn, calls));
  }

  /** Wipes what is kept: an Environment has changed, or the process is about to end. */
  forget(): void {
    this.#cache.clear();
  }

  #callsAs(environment: string, caller: AwsCaller): Kms {
    const { aws, cacheMs } = this.#options;
    const calls = aws.as(caller);
    return cacheMs === 0 ? calls : this.#cache.for(calls, { environment, role: caller.role });
  }
}
