// Reads the members of a KMS request, which is JSON from outside. A member that no operation here looks at is refused, for
// to ignore it would answer another question than the one asked. Knows no operation.
import { NotModelledError, validation } from "./aws-errors.ts";
import type { EncryptionContext } from "./ciphertexts.ts";
import { isRecord } from "./policy-conditions.ts";

export class Parameters {
  readonly #operation: string;
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #read = new Set<string>();

  constructor(operation: string, body: string) {
    this.#operation = operation;
    this.#members = membersOf(body);
  }

  /** Call it when all is read: throws for members that nobody read. */
  assertAllRead(): void {
    for (const [name, value] of Object.entries(this.#members)) {
      const isEmpty = Array.isArray(value) && value.length === 0;
      if (!this.#read.has(name) && !isEmpty) throw new NotModelledError(`${name} of ${this.#operation}`);
    }
  }

  #take(name: string): unknown {
    this.#read.add(name);
    return this.#members[name] ?? undefined;
  }

  optionalText(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === "string") return value;
    throw new SerializationProblem(name);
  }

  text(name: string): string {
    const value = this.optionalText(name);
    if (value === undefined || value === "") throw constraint(name, "Member must not be null");
    return value;
  }

  flag(name: string): boolean {
    const value = this.#take(name) ?? false;
    if (typeof value === "boolean") return value;
    throw new SerializationProblem(name);
  }

  optionalNumber(name: string, least: number, most: number): number | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value !== "number") throw new SerializationProblem(name);
    if (value < least) throw constraint(name, `Member must have value greater than or equal to ${least}`);
    if (value > most) throw constraint(name, `Member must have value less than or equal to ${most}`);
    return value;
  }

  /** Base64 on the wire. */
  optionalBytes(name: string, least: number, most: number): Buffer | undefined {
    const text = this.optionalText(name);
    if (text === undefined) return undefined;
    const bytes = Buffer.from(text, "base64");
    if (bytes.length < least) throw constraint(name, `Member must have length greater than or equal to ${least}`);
    if (bytes.length > most) throw constraint(name, `Member must have length less than or equal to ${most}`);
    return bytes;
  }

  bytes(name: string, least: number, most: number): Buffer {
    const bytes = this.optionalBytes(name, least, most);
    if (bytes === undefined) throw constraint(name, "Member must not be null");
    return bytes;
  }

  context(name: string): EncryptionContext {
    const value = this.#take(name) ?? {};
    if (!isRecord(value)) throw new SerializationProblem(name);
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => {
        if (typeof entry !== "string") throw new SerializationProblem(name);
        return [key, entry];
      }),
    );
  }

  /** Present or not, it may have no value but these: the only ones there are for what is modelled. */
  only(name: string, ...accepted: readonly string[]): void {
    const value = this.optionalText(name);
    if (value !== undefined && !accepted.includes(value)) {
      throw new NotModelledError(`${name} ${value} of ${this.#operation}`);
    }
  }

  list(name: string): readonly unknown[] {
    const value = this.#take(name) ?? [];
    if (Array.isArray(value)) return value;
    throw new SerializationProblem(name);
  }
}

class SerializationProblem extends Error {
  constructor(name: string) {
    super(`${name} has the wrong JSON type, which no SDK sends`);
    this.name = "SerializationException";
  }
}

function membersOf(body: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(body === "" ? "{}" : body);
  if (isRecord(value)) return value;
  throw new SerializationProblem("the request");
}

function constraint(name: string, why: string): Error {
  const field = name.charAt(0).toLowerCase() + name.slice(1);
  return validation(`Value at '${field}' failed to satisfy constraint: ${why}`);
}
