// The part of `seal doctor` about age identities: which environments those at hand open, and who else can read their files.
// Runs no command of a variable, asks for no passphrase, and shows recipients and places, never key text.
import { resolve } from "node:path";
import { includesRecipient } from "../src/index.ts";
import { type DoctorLine, ok, warn } from "./doctor-line.ts";
import { identitySources } from "./identity-sources.ts";
import type { Io } from "./io.ts";
import { Keyring, type KeyringEntry } from "./keyring.ts";
import { shellQuote } from "./report.ts";
import type { Settings } from "./settings.ts";

export async function keyLines(io: Io, settings: Settings): Promise<readonly DoctorLine[]> {
  const environments = [...settings.config.environments.values()];
  const own = environments.map(({ name }) => ({ folder: settings.folder, environment: name }));
  const keyring = new Keyring(io, identitySources(io, { own }));
  await keyring.read({ late: false });
  const lines: DoctorLine[] = [];
  for (const { name, ageRecipients, kmsRecipients } of environments) {
    const isOpened = keyring.identities.some(({ recipient }) => includesRecipient(ageRecipients, recipient));
    if (isOpened) lines.push(ok("identity", `one at hand opens ${name}`));
    else if (kmsRecipients.length === 0)
      lines.push(warn("identity", `none at hand opens ${name}, unless an SSH key or a command does`, "seal keys"));
  }
  for (const { source, outcome } of keyring.entries) {
    if (outcome.kind === "locked") lines.push(ok("identity", `${source.name} is encrypted with a passphrase`));
    if (outcome.kind === "unusable")
      lines.push(warn("identity", `${source.name} is unusable: ${outcome.problem.message}`, "seal keys"));
  }
  return [...lines, ...(await modeLines(io, keyring.entries))];
}

/** Windows has no such bits. */
async function modeLines(io: Io, entries: readonly KeyringEntry[]): Promise<readonly DoctorLine[]> {
  if (io.platform === "win32") return [];
  const files = new Set<string>();
  for (const { source, outcome } of entries) {
    if (outcome.kind !== "found" && outcome.kind !== "locked") continue;
    if (source.origin === "usual") files.add(source.name);
    else if (source.name === "SOPS_AGE_KEY_FILE") files.add(io.env["SOPS_AGE_KEY_FILE"] ?? "");
  }
  const lines: DoctorLine[] = [];
  for (const file of files) {
    const mode = await io.fs.mode(resolve(io.cwd, file));
    if (mode === null || (mode & 0o077) === 0) continue;
    const bits = mode.toString(8).padStart(4, "0");
    lines.push(warn("identity", `${file} can be read by others (mode ${bits})`, `chmod 600 ${shellQuote(file)}`));
  }
  return lines;
}
