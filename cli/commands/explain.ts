// seal explain: says of a file who can open it, what of it is encrypted, and which line decided that. Needs no key, shows no
// value, and changes nothing.
import {
  type CreationRule,
  describeSops,
  explainRule,
  explainSelection,
  formatPath,
  isSopsFile,
  type RecipientEntry,
  readManifest,
  SealwardError,
  type SopsSource,
  selectedIn,
} from "../../src/index.ts";
import { documentIn, type Input, readInput } from "../document.ts";
import { type Claims, findGoverning, type Governed, isGoverned } from "../environment.ts";
import { ownerIn } from "../identities.ts";
import type { Io } from "../io.ts";
import { isManifest } from "../kinds.ts";
import { safeText } from "../report.ts";
import { findRule, findSopsConfig } from "../sops-config.ts";
import { type StoreFlags, sourceOf } from "../store-choice.ts";

export interface ExplainOptions extends StoreFlags {
  readonly env?: string;
  readonly config?: string;
}

export async function explain(io: Io, file: string, options: ExplainOptions): Promise<void> {
  const input = await readInput(io, file, "seal explain");
  const lines: string[] = [];
  const document = options.inputType === undefined && isManifest(input.bytes) ? documentIn(input) : null;
  const source = {
    ...sourceOf(input, options),
    ...(document === null ? {} : { bytes: Buffer.from(document.content) }),
  };
  const isSealed = isSopsFile(source);
  const sources = options.env === undefined ? {} : { env: options.env };
  const governed = (await isGoverned(io, input, sources))
    ? await findGoverning(io, input, claimsOf(input, isSealed), sources)
    : null;
  if (governed !== null) lines.push(`environment: ${governed.environment.name}, by ${governed.settings.config.file}`);
  if (isSealed) lines.push(...(await sealedLines(source, governed)));
  else if (governed !== null) lines.push(...(await futureLines(source, governed, document !== null)));
  else lines.push(...(await ruleLines(io, input, source, options)));
  for (const line of lines) await io.stdout.write(`${safeText(line)}\n`);
}

/** What a manifest says of itself; nothing for any other file, or for one that cannot be read as a Secret. */
function claimsOf(input: Input, sealed: boolean): Claims {
  if (!isManifest(input.bytes)) return { sealed };
  try {
    return readManifest(documentIn(input).content, input.name);
  } catch (problem) {
    if (problem instanceof SealwardError) return { sealed };
    throw problem;
  }
}

async function sealedLines(source: SopsSource, governed: Governed | null): Promise<string[]> {
  const { groups, threshold, rule, isStated, onlyEncrypted, lastModified, keyMade, version, values } =
    await describeSops(source);
  const config = governed?.settings.config;
  const whose = (entry: RecipientEntry) =>
    config === undefined
      ? ""
      : `, ${entry.kind === "age" || entry.kind === "kms" ? ownerIn(config, entry.id) : "a kind that seal.yaml cannot list"}`;
  return [
    ...(governed === null ? ["environment: none is confirmed, for no seal.yaml governs the file"] : []),
    `sealed: ${source.store}, SOPS ${version}, last modified ${lastModified}`,
    keyMade === null
      ? "data key: the file does not say when it was made"
      : `data key: made ${keyMade}, by what the file says`,
    ...(groups.length > 1 ? [`key groups: ${threshold} of ${groups.length} open the file`] : []),
    ...groups.flatMap((group, index) =>
      group.map((entry) => {
        const where = groups.length > 1 ? `group ${index + 1}, ` : "";
        return `recipient: ${where}${entry.kind} ${shortened(entry.id)}, from the file${whose(entry)}`;
      }),
    ),
    `rule: ${explainSelection(rule)}, ${isStated ? "stated in the file" : "for the file states none"}`,
    ...(onlyEncrypted ? ["mac: covers encrypted values only"] : []),
    ...valueLines(values),
  ];
}

/** What sealing would do under a seal.yaml. */
async function futureLines(source: SopsSource, governed: Governed, isSecret: boolean): Promise<string[]> {
  const { environment, settings } = governed;
  return [
    "sealed: no",
    ...environment.ageRecipients.map(
      (recipient) =>
        `recipient: age ${shortened(recipient)}, from ${settings.config.file}, ${ownerIn(settings.config, recipient)}`,
    ),
    ...environment.kmsRecipients.map(
      (arn) => `recipient: kms ${shortened(arn)}, from ${settings.config.file}, ${ownerIn(settings.config, arn)}`,
    ),
    isSecret
      ? `rule: all of data and stringData, and the binding; scope ${environment.defaultScope}`
      : `rule: ${explainSelection(null)}, unless a flag names another`,
    ...(isSecret ? [] : valueLines(await selectedIn(source, null))),
  ];
}

/** What .sops.yaml would do. */
async function ruleLines(io: Io, input: Input, source: SopsSource, options: ExplainOptions): Promise<string[]> {
  const name = options.filenameOverride ?? (input.path === null ? null : input.name);
  const found = await findSopsConfig(io, name, { flag: options.config, settings: null });
  const rule = found === null || name === null ? null : await findRule(io, found, name);
  if (found === null || rule === null)
    return ["sealed: no", "recipient: none, for neither a seal.yaml nor a creation rule of .sops.yaml says who"];
  return ["sealed: no", ...ruleText(rule), ...valueLines(await selectedIn(source, rule.selection))];
}

function ruleText(rule: CreationRule): string[] {
  const { rule: name, place, because, groups, needed, selection, mac, unused } = explainRule(rule);
  const at = ({ file, line }: typeof place) => [file, line].filter((part) => part !== undefined).join(":");
  return [
    `decided by: ${name} at ${at(place)}: ${because}`,
    ...groups.flatMap(({ keys }) =>
      keys.map((key) =>
        [`recipient: ${key.kind} ${shortened(key.id)}`, ...key.details, `from ${key.from} at ${at(key.place)}`].join(
          ", ",
        ),
      ),
    ),
    `needed to open: ${needed}`,
    `rule: ${selection}`,
    `mac: ${mac}`,
    ...unused.map(({ text, place: where }) => `without effect: ${text} at ${at(where)}`),
  ];
}

function valueLines(values: Awaited<ReturnType<typeof selectedIn>>): string[] {
  return values.map(({ path, encrypted }) => `${encrypted ? "encrypted" : "clear"}: ${formatPath(path)}`);
}

/** Post-quantum recipients fill a screen. */
const shortened = (id: string): string => (id.length > 100 ? `${id.slice(0, 40)}…` : id);
