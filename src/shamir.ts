// Splits a data key into the shares of several key groups, and joins them: Shamir's scheme over GF(2^8), polynomial 0x11b,
// byte by byte, in the layout that SOPS has from HashiCorp Vault: the bytes of the share, then its x.
import { randomBytes } from "node:crypto";

/** Exponentials and logarithms to the generator 3. */
const exponentials = new Uint8Array(255);
const logarithms = new Uint8Array(256);
for (let exponent = 0, value = 1; exponent < 255; exponent++) {
  exponentials[exponent] = value;
  logarithms[value] = exponent;
  value ^= (value << 1) ^ (value & 0x80 ? 0x11b : 0);
  value &= 0xff;
}

function multiply(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return exponentials[((logarithms[a] ?? 0) + (logarithms[b] ?? 0)) % 255] ?? 0;
}

function divide(a: number, b: number): number {
  if (a === 0) return 0;
  return exponentials[((logarithms[a] ?? 0) + 255 - (logarithms[b] ?? 0)) % 255] ?? 0;
}

/**
 * `count` shares, each one byte longer than the secret, of which any `threshold` give it back. The first has x = 1, as
 * SOPS numbers its groups. @throws RangeError unless 2 <= threshold <= count <= 255
 */
export function splitSecret(
  secret: Uint8Array,
  { count, threshold }: { readonly count: number; readonly threshold: number },
): Uint8Array[] {
  if (threshold < 2 || threshold > count || count > 255) throw new RangeError("2 <= threshold <= count <= 255");
  const coefficients = randomBytes(secret.length * (threshold - 1));
  const shares = Array.from({ length: count }, (_, index) => {
    const x = index + 1;
    const share = new Uint8Array(secret.length + 1);
    for (const [at, byte] of secret.entries()) {
      let y = 0;
      for (let degree = threshold - 2; degree >= 0; degree--)
        y = multiply(y, x) ^ (coefficients[at * (threshold - 1) + degree] ?? 0);
      share[at] = multiply(y, x) ^ byte;
    }
    share[secret.length] = x;
    return share;
  });
  coefficients.fill(0);
  return shares;
}

/** The secret, or null where the shares do not go together (lengths differ, an x is 0 or comes twice). Too few give nonsense. */
export function joinShares(shares: readonly Uint8Array[]): Uint8Array | null {
  const length = (shares[0]?.length ?? 0) - 1;
  const xs = shares.map((share) => share[length] ?? 0);
  if (length < 1 || shares.some((share) => share.length !== length + 1)) return null;
  if (xs.includes(0) || new Set(xs).size < xs.length) return null;
  const weights = xs.map((x) =>
    xs.reduce((product, other) => (other === x ? product : multiply(product, divide(other, other ^ x))), 1),
  );
  const secret = new Uint8Array(length);
  for (let at = 0; at < length; at++)
    for (const [index, share] of shares.entries())
      secret[at] = (secret[at] ?? 0) ^ multiply(weights[index] ?? 0, share[at] ?? 0);
  return secret;
}
