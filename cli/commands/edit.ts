// seal edit: opens a sealed file in an editor and seals what changed. On a mistake the person may correct it; the file
// on disk is touched only once everything is right.
import { editPlain, editSealed, editSops, kmsKeysIn, readManifest, SealwardError } from "../../src/index.ts";
import { describeChanges, keysOf } from "../changes.ts";
import { decodeText, documentIn, type Input, readChangeableInput, withContent } from "../document.ts";
import { editText } from "../editor.ts";
import { requireExpectation } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { governing, isOther } from "../other-files.ts";
import { deliverBack, replaceInput } from "../output.ts";
import { HintedError, hinting, hintsFor, printDone, printError, printNote } from "../report.ts";
import { type StoreFlags, sourceOf } from "../store-choice.ts";

export interface EditOptions extends StoreFlags {
  readonly env?: string;
  readonly identity?: readonly string[];
}

export async function edit(io: Io, file: string, options: EditOptions): Promise<void> {
  const input = await readChangeableInput(io, file);
  if (await isOther(io, input, options)) return editOther(io, input, options);
  const document = { ...documentIn(input), path: input.path };
  const found = await requireExpectation(io, document, options);
  // Opened once: an editor may be open for longer than a session with a key service lasts.
  const opened = await withIdentities(io, { ...options, ...found, changes: { file, isSecret: true } }, (identities) =>
    editSealed(document.content, found.expectation, identities, document.name),
  );
  for (const notice of opened.notices) await printNote(io, `${notice.message} (${notice.code})`);
  const untouched = `${file} was not changed`;
  const accept = correctable(io, async (edited) => {
    if (edited === opened.plainText) return printDone(io, `nothing changed: ${file}`);
    const sealed = await sealing(untouched, () => opened.reseal(edited, io.now()));
    await deliverBack(io, document, withContent(document, sealed.text));
    const after = keysOf(readManifest(sealed.text, file));
    await printDone(io, `sealed ${file}: ${describeChanges(sealed.changed, keysOf(found.manifest), after)}`);
  });
  await hinting({ "not-utf8": `save it as UTF-8; ${untouched}` }, () => editText(io, opened.plainText, file, accept));
}

/** The same for a SOPS file that is no Secret. What is not text is for `decrypt -o` and `encrypt`. */
async function editOther(io: Io, input: Input & { readonly path: string }, options: EditOptions): Promise<void> {
  const source = sourceOf(input, options);
  const governed = await governing(io, source, { ...options, path: input.path });
  const changes = { file: input.name, isSecret: false };
  const keys = governed === null ? kmsKeysIn(source) : {};
  const opened = await withIdentities(io, { ...options, ...governed, ...keys, changes }, (identities) =>
    governed === null ? editSops(source, identities) : editPlain(source, governed.environment, identities),
  );
  const before = decodeText(opened.bytes, input.name);
  const accept = correctable(io, async (edited) => {
    if (edited === before) return printDone(io, `nothing changed: ${input.name}`);
    const { text, notices } = await sealing(`${input.name} was not changed`, () =>
      opened.reseal(Buffer.from(edited), io.now()),
    );
    await replaceInput(io, input, text);
    for (const notice of notices) await printNote(io, notice);
    await printDone(io, `sealed ${input.name}: edited`);
  });
  await editText(io, before, input.name, accept);
}

/** For an editor's outcome: what is wrong with it can be corrected, where a person is there to do it. */
function correctable(io: Io, accept: (edited: string) => Promise<void>): (edited: string) => Promise<string | null> {
  return async (edited) => {
    try {
      await accept(edited);
      return null;
    } catch (problem) {
      if (!(problem instanceof SealwardError) || !io.stdin.isTty) throw problem;
      await printError(io, problem);
      const answer = await io.ask("Edit again? [Y/n] ");
      if (/^n/i.test(answer.trim()))
        throw new SealwardError("cancelled", "Cannot seal the edited text: the edit was given up");
      return edited;
    }
  };
}

/** Says of a mistake that its place is in the text as edited, which is gone by then, and that the file is as it was. */
async function sealing<T>(untouched: string, work: () => T): Promise<T> {
  try {
    return work();
  } catch (problem) {
    if (!(problem instanceof SealwardError)) throw problem;
    const { code, message, file, line, column } = problem;
    const advice = code === "not-yaml" ? ["correct the YAML at the place named"] : hintsFor(problem);
    const place = line === undefined ? "" : ", and the line is one of the edited text";
    throw new HintedError(code, message, { hint: [...advice, `${untouched}${place}`], file, line, column });
  }
}
