// Which of the five formats an input or output is in: by flag, by name, or YAML for what has neither.
import { type SopsSource, type StoreName, storeOf } from "../src/index.ts";
import type { Input } from "./document.ts";

export interface StoreFlags {
  readonly inputType?: StoreName;
  readonly outputType?: StoreName;
  /** What the file is to be called for the choice of format and creation rule. */
  readonly filenameOverride?: string;
}

/** A file by its name (SOPS' rule: whatever has no other format is binary); stdin without a name is YAML. */
export function sourceOf(input: Input, { inputType, filenameOverride }: StoreFlags): SopsSource {
  const name = filenameOverride ?? (input.path === null ? undefined : input.name);
  const store = inputType ?? (name === undefined ? "yaml" : storeOf(name));
  return { bytes: input.bytes, store, file: input.name };
}
