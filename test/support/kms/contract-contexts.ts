// The contract about ciphertexts: which context, key and Region open them, what a changed one does, and how much goes in.
import {
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  ReEncryptCommand,
  ReplicateKeyCommand,
} from "@aws-sdk/client-kms";
import type { Question, World } from "./contract.ts";
import { answerOf, elsewhere, home, newKey, opening, plaintext, sealed } from "./contract-asking.ts";

type Context = Readonly<Record<string, string>>;

const invalid = "InvalidCiphertextException";
const context = { "seal:env": "prod", "seal:repo": "shop" };

/** Sealed with one context and opened with another. */
const openedWith: readonly (readonly [title: string, answer: string, sealedWith: Context, openedWith: Context])[] = [
  ["the same context opens", "opened", context, { ...context }],
  ["the order of a context does not matter", "opened", context, { "seal:repo": "shop", "seal:env": "prod" }],
  ["another value does not open", invalid, context, { ...context, "seal:env": "dev" }],
  ["no context does not open what has one", invalid, context, {}],
  ["a context does not open what has none", invalid, {}, context],
  ["one entry less does not open", invalid, context, { "seal:env": "prod" }],
  ["one entry more does not open", invalid, context, { ...context, more: "x" }],
  ["another case of a value does not open", invalid, context, { ...context, "seal:env": "Prod" }],
  ["another case of a key does not open", invalid, context, { "Seal:env": "prod", "seal:repo": "shop" }],
  ["a value that moves into its key does not open", invalid, { app: "x", env: "prod" }, { appx: "", env: "prod" }],
  ["entries that run together do not open", invalid, { app: "x", env: "prod" }, { appxenv: "prod" }],
  ["a key that moves into its value does not open", invalid, { ab: "c" }, { a: "bc" }],
];

/** With a ciphertext that somebody changed. */
const changes: readonly (readonly [title: string, change: (blob: Uint8Array) => Uint8Array])[] = [
  ["a changed last byte does not open", (blob) => blob.with(-1, (blob.at(-1) ?? 0) ^ 1)],
  ["a changed byte in its text does not open", (blob) => blob.with(-20, (blob.at(-20) ?? 0) ^ 1)],
  ["a ciphertext cut short does not open", (blob) => blob.slice(0, -1)],
  ["a ciphertext with more at its end does not open", (blob) => Uint8Array.from([...blob, 0])],
];

async function reEncrypted(world: World, source: Context): Promise<unknown> {
  const { client, arn } = await newKey(world);
  const command = new ReEncryptCommand({
    CiphertextBlob: await sealed(client, arn, context),
    SourceEncryptionContext: source,
    DestinationKeyId: (await newKey(world)).arn,
    DestinationEncryptionContext: { moved: "yes" },
  });
  const answer = await answerOf(client.send(command).then(({ CiphertextBlob }) => CiphertextBlob));
  if (!(answer instanceof Uint8Array)) return answer;
  const open = (EncryptionContext: Context) => opening(client, { CiphertextBlob: answer, EncryptionContext });
  return [await open({ moved: "yes" }), await open(context)];
}

async function encrypting(world: World, length: number): Promise<unknown> {
  const { client, arn } = await newKey(world);
  const command = new EncryptCommand({ KeyId: arn, Plaintext: new Uint8Array(length) });
  return answerOf(client.send(command).then(() => "encrypted"));
}

export const contextQuestions: readonly Question[] = [
  ...openedWith.map(
    ([title, answer, sealedWith, EncryptionContext]): Question => [
      title,
      answer,
      async (world) => {
        const { client, arn } = await newKey(world);
        const CiphertextBlob = await sealed(client, arn, sealedWith);
        return opening(client, { CiphertextBlob, EncryptionContext });
      },
    ],
  ),
  ...changes.map(
    ([title, change]): Question => [
      title,
      invalid,
      async (world) => {
        const { client, arn } = await newKey(world);
        return opening(client, { CiphertextBlob: change(await sealed(client, arn)) });
      },
    ],
  ),
  [
    "what is no ciphertext does not open",
    invalid,
    async (world) => opening((await newKey(world)).client, { CiphertextBlob: Buffer.from(plaintext.repeat(20)) }),
  ],
  [
    "the right key may be named",
    ["opened", "opened"],
    async (world) => {
      const { client, arn, keyId } = await newKey(world);
      const CiphertextBlob = await sealed(client, arn);
      const open = (KeyId: string) => opening(client, { CiphertextBlob, KeyId });
      return [await open(arn), await open(keyId)];
    },
  ],
  [
    "another key that is named does not open",
    "IncorrectKeyException",
    async (world) => {
      const { client, arn } = await newKey(world);
      const other = await newKey(world);
      return opening(client, { CiphertextBlob: await sealed(client, arn), KeyId: other.arn });
    },
  ],
  [
    "another Region does not open",
    "AccessDeniedException",
    async (world) => {
      const { client, arn } = await newKey(world);
      return opening(world.kms(elsewhere), { CiphertextBlob: await sealed(client, arn) });
    },
  ],
  [
    "another Region does not know the key",
    "NotFoundException",
    async (world) => {
      const { client, arn } = await newKey(world);
      return opening(world.kms(elsewhere), { CiphertextBlob: await sealed(client, arn), KeyId: arn });
    },
  ],
  [
    "a replica of a multi-Region key opens what its primary sealed",
    ["opened", "opened"],
    async (world) => {
      const { client, arn, keyId } = await newKey(world, { MultiRegion: true });
      await client.send(new ReplicateKeyCommand({ KeyId: keyId, ReplicaRegion: elsewhere }));
      const CiphertextBlob = await sealed(client, arn);
      const open = (region: string) => opening(world.kms(region), { CiphertextBlob });
      return [await open(home), await open(elsewhere)];
    },
  ],
  ["ReEncrypt changes key and context", ["opened", invalid], (world) => reEncrypted(world, context)],
  ["ReEncrypt needs the context of the source", invalid, (world) => reEncrypted(world, {})],
  ["4096 bytes are encrypted", "encrypted", (world) => encrypting(world, 4096)],
  ["4097 bytes are refused", "ValidationException", (world) => encrypting(world, 4097)],
  [
    "a data key has the length asked for, and opens",
    [32, 16, 24],
    async (world) => {
      const { client, arn } = await newKey(world);
      const lengths = [];
      for (const wanted of [{ KeySpec: "AES_256" }, { KeySpec: "AES_128" }, { NumberOfBytes: 24 }] as const) {
        const input = { KeyId: arn, EncryptionContext: context };
        const made = await client.send(new GenerateDataKeyCommand({ ...input, ...wanted }));
        const opened = await client.send(new DecryptCommand({ ...input, CiphertextBlob: made.CiphertextBlob }));
        const isSame = Buffer.from(opened.Plaintext ?? []).equals(made.Plaintext ?? new Uint8Array());
        lengths.push(isSame ? made.Plaintext?.length : "another data key");
      }
      return lengths;
    },
  ],
];
