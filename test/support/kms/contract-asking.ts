// How the questions of the contract are put: a key, a ciphertext, an answer in one word. Knows no question.
import {
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DecryptCommand,
  type DecryptCommandInput,
  EncryptCommand,
  type KMSClient,
} from "@aws-sdk/client-kms";
import type { World } from "./contract.ts";

export const home = "eu-central-1";
export const elsewhere = "us-east-1";
export const plaintext = "hello, world";

type Context = Readonly<Record<string, string>>;

/** The name of the error, or what it answered. */
export async function answerOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Error) return error.name;
    throw error;
  }
}

export interface NewKey {
  readonly client: KMSClient;
  readonly arn: string;
  readonly keyId: string;
}

export async function newKey(world: World, input: CreateKeyCommandInput = {}, region = home): Promise<NewKey> {
  const client = world.kms(region);
  const { KeyMetadata } = await client.send(new CreateKeyCommand(input));
  return { client, arn: KeyMetadata?.Arn ?? "", keyId: KeyMetadata?.KeyId ?? "" };
}

export async function sealed(client: KMSClient, KeyId: string, context: Context = {}): Promise<Uint8Array> {
  const command = new EncryptCommand({ KeyId, Plaintext: Buffer.from(plaintext), EncryptionContext: context });
  return (await client.send(command)).CiphertextBlob ?? new Uint8Array();
}

export const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

/** "opened" where it gives the plaintext, else what it gives, or the name of the error. */
export async function opening(client: KMSClient, input: DecryptCommandInput): Promise<unknown> {
  const answer = await answerOf(client.send(new DecryptCommand(input)).then(({ Plaintext }) => textOf(Plaintext)));
  return answer === plaintext ? "opened" : answer;
}
