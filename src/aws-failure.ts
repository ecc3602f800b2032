// What a failed call to AWS means: worth trying again, refused for good, or nobody to call as. Passes on the name of the
// error and never its message, which quotes principals, tokens and requests.
import { type ErrorCode, SealwardError } from "./errors.ts";

/** What was asked of AWS, as the message is to name it. */
export interface Asked {
  /** `Encrypt`, `Decrypt` … as policies call it. */
  readonly action: string;
  /** The key, or the role that was to be assumed. */
  readonly arn: string;
}

type Meaning = readonly [code: ErrorCode, says: string];

const unreachable = "key-unreachable";
const refused = "key-refused";
const nobody = "credentials-missing";

const meanings: Readonly<Record<string, Meaning>> = {
  ThrottlingException: [unreachable, "AWS throttles the calls"],
  Throttling: [unreachable, "AWS throttles the calls"],
  TooManyRequestsException: [unreachable, "AWS throttles the calls"],
  LimitExceededException: [unreachable, "AWS throttles the calls"],
  RequestLimitExceeded: [unreachable, "AWS throttles the calls"],
  KMSInternalException: [unreachable, "AWS KMS failed inside"],
  DependencyTimeoutException: [unreachable, "AWS KMS failed inside"],
  KeyUnavailableException: [unreachable, "the key is not available for the moment"],
  InternalFailure: [unreachable, "AWS failed inside"],
  ServiceUnavailable: [unreachable, "AWS is not available"],
  ServiceUnavailableException: [unreachable, "AWS is not available"],
  IDPCommunicationErrorException: [unreachable, "AWS does not reach the issuer of the web identity token"],
  TimeoutError: [unreachable, "no answer came in time"],
  ETIMEDOUT: [unreachable, "no answer came in time"],
  AccessDeniedException: [refused, "the caller has no permission for it"],
  AccessDenied: [refused, "the caller has no permission for it"],
  NotFoundException: [refused, "there is no such key or alias"],
  InvalidArnException: [refused, "there is no such key or alias"],
  DisabledException: [refused, "the key is disabled"],
  IncorrectKeyException: [refused, "another key wrapped the data key"],
  InvalidKeyUsageException: [refused, "the key is not one that encrypts symmetrically"],
  EndpointError: [refused, "the configuration leads to no endpoint"],
  OptInRequired: [refused, "the account has no access to AWS KMS"],
  CredentialsProviderError: [nobody, "no AWS credentials were found"],
  TokenProviderError: [nobody, "the AWS sign-in is not valid any more"],
  ExpiredTokenException: [nobody, "the AWS credentials have expired"],
  ExpiredToken: [nobody, "the AWS credentials have expired"],
  RequestExpired: [nobody, "the AWS credentials, or this machine's clock, are out of date"],
  UnrecognizedClientException: [nobody, "AWS does not know these credentials"],
  InvalidClientTokenId: [nobody, "AWS does not know these credentials"],
  // The SDK gives these two names of its own.
  InvalidIdentityToken: [nobody, "AWS does not accept the web identity token"],
  InvalidIdentityTokenException: [nobody, "AWS does not accept the web identity token"],
  IDPRejectedClaim: [nobody, "AWS does not accept the web identity token"],
  IDPRejectedClaimException: [nobody, "AWS does not accept the web identity token"],
  IDPCommunicationError: [unreachable, "AWS does not reach the issuer of the web identity token"],
  InvalidSignatureException: [
    nobody,
    "AWS does not accept the signature: the secret key is wrong, or this machine's clock",
  ],
  SignatureDoesNotMatch: [
    nobody,
    "AWS does not accept the signature: the secret key is wrong, or this machine's clock",
  ],
  IncompleteSignature: [nobody, "AWS does not accept the signature: the secret key is wrong, or this machine's clock"],
  MissingAuthenticationTokenException: [nobody, "no AWS credentials were found"],
  // The SDK opens no other files.
  ENOENT: [nobody, "a file that should hold AWS credentials cannot be read"],
  EACCES: [nobody, "a file that should hold AWS credentials cannot be read"],
};

const notThatRole: Meaning = [nobody, "AWS does not let this identity take the role that its configuration names"];

const unreachableSystems =
  /^(?:E(?:CONN\w+|PIPE|AI_AGAIN|HOST\w+|NET\w+|PROTO)|ENOTFOUND|CERT_|ERR_(?:TLS|SSL|SOCKET))/;

/** What the SDK or the network threw, in our words. A refusal of our own stays as it is. */
export function awsFailure(problem: unknown, { action, arn }: Asked): SealwardError {
  if (problem instanceof SealwardError) return problem;
  const { name, said } = described(problem);
  // KMS says AccessDeniedException: this comes from STS, which was asked whom to call as.
  const isOfSts = name === "AccessDenied" && !action.startsWith("sts:");
  const [code, says] = isOfSts ? notThatRole : meaningOf(problem, name, said);
  return new SealwardError(code, `AWS did not do ${action} for ${arn}: ${says} (${name})`);
}

/** True where KMS says that the ciphertext is none of the key's under this context. */
export function isInvalidCiphertext(problem: unknown): boolean {
  return described(problem).name === "InvalidCiphertextException";
}

/** True where KMS would have done it, had it not been asked for a dry run. */
export function isDryRunSuccess(problem: unknown): boolean {
  return described(problem).name === "DryRunOperationException";
}

function meaningOf(problem: unknown, name: string, said: string): Meaning {
  const known = Object.hasOwn(meanings, name) ? meanings[name] : undefined;
  if (known !== undefined) return known;
  if (name === "KMSInvalidStateException")
    return [
      refused,
      /pending deletion/i.test(said) ? "the key is pending deletion" : "the key is in no state to be used",
    ];
  if (isBrokenConnection(problem)) return [unreachable, "there is no connection"];
  const { $metadata } = (problem ?? {}) as { readonly $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode ?? 0;
  if (status === 429 || status >= 500) return [unreachable, "AWS is not available"];
  if (status >= 400) return [refused, "AWS does not take the request"];
  // Neither an answer nor a known failure of the network: the chain of credentials is all that is left.
  return [unreachable, "the call failed before it got an answer"];
}

/** A name is a word of AWS' or of the system's; anything else may be text that nobody has looked at. */
function described(problem: unknown): { readonly name: string; readonly said: string } {
  const { name, code, message } = (problem ?? {}) as Readonly<Record<string, unknown>>;
  const word = [code, name].find((one) => typeof one === "string" && /^[A-Z][A-Za-z0-9_]{2,60}$/.test(one));
  const said = typeof message === "string" ? message : "";
  // The SDK calls a connection that was reset a timeout, too.
  const isReset = name === "TimeoutError" && isBrokenConnection(problem);
  const isNamed = typeof name === "string" && Object.hasOwn(meanings, name) && !isReset;
  return { name: isNamed ? name : typeof word === "string" && word !== "Error" ? word : "unnamed", said };
}

function isBrokenConnection(problem: unknown): boolean {
  const { code } = (problem ?? {}) as { readonly code?: unknown };
  return typeof code === "string" && unreachableSystems.test(code);
}
