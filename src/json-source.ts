// A strict JSON reader that keeps the offsets of every token, so that changes can leave the rest of a file alone. Types
// values as SOPS does; knows nothing of its `sops` key and of writing.
import { SealwardError } from "./errors.ts";
import { floatBytes } from "./go-scalar.ts";
import type { Empty, Leaf, ListValue, MapValue, Pair } from "./store.ts";
import { maxDepth, placeIn } from "./text-source.ts";

interface Ended {
  /** Behind the last character. */
  readonly end: number;
}
export type JsonLeaf = Leaf & Ended;
export type JsonEmpty = Empty & Ended;
export interface JsonList extends ListValue, Ended {
  readonly items: readonly JsonValue[];
}
export interface JsonPair extends Pair {
  readonly value: JsonValue;
}
export interface JsonMap extends MapValue, Ended {
  readonly items: readonly JsonPair[];
}
export type JsonValue = JsonLeaf | JsonEmpty | JsonList | JsonMap;

const blanks = /[ \t\r\n]*/y;
const run = /[^"\\\u0000-\u001f]*/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const halfCharacter = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const maxInt64 = 2n ** 63n - 1n;

/** The object that a JSON file is. @throws not-json, duplicate-key, too-deep, sops-unsupported */
export function parseJson(text: string, file: string | undefined): JsonMap {
  const reader = new Reader(text, file);
  return reader.file();
}

class Reader {
  readonly #text: string;
  readonly #file: string | undefined;
  #at = 0;

  constructor(text: string, file: string | undefined) {
    this.#text = text;
    this.#file = file;
  }

  file(): JsonMap {
    this.#skip();
    if (this.#at === this.#text.length) throw this.#notJson("The file is empty: a JSON object was expected");
    const start = this.#at;
    if (this.#text[this.#at] !== "{") {
      this.#value(1);
      this.#at = start;
      throw this.#notJson("The file must be one JSON object, not a list or a single value");
    }
    const root = this.#map(1);
    this.#skip();
    if (this.#at < this.#text.length) throw this.#notJson("Something follows the JSON object");
    return root;
  }

  #value(depth: number): JsonValue {
    const first = this.#text[this.#at];
    if (first === "{") {
      const map = this.#map(depth);
      return map.items.length > 0 ? map : { kind: "empty", value: "map", offset: map.offset, end: map.end };
    }
    if (first === "[") return this.#list(depth);
    const offset = this.#at;
    if (first === '"') {
      const bytes = Buffer.from(this.#string());
      return { kind: "leaf", type: "str", bytes, offset, end: this.#at };
    }
    if (this.#takes("null")) return { kind: "empty", value: "null", offset, end: this.#at };
    if (this.#takes("true")) return { kind: "leaf", type: "bool", bytes: Buffer.from("True"), offset, end: this.#at };
    if (this.#takes("false")) return { kind: "leaf", type: "bool", bytes: Buffer.from("False"), offset, end: this.#at };
    return this.#number();
  }

  #map(depth: number): JsonMap {
    const offset = this.#open(depth);
    const items: JsonPair[] = [];
    const keys = new Set<string>();
    while (!this.#closes("}", items.length)) {
      const start = this.#at;
      if (this.#text[start] !== '"') throw this.#notJson("A key in double quotes was expected");
      const key = this.#string();
      if (keys.has(key))
        throw new SealwardError("duplicate-key", "A key appears twice in one object", this.#placeOf(start));
      keys.add(key);
      this.#skip();
      if (!this.#takes(":")) throw this.#notJson("A colon was expected behind the key");
      this.#skip();
      items.push({ kind: "pair", key, value: this.#value(depth + 1), offset: start });
    }
    return { kind: "map", items, offset, end: this.#at };
  }

  #list(depth: number): JsonValue {
    const offset = this.#open(depth);
    const items: JsonValue[] = [];
    while (!this.#closes("]", items.length)) items.push(this.#value(depth + 1));
    if (items.length === 0) return { kind: "empty", value: "list", offset, end: this.#at };
    return { kind: "list", items, offset, end: this.#at };
  }

  #open(depth: number): number {
    if (depth > maxDepth)
      throw new SealwardError(
        "too-deep",
        `The file is nested more than ${maxDepth} levels deep`,
        this.#placeOf(this.#at),
      );
    return this.#at++;
  }

  /** True at the closing bracket; otherwise the place is that of the next item, behind the comma. */
  #closes(bracket: "}" | "]", count: number): boolean {
    this.#skip();
    if (this.#takes(bracket)) return true;
    if (count === 0) return false;
    if (!this.#takes(",")) throw this.#notJson(`A comma or ${bracket} was expected`);
    this.#skip();
    return false;
  }

  #string(): string {
    const text = this.#text;
    const start = this.#at++;
    let hasEscapes = false;
    for (;;) {
      run.lastIndex = this.#at;
      run.test(text);
      this.#at = run.lastIndex;
      const next = text[this.#at];
      if (next === '"') break;
      if (next === undefined) throw this.#notJson("A text is not closed");
      if (next !== "\\") throw this.#notJson("A control character in a text must be escaped");
      escaped.lastIndex = this.#at;
      if (!escaped.test(text)) throw this.#notJson("An escape in a text is not JSON");
      this.#at = escaped.lastIndex;
      hasEscapes = true;
    }
    this.#at++;
    const value: string = hasEscapes ? JSON.parse(text.slice(start, this.#at)) : text.slice(start + 1, this.#at - 1);
    // Go reads each as U+FFFD: two texts would be one, and another than was written.
    if (hasEscapes && halfCharacter.test(value)) throw this.#notJson("An escape stands for half a character");
    return value;
  }

  #number(): JsonLeaf {
    const offset = this.#at;
    number.lastIndex = offset;
    if (!number.test(this.#text)) throw this.#notJson("A value was expected");
    this.#at = number.lastIndex;
    const source = this.#text.slice(offset, this.#at);
    const end = this.#at;
    if (/^-?[0-9]{1,19}$/.test(source)) {
      const value = BigInt(source);
      if (value >= -maxInt64 - 1n && value <= maxInt64)
        return { kind: "leaf", type: "int", bytes: Buffer.from(value.toString()), offset, end };
    }
    const value = Number(source);
    if (!Number.isFinite(value))
      throw new SealwardError("sops-unsupported", "A number is too large for SOPS", this.#placeOf(offset));
    return { kind: "leaf", type: "float", bytes: Buffer.from(floatBytes(value)), offset, end };
  }

  #takes(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #skip(): void {
    blanks.lastIndex = this.#at;
    blanks.test(this.#text);
    this.#at = blanks.lastIndex;
  }

  #placeOf(offset: number): ReturnType<typeof placeIn> {
    return placeIn(this.#text, offset, this.#file);
  }

  #notJson(message: string): SealwardError {
    return new SealwardError("not-json", message, this.#placeOf(this.#at));
  }
}
