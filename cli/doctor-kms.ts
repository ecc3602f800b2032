// The part of `seal doctor` about AWS KMS: as whom AWS is called and where that comes from, the state of each key, and what may
// be done with it, asked for by dry runs. Opens no file and changes nothing.
import {
  type AwsCaller,
  contextOf,
  type EnvironmentPolicy,
  type ErrorCode,
  inspectCaller,
  inspectKey,
  isSameKey,
  type KeyReport,
  parseKeyArn,
  SealwardError,
} from "../src/index.ts";
import { awsKms, callerFor } from "./aws.ts";
import type { Governed } from "./environment.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";

type Allowed = "allowed" | "refused";

interface KeyAnswer {
  readonly arn: string;
  readonly state: string | null;
  readonly encrypt: Allowed;
  readonly decrypt: Allowed;
  readonly currentKeyMaterialId?: string;
  readonly deletionDate?: string;
}

interface Finding {
  readonly code: ErrorCode | "shared-key" | "credentials-doubled";
  readonly message: string;
}

export interface KmsAnswer {
  readonly environment: string;
  readonly ageRecipients: number;
  /** By Region: who calls, and where the credentials come from. */
  readonly callers: readonly { readonly region: string; readonly arn: string; readonly source: string }[];
  readonly keys: readonly KeyAnswer[];
  readonly findings: readonly Finding[];
}

/** Every environment that is asked for, one without KMS keys included. @throws config-invalid */
export async function examineKms(
  io: Io,
  settings: Settings,
  asked: readonly EnvironmentPolicy[],
): Promise<KmsAnswer[]> {
  const all = [...settings.config.environments.values()];
  const answers: KmsAnswer[] = [];
  for (const environment of asked)
    answers.push(
      await examine(io, { environment, settings }, sharedKeys(environment, all, settings.config.recovery.kms)),
    );
  return answers;
}

async function examine(io: Io, governed: Governed, findings: Finding[]): Promise<KmsAnswer> {
  const { environment } = governed;
  const { name, ageRecipients, kmsRecipients } = environment;
  const answer = { environment: name, ageRecipients: ageRecipients.length };
  if (kmsRecipients.length === 0) return { ...answer, callers: [], keys: [], findings };
  const caller = await callerFor(io, governed);
  findings.push(...doubledCredentials(io));
  const { callers, problem } = await callersOf(io, kmsRecipients, caller);
  if (problem !== null) return { ...answer, callers, keys: [], findings: [...findings, problem] };
  const keys: KeyAnswer[] = [];
  for (const arn of kmsRecipients) {
    try {
      const report = await inspectKey(await awsKms(io), arn, { caller, context: probeContext(environment) });
      keys.push(answerOf(report));
      findings.push(...findingsOf(report));
    } catch (thrown) {
      findings.push(findingOf(thrown));
    }
  }
  return { ...answer, callers, keys, findings };
}

/** In the form of a file of the environment, for policies look at it. */
function probeContext({ name: environment, defaultScope: scope, namespaces }: EnvironmentPolicy) {
  return contextOf({ environment, scope, namespace: namespaces[0] ?? "default", name: "seal-doctor" });
}

async function callersOf(
  io: Io,
  arns: readonly string[],
  caller: AwsCaller,
): Promise<{ readonly callers: KmsAnswer["callers"]; readonly problem: Finding | null }> {
  const callers: { region: string; arn: string; source: string }[] = [];
  const byRegion = new Map(arns.map((arn) => [parseKeyArn(arn)?.region ?? "", arn]));
  try {
    for (const [region, arn] of byRegion)
      callers.push({ region, ...(await inspectCaller(await awsKms(io), arn, caller)) });
  } catch (thrown) {
    return { callers, problem: findingOf(thrown) };
  }
  return { callers, problem: null };
}

function findingOf(thrown: unknown): Finding {
  if (!(thrown instanceof SealwardError) || thrown.code === "config-invalid") throw thrown;
  return { code: thrown.code, message: thrown.message };
}

function answerOf({ arn, state, deletionDate, currentKeyMaterialId, encrypt, decrypt }: KeyReport): KeyAnswer {
  const allowed = (refusal: SealwardError | null): Allowed => (refusal === null ? "allowed" : "refused");
  return {
    arn,
    state,
    encrypt: allowed(encrypt),
    decrypt: allowed(decrypt),
    ...(currentKeyMaterialId === undefined ? {} : { currentKeyMaterialId }),
    ...(deletionDate === undefined ? {} : { deletionDate: deletionDate.toISOString() }),
  };
}

/** Who may only seal, or only open, is as it should be; who may neither is not. */
function findingsOf({ arn, state, deletionDate, encrypt, decrypt }: KeyReport): Finding[] {
  if (state !== null && state !== "Enabled") {
    const when = deletionDate === undefined ? "" : `, and is gone on ${deletionDate.toISOString().slice(0, 10)}`;
    return [{ code: "key-refused", message: `The key ${arn} is ${state}${when}: what only it opens will be lost` }];
  }
  return encrypt !== null && decrypt !== null ? [{ code: encrypt.code, message: encrypt.message }] : [];
}

/** A key of two environments lets only the encryption context tell them apart; recovery keys are meant to be everybody's. */
function sharedKeys(environment: EnvironmentPolicy, all: readonly EnvironmentPolicy[], recovery: readonly string[]) {
  const others = all.filter(({ name }) => name !== environment.name);
  return environment.kmsRecipients
    .filter((arn) => !recovery.includes(arn))
    .flatMap((arn): Finding[] => {
      const sharing = others.filter(({ kmsRecipients }) => kmsRecipients.some((other) => isSameKey(other, arn)));
      if (sharing.length === 0) return [];
      const names = sharing.map(({ name }) => name).join(", ");
      return [{ code: "shared-key", message: `The key ${arn} is one of ${names}, too: give each environment its own` }];
    });
}

/** Where there are two, one wins silently: a classic of moving from one to the other. */
function doubledCredentials({ env }: Io): Finding[] {
  const has = (name: string): boolean => (env[name] ?? "") !== "";
  const isPod = has("AWS_CONTAINER_CREDENTIALS_FULL_URI") || has("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const doubled: (readonly [boolean, string])[] = [
    [
      has("AWS_WEB_IDENTITY_TOKEN_FILE") && isPod,
      "Both a web identity token (IRSA) and a container's endpoint (Pod Identity) are set: the token wins",
    ],
    [
      has("AWS_PROFILE") && has("AWS_ACCESS_KEY_ID"),
      "Both AWS_PROFILE and AWS_ACCESS_KEY_ID are set: the profile wins",
    ],
  ];
  return doubled.flatMap(([is, message]): Finding[] => (is ? [{ code: "credentials-doubled", message }] : []));
}

export function kmsLines({ environment, ageRecipients, callers, keys, findings }: KmsAnswer): string[] {
  const counted = [
    ...(ageRecipients === 0 ? [] : [`${ageRecipients} age ${ageRecipients === 1 ? "recipient" : "recipients"}`]),
    ...(keys.length === 0 ? [] : [`${keys.length} KMS ${keys.length === 1 ? "key" : "keys"}`]),
  ];
  return [
    `${environment}: ${counted.join(", ") || "no key could be looked at"}`,
    ...callers.map(({ region, arn, source }) => `  called in ${region} as ${arn}, by ${source}`),
    ...keys.flatMap(({ arn, state, encrypt, decrypt, currentKeyMaterialId }) => [
      `  ${arn}: ${state ?? "state not shown to this caller"}; kms:Encrypt ${encrypt}, kms:Decrypt ${decrypt}`,
      ...(currentKeyMaterialId === undefined ? [] : [`    key material ${currentKeyMaterialId}`]),
    ]),
    ...findings.map(({ code, message }) => `! ${message} (${code})`),
  ];
}
