// seal keygen: a fresh age identity in the form age-keygen writes, or the Secret that hands one to the controller.
import { resolve } from "node:path";
import {
  type AgeIdentity,
  generateAgeIdentity,
  generateHybridIdentity,
  includesRecipient,
  parseAgeIdentities,
  SealwardError,
} from "../../src/index.ts";
import { readText } from "../document.ts";
import { ownerIn } from "../identities.ts";
import type { Io } from "../io.ts";
import { printDone, printNote, UsageError } from "../report.ts";
import { findSettings, findWorkTree } from "../settings.ts";
import { keySecretManifest } from "../yaml-text.ts";

export interface KeygenOptions {
  readonly out?: string;
  readonly pq?: boolean;
  readonly secret?: boolean;
  readonly env?: string;
  readonly namespace: string;
  readonly from?: string;
}

export async function keygen(io: Io, options: KeygenOptions): Promise<void> {
  if (options.secret) return keySecret(io, options);
  if (options.from !== undefined || options.env !== undefined) {
    throw new UsageError(
      "Cannot make an identity: --from and --env belong to --secret",
      "`seal keygen --secret --env NAME [--from FILE]`",
    );
  }
  const { text, recipient } = await fresh(io, options);
  if (options.out === undefined) {
    await io.stdout.write(text);
  } else {
    const out = resolve(io.cwd, options.out);
    await io.fs.create(out, text);
    const real = await io.fs.realPath(out);
    if ((await findWorkTree(io, real)) !== null)
      await printNote(io, `${options.out} lies in a Git work tree: never commit it`);
  }
  await printDone(io, `recipient: ${recipient}`);
}

interface IdentityFile {
  readonly text: string;
  readonly recipient: string;
}

async function fresh(io: Io, { pq }: KeygenOptions): Promise<IdentityFile> {
  if (!pq) return freshIdentityFile(io.now());
  await printNote(
    io,
    "a post-quantum identity takes age 1.3 or sops 3.12 wherever else it is used; older ones refuse it",
  );
  return identityFile(await generateHybridIdentity(), io.now());
}

/** An identity file as age-keygen writes it. */
export function freshIdentityFile(now: Date): IdentityFile {
  return identityFile(generateAgeIdentity(), now);
}

function identityFile(
  { identity, secretKey }: { readonly identity: AgeIdentity; readonly secretKey: string },
  now: Date,
): IdentityFile {
  const created = now.toISOString().replace(/\.\d+Z$/, "Z");
  return {
    text: `# created: ${created}\n# public key: ${identity.recipient}\n${secretKey}\n`,
    recipient: identity.recipient,
  };
}

async function keySecret(io: Io, options: KeygenOptions): Promise<void> {
  const { env, namespace, from, pq } = options;
  if (env === undefined)
    throw new UsageError("Cannot make the Secret: it must be for one environment", "`seal keygen --secret --env NAME`");
  if (options.out !== undefined)
    throw new UsageError(
      "Cannot write the Secret to a file: it goes to the cluster",
      "`seal keygen --secret --env NAME | kubectl create -f -`",
    );
  if (from !== undefined && pq)
    throw new UsageError(
      "Cannot make the Secret: --pq is for a new identity, and --from names one",
      "leave one of them out",
    );
  for (const name of [env, namespace]) {
    if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
      throw new UsageError(
        "Cannot make the Secret: a name has lower-case letters, digits and dashes",
        "correct --env or --namespace",
      );
    }
  }
  const text = from === undefined ? (await fresh(io, options)).text : await identityLines(io, from);
  const identities = await parseAgeIdentities(text, from ?? "the new identity");
  await io.stdout.write(keySecretManifest({ env, namespace, identities: text }));
  await noteRecipients(io, env, identities);
}

/** Only what an identity file is made of, so that nothing else in the file can become part of the manifest. */
async function identityLines(io: Io, file: string): Promise<string> {
  const text = file === "-" ? new TextDecoder().decode(await io.stdin.readAll()) : await readText(io, file);
  const identities = await parseAgeIdentities(text, file === "-" ? "stdin" : file);
  if (identities.length === 0)
    throw new SealwardError("identity-missing", "Cannot make the Secret: the file holds no identity", { file });
  const [sshKey] = /^-----BEGIN[\s\S]+^-----END.*$/m.exec(text) ?? [];
  if (sshKey !== undefined) return `# public key: ${identities[0]?.recipient}\n${sshKey.replaceAll("\r", "")}\n`;
  const keys = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("AGE-SECRET-KEY-"));
  return keys.map((key, index) => `# public key: ${identities[index]?.recipient}\n${key}\n`).join("");
}

async function noteRecipients(io: Io, env: string, identities: readonly AgeIdentity[]): Promise<void> {
  const config = (await findSettings(io, null))?.config;
  const policy = config?.environments.get(env);
  if (config !== undefined && policy === undefined)
    await printNote(io, `seal.yaml has no environment "${env}", only ${[...config.environments.keys()].join(", ")}`);
  for (const { recipient } of identities) {
    await printDone(io, `recipient: ${recipient}`);
    if (config === undefined || policy === undefined) continue;
    const owner = ownerIn(config, recipient);
    if (!includesRecipient(policy.ageRecipients, recipient)) {
      await printNote(
        io,
        `seal.yaml does not list this recipient for "${env}" (${owner}): the controller opens nothing until it does and the files are sealed for it`,
      );
    } else if (includesRecipient(config.recovery.age, recipient)) {
      await printNote(io, `this identity opens every environment (${owner}): give the controller the one of "${env}"`);
    }
  }
}
