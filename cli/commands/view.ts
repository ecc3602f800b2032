// seal view: a sealed file as a person reads it, value by value, masked unless they are to be revealed. Changes nothing.
import { type ViewedValue, viewClosed } from "../../src/index.ts";
import { readInput } from "../document.ts";
import type { Io } from "../io.ts";
import { safeJson, safeText } from "../report.ts";
import { openView, sealedSource } from "../views.ts";

export interface ViewOptions {
  readonly env?: string;
  readonly identity?: readonly string[];
  readonly reveal?: boolean;
  /** Names only, without a key. */
  readonly keys?: boolean;
  readonly output: "text" | "json";
}

/** @throws what opening throws */
export async function view(io: Io, file: string | undefined, options: ViewOptions): Promise<void> {
  const input = await readInput(io, file, "seal view");
  const { values } = options.keys ? viewClosed(sealedSource(input)) : await openView(io, input, options);
  const shown = [...values].filter(([, { isSecret }]) => !options.keys || isSecret);
  if (options.output === "json") {
    const entries = shown.map(([name, value]) => ({
      name,
      sealed: value.isSecret,
      ...(options.keys ? {} : { bytes: value.bytes.length }),
      ...(options.keys || (value.isSecret && !options.reveal) ? {} : { value: textOf(value) }),
    }));
    await io.stdout.write(`${safeJson(entries)}\n`);
  } else for (const [name, value] of shown) await io.stdout.write(`${lineOf(name, value, options)}\n`);
  if (!options.keys) for (const { bytes } of values.values()) bytes.fill(0);
}

function lineOf(name: string, value: ViewedValue, { keys, reveal }: ViewOptions): string {
  if (keys) return safeText(name);
  if (value.isSecret && !reveal) return `${safeText(name)}: •••••••• (${value.bytes.length} bytes)`;
  return `${safeText(name)}: ${textOf(value)}`;
}

/** Quoted, with whatever a terminal would act on as escapes. */
function textOf({ bytes }: ViewedValue): string {
  const text = Buffer.from(bytes).toString();
  return Buffer.from(text).equals(bytes) ? safeJson(text) : `base64 ${Buffer.from(bytes).toString("base64")}`;
}
