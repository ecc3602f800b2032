// The identities of a command: read source by source, as far as they are needed, with what became of each source. Asks for a
// passphrase where an identity file has one. Never shows key text, nor what a source holds instead of it.
import {
  type AgeIdentity,
  isEncryptedIdentityFile,
  openIdentityFile,
  parseAgeIdentities,
  SealwardError,
} from "../src/index.ts";
import { decodeText } from "./document.ts";
import type { IdentitySource } from "./identity-sources.ts";
import type { Io } from "./io.ts";
import { HintedError, safeText } from "./report.ts";

export type Outcome =
  | { readonly kind: "unread" }
  | { readonly kind: "absent" }
  | { readonly kind: "found"; readonly identities: readonly AgeIdentity[] }
  /** Encrypted with a passphrase that nobody was asked for yet. */
  | { readonly kind: "locked"; readonly bytes: Uint8Array }
  | { readonly kind: "unusable"; readonly problem: SealwardError };

export interface KeyringEntry {
  readonly source: IdentitySource;
  readonly outcome: Outcome;
}

const passphraseAttempts = 3;

export class Keyring {
  readonly #io: Io;
  #entries: readonly KeyringEntry[];

  constructor(io: Io, sources: readonly IdentitySource[]) {
    this.#io = io;
    this.#entries = sources.map((source) => ({ source, outcome: { kind: "unread" } }));
  }

  /** Every source in order, with what is known of it. */
  get entries(): readonly KeyringEntry[] {
    return this.#entries;
  }

  /** In the order of the sources. */
  get identities(): readonly AgeIdentity[] {
    return this.#entries.flatMap(({ outcome }) => (outcome.kind === "found" ? outcome.identities : []));
  }

  /** Reads the sources that cost nothing, or also the late ones. @throws what is wrong with one named by --identity */
  async read({ late }: { readonly late: boolean }): Promise<void> {
    const entries: KeyringEntry[] = [];
    for (const entry of this.#entries) {
      const isDue = entry.outcome.kind === "unread" && (late || !entry.source.isLate);
      entries.push(isDue ? await settled(entry.source, () => readSource(entry.source)) : entry);
    }
    this.#entries = entries;
  }

  /**
   * Goes on to what was spared so far: first the late sources, then one passphrase after the other. False once there is
   * nothing more; true when there are identities that were not there before. @throws as read; cancelled
   */
  async more(): Promise<boolean> {
    const before = this.identities.length;
    await this.read({ late: true });
    while (this.identities.length === before) {
      const locked = this.#entries.find(({ outcome }) => outcome.kind === "locked");
      if (locked?.outcome.kind !== "locked") return false;
      const { source, outcome } = locked;
      const unlocked = await settled(source, () =>
        this.#io.once(`unlock ${source.id}`, () => unlock(this.#io, source, outcome.bytes)),
      );
      this.#entries = this.#entries.map((entry) => (entry === locked ? unlocked : entry));
    }
    return true;
  }
}

async function readSource(source: IdentitySource): Promise<Outcome> {
  const bytes = await source.read();
  if (bytes === null) return { kind: "absent" };
  if (isEncryptedIdentityFile(bytes)) return { kind: "locked", bytes };
  const text = decodeText(bytes, source.name);
  return found(await parseAgeIdentities(source.form === "words" ? keyLines(text) : text, source.name));
}

const found = (identities: readonly AgeIdentity[]): Outcome => ({ kind: "found", identities });

/** What a person names in the command has to be right; what merely lies about may be of any kind. */
async function settled(source: IdentitySource, work: () => Promise<Outcome>): Promise<KeyringEntry> {
  try {
    return { source, outcome: await work() };
  } catch (problem) {
    const isOurs = problem instanceof SealwardError && problem.code !== "cancelled";
    if (!isOurs || source.origin === "named") throw problem;
    return { source, outcome: { kind: "unusable", problem } };
  }
}

async function unlock(io: Io, source: IdentitySource, bytes: Uint8Array): Promise<Outcome> {
  const refusal = (message: string): SealwardError =>
    new HintedError("identity-invalid", message, {
      hint: "run the command where you can type the passphrase, or hand over the identity without one: `SOPS_AGE_KEY_CMD`",
      file: source.name,
    });
  for (let attempt = 1; attempt <= passphraseAttempts; attempt++) {
    const again = attempt === 1 ? "" : " (the last one was wrong)";
    const passphrase = await io.askSecret(`Passphrase of ${safeText(source.name)}${again}: `);
    if (passphrase === null)
      throw refusal("It is encrypted with a passphrase, and there is no terminal to ask for it at");
    if (passphrase === "") throw refusal("It is encrypted with a passphrase, and none was given");
    const text = await openIdentityFile(bytes, passphrase);
    if (text !== null) return found(await parseAgeIdentities(text, source.name));
  }
  throw refusal(`It is encrypted with a passphrase, and ${passphraseAttempts} that were given are wrong`);
}

/** sops separates the keys of SOPS_AGE_KEY by any white space, so one line may hold several. */
function keyLines(text: string): string {
  return text
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .flatMap((line) => line.split(/\s+/))
    .filter((word) => word !== "")
    .join("\n");
}
