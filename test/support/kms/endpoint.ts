// The HTTP face of the test server: tells KMS (JSON 1.1) from STS (form and XML), knows the sender by the access key of the
// signature, carries out scripted faults, writes the call log. What an operation does it leaves to the operations.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { AwsError, accessDenied, internal, NotModelledError, throttled, unavailable } from "./aws-errors.ts";
import type { CallDetails, CallLog } from "./call-log.ts";
import { cryptoOperations } from "./crypto-operations.ts";
import type { Fault, Faults } from "./faults.ts";
import { type Caller, expired, type Identities, type Signature } from "./identities.ts";
import { keyOperations } from "./key-operations.ts";
import type { Keys } from "./keys.ts";
import { Parameters } from "./parameters.ts";
import { answerSts, stsError } from "./sts.ts";

export interface EndpointParts {
  readonly keys: Keys;
  readonly identities: Identities;
  readonly faults: Faults;
  readonly log: CallLog;
  readonly now: () => Date;
  readonly wait: (milliseconds: number) => Promise<void>;
  readonly latencyMs: number;
  /** Told of what must fail the test, even if the code under test swallows the answer. */
  readonly onProblem: (problem: Error) => void;
}

type Service = "kms" | "sts";

/** A request as far as its headers tell. */
interface Arrived {
  readonly service: Service;
  readonly operation: string;
  readonly body: string;
  readonly signature: Signature | undefined;
  /** What the body calls the key, for fault scripts. */
  readonly keyId: string | undefined;
}

/** Thrown through an answer whose connection is gone. */
class Gone extends Error {}

const signaturePattern = /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/\d{8}\/([^/,]+)\/([^/,]+)\/aws4_request,/;

function signatureOf(request: IncomingMessage): Signature | undefined {
  const [, accessKeyId, region, service] = signaturePattern.exec(request.headers.authorization ?? "") ?? [];
  if (accessKeyId === undefined || region === undefined || service === undefined) return undefined;
  const token = request.headers["x-amz-security-token"];
  return { accessKeyId, region, service, token: typeof token === "string" ? token : undefined };
}

/** Empty where the headers name none, as those of STS do not. */
function operationOf(request: IncomingMessage): string {
  const target = request.headers["x-amz-target"];
  return typeof target === "string" ? target.replace(/^TrentService\./, "") : "";
}

function arrivedOf(request: IncomingMessage, body: string): Arrived {
  const signature = signatureOf(request);
  const operation = operationOf(request);
  if (operation !== "") {
    const keyId = /"(?:KeyId|TargetKeyId|DestinationKeyId)"\s*:\s*"([^"]*)"/.exec(body)?.[1];
    return { service: "kms", operation, body, signature, keyId };
  }
  return {
    service: "sts",
    operation: new URLSearchParams(body).get("Action") ?? "",
    body,
    signature,
    keyId: undefined,
  };
}

function faultError(fault: Exclude<Fault, object | "reset" | "hang">, service: Service): AwsError {
  if (fault === "throttle") {
    return service === "kms" ? throttled() : new AwsError("Throttling", "Rate exceeded", 400);
  }
  if (fault === "internal")
    return service === "kms" ? internal() : new AwsError("InternalFailure", "Internal failure", 500);
  if (fault === "unavailable") return unavailable();
  if (fault === "expired") return expired(service);
  const why = "the test server's script says so";
  return service === "kms" ? accessDenied(`Not authorized: ${why}`) : new AwsError("AccessDenied", why, 403);
}

export class Endpoint {
  readonly #parts: EndpointParts;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === "GET" && request.url === "/__statistics") {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(this.#parts.log.statistics()));
      return;
    }
    const leave = this.#parts.log.enter(operationOf(request));
    try {
      // Undefined where it is cut off before it is complete.
      const body = await text(request).catch(() => undefined);
      if (body !== undefined) await this.#answer(arrivedOf(request, body), response);
    } finally {
      leave();
    }
  }

  async #answer(arrived: Arrived, response: ServerResponse): Promise<void> {
    const { service, operation, signature } = arrived;
    const details: CallDetails = { principal: "anonymous", keyId: arrived.keyId, dryRun: false };
    let errorCode: string | undefined;
    try {
      const caller = this.#callerOf(arrived);
      details.principal = caller?.principal.sessionArn ?? caller?.principal.arn ?? "anonymous";
      await this.#misbehave(arrived, response);
      const answer = service === "kms" ? this.#kms(arrived, caller, details) : this.#sts(arrived, caller, details);
      finish(response, service, 200, answer);
    } catch (error) {
      errorCode = this.#refuse(service, response, error);
    }
    const { principal = "anonymous", dryRun = false, ...others } = details;
    const region = signature?.region ?? "";
    this.#parts.log.add({
      time: this.#parts.now(),
      service,
      operation,
      region,
      principal,
      ...others,
      dryRun,
      errorCode,
    });
  }

  #callerOf({ service, operation, signature }: Arrived): Caller | undefined {
    if (signature === undefined) {
      if (service === "sts") return undefined;
      throw new AwsError("MissingAuthenticationTokenException", "Missing Authentication Token");
    }
    if (signature.service !== service) {
      throw new AwsError("InvalidSignatureException", `Credential should be scoped to correct service: '${service}'.`);
    }
    // The SDK signs nothing here, but a caller that does is not asked who it is either.
    if (operation === "AssumeRoleWithWebIdentity") return undefined;
    return this.#parts.identities.callerOf(signature, service);
  }

  /** Carries out what the script has for this request; returns where it is to be answered rightly. */
  async #misbehave({ service, operation, keyId, signature }: Arrived, response: ServerResponse): Promise<void> {
    const { faults, wait, latencyMs } = this.#parts;
    let fault = faults.decide({ service, operation, keyId, region: signature?.region ?? "" });
    if (latencyMs > 0) await wait(latencyMs);
    if (typeof fault === "object") {
      await wait(fault.delayMs);
      fault = fault.fault;
    }
    if (fault === "hang") {
      await faults.hang(new Promise((resolve) => response.once("close", resolve)));
    } else if (fault === "reset") {
      response.socket?.resetAndDestroy();
      throw new Gone("(connection reset)");
    } else if (typeof fault === "string") {
      throw faultError(fault, service);
    }
    if (response.destroyed) throw new Gone("(client gone)");
  }

  #kms({ operation, body, signature }: Arrived, caller: Caller | undefined, details: CallDetails): string {
    const run = Object.hasOwn(cryptoOperations, operation) ? cryptoOperations[operation] : keyOperations[operation];
    if (run === undefined || caller === undefined) throw new NotModelledError(`kms:${operation}`);
    const region = signature?.region ?? "";
    return JSON.stringify(run(new Parameters(operation, body), { keys: this.#parts.keys, caller, region, details }));
  }

  #sts({ operation, body }: Arrived, caller: Caller | undefined, details: CallDetails): string {
    return answerSts({ operation, form: new URLSearchParams(body), caller, details }, this.#parts.identities);
  }

  /** Answers with the error and gives its code. */
  #refuse(service: Service, response: ServerResponse, error: unknown): string {
    if (error instanceof Gone) return error.message;
    let { code, message, status } = { code: "TestServerError", message: String(error), status: 501 };
    if (error instanceof AwsError) {
      ({ code, message, status } = error);
    } else {
      // 501 is not retried by the SDK, so the test ends soon.
      this.#parts.onProblem(error instanceof Error ? error : new Error(message));
      if (error instanceof NotModelledError) code = error.name;
    }
    const body = service === "kms" ? JSON.stringify({ __type: code, message }) : stsError(code, message, status);
    finish(response, service, status, body);
    return code;
  }
}

function finish(response: ServerResponse, service: Service, status: number, body: string): void {
  if (response.destroyed) return;
  const contentType = service === "kms" ? "application/x-amz-json-1.1" : "text/xml";
  response.writeHead(status, { "content-type": contentType, "x-amzn-requestid": randomUUID() });
  response.end(body);
}
