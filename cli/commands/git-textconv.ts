// seal git textconv: what `git diff` is to show of a file. The launcher does the same without this, and quicker, where nothing
// is out of the ordinary.
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Io } from "../io.ts";
import { textconv } from "../textconv.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** @throws file-missing, file-unreadable; never for what is in the file */
export async function gitTextconv(io: Io, file: string): Promise<void> {
  const text = Buffer.from(await io.fs.read(resolve(io.cwd, file))).toString("latin1");
  await io.stdout.write(Buffer.from(textconv(text, sha256), "latin1"));
}
