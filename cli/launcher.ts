// What `seal` starts with: hands over to the program beside it, with the bytecode that the build left beside that
// (docs/decisions/0003). Of commands it knows `--version` alone.
import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Script } from "node:vm";
import { version } from "./version.ts";

/** Bytecode is code: it is read from the program's own folder, never from one that others may write to. */
const program = join(__dirname, "seal-main.cjs");
const bytecode = join(__dirname, "seal-main.bin");

if (!printsVersion(process.argv.slice(2))) start();

/** False where stdout does not take it just now: the program knows what to do then. */
function printsVersion([flag, ...others]: readonly string[]): boolean {
  if ((flag !== "--version" && flag !== "-V") || others.length > 0) return false;
  try {
    return writeSync(1, `${version}\n`) > 0;
  } catch {
    return false;
  }
}

function start(): void {
  // The build writes ASCII, which is read at once and kept in half the memory.
  const source = readFileSync(program, "latin1");
  const cachedData = bytecodeOf(source.slice(0, source.indexOf("\n")));
  const script = new Script(source, { filename: program, ...(cachedData === null ? {} : { cachedData }) });
  script.runInThisContext()(require, __dirname);
}

/**
 * Null without a file, and where it was made from another program or by another Node: V8 looks at the length of the source
 * and at its own version only, and what it rejects for these it compiles anew.
 */
function bytecodeOf(build: string): Buffer | null {
  try {
    const bytes = readFileSync(bytecode);
    const made = `${build} ${process.version} ${process.arch}\n`;
    return bytes.toString("latin1", 0, made.length) === made ? bytes.subarray(made.length) : null;
  } catch {
    return null;
  }
}
