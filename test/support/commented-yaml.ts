// YAML documents with comments in all kinds of places, from a source of choices: `choose(n)` gives 0 to n - 1.
export type Choose = (bound: number) => number;

/** A stream of documents whose roots are maps; every comment (`# c0`, `# c1`, …) and every key has a text of its own. */
export function commentedYaml(choose: Choose, documents = 1): string {
  const writer = new Writer(choose);
  for (let index = 0; index < documents; index++) writer.document(index > 0);
  return writer.text;
}

class Writer {
  readonly #lines: string[] = [];
  readonly #choose: Choose;
  #count = 0;
  #comments = 0;

  constructor(choose: Choose) {
    this.#choose = choose;
  }

  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  document(follows: boolean): void {
    if (follows || this.#chance(4)) {
      this.#gap(0);
      this.#lines.push(`---${this.#behind()}`);
    }
    this.#gap(0);
    this.#map(0, 3, "");
    this.#gap(0);
  }

  #chance(oneIn: number): boolean {
    return this.#choose(oneIn) === 0;
  }

  #pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.#choose(values.length)] ?? values[0];
  }

  #comment(): string {
    return `# c${this.#comments++}`;
  }

  #behind(): string {
    return this.#chance(3) ? `  ${this.#comment()}` : "";
  }

  /** Empty lines and comments between what is indented by `column`. */
  #gap(column: number, least = 0): void {
    while (!this.#chance(2)) {
      const indent = Math.max(least, column + this.#pick([0, 0, 0, -2, -1, 1, 2, -column]));
      this.#lines.push(this.#chance(3) ? "" : `${" ".repeat(indent)}${this.#comment()}`);
    }
  }

  #map(column: number, depth: number, first: string): void {
    for (let index = 0, size = 1 + this.#choose(3); index < size; index++) {
      if (index > 0) this.#gap(column);
      const key = `k${this.#count++}`;
      const start = index === 0 && first !== "" ? first : " ".repeat(column);
      this.#value(`${start}${key}:`, column, { depth, inList: false });
    }
  }

  #list(column: number, depth: number, first: string): void {
    for (let index = 0, size = 1 + this.#choose(3); index < size; index++) {
      if (index > 0) this.#gap(column);
      const start = index === 0 && first !== "" ? first : " ".repeat(column);
      this.#value(`${start}-`, column, { depth, inList: true });
    }
  }

  #value(start: string, column: number, at: { readonly depth: number; readonly inList: boolean }): void {
    const { depth, inList } = at;
    const kind = this.#choose(depth > 0 ? 10 : 6);
    if (kind >= 6) {
      const isMap = kind >= 8;
      const inner = column + this.#pick(isMap || inList ? [2, 2, 1, 4] : [0, 2, 2, 4]);
      const sameLine = inList && this.#chance(2);
      if (!sameLine) {
        this.#lines.push(`${start}${this.#behind()}`);
        this.#gap(inner);
      }
      const first = sameLine ? `${start} ` : "";
      if (isMap) this.#map(sameLine ? column + 2 : inner, depth - 1, first);
      else this.#list(sameLine ? column + 2 : inner, depth - 1, first);
    } else if (kind === 5) this.#lines.push(`${start} ${this.#flow(column + 2, 2)}${this.#behind()}`);
    else if (kind === 4) {
      this.#lines.push(`${start} ${this.#pick(["|", ">-", "|+"])}${this.#behind()}`);
      this.#lines.push(`${" ".repeat(column + 2)}text # no comment`);
    } else if (kind === 3) {
      this.#lines.push(`${start}${this.#behind()}`);
      this.#gap(column + 2, column + 2);
      this.#lines.push(`${" ".repeat(column + 2)}text${this.#behind()}`);
    } else {
      const text = this.#pick(["x", "x y", '"q # no"', "'s'", `x\n${" ".repeat(column + 2)}y`]);
      this.#lines.push(`${start} ${text}${this.#behind()}`);
    }
  }

  #flow(column: number, depth: number): string {
    const isMap = this.#chance(2);
    const indent = " ".repeat(column);
    const space = () => {
      if (!this.#chance(2)) return " ";
      const line = this.#chance(3) ? `${indent}${this.#comment()}\n` : "";
      return `${this.#behind()}\n${this.#chance(5) ? "\n" : ""}${line}${indent}`;
    };
    let text = "";
    for (let index = this.#choose(4); index > 0; index--) {
      const value = depth > 0 && this.#chance(4) ? this.#flow(column + 2, depth - 1) : "x";
      text += `${space()}${isMap ? `k${this.#count++}: ` : ""}${value}${index > 1 || this.#chance(3) ? "," : ""}`;
    }
    return isMap ? `{${text}${space()}}` : `[${text}${space()}]`;
  }
}
