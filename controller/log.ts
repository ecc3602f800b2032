// JSON lines for operators: a constant message and fields from a fixed list. Error messages, conditions and objects are
// not on the list on purpose: what is written here cannot carry a value that was sealed.

const fieldNames = [
  "namespace",
  "name",
  "environment",
  "code",
  "kind",
  "resource",
  "count",
  "attempt",
  "delayMs",
  "workers",
  "server",
  "signal",
  "error",
  "at",
] as const;

export type LogFields = { readonly [field in (typeof fieldNames)[number]]?: string | number | undefined };

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** `write` takes one line with its line end. Fields outside the list are dropped even if the compiler was got around. */
export function createLog(write: (line: string) => void, now: () => number): Log {
  const line =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const allowed = fieldNames.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]]]));
      write(
        `${JSON.stringify({ time: new Date(now()).toISOString(), level, message, ...Object.fromEntries(allowed) })}\n`,
      );
    };
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

/** What may be said about an error nobody expected: its class and where it was thrown, never its message. */
export function describeUnexpected(error: unknown): { readonly error: string; readonly at?: string } {
  if (!(error instanceof Error)) return { error: typeof error };
  const at = error.stack
    ?.split("\n")
    .find((line) => /^\s+at /.test(line))
    ?.trim();
  return at === undefined ? { error: error.name } : { error: error.name, at };
}
