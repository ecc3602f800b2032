// Loaded into the real program before anything else (`node --require`): counts its calls of the file system, and at one of them
// ends the process with SIGKILL, before or after the call, or has the call fail. What it counted goes to a file.
"use strict";
const fs = require("node:fs");
const { writeFileSync } = fs;
const at = Number(process.env.SEAL_FAULT_AT ?? 0);
const when = process.env.SEAL_FAULT_WHEN ?? "count";
const code = process.env.SEAL_FAULT_CODE ?? "EIO";
const log = process.env.SEAL_FAULT_LOG;
for (const name of ["SEAL_FAULT_AT", "SEAL_FAULT_WHEN", "SEAL_FAULT_CODE", "SEAL_FAULT_LOG"]) delete process.env[name];

const changing = new Set([
  "chmod",
  "copyFile",
  "fchmod",
  "fdatasync",
  "fsync",
  "ftruncate",
  "link",
  "mkdir",
  "mkdtemp",
  "rename",
  "rm",
  "rmdir",
  "symlink",
  "truncate",
  "unlink",
  "write",
  "writeFile",
  "writev",
  "sync",
  "datasync",
  "close",
]);
const reading = new Set([
  "access",
  "lstat",
  "open",
  "opendir",
  "read",
  "readFile",
  "readdir",
  "readlink",
  "realpath",
  "stat",
  "fstat",
]);
const isWriting = (name, parameters) =>
  name === "open" ? /[wa+]|[0-9]/.test(String(parameters[1] ?? "r")) && parameters[1] !== "r" : changing.has(name);

const seen = [];
let hit = false;
/** Above 0 within a call that is made of others, as reading a whole file is: those are not the program's. */
let depth = 0;
function call(name, parameters, work) {
  // Streams are nobody's file.
  if (depth > 0 || (typeof parameters[0] === "number" && parameters[0] <= 2)) return work();
  const isChanging = isWriting(name, parameters);
  seen.push({ name, isChanging });
  const isHere = seen.length === at && !hit;
  if (!isHere || when === "count") return work();
  hit = true;
  if (when === "before") process.kill(process.pid, "SIGKILL");
  if (when === "error") {
    const problem = Object.assign(new Error(`${code}: made to fail`), { code, syscall: name });
    return "async" in work ? Promise.reject(problem) : raise(problem);
  }
  const outcome = work();
  if (typeof outcome?.then !== "function") process.kill(process.pid, "SIGKILL");
  return outcome.then((value) => {
    process.kill(process.pid, "SIGKILL");
    return value;
  });
}
function within(work) {
  depth++;
  try {
    return work();
  } finally {
    depth--;
  }
}
function raise(problem) {
  throw problem;
}

for (const base of [...changing, ...reading]) {
  const name = `${base}Sync`;
  const original = fs[name];
  if (typeof original !== "function") continue;
  fs[name] = Object.assign(
    (...parameters) => call(base, parameters, () => within(() => original.apply(fs, parameters))),
    original,
  );
}

function wrap(target, name) {
  const original = target[name];
  if (typeof original !== "function") return;
  target[name] = function wrapped(...parameters) {
    return call(
      name,
      target === fs.promises ? parameters : ["", ...parameters],
      Object.assign(() => original.apply(this, parameters), { async: true }),
    );
  };
}
for (const name of [...changing, ...reading]) wrap(fs.promises, name);
// The methods of an open file stand on a class that is reached by one only.
const { open } = fs.promises;
let isWrapped = false;
fs.promises.open = async (...parameters) => {
  const handle = await open(...parameters);
  if (!isWrapped) {
    isWrapped = true;
    const prototype = Object.getPrototypeOf(handle);
    for (const name of [
      "chmod",
      "close",
      "read",
      "readFile",
      "stat",
      "sync",
      "datasync",
      "truncate",
      "write",
      "writeFile",
    ])
      wrap(prototype, name);
  }
  return handle;
};

if (log !== undefined) process.on("exit", () => writeFileSync(log, JSON.stringify(seen)));
