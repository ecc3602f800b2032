// Mends what can be mended without a question: a file of its own with a Secret in the clear, whose environment is certain, is
// sealed in place. Everything else is left to a person.
import { SealwardError } from "../../src/index.ts";
import { encrypt } from "../commands/encrypt.ts";
import type { Io } from "../io.ts";
import { printNote } from "../report.ts";
import type { Finding } from "./finding.ts";

/** The files that were sealed. */
export async function fixFindings(io: Io, findings: readonly Finding[]): Promise<ReadonlySet<string>> {
  const fixed = new Set<string>();
  const files = new Set(findings.filter(({ status }) => status === "unsealed").map(({ file }) => file));
  for (const file of files) {
    try {
      await encrypt(io, [file], { inPlace: true });
      fixed.add(file);
    } catch (problem) {
      if (!(problem instanceof SealwardError)) throw problem;
      await printNote(io, `not sealed: ${file}: ${problem.message} (${problem.code})`);
    }
  }
  return fixed;
}
