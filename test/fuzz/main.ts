// Runs one target in a process of its own: a worker reads input after input, and this thread, which nothing blocks, sees to
// it that no input takes too long or too much memory. Prints one line of JSON; the input of a finding goes to a file.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { inputsOf } from "./inputs.ts";
import { maxBytes } from "./mutate.ts";
import { Random } from "./random.ts";
import { isRefusal, type Target, targets } from "./targets.ts";

const maxMs = 2000;
const maxRss = 512 * 1024 * 1024;
/** An input that still runs after this many times the limit is stopped: it hangs, whatever else the machine does. */
const patience = 10;

/** What both threads see: the input that is being read, also when the thread that reads it can say nothing. */
class Current {
  readonly buffer: SharedArrayBuffer;
  readonly #numbers: Float64Array;
  readonly #bytes: Uint8Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(24 + maxBytes)) {
    this.buffer = buffer;
    this.#numbers = new Float64Array(buffer, 0, 3);
    this.#bytes = new Uint8Array(buffer, 24);
  }

  begin(text: string): void {
    this.#numbers[2] = new TextEncoder().encodeInto(text, this.#bytes).written;
    this.#numbers[1] = Date.now();
    this.#numbers[0] = (this.#numbers[0] ?? 0) + 1;
  }

  end(): void {
    this.#numbers[1] = 0;
  }

  get count(): number {
    return this.#numbers[0] ?? 0;
  }

  /** Milliseconds since the reading began; 0 between readings. */
  get age(): number {
    const began = this.#numbers[1] ?? 0;
    return began === 0 ? 0 : Date.now() - began;
  }

  get input(): Uint8Array {
    return this.#bytes.slice(0, this.#numbers[2]);
  }
}

interface Job {
  readonly name: string;
  readonly seconds: number;
  readonly seed: number;
  readonly current: SharedArrayBuffer;
}

interface Report {
  readonly inputs: number;
  readonly refused: number;
  readonly slowest: { readonly ms: number; readonly input: string };
  /** What is wrong; absent where nothing was found. */
  readonly problem?: string | undefined;
}

async function work({ name, seconds, seed, current: buffer }: Job): Promise<Report> {
  const target = targets[name] as Target;
  const current = new Current(buffer);
  const inputs = await inputsOf(target, seed);
  let end = Number.POSITIVE_INFINITY;
  let slowest = { ms: 0, input: "" };
  let refused = 0;
  for (let number = 0; ; number++) {
    // The hostile ones take what they take.
    if (number === inputs.least) end = performance.now() + seconds * 1000;
    if (performance.now() > end) return { inputs: number, refused, slowest };
    const { label, text } = inputs.at(number);
    for (const read of target.reads) {
      const { ms, problem } = await timed(read, { text, seed: seed + number, current });
      if (ms > slowest.ms) slowest = { ms: Math.round(ms), input: label };
      if (isRefusal(problem)) refused++;
      else if (problem !== undefined) return { inputs: number + 1, refused, slowest, problem: stackOf(problem) };
      if (ms > maxMs) return { inputs: number + 1, refused, slowest, problem: `${label}: took ${Math.round(ms)} ms` };
    }
  }
}

/** The machine may do something else meanwhile: what counts is the processor's time, and what is slow three times. */
async function timed(
  read: Target["reads"][number],
  { text, seed, current }: { readonly text: string; readonly seed: number; readonly current: Current },
): Promise<{ readonly ms: number; readonly problem: unknown }> {
  let [ms, problem]: [number, unknown] = [Number.POSITIVE_INFINITY, undefined];
  for (let tries = 0; tries < 3 && ms > maxMs; tries++) {
    const start = performance.now();
    const used = process.cpuUsage();
    current.begin(text);
    problem = await read(text, new Random(seed)).then(
      () => undefined,
      (refusal: unknown) => refusal,
    );
    current.end();
    const { user, system } = process.cpuUsage(used);
    ms = Math.min(ms, performance.now() - start, (user + system) / 1000);
  }
  return { ms, problem };
}

const stackOf = (problem: unknown): string =>
  problem instanceof Error ? (problem.stack ?? problem.message) : String(problem);

async function watch(name: string, seconds: number, seed: number): Promise<void> {
  const current = new Current();
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { name, seconds, seed, current: current.buffer } satisfies Job,
    // The collector is made to work before the process is as large as it may be.
    resourceLimits: { maxOldGenerationSizeMb: 320, maxYoungGenerationSizeMb: 48 },
  });
  let peak = 0;
  const report = await new Promise<Partial<Report>>((resolve) => {
    const timer = setInterval(() => {
      const used = process.memoryUsage.rss();
      peak = Math.max(peak, used);
      if (used > maxRss) resolve({ problem: `took ${Math.round(used / 1024 / 1024)} MB` });
      else if (current.age > patience * maxMs) resolve({ problem: "did not end" });
    }, 20);
    timer.unref();
    worker.once("message", resolve);
    worker.once("error", (problem) => resolve({ problem: problem.stack ?? problem.message }));
  });
  const { input, count } = current;
  await worker.terminate();
  let saved: string | undefined;
  if (report.problem !== undefined) {
    saved = join(mkdtempSync(join(tmpdir(), "sealward-fuzz-")), "input");
    writeFileSync(saved, input);
  }
  const peakMb = Math.round(peak / 1024 / 1024);
  process.stdout.write(`${JSON.stringify({ inputs: count, ...report, peakMb, saved })}\n`);
}

const [name, seconds = "1", seed = "1"] = process.argv.slice(2);
if (!isMainThread) parentPort?.postMessage(await work(workerData as Job));
else if (name === undefined) process.stdout.write(`${JSON.stringify(Object.keys(targets))}\n`);
else await watch(name, Number(seconds), Number(seed));
