// seal keygen: a fresh age identity in the form age-keygen writes, or the Secret that hands one to the controller.
import { resolve } from "node:path";
import { type AgeIdentity, generateAgeIdentity, parseAgeIdentities, SealwardError } from "../../src/index.ts";
import { readText } from "../document.ts";
import { ownerIn } from "../identities.ts";
import type { Io } from "../io.ts";
import { printDone, printNote, UsageError } from "../report.ts";
import { findSettings, findWorkTree } from "../settings.ts";
import { keySecretManifest } from "../yaml-text.ts";

export interface KeygenOptions {
  readonly out?: string;
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
  const { text, recipient } = freshIdentityFile(io.now());
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

/** An identity file as age-keygen writes it. */
export function freshIdentityFile(now: Date): { readonly text: string; readonly recipient: string } {
  const { identity, secretKey } = generateAgeIdentity();
  const created = now.toISOString().replace(/\.\d+Z$/, "Z");
  return {
    text: `# created: ${created}\n# public key: ${identity.recipient}\n${secretKey}\n`,
    recipient: identity.recipient,
  };
}

async function keySecret(io: Io, options: KeygenOptions): Promise<void> {
  const { env, namespace, from } = options;
  if (env === undefined)
    throw new UsageError("Cannot make the Secret: it must be for one environment", "`seal keygen --secret --env NAME`");
  if (options.out !== undefined)
    throw new UsageError(
      "Cannot write the Secret to a file: it goes to the cluster",
      "`seal keygen --secret --env NAME | kubectl create -f -`",
    );
  for (const name of [env, namespace]) {
    if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
      throw new UsageError(
        "Cannot make the Secret: a name has lower-case letters, digits and dashes",
        "correct --env or --namespace",
      );
    }
  }
  const text = from === undefined ? freshIdentityFile(io.now()).text : await identityLines(io, from);
  const identities = parseAgeIdentities(text, from ?? "the new identity");
  await io.stdout.write(keySecretManifest({ env, namespace, identities: text }));
  await noteRecipients(io, env, identities);
}

/** Only what an identity file is made of, so that nothing else in the file can become part of the manifest. */
async function identityLines(io: Io, file: string): Promise<string> {
  const text = file === "-" ? new TextDecoder().decode(await io.stdin.readAll()) : await readText(io, file);
  const identities = parseAgeIdentities(text, file === "-" ? "stdin" : file);
  if (identities.length === 0)
    throw new SealwardError("identity-missing", "Cannot make the Secret: the file holds no identity", { file });
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
    if (!policy.ageRecipients.includes(recipient)) {
      await printNote(
        io,
        `seal.yaml does not list this recipient for "${env}" (${owner}): the controller opens nothing until it does and the files are sealed for it`,
      );
    } else if (config.recovery.includes(recipient)) {
      await printNote(io, `this identity opens every environment (${owner}): give the controller the one of "${env}"`);
    }
  }
}
