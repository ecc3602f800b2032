// Short names for values that must not be shown: equal for equal values within one run of the program, and worth nothing
// outside it.
import { createHmac, randomBytes } from "node:crypto";

/** Eight hexadecimal digits of an HMAC under a key that is made now and never written anywhere. */
export function fingerprints(): (value: Uint8Array) => string {
  const key = randomBytes(32);
  return (value) => createHmac("sha256", key).update(value).digest("hex").slice(0, 8);
}
