// The CLI's surroundings as one value: streams, files, environment variables, time, child processes, signals.
// Everything else in cli/ takes what it needs from here; nothing here knows what a Secret is.
// What few commands need is loaded when it is used: streams, child processes and prompts take longer to load than a Secret
// takes to seal (docs/decisions/0003).
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { writeSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { AwsKms, type AwsKmsOptions, SealwardError } from "../src/index.ts";
import { type Files, nodeFiles } from "./files.ts";
import type { Shield } from "./writing.ts";

interface Output {
  readonly isTty: boolean;
  /** Of the terminal, where it is one and says so. */
  readonly columns?: number | undefined;
  write(data: string | Uint8Array): Promise<void>;
}

/** Whoever read stdout has seen enough (`seal decrypt f | head -1`). No failure to report. */
export class ReaderGone extends Error {}

export interface Child {
  /** Exit status; null when a signal ended it, or when it could not be started. */
  readonly status: number | null;
  /** The signal that ended it, if one did. */
  readonly signal?: NodeJS.Signals | null;
  readonly stdout: Uint8Array;
}

export interface Io {
  readonly stdin: { readonly isTty: boolean; readAll(): Promise<Uint8Array> };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly fs: Files;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  readonly tempFolder: string;
  readonly platform: string;
  /** `--yes`: what a person would be asked before going on is answered with yes (confirm.ts). */
  readonly assumeYes: boolean;
  /** `--quiet`: notes and what was done are not printed (report.ts). */
  readonly isQuiet: boolean;
  now(): Date;
  /** AWS as its SDK finds it: credentials and Region settings of this process. */
  aws(options: Omit<AwsKmsOptions, "now" | "credentials">): AwsKms;
  /** Runs a program without a shell. `capture` takes its stdout and gives it `input` as stdin; otherwise it has the terminal. */
  run(command: readonly string[], options: RunOptions): Promise<Child>;
  /** Runs a program for the user, in whose place this command stands: its streams, signals and outcome are the user's. */
  execute(command: readonly string[], options: ExecuteOptions): Promise<Outcome>;
  /** Asks the person at the terminal; the answer is one line. */
  ask(question: string): Promise<string>;
  /** The same for what must not be seen: nothing of it is echoed. Null where there is no terminal. Throws `cancelled`. */
  askSecret(question: string): Promise<string | null>;
  /** Does the work at most once a command, however many files ask for it; `key` says what it is. */
  once<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** While registered, SIGINT, SIGTERM, SIGHUP and SIGQUIT go to the handler instead of ending the program. */
  onSignal(handler: (signal: NodeJS.Signals) => void): () => void;
}

export interface RunOptions {
  readonly cwd: string;
  readonly capture: boolean;
  /** With `capture`: all that stdin gives. Default: nothing. */
  readonly input?: Uint8Array;
  /** All environment variables of the child. Default: those of this program. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Receives a function that sends the running child a signal. */
  readonly started?: (kill: (signal: NodeJS.Signals) => void) => void;
}

export interface ExecuteOptions {
  readonly cwd: string;
  /** All environment variables of the child. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A file that the child reads as its file descriptor 3; it is gone from its folder before the child starts. */
  readonly descriptor?: string | undefined;
  /** What becomes of the child's output, stream by stream; null at its end. Default: it goes where ours goes. */
  readonly filter?: (() => (chunk: Uint8Array | null) => Uint8Array) | undefined;
}

/** How a program ended; null: it could not be started. */
export type Outcome = { readonly status: number } | { readonly signal: NodeJS.Signals } | null;

// Far above any Secret, which the library limits; here only so that an endless pipe cannot fill the memory.
const maxStdinBytes = 64 * 1024 * 1024;

/** Signals with which a person or the system asks a program to end. */
export const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

export function nodeIo(process: NodeJS.Process): Io {
  return {
    stdin: {
      get isTty() {
        return process.stdin.isTTY === true;
      },
      readAll: () => readAll(process.stdin),
    },
    stdout: output(1, () => process.stdout),
    stderr: ignoringFailure(output(2, () => process.stderr)),
    fs: nodeFiles({ shield: holdSignals(process) }),
    env: process.env,
    get cwd() {
      return workingFolder(process);
    },
    home: homeFolder(),
    tempFolder: tmpdir(),
    platform: process.platform,
    assumeYes: false,
    isQuiet: false,
    now: () => new Date(),
    aws: (options) => new AwsKms({ ...options, now: () => performance.now() }),
    run: runChild,
    execute: async (command, options) => (await import("./execute.ts")).execute(command, options, process),
    ask: async (question) => {
      const { createInterface } = await import("node:readline/promises");
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      // ^C and ^D close the interface and leave the question pending for ever; both are an answer, though not a line.
      const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("n")));
      try {
        return await Promise.race([terminal.question(question), closed]);
      } finally {
        terminal.close();
      }
    },
    askSecret: async (question) => (await import("./terminal.ts")).askSecret(process, question),
    once: eachOnce(),
    onSignal: (handler) => {
      for (const signal of signals) process.on(signal, handler);
      return () => {
        for (const signal of signals) process.off(signal, handler);
      };
    },
  };
}

/** The `once` of an Io. What was done last until the command ends. */
export function eachOnce(): Io["once"] {
  const done = new Map<string, Promise<unknown>>();
  return <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const known = done.get(key) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const doing = work();
    done.set(key, doing);
    return doing;
  };
}

/** A signal that would end the program waits for the work, which takes but a moment. */
function holdSignals(process: NodeJS.Process): Shield {
  return async (work) => {
    let held: NodeJS.Signals | null = null;
    const hold = (signal: NodeJS.Signals): void => {
      held = signal;
    };
    for (const signal of signals) process.on(signal, hold);
    try {
      return await work();
    } finally {
      for (const signal of signals) process.off(signal, hold);
      // Where a command listens for signals itself, it has heard this one.
      if (held !== null && process.listenerCount(held) === 0) process.kill(process.pid, held);
    }
  };
}

export async function runChild(command: readonly string[], options: RunOptions): Promise<Child> {
  const [program = "", ...parameters] = command;
  const { spawn } = await import("node:child_process");
  return new Promise((resolve) => {
    const stdout: Uint8Array[] = [];
    const { input } = options;
    const stdin = input === undefined ? "ignore" : "pipe";
    const stdio: SpawnOptions["stdio"] = options.capture ? [stdin, "pipe", "ignore"] : "inherit";
    const environment = options.env === undefined ? {} : { env: options.env };
    const child = tryTo(() => spawn(program, parameters, { cwd: options.cwd, stdio, ...environment }));
    if (child === null) return resolve({ status: null, stdout: new Uint8Array() });
    // A child that has read enough may have ended by now.
    child.stdin?.on("error", () => undefined).end(input);
    child.stdout?.on("data", (chunk: Uint8Array) => stdout.push(chunk));
    child.on("error", () => resolve({ status: null, stdout: new Uint8Array() }));
    child.on("close", (status, signal) => resolve({ status, signal, stdout: Buffer.concat(stdout) }));
    options.started?.((signal) => {
      child.kill(signal);
      // SIGINT may be meant for the child alone; the others mean that we are to end, with what it left behind wiped.
      if (signal !== "SIGINT") setTimeout(() => child.kill("SIGKILL"), 2000).unref();
    });
  });
}

/** Some failures are events, others exceptions. */
function tryTo(start: () => ChildProcess): ChildProcess | null {
  try {
    return start();
  } catch {
    return null;
  }
}

/**
 * Writes to the descriptor itself, and only what it does not take at once, as a pipe that its reader lets fill up, by way of
 * the stream.
 */
function output(descriptor: number, streamOf: () => NodeJS.WriteStream): Output {
  return {
    get isTty() {
      return streamOf().isTTY === true;
    },
    get columns() {
      return streamOf().columns;
    },
    async write(data) {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      let written = 0;
      try {
        while (written < bytes.length) written += writeSync(descriptor, bytes, written);
      } catch (problem) {
        if (codeOf(problem) !== "EAGAIN") throw writingFailure(problem);
        await writeToStream(streamOf(), bytes.subarray(written));
      }
    },
  };
}

function writeToStream(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  // Each write hears of its own failure; without a listener the event would end the program there and then.
  if (stream.listenerCount("error") === 0) stream.on("error", () => undefined);
  return new Promise((resolve, reject) => {
    stream.write(bytes, (problem) => (problem ? reject(writingFailure(problem)) : resolve()));
  });
}

const writingFailure = (problem: unknown): Error =>
  codeOf(problem) === "EPIPE"
    ? new ReaderGone()
    : new SealwardError("file-unwritable", `Cannot write stdout: the system says ${codeOf(problem)}`);

const codeOf = (problem: unknown): string | undefined => (problem as NodeJS.ErrnoException).code;

/** For stderr: what nobody hears changes nothing about what was done, and must not keep plaintext from being wiped. */
const ignoringFailure = (stream: Output): Output => ({
  get isTty() {
    return stream.isTty;
  },
  write: (data) => stream.write(data).catch(() => undefined),
});

function workingFolder(process: NodeJS.Process): string {
  try {
    return process.cwd();
  } catch {
    throw new SealwardError("file-missing", "Cannot find the working folder: it was removed");
  }
}

/** In a container the user may have no entry and no HOME; "/" is what container runtimes set then. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

async function readAll(stream: NodeJS.ReadStream): Promise<Uint8Array> {
  try {
    return await readChunks(stream);
  } catch (problem) {
    if (problem instanceof SealwardError) throw problem;
    throw new SealwardError("file-unreadable", `Cannot read stdin: the system says ${codeOf(problem)}`);
  }
}

async function readChunks(stream: NodeJS.ReadStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const part = typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Uint8Array);
    bytes += part.length;
    if (bytes > maxStdinBytes)
      throw new SealwardError("too-large", `Cannot read stdin: it is larger than ${maxStdinBytes} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks);
}
