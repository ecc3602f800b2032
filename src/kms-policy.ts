// Key policies and IAM policies with which AWS itself keeps an environment's KMS keys to that environment: a request with
// another context, or with none, is refused there, whatever the software says that makes it. Plain data; calls nothing.
import type { EnvironmentPolicy } from "./environment.ts";
import { assertKeyArn, contextOf, environmentContext, isSameKey, type KeyArn, parseKeyArn } from "./kms.ts";

type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  /** In key policies only: an IAM policy is that of whom it is attached to. */
  readonly Principal?: { readonly AWS: string | readonly string[] };
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Conditions;
}

export interface AccessPolicy {
  readonly Version: "2012-10-17";
  readonly Id?: string;
  readonly Statement: readonly PolicyStatement[];
}

/** A service account, by the session tags that EKS Pod Identity sets. */
export interface PodIdentity {
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export interface KmsPolicyOptions {
  /** ARNs of users and roles, of the keys' partition. None: a placeholder that AWS refuses stands for them. */
  readonly sealers?: readonly string[];
  /** As sealers. Who seals and opens belongs to both. */
  readonly openers?: readonly string[];
  /** Besides those whom the IAM of the key's account lets administer it. */
  readonly administrators?: readonly string[];
  /** Openers are only those pods. Empty: openers are not asked for tags. */
  readonly podIdentities?: readonly PodIdentity[];
  /** Files that are no Secrets as well: their context is the environment alone. */
  readonly plainFiles?: boolean;
  /** All that may use one of the keys too. */
  readonly environments?: Iterable<EnvironmentPolicy>;
}

export interface KmsPolicies {
  readonly keys: readonly {
    readonly arn: string;
    /** Other environments that list the key: the policy leaves room for their statements, and does not have them. */
    readonly sharedWith: readonly string[];
    readonly policy: AccessPolicy;
  }[];
  readonly iam: { readonly sealer: AccessPolicy; readonly opener: AccessPolicy };
}

/** All that looks after a key, by name: `kms:Create*` would have CreateGrant in it, and with it everything else. */
const administration = [
  "kms:CancelKeyDeletion",
  "kms:CreateAlias",
  "kms:DeleteAlias",
  "kms:DescribeKey",
  "kms:DisableKey",
  "kms:DisableKeyRotation",
  "kms:EnableKey",
  "kms:EnableKeyRotation",
  "kms:GetKeyPolicy",
  "kms:GetKeyRotationStatus",
  "kms:ListGrants",
  "kms:ListKeyPolicies",
  "kms:ListKeyRotations",
  "kms:ListResourceTags",
  "kms:PutKeyPolicy",
  "kms:ReplicateKey",
  "kms:RevokeGrant",
  "kms:RotateKeyOnDemand",
  "kms:ScheduleKeyDeletion",
  "kms:TagResource",
  "kms:UntagResource",
  "kms:UpdateAlias",
  "kms:UpdateKeyDescription",
  "kms:UpdatePrimaryRegion",
];

/** All that carries an encryption context. */
const withContext = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"];

/**
 * The policy of each key, and those for the identities that use them.
 * @throws recipient-invalid for what is no ARN of a KMS key or alias
 */
export function kmsPolicies(
  environment: EnvironmentPolicy,
  arns: readonly string[],
  options: KmsPolicyOptions = {},
): KmsPolicies {
  const { name } = environment;
  const keys = arns.map((arn) => ({ arn, parsed: parsedKey(arn) }));
  const { sealing, opening } = usesOf(environment, options);
  const resources = keys.map(({ arn, parsed }) => keyResource(arn, parsed));
  const iam = (statements: readonly PolicyStatement[]): AccessPolicy =>
    document([...statements, describing].map((statement) => ({ ...statement, Resource: resources })));
  return {
    keys: keys.map(({ arn, parsed }) => {
      const sharedWith = [...(options.environments ?? [])]
        .filter((other) => other.name !== name && other.kmsRecipients.some((listed) => isSameKey(listed, arn)))
        .map((other) => other.name);
      const sealers = principals(options.sealers, parsed, "sealers");
      const openers = principals(options.openers, parsed, "openers");
      const root = `arn:${parsed.partition}:iam::${parsed.account}:root`;
      const statements = [
        to([root, ...(options.administrators ?? [])], administering),
        to([...sealers, ...openers], describing),
        ...sealing.map((statement) => to(sealers, statement)),
        ...opening.map((statement) => to(openers, statement)),
        to("*", refusingAllBut([name, ...sharedWith].sort())),
      ];
      return { arn, sharedWith, policy: document(statements, `sealward-${name}`) };
    }),
    iam: { sealer: iam(sealing), opener: iam(opening) },
  };
}

const document = (statements: readonly PolicyStatement[], id?: string): AccessPolicy => ({
  Version: "2012-10-17",
  ...(id === undefined ? {} : { Id: id }),
  Statement: statements,
});

const to = (whom: "*" | readonly string[], { Sid, Effect, ...rest }: PolicyStatement): PolicyStatement => ({
  Sid,
  Effect,
  Principal: { AWS: whom === "*" ? whom : [...new Set(whom)] },
  ...rest,
});

/**
 * Goes to the account too, whose IAM then says who looks after the key: it cannot be left without anybody. Who uses it is
 * for the key policy alone, so that a right to `kms:*` somewhere in IAM does not reach what is sealed.
 */
const administering: PolicyStatement = {
  Sid: "AdministerKey",
  Effect: "Allow",
  Action: administration,
  Resource: "*",
};

/** Has no context, so it stands apart from what asks for one. */
const describing: PolicyStatement = {
  Sid: "DescribeKey",
  Effect: "Allow",
  Action: "kms:DescribeKey",
  Resource: "*",
};

/** Holds for a request without a context as well, for grants, and for whatever is allowed later. */
const refusingAllBut = (names: readonly string[]): PolicyStatement => ({
  Sid: "RefuseOtherEnvironments",
  Effect: "Deny",
  Action: withContext,
  Resource: "*",
  Condition: { StringNotEquals: { [contextKey("sealward-environment")]: names } },
});

interface Uses {
  readonly sealing: readonly PolicyStatement[];
  readonly opening: readonly PolicyStatement[];
}

function usesOf(environment: EnvironmentPolicy, { podIdentities = [], plainFiles = false }: KmsPolicyOptions): Uses {
  const { name } = environment;
  const tagsOfEach: readonly Record<string, string>[] = podIdentities.length === 0 ? [{}] : podIdentities.map(tagsOf);
  const title = name.replace(/(?:^|-)(.)/g, (_, first: string) => first.toUpperCase());
  const use = (Sid: string, Action: string, tags: Readonly<Record<string, string>>): PolicyStatement => ({
    Sid,
    Effect: "Allow",
    Action,
    Resource: "*",
    Condition: conditionsOf(environment, plainFiles, tags),
  });
  return {
    sealing: [use(`SealFor${title}`, "kms:Encrypt", {})],
    opening: tagsOfEach.map((tags, at) => use(`OpenFor${title}${at === 0 ? "" : `No${at + 1}`}`, "kms:Decrypt", tags)),
  };
}

const contextKey = (name: string): string => `kms:EncryptionContext:${name}`;

const tagsOf = ({ cluster, namespace, serviceAccount }: PodIdentity): Record<string, string> => ({
  "aws:PrincipalTag/eks-cluster-name": cluster,
  "aws:PrincipalTag/kubernetes-namespace": namespace,
  "aws:PrincipalTag/kubernetes-service-account": serviceAccount,
});

/**
 * What each file of the environment carries is asked for, and nothing that none of them carries is let through. The one
 * condition does not do for the other: ForAllValues holds where there is no context, and StringEquals does not see what
 * else is in it, nor in which case its name is written.
 */
function conditionsOf(
  { name: environment, scopes }: EnvironmentPolicy,
  plainFiles: boolean,
  tags: Readonly<Record<string, string>>,
): Conditions {
  const contexts = scopes.map((scope) => contextOf({ environment, scope, namespace: "any", name: "any" }));
  if (plainFiles) contexts.push(environmentContext(environment));
  const carried = [...new Set(contexts.flatMap((context) => Object.keys(context)))];
  const always = carried.filter((key) => contexts.every((context) => Object.hasOwn(context, key)));
  const pinned = always.filter((key) => !Object.hasOwn(environmentContext(environment), key));
  return {
    StringEquals: { [contextKey("sealward-environment")]: environment, ...tags },
    "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": carried },
    ...(pinned.length === 0 ? {} : { Null: Object.fromEntries(pinned.map((key) => [contextKey(key), "false"])) }),
  };
}

/** KMS takes no policy that names a role which does not exist. */
const principals = (given: readonly string[] = [], { partition, account }: KeyArn, who: string): readonly string[] =>
  given.length > 0 ? given : [`arn:${partition}:iam::${account}:role/REPLACE-${who}`];

/**
 * IAM matches the ARN of the key and never that of an alias. A condition on the alias would do, but would give the right
 * over keys to whoever may move aliases; so a placeholder that matches nothing stands there.
 */
const keyResource = (arn: string, { partition, region, account, key }: KeyArn): string =>
  key.startsWith("alias/")
    ? `arn:${partition}:kms:${region}:${account}:key/REPLACE-${key.slice("alias/".length).replaceAll("/", "-")}`
    : arn;

function parsedKey(arn: string): KeyArn {
  assertKeyArn(arn);
  return parseKeyArn(arn) as KeyArn;
}
