// Starts the released moto server, as another opinion on what KMS answers, and stops it again.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findTool } from "../available.ts";
import { freePort, RunningProgram } from "../kube/real-process.ts";

export interface RunningMoto {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** It loads for some seconds; on a busy machine, for more. */
const patience = 60_000;

async function answers(endpoint: string): Promise<boolean> {
  try {
    return (await fetch(`${endpoint}/moto-api/data.json`)).ok;
  } catch {
    return false;
  }
}

export async function startMoto(): Promise<RunningMoto> {
  const binary = findTool("moto_server");
  if (binary === null) throw new Error("moto_server is not here");
  const folder = mkdtempSync(join(tmpdir(), "sealward-moto-"));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const program = new RunningProgram({
    binary,
    args: ["-H", "127.0.0.1", "-p", String(port)],
    logFile: join(folder, "moto.log"),
  });
  const stop = async (): Promise<void> => {
    await program.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const end = Date.now() + patience;
    while (!(await answers(endpoint))) {
      program.assertRunning();
      if (Date.now() > end) throw new Error(`moto_server does not answer within ${patience} ms`);
      await delay(50);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, stop };
}
