// Holds a request against the policies of its key and of its sender, and refuses in AWS's words. What a request is about
// it is told; it reads none.
import { accessDenied } from "./aws-errors.ts";
import type { CallDetails } from "./call-log.ts";
import type { EncryptionContext } from "./ciphertexts.ts";
import type { Caller } from "./identities.ts";
import type { Key, Keys, Place } from "./keys.ts";
import { accountOf, decide, type Verdict } from "./policy.ts";
import type { PolicyDocument } from "./policy-documents.ts";

/** One request, as operations see it. */
export interface Asked {
  readonly keys: Keys;
  readonly caller: Caller;
  readonly region: string;
  /** What the call log will say of it. */
  readonly details: CallDetails;
}

export interface Use {
  readonly encryptionContext?: EncryptionContext;
  readonly reEncryptOnSameKey?: boolean;
}

const because: Readonly<Record<Exclude<Verdict, "allowed">, (action: string) => string>> = {
  "denied by a key policy": () => "with an explicit deny in a resource-based policy",
  "denied by an IAM policy": () => "with an explicit deny in an identity-based policy",
  "not allowed by any policy": (action) => `because no resource-based policy allows the ${action} action`,
};

const senderOf = ({ principal }: Caller): string => principal.sessionArn ?? principal.arn;

export const placeOf = ({ caller, region }: Asked): Place => ({ region, account: accountOf(caller.principal.arn) });

/** Finds the key that the request names, and writes it down for the call log even where the request is refused. */
export function namedKey(asked: Asked, name: string, role: "keyId" | "sourceKeyId" = "keyId"): Key {
  asked.details[role] = name;
  const key = asked.keys.find(name, placeOf(asked));
  asked.details[role] = key.arn;
  return key;
}

export function mayUse({ caller }: Asked, action: string, key: Key, use: Use = {}): boolean {
  return verdictOf(caller, action, key, key.policy, use) === "allowed";
}

export function authorize({ caller }: Asked, action: string, key: Key, use: Use = {}): void {
  const verdict = verdictOf(caller, action, key, key.policy, use);
  if (verdict === "allowed") return;
  const what = `User: ${senderOf(caller)} is not authorized to perform: ${action} on resource: ${key.arn}`;
  throw accessDenied(`${what} ${because[verdict](action)}`);
}

/** Whether the sender could change the key's policy again if it were this one: AWS refuses to lock somebody out. */
export function couldPutPolicy({ caller }: Asked, key: Key, policy: PolicyDocument): boolean {
  return verdictOf(caller, "kms:PutKeyPolicy", key, policy, {}) === "allowed";
}

function verdictOf(
  { principal, iamPolicies }: Caller,
  action: string,
  key: Key,
  keyPolicy: PolicyDocument | undefined,
  use: Use,
): Verdict {
  return decide({ principal, action, resource: key.arn, ...use }, { keyPolicy, iamPolicies });
}

/** For what concerns no key: the IAM policies alone decide, and a sender without any is an administrator. */
export function authorizeInAccount({ caller, region }: Asked, action: string): void {
  const { principal, iamPolicies } = caller;
  const account = accountOf(principal.arn);
  const verdict = decide({ principal, action, resource: `arn:aws:kms:${region}:${account}:*` }, { iamPolicies });
  if (verdict === "allowed") return;
  throw accessDenied(`User: ${senderOf(caller)} is not authorized to perform: ${action} on resource: *`);
}
