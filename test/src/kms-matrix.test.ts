// The environment matrix on the in-process KMS. test/interop runs it on the released moto_server.
import { startKmsServer } from "../support/kms/kms-server.ts";
import { describeMatrix, type MatrixWorld } from "../support/kms-matrix.ts";

async function start(): Promise<MatrixWorld> {
  const server = await startKmsServer();
  return {
    endpoint: server.endpoint,
    credentials: server.credentials(),
    createKey: async (region) => server.createKey({ region }).arn,
    decrypts: () => server.statistics().operations["Decrypt"] ?? 0,
    close: () => server.close(),
  };
}

describeMatrix("a key for each environment", start, false);
describeMatrix("one key for all environments", start, true);
