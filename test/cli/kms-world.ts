// A KMS server, keys for two environments and a repository whose seal.yaml lists them: what tests of commands with KMS
// recipients begin with. Callers are an admin and a writer, who may encrypt and not decrypt.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { type EncryptionContext, type ErrorCode, sealSops } from "../../src/index.ts";
import { metadataOf } from "../../src/sops-file.ts";
import type { KmsEntry } from "../../src/sops-metadata.ts";
import { storeNamed, storeOf } from "../../src/stores.ts";
import { type KmsServer, type KmsServerOptions, startKmsServer } from "../support/kms/kms-server.ts";
import { awsAt } from "../support/kms-environments.ts";
import { canary, type GitDir, type Given, gitdir, type Outcome, succeed } from "./gitdir.ts";

export const account = "111122223333";
export const admin = `arn:aws:iam::${account}:user/admin`;
export const writer = `arn:aws:iam::${account}:user/writer`;

export interface KmsWorld {
  readonly server: KmsServer;
  readonly dir: GitDir;
  readonly keys: { readonly staging: string; readonly prod: string };
  /** As `dir.run`, with AWS at the server, called as its admin. */
  run(argv: readonly string[], given?: Given): Promise<Outcome>;
  /** The same as another user. */
  as(user: string): Pick<Given, "aws">;
}

export interface WorldOptions extends KmsServerOptions {
  /** One key for both environments, so that nothing but the context tells them apart. */
  readonly shared?: boolean;
  /** Lines of an environment besides its recipients, paths and scopes. */
  readonly more?: string;
  /** Age recipients of each environment. */
  readonly age?: readonly string[];
  /** Lines at the top of seal.yaml. */
  readonly top?: string;
}

/** The writer may encrypt; everything else is the admin's. */
export const writersPolicy = {
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Principal: { AWS: admin }, Action: "kms:*", Resource: "*" },
    { Effect: "Allow", Principal: { AWS: writer }, Action: ["kms:Encrypt", "kms:DescribeKey"], Resource: "*" },
  ],
};

/** A server that is closed, and has to have understood every request, when the test is over. */
export async function kmsServer(options: KmsServerOptions = {}): Promise<KmsServer> {
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";
  const server = await startKmsServer({ account, ...options, users: [{ arn: writer }, ...(options.users ?? [])] });
  onTestFinished(() => server.close());
  return server;
}

export const awsOf = (server: KmsServer, user: string = admin): Pick<Given, "aws"> => ({
  aws: { endpoint: server.endpoint, stsEndpoint: server.endpoint, credentials: server.credentials(user) },
});

export async function kmsWorld({
  shared,
  more = "",
  age = [],
  top = "",
  ...options
}: WorldOptions = {}): Promise<KmsWorld & { sealYaml(overrides?: { readonly more?: string }): string }> {
  const server = await kmsServer(options);
  const keyIn = (region: string): string => server.createKey({ region, policy: writersPolicy }).arn;
  const prod = keyIn("eu-central-1");
  const staging = shared === true ? prod : keyIn("eu-west-1");
  const keys = { staging, prod };
  const sealYaml = (overrides: { readonly more?: string } = {}): string => {
    const environment = (name: keyof typeof keys): string =>
      `  ${name}:
    recipients: { kms: ["${keys[name]}"], age: [${age.join(", ")}] }
    paths: ["deploy/${name}/**"]
    scopes: [strict, namespace, environment]
${overrides.more ?? more}`;
    return `version: 1\n${top}environments:\n${environment("staging")}${environment("prod")}`;
  };
  const dir = gitdir({ "seal.yaml": sealYaml() });
  for (const name of Object.keys(keys)) mkdirSync(join(dir.path, "deploy", name), { recursive: true });
  return {
    server,
    dir,
    keys,
    sealYaml,
    run: (argv, given = {}) => dir.run(argv, { ...awsOf(server), ...given }),
    as: (user) => awsOf(server, user),
  };
}

/** Seals a manifest into a file of prod, and forgets the calls that it took. */
export async function sealedFile(
  world: KmsWorld,
  plain: string,
  { out = "deploy/prod/db.sealed.yaml", args = [] }: { readonly out?: string; readonly args?: readonly string[] } = {},
): Promise<string> {
  await succeed(world.run(["encrypt", "-o", out, ...args], { stdin: plain }));
  world.server.forgetCalls();
  return out;
}

/** The KMS entries of a file of whatever format. */
export const kmsEntries = (file: string, text: string): readonly KmsEntry[] =>
  metadataOf(storeNamed(storeOf(file)).load(Buffer.from(text))).kms;

export const contextsOf = (file: string, text: string): readonly EncryptionContext[] =>
  kmsEntries(file, text).map(({ context }) => context);

/** What the server was asked, shortly. */
export const operations = ({ server }: Pick<KmsWorld, "server">): readonly string[] =>
  server.calls.map(({ operation }) => operation);

/** Refused with this code and exit code, everything as it was, and nothing given away. */
export async function expectRefused(
  world: KmsWorld,
  running: () => Promise<Outcome>,
  { code, exit }: { readonly code: ErrorCode; readonly exit: number },
): Promise<Outcome> {
  const before = world.dir.snapshot();
  const outcome = await running();
  expect(outcome.stderr).toContain(`(${code})`);
  expect(outcome.code).toBe(exit);
  expect(outcome.stdout + outcome.stderr).not.toContain(canary);
  expect(world.dir.snapshot()).toEqual(before);
  return outcome;
}

/** A file of the user's own: `sealward/config.yaml` in the configuration folder. */
export function userConfig({ home }: GitDir, text: string): string {
  const folder = join(home, ".config", "sealward");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "config.yaml");
  writeFileSync(file, text);
  return file;
}

/**
 * A plain file as another tool would seal it to a key: with whatever context, `name:value` with commas between, also with one
 * of ours, which `seal encrypt` gives to nothing that no seal.yaml governs.
 */
export async function foreignlySealed(
  { server, keys }: Pick<KmsWorld, "server" | "keys">,
  { name, text, context, rule }: { name: string; text: string; context: string | null; rule: string | null },
): Promise<string> {
  const kms = awsAt({ endpoint: server.endpoint, credentials: server.credentials() }).as();
  const pairs = context === null ? [] : context.split(",").map((pair) => pair.split(":"));
  const { text: sealed } = await sealSops(
    { bytes: Buffer.from(text), store: storeOf(name), file: name },
    {
      recipients: { groups: [[{ arn: keys.prod, context: Object.fromEntries(pairs) as EncryptionContext }]] },
      rule: rule === null ? null : { name: "encrypted_regex", pattern: rule },
      kms,
      now: new Date("2026-11-23T10:00:00Z"),
    },
  );
  server.forgetCalls();
  return sealed;
}
