// Builders for tests of sealing and opening: environments with fresh keys, a real-life Secret, and what a test expects.
import { expect } from "vitest";
import {
  type AgeIdentity,
  type EnvironmentPolicy,
  type ErrorCode,
  generateAgeIdentity,
  SealwardError,
  sealManifest,
} from "../../src/index.ts";

export const now: Date = new Date("2026-11-23T12:00:00Z");

export interface TestEnvironment {
  readonly policy: EnvironmentPolicy;
  readonly identity: AgeIdentity;
  readonly secretKey: string;
}

export function environment(name: string, overrides: Partial<EnvironmentPolicy> = {}): TestEnvironment {
  const { identity, secretKey } = generateAgeIdentity();
  const policy: EnvironmentPolicy = {
    name,
    ageRecipients: [identity.recipient],
    kmsRecipients: [],
    paths: [],
    namespaces: [],
    defaultScope: "strict",
    scopes: ["strict"],
    strictRecipients: false,
    acceptedUnbound: [],
    ...overrides,
  };
  return { policy, identity, secretKey };
}

/** Turns up in no output whatever happens. */
export const canary = "CANARY-7c1f-do-not-print";

export const databaseSecret = `# credentials of the payments database
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: payments
  labels:
    app: payments
  annotations:
    team: core
type: Opaque
stringData:
  USERNAME: payments
  PASSWORD: ${canary}
  EMPTY: ""
data:
  TOKEN: ${Buffer.from(canary).toString("base64")}
`;

export async function sealed(env: TestEnvironment, manifest: string = databaseSecret): Promise<string> {
  return (await sealManifest(manifest, { environment: env.policy, now })).text;
}

/** The code (and the error) of a call that must be refused. */
export async function refusalOf(call: () => unknown): Promise<SealwardError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof SealwardError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

export async function expectRefusal(call: () => unknown, code: ErrorCode): Promise<SealwardError> {
  const error = await refusalOf(call);
  expect(error.code, error.message).toBe(code);
  expect(`${error.message}\n${error.stack}`).not.toContain(canary);
  return error;
}

/** Replaces exactly one occurrence, so that an attack that no longer applies fails the test instead of passing it. */
export function mutate(text: string, from: string | RegExp, to: string): string {
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`expected one ${String(from)}, found ${parts.length - 1}`);
  return parts.join(to);
}
