// Identity files that a passphrase protects, as `age -p` writes them: one scrypt stanza, binary or armored. Knows nothing of
// the identities inside, nor where the passphrase comes from.
import { scrypt } from "node:crypto";
import {
  beginArmor,
  dearmored,
  fromUnpadded,
  intro,
  openFileKey,
  openPayload,
  parseAgeFile,
  type Stanza,
} from "./age-file.ts";
import { SealwardError } from "./errors.ts";

const label: string = `${intro}/scrypt`;
/** As age: 15 seconds and 4 GiB. More may be asked by a file that only means to stop us. */
const maxWorkFactor = 22;
const blockSize = 8;

/** True for an age file in either form, whatever it is encrypted with. */
export function isEncryptedIdentityFile(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 256)).toString("latin1");
  return start.startsWith(`${intro}\n`) || start.trimStart().startsWith(beginArmor);
}

/**
 * The text of an encrypted identity file; null where the passphrase is a wrong one.
 * @throws identity-invalid where no passphrase opens it: damaged, or encrypted for recipients
 */
export async function openIdentityFile(bytes: Uint8Array, passphrase: string): Promise<string | null> {
  const text = Buffer.from(bytes).toString("latin1");
  const binary = text.trimStart().startsWith(beginArmor) ? dearmored(text) : bytes;
  const file = binary === null ? null : parseAgeFile(binary);
  if (file === null) throw refusal("it is damaged or cut off");
  const [stanza, second] = file.stanzas;
  if (stanza?.kind !== "scrypt" || second !== undefined)
    throw refusal("it is encrypted for a recipient and not with a passphrase; decrypt it with `age` first");
  const fileKey = openFileKey(await wrapKeyOf(stanza, passphrase), stanza.body);
  if (fileKey === null) return null;
  const content = openPayload(file, fileKey);
  if (content === null) throw refusal("it is damaged or cut off");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw refusal("what it holds is no text");
  } finally {
    content.fill(0);
  }
}

async function wrapKeyOf({ args, body }: Stanza, passphrase: string): Promise<Uint8Array> {
  const [saltText = "", factor = ""] = args;
  const salt = fromUnpadded(saltText);
  if (args.length !== 2 || salt?.length !== 16 || body.length !== 32 || !/^[1-9][0-9]?$/.test(factor))
    throw refusal("it is damaged");
  const workFactor = Number(factor);
  if (workFactor > maxWorkFactor)
    throw refusal(`opening it is made to take 2^${workFactor} rounds of work, where 2^${maxWorkFactor} are allowed`);
  const cost = 2 ** workFactor;
  // Node's own bound is meant for servers. OpenSSL needs a little more than the table.
  const options = { N: cost, r: blockSize, p: 1, maxmem: 128 * blockSize * (cost + 32) };
  return derived(passphrase, Buffer.concat([Buffer.from(label), salt]), options);
}

function derived(
  passphrase: string,
  salt: Uint8Array,
  options: { readonly N: number; readonly r: number; readonly p: number; readonly maxmem: number },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const missing = () => refusal(`opening it takes ${options.maxmem >> 20} MiB of memory, which are not to be had`);
    try {
      scrypt(passphrase, salt, 32, options, (problem, key) => (problem === null ? resolve(key) : reject(missing())));
    } catch {
      reject(missing());
    }
  });
}

function refusal(why: string): SealwardError {
  return new SealwardError("identity-invalid", `Cannot open the encrypted identity file: ${why}`);
}
