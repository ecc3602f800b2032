// The operations that look after keys: their description, state, policy, aliases, rotation and replicas. An alias is
// authorised by its key alone, where AWS asks the alias as well. Knows no HTTP.
import { type Asked, authorize, authorizeInAccount, couldPutPolicy, namedKey, placeOf } from "./authorization.ts";
import { invalidState, malformedPolicy, validation } from "./aws-errors.ts";
import type { Operation } from "./crypto-operations.ts";
import { assertNotPending, assertUsable, currentMaterial, type Key, type Keys, policyOf } from "./keys.ts";
import type { Parameters } from "./parameters.ts";
import { type PolicyDocument, parsePolicy, readPolicy } from "./policy-documents.ts";

/** AWS writes times as seconds. */
const secondsOf = (date: Date): number => date.getTime() / 1000;

function multiRegionOf(key: Key, keys: Keys): object {
  const { isMultiRegion, primaryRegion } = key.family;
  if (!isMultiRegion) return { MultiRegion: false };
  const entries = keys.relatives(key).map(({ arn, region }) => ({ Arn: arn, Region: region }));
  return {
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: key.region === primaryRegion ? "PRIMARY" : "REPLICA",
      PrimaryKey: entries.find(({ Region }) => Region === primaryRegion),
      ReplicaKeys: entries.filter(({ Region }) => Region !== primaryRegion),
    },
  };
}

function metadataOf(key: Key, keys: Keys): object {
  return {
    AWSAccountId: key.family.account,
    KeyId: key.family.keyId,
    Arn: key.arn,
    CreationDate: secondsOf(key.created),
    Enabled: key.state === "Enabled",
    Description: key.description,
    KeyUsage: "ENCRYPT_DECRYPT",
    KeyState: key.state,
    ...(key.deletionDate === undefined ? {} : { DeletionDate: secondsOf(key.deletionDate) }),
    Origin: "AWS_KMS",
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: "SYMMETRIC_DEFAULT",
    KeySpec: "SYMMETRIC_DEFAULT",
    EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
    ...multiRegionOf(key, keys),
    CurrentKeyMaterialId: currentMaterial(key).id,
  };
}

/** An operation on the key that KeyId names: the right to it is checked before anything happens. */
function onKey(operation: string, run: (key: Key, parameters: Parameters, asked: Asked) => object): Operation {
  return (parameters, asked) => {
    const key = namedKey(asked, parameters.text("KeyId"));
    authorize(asked, `kms:${operation}`, key);
    return run(key, parameters, asked);
  };
}

function newPolicy(parameters: Parameters): PolicyDocument | undefined {
  const text = parameters.optionalText("Policy");
  if (text === undefined) return undefined;
  const policy = parsePolicy(text);
  readPolicy(policy, "key policy");
  return policy;
}

function assertNotLockedOut(asked: Asked, key: Key, policy: PolicyDocument, isBypassed: boolean): void {
  if (isBypassed || couldPutPolicy(asked, key, policy)) return;
  throw malformedPolicy("The new key policy will not allow you to update the key policy in the future.");
}

const createKey: Operation = (parameters, asked) => {
  authorizeInAccount(asked, "kms:CreateKey");
  const policy = newPolicy(parameters);
  const isBypassed = parameters.flag("BypassPolicyLockoutSafetyCheck");
  parameters.only("KeyUsage", "ENCRYPT_DECRYPT");
  parameters.only("KeySpec", "SYMMETRIC_DEFAULT");
  parameters.only("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT");
  parameters.only("Origin", "AWS_KMS");
  parameters.list("Tags");
  const multiRegion = parameters.flag("MultiRegion");
  const description = parameters.optionalText("Description");
  parameters.assertAllRead();
  const key = asked.keys.create({ ...placeOf(asked), multiRegion, description });
  try {
    if (policy !== undefined) assertNotLockedOut(asked, key, policy, isBypassed);
  } catch (error) {
    asked.keys.discard(key);
    throw error;
  }
  key.policy = policy;
  asked.details.keyId = key.arn;
  return { KeyMetadata: metadataOf(key, asked.keys) };
};

const replicateKey = onKey("ReplicateKey", (key, parameters, asked) => {
  const region = parameters.text("ReplicaRegion");
  const policy = newPolicy(parameters);
  const isBypassed = parameters.flag("BypassPolicyLockoutSafetyCheck");
  const description = parameters.optionalText("Description");
  parameters.list("Tags");
  parameters.assertAllRead();
  assertUsable(key);
  if (policy !== undefined) assertNotLockedOut(asked, key, policy, isBypassed);
  const replica = asked.keys.replicate(key, region, policy, description);
  return { ReplicaKeyMetadata: metadataOf(replica, asked.keys), ReplicaPolicy: JSON.stringify(policyOf(replica)) };
});

const setAlias =
  (mode: "create" | "update"): Operation =>
  (parameters, asked) => {
    const key = namedKey(asked, parameters.text("TargetKeyId"));
    const name = parameters.text("AliasName");
    parameters.assertAllRead();
    authorize(asked, mode === "create" ? "kms:CreateAlias" : "kms:UpdateAlias", key);
    asked.keys.setAlias(name, key, mode);
    return {};
  };

const deleteAlias: Operation = (parameters, asked) => {
  const name = parameters.text("AliasName");
  parameters.assertAllRead();
  authorize(asked, "kms:DeleteAlias", namedKey(asked, name));
  asked.keys.deleteAlias(name, placeOf(asked));
  return {};
};

const listAliases: Operation = (parameters, asked) => {
  authorizeInAccount(asked, "kms:ListAliases");
  const named = parameters.optionalText("KeyId");
  parameters.optionalNumber("Limit", 1, 100);
  parameters.assertAllRead();
  const keyArn = named === undefined ? undefined : namedKey(asked, named).arn;
  const found = asked.keys.aliases(placeOf(asked)).filter((alias) => keyArn === undefined || alias.keyArn === keyArn);
  const Aliases = found.map((alias) => ({
    AliasArn: alias.arn,
    AliasName: alias.arn.split(":").at(-1),
    TargetKeyId: alias.keyArn.split("/").at(-1),
  }));
  return { Aliases, Truncated: false };
};

const enableKey = onKey("EnableKey", (key, parameters) => {
  parameters.assertAllRead();
  assertNotPending(key);
  key.state = "Enabled";
  return {};
});

const disableKey = onKey("DisableKey", (key, parameters) => {
  parameters.assertAllRead();
  assertNotPending(key);
  key.state = "Disabled";
  return {};
});

const scheduleKeyDeletion = onKey("ScheduleKeyDeletion", (key, parameters, asked) => {
  const days = parameters.optionalNumber("PendingWindowInDays", 7, 30) ?? 30;
  parameters.assertAllRead();
  assertNotPending(key);
  asked.keys.scheduleDeletion(key, days);
  const DeletionDate = key.deletionDate === undefined ? undefined : secondsOf(key.deletionDate);
  return { KeyId: key.arn, DeletionDate, KeyState: key.state, PendingWindowInDays: days };
});

const cancelKeyDeletion = onKey("CancelKeyDeletion", (key, parameters) => {
  parameters.assertAllRead();
  if (!key.state.startsWith("Pending")) throw invalidState(key.arn, "is not pending deletion");
  key.state = "Disabled";
  key.deletionDate = undefined;
  return { KeyId: key.arn };
});

const rotateKeyOnDemand = onKey("RotateKeyOnDemand", (key, parameters, asked) => {
  parameters.assertAllRead();
  assertUsable(key);
  asked.keys.rotate(key);
  return { KeyId: key.arn };
});

const putKeyPolicy = onKey("PutKeyPolicy", (key, parameters, asked) => {
  parameters.only("PolicyName", "default");
  const policy = newPolicy(parameters);
  const isBypassed = parameters.flag("BypassPolicyLockoutSafetyCheck");
  parameters.assertAllRead();
  if (policy === undefined) throw validation("Value at 'policy' failed to satisfy constraint: Member must not be null");
  assertNotLockedOut(asked, key, policy, isBypassed);
  key.policy = policy;
  return {};
});

const getKeyPolicy = onKey("GetKeyPolicy", (key, parameters) => {
  parameters.only("PolicyName", "default");
  parameters.assertAllRead();
  return { Policy: JSON.stringify(policyOf(key)), PolicyName: "default" };
});

const describeKey = onKey("DescribeKey", (key, parameters, asked) => {
  parameters.assertAllRead();
  return { KeyMetadata: metadataOf(key, asked.keys) };
});

export const keyOperations: Readonly<Record<string, Operation>> = {
  DescribeKey: describeKey,
  CreateKey: createKey,
  CreateAlias: setAlias("create"),
  UpdateAlias: setAlias("update"),
  DeleteAlias: deleteAlias,
  ListAliases: listAliases,
  EnableKey: enableKey,
  DisableKey: disableKey,
  ScheduleKeyDeletion: scheduleKeyDeletion,
  CancelKeyDeletion: cancelKeyDeletion,
  RotateKeyOnDemand: rotateKeyOnDemand,
  ReplicateKey: replicateKey,
  PutKeyPolicy: putKeyPolicy,
  GetKeyPolicy: getKeyPolicy,
};
