// A sealed file as `git diff` shows it: each value by a fingerprint of its ciphertext, each recipient's entry by one line. Text
// in, text out, without a key and without a parser, so that it is quick and cannot fail. What is not sealed stays as it is.
// None of the patterns can begin anew within what it matches: a text that is made to be slow is not.
const enc = /ENC\[AES256_GCM,data:[^[\]\s]*\]/g;
const armor = /-----BEGIN AGE ENCRYPTED FILE-----[A-Za-z0-9+/=\s\\]*-----END AGE ENCRYPTED FILE-----/g;
/** The wrapped data key of a KMS entry, in one line of base64. */
const blob = /(["']?\benc["']?\s*[:=]\s*["']?)([A-Za-z0-9+/]{64,}={0,2})/g;
/**
 * Equal for equal ciphertext: a value that nobody changed keeps its own until the file gets a new data key. `sha256` gives hex;
 * it comes from outside, because most that starts with this file needs no hash at all.
 */
export function textconv(text: string, sha256: (text: string) => string): string {
  if (!text.includes("ENC[AES256_GCM,") || !text.includes("sops")) return text;
  const named = (kind: string, found: string): string => `${kind}#${sha256(found).slice(0, 8)}`;
  return text
    .replace(enc, (found) => named("sealed", found))
    .replace(armor, (found) => named("wrapped", found))
    .replace(blob, (_, start: string, found: string) => start + named("wrapped", found));
}
