// AWS KMS by the SDK: one client for each Region and caller, loaded with the first call. Who calls (role, profile) and where
// (endpoint, FIPS) come from the user's or the controller's own configuration, through whoever builds this; a file has no say.
import type { KMSClient, KMSClientConfig } from "@aws-sdk/client-kms";
import type { STSClient } from "@aws-sdk/client-sts";
import { type Asked, awsFailure, isInvalidCiphertext } from "./aws-failure.ts";
import { SealwardError } from "./errors.ts";
import { type DecryptCall, type Decrypted, type EncryptCall, type Kms, parseKeyArn } from "./kms.ts";
import { KmsGuard } from "./kms-guard.ts";

/** As whom an environment's keys are called. Nothing set: whom the SDK's default chain finds. */
export interface AwsCaller {
  /** A profile of the user's own AWS configuration. */
  readonly profile?: string | undefined;
  /** A role to assume. */
  readonly role?: string | undefined;
}

export interface AwsKmsOptions {
  /** Goes into the audit trail with every call of an assumed role: who or what asks. Cut and cleaned as STS wants it. */
  readonly sessionName: string;
  /** Default: the SDK's, by Region. */
  readonly endpoint?: string | undefined;
  readonly stsEndpoint?: string | undefined;
  /** Default: what the SDK's own configuration says. */
  readonly useFips?: boolean | undefined;
  /** `sweep` for many files: more attempts. Default: `few`. */
  readonly load?: "few" | "sweep" | undefined;
  /** Calls at the same time, over all keys. Default: 16. */
  readonly maxInFlight?: number | undefined;
  /** For one attempt, in milliseconds. Default: 5000. */
  readonly timeoutMs?: number | undefined;
  /** For a call with all its attempts, in milliseconds. Default: 45 s, 180 s in a sweep. */
  readonly longestMs?: number | undefined;
  /** Credentials of the caller's own, instead of the default chain. */
  readonly credentials?: KMSClientConfig["credentials"];
  /** Milliseconds, of whatever beginning: for the breaker. */
  readonly now: () => number;
}

/** What clients of KMS and STS have in common. */
type Common = Pick<
  KMSClientConfig,
  | "region"
  | "profile"
  | "useFipsEndpoint"
  | "requestHandler"
  | "maxAttempts"
  | "credentials"
  | "cacheMiddleware"
  | "streamCollector"
>;

interface Connected {
  readonly client: KMSClient;
  /** Closes its connections; calls on the way fail and are tried again. */
  readonly destroy: () => void;
}

const connectionTimeoutMs = 1000;
/**
 * The SDK's standard retries, or those that the user's AWS_RETRY_MODE asks for. Adaptive ones are not asked for here: where
 * one call in ten is throttled they take twenty times as long, and `maxInFlight` bounds the rate as well.
 */
const attempts = { few: 3, sweep: 8 } as const;
/** Well above all attempts of `few`; for what the SDK sets no bound to, such as a program that prints credentials. */
const longestMs = { few: 45_000, sweep: 180_000 } as const;

/** Makes the calls of a process. One instance: the bound on calls in flight and the breakers are its. */
export class AwsKms {
  readonly #options: AwsKmsOptions;
  readonly #guard: KmsGuard;
  readonly #clients = new Map<string, Promise<Connected>>();

  constructor(options: AwsKmsOptions) {
    this.#options = options;
    const { maxInFlight = 16, now } = options;
    this.#guard = new KmsGuard({ maxInFlight, failures: 3, pauseMs: 10_000, now });
  }

  /** The calls as this caller. */
  as(caller: AwsCaller = {}): Kms {
    return {
      encrypt: (call) => this.#encrypt(call, caller),
      decrypt: (call) => this.#decrypt(call, caller),
    };
  }

  async #encrypt({ arn, plaintext, context }: EncryptCall, caller: AwsCaller): Promise<Uint8Array> {
    const { EncryptCommand } = await import("@aws-sdk/client-kms");
    const command = new EncryptCommand({ KeyId: arn, Plaintext: plaintext, EncryptionContext: { ...context } });
    const asked = { action: "kms:Encrypt", arn };
    const { CiphertextBlob, KeyId } = await this.call(asked, caller, (client) => client.send(command));
    assertAnswer(KeyId, asked);
    if (CiphertextBlob === undefined) throw noAnswer(asked);
    return CiphertextBlob;
  }

  async #decrypt({ arn, ciphertext, context }: DecryptCall, caller: AwsCaller): Promise<Decrypted | null> {
    const { DecryptCommand } = await import("@aws-sdk/client-kms");
    const command = new DecryptCommand({ KeyId: arn, CiphertextBlob: ciphertext, EncryptionContext: { ...context } });
    const asked = { action: "kms:Decrypt", arn };
    const answer = await this.call(asked, caller, async (client) => {
      try {
        return await client.send(command);
      } catch (problem) {
        if (isInvalidCiphertext(problem)) return null;
        throw problem;
      }
    });
    if (answer === null) return null;
    const { Plaintext, KeyId, KeyMaterialId } = answer;
    assertAnswer(KeyId, asked);
    if (Plaintext === undefined) throw noAnswer(asked);
    return { plaintext: Plaintext, keyMaterialId: KeyMaterialId };
  }

  /** One call of whatever kind for a key, within the bounds. For src/aws-inspect.ts too. @throws as {@link Kms} */
  call<T>(asked: Asked, caller: AwsCaller, send: (client: KMSClient) => Promise<T>): Promise<T> {
    return this.#guard.run(`${asked.arn} ${caller.role} ${caller.profile}`, async () => {
      try {
        const connected = await this.#connected(asked.arn, caller);
        return await this.#within(send(connected.client), connected, asked);
      } catch (problem) {
        throw awsFailure(problem, asked);
      }
    });
  }

  /** What is connected to the key's Region as this caller. */
  #connected(arn: string, caller: AwsCaller): Promise<Connected> {
    const region = parseKeyArn(arn)?.region;
    if (region === undefined) throw new SealwardError("recipient-invalid", "The file names a KMS key by no valid ARN");
    const name = JSON.stringify([region, caller.profile ?? null, caller.role ?? null]);
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    const made = this.#make(region, caller);
    this.#clients.set(name, made);
    return made;
  }

  /** A client of STS in the same Region and as the same caller. */
  async sts({ config }: KMSClient): Promise<STSClient> {
    const sdk = await import("@aws-sdk/client-sts");
    const { stsEndpoint } = this.#options;
    return new sdk.STSClient({
      region: config.region,
      credentials: config.credentials,
      requestHandler: config.requestHandler,
      maxAttempts: config.maxAttempts,
      ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }),
    });
  }

  /** Closes idle connections, which would keep a process from ending for a while. */
  async close(): Promise<void> {
    for (const connected of this.#clients.values()) (await connected).destroy();
    this.#clients.clear();
  }

  async #make(region: string, { profile, role }: AwsCaller): Promise<Connected> {
    const { KMSClient } = await import("@aws-sdk/client-kms");
    const { endpoint, useFips, timeoutMs = 5000, load = "few", credentials, maxInFlight = 16 } = this.#options;
    const own: Common = {
      region,
      ...(profile === undefined ? {} : { profile }),
      ...(useFips === undefined ? {} : { useFipsEndpoint: useFips }),
      requestHandler: {
        connectionTimeout: connectionTimeoutMs,
        requestTimeout: timeoutMs,
        throwOnRequestTimeout: true,
        httpsAgent: { keepAlive: true, maxSockets: maxInFlight },
        httpAgent: { keepAlive: true, maxSockets: maxInFlight },
      },
      maxAttempts: attempts[load],
      // Nobody changes what stands around a call, so it need not be put together for each of a thousand.
      cacheMiddleware: true,
      streamCollector: boundedCollector,
      ...(credentials === undefined ? {} : { credentials }),
    };
    const where = endpoint === undefined ? {} : { endpoint };
    if (role === undefined) {
      const client = new KMSClient({ ...own, ...where });
      return { client, destroy: () => client.destroy() };
    }
    const assuming = await this.#assuming(role, own);
    const client = new KMSClient({ ...own, credentials: assuming.credentials, ...where });
    const destroy = (): void => {
      client.destroy();
      assuming.destroy();
    };
    return { client, destroy };
  }

  /** Credentials of a role, taken with those that the default chain finds. The SDK asks again when they are about to expire. */
  async #assuming(
    role: string,
    own: Common,
  ): Promise<{ readonly credentials: NonNullable<KMSClientConfig["credentials"]>; readonly destroy: () => void }> {
    const { getDefaultRoleAssumer, STSClient } = await import("@aws-sdk/client-sts");
    const { stsEndpoint, sessionName } = this.#options;
    const where = { ...own, ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }) };
    // A client's own configuration is the way to the default chain; it makes no call itself.
    const base = new STSClient(where);
    const { requestHandler } = base.config;
    const assume = getDefaultRoleAssumer({ ...where, requestHandler });
    const credentials = async () => {
      try {
        const source = await base.config.credentials();
        return await assume(source, { RoleArn: role, RoleSessionName: asSessionName(sessionName) });
      } catch (problem) {
        throw awsFailure(problem, { action: "sts:AssumeRole", arn: role });
      }
    };
    return { credentials, destroy: () => base.destroy() };
  }

  /** The SDK's own bound ends with the headers of an answer: what stalls behind them would keep its connection for ever. */
  #within<T>(call: Promise<T>, connected: Connected, asked: Asked): Promise<T> {
    const ms = this.#options.longestMs ?? longestMs[this.#options.load ?? "few"];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // Other calls on these connections are tried again by the SDK, on new ones.
        connected.destroy();
        reject(awsFailure({ name: "TimeoutError" }, asked));
      }, ms);
      call.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}

/** No answer of KMS or STS is near this length. */
const maxAnswerBytes = 256 * 1024;

/** What a collector needs of Node's stream: iterating over one costs a tenth of a whole call. */
interface Readable {
  on(event: "data", listener: (chunk: Uint8Array) => void): this;
  on(event: "end" | "close", listener: () => void): this;
  on(event: "error", listener: (problem: Error) => void): this;
  destroy(problem?: Error): void;
}

/** The bytes of an answer. An endless one ends here, and its connection with it. */
function boundedCollector(stream: Readable): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    let isWhole = false;
    stream
      .on("data", (chunk) => {
        length += chunk.length;
        if (length > maxAnswerBytes) stream.destroy(new TypeError("the answer is longer than any of AWS"));
        else chunks.push(chunk);
      })
      .on("end", () => {
        isWhole = true;
        resolve(Buffer.concat(chunks));
      })
      .on("error", reject)
      .on("close", () => {
        // An error takes longer to make than an answer to read.
        if (!isWhole) reject(new TypeError("the answer was cut off"));
      });
  });
}

/** What STS takes: 2 to 64 of its characters. */
export function asSessionName(text: string): string {
  const clean = text.replace(/[^\w+=,.@-]+/g, "-").slice(0, 64);
  return clean.length < 2 ? `sealward-${clean}` : clean;
}

/** A key that answers for another one would be a server that is not AWS. An alias is answered for by whatever it points to. */
function assertAnswer(keyId: string | undefined, asked: Asked): void {
  if (keyId === undefined) throw noAnswer(asked);
  if (parseKeyArn(asked.arn)?.key.startsWith("alias/") === true || keyId === asked.arn) return;
  throw new SealwardError("key-refused", `AWS did not do ${asked.action} for ${asked.arn}: another key answered`);
}

function noAnswer({ action, arn }: Asked): SealwardError {
  return new SealwardError("key-unreachable", `AWS did not do ${action} for ${arn}: the answer is empty`);
}
