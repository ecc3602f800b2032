// seal exec: runs a program with opened values: as files in a private folder, through a file descriptor, or as environment
// variables where that is asked for. Nothing of them is left when the program has ended, whichever way.
import { constants } from "node:os";
import { join, resolve } from "node:path";
import { parsePath, SealwardError } from "../../src/index.ts";
import { ExitWith } from "../exit-with.ts";
import type { Io } from "../io.ts";
import { makePrivateFolder } from "../private-folder.ts";
import { redactor } from "../redaction.ts";
import { HintedError, safeText, UsageError } from "../report.ts";
import { openView } from "../views.ts";

export interface ExecOptions {
  readonly mount?: readonly string[];
  readonly envFile?: readonly string[];
  readonly fd?: readonly string[];
  readonly redact?: boolean;
  /** Names of environment variables that are refused otherwise. */
  readonly allowEnv?: readonly string[];
  readonly keepIdentities?: boolean;
  readonly env?: string;
  readonly identity?: readonly string[];
}

/** @throws ExitWith the program's exit code, or 128 and the number of the signal that ended it; what opening throws */
export async function exec(
  io: Io,
  files: readonly string[],
  command: readonly string[],
  options: ExecOptions,
): Promise<never> {
  const { mount = [], envFile = [], fd = [] } = options;
  const asked = [...files, ...mount];
  if (command.length === 0)
    throw new UsageError("Cannot run a program: none is named", "name it after `--`: `seal exec FILE -- PROGRAM`");
  if (asked.length + envFile.length + fd.length === 0)
    throw new UsageError("Cannot run a program with values: no FILE is named", "`seal exec FILE -- PROGRAM`");
  const open = (names: readonly string[]) => valuesOf(io, names, options);
  const [asFiles, asVariables, asDescriptor] = [await open(asked), await open(envFile), await open(fd)];
  assertVariables(asVariables, options);
  const needsFolder = asFiles.size + asDescriptor.size > 0;
  const folder = needsFolder ? await makePrivateFolder(io, "run a program with files") : null;
  // Until the program runs, a signal must not leave the folder behind.
  let isEnded = false;
  const unregister = io.onSignal(() => {
    isEnded = true;
  });
  try {
    for (const [key, value] of asFiles) await io.fs.create(join(folder ?? "", "values", key), value);
    const descriptor = asDescriptor.size === 0 ? undefined : join(folder ?? "", "descriptor");
    if (descriptor !== undefined) await io.fs.create(descriptor, `${asJson(asDescriptor)}\n`);
    const mounted = asFiles.size === 0 ? null : join(folder ?? "", "values");
    if (isEnded) throw new SealwardError("cancelled", "Cannot run the program: a signal came in");
    const outcome = await io.execute(
      command.map((word) => (mounted === null ? word : word.replaceAll("{}", mounted))),
      {
        cwd: io.cwd,
        env: environmentFor(io, { mounted, asVariables, hasDescriptor: descriptor !== undefined }, options),
        descriptor,
        filter: options.redact ? () => redactor(new Map([...asFiles, ...asVariables, ...asDescriptor])) : undefined,
      },
    );
    if (outcome === null)
      throw new ExitWith(
        127,
        new SealwardError(
          "file-missing",
          `Cannot run ${safeText(command[0] ?? "")}: it is not there, or cannot be started`,
        ),
      );
    throw new ExitWith("status" in outcome ? outcome.status : 128 + constants.signals[outcome.signal]);
  } finally {
    if (folder !== null) await io.fs.wipeFolder(folder);
    for (const values of [asFiles, asVariables, asDescriptor]) for (const value of values.values()) value.fill(0);
    unregister();
  }
}

/** The values of all files together. @throws usage where two have one of the same name */
async function valuesOf(io: Io, names: readonly string[], options: ExecOptions): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  for (const name of names) {
    const path = resolve(io.cwd, name);
    const view = await openView(io, { name, path, bytes: await io.fs.read(path) }, options);
    for (const [shown, { isSecret, bytes }] of view.values) {
      const key = shown.startsWith("[") ? parsePath(shown).join(".") : shown;
      // Of a Secret the rest is metadata; of another file what stands in the clear is a value like any other.
      if (!isSecret && view.values.has('["kind"]')) continue;
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key) || /^\.\.?$/.test(key))
        throw new UsageError(
          `Cannot hand ${safeText(key)} of ${name} to a program: it is no name for a file or variable`,
          "use a file whose keys are names",
        );
      if (values.has(key))
        throw new UsageError(
          `${safeText(key)} stands in two of the files`,
          "hand them over in two ways, or one by one",
        );
      values.set(key, Uint8Array.from(bytes));
    }
  }
  return values;
}

/** Variables with which whoever writes a file would choose what runs, and not only with which values. */
const dangerous =
  /^(?:PATH|HOME|IFS|GCONV_PATH|GLIBC_.*|DOTNET_.*|COR_.*|CORECLR_.*|OPENSSL_.*|LESS.*|PSQL.*|MANPAGER|BROWSER|LUA_.*|MAKEFLAGS|RUSTC_.*|CLASSPATH|PHP.*|R_.*|ZDOTDIR|XDG_.*|KUBECONFIG|.*_PROXY|AWS_.*|ENV|BASH_ENV|BASH_FUNC.*|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|LD_.*|DYLD_.*|NODE_.*|PYTHON.*|PERL.*|RUBY.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|GIT_.*|SSH_.*|EDITOR|VISUAL|PAGER|SHELL|TMPDIR|SOPS_.*|SEAL_.*|npm_.*)$/i;

function assertVariables(values: ReadonlyMap<string, Uint8Array>, { allowEnv = [] }: ExecOptions): void {
  for (const [key, value] of values) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
      throw new UsageError(
        `${safeText(key)} is no name for an environment variable`,
        "hand the file over as files: `--mount FILE`",
      );
    if (value.includes(0))
      throw new UsageError(
        `The value of ${key} has a NUL, which no environment variable can hold`,
        "hand the file over as files: `--mount FILE`",
      );
    if (dangerous.test(key) && !allowEnv.includes(key))
      throw new HintedError("usage", `The variable ${key} would change how programs start`, {
        hint: `if that is meant: \`--allow-env ${key}\``,
      });
  }
}

/** What our own identities come by is not for the program. */
const identityVariables = /^(?:SOPS_AGE_|SEAL_CONFIG$)/;

function environmentFor(
  { env }: Io,
  {
    mounted,
    asVariables,
    hasDescriptor,
  }: {
    readonly mounted: string | null;
    readonly asVariables: ReadonlyMap<string, Uint8Array>;
    readonly hasDescriptor: boolean;
  },
  { keepIdentities = false }: ExecOptions,
): Record<string, string | undefined> {
  const inherited = Object.entries(env).filter(([name]) => keepIdentities || !identityVariables.test(name));
  return {
    ...Object.fromEntries(inherited),
    ...Object.fromEntries([...asVariables].map(([key, value]) => [key, Buffer.from(value).toString()])),
    ...(mounted === null ? {} : { SEAL_MOUNT: mounted }),
    ...(hasDescriptor ? { SEAL_FD: "/dev/fd/3" } : {}),
  };
}

/** Bytes that are no text as base64, as in a Secret, under a name that says so. */
function asJson(values: ReadonlyMap<string, Uint8Array>): string {
  return JSON.stringify(
    Object.fromEntries(
      [...values].map(([key, value]) => {
        const text = Buffer.from(value).toString();
        return Buffer.from(text).equals(value) ? [key, text] : [`${key}.base64`, Buffer.from(value).toString("base64")];
      }),
    ),
  );
}
