// Who can open a file that no seal.yaml governs, and what of it is encrypted: flags and variables as `sops` knows them, then
// .sops.yaml. Under a seal.yaml its recipients are the only ones, and what names others is refused.
import { resolve } from "node:path";
import {
  assertKeyArn,
  type CreationRule,
  type EncryptionContext,
  isOurContext,
  type KmsRecipient,
  type Recipient,
  type Recipients,
  type RuleKey,
  SealwardError,
  type SelectionRule,
  uniqueRecipients,
} from "../src/index.ts";
import type { Input } from "./document.ts";
import type { Io } from "./io.ts";
import { printNote, UsageError } from "./report.ts";
import { findRule, findSopsConfig } from "./sops-config.ts";
import type { StoreFlags } from "./store-choice.ts";

/** The flags of `sops encrypt`, as commander names them. */
export interface SopsFlags extends StoreFlags {
  readonly age?: string;
  readonly kms?: string;
  readonly encryptionContext?: string;
  readonly awsProfile?: string;
  readonly pgp?: string;
  readonly gcpKms?: string;
  readonly azureKv?: string;
  readonly hcVaultTransit?: string;
  readonly hckms?: string;
  readonly unencryptedSuffix?: string;
  readonly encryptedSuffix?: string;
  readonly unencryptedRegex?: string;
  readonly encryptedRegex?: string;
  readonly unencryptedCommentRegex?: string;
  readonly encryptedCommentRegex?: string;
  readonly macOnlyEncrypted?: boolean;
  readonly shamirSecretSharingThreshold?: number;
  readonly config?: string;
  readonly allowNothingSelected?: boolean;
}

/** The flags and variables with which sops chooses recipients, each with the kind of key it names. */
const keySources = [
  ["age", "--age", "SOPS_AGE_RECIPIENTS"],
  ["kms", "--kms", "SOPS_KMS_ARN"],
  ["pgp", "--pgp", "SOPS_PGP_FP"],
  ["gcpKms", "--gcp-kms", "SOPS_GCP_KMS_IDS"],
  ["azureKv", "--azure-kv", "SOPS_AZURE_KEYVAULT_URLS"],
  ["hcVaultTransit", "--hc-vault-transit", "SOPS_VAULT_URIS"],
  ["hckms", "--hckms", "SOPS_HUAWEICLOUD_KMS_IDS"],
] as const;

/** Flags that say something about the keys of --kms, and nothing without it. */
const ofKeys = [
  ["encryptionContext", "--encryption-context"],
  ["awsProfile", "--aws-profile"],
] as const;

const ruleFlags = [
  ["unencryptedSuffix", "unencrypted_suffix"],
  ["encryptedSuffix", "encrypted_suffix"],
  ["unencryptedRegex", "unencrypted_regex"],
  ["encryptedRegex", "encrypted_regex"],
  ["unencryptedCommentRegex", "unencrypted_comment_regex"],
  ["encryptedCommentRegex", "encrypted_comment_regex"],
] as const;

interface Named {
  readonly kind: (typeof keySources)[number][0];
  readonly source: string;
  readonly value: string;
}

function namedKeys(io: Io, flags: SopsFlags): readonly Named[] {
  return keySources.flatMap(([kind, flag, variable]): Named[] => {
    const given = flags[kind];
    if (given !== undefined) return [{ kind, source: flag, value: given }];
    const value = io.env[variable] ?? "";
    return value === "" ? [] : [{ kind, source: variable, value }];
  });
}

/** @throws usage where something beside seal.yaml names recipients */
export function assertNoOtherRecipients(io: Io, flags: SopsFlags): void {
  const [given] = namedKeys(io, flags);
  const [, flag] = ofKeys.find(([key]) => flags[key] !== undefined) ?? [];
  if (given === undefined && flag === undefined) return;
  if (given === undefined)
    throw new UsageError(
      `Cannot seal with ${flag}: under a seal.yaml what the entries of its keys say follows from the environment`,
      `leave ${flag} out`,
    );
  const advice = given.source.startsWith("--")
    ? `leave ${given.source} out; who belongs to the environment stands in seal.yaml`
    : `take it out of the environment for this command: \`env -u ${given.source} seal …\``;
  throw new UsageError(
    `Cannot seal with the recipients in ${given.source}: under a seal.yaml its recipients are the only ones`,
    advice,
  );
}

/** The selection rule that flags name. @throws usage for more than one */
export function ruleFromFlags(flags: SopsFlags): SelectionRule | null {
  const given = ruleFlags.flatMap(([key, name]) => {
    const pattern = flags[key];
    return pattern === undefined ? [] : [{ name, pattern }];
  });
  const [rule = null, second] = given;
  if (rule !== null && second !== undefined)
    throw new UsageError(
      `Cannot encrypt by two selection rules: both ${rule.name} and ${second.name} are given`,
      "leave one of them out",
    );
  return rule;
}

export interface Sealing {
  readonly recipients: Recipients;
  readonly rule: SelectionRule | null;
  readonly onlyEncrypted: boolean;
}

/**
 * What flags, variables and .sops.yaml say about a file. Null where none of them names a recipient.
 * @throws rule-missing, config-invalid, recipient-unsupported, usage
 */
export async function findSealing(io: Io, input: Input, flags: SopsFlags): Promise<Sealing | null> {
  const name = flags.filenameOverride ?? (input.path === null ? null : input.name);
  const found = await findSopsConfig(io, name, { flag: flags.config, settings: null });
  const rule =
    found === null || found.config.rules === null ? null : await findRule(io, found, name ?? resolve(io.cwd, "-"));
  if (rule !== null) await printUnused(io, rule);
  const named = namedKeys(io, flags);
  assertKeysFor(flags, named);
  const recipients = named.length > 0 ? recipientsNamed(named, flags) : rule === null ? null : recipientsOf(rule);
  if (recipients === null) return null;
  return {
    recipients,
    rule: combined(ruleFromFlags(flags), rule),
    onlyEncrypted: flags.macOnlyEncrypted ?? rule?.macOnlyEncrypted ?? false,
  };
}

/** A context that goes into no entry would be missed only when a policy asks for it. @throws usage */
function assertKeysFor(flags: SopsFlags, named: readonly Named[]): void {
  const [flag] = ofKeys.filter(([key]) => (flags[key] ?? "") !== "");
  if (flag === undefined || named.some(({ kind }) => kind === "kms")) return;
  throw new UsageError(
    `Cannot use ${flag[1]}: it is for the keys of --kms or SOPS_KMS_ARN, and neither is given`,
    "name the keys as well; for those of .sops.yaml, write context and aws_profile into a key group there",
  );
}

/** As sops: a flag takes the place of the same field of the rule, and stands in conflict with another. */
function combined(flag: SelectionRule | null, rule: CreationRule | null): SelectionRule | null {
  const other = rule?.selection ?? null;
  if (flag === null || other === null || flag.name === other.name) return flag ?? other;
  throw new UsageError(
    `Cannot encrypt by two selection rules: ${flag.name} is given, and the creation rule has ${other.name}`,
    "leave the flag out, or change the rule in .sops.yaml",
  );
}

const usable = "it encrypts for age recipients and AWS KMS keys";

function recipientsNamed(named: readonly Named[], flags: SopsFlags): Recipients {
  const other = named.find(({ kind }) => kind !== "age" && kind !== "kms");
  if (other !== undefined)
    throw new SealwardError(
      "recipient-unsupported",
      `${other.source} names keys of a kind that Sealward cannot encrypt for; ${usable}`,
    );
  const partsOf = (kind: Named["kind"]): string[] =>
    named
      .filter((one) => one.kind === kind)
      .flatMap(({ value }) => value.split(",").map((part) => part.trim()))
      .filter((part) => part !== "");
  const context = contextFrom(flags.encryptionContext);
  const keys = partsOf("kms").map((part): KmsRecipient => {
    const [, arn = part, role] = /^(.*?)\+(arn:aws[\w-]*:iam:.*)$/.exec(part) ?? [];
    return keyOf({ arn, role, context, profile: flags.awsProfile });
  });
  return {
    groups: [[...uniqueRecipients(partsOf("age")), ...uniqueKeys(keys)]],
    threshold: flags.shamirSecretSharingThreshold,
  };
}

/** `name:value,name:value`, as sops has it; a part that is none is refused, where sops drops them all. */
function contextFrom(text: string | undefined): EncryptionContext {
  if (text === undefined || text === "") return {};
  const pairs = text.split(",").map((part) => part.split(":"));
  if (pairs.some(({ length }) => length !== 2))
    throw new UsageError(
      "Cannot read --encryption-context: it is no list of NAME:VALUE",
      "write it as `--encryption-context NAME:VALUE,NAME:VALUE`",
    );
  return Object.fromEntries(pairs);
}

/** @throws recipient-invalid, usage */
function keyOf(key: KmsRecipient): KmsRecipient {
  assertKeyArn(key.arn);
  // With one, a file that is made here would pass for one of that environment.
  if (isOurContext(key.context))
    throw new UsageError(
      "Cannot encrypt with an encryption context of Sealward's own: only what is sealed under a seal.yaml has one",
      "leave the names that begin with `sealward-` out of the context",
    );
  return key;
}

const uniqueKeys = (keys: readonly KmsRecipient[]): KmsRecipient[] =>
  keys.filter(({ arn }, index) => keys.findIndex((other) => other.arn === arn) === index);

function recipientsOf({ groups, shamirThreshold, place, index }: CreationRule): Recipients | null {
  const other = groups.flat().find(({ kind }) => kind !== "age" && kind !== "kms");
  if (other !== undefined)
    throw new SealwardError(
      "recipient-unsupported",
      `Creation rule ${index + 1} names a key of the kind ${other.kind}, which Sealward cannot encrypt for; ${usable}`,
      place,
    );
  const named = groups.map(recipientsIn).filter((group) => group.length > 0);
  return named.length === 0 ? null : { groups: named, threshold: shamirThreshold };
}

/** Role and profile go into the file for tools that use them; here they are never used. */
function recipientsIn(group: readonly RuleKey[]): Recipient[] {
  const idsOf = (kind: RuleKey["kind"]) => group.filter((key) => key.kind === kind);
  const keys = idsOf("kms").map(({ id, context = new Map(), role, profile }) =>
    keyOf({ arn: id, context: Object.fromEntries(context), role, profile }),
  );
  return [...uniqueRecipients(idsOf("age").map(({ id }) => id)), ...uniqueKeys(keys)];
}

async function printUnused(io: Io, { unused, index }: CreationRule): Promise<void> {
  for (const { name, why } of unused)
    if (why === "unknown") await printNote(io, `creation rule ${index + 1} has the key ${name}, which means nothing`);
}
