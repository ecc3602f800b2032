// STS of the test server: AssumeRole, AssumeRoleWithWebIdentity and GetCallerIdentity, in the query protocol with XML
// answers. Session policies, external ids, MFA and transitive tags are refused as not modelled.
import { randomUUID } from "node:crypto";
import { AwsError, NotModelledError } from "./aws-errors.ts";
import type { CallDetails } from "./call-log.ts";
import { type Caller, type Identities, type RoleOptions, type SessionCredentials, sessionArnOf } from "./identities.ts";
import { accountOf } from "./policy.ts";

/** An XML element's content: text, or elements by name. */
type Element = string | { readonly [name: string]: Element };

export interface StsRequest {
  readonly operation: string;
  readonly form: URLSearchParams;
  /** Undefined where the request is not signed, as AssumeRoleWithWebIdentity need not be. */
  readonly caller: Caller | undefined;
  readonly details: CallDetails;
}

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/";

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function xml(element: Element): string {
  if (typeof element === "string") return element.replace(/[&<>]/g, (character) => entities[character] ?? "");
  return Object.entries(element)
    .map(([name, inner]) => `<${name}>${xml(inner)}</${name}>`)
    .join("");
}

export function stsAnswer(operation: string, result: Element): string {
  const content = { [`${operation}Result`]: result, ResponseMetadata: { RequestId: randomUUID() } };
  return `<${operation}Response xmlns="${namespace}">${xml(content)}</${operation}Response>`;
}

export function stsError(code: string, message: string, status: number): string {
  const error = { Type: status < 500 ? "Sender" : "Receiver", Code: code, Message: message };
  return `<ErrorResponse xmlns="${namespace}">${xml({ Error: error, RequestId: randomUUID() })}</ErrorResponse>`;
}

const denied = (message: string): AwsError => new AwsError("AccessDenied", message, 403);
const invalid = (message: string): AwsError =>
  new AwsError("ValidationError", `1 validation error detected: ${message}`);

/** The members of a form, all of which somebody must have read. */
class Form {
  readonly #form: URLSearchParams;
  readonly #read = new Set(["Action", "Version"]);

  constructor(form: URLSearchParams) {
    this.#form = form;
  }

  text(name: string): string {
    this.#read.add(name);
    const value = this.#form.get(name);
    if (value === null || value === "") throw invalid(`Value null at '${name}' failed to satisfy constraint`);
    return value;
  }

  sessionName(): string {
    const name = this.text("RoleSessionName");
    if (/^[\w+=,.@-]{2,64}$/.test(name)) return name;
    throw invalid(`Value '${name}' at 'roleSessionName' failed to satisfy constraint: [\\w+=,.@-]{2,64}`);
  }

  seconds(): number {
    this.#read.add("DurationSeconds");
    const seconds = Number(this.#form.get("DurationSeconds") ?? "3600");
    if (Number.isInteger(seconds) && seconds >= 900 && seconds <= 43_200) return seconds;
    throw invalid(`Value '${seconds}' at 'durationSeconds' failed to satisfy constraint: 900 to 43200`);
  }

  tags(): Readonly<Record<string, string>> {
    const tags: Record<string, string> = {};
    for (const [name, key] of this.#form) {
      const place = /^(Tags\.member\.\d+\.)Key$/.exec(name)?.[1];
      if (place !== undefined) tags[key] = this.#form.get(`${place}Value`) ?? "";
    }
    return tags;
  }

  assertAllRead(operation: string): void {
    for (const name of this.#form.keys()) {
      const isTag = operation === "AssumeRole" && name.startsWith("Tags.member.");
      if (!this.#read.has(name) && !isTag) throw new NotModelledError(`${name} of ${operation}`);
    }
  }
}

function assumed(roleArn: string, sessionName: string, credentials: SessionCredentials): Element {
  return {
    Credentials: {
      AccessKeyId: credentials.accessKeyId,
      SecretAccessKey: credentials.secretAccessKey,
      SessionToken: credentials.sessionToken,
      Expiration: credentials.expiration.toISOString(),
    },
    AssumedRoleUser: { AssumedRoleId: `AROATESTSERVER:${sessionName}`, Arn: sessionArnOf(roleArn, sessionName) },
  };
}

function trusts({ trusts = [] }: RoleOptions, { principal }: Caller): boolean {
  const root = `arn:aws:iam::${accountOf(principal.arn)}:root`;
  return trusts.some((trusted) => [principal.arn, principal.sessionArn, root].includes(trusted));
}

function assumeRole(caller: Caller, read: Form, details: CallDetails, identities: Identities): Element {
  const roleArn = read.text("RoleArn");
  details.roleArn = roleArn;
  const sessionName = read.sessionName();
  details.sessionName = sessionName;
  const durationSeconds = read.seconds();
  const tags = read.tags();
  read.assertAllRead("AssumeRole");
  const role = identities.role(roleArn);
  // One refusal for both, so that nobody learns which roles there are.
  if (role === undefined || !trusts(role, caller)) {
    const sender = caller.principal.sessionArn ?? caller.principal.arn;
    throw denied(`User: ${sender} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`);
  }
  return assumed(roleArn, sessionName, identities.openSession(roleArn, { sessionName, tags, durationSeconds }));
}

function assumeRoleWithWebIdentity(read: Form, details: CallDetails, identities: Identities): Element {
  const roleArn = read.text("RoleArn");
  details.roleArn = roleArn;
  const sessionName = read.sessionName();
  details.sessionName = sessionName;
  const durationSeconds = read.seconds();
  const token = read.text("WebIdentityToken");
  read.assertAllRead("AssumeRoleWithWebIdentity");
  if (!identities.acceptsToken(token)) {
    throw new AwsError("InvalidIdentityToken", "The web identity token that was passed could not be validated");
  }
  if (identities.role(roleArn)?.webIdentityTokens?.includes(token) !== true) {
    throw denied("Not authorized to perform sts:AssumeRoleWithWebIdentity");
  }
  return assumed(roleArn, sessionName, identities.openSession(roleArn, { sessionName, durationSeconds }));
}

function callerIdentity({ principal }: Caller): Element {
  const session = principal.sessionArn?.split("/").at(-1);
  return {
    Arn: principal.sessionArn ?? principal.arn,
    UserId: session === undefined ? "AIDATESTSERVER" : `AROATESTSERVER:${session}`,
    Account: accountOf(principal.arn),
  };
}

/** The answer's XML. */
export function answerSts({ operation, form, caller, details }: StsRequest, identities: Identities): string {
  const read = new Form(form);
  if (operation === "AssumeRoleWithWebIdentity") {
    return stsAnswer(operation, assumeRoleWithWebIdentity(read, details, identities));
  }
  if (caller === undefined) {
    throw new AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403);
  }
  if (operation === "AssumeRole") return stsAnswer(operation, assumeRole(caller, read, details, identities));
  if (operation === "GetCallerIdentity") return stsAnswer(operation, callerIdentity(caller));
  throw new NotModelledError(`sts:${operation}`);
}
