// For every error code an exit code and what to do next. Where a code covers several mistakes, the library's message tells
// which; where a command knows better, it gives its own hint (HintedError in report.ts). Prints nothing.
import type { ErrorCode, SealwardError } from "../src/index.ts";

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
  readonly hint: (file: string, problem: SealwardError) => string;
}

const say = (exit: keyof typeof exits, hint: string | Answer["hint"]): Answer => ({
  exit: exits[exit],
  hint: typeof hint === "string" ? () => hint : hint,
});
const cluster = say("refused", "this is decided in the cluster; see `kubectl describe boundsecret NAME`");

const oneByOne =
  "take them from the cluster one by one: `kubectl get secret SECRET -n NAMESPACE -o yaml | seal --env NAME`";

export const answers: Record<ErrorCode, Answer> = {
  "not-utf8": say("input", "save the file as UTF-8"),
  "not-yaml": say("input", "if the file was sealed, take it back from Git; else correct the YAML at the place named"),
  "not-json": say("input", "correct the JSON at the place named"),
  "not-dotenv": say("input", "write each line as KEY=VALUE, or as a comment that begins with #"),
  "not-ini": say("input", "correct the line at the place named"),
  "too-large": say("input", "split it into several; Kubernetes takes at most 1 MiB in a Secret"),
  "too-deep": say("input", "a Secret manifest is flat; remove the nesting or the aliases"),
  "duplicate-key": say("input", "keep one of the two keys"),
  "several-documents": say("input", `one Secret a file: put each document into its own, or ${oneByOne}`),
  "merge-conflict": say("refused", (file) => `walk through it: \`seal git resolve ${file}\``),
  "path-missing": say("input", "`seal explain FILE` lists the keys of a file"),
  "not-a-secret": say("input", (_, { message }) =>
    /\bList\b/.test(message)
      ? `one Secret a file: put each item into its own, or ${oneByOne}`
      : /no kind/.test(message)
        ? "a Secret begins with the lines `apiVersion: v1` and `kind: Secret`"
        : "leave it as it is: only a Secret is sealed (`apiVersion: v1`, `kind: Secret`)",
  ),
  "shape-invalid": say("input", (_, { message }) => shapeAdvice(message)),
  "secret-type-forbidden": say("input", "let the cluster issue this credential; it does not belong in Git"),
  "already-sealed": say("input", (file) => `change a value with \`seal edit ${file}\` or \`seal set ${file} KEY\``),
  "not-sealed": say("input", (file) => `seal it: \`seal encrypt ${file} --env NAME -o ${sealedName(file)}\``),
  "clear-leak": say("input", "remove the field or annotation that repeats a value in the clear"),
  "nothing-selected": say(
    "input",
    "name what to encrypt (`--encrypted-regex`, `--unencrypted-suffix` …), or add `--allow-nothing-selected`",
  ),
  "pattern-invalid": say("input", "write the pattern as RE2: no look-around, no back-references"),
  "namespace-missing": say("input", "write metadata.namespace into the manifest, or add `--namespace NAMESPACE`"),
  "config-missing": say("configuration", "make one at the root of the repository: `seal init`"),
  "config-invalid": say("configuration", "correct seal.yaml at the place named"),
  "rule-missing": say(
    "configuration",
    "add a creation rule that matches the file to .sops.yaml, or name a file that one matches: `--filename-override PATH`",
  ),
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
  "recipient-expired": say(
    "refused",
    "take the recipient out of seal.yaml or give it a later date there; files that it opens need a new data key: `seal bind FILE`",
  ),
  "recipient-invalid": say(
    "keys",
    "a recipient looks like age1…, is the line of an SSH .pub file, or the ARN of a KMS key; `seal keygen` prints one",
  ),
  "recipients-unnamed": say(
    "keys",
    "name a recipient: `--age RECIPIENT`, a creation rule in .sops.yaml, or `seal init`",
  ),
  "recipient-unsupported": say(
    "keys",
    "name an age1… recipient or an ssh-ed25519 or ssh-rsa key in its place, or use a tool that has that kind of key",
  ),
  "identity-invalid": say(
    "keys",
    "an identity file holds AGE-SECRET-KEY-… lines, as `seal keygen` writes them, or is one SSH private key without a passphrase",
  ),
  "identity-missing": say(
    "keys",
    "name a file with your identity: `--identity FILE` or `export SOPS_AGE_KEY_FILE=FILE`",
  ),
  "identity-unmatched": say(
    "keys",
    "use an identity of this environment (`--identity FILE`), or ask someone who holds one",
  ),
  "context-mismatch": say("refused", (file, { message }) =>
    /--move/.test(message)
      ? `take the file back from Git; if its namespace or name was changed on purpose: \`seal bind --move ${file}\``
      : /for the environment/.test(message)
        ? "a file of another environment belongs there; seal the original manifest again"
        : /is no Secret/.test(message)
          ? `if you know where it came from, open it with the sops program and seal what it gives: \`sops decrypt -i ${file}\`, then \`seal encrypt -i ${file}\``
          : `if you know where it came from, bind it: \`seal bind ${file}\``,
  ),
  "credentials-missing": say("keys", (_, { message }) => credentialsAdvice(message)),
  "key-refused": say("keys", (_, { message }) => refusedKeyAdvice(message)),
  "key-unreachable": say("keys", "try again; if it lasts, check the network and the endpoint: `seal doctor`"),
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
  "file-exists": say("files", "choose another name"),
  "editor-failed": say(
    "files",
    "nothing was changed; name an editor that waits until you are done: `export SEAL_EDITOR=vi`",
  ),
  "git-failed": say("files", "check that git is installed and that the folder is a Git work tree"),
  cancelled: say("cancelled", "nothing was changed; run the command again when you are ready"),
  usage: say("usage", "see `seal help` and `seal help COMMAND`"),
  "value-shared": say(
    "refused",
    (file) => `give each environment a value of its own: \`seal set ${file} KEY --generate\``,
  ),
  "check-failed": say("refused", "correct the findings above"),
  "namespace-ungoverned": cluster,
  "namespace-contested": cluster,
  "namespace-protected": cluster,
  "environment-invalid": cluster,
  "secret-not-owned": cluster,
  "secret-rejected": cluster,
};

const credentialsAdvice = (message: string): string =>
  /sign-in|expired|out of date/.test(message)
    ? "sign in again (`aws sso login`, or renew what gave the credentials); `seal doctor` shows which were found"
    : /does not know|signature|web identity/.test(message)
      ? "correct the credentials; `seal doctor` shows where they come from"
      : "sign in (`aws sso login`), set AWS_PROFILE, or name a profile or role in your configuration; `seal doctor` shows what was found";

const refusedKeyAdvice = (message: string): string =>
  /AssumeRole/.test(message)
    ? "correct the role of the environment in your configuration, or its trust policy; `seal doctor` shows who you are"
    : /no permission/.test(message)
      ? "ask whoever owns the key to allow it: `seal kms policy --env NAME` prints the statements; `seal doctor` shows who you are"
      : /pending deletion/.test(message)
        ? "cancel the deletion of the key now, before everything sealed to it is lost: `aws kms cancel-key-deletion`"
        : /disabled/.test(message)
          ? "enable the key, or seal with one that is: `aws kms enable-key`"
          : /another key wrapped/.test(message)
            ? "the alias points to another key than when the file was sealed: list the ARN of the key itself, and `seal bind FILE`"
            : /no such key/.test(message)
              ? "correct the ARN in seal.yaml, its Region included"
              : "`seal doctor` shows the state of the key and what you may do with it";

/** By what the library says is wrong; the first that fits. */
const shapes: readonly (readonly [RegExp, string])[] = [
  [/in quotes|must be a text/, 'quote the value, as in `pw: "12345678"`'],
  [/base64/, "move it from data to stringData, which takes the value as it is, or encode it: `base64 -w0`"],
  [
    /Kubernetes name/,
    "a Kubernetes name has lower-case letters, digits, `-` and `.`, and begins and ends with neither of the two",
  ],
  [/must not have the key/, "a key has letters, digits, `-`, `_` and `.`"],
  [/metadata of a sealed Secret/, "remove it; metadata may have name, namespace, labels and annotations"],
  [/has no field/, "remove it; a Secret has apiVersion, kind, metadata, type, immutable, data and stringData"],
  [/encrypted/, "a value was written into a sealed file by hand: take the file back from Git and use `seal edit`"],
];

const shapeAdvice = (message: string): string =>
  shapes.find(([pattern]) => pattern.test(message))?.[1] ?? "correct the field at the place named";

/** A name for the sealed form, in a folder of its environment; `file` may be quoted. */
const sealedName = (file: string): string => {
  const [, quote = "", name = ""] = /^('?).*?([^/]+?)(?:(?:\.plain)?\.(?:ya?ml|json))?'?$/.exec(file) ?? [];
  return `${quote}NAME/${name}.sealed.yaml${quote}`;
};
