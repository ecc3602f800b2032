// The text of a file, whatever its syntax: decoded strictly, bounded, with lines and columns for people. Knows no syntax.
import { decodeUtf8 } from "./bytes.ts";
import { type Place, SealwardError } from "./errors.ts";
import type { Clear, LoadOptions } from "./store.ts";

/** Deeper nesting is refused in every store. */
export const maxDepth = 100;

/** @throws too-large, not-utf8 (a byte order mark included: SOPS would take it for part of the first key) */
export function readText(bytes: Uint8Array, { file, maxBytes }: LoadOptions, defaultMaxBytes: number): string {
  const limit = maxBytes ?? defaultMaxBytes;
  if (bytes.length > limit)
    throw new SealwardError("too-large", `The file has ${bytes.length} bytes; at most ${limit} are read`, { file });
  const text = decodeUtf8(bytes);
  if (text === null) throw new SealwardError("not-utf8", "Cannot read the file: it is not UTF-8", { file });
  if (text.startsWith("\ufeff"))
    throw new SealwardError("not-utf8", "The file begins with a byte order mark; save it as UTF-8 without one", {
      file,
      line: 1,
      column: 1,
    });
  return text;
}

/** Line and column, both from 1, of an offset in UTF-16 units. */
export function placeIn(text: string, offset: number, file: string | undefined): Place {
  let line = 1;
  let start = 0;
  for (let next = text.indexOf("\n"); next >= 0 && next < offset; next = text.indexOf("\n", start)) {
    line++;
    start = next + 1;
  }
  return { file, line, column: offset - start + 1 };
}

/** What a text file ends its lines with. */
export function newlineOf(text: string): "\r\n" | "\n" {
  const first = text.indexOf("\n");
  return first > 0 && text[first - 1] === "\r" ? "\r\n" : "\n";
}

/** The text of a scalar in a store that knows texts only. @throws sops-unsupported where it is not UTF-8 */
export function plainText({ type, bytes }: Clear, name: string, file?: string | undefined): string {
  const text = decodeUtf8(bytes);
  if (text === null) throw new SealwardError("sops-unsupported", `${name} holds bytes that are no text`, { file });
  if (type === "bool") return text.toLowerCase();
  return type === "float" ? flatFloat(text) : text;
}

/** As SOPS writes a float in a flat file: Go's `G` of the fewest digits, and `.0` where it would look like an integer. */
function flatFloat(text: string): string {
  const value = Number(text);
  if (!Number.isFinite(value)) return text;
  const [mantissa = "", exponent = ""] = value.toExponential().split("e");
  const size = Number(exponent);
  const sign = Object.is(value, -0) ? "-" : "";
  if (size >= -4 && size < 6) return sign + String(value) + (Number.isInteger(value) ? ".0" : "");
  return `${mantissa}E${size < 0 ? "-" : "+"}${String(Math.abs(size)).padStart(2, "0")}`;
}
