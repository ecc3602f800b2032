// What `seal` starts with: hands over to the program beside it, with the bytecode that the build left beside that
// (docs/decisions/0003). Of commands it knows `--version` and what Git runs for every file of a diff; that some are always
// answered alike, as help is, by a text that the build left; and that a shell which asks what to complete is answered by a file of
// its own.
import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Script } from "node:vm";
import { textconv } from "./textconv.ts";
import { version } from "./version.ts";

const argv = process.argv.slice(2);
if (argv[0] === "__complete") require(join(__dirname, "seal-complete.cjs"));
else if (!printsVersion(argv) && !printsAnswer(argv) && !showsFile(argv)) start();

/** False for what is not always answered alike, and where the text is not there, or stdout does not take all of it just now. */
function printsAnswer(words: readonly string[]): boolean {
  const [first = "", last = ""] = [words[0], words.at(-1)];
  if (!["help", "completion"].includes(first) && last !== "--help" && last !== "-h") return false;
  try {
    const answers = JSON.parse(readFileSync(join(__dirname, "answers.json"), "utf8")) as Record<string, string>;
    const name = words.join(" ");
    const answer = Object.hasOwn(answers, name) ? answers[name] : undefined;
    if (answer === undefined || words.some((word) => word.includes(" "))) return false;
    return writesWhole(Buffer.from(answer));
  } catch {
    return false;
  }
}

/** Once something is written the rest must follow, or the program would say it all again. */
function writesWhole(bytes: Uint8Array): boolean {
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(1, bytes, written);
    } catch (problem) {
      const { code } = problem as NodeJS.ErrnoException;
      if (written === 0) return false;
      if (code !== "EAGAIN") process.exit(code === "EPIPE" ? 141 : 6);
    }
  }
  return true;
}

/** False where stdout does not take it just now: the program knows what to do then. */
function printsVersion([flag, ...others]: readonly string[]): boolean {
  if ((flag !== "--version" && flag !== "-V") || others.length > 0) return false;
  try {
    return writeSync(1, `${version}\n`) > 0;
  } catch {
    return false;
  }
}

/** False where anything is out of the ordinary: the program knows what to say then. */
function showsFile([group, command, ...words]: readonly string[]): boolean {
  // As `seal git install` has Git call it: what follows the two dashes is a file, whatever it is called.
  const [dashes, file, ...others] = words;
  if (group !== "git" || command !== "textconv" || dashes !== "--" || file === undefined || others.length > 0)
    return false;
  let bytes: Buffer;
  try {
    const { createHash } = require("node:crypto") as typeof import("node:crypto");
    const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
    bytes = Buffer.from(textconv(readFileSync(file, "latin1"), sha256), "latin1");
  } catch {
    return false;
  }
  return writesWhole(bytes);
}

type Main = (load: (file: string) => unknown, folder: string) => void;
type Chunk = (load: NodeRequire, module: { exports: object }) => void;

function start(): void {
  const path = join(__dirname, "seal-main");
  const main = compiled(path, readFileSync(`${path}.cjs`, "latin1")) as Main;
  // The SDK of AWS is as large as all of seal, and is loaded the same way.
  main((file) => (file === "./aws-sdk.cjs" ? chunk(join(__dirname, "aws-sdk")) : require(file)), __dirname);
}

const chunks = new Map<string, { exports: object }>();

/** A module beside the program, which others load with `require`: once, as that does. Its first line is the name of its build. */
function chunk(path: string): object {
  const known = chunks.get(path);
  if (known !== undefined) return known.exports;
  const source = readFileSync(`${path}.cjs`, "latin1");
  const start = source.indexOf("\n") + 1;
  const text = `${source.slice(0, start)}(function (require, module) {${source.slice(start)}})`;
  const module = { exports: {} };
  chunks.set(path, module);
  (compiled(path, text) as Chunk)(require, module);
  return module.exports;
}

/**
 * The function that a text of ours is, with the bytecode beside the file. Bytecode is code: it is read from the program's own
 * folder, never from one that others may write to. The build writes ASCII, which is read at once and kept in half the memory.
 */
function compiled(path: string, text: string): unknown {
  const cachedData = bytecodeOf(`${path}.bin`, text.slice(0, text.indexOf("\n")));
  const script = new Script(text, { filename: `${path}.cjs`, ...(cachedData === null ? {} : { cachedData }) });
  return script.runInThisContext();
}

/**
 * Null without a file, and where it was made from another program or by another Node: V8 looks at the length of the source
 * and at its own version only, and what it rejects for these it compiles anew.
 */
function bytecodeOf(file: string, build: string): Buffer | null {
  try {
    const bytes = readFileSync(file);
    const made = `${build} ${process.version} ${process.arch}\n`;
    return bytes.toString("latin1", 0, made.length) === made ? bytes.subarray(made.length) : null;
  } catch {
    return null;
  }
}
