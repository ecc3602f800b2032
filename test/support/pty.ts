// A program on a real pseudo-terminal, as a person has it: `script` of util-linux makes one without a native module. What is
// waited for is output, never time; a session that hangs is ended by the test's own limit.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { onTestFinished } from "vitest";

/** False where there is no `script` of util-linux: other systems have another program of that name. */
export const hasPty: boolean =
  spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") === true;

export interface Terminal {
  /** Resolves once the text is on the screen after what was waited for before; gives all that came up to it. */
  expect(text: string | RegExp): Promise<string>;
  /** Types: `\r` is Enter, `\u0003` is ^C. */
  send(text: string): void;
  /** The exit status, and everything that was on the screen. */
  end(): Promise<{ readonly status: number | null; readonly screen: string }>;
}

export interface PtyOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

export function onPty(command: readonly string[], { cwd, env }: PtyOptions): Terminal {
  const line = command.map(quote).join(" ");
  const child: ChildProcessWithoutNullStreams = spawn("script", ["-qefc", line, "/dev/null"], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", SHELL: "/bin/sh", ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let screen = "";
  let seen = 0;
  let isEnded = false;
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const one of waiting) one();
  };
  child.stdout.on("data", (chunk: Buffer) => {
    screen += chunk.toString("utf8");
    look();
  });
  const ended = new Promise<number | null>((done) =>
    child.on("close", (status) => {
      isEnded = true;
      look();
      done(status);
    }),
  );
  return {
    expect: (text) =>
      new Promise((found, failed) => {
        const one = (): void => {
          const rest = screen.slice(seen);
          const match = typeof text === "string" ? rest.indexOf(text) : rest.search(text);
          if (match >= 0) {
            const length = typeof text === "string" ? text.length : (text.exec(rest)?.[0].length ?? 0);
            seen += match + length;
            waiting.delete(one);
            found(rest.slice(0, match + length));
          } else if (isEnded) {
            waiting.delete(one);
            failed(new Error(`ended without ${String(text)}:\n${screen}`));
          }
        };
        waiting.add(one);
        one();
      }),
    send: (text) => void child.stdin.write(text),
    end: async () => ({ status: await ended, screen }),
  };
}
