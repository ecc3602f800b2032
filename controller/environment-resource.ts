// An Environment resource, validated: the policy the gate takes, the namespaces it governs and the key Secrets it names.
// The CRD schema has checked most of it already; nothing here relies on that. Knows no cluster and opens nothing.
import {
  type AwsCaller,
  assertAgeRecipient,
  assertKeyArn,
  type EnvironmentPolicy,
  isRoleArn,
  scopes as knownScopes,
  type Scope,
  SealwardError,
} from "../src/index.ts";
import type { EnvironmentObject } from "./resources.ts";

/** A key Secret in the controller's own namespace, and the entry of it that holds age identities. */
export interface IdentityRef {
  readonly secret: string;
  readonly key: string;
}

export interface EnvironmentResource {
  readonly name: string;
  /** How this Environment governs a namespace: by exact name, by label selector, or not at all. Answered even if the rest is invalid. */
  governs(namespace: NamespaceView): "name" | "selector" | null;
  readonly identityRefs: readonly IdentityRef[];
  /** As whom the KMS keys are called; null where they are none of its identities. */
  readonly kms: AwsCaller | null;
  /** null when there are problems. */
  readonly policy: EnvironmentPolicy | null;
  /** Each names its field. */
  readonly problems: readonly string[];
}

export interface NamespaceView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

type Fields = Readonly<Record<string, unknown>>;
type Report = (field: string, problem: string) => void;
type Matches = (labels: Readonly<Record<string, string>>) => boolean;

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const dnsSubdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dataKey = /^[-._a-zA-Z0-9]{1,253}$/;
const digest = /^sha256:[0-9a-f]{64}$/;
const defaultKey = "identity";

/** Never throws: every problem is collected, so that one edit can mend them all. */
export function parseEnvironment(object: EnvironmentObject): EnvironmentResource {
  const { name } = object.metadata;
  const problems: string[] = [];
  const report: Report = (field, problem) => problems.push(`${field} ${problem}`);
  const spec = fieldsOf(object.spec, "spec", report);
  const governs = parseNamespaces(spec["namespaces"], report);
  const { identityRefs, kms } = parseIdentities(spec["identities"], report);
  const { ageRecipients, kmsRecipients } = parseRecipients(spec["recipients"], report);
  if (kms !== null && kmsRecipients.length === 0) report("spec.recipients.kms", "names no key for the identity kms");
  const scopes = parseScopes(spec["scopes"], report);
  const acceptedUnbound = stringsOf(spec["unbound"] ?? [], "spec.unbound", digest, report);
  const strictRecipients = spec["strictRecipients"] ?? false;
  if (typeof strictRecipients !== "boolean") report("spec.strictRecipients", "is not true or false");
  const policy: EnvironmentPolicy = {
    name,
    ageRecipients,
    kmsRecipients,
    paths: [],
    namespaces: [],
    defaultScope: scopes[0] ?? "strict",
    scopes,
    strictRecipients: strictRecipients === true,
    acceptedUnbound,
  };
  return { name, governs, identityRefs, kms, policy: problems.length === 0 ? policy : null, problems };
}

/** @throws environment-invalid, naming every field that is wrong */
export function policyOf({ name, policy, problems }: EnvironmentResource): EnvironmentPolicy {
  if (policy !== null) return policy;
  throw new SealwardError("environment-invalid", `Environment "${name}" is not usable: ${problems.join("; ")}`);
}

function parseNamespaces(value: unknown, report: Report): EnvironmentResource["governs"] {
  const fields = fieldsOf(value, "spec.namespaces", report);
  const names = new Set(stringsOf(fields["names"] ?? [], "spec.namespaces.names", dnsLabel, report));
  const matches = fields["selector"] === undefined ? null : parseSelector(fields["selector"], report);
  if (names.size === 0 && fields["selector"] === undefined)
    report("spec.namespaces", "gives neither names nor a selector");
  return ({ name, labels }) => {
    if (names.has(name)) return "name";
    return matches?.(labels) ? "selector" : null;
  };
}

function parseSelector(value: unknown, report: Report): Matches | null {
  const field = "spec.namespaces.selector";
  const { matchLabels, matchExpressions } = fieldsOf(value, field, report);
  const tests: Matches[] = [];
  for (const [key, wanted] of Object.entries(fieldsOf(matchLabels ?? {}, `${field}.matchLabels`, report))) {
    if (typeof wanted !== "string") report(`${field}.matchLabels.${key}`, "is not a string");
    tests.push((labels) => Object.hasOwn(labels, key) && labels[key] === wanted);
  }
  const expressions = listOf(matchExpressions ?? [], `${field}.matchExpressions`, report);
  for (const [index, expression] of expressions.entries()) {
    const test = parseExpression(expression, `${field}.matchExpressions[${index}]`, report);
    // A broken expression must not widen the selector.
    tests.push(test ?? (() => false));
  }
  if (tests.length > 0) return (labels) => tests.every((test) => test(labels));
  // Kubernetes reads an empty selector as "every namespace"; nobody who wrote one here meant that.
  report(field, "is empty");
  return null;
}

function parseExpression(value: unknown, field: string, report: Report): Matches | null {
  const { key, operator, values = [] } = fieldsOf(value, field, report);
  const list = stringsOf(values, `${field}.values`, null, report);
  if (typeof key !== "string" || key === "") {
    report(`${field}.key`, "is missing");
    return null;
  }
  const wantsValues = operator === "In" || operator === "NotIn";
  if (wantsValues !== list.length > 0) report(`${field}.values`, wantsValues ? "is empty" : "must be empty");
  const label = (labels: Readonly<Record<string, string>>): string | undefined =>
    Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return (labels) => list.includes(label(labels) ?? "\0");
    case "NotIn":
      return (labels) => !list.includes(label(labels) ?? "\0");
    case "Exists":
      return (labels) => label(labels) !== undefined;
    case "DoesNotExist":
      return (labels) => label(labels) === undefined;
    default:
      report(`${field}.operator`, "is not one of In, NotIn, Exists, DoesNotExist");
      return null;
  }
}

function parseIdentities(value: unknown, report: Report): Pick<EnvironmentResource, "identityRefs" | "kms"> {
  const list = listOf(value ?? [], "spec.identities", report);
  if (list.length === 0) report("spec.identities", "names no identity");
  const identityRefs: IdentityRef[] = [];
  let kms: AwsCaller | null = null;
  for (const [index, item] of list.entries()) {
    const field = `spec.identities[${index}]`;
    const fields = fieldsOf(item, field, report);
    if (fields["kms"] === undefined) identityRefs.push(...parseSecretRef(fields["age"], `${field}.age`, report));
    else if (fields["age"] !== undefined) report(field, "has both age and kms");
    else if (kms !== null) report(field, "is a second identity kms");
    else kms = parseCaller(fields["kms"], `${field}.kms`, report);
  }
  return { identityRefs, kms };
}

function parseSecretRef(age: unknown, where: string, report: Report): IdentityRef[] {
  const field = `${where}.secretRef`;
  const { secretRef } = fieldsOf(age, where, report);
  const { name, key = defaultKey } = fieldsOf(secretRef, field, report);
  if (typeof name !== "string" || !dnsSubdomain.test(name)) {
    report(`${field}.name`, "is not the name of a Secret");
    return [];
  }
  if (typeof key !== "string" || !dataKey.test(key)) {
    report(`${field}.key`, "is not a key of a Secret");
    return [];
  }
  return [{ secret: name, key }];
}

function parseCaller(value: unknown, field: string, report: Report): AwsCaller {
  const { assumeRole: role } = fieldsOf(value, field, report);
  if (role === undefined) return {};
  if (typeof role === "string" && isRoleArn(role)) return { role };
  report(`${field}.assumeRole`, "is not the ARN of a role");
  return {};
}

function parseRecipients(
  value: unknown,
  report: Report,
): { readonly ageRecipients: string[]; readonly kmsRecipients: string[] } {
  const { age = [], kms = [] } = fieldsOf(value, "spec.recipients", report);
  const lists = { age: listOf(age, "spec.recipients.age", report), kms: listOf(kms, "spec.recipients.kms", report) };
  if (lists.age.length + lists.kms.length === 0) report("spec.recipients", "names no recipient");
  const checked = (kind: keyof typeof lists, assert: (text: string) => void, expected: string): string[] =>
    lists[kind].flatMap((recipient, index) => {
      try {
        if (typeof recipient !== "string") throw new SealwardError("recipient-invalid", "not a string");
        assert(recipient);
        return [recipient];
      } catch (error) {
        if (!(error instanceof SealwardError)) throw error;
        // The value is not quoted: a secret key pasted by mistake would land in a status.
        report(`spec.recipients.${kind}[${index}]`, `is not ${expected}`);
        return [];
      }
    });
  return {
    ageRecipients: checked("age", assertAgeRecipient, "an age recipient (age1… or an SSH public key)"),
    kmsRecipients: checked("kms", assertKeyArn, "the ARN of a KMS key"),
  };
}

function parseScopes(value: unknown, report: Report): Scope[] {
  const list = listOf(value ?? ["strict"], "spec.scopes", report);
  if (list.length === 0) report("spec.scopes", "allows no scope");
  return list.flatMap((item, index) => {
    const scope = knownScopes.find((known) => known === item);
    if (scope !== undefined) return [scope];
    report(`spec.scopes[${index}]`, `is not one of ${knownScopes.join(", ")}`);
    return [];
  });
}

function fieldsOf(value: unknown, field: string, report: Report): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  report(field, value === undefined ? "is missing" : "is not an object");
  return {};
}

function listOf(value: unknown, field: string, report: Report): readonly unknown[] {
  if (Array.isArray(value)) return value;
  report(field, "is not a list");
  return [];
}

function stringsOf(value: unknown, field: string, pattern: RegExp | null, report: Report): string[] {
  return listOf(value, field, report).flatMap((item, index) => {
    if (typeof item === "string" && (pattern === null || pattern.test(item))) return [item];
    report(`${field}[${index}]`, "is not valid");
    return [];
  });
}
