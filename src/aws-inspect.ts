// What AWS says of a caller and of a key: for a person who wants to know why something opens or does not. Wraps and opens
// nothing; permissions are asked for by dry runs.

import { isDryRunSuccess } from "./aws-failure.ts";
import type { AwsCaller, AwsKms } from "./aws-kms.ts";
import { SealwardError } from "./errors.ts";
import type { EncryptionContext } from "./kms.ts";

/** Who calls the keys of a Region. */
export interface CallerReport {
  /** The ARN that policies and the audit trail see. */
  readonly arn: string;
  /** Which link of the SDK's chain gave the credentials. */
  readonly source: string;
}

export interface KeyReport {
  readonly arn: string;
  /** As AWS names it: `Enabled`, `Disabled`, `PendingDeletion` …; null where the caller may not ask. */
  readonly state: string | null;
  /** When a key that is pending deletion goes. */
  readonly deletionDate?: Date | undefined;
  /** The material that encrypts now, where KMS says it. */
  readonly currentKeyMaterialId?: string | undefined;
  /** Null: allowed. Else why not. */
  readonly encrypt: SealwardError | null;
  readonly decrypt: SealwardError | null;
}

/** @throws credentials-missing, key-refused, key-unreachable */
export async function inspectCaller(aws: AwsKms, arn: string, caller: AwsCaller): Promise<CallerReport> {
  const { GetCallerIdentityCommand } = await import("@aws-sdk/client-sts");
  const asked = { action: "sts:GetCallerIdentity", arn };
  return aws.call(asked, caller, async (client) => {
    const sts = await aws.sts(client);
    const { Arn = "" } = await sts.send(new GetCallerIdentityCommand({}));
    return { arn: Arn, source: sourceOf(await client.config.credentials()) };
  });
}

/** State and permissions of one key, asked for at the same time. @throws credentials-missing, key-unreachable */
export async function inspectKey(
  aws: AwsKms,
  arn: string,
  { caller, context }: { readonly caller: AwsCaller; readonly context: EncryptionContext },
): Promise<KeyReport> {
  const { DecryptCommand, EncryptCommand } = await import("@aws-sdk/client-kms");
  const dry = { KeyId: arn, EncryptionContext: { ...context }, DryRun: true };
  const encrypt = new EncryptCommand({ ...dry, Plaintext: new Uint8Array(32) });
  const decrypt = new DecryptCommand({ ...dry, DryRunModifiers: ["IGNORE_CIPHERTEXT"] });
  const [described, mayEncrypt, mayDecrypt] = await Promise.all([
    refusalOr(describeKey(aws, arn, caller)),
    refusalOr(dryRun(aws, { action: "kms:Encrypt", arn }, caller, (client) => client.send(encrypt))),
    refusalOr(dryRun(aws, { action: "kms:Decrypt", arn }, caller, (client) => client.send(decrypt))),
  ]);
  const key = described instanceof SealwardError ? { state: null } : described;
  return { arn, ...key, encrypt: mayEncrypt, decrypt: mayDecrypt };
}

/** @throws as {@link inspectKey}; key-refused where the caller may not ask */
export async function describeKey(
  aws: AwsKms,
  arn: string,
  caller: AwsCaller,
): Promise<Pick<KeyReport, "state" | "deletionDate" | "currentKeyMaterialId">> {
  const { DescribeKeyCommand } = await import("@aws-sdk/client-kms");
  const asked = { action: "kms:DescribeKey", arn };
  const { KeyMetadata } = await aws.call(asked, caller, (client) =>
    client.send(new DescribeKeyCommand({ KeyId: arn })),
  );
  return {
    state: KeyMetadata?.KeyState ?? null,
    deletionDate: KeyMetadata?.DeletionDate,
    currentKeyMaterialId: KeyMetadata?.CurrentKeyMaterialId,
  };
}

type Send = Parameters<AwsKms["call"]>[2];

/** A dry run is allowed where KMS says that it would have done it, and nowhere else: an emulator may just do it. */
async function dryRun(aws: AwsKms, asked: Parameters<AwsKms["call"]>[0], caller: AwsCaller, send: Send): Promise<null> {
  await aws.call(asked, caller, async (client) => {
    try {
      await send(client);
    } catch (problem) {
      if (!isDryRunSuccess(problem)) throw problem;
    }
  });
  return null;
}

/** A refusal is an answer; that nobody answers is not. */
async function refusalOr<T>(asking: Promise<T>): Promise<T | SealwardError> {
  try {
    return await asking;
  } catch (problem) {
    if (problem instanceof SealwardError && problem.code === "key-refused") return problem;
    throw problem;
  }
}

/** The last link comes first: a role that was assumed says more than where its base came from. */
const sources: readonly (readonly [feature: string, says: string])[] = [
  ["CREDENTIALS_STS_ASSUME_ROLE_WEB_ID", "a web identity token (IRSA, or a pipeline's OIDC token)"],
  ["CREDENTIALS_STS_ASSUME_ROLE", "an assumed role"],
  ["CREDENTIALS_PROFILE_SSO", "a profile with single sign-on"],
  ["CREDENTIALS_SSO", "single sign-on"],
  ["CREDENTIALS_PROFILE_SSO_LEGACY", "a profile with single sign-on"],
  ["CREDENTIALS_SSO_LEGACY", "single sign-on"],
  ["CREDENTIALS_PROFILE_LOGIN", "a profile with `aws login`"],
  ["CREDENTIALS_LOGIN", "`aws login`"],
  ["CREDENTIALS_PROFILE_PROCESS", "a program that a profile names"],
  ["CREDENTIALS_PROCESS", "a program that a profile names"],
  ["CREDENTIALS_ENV_VARS", "environment variables"],
  ["CREDENTIALS_HTTP", "the container's endpoint (EKS Pod Identity, or ECS)"],
  ["CREDENTIALS_IMDS", "the machine itself (IMDS)"],
  ["CREDENTIALS_PROFILE", "a profile"],
];

function sourceOf(credentials: object): string {
  const $source = "$source" in credentials ? Object(credentials.$source) : {};
  return sources.find(([feature]) => Object.hasOwn($source, feature))?.[1] ?? "credentials that were passed in";
}
