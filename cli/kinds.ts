// What a file is, by a look at its text: a Kubernetes manifest or something else. Only chooses the better answer: what a
// Secret is, and that none passes for another file, is decided in the library.

/** Whether the text is, or was meant as, a Kubernetes manifest: one with a kind of its own, or the fields of a Secret. */
export function isManifest(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, longest)).toString("utf8");
  const has = (name: string): boolean => fieldOf(name, text.trimStart().startsWith("{")).test(text);
  return has("stringData") || (has("kind") && (has("apiVersion") || has("metadata"))) || kindSecret.test(text);
}

/** A manifest's own fields come first; what is longer than this is data. */
const longest = 8 * 1024 * 1024;
const kindSecret = /^\s*["']?kind["']?\s*:\s*["']?(?:Secret|BoundSecret)\b/m;

function fieldOf(name: string, isJson: boolean): RegExp {
  return isJson ? new RegExp(`["']${name}["']\\s*:`) : new RegExp(`^(?:---\\s+)?["']?${name}["']?\\s*:`, "m");
}
