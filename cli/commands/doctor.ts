// seal doctor: whether all that sealing, opening and reviewing need is in order here, line by line, each with the command that
// mends it. Opens no sealed file and changes nothing.
import { type EnvironmentPolicy, SealwardError } from "../../src/index.ts";
import { gitLines } from "../doctor-git.ts";
import { keyLines } from "../doctor-keys.ts";
import { examineKms, type KmsAnswer, kmsLines } from "../doctor-kms.ts";
import { type DoctorLine, fail, ok } from "../doctor-line.ts";
import { machineLines } from "../doctor-machine.ts";
import type { Io } from "../io.ts";
import { HintedError, hasColour, safeJson, safeText } from "../report.ts";
import { assertDefined, findSettings, type Settings } from "../settings.ts";

export interface DoctorOptions {
  readonly env?: string;
  readonly cluster?: boolean;
  readonly output: "text" | "json";
}

/** @throws check-failed where something is wrong; environment-undefined */
export async function doctor(io: Io, options: DoctorOptions): Promise<void> {
  const { settings, line } = await configuration(io);
  const asked = settings === null ? [] : askedFor(settings, options.env);
  const lines: DoctorLine[] = [
    line,
    ...(await gitLines(io)),
    ...(settings === null ? [] : await keyLines(io, settings)),
    ...(await machineLines(io, { cluster: options.cluster === true })),
  ];
  const kms = settings === null ? [] : await examineKms(io, settings, asked);
  if (options.output === "json") await io.stdout.write(`${safeJson({ lines, environments: kms })}\n`);
  else
    await io.stdout.write(
      [...lines.flatMap(textOf(io)), ...kms.flatMap(kmsTextOf)].map((text) => `${text}\n`).join(""),
    );
  const count = lines.filter(({ status }) => status === "fail").length + kms.flatMap(({ findings }) => findings).length;
  if (count === 0) return;
  throw new HintedError("check-failed", `The doctor found ${count} ${count === 1 ? "thing" : "things"} to correct`, {
    hint: "correct what is marked with `fail` or `!` above; docs/aws-kms.md says how for AWS",
  });
}

async function configuration(io: Io): Promise<{ readonly settings: Settings | null; readonly line: DoctorLine }> {
  try {
    const settings = await findSettings(io, null);
    if (settings === null) return { settings, line: fail("seal.yaml", "there is none for this folder", "seal init") };
    const { file, environments } = settings.config;
    return { settings, line: ok("seal.yaml", `${file} defines ${[...environments.keys()].join(", ")}`) };
  } catch (problem) {
    if (!(problem instanceof SealwardError)) throw problem;
    const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(":");
    return { settings: null, line: fail("seal.yaml", problem.message, `correct ${place === "" ? "it" : place}`) };
  }
}

const askedFor = ({ config }: Settings, name: string | undefined): readonly EnvironmentPolicy[] =>
  name === undefined ? [...config.environments.values()] : [assertDefined(config, name)];

const colours = { ok: 32, warn: 33, fail: 31 } as const;

const textOf =
  (io: Io) =>
  ({ about, status, message, mend }: DoctorLine): string[] => {
    const word = status.padEnd(5);
    const verdict = hasColour(io, "stdout") ? `\u001b[${colours[status]}m${word}\u001b[0m` : word;
    return [
      `${verdict} ${safeText(`${about}: ${message}`)}`,
      ...(mend === undefined ? [] : [`      mend: ${safeText(mend)}`]),
    ];
  };

/** An environment without KMS keys has nothing to say here, unless something is wrong with it. */
const kmsTextOf = (answer: KmsAnswer): string[] =>
  answer.callers.length + answer.keys.length + answer.findings.length === 0 ? [] : kmsLines(answer).map(safeText);
