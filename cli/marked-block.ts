// The lines that `seal` keeps in a file of somebody else's (.gitattributes, a hook): between two marker lines, replaced and
// removed as a whole, everything around them kept byte for byte.
const start = "# >>> sealward: kept by `seal git install`";
const end = "# <<< sealward";

export interface BlockPlace {
  /** Where a new block goes: at the end, or after the first line (a hook's `#!`). Default: the end. */
  readonly after?: "first line" | "end";
}

/** The text with the block; null for `lines` removes it. Line breaks are those that the text has. */
export function withBlock(text: string, lines: readonly string[] | null, { after = "end" }: BlockPlace = {}): string {
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const block = lines === null ? "" : [start, ...lines, end].map((line) => `${line}${newline}`).join("");
  const present = new RegExp(`^${escaped(start)}\\r?\\n[\\s\\S]*?^${escaped(end)}(?:\\r?\\n|$)`, "m");
  if (present.test(text)) return text.replace(present, () => block);
  if (lines === null) return text;
  const whole = text === "" || text.endsWith("\n") ? text : `${text}${newline}`;
  if (after === "end") return whole + block;
  const at = whole.indexOf("\n") + 1;
  return whole.slice(0, at) + block + whole.slice(at);
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
