// Reads a plain YAML scalar as Go's yaml.v3 does, which is how SOPS types a value and what its MAC is made of.
// Also says which plain scalars other readers (YAML 1.1, so the API server's) take for something else than a string.
// Rules and oracles: docs/format.md, "Scalars".

export type GoValue =
  | { readonly type: "null" }
  | { readonly type: "merge" }
  /** `bytes` is the canonical text that is encrypted and hashed. */
  | { readonly type: "str" | "int" | "float" | "bool" | "time"; readonly bytes: string }
  /** An integer that SOPS refuses: above int64, within uint64. */
  | { readonly type: "unsupported" };

const nulls = new Set(["", "~", "null", "Null", "NULL"]);
const trues = new Set(["true", "True", "TRUE"]);
const falses = new Set(["false", "False", "FALSE"]);
const notANumber = new Set([".nan", ".NaN", ".NAN"]);
const infinity = /^([-+]?)(?:\.inf|\.Inf|\.INF)$/;
const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const integer = /^([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/;
const timestamp =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:([Tt])(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d+)?(Z|[+-]\d{2}:\d{2}))|(?: (\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d+)?))?$/;
const yaml11Words = new Set([
  "y",
  "Y",
  "yes",
  "Yes",
  "YES",
  "n",
  "N",
  "no",
  "No",
  "NO",
  "on",
  "On",
  "ON",
  "off",
  "Off",
  "OFF",
]);
const base60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
const maxInt64 = 2n ** 63n - 1n;
const maxUint64 = 2n ** 64n - 1n;

/** Types the source of a plain (unquoted, untagged) scalar. */
export function resolveGoScalar(source: string): GoValue {
  if (nulls.has(source)) return { type: "null" };
  if (trues.has(source)) return { type: "bool", bytes: "True" };
  if (falses.has(source)) return { type: "bool", bytes: "False" };
  if (source === "<<") return { type: "merge" };
  if (notANumber.has(source)) return { type: "float", bytes: "NaN" };
  const infinite = infinity.exec(source);
  if (infinite !== null) return { type: "float", bytes: infinite[1] === "-" ? "-Inf" : "+Inf" };
  if (!/^[-+.0-9]/.test(source)) return { type: "str", bytes: source };
  const time = resolveTimestamp(source);
  if (time !== null) return { type: "time", bytes: time };
  return resolveNumber(source) ?? { type: "str", bytes: source };
}

/** True where some reader in the chain (Go v3, Go v2, YAML 1.1) takes the plain scalar for something else than a string. */
export function isAmbiguousString(source: string): boolean {
  // YAML 1.1 readers drop underscores after a leading dot, too.
  const bare = /^[-+.0-9]/.test(source) ? source.replaceAll("_", "") : source;
  return (
    resolveGoScalar(source).type !== "str" ||
    resolveGoScalar(bare).type !== "str" ||
    yaml11Words.has(source) ||
    base60.test(source)
  );
}

function resolveNumber(source: string): GoValue | null {
  const plain = source.startsWith(".") ? source : source.replaceAll("_", "");
  const match = integer.exec(plain);
  if (match !== null) {
    const value = integerValue(match[2] ?? "0") * (match[1] === "-" ? -1n : 1n);
    if (value >= -maxInt64 - 1n && value <= maxInt64) return { type: "int", bytes: value.toString() };
    if (/^[-+]?0[xXbBoO]/.test(plain)) return value > 0n && value <= maxUint64 ? { type: "unsupported" } : null;
    if (value > 0n && value <= maxUint64) return { type: "unsupported" };
  }
  if (!float.test(plain)) return null;
  const value = Number(plain);
  return Number.isFinite(value) ? { type: "float", bytes: floatBytes(value) } : null;
}

function integerValue(digits: string): bigint {
  if (/^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`);
  return BigInt(digits.toLowerCase());
}

/** Shortest round-trip decimal, never an exponent (Go's `strconv.FormatFloat(v, 'f', -1, 64)`). */
export function floatBytes(value: number): string {
  if (Object.is(value, -0)) return "-0";
  const [mantissa = "", exponentText] = String(value).split("e");
  if (exponentText === undefined) return mantissa;
  const exponent = Number(exponentText);
  const negative = mantissa.startsWith("-");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = whole + fraction;
  const point = whole.length + exponent;
  const text =
    point <= 0
      ? `0.${"0".repeat(-point)}${digits}`
      : `${digits.padEnd(point, "0").slice(0, point)}${digits.length > point ? `.${digits.slice(point)}` : ""}`;
  return negative ? `-${text}` : text;
}

/** RFC 3339 with nanoseconds where there are any, or null where Go does not take the text for a timestamp. */
function resolveTimestamp(source: string): string | null {
  const match = timestamp.exec(source);
  if (match === null) return null;
  const [, year, month, day, , h1, m1, s1, f1, zone, h2, m2, s2, f2] = match;
  const two = (text: string | undefined) => (text ?? "0").padStart(2, "0");
  const [hour, minute, second] = [two(h1 ?? h2), two(m1 ?? m2), two(s1 ?? s2)];
  const fraction = (f1 ?? f2 ?? "").slice(0, 10).replace(/\.?0+$/, "");
  const date = `${year}-${two(month)}-${two(day)}`;
  const valid = new Date(`${date}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(valid.getTime()) || valid.toISOString().slice(0, 10) !== date) return null;
  return `${date}T${hour}:${minute}:${second}${fraction}${zone === undefined || /^[+-]00:00$/.test(zone) ? "Z" : zone}`;
}
