// age recipients and identities of every kind: which kind a text is, and identities from the files they are kept in. Knows
// nothing of files that are encrypted. What a key means is for the file of its kind to say.
import type { AgeFile, Opener } from "./age-file.ts";
import { assertHybridRecipient, generateHybrid, hybridIdentity } from "./age-hybrid.ts";
import { sshOpener, sshWrap, unsupportedSsh } from "./age-ssh.ts";
import { generateX25519, pointOf, prefixOf, x25519Identity } from "./age-x25519.ts";
import { SealwardError } from "./errors.ts";
import { parseSshPrivateKey, type SshRefusal } from "./ssh-key.ts";

/**
 * The private half of one age recipient. Only `recipient` can be seen: the key lives in a private field, so that
 * printing, inspecting or serialising an identity shows nothing else.
 */
export class AgeIdentity {
  readonly recipient: string;
  readonly #open: Opener["open"];

  constructor({ recipient, open }: Opener) {
    this.recipient = recipient;
    this.#open = open;
  }

  /** For src/age.ts alone: the content of the file, or null where this is not its key. */
  open(file: AgeFile): Uint8Array | null | Promise<Uint8Array | null> {
    return this.#open(file);
  }

  toString(): string {
    return `identity of ${this.recipient}`;
  }
}

/** A fresh X25519 identity. */
export function generateAgeIdentity(): { readonly identity: AgeIdentity; readonly secretKey: string } {
  const { secretKey, opener } = generateX25519();
  return { identity: new AgeIdentity(opener), secretKey };
}

/** A fresh post-quantum identity. */
export async function generateHybridIdentity(): Promise<{
  readonly identity: AgeIdentity;
  readonly secretKey: string;
}> {
  const { secretKey, opener } = await generateHybrid();
  return { identity: new AgeIdentity(opener), secretKey };
}

/**
 * Reads identities as age-keygen writes them, one a line, `#` comments and blank lines skipped; or one SSH private key,
 * which takes up the whole text.
 * @throws identity-invalid with file and line, never with any of the text
 */
export async function parseAgeIdentities(text: string, file: string): Promise<AgeIdentity[]> {
  const lines = text.split("\n").map((line) => line.trim());
  const first = lines.findIndex((line) => line !== "" && !line.startsWith("#"));
  if (lines[first]?.startsWith("-----BEGIN")) return [sshIdentity(lines.slice(first).join("\n"), file, first + 1)];
  const identities: AgeIdentity[] = [];
  for (const [index, line] of lines.entries()) {
    if (line !== "" && !line.startsWith("#")) identities.push(await parseIdentity(line, { file, line: index + 1 }));
  }
  return identities;
}

async function parseIdentity(
  line: string,
  place: { readonly file: string; readonly line: number },
): Promise<AgeIdentity> {
  const refuse = (why: string) => new SealwardError("identity-invalid", why, place);
  if (/^AGE-PLUGIN-/i.test(line))
    throw refuse("age plugin identities are not supported: the key never leaves its plugin, and plugins are not run");
  if (/^(?:age1|ssh-)/.test(line)) throw refuse("A recipient (a public key) stands where an identity is expected");
  if (line.startsWith("-----BEGIN")) throw refuse("An SSH private key must have a file of its own");
  const isHybrid = line.startsWith("AGE-SECRET-KEY-PQ-1");
  if (!isHybrid && !line.startsWith("AGE-SECRET-KEY-1"))
    throw refuse("Not an age identity: expected a line that starts with AGE-SECRET-KEY-1 or AGE-SECRET-KEY-PQ-1");
  const opener = isHybrid ? await hybridIdentity(line) : x25519Identity(line);
  if (opener === null)
    throw refuse("Cannot read the age identity: its checksum or length is wrong (mistyped or cut off?)");
  return new AgeIdentity(opener);
}

const sshRefusals: Readonly<Record<SshRefusal, string>> = {
  damaged: "Cannot read the SSH private key: the file is damaged or cut off",
  passphrase:
    "The SSH private key has a passphrase, which is not supported: use an age identity file, or a copy of the key without its passphrase (`ssh-keygen -p -f COPY`)",
  kind: "The SSH private key is of a kind that age does not use: it takes Ed25519 and RSA keys",
};

function sshIdentity(text: string, file: string, line: number): AgeIdentity {
  const refuse = (why: string) => new SealwardError("identity-invalid", why, { file, line });
  if (text.startsWith("-----BEGIN AGE ENCRYPTED FILE-----"))
    throw refuse("The identity file is encrypted with a passphrase");
  const key = parseSshPrivateKey(text);
  if (typeof key === "string") throw refuse(sshRefusals[key]);
  const opener = sshOpener(key);
  if (opener === null) throw refuse("The SSH private key is an RSA key of less than 2048 bits, which age does not use");
  return new AgeIdentity(opener);
}

/** The kind of stanza that a recipient gets. */
export type RecipientKind = "X25519" | "mlkem768x25519" | "ssh-ed25519" | "ssh-rsa";

/** The kind that the first letters of a recipient stand for. What is none of the others counts as X25519. */
export function kindOfRecipient(text: string): RecipientKind {
  if (text.startsWith("age1pq1")) return "mlkem768x25519";
  if (text.startsWith("ssh-rsa")) return "ssh-rsa";
  return text.startsWith("ssh-") ? "ssh-ed25519" : "X25519";
}

/** @throws recipient-invalid for a secret key, recipient-unsupported for a recipient of a kind that is not wrapped for */
export function assertSupported(text: string): void {
  if (/AGE-SECRET-KEY|AGE-PLUGIN-/i.test(text))
    throw new SealwardError("recipient-invalid", "An age identity (a secret key) stands where a recipient is expected");
  const isPlugins = /^age1(?!pq1)[^1]+1/.test(text) && prefixOf(text) !== null;
  if (isPlugins)
    throw new SealwardError(
      "recipient-unsupported",
      "The recipient is one of an age plugin, which is not supported: plugins are not run",
    );
  if (/^(?:ecdsa|sk)-/.test(text)) throw unsupportedSsh();
}

/**
 * @throws recipient-invalid unless the text is one recipient that can be wrapped for: age1…, age1pq1…, or the line of an SSH
 *   public key (ssh-ed25519 or ssh-rsa); recipient-unsupported for those of age plugins and other kinds of SSH key
 */
export function assertAgeRecipient(text: string): void {
  assertSupported(text);
  const kind = kindOfRecipient(text);
  if (kind === "mlkem768x25519") assertHybridRecipient(text);
  else if (kind === "X25519") pointOf(text);
  else sshWrap(text);
}

/** The comment of an SSH key is no part of it. */
export function isSameRecipient(a: string, b: string): boolean {
  return a === b || (a.startsWith("ssh-") && withoutComment(a) === withoutComment(b));
}

export function includesRecipient(recipients: readonly string[], recipient: string): boolean {
  return recipients.some((one) => isSameRecipient(one, recipient));
}

/** Each recipient once, as it stands first. */
export function uniqueRecipients(recipients: readonly string[]): string[] {
  return recipients.filter((one, index) => !includesRecipient(recipients.slice(0, index), one));
}

function withoutComment(recipient: string): string {
  return recipient.trim().split(/\s+/).slice(0, 2).join(" ");
}
