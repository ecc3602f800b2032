// Asks for a secret at the terminal without showing what is typed. Knows nothing about what the secret is for.
import { openSync } from "node:fs";
import { ReadStream } from "node:tty";
import { SealwardError } from "../src/index.ts";

/** What is needed of a terminal's input. */
export interface SecretInput {
  setRawMode(raw: boolean): unknown;
  on(event: "data", listener: (chunk: Uint8Array | string) => void): unknown;
  on(event: "end" | "close" | "error", listener: () => void): unknown;
  off(event: "data", listener: (chunk: Uint8Array | string) => void): unknown;
  off(event: "end" | "close" | "error", listener: () => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/**
 * Asks at stdin if that is a terminal, else at the terminal the program was started from; null where there is neither. stdin
 * may be what a value comes in by. @throws cancelled
 */
export async function askSecret(process: NodeJS.Process, question: string): Promise<string | null> {
  const write = (text: string): void => void process.stderr.write(text);
  if (process.stdin.isTTY === true) return readSecret(process.stdin, write, question);
  const input = controllingTerminal(process.platform);
  if (input === null) return null;
  try {
    return await readSecret(input, write, question);
  } finally {
    input.destroy();
  }
}

function controllingTerminal(platform: string): ReadStream | null {
  try {
    return new ReadStream(openSync(platform === "win32" ? "\\\\.\\CONIN$" : "/dev/tty", "r+"));
  } catch {
    return null;
  }
}

/** One line of what is typed, backspace and ^U obeyed. The end of the input ends the line. @throws cancelled at ^C */
export async function readSecret(input: SecretInput, write: (text: string) => void, question: string): Promise<string> {
  input.setRawMode(true);
  write(question);
  const decoder = new TextDecoder();
  const line = new Line();
  const endings = ["end", "close", "error"] as const;
  let hear: (chunk: Uint8Array | string) => void = () => undefined;
  let end: () => void = () => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      end = resolve;
      hear = (chunk) => {
        const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
        const state = line.type(text);
        if (state === "ended") resolve();
        if (state === "cancelled")
          reject(new SealwardError("cancelled", "Cannot go on without the passphrase: the question was cancelled"));
      };
      input.on("data", hear);
      for (const event of endings) input.on(event, end);
      input.resume();
    });
    return line.text;
  } finally {
    input.off("data", hear);
    for (const event of endings) input.off(event, end);
    input.setRawMode(false);
    input.pause();
    write("\n");
  }
}

/** What a terminal in raw mode leaves to the program. */
class Line {
  #characters: string[] = [];

  get text(): string {
    return this.#characters.join("");
  }

  type(text: string): "open" | "ended" | "cancelled" {
    // What keys such as the arrows send is a sequence of characters, none of them typed.
    for (const character of text.replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|O?.)/g, "")) {
      if (character === "\r" || character === "\n" || character === "\u0004") return "ended";
      if (character === "\u0003") return "cancelled";
      if (character === "\u007f" || character === "\b") this.#characters.pop();
      else if (character === "\u0015") this.#characters = [];
      else if (character >= " ") this.#characters.push(character);
    }
    return "open";
  }
}
