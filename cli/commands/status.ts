// seal status: every sealed file of the repository with what it says of itself, those that need attention first. Opens nothing
// and changes nothing.
import type { Io } from "../io.ts";
import { listManifests } from "../listing.ts";
import { startProgress } from "../progress.ts";
import { hasColour, printDone, safeJson, safeText } from "../report.ts";
import { type SealedRow, sealedRow } from "../sealed-row.ts";
import { assertDefined, findSettings, SettingsCache } from "../settings.ts";
import { tableLines } from "../table.ts";

export interface StatusOptions {
  readonly env?: string;
  readonly output: "text" | "json";
}

/** @throws file-missing, config-invalid; environment-undefined for an --env that no seal.yaml has */
export async function status(io: Io, paths: readonly string[], options: StatusOptions): Promise<void> {
  const known = new SettingsCache();
  const settings = await findSettings(io, null, known);
  if (options.env !== undefined && settings !== null) assertDefined(settings.config, options.env);
  const files = await listManifests(io, paths.length === 0 ? ["."] : paths);
  const progress = startProgress(io, "looking", files.length);
  const rows: SealedRow[] = [];
  try {
    for (const file of files) {
      const row = await sealedRow(io, file, known);
      if (row !== null && (options.env === undefined || row.environment === options.env)) rows.push(row);
      await progress.step();
    }
  } finally {
    await progress.end();
  }
  const sorted = rows.sort((a, b) => urgency(b) - urgency(a) || (a.file < b.file ? -1 : 1));
  if (options.output === "json") await io.stdout.write(`${safeJson(sorted)}\n`);
  else for (const line of linesOf(io, sorted)) await io.stdout.write(`${line}\n`);
  const waiting = sorted.filter(({ attention }) => attention.length > 0).length;
  await printDone(io, `${sorted.length} sealed ${plural(sorted.length, "file")}, ${waiting} in need of attention`);
}

const plural = (count: number, word: string): string => (count === 1 ? word : `${word}s`);

/** What the gate refuses comes before what it only mentions. */
const urgency = ({ attention }: SealedRow): number =>
  attention.some(({ isRefusal }) => isRefusal) ? 2 : attention.length > 0 ? 1 : 0;

function linesOf(io: Io, rows: readonly SealedRow[]): string[] {
  if (rows.length === 0) return [];
  const [head = "", ...lines] = tableLines(
    ["FILE", "ENVIRONMENT", "SCOPE", "RECIPIENTS", "DATA KEY", "SEALED"],
    rows.map(cellsOf),
    io.stdout.columns,
  );
  const paint = painter(io);
  return [
    paint(1, head),
    ...rows.flatMap(({ attention }, index) => [
      lines[index] ?? "",
      ...attention.map(({ code, message, isRefusal }) =>
        paint(isRefusal ? 31 : 33, `  ! ${safeText(message)} (${code})`),
      ),
    ]),
  ];
}

/** With colours of a terminal, where stdout is to have them. */
function painter(io: Io): (colour: number, text: string) => string {
  return hasColour(io, "stdout") ? (colour, text) => `\u001b[${colour}m${text}\u001b[0m` : (_, text) => text;
}

function cellsOf(row: SealedRow): readonly string[] {
  const { file, environment, scope, recipients, missing, foreign, keyAgeDays, lastSealed } = row;
  const counts = [
    recipients === null ? "-" : String(recipients),
    ...(missing.length === 0 ? [] : [`${missing.length} missing`]),
    ...(foreign.length === 0 ? [] : [`${foreign.length} foreign`]),
  ];
  const age = keyAgeDays === null ? "unknown" : `${keyAgeDays} ${plural(keyAgeDays, "day")}`;
  return [file, environment ?? "-", scope ?? "-", counts.join(", "), age, lastSealed?.slice(0, 10) ?? "-"];
}
