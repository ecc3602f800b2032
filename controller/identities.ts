// Age identities from key Secrets in the controller's own namespace. Reads a Secret only when an Environment names it and
// its resourceVersion moved; keeps the parsed identities, whose secret halves print nowhere. Knows no document.
import { type AgeIdentity, parseAgeIdentities, SealwardError } from "../src/index.ts";
import type { IdentityRef } from "./environment-resource.ts";
import type { KubeClient } from "./kube-client.ts";
import { type KeySecret, paths } from "./resources.ts";

export interface LoadedIdentity {
  readonly ref: IdentityRef;
  readonly identities: readonly AgeIdentity[];
  /** identity-missing or identity-invalid; never quotes the Secret. */
  readonly problem: SealwardError | null;
}

export interface IdentityStoreOptions {
  readonly client: KubeClient;
  readonly ownNamespace: string;
  /** The resourceVersion of a key Secret as the watch last saw it; undefined when there is none. */
  readonly versionOf: (secret: string) => string | undefined;
}

export class IdentityStore {
  readonly #options: IdentityStoreOptions;
  readonly #cache = new Map<string, { readonly version: string; readonly loaded: LoadedIdentity }>();

  constructor(options: IdentityStoreOptions) {
    this.#options = options;
  }

  /** One entry per reference, in order. Throws a ClusterError if the API server cannot be asked. */
  async load(refs: readonly IdentityRef[]): Promise<LoadedIdentity[]> {
    const loaded: LoadedIdentity[] = [];
    for (const ref of refs) loaded.push(await this.#loadOne(ref));
    return loaded;
  }

  /** Drops what was read from a Secret that has changed or gone. */
  forget(secret: string): void {
    for (const [cacheKey, { loaded }] of this.#cache) if (loaded.ref.secret === secret) this.#cache.delete(cacheKey);
  }

  async #loadOne(ref: IdentityRef): Promise<LoadedIdentity> {
    const { client, ownNamespace, versionOf } = this.#options;
    const where = `key Secret ${ownNamespace}/${ref.secret}`;
    const version = versionOf(ref.secret);
    if (version === undefined) {
      const hint = "give it the identity that the files are sealed to: `seal keygen --secret --env NAME --from FILE`";
      return failed(ref, new SealwardError("identity-missing", `There is no ${where}: ${hint}`));
    }
    const cacheKey = `${ref.secret}/${ref.key}`;
    const cached = this.#cache.get(cacheKey);
    if (cached?.version === version) return cached.loaded;
    const secret = await client.get<KeySecret>(paths.secret(ownNamespace, ref.secret));
    const loaded = await read(ref, secret, where);
    // Without a Secret nothing is kept: its deletion is about to be seen by the watch.
    if (secret !== null) this.#cache.set(cacheKey, { version: secret.metadata.resourceVersion, loaded });
    return loaded;
  }
}

async function read(ref: IdentityRef, secret: KeySecret | null, where: string): Promise<LoadedIdentity> {
  const encoded = secret?.data?.[ref.key];
  if (encoded === undefined) {
    return failed(
      ref,
      new SealwardError("identity-missing", `The ${where} has no key "${ref.key}" with an age identity`),
    );
  }
  const bytes = Buffer.from(encoded, "base64");
  try {
    const identities = await parseAgeIdentities(bytes.toString("utf8"), `${where}, key "${ref.key}"`);
    if (identities.length > 0) return { ref, identities, problem: null };
    return failed(
      ref,
      new SealwardError("identity-missing", `The ${where} has no age identity under key "${ref.key}"`),
    );
  } catch (error) {
    if (error instanceof SealwardError) return failed(ref, withPlace(error));
    throw error;
  } finally {
    bytes.fill(0);
  }
}

const failed = (ref: IdentityRef, problem: SealwardError): LoadedIdentity => ({ ref, identities: [], problem });

/** File and line are fields of the error; in a condition they have to be words. */
function withPlace(error: SealwardError): SealwardError {
  const line = error.line === undefined ? "" : `, line ${error.line}`;
  return new SealwardError(error.code, `${error.message} (${error.file ?? "key Secret"}${line})`);
}
