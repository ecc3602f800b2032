// Reads policy documents as AWS has them, key policies and IAM policies, and refuses what AWS refuses. What is right for
// AWS and not modelled here is an error too, at reading and not only when a request comes to it. Decides nothing.
import { malformedPolicy, NotModelledError } from "./aws-errors.ts";
import { type Condition, isRecord, readConditions, stringsOf } from "./policy-conditions.ts";

/** A policy as a test writes it; what JSON.parse gives of one is one as well. */
export type PolicyDocument = Readonly<Record<string, unknown>>;
export type PolicyKind = "key policy" | "IAM policy";

export interface Statement {
  readonly effect: "Allow" | "Deny";
  /** Empty in an IAM policy: it is the policy of its principal. */
  readonly principals: readonly string[];
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
}

const known = new Set(["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]);
const inverted = ["NotPrincipal", "NotAction", "NotResource"];

function principalsOf(value: unknown): readonly string[] {
  if (value === "*") return ["*"];
  if (!isRecord(value)) throw malformedPolicy("Principal must be an object.");
  for (const kind of Object.keys(value)) {
    if (kind !== "AWS") throw new NotModelledError(`principals of the kind ${kind}`);
  }
  return stringsOf(value["AWS"], "Principal").map((principal) => {
    const isWhole = principal === "*" || /^\d{12}$/.test(principal);
    if (isWhole || /^arn:aws:(iam|sts)::\d{12}:[^*?]+$/.test(principal)) return principal;
    throw malformedPolicy(`Policy contains a statement with one or more invalid principals: ${principal}.`);
  });
}

function readStatement(value: unknown, kind: PolicyKind, hasVariables: boolean): Statement {
  if (!isRecord(value)) throw malformedPolicy("A statement must be an object.");
  for (const name of Object.keys(value)) {
    if (inverted.includes(name)) throw new NotModelledError(`the policy element ${name}`);
    if (!known.has(name)) throw malformedPolicy(`Unknown policy element ${name}.`);
  }
  const effect = value["Effect"];
  if (effect !== "Allow" && effect !== "Deny") throw malformedPolicy("Effect must be Allow or Deny.");
  if (kind === "IAM policy" && value["Principal"] !== undefined) {
    throw malformedPolicy("An IAM policy has no Principal.");
  }
  const actions = stringsOf(value["Action"], "Action");
  for (const action of actions) {
    if (action !== "*" && !/^[a-z0-9-]+:[\w*?]+$/i.test(action)) throw malformedPolicy(`Invalid action ${action}.`);
  }
  const resources = stringsOf(value["Resource"], "Resource");
  for (const resource of resources) {
    if (resource.includes("${")) throw new NotModelledError(`policy variables in a Resource: ${resource}`);
  }
  return {
    effect,
    principals: kind === "key policy" ? principalsOf(value["Principal"]) : [],
    actions,
    resources,
    conditions: readConditions(value["Condition"], hasVariables),
  };
}

/** The statements of a policy. Throws AwsError where AWS refuses it, NotModelledError where we cannot tell. */
export function readPolicy(document: PolicyDocument, kind: PolicyKind): readonly Statement[] {
  for (const name of Object.keys(document)) {
    if (!["Version", "Id", "Statement"].includes(name)) throw malformedPolicy(`Unknown policy element ${name}.`);
  }
  const version = document["Version"] ?? "2008-10-17";
  if (version !== "2008-10-17" && version !== "2012-10-17") throw malformedPolicy("Unknown policy Version.");
  const statement = document["Statement"];
  const statements: readonly unknown[] = Array.isArray(statement) ? statement : [statement];
  if (statements.length === 0) throw malformedPolicy("A policy must have a statement.");
  return statements.map((one) => readStatement(one, kind, version === "2012-10-17"));
}

/** The same for a policy that came as text. */
export function parsePolicy(text: string): PolicyDocument {
  try {
    const document: unknown = JSON.parse(text);
    if (isRecord(document)) return document;
  } catch {
    // Falls through to the one refusal.
  }
  throw malformedPolicy("The policy is not a JSON object.");
}

/** What a key gets that is created without a policy: the account's IAM policies decide. */
export function defaultKeyPolicy(account: string): PolicyDocument {
  return {
    Version: "2012-10-17",
    Id: "key-default-1",
    Statement: [
      {
        Sid: "Enable IAM User Permissions",
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: "kms:*",
        Resource: "*",
      },
    ],
  };
}

/** The IAM policy of those who may do everything that key policies leave to IAM. */
export const administratorPolicy: PolicyDocument = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
};
