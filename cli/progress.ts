// A bar on stderr for work over many files that takes more than a second: only on a terminal, gone at the end, and never with
// the name of anything in it. Knows nothing of the work.
import type { Io } from "./io.ts";

export interface Progress {
  /** One more is done. */
  step(): Promise<void>;
  /** Clears the line. Call it however the work ends. */
  end(): Promise<void>;
}

/** What people wait for without wondering. */
const patienceMs = 1000;
/** Oftener than this nobody can read. */
const betweenMs = 100;
const width = 24;

/** `doing` is a verb for people, as in `checking`. */
export function startProgress(io: Io, doing: string, total: number): Progress {
  if (!io.stderr.isTty || io.isQuiet || io.env["TERM"] === "dumb") return silent;
  const start = io.now().getTime();
  let shown = Number.NEGATIVE_INFINITY;
  let done = 0;
  return {
    async step() {
      done++;
      const now = io.now().getTime();
      if (now - start < patienceMs || now - shown < betweenMs) return;
      shown = now;
      const filled = Math.floor((Math.min(done, total) / Math.max(total, 1)) * width);
      const bar = `${"#".repeat(filled)}${"-".repeat(width - filled)}`;
      // The cursor goes back to the start, so that a note takes the bar's place and does not stand behind it.
      await io.stderr.write(`${clear}${doing} [${bar}] ${done}/${total}\r`);
    },
    async end() {
      if (shown > Number.NEGATIVE_INFINITY) await io.stderr.write(clear);
      shown = Number.NEGATIVE_INFINITY;
    },
  };
}

const clear = "\r\u001b[K";
const silent: Progress = { step: async () => undefined, end: async () => undefined };
