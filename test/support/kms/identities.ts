// Who may call the test server: users and roles with their access keys, tags and IAM policies, and the sessions of roles
// that STS gave out. Signatures are not verified; a request is known by its access key and, for a session, its token.
import { randomBytes } from "node:crypto";
import { AwsError } from "./aws-errors.ts";
import type { Principal } from "./policy.ts";
import { type PolicyDocument, readPolicy } from "./policy-documents.ts";

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface SessionCredentials extends AccessKey {
  readonly sessionToken: string;
  readonly expiration: Date;
}

interface Identity {
  readonly arn: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Left out, it is an administrator of keys without a policy, and has no rights that a key policy leaves to IAM. */
  readonly iamPolicies?: readonly PolicyDocument[];
}

export interface UserOptions extends Identity {
  /** A fixed one, where another process must know it. */
  readonly accessKey?: AccessKey;
}

export interface RoleOptions extends Identity {
  /** The ARNs of the users, roles and sessions that may assume it; an account's root stands for all of the account. */
  readonly trusts?: readonly string[];
  /** The web identity tokens that it accepts. */
  readonly webIdentityTokens?: readonly string[];
}

/** Who sent a request. */
export interface Caller {
  readonly principal: Principal;
  readonly iamPolicies: readonly PolicyDocument[] | undefined;
}

export interface SessionRequest {
  readonly sessionName: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly durationSeconds?: number;
}

/** What a request says of its sender, from its headers. */
export interface Signature {
  readonly accessKeyId: string;
  readonly region: string;
  readonly service: string;
  readonly token: string | undefined;
}

interface Known {
  readonly caller: Caller;
  readonly token: string | undefined;
  readonly expiration: Date | undefined;
}

/** KMS and STS name the same refusals differently. */
const refusals = {
  kms: { unknown: ["UnrecognizedClientException", 400], expired: ["ExpiredTokenException", 400] },
  sts: { unknown: ["InvalidClientTokenId", 403], expired: ["ExpiredToken", 403] },
} as const;

export const newAccessKey = (prefix: "AKIA" | "ASIA"): AccessKey => ({
  accessKeyId: `${prefix}${randomBytes(8).toString("hex").toUpperCase()}`,
  secretAccessKey: randomBytes(30).toString("base64"),
});

export class Identities {
  readonly #known = new Map<string, Known>();
  readonly #accessKeys = new Map<string, AccessKey>();
  readonly #roles: ReadonlyMap<string, RoleOptions>;
  readonly #now: () => Date;

  constructor(users: readonly UserOptions[], roles: readonly RoleOptions[], now: () => Date) {
    this.#now = now;
    for (const { arn, iamPolicies, tags = {}, accessKey = newAccessKey("AKIA") } of users) {
      // A policy that cannot be read should fail the start, and not the first request.
      for (const policy of iamPolicies ?? []) readPolicy(policy, "IAM policy");
      const caller = { principal: { arn, tags }, iamPolicies };
      this.#known.set(accessKey.accessKeyId, { caller, token: undefined, expiration: undefined });
      this.#accessKeys.set(arn, accessKey);
    }
    for (const role of roles) for (const policy of role.iamPolicies ?? []) readPolicy(policy, "IAM policy");
    this.#roles = new Map(roles.map((role) => [role.arn, role]));
  }

  accessKeyOf(arn: string): AccessKey {
    const accessKey = this.#accessKeys.get(arn);
    if (accessKey === undefined) throw new Error(`the KMS test server was started without the user ${arn}`);
    return accessKey;
  }

  role(arn: string): RoleOptions | undefined {
    return this.#roles.get(arn);
  }

  /** Whether any role accepts it: AWS tells a token that it cannot verify from one that a role does not trust. */
  acceptsToken(token: string): boolean {
    return [...this.#roles.values()].some(({ webIdentityTokens }) => webIdentityTokens?.includes(token));
  }

  /** A session of the role, without asking whether somebody may have it. */
  openSession(roleArn: string, { sessionName, tags = {}, durationSeconds = 3600 }: SessionRequest): SessionCredentials {
    const role = this.#roles.get(roleArn);
    if (role === undefined) throw new Error(`the KMS test server was started without the role ${roleArn}`);
    const accessKey = newAccessKey("ASIA");
    const sessionToken = randomBytes(48).toString("base64");
    const expiration = new Date(this.#now().getTime() + durationSeconds * 1000);
    const principal = { arn: roleArn, sessionArn: sessionArnOf(roleArn, sessionName), tags: { ...role.tags, ...tags } };
    const caller = { principal, iamPolicies: role.iamPolicies };
    this.#known.set(accessKey.accessKeyId, { caller, token: sessionToken, expiration });
    return { ...accessKey, sessionToken, expiration };
  }

  callerOf({ accessKeyId, token }: Signature, service: "kms" | "sts"): Caller {
    const known = this.#known.get(accessKeyId);
    if (known === undefined || known.token !== token) {
      throw new AwsError(
        refusals[service].unknown[0],
        "The security token included in the request is invalid.",
        refusals[service].unknown[1],
      );
    }
    if (known.expiration !== undefined && known.expiration <= this.#now()) throw expired(service);
    return known.caller;
  }
}

export function expired(service: "kms" | "sts"): AwsError {
  const [code, status] = refusals[service].expired;
  return new AwsError(code, "The security token included in the request is expired", status);
}

/** A role's path is no part of it. */
export function sessionArnOf(roleArn: string, sessionName: string): string {
  const [, , , , account, resource = ""] = roleArn.split(":");
  return `arn:aws:sts::${account}:assumed-role/${resource.split("/").at(-1)}/${sessionName}`;
}
