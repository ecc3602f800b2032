// The errors of KMS and STS by the names AWS gives them, and the one error that is ours: what a test relies on and this
// server does not model. Knows neither how a request arrives nor how an error is written on the wire.

/** An error as AWS answers it. */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = code;
    this.code = code;
    this.status = status;
  }
}

/** Guessing would make a test pass that AWS would fail, so the server says what it does not know. */
export class NotModelledError extends Error {
  constructor(what: string) {
    super(`the KMS test server does not model ${what}`);
    this.name = "NotModelledError";
  }
}

export const validation = (message: string): AwsError =>
  new AwsError("ValidationException", `1 validation error detected: ${message}`);
export const notFound = (message: string): AwsError => new AwsError("NotFoundException", message);
export const alreadyExists = (message: string): AwsError => new AwsError("AlreadyExistsException", message);
export const accessDenied = (message: string): AwsError => new AwsError("AccessDeniedException", message);
export const malformedPolicy = (message: string): AwsError => new AwsError("MalformedPolicyDocumentException", message);
export const unsupported = (message: string): AwsError => new AwsError("UnsupportedOperationException", message);
export const disabled = (arn: string): AwsError => new AwsError("DisabledException", `${arn} is disabled.`);
export const invalidState = (arn: string, why: string): AwsError =>
  new AwsError("KMSInvalidStateException", `${arn} ${why}.`);

/** AWS says no word about what is wrong with it. */
export const invalidCiphertext = (): AwsError => new AwsError("InvalidCiphertextException", "");
export const incorrectKey = (): AwsError =>
  new AwsError(
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
  );

/** One answer for three causes, so that nobody learns which keys there are. */
export const unknownCiphertextKey = (): AwsError =>
  accessDenied(
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
  );

/** 412 is what the service's model says. */
export const dryRun = (): AwsError =>
  new AwsError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 412);

export const throttled = (): AwsError =>
  new AwsError(
    "ThrottlingException",
    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
  );
export const internal = (): AwsError => new AwsError("KMSInternalException", "An internal error occurred.", 500);
export const unavailable = (): AwsError =>
  new AwsError("ServiceUnavailableException", "The service is unavailable.", 503);
