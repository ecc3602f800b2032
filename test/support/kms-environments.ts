// Environments whose files open with KMS keys, on whatever server speaks KMS: for tests of sealing and of the gate. Knows no
// test framework.
import { AwsKms, type AwsKmsOptions, type EnvironmentPolicy, type Kms, KmsIdentity } from "../../src/index.ts";
import { environment } from "./sealing.ts";

/** A server, by what the SDK needs to call it. */
export interface KmsPlace {
  readonly endpoint: string;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

export interface KmsEnvironment {
  readonly policy: EnvironmentPolicy;
  readonly kms: Kms;
  readonly identities: readonly KmsIdentity[];
}

/** Calls to this server, one attempt each unless the test is about more. */
export function awsAt({ endpoint, credentials }: KmsPlace, options: Partial<AwsKmsOptions> = {}): AwsKms {
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";
  return new AwsKms({
    sessionName: "test",
    now: () => performance.now(),
    endpoint,
    stsEndpoint: endpoint,
    credentials,
    ...options,
  });
}

/** An environment that only these keys open. */
export function kmsEnvironment(
  name: string,
  { kms, keys, ...overrides }: { readonly kms: Kms; readonly keys: readonly string[] } & Partial<EnvironmentPolicy>,
): KmsEnvironment {
  const { policy } = environment(name, {
    ageRecipients: [],
    kmsRecipients: keys,
    scopes: ["strict", "namespace", "environment"],
    ...overrides,
  });
  return { policy, kms, identities: keys.map((arn) => new KmsIdentity(arn, kms)) };
}
