// Wraps and unwraps a data key as SOPS stores it: one armored age file for one recipient, and says whom such a file is for.
// The tests use the age author's own library and the released `age` as oracles.
import { armored, dearmored, encryptFile, parseAgeFile, type Stanza } from "./age-file.ts";
import { encryptHybrid } from "./age-hybrid.ts";
import { type AgeIdentity, assertSupported, kindOfRecipient } from "./age-keys.ts";
import { sshTagOf, sshWrap } from "./age-ssh.ts";
import { x25519Wrap } from "./age-x25519.ts";

/** What is wrapped is a data key of 32 bytes; no file of one recipient's is near this length. */
const maxArmorLength = 64 * 1024;

/**
 * The armored age file (trailing newline included) in which `recipient` finds the data key.
 * @throws recipient-invalid, recipient-unsupported
 */
export async function wrapDataKey(dataKey: Uint8Array, recipient: string): Promise<string> {
  assertSupported(recipient);
  const kind = kindOfRecipient(recipient);
  if (kind === "mlkem768x25519") return armored(await encryptHybrid(dataKey, recipient));
  return armored(encryptFile(dataKey, kind === "X25519" ? x25519Wrap(recipient) : sshWrap(recipient)));
}

/** The data key, or null where this identity does not open the file: another key's, damaged, or not an age file. */
export async function unwrapDataKey(armoredFile: string, identity: AgeIdentity): Promise<Uint8Array | null> {
  const bytes = armoredFile.length > maxArmorLength ? null : dearmored(armoredFile);
  const file = bytes === null ? null : parseAgeFile(bytes);
  return file === null ? null : await identity.open(file);
}

/**
 * The kinds of the stanzas in the header, each of which somebody opens; null where the text is no armored age file. Needs
 * no key, and so proves nothing but what age's own programs would do with the file.
 */
export function stanzaKinds(armoredFile: string): string[] | null {
  return stanzasIn(armoredFile)?.map(({ kind }) => kind) ?? null;
}

/** True where one key of the recipient's kind opens the file (an SSH recipient's own) and no other key does. */
export function isWrappedForOne(armoredFile: string, recipient: string): boolean {
  const [stanza, second] = stanzasIn(armoredFile) ?? [];
  if (stanza === undefined || second !== undefined || stanza.kind !== kindOfRecipient(recipient)) return false;
  return !stanza.kind.startsWith("ssh-") || stanza.args[0] === sshTagOf(recipient);
}

function stanzasIn(armoredFile: string): Stanza[] | null {
  const bytes = armoredFile.length > maxArmorLength ? null : dearmored(armoredFile);
  const file = bytes === null ? null : parseAgeFile(bytes);
  // Kinds that end so are made to be ignored: they keep readers from refusing what they do not know.
  return file?.stanzas.filter(({ kind }) => !kind.endsWith("-grease")) ?? null;
}
