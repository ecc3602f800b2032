// What the test server was asked, as CloudTrail would tell it: who, what, with which key and context, and how it ended.
// Holds no plaintext and no ciphertext.
import type { EncryptionContext } from "./ciphertexts.ts";

export interface Call {
  readonly time: Date;
  readonly service: "kms" | "sts";
  readonly operation: string;
  readonly region: string;
  /** The session's ARN where a role was assumed; "anonymous" where nobody signed. */
  readonly principal: string;
  /** The key's ARN, or what the request named where no key was found. Of ReEncrypt, the destination. */
  readonly keyId?: string | undefined;
  readonly sourceKeyId?: string | undefined;
  /** Of ReEncrypt, that of the destination. */
  readonly encryptionContext?: EncryptionContext | undefined;
  readonly sourceEncryptionContext?: EncryptionContext | undefined;
  readonly roleArn?: string | undefined;
  readonly sessionName?: string | undefined;
  readonly dryRun: boolean;
  /** Undefined where it was answered. */
  readonly errorCode: string | undefined;
}

/** What becomes known of a call while it is answered. */
export type CallDetails = {
  -readonly [Name in Exclude<keyof Call, "time" | "service" | "operation" | "region" | "errorCode">]?: Call[Name];
};

export interface Statistics {
  readonly calls: number;
  /** By operation. */
  readonly operations: Readonly<Record<string, number>>;
  /** By error code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly inFlight: number;
  /**
   * The most requests for cryptographic operations that were unanswered at one time. Without latency or faults it says
   * little: one request is answered before the next is read.
   */
  readonly maxInFlight: number;
}

function countBy(calls: readonly Call[], nameOf: (call: Call) => string | undefined): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const call of calls) {
    const name = nameOf(call);
    if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const cryptographic = new Set(["Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey"]);

export class CallLog {
  #calls: Call[] = [];
  #inFlight = 0;
  #maxInFlight = 0;

  get calls(): readonly Call[] {
    return this.#calls;
  }

  add(call: Call): void {
    this.#calls.push(call);
  }

  /** Call the result when the request is over. */
  enter(operation: string): () => void {
    if (!cryptographic.has(operation)) return () => undefined;
    this.#inFlight += 1;
    this.#maxInFlight = Math.max(this.#maxInFlight, this.#inFlight);
    return () => {
      this.#inFlight -= 1;
    };
  }

  statistics(): Statistics {
    return {
      calls: this.#calls.length,
      operations: countBy(this.#calls, ({ operation }) => operation),
      errors: countBy(this.#calls, ({ errorCode }) => errorCode),
      inFlight: this.#inFlight,
      maxInFlight: this.#maxInFlight,
    };
  }

  /** Forgets what was: for a test that looks at one part of what it does. */
  clear(): void {
    this.#calls = [];
    this.#maxInFlight = this.#inFlight;
  }
}
