// seal kms policy: the key policies and IAM policies that hold an environment's KMS keys to it, to be read and put in place by
// whoever administers the keys. Calls nothing and knows no credentials.
import {
  type Config,
  type EnvironmentPolicy,
  findEnvironment,
  isSameKey,
  type KmsPolicies,
  kmsPolicies,
  type PodIdentity,
  parseKeyArn,
} from "../../src/index.ts";
import { configMissing } from "../environment.ts";
import type { Io } from "../io.ts";
import { HintedError, printNote, safeJson, UsageError } from "../report.ts";
import { findSettings } from "../settings.ts";

export interface KmsPolicyCommandOptions {
  readonly env?: string;
  readonly key?: readonly string[];
  readonly sealer?: readonly string[];
  readonly opener?: readonly string[];
  readonly admin?: readonly string[];
  readonly podIdentity?: readonly string[];
  readonly plainFiles?: boolean;
  readonly output: "text" | "json";
}

export async function kmsPolicy(io: Io, options: KmsPolicyCommandOptions): Promise<void> {
  const settings = await findSettings(io, null);
  if (settings === null) throw configMissing("Cannot print the key policy", "seal.yaml");
  const { config } = settings;
  const named = [...new Set(options.key)];
  for (const arn of named) assertKey(arn);
  const environment = chosenEnvironment(config, options.env, named);
  const keys = named.length > 0 ? named : ownKeys(config, environment);
  if (keys.length === 0) throw keyless(config, `The environment "${environment.name}" has no KMS key`, environment);
  const partition = onePartition(keys);
  const policies = kmsPolicies(environment, keys, {
    sealers: principals("--sealer", options.sealer, partition),
    openers: principals("--opener", options.opener, partition),
    administrators: principals("--admin", options.admin, partition),
    podIdentities: (options.podIdentity ?? []).map(podIdentity),
    plainFiles: options.plainFiles ?? false,
    environments: config.environments.values(),
  });
  await io.stdout.write(options.output === "json" ? asJson(environment, policies) : asText(policies));
  for (const note of notesOn(config, environment, policies, options)) await printNote(io, note);
}

/** Those for recovery apart: they are every environment's, and who opens with them is somebody else. */
const ownKeys = ({ recovery }: Config, { kmsRecipients }: EnvironmentPolicy): readonly string[] =>
  kmsRecipients.filter((arn) => !recovery.kms.includes(arn));

const lists = ({ kmsRecipients }: EnvironmentPolicy, arn: string): boolean =>
  kmsRecipients.some((listed) => isSameKey(listed, arn));

function chosenEnvironment(config: Config, flag: string | undefined, named: readonly string[]): EnvironmentPolicy {
  if (flag !== undefined) return findEnvironment(config, { flag });
  const all = [...config.environments.values()];
  const fitting = all.filter((environment) =>
    named.length === 0 ? ownKeys(config, environment).length > 0 : named.every((arn) => lists(environment, arn)),
  );
  const [only, second] = fitting;
  if (only !== undefined && second === undefined) return only;
  if (only === undefined && named.length === 0) throw keyless(config, "No environment has a KMS key");
  const candidates = (only === undefined ? all : fitting).map(({ name }) => name).join(", ");
  throw new UsageError(
    `Cannot tell whose key policy to print: it could be that of ${candidates}`,
    "name the environment: add `--env NAME`",
  );
}

function keyless(config: Config, message: string, environment?: EnvironmentPolicy): HintedError {
  const name = environment?.name ?? "NAME";
  const forRecovery = config.recovery.kms.length === 0 ? "" : " besides those for recovery";
  return new HintedError("recipients-unnamed", `Cannot print a key policy: ${message}${forRecovery}`, {
    hint: `list its ARN under environments.${name}.recipients.kms in seal.yaml, or name one: \`--env ${name} --key ARN\``,
    file: config.file,
  });
}

/** What is refused is not repeated: anything may have been pasted there. */
function assertKey(text: string): void {
  if (parseKeyArn(text) !== null) return;
  throw new UsageError(
    "--key is not the ARN of a KMS key",
    "write it whole: arn:aws:kms:REGION:ACCOUNT:key/ID or arn:aws:kms:REGION:ACCOUNT:alias/NAME",
  );
}

function onePartition(keys: readonly string[]): string {
  const [partition = "", second] = new Set(keys.map((arn) => parseKeyArn(arn)?.partition ?? ""));
  if (second === undefined) return partition;
  throw new UsageError(
    `The keys are in ${partition} and ${second}, and no policy can name both`,
    "print them one by one: `--key ARN`",
  );
}

const principalPattern =
  /^arn:(aws(?:-[a-z]+)*):iam::\d{12}:(?:root|(?:role|user)\/(?:[\w+=,.@-]{1,128}\/){0,20}[\w+=,.@-]{1,64})$/;

function principals(flag: string, given: readonly string[] = [], partition: string): readonly string[] {
  for (const text of given) {
    const found = principalPattern.exec(text)?.[1];
    if (found === partition) continue;
    const message =
      found === undefined
        ? "is not the ARN of a role, a user or an account"
        : `is in ${found}, the key in ${partition}`;
    throw new UsageError(`${flag} ${message}`, `write it whole and without *: arn:${partition}:iam::ACCOUNT:role/NAME`);
  }
  return given;
}

function podIdentity(text: string): PodIdentity {
  const [, cluster = "", namespace = "", serviceAccount = ""] =
    /^([A-Za-z0-9][\w-]{0,99})\/([a-z0-9][a-z0-9-]{0,62})\/([a-z0-9][a-z0-9.-]{0,252})$/.exec(text) ?? [];
  if (cluster !== "") return { cluster, namespace, serviceAccount };
  throw new UsageError(
    "--pod-identity is not CLUSTER/NAMESPACE/SERVICE-ACCOUNT",
    "name the EKS cluster and the controller's service account: `--pod-identity prod-1/sealward-system/sealward-controller`",
  );
}

const asJson = ({ name }: EnvironmentPolicy, { keys, iam }: KmsPolicies): string =>
  `${safeJson({ environment: name, keys: keys.map(({ arn, policy }) => ({ arn, policy })), iam })}\n`;

const asText = ({ keys, iam }: KmsPolicies): string =>
  [
    ...keys.map(({ arn, policy }) => [`key policy of ${arn}`, policy] as const),
    ["IAM policy of those who seal", iam.sealer] as const,
    ["IAM policy of those who open", iam.opener] as const,
  ]
    .map(([title, policy]) => `# ${title}\n${safeJson(policy)}\n`)
    .join("\n");

function* notesOn(
  config: Config,
  environment: EnvironmentPolicy,
  { keys, iam }: KmsPolicies,
  options: KmsPolicyCommandOptions,
): Generator<string> {
  const { name } = environment;
  const missing = [
    ...(options.sealer === undefined ? ["REPLACE-sealers (or add --sealer ARN)"] : []),
    ...(options.opener === undefined ? ["REPLACE-openers (or add --opener ARN)"] : []),
  ];
  if (missing.length > 0)
    yield `put your roles in the place of ${missing.join(" and ")}; AWS refuses the policy until then`;
  for (const { arn, sharedWith } of keys) {
    const key = parseKeyArn(arn)?.key ?? "";
    if (key.startsWith("alias/")) {
      yield `${arn} is an alias: its key policy goes to the key behind it, and IAM wants that key's own ARN in the place of REPLACE (or name it with --key ARN)`;
    }
    if (key.startsWith("mrk-")) {
      yield `${arn} is a multi-Region key, and each replica has a policy of its own: put this one in place in every Region that has one`;
    }
    if (sharedWith.length > 0) {
      yield `${arn} is a key of ${sharedWith.join(", ")} as well: a key has one policy, so put their SealFor and OpenFor statements into it too`;
    }
    if (!lists(environment, arn))
      yield `seal.yaml does not list ${arn} for "${name}": right if it is the key behind an alias there, or one to come`;
  }
  for (const arn of options.key === undefined ? config.recovery.kms : []) {
    yield `the key for recovery has a policy of its own, for those who seal and those who recover: \`seal kms policy --env ${name} --key ${arn} --opener ARN\``;
  }
  if (iam.sealer.Statement.some(({ Condition }) => Condition?.["Null"] !== undefined) && options.plainFiles !== true) {
    yield `only Secrets are sealed and opened under this policy; if "${name}" has sealed files that are none, add --plain-files`;
  }
}
