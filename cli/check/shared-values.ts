// With a key: values that two environments have in common, and values that a file has in the clear beside. Compares under a key
// of this run; shows names, never a value.
import { resolve } from "node:path";
import { SealwardError, type ViewedValue } from "../../src/index.ts";
import { fingerprints } from "../fingerprint.ts";
import type { Io } from "../io.ts";
import { openView } from "../views.ts";
import type { ClearCopy } from "./clear-copies.ts";
import type { Finding } from "./finding.ts";
import { bareName } from "./names.ts";
import type { Survey } from "./survey.ts";

/** Shorter ones are words that anybody would choose. */
const shortestShared = 8;

export interface OpenedValues {
  readonly findings: readonly Finding[];
  /** How many files no identity at hand opens. */
  readonly closed: number;
  /** Whether a text is one of the values of a key of that name. */
  readonly isValueOf: (copy: ClearCopy) => boolean;
}

interface Seen {
  readonly file: string;
  readonly environment: string;
  readonly name: string;
}

/** Opens one file after the other and keeps nothing of them but fingerprints. */
export async function compareValues(
  io: Io,
  { sealed }: Survey,
  options: { readonly identity?: readonly string[] },
): Promise<OpenedValues> {
  const fingerprint = fingerprints();
  const seen = new Map<string, Seen>();
  const byName = new Set<string>();
  const findings: Finding[] = [];
  let closed = 0;
  for (const { file, environment } of sealed) {
    const values = await opened(io, file, options);
    if (values === null) closed++;
    for (const [name, { isSecret, bytes }] of values ?? []) {
      if (!isSecret) continue;
      byName.add(`${bareName(name)} ${fingerprint(bytes)}`);
      const key = fingerprint(bytes);
      const other = bytes.length < shortestShared ? undefined : seen.get(key);
      if (other === undefined) seen.set(key, { file, environment, name });
      else if (other.environment !== environment) {
        const message = `The value of ${name} is the same as that of ${other.name} in ${other.file}: ${environment} and ${other.environment} share it`;
        findings.push({ file, environment, status: "refused", code: "value-shared", message });
      }
      bytes.fill(0);
    }
  }
  return { findings, closed, isValueOf: ({ name, value }) => byName.has(`${name} ${fingerprint(Buffer.from(value))}`) };
}

async function opened(
  io: Io,
  file: string,
  options: { readonly identity?: readonly string[] },
): Promise<ReadonlyMap<string, ViewedValue> | null> {
  const path = resolve(io.cwd, file);
  try {
    return (await openView(io, { name: file, path, bytes: await io.fs.read(path) }, options)).values;
  } catch (problem) {
    if (problem instanceof SealwardError && problem.code !== "cancelled") return null;
    throw problem;
  }
}
