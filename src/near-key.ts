// Which known key a mistyped one was meant to be. SOPS skips keys that it does not know, so that `path-regex` makes a rule
// match every file and `encrypted_regexp` another part of it: what is close to a key is taken for a mistake.

/** Names of the same thing at other places of SOPS: in its metadata, its key groups and its flags. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  azure_keyvault: ["azure_kv", "azure_key_vault", "azurekv"],
  hc_vault_transit_uri: ["hc_vault", "hc_vault_transit", "vault_uri", "vault"],
  hc_vault: ["hc_vault_transit_uri", "hc_vault_transit", "vault"],
  key_id: ["id"],
  vaultUrl: ["vault_url", "url"],
};

/**
 * The known key that `given` is too close to, or undefined: spelled with other case or marks (`pathRegex`), with a letter
 * or two wrong (`path_regexp`), cut off (`regex`), with a word more (`age_recipients`), or by its name at another place.
 */
export function nearestKey(given: string, known: readonly string[]): string | undefined {
  const plain = joined(given);
  const others = known.filter((name) => name !== given);
  return (
    others.find((name) => joined(name) === plain) ??
    others.find((name) => elsewhere[name]?.some((other) => joined(other) === plain)) ??
    closest(plain, others) ??
    others.find((name) => isPartOf(wordsOf(given), wordsOf(name)))
  );
}

function closest(plain: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((name) => ({ name, distance: distance(plain, joined(name)), allowed: joined(name).length < 6 ? 1 : 2 }))
    .filter(({ distance, allowed }) => distance <= allowed)
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.name;
}

/** The first or last words of a known key, or all of them among others. A word in its middle (`comment`) is anybody's. */
function isPartOf(given: readonly string[], known: readonly string[]): boolean {
  const [short, whole] = [given.join("_"), known.join("_")];
  return (
    (short.length > 2 && (whole.startsWith(`${short}_`) || whole.endsWith(`_${short}`))) ||
    `_${short}_`.includes(`_${whole}_`)
  );
}

const wordsOf = (name: string): string[] =>
  name
    .slice(0, 100)
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");

const joined = (name: string): string => wordsOf(name).join("");

/** Insertions, deletions, replacements and swaps of neighbours that make one text of the other. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= a.length; row++) {
    const current: number[] = [row];
    rows.push(current);
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (isSame ? 0 : 1),
          isSwap ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
  }
  return at(a.length, b.length);
}
