// The SDK's clients as tests of KMS use them: explicit credentials, a Region, an endpoint, one attempt, and no warning of
// the SDK about Node's version. Knows no test framework and no server.
import { KMSClient } from "@aws-sdk/client-kms";
import { STSClient } from "@aws-sdk/client-sts";

export interface ClientOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** One, unless retries are what is tested. */
  readonly maxAttempts?: number;
}

/** The SDK prints, once in a process, that it will want a newer Node; nothing that a test's output should have. */
function configOf({ endpoint, region, credentials, maxAttempts = 1 }: ClientOptions): Required<ClientOptions> {
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";
  return { endpoint, region, credentials, maxAttempts };
}

export const kmsClient = (options: ClientOptions): KMSClient => new KMSClient(configOf(options));
export const stsClient = (options: ClientOptions): STSClient => new STSClient(configOf(options));
