// The keys of the test server, their Regions, states, policies and aliases. A multi-Region key is one family of materials
// with a key of its own state in every Region. Knows no requests and no principals: whoever asks may do everything.
import { randomUUID } from "node:crypto";
import { AwsError, alreadyExists, disabled, invalidState, notFound, unsupported, validation } from "./aws-errors.ts";
import { type KeyMaterial, newMaterial } from "./ciphertexts.ts";
import { accountOf } from "./policy.ts";
import { defaultKeyPolicy, type PolicyDocument, readPolicy } from "./policy-documents.ts";

export type KeyState = "Enabled" | "Disabled" | "PendingDeletion" | "PendingReplicaDeletion";

interface KeyFamily {
  readonly keyId: string;
  readonly account: string;
  readonly materials: KeyMaterial[];
  readonly isMultiRegion: boolean;
  readonly primaryRegion: string;
}

export interface Key {
  readonly arn: string;
  readonly region: string;
  readonly family: KeyFamily;
  readonly created: Date;
  readonly description: string;
  state: KeyState;
  deletionDate: Date | undefined;
  /** Undefined as long as it has the default one. */
  policy: PolicyDocument | undefined;
}

export interface NewKey {
  readonly region: string;
  readonly account: string;
  readonly multiRegion?: boolean | undefined;
  readonly policy?: PolicyDocument | undefined;
  readonly description?: string | undefined;
}

/** Where a request looks for a key: names without a Region and account mean these. */
export interface Place {
  readonly region: string;
  readonly account: string;
}

/** AWS allows so many. */
const mostRotations = 25;

export class Keys {
  readonly #keys = new Map<string, Key>();
  /** The ARN of the alias, and the ARN of its key. */
  readonly #aliases = new Map<string, string>();
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  create({ region, account, multiRegion = false, policy, description }: NewKey): Key {
    const keyId = multiRegion ? `mrk-${randomUUID().replaceAll("-", "")}` : randomUUID();
    const materials = [newMaterial()];
    const family = { keyId, account, materials, isMultiRegion: multiRegion, primaryRegion: region };
    return this.#add(family, region, policy, description);
  }

  /** As if it had never been created. */
  discard({ arn }: Key): void {
    this.#keys.delete(arn);
  }

  /** The same key in another Region, with a policy, a state and aliases of its own. */
  replicate(key: Key, region: string, policy: PolicyDocument | undefined, description?: string): Key {
    const { isMultiRegion, primaryRegion } = key.family;
    if (!isMultiRegion || primaryRegion !== key.region)
      throw unsupported(`${key.arn} is not a multi-Region primary key.`);
    const arn = `arn:aws:kms:${region}:${key.family.account}:key/${key.family.keyId}`;
    if (this.#existing(arn) !== undefined) throw alreadyExists(`${arn} already exists.`);
    return this.#add(key.family, region, policy, description);
  }

  #add(family: KeyFamily, region: string, policy: PolicyDocument | undefined, description = ""): Key {
    if (policy !== undefined) readPolicy(policy, "key policy");
    const arn = `arn:aws:kms:${region}:${family.account}:key/${family.keyId}`;
    const created = this.#now();
    const key: Key = { arn, region, family, created, description, state: "Enabled", deletionDate: undefined, policy };
    this.#keys.set(arn, key);
    return key;
  }

  /** A key whose deletion was due is no longer there. */
  #existing(arn: string): Key | undefined {
    const key = this.#keys.get(arn);
    if (key?.deletionDate !== undefined && key.deletionDate <= this.#now()) return undefined;
    return key;
  }

  /** By key id, key ARN, alias name or alias ARN. */
  find(name: string, { region, account }: Place): Key {
    const arn = name.startsWith("arn:") ? name : `arn:aws:kms:${region}:${account}:${this.#resourceOf(name)}`;
    const [, , service, itsRegion, , resource = ""] = arn.split(":");
    if (service !== "kms" || !/^(key|alias)\/./.test(resource)) throw notFound(`Invalid arn ${region}`);
    if (itsRegion !== region) throw notFound(`Invalid arn ${itsRegion}`);
    const keyArn = resource.startsWith("alias/") ? this.#aliases.get(arn) : arn;
    if (keyArn === undefined) throw notFound(`Alias ${arn} is not found.`);
    const key = this.#existing(keyArn);
    if (key === undefined) throw notFound(`Key '${keyArn}' does not exist`);
    return key;
  }

  #resourceOf(name: string): string {
    if (name.startsWith("alias/")) return name;
    if (!/^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.test(name)) {
      throw notFound(`Invalid keyId '${name}'`);
    }
    return `key/${name}`;
  }

  /** The key that a ciphertext names, in any account; undefined where the Region has none. */
  withId(keyId: string, region: string): Key | undefined {
    for (const { arn, family } of this.#keys.values()) {
      if (family.keyId === keyId && arn.split(":")[3] === region) return this.#existing(arn);
    }
    return undefined;
  }

  all(): readonly Key[] {
    return [...this.#keys.values()];
  }

  relatives(key: Key): readonly Key[] {
    return this.all().filter(({ arn, family }) => family === key.family && this.#existing(arn) !== undefined);
  }

  rotate(key: Key): void {
    if (key.family.isMultiRegion && key.family.primaryRegion !== key.region) {
      throw unsupported(`${key.arn} is a replica key, and only the primary key can be rotated.`);
    }
    if (key.family.materials.length > mostRotations) {
      throw new AwsError("LimitExceededException", `${key.arn} has been rotated ${mostRotations} times on demand.`);
    }
    key.family.materials.push(newMaterial());
  }

  setPolicy(key: Key, policy: PolicyDocument): void {
    readPolicy(policy, "key policy");
    key.policy = policy;
  }

  scheduleDeletion(key: Key, days: number): void {
    const hasReplicas = key.family.primaryRegion === key.region && this.relatives(key).length > 1;
    key.state = hasReplicas ? "PendingReplicaDeletion" : "PendingDeletion";
    key.deletionDate = hasReplicas ? undefined : new Date(this.#now().getTime() + days * 86_400_000);
  }

  setAlias(name: string, key: Key, mode: "create" | "update"): string {
    if (!/^alias\/[\w/-]{1,250}$/.test(name)) throw new AwsError("InvalidAliasNameException", `Invalid alias ${name}`);
    if (name.startsWith("alias/aws/")) throw validation(`${name} is reserved for AWS`);
    assertNotPending(key);
    const arn = `arn:aws:kms:${key.region}:${accountOf(key.arn)}:${name}`;
    if (mode === "create" && this.#aliases.has(arn))
      throw alreadyExists(`An alias with the name ${arn} already exists`);
    if (mode === "update" && !this.#aliases.has(arn)) throw notFound(`Alias ${arn} is not found.`);
    this.#aliases.set(arn, key.arn);
    return arn;
  }

  deleteAlias(name: string, { region, account }: Place): void {
    const arn = `arn:aws:kms:${region}:${account}:${name}`;
    if (!this.#aliases.delete(arn)) throw notFound(`Alias ${arn} is not found.`);
  }

  aliases({ region, account }: Place): readonly { readonly arn: string; readonly keyArn: string }[] {
    return [...this.#aliases]
      .map(([arn, keyArn]) => ({ arn, keyArn }))
      .filter(({ arn }) => arn.startsWith(`arn:aws:kms:${region}:${account}:`));
  }
}

export const policyOf = (key: Key): PolicyDocument => key.policy ?? defaultKeyPolicy(key.family.account);

export function currentMaterial({ arn, family }: Key): KeyMaterial {
  const material = family.materials.at(-1);
  if (material === undefined) throw new Error(`${arn} has no material`);
  return material;
}

export function assertNotPending({ arn, state }: Key): void {
  if (state === "PendingDeletion") throw invalidState(arn, "is pending deletion");
  if (state === "PendingReplicaDeletion") throw invalidState(arn, "is pending replica deletion");
}

export function assertUsable(key: Key): void {
  assertNotPending(key);
  if (key.state === "Disabled") throw disabled(key.arn);
}
