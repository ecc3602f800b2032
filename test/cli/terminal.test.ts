// A secret typed at a terminal: what the keys do, and that the terminal is left as it was.
import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { readSecret, type SecretInput } from "../../cli/terminal.ts";

class Keyboard extends EventEmitter implements SecretInput {
  readonly modes: boolean[] = [];
  readonly #typed: readonly (string | Uint8Array)[];

  constructor(typed: readonly (string | Uint8Array)[]) {
    super();
    this.#typed = typed;
  }

  setRawMode(raw: boolean): void {
    this.modes.push(raw);
  }

  resume(): this {
    for (const chunk of this.#typed) this.emit("data", chunk);
    this.emit("end");
    return this;
  }

  pause(): void {}
}

async function typing(...typed: (string | Uint8Array)[]): Promise<{ answer: Promise<string>; shown: string }> {
  const keyboard = new Keyboard(typed);
  let shown = "";
  const answer = readSecret(keyboard, (text) => (shown += text), "Passphrase: ");
  await answer.catch(() => undefined);
  expect(keyboard.modes).toEqual([true, false]);
  expect(keyboard.eventNames()).toEqual([]);
  return { answer, shown };
}

test.each<[string, (string | Uint8Array)[], string]>([
  ["one key at a time", ["a", "b", "\r"], "ab"],
  ["pasted, with a line after it", ["a b\nc\n"], "a b"],
  ["with backspace", ["ax\u007fb😀\b\r"], "ab"],
  ["begun again after ^U", ["wrong\u0015right\n"], "right"],
  ["with arrow keys", ["a\u001b[D\u001bOCb\n"], "ab"],
  ["up to ^D", ["ab\u0004"], "ab"],
  ["up to the end of the input", ["ab"], "ab"],
  ["in UTF-8 that is cut between two reads", [Buffer.from([0xc3]), Buffer.from([0xa9, 10])], "é"],
  ["not at all", ["\r"], ""],
])("a secret typed %s is read and not shown", async (_, typed, expected) => {
  const { answer, shown } = await typing(...typed);
  expect(await answer).toBe(expected);
  expect(shown).toBe("Passphrase: \n");
});

test("^C cancels, whatever was typed before", async () => {
  const { answer, shown } = await typing("abc\u0003\n");
  await expect(answer).rejects.toMatchObject({ code: "cancelled" });
  expect(shown).toBe("Passphrase: \n");
});
