// seal decrypt: opens a sealed file, through the whole gate where a seal.yaml governs it; elsewhere as sops would, and
// says that no environment was confirmed.
import { resolve } from "node:path";
import { decryptSops, openSealed } from "../../src/index.ts";
import { type Document, readDocument } from "../document.ts";
import { findExpectation, type Sources } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { assertFolder, assertMayWrite, deliver } from "../output.ts";
import { printDone, printNote } from "../report.ts";
import { findSettings, findWorkTree } from "../settings.ts";

export interface DecryptOptions {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly out?: string;
  readonly force?: boolean;
}

export async function decrypt(io: Io, file: string | undefined, options: DecryptOptions): Promise<void> {
  const document = await readDocument(io, file, "seal decrypt");
  await assertFolder(io, options.out);
  await assertMayWrite(io, document, options, null);
  const plaintext = await open(io, document, options);
  await deliver(io, plaintext, { ...options, plaintext: true });
  if (options.out !== undefined) await printDone(io, `wrote ${options.out}: the plaintext of ${document.name}`);
  if (options.out === undefined || options.out.endsWith(".plain.yaml")) return;
  const real = await io.fs.realPath(resolve(io.cwd, options.out));
  if ((await findWorkTree(io, real)) !== null) {
    await printNote(
      io,
      `${options.out} is plaintext inside a Git work tree; Git ignores it only under a name like NAME.plain.yaml`,
    );
  }
}

async function open(io: Io, document: Document, options: DecryptOptions): Promise<string> {
  // The plaintext may go anywhere, so only the sealed file's own path speaks, not the output's.
  const sources: Sources = options.env === undefined ? {} : { env: options.env };
  const isGoverned = options.env !== undefined || (await findSettings(io, document.path)) !== null;
  const found = isGoverned ? await findExpectation(io, document, sources) : null;
  if (found === null) {
    const { text, bound } = await withIdentities(io, options, (identities) =>
      decryptSops(document.content, identities, document.name),
    );
    const binding = bound ? "its binding agrees with its own fields" : "it has no binding";
    await printNote(io, `${document.name}: no environment was confirmed, for no seal.yaml governs it; ${binding}`);
    return text;
  }
  const opened = await withIdentities(io, { ...options, ...found }, (identities) =>
    openSealed(document.content, found.expectation, identities, document.name),
  );
  for (const notice of opened.notices) await printNote(io, `${notice.message} (${notice.code})`);
  return opened.plainText;
}
