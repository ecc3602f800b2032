// seal view: a sealed file as a person reads it, value by value, masked unless they are to be revealed. Changes nothing.
import {
  type SealedView,
  type SopsSource,
  storeOf,
  type ViewedValue,
  viewClosed,
  viewSealed,
  viewSops,
} from "../../src/index.ts";
import { documentIn, type Input, readInput } from "../document.ts";
import { findExpectation, findGoverning, isGoverned } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { isManifest } from "../kinds.ts";
import { printNote, safeJson, safeText } from "../report.ts";

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
  const { values } = options.keys ? viewClosed(sourceOf(input)) : await openedView(io, input, options);
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

async function openedView(io: Io, input: Input, options: ViewOptions): Promise<SealedView> {
  if (isManifest(input.bytes)) {
    const document = documentIn(input);
    const found = await findExpectation(io, document, options);
    if (found !== null)
      return withIdentities(io, { ...options, ...found }, (identities) =>
        viewSealed(document.content, found.expectation, identities, document.name),
      );
  }
  const governed = (await isGoverned(io, input, options))
    ? await findGoverning(io, input, { sealed: true }, options)
    : null;
  if (governed === null)
    await printNote(io, `${input.name}: no environment was confirmed, for no seal.yaml governs it`);
  return withIdentities(io, { ...options, ...governed }, (identities) =>
    viewSops(sourceOf(input), governed?.environment ?? null, identities),
  );
}

/** The sealed document itself, also of a BoundSecret file. */
function sourceOf(input: Input): SopsSource {
  const store = input.path === null ? "yaml" : storeOf(input.name);
  const bytes = isManifest(input.bytes) ? Buffer.from(documentIn(input).content) : input.bytes;
  return { bytes, store, file: input.name };
}
