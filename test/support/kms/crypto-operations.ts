// The operations that use a key: Encrypt, Decrypt, ReEncrypt and GenerateDataKey, each with its DryRun. The order of the
// refusals is AWS's: the key, the right to it, its state, the ciphertext. Knows no HTTP.
import { randomBytes } from "node:crypto";
import { type Asked, authorize, mayUse, namedKey, type Use } from "./authorization.ts";
import { dryRun, incorrectKey, invalidCiphertext, unknownCiphertextKey, validation } from "./aws-errors.ts";
import { type EncryptionContext, openBlob, readHeader, sealBlob } from "./ciphertexts.ts";
import { assertUsable, currentMaterial, type Key } from "./keys.ts";
import type { Parameters } from "./parameters.ts";

export type Operation = (parameters: Parameters, asked: Asked) => object;

const algorithm = "SYMMETRIC_DEFAULT";
const mostPlaintext = 4096;
const mostCiphertext = 6144;

interface Opened {
  readonly key: Key;
  readonly plaintext: Buffer;
  readonly materialId: string;
}

interface Sealed {
  /** Undefined where the request said to leave the ciphertext out of its dry run. */
  readonly blob: Buffer | undefined;
  readonly context: EncryptionContext;
  readonly named: string | undefined;
}

/** Reads what both Decrypt and ReEncrypt are given. */
function readSealed(parameters: Parameters, names: { context: string; keyId: string }): Sealed {
  const isDryRun = parameters.flag("DryRun");
  const modifiers = parameters.list("DryRunModifiers");
  if (modifiers.length > 0 && !isDryRun) throw validation("DryRunModifiers need DryRun");
  const isLeftOut = isDryRun && modifiers.includes("IGNORE_CIPHERTEXT");
  const given = isLeftOut
    ? parameters.optionalBytes("CiphertextBlob", 1, mostCiphertext)
    : parameters.bytes("CiphertextBlob", 1, mostCiphertext);
  const named = parameters.optionalText(names.keyId);
  if (isLeftOut && named === undefined) throw validation(`${names.keyId} is needed where the ciphertext is ignored`);
  return { blob: isLeftOut ? undefined : given, context: parameters.context(names.context), named };
}

/** The key to open with: the one that is named, else the one that the ciphertext names. */
function sourceKey(
  asked: Asked,
  { blob, named }: Sealed,
  action: string,
  role: "keyId" | "sourceKeyId",
  use: Use,
): Key {
  if (named !== undefined) return namedKey(asked, named, role);
  const header = blob === undefined ? undefined : readHeader(blob);
  if (header === undefined) throw invalidCiphertext();
  asked.details[role] = header.keyId;
  const key = asked.keys.withId(header.keyId, asked.region);
  if (key === undefined) throw unknownCiphertextKey();
  asked.details[role] = key.arn;
  if (!mayUse(asked, action, key, use)) throw unknownCiphertextKey();
  return key;
}

function open(key: Key, { blob, context }: Sealed): Opened {
  if (blob === undefined) return { key, plaintext: Buffer.alloc(0), materialId: currentMaterial(key).id };
  const header = readHeader(blob);
  if (header === undefined) throw invalidCiphertext();
  if (header.keyId !== key.family.keyId) throw incorrectKey();
  const material = key.family.materials.find(({ id }) => id === header.materialId);
  const plaintext = material === undefined ? undefined : openBlob(blob, material, context);
  if (plaintext === undefined) throw invalidCiphertext();
  return { key, plaintext, materialId: header.materialId };
}

const encrypt: Operation = (parameters, asked) => {
  const context = parameters.context("EncryptionContext");
  asked.details.encryptionContext = context;
  asked.details.dryRun = parameters.flag("DryRun");
  const plaintext = parameters.bytes("Plaintext", 1, mostPlaintext);
  parameters.only("EncryptionAlgorithm", algorithm);
  const key = namedKey(asked, parameters.text("KeyId"));
  parameters.assertAllRead();
  authorize(asked, "kms:Encrypt", key, { encryptionContext: context });
  assertUsable(key);
  if (asked.details.dryRun) throw dryRun();
  const blob = sealBlob(key.family.keyId, currentMaterial(key), plaintext, context);
  // The model has no KeyMaterialId here.
  return { CiphertextBlob: blob.toString("base64"), KeyId: key.arn, EncryptionAlgorithm: algorithm };
};

const decrypt: Operation = (parameters, asked) => {
  asked.details.encryptionContext = parameters.context("EncryptionContext");
  asked.details.dryRun = parameters.flag("DryRun");
  const sealed = readSealed(parameters, { context: "EncryptionContext", keyId: "KeyId" });
  parameters.only("EncryptionAlgorithm", algorithm);
  parameters.assertAllRead();
  const use = { encryptionContext: sealed.context };
  const key = sourceKey(asked, sealed, "kms:Decrypt", "keyId", use);
  authorize(asked, "kms:Decrypt", key, use);
  assertUsable(key);
  const { plaintext, materialId } = open(key, sealed);
  if (asked.details.dryRun) throw dryRun();
  const Plaintext = plaintext.toString("base64");
  return { KeyId: key.arn, Plaintext, EncryptionAlgorithm: algorithm, KeyMaterialId: materialId };
};

const reEncrypt: Operation = (parameters, asked) => {
  const context = parameters.context("DestinationEncryptionContext");
  asked.details.encryptionContext = context;
  asked.details.sourceEncryptionContext = parameters.context("SourceEncryptionContext");
  asked.details.dryRun = parameters.flag("DryRun");
  const sealed = readSealed(parameters, { context: "SourceEncryptionContext", keyId: "SourceKeyId" });
  parameters.only("SourceEncryptionAlgorithm", algorithm);
  parameters.only("DestinationEncryptionAlgorithm", algorithm);
  const destination = namedKey(asked, parameters.text("DestinationKeyId"));
  parameters.assertAllRead();
  const header = sealed.blob === undefined ? undefined : readHeader(sealed.blob);
  const presumed = {
    encryptionContext: sealed.context,
    reEncryptOnSameKey: header?.keyId === destination.family.keyId,
  };
  const source = sourceKey(asked, sealed, "kms:ReEncryptFrom", "sourceKeyId", presumed);
  const reEncryptOnSameKey = source === destination;
  authorize(asked, "kms:ReEncryptFrom", source, { encryptionContext: sealed.context, reEncryptOnSameKey });
  authorize(asked, "kms:ReEncryptTo", destination, { encryptionContext: context, reEncryptOnSameKey });
  assertUsable(source);
  assertUsable(destination);
  const { plaintext, materialId } = open(source, sealed);
  if (asked.details.dryRun) throw dryRun();
  const material = currentMaterial(destination);
  return {
    CiphertextBlob: sealBlob(destination.family.keyId, material, plaintext, context).toString("base64"),
    SourceKeyId: source.arn,
    KeyId: destination.arn,
    SourceEncryptionAlgorithm: algorithm,
    DestinationEncryptionAlgorithm: algorithm,
    SourceKeyMaterialId: materialId,
    DestinationKeyMaterialId: material.id,
  };
};

const dataKeyLengths: Readonly<Record<string, number>> = { AES_256: 32, AES_128: 16 };

const generateDataKey: Operation = (parameters, asked) => {
  const context = parameters.context("EncryptionContext");
  asked.details.encryptionContext = context;
  asked.details.dryRun = parameters.flag("DryRun");
  const spec = parameters.optionalText("KeySpec");
  const length = parameters.optionalNumber("NumberOfBytes", 1, 1024) ?? dataKeyLengths[spec ?? ""];
  const key = namedKey(asked, parameters.text("KeyId"));
  parameters.assertAllRead();
  if (length === undefined) throw validation("Please specify either number of bytes or key spec.");
  authorize(asked, "kms:GenerateDataKey", key, { encryptionContext: context });
  assertUsable(key);
  if (asked.details.dryRun) throw dryRun();
  const plaintext = randomBytes(length);
  const material = currentMaterial(key);
  return {
    CiphertextBlob: sealBlob(key.family.keyId, material, plaintext, context).toString("base64"),
    Plaintext: plaintext.toString("base64"),
    KeyId: key.arn,
    KeyMaterialId: material.id,
  };
};

export const cryptoOperations: Readonly<Record<string, Operation>> = {
  Encrypt: encrypt,
  Decrypt: decrypt,
  ReEncrypt: reEncrypt,
  GenerateDataKey: generateDataKey,
};
