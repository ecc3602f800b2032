// Decides whether a principal may do something with a key, as KMS does for the subset that policy-documents.ts reads: an
// explicit Deny wins, nothing is allowed by default, a key policy may leave it to the IAM policies of its account. Needs
// no server, so that a test can ask a policy that it generated. Service control and session policies are not modelled.
import { conditionsHold } from "./policy-conditions.ts";
import {
  administratorPolicy,
  defaultKeyPolicy,
  type PolicyDocument,
  readPolicy,
  type Statement,
} from "./policy-documents.ts";

export interface Principal {
  /** Of the user or role, as in `aws:PrincipalArn`. */
  readonly arn: string;
  /** `arn:aws:sts::…:assumed-role/<role>/<session>`, where a role was assumed. */
  readonly sessionArn?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface AccessRequest {
  readonly principal: Principal;
  /** `kms:Decrypt`. */
  readonly action: string;
  /** The key's ARN. */
  readonly resource: string;
  readonly encryptionContext?: Readonly<Record<string, string>>;
  /** ReEncryptFrom and ReEncryptTo only. */
  readonly reEncryptOnSameKey?: boolean;
  readonly viaService?: string;
}

export interface Policies {
  /** Without one the key has the default policy. */
  readonly keyPolicy?: PolicyDocument | undefined;
  /** Those of the principal. Without any, it is an administrator where the key has no policy either, else it has none. */
  readonly iamPolicies?: readonly PolicyDocument[] | undefined;
}

export type Verdict = "allowed" | "denied by a key policy" | "denied by an IAM policy" | "not allowed by any policy";

export const accountOf = (arn: string): string => arn.split(":")[4] ?? "";
const rootOf = (account: string): string => `arn:aws:iam::${account}:root`;

function wildcardMatches(pattern: string, value: string, flags: string): boolean {
  const source = pattern
    .split(/([*?])/)
    .map((piece) => (piece === "*" ? ".*" : piece === "?" ? "." : piece.replace(/[\\^$.|+()[\]{}]/g, "\\$&")));
  return new RegExp(`^${source.join("")}$`, flags).test(value);
}

/** Whether a statement is about this action, this key and these circumstances; of its principal it says nothing. */
function applies(statement: Statement, request: AccessRequest): boolean {
  const { principal, action, resource, encryptionContext = {}, reEncryptOnSameKey, viaService } = request;
  return (
    statement.actions.some((pattern) => wildcardMatches(pattern, action, "i")) &&
    statement.resources.some((pattern) => wildcardMatches(pattern, resource, "")) &&
    conditionsHold(statement.conditions, {
      principalArn: principal.arn,
      principalTags: principal.tags ?? {},
      encryptionContext,
      reEncryptOnSameKey,
      viaService,
    })
  );
}

const names = ({ principals }: Statement, { arn, sessionArn }: Principal): boolean =>
  principals.some((named) => named === "*" || named === arn || named === sessionArn);

function namesAccount({ principals }: Statement, { arn }: Principal): boolean {
  const account = accountOf(arn);
  return principals.includes(account) || principals.includes(rootOf(account));
}

export function decide(request: AccessRequest, policies: Policies): Verdict {
  const { principal, resource } = request;
  const isOwnAccount = accountOf(principal.arn) === accountOf(resource);
  const keyPolicy = policies.keyPolicy ?? defaultKeyPolicy(accountOf(resource));
  const assumed = policies.keyPolicy === undefined && isOwnAccount ? [administratorPolicy] : [];
  const ofKey = readPolicy(keyPolicy, "key policy").filter((statement) => applies(statement, request));
  const ofPrincipal = (policies.iamPolicies ?? assumed)
    .flatMap((document) => readPolicy(document, "IAM policy"))
    .filter((statement) => applies(statement, request));

  const isAbout = (statement: Statement): boolean => names(statement, principal) || namesAccount(statement, principal);
  if (ofKey.some((statement) => statement.effect === "Deny" && isAbout(statement))) return "denied by a key policy";
  if (ofPrincipal.some(({ effect }) => effect === "Deny")) return "denied by an IAM policy";

  const allowing = ofKey.filter(({ effect }) => effect === "Allow");
  const iamAllows =
    ofPrincipal.some(({ effect }) => effect === "Allow") || principal.arn === rootOf(accountOf(resource));
  const isNamed = allowing.some((statement) => names(statement, principal));
  const isLeftToIam = allowing.some((statement) => namesAccount(statement, principal));
  // Another account must say yes as well; within one, to be named by the key policy is enough.
  const isAllowed = isOwnAccount ? isNamed || (isLeftToIam && iamAllows) : (isNamed || isLeftToIam) && iamAllows;
  return isAllowed ? "allowed" : "not allowed by any policy";
}

/** Throws NotModelledError where it cannot tell, AwsError where a policy is malformed. */
export function isAllowed(request: AccessRequest, policies: Policies): boolean {
  return decide(request, policies) === "allowed";
}
