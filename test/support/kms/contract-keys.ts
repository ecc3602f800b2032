// The contract about keys: their names and aliases, their states, rotation, dry runs and policies.
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  type DecryptCommandInput,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyPolicyCommand,
  type KMSClient,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms";
import type { Question, World } from "./contract.ts";
import { answerOf, home, type NewKey, newKey, opening, plaintext, sealed } from "./contract-asking.ts";

const Plaintext = Buffer.from(plaintext);

async function stateOf(client: KMSClient, KeyId: string): Promise<unknown> {
  return (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState;
}

/** Every use of the key after something was done with it, and how its description calls that. */
async function usesAfter(world: World, change: (key: NewKey) => Promise<unknown>): Promise<object> {
  const key = await newKey(world);
  const { client, arn } = key;
  const CiphertextBlob = await sealed(client, arn);
  await change(key);
  const encrypt = () => client.send(new EncryptCommand({ KeyId: arn, Plaintext }));
  const generate = () => client.send(new GenerateDataKeyCommand({ KeyId: arn, KeySpec: "AES_256" }));
  return {
    encrypt: await answerOf(encrypt().then(() => "encrypted")),
    decrypt: await opening(client, { CiphertextBlob }),
    generate: await answerOf(generate().then(() => "generated")),
    state: await stateOf(client, arn),
  };
}

const everyUse = (answer: string, state: string): object => ({
  encrypt: answer,
  decrypt: answer,
  generate: answer,
  state,
});

/** Unlike any other alias in the same server. */
const aliasFor = ({ keyId }: NewKey): string => `alias/seal-${keyId}`;

async function retargeted(
  world: World,
): Promise<{ readonly alias: string; readonly one: NewKey; readonly two: NewKey; readonly old: Uint8Array }> {
  const one = await newKey(world);
  const two = await newKey(world);
  const alias = aliasFor(one);
  await one.client.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: one.arn }));
  const old = await sealed(one.client, alias);
  await one.client.send(new UpdateAliasCommand({ AliasName: alias, TargetKeyId: two.arn }));
  return { alias, one, two, old };
}

const aliasQuestions: readonly Question[] = [
  [
    "an alias encrypts with the key that it names, and answers with the key's ARN",
    true,
    async (world) => {
      const key = await newKey(world);
      const AliasName = aliasFor(key);
      await key.client.send(new CreateAliasCommand({ AliasName, TargetKeyId: key.keyId }));
      const { KeyId } = await key.client.send(new EncryptCommand({ KeyId: AliasName, Plaintext }));
      return KeyId === key.arn;
    },
  ],
  [
    "an alias that moved leaves the old ciphertexts as they are",
    ["opened", true],
    async (world) => {
      const { one, two, old, alias } = await retargeted(world);
      const { KeyId } = await one.client.send(new EncryptCommand({ KeyId: alias, Plaintext }));
      return [await opening(one.client, { CiphertextBlob: old }), KeyId === two.arn];
    },
  ],
  [
    "an alias that moved does not open what it sealed before",
    "IncorrectKeyException",
    async (world) => {
      const { one, old, alias } = await retargeted(world);
      return opening(one.client, { CiphertextBlob: old, KeyId: alias });
    },
  ],
  [
    "an alias is there once",
    "AlreadyExistsException",
    async (world) => {
      const key = await newKey(world);
      const create = () => key.client.send(new CreateAliasCommand({ AliasName: aliasFor(key), TargetKeyId: key.arn }));
      await create();
      return answerOf(create());
    },
  ],
  [
    "an alias, a key id and an ARN that nobody has are not found",
    ["NotFoundException", "NotFoundException", "NotFoundException"],
    async (world) => {
      const { client, arn, keyId } = await newKey(world);
      const none = "0a0a0a0a-0000-4000-8000-000000000000";
      const answers = [];
      for (const KeyId of ["alias/nobody-has-this", none, arn.replace(keyId, none)]) {
        answers.push(await answerOf(client.send(new EncryptCommand({ KeyId, Plaintext }))));
      }
      return answers;
    },
  ],
];

const stateQuestions: readonly Question[] = [
  [
    "a disabled key does nothing",
    everyUse("DisabledException", "Disabled"),
    (world) => usesAfter(world, ({ client, keyId }) => client.send(new DisableKeyCommand({ KeyId: keyId }))),
  ],
  [
    "a key that waits for its deletion does nothing",
    everyUse("KMSInvalidStateException", "PendingDeletion"),
    (world) =>
      usesAfter(world, ({ client, keyId }) =>
        client.send(new ScheduleKeyDeletionCommand({ KeyId: keyId, PendingWindowInDays: 7 })),
      ),
  ],
  [
    "a key that is saved from deletion is disabled until somebody enables it",
    ["Disabled", "Enabled"],
    async (world) => {
      const { client, keyId } = await newKey(world);
      await client.send(new ScheduleKeyDeletionCommand({ KeyId: keyId }));
      await client.send(new CancelKeyDeletionCommand({ KeyId: keyId }));
      const saved = await stateOf(client, keyId);
      await client.send(new EnableKeyCommand({ KeyId: keyId }));
      return [saved, await stateOf(client, keyId)];
    },
  ],
  [
    "a key's state is changed under its ARN as well",
    ["Disabled", "Enabled", "PendingDeletion", "Disabled"],
    async (world) => {
      const { client, arn: KeyId } = await newKey(world);
      const changes = [
        () => client.send(new DisableKeyCommand({ KeyId })),
        () => client.send(new EnableKeyCommand({ KeyId })),
        () => client.send(new ScheduleKeyDeletionCommand({ KeyId })),
        () => client.send(new CancelKeyDeletionCommand({ KeyId })),
      ];
      const states = [];
      for (const change of changes) states.push(await answerOf(change().then(() => stateOf(client, KeyId))));
      return states;
    },
  ],
];

/** What a dry run of each operation answers. */
async function dryRuns(world: World): Promise<object> {
  const { client, arn } = await newKey(world);
  const CiphertextBlob = await sealed(client, arn);
  const DryRun = true;
  const encrypt = () => client.send(new EncryptCommand({ KeyId: arn, Plaintext, DryRun }));
  const decrypt = () => client.send(new DecryptCommand({ CiphertextBlob, DryRun }));
  const reEncrypt = () => client.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: arn, DryRun }));
  const generate = () => client.send(new GenerateDataKeyCommand({ KeyId: arn, KeySpec: "AES_256", DryRun }));
  return {
    encrypt: await answerOf(encrypt().then(() => "encrypted")),
    decrypt: await answerOf(decrypt().then((answer) => (answer.Plaintext ? "the plaintext" : "nothing"))),
    reEncrypt: await answerOf(reEncrypt().then(() => "encrypted")),
    generate: await answerOf(generate().then((answer) => (answer.Plaintext ? "the plaintext" : "nothing"))),
  };
}

const isMaterialId = (value: unknown): boolean => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);

async function materials(world: World): Promise<object> {
  const { client, arn } = await newKey(world);
  const decrypted = (input: DecryptCommandInput) => client.send(new DecryptCommand(input));
  const current = async () =>
    (await client.send(new DescribeKeyCommand({ KeyId: arn }))).KeyMetadata?.CurrentKeyMaterialId;
  const CiphertextBlob = await sealed(client, arn);
  const before = await current();
  await client.send(new RotateKeyOnDemandCommand({ KeyId: arn }));
  const after = await current();
  const old = await decrypted({ CiphertextBlob });
  const moved = await client.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: arn }));
  return {
    describedBefore: isMaterialId(before),
    isAnother: before !== after,
    ofTheOldCiphertext: isMaterialId(old.KeyMaterialId) && old.KeyMaterialId === before,
    reEncryptNamesBoth:
      isMaterialId(after) && moved.DestinationKeyMaterialId === after && moved.SourceKeyMaterialId === before,
    opensTheOld: await opening(client, { CiphertextBlob }),
  };
}

function denying(Action: string): string {
  const allowed = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
  const denied = { Effect: "Deny", Principal: "*", Action, Resource: "*" };
  return JSON.stringify({ Version: "2012-10-17", Statement: [allowed, denied] });
}

const policyQuestions: readonly Question[] = [
  [
    "a policy that denies Decrypt denies it, and nothing else",
    ["encrypted", "AccessDeniedException"],
    async (world) => {
      const { client, arn } = await newKey(world, { Policy: denying("kms:Decrypt") });
      const CiphertextBlob = await sealed(client, arn);
      return ["encrypted", await opening(client, { CiphertextBlob, KeyId: arn })];
    },
  ],
  [
    "a policy is kept as it was put",
    true,
    async (world) => {
      const { client, arn } = await newKey(world);
      const Policy = denying("kms:Decrypt");
      await client.send(new PutKeyPolicyCommand({ KeyId: arn, PolicyName: "default", Policy }));
      const kept = await client.send(new GetKeyPolicyCommand({ KeyId: arn, PolicyName: "default" }));
      return JSON.stringify(JSON.parse(kept.Policy ?? "null")) === Policy;
    },
  ],
  [
    "a policy that is no JSON is refused",
    "MalformedPolicyDocumentException",
    async (world) =>
      answerOf(
        world
          .kms(home)
          .send(new CreateKeyCommand({ Policy: "{" }))
          .then(() => "created"),
      ),
  ],
];

export const keyQuestions: readonly Question[] = [
  ...aliasQuestions,
  ...stateQuestions,
  [
    "a dry run gives nothing away, and says that it would have worked",
    {
      encrypt: "DryRunOperationException",
      decrypt: "DryRunOperationException",
      reEncrypt: "DryRunOperationException",
      generate: "DryRunOperationException",
    },
    dryRuns,
  ],
  [
    "a rotation makes new material, which Decrypt, ReEncrypt and DescribeKey tell apart",
    {
      describedBefore: true,
      isAnother: true,
      ofTheOldCiphertext: true,
      reEncryptNamesBoth: true,
      opensTheOld: "opened",
    },
    materials,
  ],
  ...policyQuestions,
];
