// The environment matrix on the released moto, which knows nothing of ours.
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { describe } from "vitest";
import { findTool, titled } from "../support/available.ts";
import { kmsClient } from "../support/kms/clients.ts";
import { startMoto } from "../support/kms/moto.ts";
import { describeMatrix, type MatrixWorld } from "../support/kms-matrix.ts";

async function start(): Promise<MatrixWorld> {
  const { endpoint, stop } = await startMoto();
  const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "any" };
  return {
    endpoint,
    credentials,
    createKey: async (region) => {
      const { KeyMetadata } = await kmsClient({ endpoint, region, credentials }).send(new CreateKeyCommand({}));
      return KeyMetadata?.Arn ?? "";
    },
    decrypts: () => null,
    close: stop,
  };
}

describe.skipIf(findTool("moto_server") === null)(titled("on the released moto", "moto_server"), () => {
  describeMatrix("a key for each environment", start, false);
  describeMatrix("one key for all environments", start, true);
});
