// seal wrap: the BoundSecret that carries a sealed file into the cluster, byte for byte. Needs no key and gives the same
// text every time; where a seal.yaml governs, the keyless steps of the gate come first.
import { checkSealed, wrapDocument } from "../../src/index.ts";
import { readDocument } from "../document.ts";
import { findExpectation } from "../environment.ts";
import type { Io } from "../io.ts";
import { assertFolder, assertMayWrite, deliver } from "../output.ts";
import { printDone, printNote } from "../report.ts";

export interface WrapOptions {
  readonly env?: string;
  readonly out?: string;
  readonly force?: boolean;
}

export async function wrap(io: Io, file: string | undefined, options: WrapOptions): Promise<void> {
  const document = await readDocument(io, file, "seal wrap");
  await assertFolder(io, options.out);
  const found = await findExpectation(io, document, options);
  if (found === null) {
    await printNote(io, `${document.name}: no environment was confirmed, for no seal.yaml governs it`);
  } else {
    const { notices } = checkSealed(document.content, found.expectation, document.name);
    for (const notice of notices) await printNote(io, `${notice.message} (${notice.code})`);
  }
  const written =
    found === null
      ? null
      : {
          environment: found.environment.name,
          namespace: found.manifest.namespace,
          name: found.manifest.name,
          isBoundSecret: true,
        };
  await assertMayWrite(io, document, options, written);
  await deliver(io, wrapDocument(document.content, document.name), options);
  if (options.out !== undefined)
    await printDone(io, `wrote ${options.out}: the BoundSecret that carries ${document.name}`);
}
