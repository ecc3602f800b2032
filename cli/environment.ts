// Says which environment a command is about, by asking every source that speaks: flag, annotation, the paths of input and
// output, namespace. All commands come through here; what agrees and what does not is for the library to say.
import {
  type EnvironmentPolicy,
  type Expectation,
  findEnvironment,
  readManifest,
  SealwardError,
  type SecretManifest,
} from "../src/index.ts";
import type { Document } from "./document.ts";
import type { Io } from "./io.ts";
import { HintedError } from "./report.ts";
import { findSettings, type Settings, type SettingsCache, shown } from "./settings.ts";

export interface Governed {
  readonly settings: Settings;
  readonly environment: EnvironmentPolicy;
}

export interface Sources {
  readonly env?: string;
  readonly out?: string;
  readonly namespace?: string;
  readonly known?: SettingsCache;
  /** The input stays where it is and is plaintext: its path speaks only where an environment claims it. */
  readonly isPlainInput?: boolean;
}

/** What a file itself says of where it belongs: a Secret's claims, and nothing for any other file. */
export type Claims = Partial<Pick<SecretManifest, "environment" | "namespace">> & Pick<SecretManifest, "sealed">;
type Located = Pick<Document, "name" | "path"> & Partial<Pick<Document, "carrier">>;

/** Whether some seal.yaml governs input or output. Throws `environment-mismatch` where they have different ones. */
export async function isGoverned(io: Io, input: Located, sources: Sources): Promise<boolean> {
  return (await settingsOf(io, input, sources)).length > 0;
}

/** Null: no seal.yaml governs this. Throws `environment-*`, also when input and output have different seal.yaml files. */
export async function findGoverning(
  io: Io,
  document: Located,
  manifest: Claims,
  sources: Sources,
): Promise<Governed | null> {
  const [first, second] = await settingsOf(io, document, sources);
  if (first === undefined) return null;
  const namespace = document.carrier?.namespace ?? manifest.namespace ?? sources.namespace;
  const ask = ({ config, path }: Settings, flag: string | undefined, because = ""): EnvironmentPolicy => {
    try {
      return findEnvironment(config, { flag, annotation: manifest.environment, path, namespace });
    } catch (problem) {
      if (!(problem instanceof SealwardError)) throw problem;
      const message = `${because}${problem.message}`;
      if (problem.code !== "environment-mismatch" || manifest.sealed)
        throw new SealwardError(problem.code, message, { file: document.name });
      const wanted = config.environments.get(flag ?? manifest.environment ?? "");
      throw new HintedError(problem.code, message, { hint: placeHint(wanted), file: document.name });
    }
  };
  const environment = ask(first, sources.env);
  if (second !== undefined)
    ask(second, environment.name, `${sources.out} belongs to "${environment.name}", the input does not: `);
  return { settings: first, environment };
}

/** For a manifest that is still in the clear: it can go where its environment's files are. */
function placeHint(wanted: EnvironmentPolicy | undefined): string {
  const paths = wanted === undefined || wanted.paths.length === 0 ? "" : ` (${wanted.paths.join(", ")})`;
  return `write it under one of the paths of ${wanted === undefined ? "its environment" : `"${wanted.name}"`}${paths}: \`-o FILE\`; or correct --env, the annotation or the namespace`;
}

/**
 * What the gate is to expect of a sealed file. A BoundSecret is opened under its own name, so that is its target.
 * @throws `not-sealed`, `config-missing` when `--env` was given and nothing governs, and what findGoverning throws
 */
export async function findExpectation(
  io: Io,
  document: Document,
  sources: Sources,
): Promise<(Governed & { readonly expectation: Expectation; readonly manifest: SecretManifest }) | null> {
  const manifest = readManifest(document.content, document.name);
  if (!manifest.sealed)
    throw new SealwardError("not-sealed", "Cannot open the file: it is not sealed", { file: document.name });
  const governed = await findGoverning(io, document, manifest, sources);
  if (governed === null) {
    if (sources.env === undefined) return null;
    throw configMissing(`Cannot confirm the environment "${sources.env}"`, document.name);
  }
  const { carrier } = document;
  const namespace = carrier?.namespace ?? manifest.namespace;
  const target = carrier === null ? "own" : { name: carrier.name, ...(namespace === undefined ? {} : { namespace }) };
  return { ...governed, manifest, expectation: { environment: governed.environment, target } };
}

/** As findExpectation, for commands that write a sealed file and so cannot do without a policy. */
export async function requireExpectation(
  io: Io,
  document: Document,
  sources: Sources,
): Promise<Governed & { readonly expectation: Expectation; readonly manifest: SecretManifest }> {
  const found = await findExpectation(io, document, sources);
  if (found === null) throw configMissing("Cannot change the file", document.name);
  return found;
}

/** Who opens the files of other environments. */
export function recipientsElsewhere({ settings, environment }: Governed): readonly string[] {
  const others = [...settings.config.environments.values()].filter(({ name }) => name !== environment.name);
  return others.flatMap(({ ageRecipients, kmsRecipients }) => [...ageRecipients, ...kmsRecipients]);
}

export const configMissing = (action: string, file: string): SealwardError =>
  new SealwardError("config-missing", `${action}: no seal.yaml governs the file`, { file });

/** The settings of input and output, where they are files; of the working folder where neither is, or neither is governed. */
async function settingsOf(io: Io, document: Located, { out, known, isPlainInput }: Sources): Promise<Settings[]> {
  const input = document.path === null ? null : await findSettings(io, document.path, known);
  const output = out === undefined ? null : await findSettings(io, out, known);
  if (input === null && output === null) {
    const here = document.path === null || isPlainInput ? await findSettings(io, null, known) : null;
    return here === null ? [] : [here];
  }
  if (input !== null && output !== null && input.folder !== output.folder) {
    throw new SealwardError(
      "environment-mismatch",
      `Cannot write ${out}: it is governed by ${shown(io, output.folder)}/seal.yaml, the input by ${shown(io, input.folder)}/seal.yaml`,
      { file: document.name },
    );
  }
  const isSilent = input === null || (isPlainInput === true && !isClaimed(input));
  if (isSilent) return output === null ? [{ ...(input as Settings), path: undefined }] : [output];
  return output === null ? [input] : [output, input];
}

/** Whether some environment's paths name this one. A path that contradicts all by itself is one that none of them names. */
function isClaimed({ config, path }: Settings): boolean {
  if (path === undefined) return false;
  try {
    findEnvironment(config, { path });
    return true;
  } catch (problem) {
    if (!(problem instanceof SealwardError)) throw problem;
    return problem.code !== "environment-mismatch";
  }
}
