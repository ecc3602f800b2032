// One child process of the real test cluster: started with its output in a file, gone when told so or when we exit.
// Knows nothing of Kubernetes.
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";

export interface Program {
  readonly binary: string;
  readonly args: readonly string[];
  readonly logFile: string;
}

export class RunningProgram {
  readonly #program: Program;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #onExit = (): void => {
    this.#child.kill("SIGKILL");
  };

  constructor(program: Program) {
    this.#program = program;
    const log = openSync(program.logFile, "a", 0o600);
    this.#child = spawn(program.binary, program.args, { stdio: ["ignore", log, log] });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
      this.#child.once("error", () => resolve());
    });
    // A test run that is cut short leaves no servers behind; first, because their folder goes next.
    process.prependOnceListener("exit", this.#onExit);
  }

  /** Throws, with the end of its output, if it is no longer running. */
  assertRunning(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined) return;
    const tail = readFileSync(this.#program.logFile, "utf8").split("\n").slice(-15).join("\n");
    throw new Error(`${this.#program.binary} ended: ${tail}`);
  }

  /** Ends it without ceremony: nothing it has not yet written is worth waiting for. */
  async kill(): Promise<void> {
    process.off("exit", this.#onExit);
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
