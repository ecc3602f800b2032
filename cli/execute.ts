// Runs a program in the place of this one: same terminal, signals passed on, outcome handed back. Knows nothing of what it is
// given.
import { spawn } from "node:child_process";
import { closeSync, openSync, unlinkSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import type { ExecuteOptions, Outcome } from "./io.ts";

/** What a terminal sends to every program that runs at it, this one and the child alike. */
const ofTerminal: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];
const others: readonly NodeJS.Signals[] = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT"];

export function execute(
  [program = "", ...parameters]: readonly string[],
  { cwd, env, descriptor, filter }: ExecuteOptions,
  process: NodeJS.Process,
): Promise<Outcome> {
  const output = filter === undefined ? "inherit" : "pipe";
  const third = descriptor === undefined ? null : unlinked(descriptor);
  return new Promise((resolve) => {
    const child = spawn(program, parameters, {
      cwd,
      env,
      stdio: ["inherit", output, output, ...(third === null ? [] : [third])],
    });
    if (third !== null) closeSync(third);
    const passOn = (signal: NodeJS.Signals): void => {
      if (process.stdin.isTTY !== true || !ofTerminal.includes(signal)) child.kill(signal);
    };
    const signals = [...ofTerminal, ...others];
    for (const signal of signals) process.on(signal, passOn);
    const end = (outcome: Outcome): void => {
      for (const signal of signals) process.off(signal, passOn);
      resolve(outcome);
    };
    const piped =
      filter === undefined
        ? []
        : [pass(child.stdout, process.stdout, filter()), pass(child.stderr, process.stderr, filter())];
    child.on("error", () => end(null));
    // "close" comes once the child is gone and all that it wrote was read.
    child.on("close", (status, signal) => {
      void Promise.all(piped).then(() => end(signal === null ? { status: status ?? 1 } : { signal }));
    });
  });
}

/** Not a pipe: what Node calls one is a socket, which nobody can open by its name under /dev/fd. */
function unlinked(file: string): number {
  const descriptor = openSync(file, "r");
  unlinkSync(file);
  return descriptor;
}

/** Until the source ends, or whoever reads us is gone. */
async function pass(
  source: Readable | null,
  target: Writable,
  filter: (chunk: Uint8Array | null) => Uint8Array,
): Promise<void> {
  target.on("error", () => source?.destroy());
  if (source === null) return;
  for await (const chunk of source as AsyncIterable<Uint8Array>) await write(target, filter(chunk));
  await write(target, filter(null));
}

function write(target: Writable, bytes: Uint8Array): Promise<void> {
  return bytes.length === 0 ? Promise.resolve() : new Promise((resolve) => target.write(bytes, () => resolve()));
}
