// What the file system said, in our words. Knows nothing about what was to be done with the file.
import { type ErrorCode, SealwardError } from "../src/index.ts";

/** `code` is for what has no better one; `action` is a verb. Never quotes the system's message, only the name of its code. */
export function failure(cause: unknown, code: ErrorCode, action: string, path: string): SealwardError {
  if (cause instanceof SealwardError) return cause;
  const reason = (cause as NodeJS.ErrnoException).code ?? "unknown";
  if (reason === "ENOENT")
    return new SealwardError("file-missing", `Cannot ${action} "${path}": there is no such file or folder`);
  if (reason === "EEXIST") return new SealwardError("file-exists", `Cannot ${action} "${path}": it exists already`);
  if (reason === "EISDIR")
    return new SealwardError("file-unreadable", `Cannot ${action} "${path}": it is a folder, expected a file`);
  return new SealwardError(code, `Cannot ${action} "${path}": the system says ${reason}`);
}
