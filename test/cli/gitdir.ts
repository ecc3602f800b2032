// A throw-away Git repository, a home folder and an Io to run commands in them: files, Git and child processes are real,
// streams and environment variables are not. Nothing of the machine's own configuration is seen.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { execute } from "../../cli/execute.ts";
import { nodeFiles } from "../../cli/files.ts";
import { eachOnce, type Io, runChild } from "../../cli/io.ts";
import { run } from "../../cli/run.ts";
import { AwsKms, type AwsKmsOptions, SealwardError } from "../../src/index.ts";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Given {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Relative to the repository. */
  readonly cwd?: string;
  readonly isTty?: boolean;
  /** Of the terminal. */
  readonly columns?: number;
  /** Answers to questions, in order. */
  readonly answers?: readonly string[];
  /** Answers to questions whose answer is not shown, in order, null for ^C; without it there is no terminal for them. */
  readonly secrets?: readonly (string | null)[];
  /** Where AWS is and as whom it is called. Default: nowhere and nobody. */
  readonly aws?: Pick<AwsKmsOptions, "endpoint" | "stsEndpoint" | "credentials" | "timeoutMs" | "load">;
}

export interface GitDir {
  /** The repository. */
  readonly path: string;
  readonly home: string;
  /** Where editing may put its private folders; empty between commands. */
  readonly runtime: string;
  readonly env: Readonly<Record<string, string>>;
  run(argv: readonly string[], given?: Given): Promise<Outcome>;
  read(file: string): string;
  write(file: string, text: string | Uint8Array): void;
  has(file: string): boolean;
  /** Every file of the repository but Git's own, with its text. */
  snapshot(): Record<string, string>;
}

const now = new Date("2026-11-23T10:00:00Z");

export function gitdir(files: Readonly<Record<string, string>> = {}): GitDir {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "seal-test-")));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const [path, home, runtime] = [join(base, "repo"), join(base, "home"), join(base, "run")];
  for (const folder of [path, home, runtime]) mkdirSync(folder);
  spawnSync("git", ["init", "-q", path], {
    env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
  });
  const env = { HOME: home, XDG_CONFIG_HOME: join(home, ".config"), XDG_RUNTIME_DIR: runtime };
  const dir: GitDir = {
    path,
    home,
    runtime,
    env,
    run: async (argv, given = {}) => {
      const out = { stdout: "", stderr: "" };
      const code = await run(argv, fakeIo(dir, given, out));
      return { code, ...out };
    },
    read: (file) => readFileSync(join(path, file), "utf8"),
    write: (file, text) => {
      mkdirSync(dirname(join(path, file)), { recursive: true });
      writeFileSync(join(path, file), text);
    },
    has: (file) => existsSync(join(path, file)),
    snapshot: () => snapshot(path),
  };
  for (const [file, text] of Object.entries(files)) dir.write(file, text);
  return dir;
}

/** No test reaches the real AWS, whatever the machine is signed in to. */
const nobody = {
  endpoint: "http://127.0.0.1:9",
  stsEndpoint: "http://127.0.0.1:9",
  credentials: { accessKeyId: "AKIATEST", secretAccessKey: "none" },
};

/** What the command itself says of where AWS is counts more than what the test does, as it would without a test. */
const stated = ({ endpoint, stsEndpoint }: Pick<AwsKmsOptions, "endpoint" | "stsEndpoint">) => ({
  ...(endpoint === undefined ? {} : { endpoint }),
  ...(stsEndpoint === undefined ? {} : { stsEndpoint }),
});

/** The Io of one command; what it writes is added to `out`. */
export function fakeIo(dir: GitDir, given: Given, out: { stdout: string; stderr: string }): Io {
  const isTty = given.isTty ?? false;
  const answers = [...(given.answers ?? [])];
  const secrets = [...(given.secrets ?? [])];
  const output = (name: "stdout" | "stderr") => ({
    isTty,
    columns: given.columns,
    write: async (data: string | Uint8Array) => {
      out[name] += typeof data === "string" ? data : Buffer.from(data).toString();
    },
  });
  return {
    stdin: { isTty, readAll: async () => Buffer.from(given.stdin ?? "") },
    stdout: output("stdout"),
    stderr: output("stderr"),
    fs: nodeFiles(),
    env: { ...dir.env, ...given.env },
    cwd: join(dir.path, given.cwd ?? "."),
    home: dir.home,
    tempFolder: dir.runtime,
    platform: "linux",
    assumeYes: false,
    isQuiet: false,
    now: () => now,
    aws: (options) =>
      new AwsKms({ ...options, ...nobody, ...given.aws, ...stated(options), now: () => performance.now() }),
    run: runChild,
    execute: (command, options) => execute(command, options, process),
    ask: async () => answers.shift() ?? "n",
    askSecret: async (question) => {
      if (given.secrets === undefined) return null;
      out.stderr += question;
      const secret = secrets.shift();
      if (secret === undefined) throw new Error("asked once too often");
      if (secret === null) throw new SealwardError("cancelled", "Cancelled at a question");
      return secret;
    },
    once: eachOnce(),
    onSignal: () => () => undefined,
  };
}

/** A program for SEAL_EDITOR: its text is the body of `(text) => …`, which answers what the file is to hold. */
export function editor(dir: GitDir, body: string): string {
  const file = join(dir.home, `editor-${Math.random().toString(36).slice(2)}.cjs`);
  writeFileSync(
    file,
    `const { readFileSync, writeFileSync } = require("node:fs");
const file = process.argv.at(-1);
const edit = (text) => { ${body} };
const edited = edit(readFileSync(file, "utf8"));
if (edited !== undefined) writeFileSync(file, edited);
`,
  );
  return `"${process.execPath}" '${file}'`;
}

function snapshot(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const file = join(entry.parentPath, entry.name).slice(folder.length + 1);
    if (entry.isFile() && !file.startsWith(".git/")) files[file] = readFileSync(join(folder, file), "utf8");
  }
  return files;
}

/** Turns up nowhere but where a test puts it. */
export const canary = "canary-5f0c-plaintext";

/** A plain manifest as people write them. */
export const manifest = (
  fields: { namespace?: string; name?: string; annotations?: string; value?: string } = {},
): string => `apiVersion: v1
kind: Secret
metadata:
  name: ${fields.name ?? "db"}
${fields.namespace === "" ? "" : `  namespace: ${fields.namespace ?? "payments"}\n`}${fields.annotations ?? ""}type: Opaque
stringData:
  # who to ask: the database team
  PASSWORD: ${fields.value ?? canary}
  URL: "postgres://db/${canary}"
`;

/** A repository with staging and prod after `seal init`, and a file sealed for each. */
export async function sealedRepository(): Promise<GitDir> {
  const dir = gitdir();
  await succeed(dir.run(["init"]));
  for (const env of ["staging", "prod"]) {
    mkdirSync(join(dir.path, "deploy", env), { recursive: true });
    const out = `deploy/${env}/db.sealed.yaml`;
    await succeed(dir.run(["--env", env, "-o", out], { stdin: manifest() }));
  }
  return dir;
}

export async function succeed(running: Promise<Outcome>): Promise<Outcome> {
  const outcome = await running;
  if (outcome.code !== 0) throw new Error(`exit ${outcome.code}: ${outcome.stderr}`);
  return outcome;
}
