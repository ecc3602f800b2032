// Changes one thing of a sealed Secret in place: again where someone else was quicker, for it says nothing about the rest.
import type { Expectation, Identity, Resealed, SecretManifest } from "../src/index.ts";
import { type Document, readChangeable, withContent } from "./document.ts";
import { requireExpectation } from "./environment.ts";
import { withIdentities } from "./identities.ts";
import type { Io } from "./io.ts";
import { deliverBack } from "./output.ts";
import { ChangedMeanwhile, printDone } from "./report.ts";
import { SettingsCache } from "./settings.ts";

export interface SecretChange {
  readonly env?: string | undefined;
  readonly identity?: readonly string[] | undefined;
  readonly change: (document: string, expectation: Expectation, identities: readonly Identity[]) => Promise<Resealed>;
  /** What was done, for people. */
  readonly done: (manifest: SecretManifest) => string;
}

const maxAttempts = 20;

/** @throws every refusal of the gate and of the change */
export async function changeSecret(io: Io, file: string, { env, identity, change, done }: SecretChange): Promise<void> {
  const sources = { known: new SettingsCache(), ...(env === undefined ? {} : { env }) };
  const read = async () => {
    const document = await readChangeable(io, file);
    return { document, ...(await requireExpectation(io, document, sources)) };
  };
  const found = await read();
  const held = identity === undefined ? {} : { identity };
  await withIdentities(io, { ...held, ...found, changes: { file, isSecret: true } }, async (identities) => {
    for (let attempt = 1; ; attempt++) {
      try {
        const { document, expectation, manifest } = await read();
        const { text } = await change(document.content, expectation, identities);
        return await written(io, document, text, done(manifest));
      } catch (problem) {
        if (!(problem instanceof ChangedMeanwhile) || attempt === maxAttempts) throw problem;
      }
    }
  });
}

async function written(
  io: Io,
  document: Document & { readonly path: string },
  text: string,
  done: string,
): Promise<void> {
  if (text === document.content) return printDone(io, `nothing changed: ${document.name}`);
  await deliverBack(io, document, withContent(document, text));
  await printDone(io, `sealed ${document.name}: ${done}`);
}
