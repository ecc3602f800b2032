// Environments and the question which one a file belongs to. An environment comes from seal.yaml or from the cluster; both
// give this one shape. Sources of truth must agree where they speak, and a silent or divided answer is an error.
import picomatch from "picomatch";
import { quoteName, SealwardError } from "./errors.ts";
import type { Scope } from "./manifest.ts";
import { nearestKey } from "./near-key.ts";

export interface EnvironmentPolicy {
  readonly name: string;
  /** age recipients, the recovery recipients included. */
  readonly ageRecipients: readonly string[];
  /** ARNs of KMS keys and aliases, those for recovery included. */
  readonly kmsRecipients: readonly string[];
  /** Globs, relative to seal.yaml, of where its files are. Empty: says nothing. */
  readonly paths: readonly string[];
  /** Namespaces of this environment. Empty: says nothing. */
  readonly namespaces: readonly string[];
  readonly defaultScope: Scope;
  /** Scopes that may be used here. */
  readonly scopes: readonly Scope[];
  /** True: a recipient that the file lacks stops an opening too. */
  readonly strictRecipients: boolean;
  /** Digests (`sha256:<hex>`) of documents that may be opened without a binding. */
  readonly acceptedUnbound: readonly string[];
  /** Until when a recipient is sealed for. One that is not here has no end. */
  readonly expirations?: ReadonlyMap<string, Date> | undefined;
}

export interface Config {
  readonly file: string;
  readonly environments: ReadonlyMap<string, EnvironmentPolicy>;
  /** Paths of nested seal.yaml files that count, relative to this one. */
  readonly nested: readonly string[];
  /** Globs, relative to this file, of files that must not be there in the clear. */
  readonly mustSeal: readonly string[];
  /** Recipients of every environment. */
  readonly recovery: { readonly age: readonly string[]; readonly kms: readonly string[] };
}

/** What may say which environment a file belongs to; undefined says nothing. */
export interface EnvironmentSources {
  readonly flag?: string | undefined;
  readonly annotation?: string | undefined;
  /** With forward slashes, relative to the folder of seal.yaml. */
  readonly path?: string | undefined;
  readonly namespace?: string | undefined;
}

interface Voice {
  /** For a person: who says so. */
  readonly source: string;
  /** False where it only rules environments out: being nobody else's is no reason to be somebody's. */
  readonly chooses: boolean;
  readonly environments: ReadonlySet<string>;
  /** True for the voice of a path: what it contradicts is shown with its globs. */
  readonly isPath?: boolean;
}

/**
 * The one environment that every speaking source allows. An environment that lists paths or namespaces owns nothing
 * outside them, so a path or namespace of another environment, or of none, contradicts it.
 * @throws environment-undefined for a name that seal.yaml does not have; environment-mismatch where sources disagree;
 *   environment-unknown where none speaks or several environments remain
 */
export function findEnvironment(config: Config, sources: EnvironmentSources): EnvironmentPolicy {
  const all = [...config.environments.values()];
  const voices: Voice[] = [];
  for (const [source, name] of [
    ["--env", sources.flag],
    ["the annotation sealward.dev/environment", sources.annotation],
  ] as const) {
    if (name === undefined) continue;
    if (!config.environments.has(name)) {
      const meant = nearestKey(name, [...config.environments.keys()]);
      throw new SealwardError(
        "environment-undefined",
        `${source} names the environment ${quoteName(name)}; ${config.file} has ${namesOf(all)}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
      );
    }
    voices.push({ source, chooses: true, environments: new Set([name]) });
  }
  const { path, namespace } = sources;
  if (path !== undefined) {
    const voice = voiceOf(all, {
      source: `the path ${path}`,
      silent: ({ paths }) => paths.length === 0,
      allows: ({ paths }) => isMatch(path, paths),
    });
    voices.push({ ...voice, isPath: true });
  }
  if (namespace !== undefined) {
    voices.push(
      voiceOf(all, {
        source: `the namespace ${namespace}`,
        silent: ({ namespaces }) => namespaces.length === 0,
        allows: ({ namespaces }) => namespaces.includes(namespace),
      }),
    );
  }
  return decide(config, voices);
}

function voiceOf(
  all: readonly EnvironmentPolicy[],
  {
    source,
    silent,
    allows,
  }: {
    readonly source: string;
    readonly silent: (e: EnvironmentPolicy) => boolean;
    readonly allows: (e: EnvironmentPolicy) => boolean;
  },
): Voice {
  const allowed = all.filter(allows);
  // A source that some environment claims is that environment's alone; one that none claims is open to those without a list.
  const claimed = allowed.length > 0;
  return {
    source,
    chooses: claimed,
    environments: new Set((claimed ? allowed : all.filter(silent)).map(({ name }) => name)),
  };
}

function decide(config: Config, voices: readonly Voice[]): EnvironmentPolicy {
  const all = [...config.environments.values()];
  const remaining = all.filter(({ name }) => voices.every(({ environments }) => environments.has(name)));
  const [only, other] = remaining;
  if (only === undefined) {
    // What leaves all of them open contradicts nobody.
    const said = voices
      .filter(({ environments }) => environments.size < all.length)
      .map(({ source, environments }) =>
        environments.size === 0 ? `${source} is no environment's` : `${source} says ${[...environments].join(" or ")}`,
      );
    const lists = all
      .filter(
        ({ name, paths }) => paths.length > 0 && voices.some((voice) => voice.isPath && !voice.environments.has(name)),
      )
      .map(({ name, paths }) => `${name} keeps its files under ${paths.join(", ")}`);
    throw new SealwardError("environment-mismatch", `The environment is in dispute: ${[...said, ...lists].join("; ")}`);
  }
  if (other !== undefined || !voices.some(({ chooses }) => chooses)) {
    throw new SealwardError(
      "environment-unknown",
      `Nothing says which environment this file belongs to: it could be ${namesOf(remaining)}`,
    );
  }
  return only;
}

function isMatch(path: string, globs: readonly string[]): boolean {
  // Without these options a leading "!" or an extglob would let a pattern mean the opposite of how it reads.
  return (
    globs.length > 0 &&
    picomatch.isMatch(path, [...globs], { dot: true, nonegate: true, noextglob: true, nobracket: true })
  );
}

function namesOf(all: readonly EnvironmentPolicy[]): string {
  return all.map(({ name }) => name).join(", ");
}

/** Whether seal.yaml says that a file at this path has to be sealed. */
export function mustBeSealed({ mustSeal }: Pick<Config, "mustSeal">, path: string): boolean {
  return mustSeal.length > 0 && isMatch(path, mustSeal);
}
