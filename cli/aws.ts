// AWS KMS for a command: as whom and where it is called, by the user's own configuration and the SDK's. Nothing of this comes
// from a repository. Loaded, and AWS asked, only where a file or an environment names a KMS key.
import { join, resolve } from "node:path";
import {
  type AwsCaller,
  type AwsKms,
  type AwsKmsOptions,
  type Kms,
  noUserConfig,
  parseUserConfig,
  SealwardError,
  type UserConfig,
} from "../src/index.ts";
import { decodeText } from "./document.ts";
import type { Governed } from "./environment.ts";
import { configFolder } from "./identity-sources.ts";
import type { Io } from "./io.ts";
import { isWithin } from "./paths.ts";
import { hinting, printNote } from "./report.ts";

/** `sweep` where many files are about to be opened or sealed: more patience. */
export type Load = NonNullable<AwsKmsOptions["load"]>;

/** A person waits for a few files, and a sweep for none of them to be lost. */
export function loadOf(files: readonly string[]): Load {
  return files.length > 16 ? "sweep" : "few";
}

/** KMS as the user calls it for an environment; null for a file that no seal.yaml governs. @throws config-invalid */
export async function kmsFor(io: Io, governed: Governed | null, load: Load = "few"): Promise<Kms> {
  return (await awsKms(io, load)).as(await callerFor(io, governed));
}

/** For wrapping: undefined where the environment lists no KMS key, and nothing has to be loaded. */
export async function kmsOf(io: Io, governed: Governed, load?: Load): Promise<Kms | undefined> {
  return governed.environment.kmsRecipients.length === 0 ? undefined : kmsFor(io, governed, load);
}

/**
 * As whom the keys of an environment are called. Any repository can name an environment `prod`: the user's own prod counts
 * where the seal.yaml lies in a folder that it was meant for, and a note says where it does not. @throws config-invalid
 */
export async function callerFor(io: Io, governed: Governed | null): Promise<AwsCaller> {
  if (governed === null) return {};
  const { environment, settings } = governed;
  const caller = (await userConfig(io)).aws.callers.get(environment.name);
  if (caller === undefined) return {};
  for (const folder of caller.folders) {
    const at = await io.fs.realPath(folder.startsWith("~/") ? join(io.home, folder.slice(2)) : folder);
    if (isWithin(at, settings.folder)) return caller;
  }
  await io.once(`no caller for ${environment.name} ${settings.folder}`, () =>
    printNote(io, `your configuration for ${environment.name} is not used: it is for ${caller.folders.join(", ")}`),
  );
  return {};
}

/** One for a command, however many files it is about: bounds and connections are shared. */
export function awsKms(io: Io, load: Load = "few"): Promise<AwsKms> {
  return io.once(`aws ${load}`, async () => {
    const { endpoint, stsEndpoint, useFips } = (await userConfig(io)).aws;
    return io.aws({ sessionName: sessionName(io), endpoint, stsEndpoint, useFips, load });
  });
}

/** The user's own file: `$SEAL_CONFIG`, or `sealward/config.yaml` in the configuration folder. */
export function userConfig(io: Io): Promise<UserConfig> {
  return io.once("user configuration", async () => {
    const named = io.env["SEAL_CONFIG"] ?? "";
    const file = named === "" ? join(configFolder(io), "sealward", "config.yaml") : resolve(io.cwd, named);
    try {
      const text = decodeText(await io.fs.read(file), file);
      return await hinting({ "config-invalid": "correct your own configuration at the place named" }, () =>
        parseUserConfig(text, file),
      );
    } catch (problem) {
      if (named === "" && problem instanceof SealwardError && problem.code === "file-missing") return noUserConfig;
      throw problem;
    }
  });
}

/** The run of a pipeline, or the person: what the audit trail of AWS is to show. */
export function sessionName({ env }: Pick<Io, "env">): string {
  const said = (name: string): string => env[name] ?? "";
  if (said("GITHUB_RUN_ID") !== "") return `seal-github-${said("GITHUB_RUN_ID")}-${said("GITHUB_REPOSITORY")}`;
  if (said("CI_PIPELINE_ID") !== "") return `seal-gitlab-${said("CI_PIPELINE_ID")}-${said("CI_PROJECT_PATH")}`;
  if (said("BUILD_TAG") !== "") return `seal-${said("BUILD_TAG")}`;
  const person = [said("USER"), said("LOGNAME"), said("USERNAME")].find((name) => name !== "");
  return `seal-${person ?? (said("CI") === "" ? "unknown" : "ci")}`;
}
