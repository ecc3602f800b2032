// seal unset: removes one value of a sealed file. KEY is the name of a Secret's key, or in any other file a path as sops
// writes it.
import { formatPath, parsePath, unsetInSops, unsetValue } from "../../src/index.ts";
import { assertConfirmed } from "../confirm.ts";
import { readChangeableInput } from "../document.ts";
import type { Io } from "../io.ts";
import { changeOther, isOther } from "../other-files.ts";
import { safeText } from "../report.ts";
import { changeSecret } from "../secret-change.ts";
import type { StoreFlags } from "../store-choice.ts";

export interface UnsetOptions extends StoreFlags {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly ignoreMac?: boolean;
}

/** Asks on a terminal; a script means what it says. @throws path-missing; cancelled */
export async function unset(io: Io, file: string, key: string, options: UnsetOptions): Promise<void> {
  const isPlain = await isOther(io, await readChangeableInput(io, file), options);
  if (io.stdin.isTty) await assertConfirmed(io, `Remove ${safeText(key)} from ${safeText(file)}?`);
  if (!isPlain)
    return changeSecret(io, file, {
      ...options,
      change: (document, expectation, identities) =>
        unsetValue(document, key, expectation, identities, { now: io.now(), file }),
      done: () => `removed ${key}`,
    });
  const path = key.startsWith("[") ? parsePath(key) : [key];
  await changeOther(io, file, options, {
    change: (source, how) => unsetInSops(source, path, how),
    done: `removed ${formatPath(path)}`,
  });
}
