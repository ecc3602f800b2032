// Takes values out of a stream of bytes, as they are and as programs often write them, also where a value comes in two parts.
// What a program makes of a value otherwise, no filter finds.

/** Shorter values turn up by chance in almost any output. */
export const shortestRedacted = 4;

/** For one stream: chunk by chunk, null at the end; answers what may be shown so far. */
export function redactor(values: ReadonlyMap<string, Uint8Array>): (chunk: Uint8Array | null) => Uint8Array {
  const labels = new Map<string, string>();
  for (const [key, value] of values) {
    if (value.length < shortestRedacted) continue;
    // A shell drops line breaks at the end.
    const bare = Buffer.from(value)
      .toString("latin1")
      .replace(/[\r\n]+$/, "");
    const forms = [...formsOf(value), ...formsOf(Buffer.from(bare, "latin1"))];
    for (const form of forms) if (!labels.has(form)) labels.set(form, `[redacted ${key}]`);
  }
  // Of those that begin at one place, the longest.
  const needles = [...labels.keys()].sort((a, b) => b.length - a.length);
  const longest = needles[0]?.length ?? 0;
  if (longest === 0) return (chunk) => chunk ?? new Uint8Array();
  const pattern = new RegExp(needles.map((needle) => needle.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|"), "g");
  let held = "";
  return (chunk) => {
    const text = held + (chunk === null ? "" : Buffer.from(chunk).toString("latin1"));
    // From here on a needle may go on in what is still to come.
    const open = chunk === null ? text.length : Math.max(0, text.length - longest + 1);
    let shown = "";
    let at = 0;
    for (const { 0: found, index } of text.matchAll(pattern)) {
      if (index >= open) break;
      shown += text.slice(at, index) + Buffer.from(labels.get(found) ?? "").toString("latin1");
      at = index + found.length;
    }
    const end = Math.max(at, open);
    held = text.slice(end);
    return Buffer.from(shown + text.slice(at, end), "latin1");
  };
}

function formsOf(value: Uint8Array): string[] {
  const bytes = Buffer.from(value);
  const latin1 = (text: string): string => Buffer.from(text).toString("latin1");
  const text = bytes.toString("utf8");
  const isText = Buffer.from(text).equals(bytes);
  const base64 = bytes.toString("base64");
  return [
    bytes.toString("latin1"),
    base64,
    base64.replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    ...(isText
      ? [latin1(JSON.stringify(text).slice(1, -1)), latin1(encodeForm(text)), latin1(encodeURIComponent(text))]
      : []),
  ].filter((form) => form.length >= shortestRedacted);
}

const encodeForm = (text: string): string => new URLSearchParams([["", text]]).toString().slice(1);
