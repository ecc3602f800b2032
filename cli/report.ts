// What a failure means to the person at the terminal: an exit code and what to do next, for every error code, and the
// one place where text for stderr is made safe and coloured. Decides nothing about what went wrong.
import { type ErrorCode, SealwardError } from "../src/index.ts";
import type { Io } from "./io.ts";

/** The documented exit codes (docs/cli.md). */
const exits = {
  refused: 1,
  usage: 2,
  input: 3,
  configuration: 4,
  keys: 5,
  files: 6,
  internal: 70,
  cancelled: 130,
} as const;

interface Answer {
  readonly exit: (typeof exits)[keyof typeof exits];
  /** What to do next; `file` is the file at fault, quoted for a shell, or FILE. */
  readonly hint: (file: string) => string;
}

const say = (exit: keyof typeof exits, hint: string | ((file: string) => string)): Answer => ({
  exit: exits[exit],
  hint: typeof hint === "string" ? () => hint : hint,
});
const cluster = say("refused", "this is decided in the cluster; see `kubectl describe boundsecret NAME`");

const answers: Record<ErrorCode, Answer> = {
  "not-utf8": say("input", "save the file as UTF-8"),
  "not-yaml": say("input", "correct the YAML at the place named; a broken sealed file is best taken back from Git"),
  "too-large": say("input", "Kubernetes takes at most 1 MiB in a Secret; split it into several"),
  "too-deep": say("input", "a Secret manifest is flat; remove the nesting or the aliases"),
  "duplicate-key": say("input", "keep one of the two keys"),
  "several-documents": say(
    "input",
    "put each document into a file of its own, then seal them one by one: `seal encrypt -i FILE`",
  ),
  "not-a-secret": say(
    "input",
    "seal takes one v1/Secret; split a List into one file for each Secret, and leave other kinds unsealed",
  ),
  "shape-invalid": say("input", "see docs/format.md for the fields that a sealed Secret may have"),
  "secret-type-forbidden": say("input", "let the cluster issue this credential; it does not belong in Git"),
  "already-sealed": say("input", (file) => `change a value with \`seal edit ${file}\` or \`seal set ${file} KEY\``),
  "not-sealed": say("input", (file) => `seal it: \`seal encrypt -i ${file}\``),
  "clear-leak": say("input", "remove the field or annotation that repeats a value in the clear"),
  "namespace-missing": say("input", "write metadata.namespace into the manifest, or add `--namespace NAMESPACE`"),
  "config-missing": say("configuration", "make one at the root of the repository: `seal init`"),
  "config-invalid": say("configuration", "correct seal.yaml at the place named; the format is in docs/seal-yaml.md"),
  "environment-undefined": say("configuration", "define it under `environments` in seal.yaml, or correct the name"),
  "environment-unknown": say("configuration", "name the environment: add `--env NAME`"),
  "environment-mismatch": say(
    "refused",
    "make --env, the annotation, the path and the namespace agree; a sealed file cannot change its environment: seal the original manifest again",
  ),
  "scope-not-allowed": say("refused", "use a scope that the environment allows, or add it to `scopes` in seal.yaml"),
  "target-mismatch": say(
    "refused",
    "a sealed file keeps its namespace and name; seal the original manifest again for the new ones",
  ),
  "recipient-foreign": say(
    "refused",
    "a file of another environment belongs there; else treat it as seen by that recipient: take it back from Git and rotate its values",
  ),
  "recipient-missing": say("refused", (file) => `someone who can open it seals it for them too: \`seal bind ${file}\``),
  "recipient-invalid": say("keys", "a recipient looks like age1…; `seal keygen` prints one"),
  "identity-invalid": say("keys", "an identity file holds AGE-SECRET-KEY-1… lines, as `seal keygen` writes them"),
  "identity-missing": say(
    "keys",
    "name a file with your identity: `--identity FILE` or `export SOPS_AGE_KEY_FILE=FILE`",
  ),
  "identity-unmatched": say(
    "keys",
    "use an identity of this environment (`--identity FILE`), or ask someone who holds one",
  ),
  "key-unreachable": say("keys", "try again; if it lasts, check the network and your permissions"),
  unbound: say("refused", (file) => `if you know where it came from, bind it: \`seal bind ${file}\``),
  "binding-mismatch": say(
    "refused",
    (file) =>
      `take it back from Git; a change that was made with sops and is meant is bound by \`seal bind ${file}\`, one by hand is made anew with \`seal edit\``,
  ),
  "not-authentic": say("refused", "the file was changed without its key: take it back from Git"),
  "sops-metadata-invalid": say("input", "the sops block was changed by hand: take the file back from Git"),
  "sops-unsupported": say(
    "input",
    "open it with the sops program and seal the plain manifest: `sops -d FILE | seal --env NAME`",
  ),
  "file-missing": say("files", "check the path"),
  "file-unreadable": say("files", "check the path and its permissions"),
  "file-unwritable": say("files", "check the folder, its permissions and the free space; nothing was changed"),
  "file-exists": say("files", "choose another name, or add `--force` where the command has it"),
  "editor-failed": say("files", "name an editor that waits until you are done: `export SEAL_EDITOR=vi`"),
  cancelled: say("cancelled", "nothing was changed; run the command again when you are ready"),
  usage: say("usage", "see `seal help` and `seal help COMMAND`"),
  "check-failed": say("refused", "correct the findings above; `seal check --output json` prints them for programs"),
  "namespace-ungoverned": cluster,
  "namespace-contested": cluster,
  "namespace-protected": cluster,
  "environment-invalid": cluster,
  "secret-not-owned": cluster,
  "secret-rejected": cluster,
};

export function exitOf(code: ErrorCode): number {
  return answers[code].exit;
}

/** An error whose own hint is better than the general one of its code. */
class HintedError extends SealwardError {
  readonly hint: string;
  constructor(code: ErrorCode, message: string, { hint, file }: { readonly hint: string; readonly file?: string }) {
    super(code, message, { file });
    this.hint = hint;
  }
}

export class UsageError extends HintedError {
  constructor(message: string, hint: string) {
    super("usage", message, { hint });
  }
}

/** What a command read is no longer what stands in the file, so that writing would undo someone's change. */
export class ChangedMeanwhile extends HintedError {
  constructor(file: string) {
    super("file-unwritable", "Cannot write the file: someone changed it meanwhile, and it stays as they left it", {
      hint: "run the command again: it starts from the file as it is now",
      file,
    });
  }
}

export async function printError(io: Io, problem: SealwardError): Promise<void> {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(":");
  const file = problem.file === undefined || problem.file === "stdin" ? "FILE" : shellQuote(problem.file);
  const hint = problem instanceof HintedError ? problem.hint : answers[problem.code].hint(file);
  await printLine(io, "error", `${place === "" ? "" : `${place}: `}${problem.message} (${problem.code})`);
  await printLine(io, "hint", hint);
}

/** Something to know that stops nothing. */
export const printNote = (io: Io, text: string): Promise<void> => printLine(io, "note", text);

/** What a command has done. */
export const printDone = (io: Io, text: string): Promise<void> => io.stderr.write(`${safeText(text)}\n`);

const colours = { error: 31, hint: 36, note: 33 } as const;

async function printLine(io: Io, label: keyof typeof colours, text: string): Promise<void> {
  const start = hasColour(io) ? `\u001b[1;${colours[label]}m${label}:\u001b[0m` : `${label}:`;
  await io.stderr.write(`${start} ${safeText(text)}\n`);
}

/** NO_COLOR wins over FORCE_COLOR, which wins over what the terminal is. */
export function hasColour(io: Io): boolean {
  if ((io.env["NO_COLOR"] ?? "") !== "") return false;
  const forced = io.env["FORCE_COLOR"] ?? "";
  if (forced !== "") return forced !== "0" && forced !== "false";
  return io.stderr.isTty && io.env["TERM"] !== "dumb";
}

/**
 * One line as it may be shown. A key typed where a file name belongs would come back in the message, and a file name can
 * hold escape sequences, line breaks that begin a line of its own, and characters that turn text around: none of it
 * reaches the terminal.
 */
export function safeText(text: string): string {
  return text
    .replace(/AGE-(SECRET-KEY|PLUGIN)[^\s"']*/gi, "AGE-$1-…")
    .replace(/[A-Z0-9]{40,}/g, "…")
    .replace(invisible, (found) =>
      escaped(found, (hex) => (hex.length < 3 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`)),
    );
}

/** The same for a text of several lines that we wrote ourselves, such as help. */
export const safeLines = (text: string): string => text.split("\n").map(safeText).join("\n");

/** JSON of a value, in which nothing acts on a terminal that it is printed to. */
export const safeJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(invisible, (found) =>
    found === "\n" ? found : escaped(found, (hex) => `\\u${hex.padStart(4, "0")}`),
  );

const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** By UTF-16 units, as JSON counts. */
const escaped = (text: string, write: (hex: string) => string): string =>
  Array.from({ length: text.length }, (_, at) => write(text.charCodeAt(at).toString(16))).join("");

/** For a failure that is nobody's refusal: which kind, and where in our own code, but never its message. */
export function internalFailure(problem: unknown): string {
  const kind = problem instanceof Error ? problem.constructor.name : typeof problem;
  const frames =
    problem instanceof Error
      ? (problem.stack ?? "").split("\n").filter((line) => /^ {4}at .*:\d+:\d+\)?$/.test(line))
      : [];
  return `error: seal failed inside (${kind}); this is a bug, please report it with the lines below\n${frames.slice(0, 8).join("\n")}\n`;
}

export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
