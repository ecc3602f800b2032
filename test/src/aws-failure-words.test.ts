// What is made of an error object, whatever it is: a code, a message of ours, one word of its own.
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { awsFailure, isDryRunSuccess, isInvalidCiphertext } from "../../src/aws-failure.ts";
import { type ErrorCode, SealwardError } from "../../src/index.ts";

describe("awsFailure()", () => {
  const asked = { action: "kms:Decrypt", arn: "arn" };
  const secret = "AGE-SECRET-KEY-1 or any text";

  it("leaves a refusal of ours as it is", () => {
    const ours = new SealwardError("recipient-invalid", "x");
    expect(awsFailure(ours, asked)).toBe(ours);
  });

  it.each<[string, unknown, ErrorCode, string]>([
    ["nothing", undefined, "key-unreachable", "unnamed"],
    ["null", null, "key-unreachable", "unnamed"],
    ["a text", secret, "key-unreachable", "unnamed"],
    ["a plain error", new Error(secret), "key-unreachable", "unnamed"],
    ["a mistake of the SDK's", new TypeError(secret), "key-unreachable", "TypeError"],
    ["a name that is a text", { name: secret, message: secret }, "key-unreachable", "unnamed"],
    ["a name that is no text", { name: { toString: () => secret } }, "key-unreachable", "unnamed"],
    ["a code that is a text", { name: "Error", code: secret }, "key-unreachable", "unnamed"],
    ["a long name", { name: "A".repeat(100) }, "key-unreachable", "unnamed"],
    ["__proto__", { name: "__proto__" }, "key-unreachable", "unnamed"],
    [
      "a certificate that is not trusted",
      { name: "Error", code: "SELF_SIGNED_CERT_IN_CHAIN" },
      "key-unreachable",
      "SELF_SIGNED_CERT_IN_CHAIN",
    ],
    [
      "a certificate that has expired",
      { name: "Error", code: "CERT_HAS_EXPIRED" },
      "key-unreachable",
      "CERT_HAS_EXPIRED",
    ],
    [
      "a refusal that brings a code of its own",
      { name: "AccessDeniedException", code: "ECONNRESET" },
      "key-refused",
      "AccessDeniedException",
    ],
    ["a connection that broke", { name: "TimeoutError", code: "EPIPE", message: secret }, "key-unreachable", "EPIPE"],
    ["an attempt without an answer", { name: "TimeoutError", code: "ETIMEDOUT" }, "key-unreachable", "TimeoutError"],
    ["a status and no name", { $metadata: { httpStatusCode: 404 } }, "key-refused", "unnamed"],
    [
      "no credentials",
      { name: "CredentialsProviderError", message: secret },
      "credentials-missing",
      "CredentialsProviderError",
    ],
    [
      "a token that is not taken",
      { name: "InvalidIdentityTokenException" },
      "credentials-missing",
      "InvalidIdentityTokenException",
    ],
    [
      "a claim that is not taken",
      { name: "IDPRejectedClaimException" },
      "credentials-missing",
      "IDPRejectedClaimException",
    ],
    [
      "a provider that AWS does not reach",
      { name: "IDPCommunicationErrorException", $metadata: { httpStatusCode: 400 } },
      "key-unreachable",
      "IDPCommunicationErrorException",
    ],
    ["a role that STS refuses on the way to a call", { name: "AccessDenied" }, "credentials-missing", "AccessDenied"],
    [
      "a file that is not there",
      { name: "Error", code: "ENOENT", path: secret, message: secret },
      "credentials-missing",
      "ENOENT",
    ],
    ["an endpoint that there cannot be", { name: "EndpointError", message: secret }, "key-refused", "EndpointError"],
  ])("%s", (_, problem, code, name) => {
    const error = awsFailure(problem, asked);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^AWS did not do kms:Decrypt for arn: /);
    expect(error.message.endsWith(`(${name})`), error.message).toBe(true);
    expect(inspect(error)).not.toContain(secret);
  });

  it("a role that was asked for by its name, and is refused, is a refusal", () => {
    const { code, message } = awsFailure({ name: "AccessDenied" }, { action: "sts:AssumeRole", arn: "role" });
    expect([code, message]).toEqual([
      "key-refused",
      "AWS did not do sts:AssumeRole for role: the caller has no permission for it (AccessDenied)",
    ]);
  });

  it("knows the two answers that are none", () => {
    expect(isInvalidCiphertext({ name: "InvalidCiphertextException" })).toBe(true);
    expect(isDryRunSuccess({ name: "DryRunOperationException" })).toBe(true);
    for (const other of [
      undefined,
      null,
      "",
      {},
      { message: "InvalidCiphertextException" },
      { name: "IncorrectKeyException" },
    ]) {
      expect(isInvalidCiphertext(other)).toBe(false);
      expect(isDryRunSuccess(other)).toBe(false);
    }
  });
});
