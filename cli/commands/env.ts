// seal env manifest: the Environment resource for the cluster's admin, from what seal.yaml says about an environment.
// What the cluster trusts from then on is the resource, not the repository.
import { SealwardError } from "../../src/index.ts";
import { configMissing } from "../environment.ts";
import type { Io } from "../io.ts";
import { UsageError } from "../report.ts";
import { assertDefined, findSettings } from "../settings.ts";
import { environmentManifest } from "../yaml-text.ts";

export interface EnvManifestOptions {
  readonly namespace?: readonly string[];
}

export async function envManifest(io: Io, name: string, options: EnvManifestOptions): Promise<void> {
  const settings = await findSettings(io, null);
  if (settings === null) throw configMissing("Cannot print the Environment", "seal.yaml");
  const { config } = settings;
  const policy = assertDefined(config, name);
  const foreign =
    policy.namespaces.length === 0 ? undefined : options.namespace?.find((asked) => !policy.namespaces.includes(asked));
  if (foreign !== undefined) {
    throw new SealwardError(
      "environment-mismatch",
      `Cannot let "${name}" govern the namespace "${foreign}": seal.yaml gives it ${policy.namespaces.join(", ")}`,
    );
  }
  const namespaces = options.namespace ?? policy.namespaces;
  if (namespaces.length === 0) {
    throw new UsageError(
      `Cannot print the Environment "${name}": no namespace is named, and one that governs none opens nothing`,
      `list \`namespaces\` under ${name} in seal.yaml, or add \`--namespace NAMESPACE\``,
    );
  }
  await io.stdout.write(environmentManifest(policy, namespaces));
}
