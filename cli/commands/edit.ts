// seal edit: opens a sealed file in an editor and seals what changed. On a mistake the person may correct it; the file
// on disk is touched only once everything is right.
import { openSealed, readManifest, resealEdited, SealwardError } from "../../src/index.ts";
import { describeChanges, keysOf } from "../changes.ts";
import { readChangeable, withContent } from "../document.ts";
import { editText } from "../editor.ts";
import { requireExpectation } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { deliverBack } from "../output.ts";
import { HintedError, hinting, hintsFor, printDone, printError, printNote } from "../report.ts";

export interface EditOptions {
  readonly env?: string;
  readonly identity?: readonly string[];
}

export async function edit(io: Io, file: string, options: EditOptions): Promise<void> {
  const document = await readChangeable(io, file);
  const found = await requireExpectation(io, document, options);
  await withIdentities(io, { ...options, ...found }, async (identities) => {
    const opened = await openSealed(document.content, found.expectation, identities, document.name);
    for (const notice of opened.notices) await printNote(io, `${notice.message} (${notice.code})`);

    const untouched = `${file} was not changed`;
    const accept = async (edited: string): Promise<string | null> => {
      if (edited === opened.plainText) {
        await printDone(io, `nothing changed: ${file}`);
        return null;
      }
      try {
        const sealed = await sealing(untouched, () =>
          resealEdited(document.content, edited, found.expectation, identities, { now: io.now(), file }),
        );
        await deliverBack(io, document, withContent(document, sealed.text));
        const after = keysOf(readManifest(sealed.text, file));
        await printDone(io, `sealed ${file}: ${describeChanges(sealed.changed, keysOf(found.manifest), after)}`);
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
    await hinting({ "not-utf8": `save it as UTF-8; ${untouched}` }, () => editText(io, opened.plainText, file, accept));
  });
}

/** Says of a mistake that its place is in the text as edited, which is gone by then, and that the file is as it was. */
async function sealing<T>(untouched: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (problem) {
    if (!(problem instanceof SealwardError)) throw problem;
    const { code, message, file, line, column } = problem;
    const advice = code === "not-yaml" ? ["correct the YAML at the place named"] : hintsFor(problem);
    const place = line === undefined ? "" : ", and the line is one of the edited text";
    throw new HintedError(code, message, { hint: [...advice, `${untouched}${place}`], file, line, column });
  }
}
