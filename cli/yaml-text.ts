// The YAML texts that commands write: seal.yaml, the Environment resource, the controller's key Secret. Decides nothing
// about their content.
import { type EnvironmentPolicy, parseKeyArn } from "../src/index.ts";

/** seal.yaml as `seal init` writes it: in the plain block style that is read without the parser, comments in lines of their own. */
export function sealYaml(
  recovery: string,
  environments: readonly { name: string; recipients: readonly string[]; namespaces: readonly string[] }[],
): string {
  const blocks = environments.map(
    ({ name, recipients, namespaces }) => `  ${yamlText(name)}:
    recipients:${byKind(recipients, 6)}
    # A sealed file anywhere else is not this environment's.
    paths: [${JSON.stringify(`**/${name}/**`)}]
    # The only namespaces of this environment.
    ${namespaces.length === 0 ? "# namespaces: [payments]" : `namespaces: [${namespaces.map(yamlText).join(", ")}]`}
    # A file opens under its own namespace and name only.
    scope: strict
`,
  );
  return `# Which secrets belong to which environment, and who can open them. Holds no secret itself: commit it.
version: 1

# Can open every environment when all else is lost. Its identity is kept offline.
recovery:${byKind([recovery], 2)}

environments:
${blocks.join("\n")}`;
}

/** What `seal init --from-sops` found; remarks are single lines without anything that acts on a terminal. */
export interface ImportedYaml {
  readonly from: string;
  readonly recovery: string | undefined;
  readonly environments: readonly {
    readonly name: string;
    readonly recipients: readonly string[];
    readonly paths: readonly string[];
    readonly namespaces: readonly string[];
    readonly remarks: readonly string[];
  }[];
  readonly dropped: readonly string[];
}

/** seal.yaml as `seal init --from-sops` writes it. */
export function importedSealYaml({ from, recovery, environments, dropped }: ImportedYaml): string {
  const blocks = environments.map(
    ({ name, recipients, paths, namespaces, remarks }) => `  ${yamlText(name)}:
${remarks.map((remark) => `    # ${remark}\n`).join("")}    recipients:${byKind(recipients, 6)}
${paths.length === 0 ? "" : `    paths:${list(paths, 6)}\n`}${namespaces.length === 0 ? "" : `    namespaces:${list(namespaces, 6)}\n`}    scope: strict # a file opens under its own namespace and name only
`,
  );
  return `# Which secrets belong to which environment, and who can open them. Taken over from ${JSON.stringify(from)}.
version: 1

${recovery === undefined ? "" : `# Can open every environment when all else is lost. Its identity is kept offline.\nrecovery:${byKind([recovery], 2)}\n\n`}environments:
${blocks.join("\n")}${dropped.length === 0 ? "" : `\n${dropped.map((remark) => `# ${remark}\n`).join("")}`}`;
}

/** Recipients in the lists of their kinds. */
function byKind(recipients: readonly string[], indent: number): string {
  const lists = { age: recipients.filter((one) => !isKeyArn(one)), kms: recipients.filter(isKeyArn) };
  return Object.entries(lists)
    .filter(([, texts]) => texts.length > 0)
    .map(([kind, texts]) => `\n${" ".repeat(indent)}${kind}:${list(texts, indent + 2)}`)
    .join("");
}

const isKeyArn = (recipient: string): boolean => parseKeyArn(recipient) !== null;

/** The Environment resource that governs `namespaces`. */
export function environmentManifest(policy: EnvironmentPolicy, namespaces: readonly string[]): string {
  return `apiVersion: sealward.dev/v1alpha1
kind: Environment
metadata:
  name: ${yamlText(policy.name)}
spec:
  namespaces:
    names:${list(namespaces, 6)}
  identities:${identityText(policy)}
  recipients:${policy.ageRecipients.length === 0 ? "" : `\n    age:${list(policy.ageRecipients, 6)}`}${policy.kmsRecipients.length === 0 ? "" : `\n    kms:${list(policy.kmsRecipients, 6)}`}
  scopes:${list(policy.scopes, 4)}
  strictRecipients: ${policy.strictRecipients}
${policy.acceptedUnbound.length === 0 ? "" : `  unbound:${list(policy.acceptedUnbound, 4)}\n`}`;
}

/** KMS keys need no key Secret: the controller is somebody for AWS already. */
const identityText = ({ name, kmsRecipients }: EnvironmentPolicy): string =>
  kmsRecipients.length > 0
    ? "\n    - kms: {}"
    : `\n    - age:\n        secretRef:\n          name: sealward-age-${name}`;

/** The Secret in which the controller finds its identity; `identities` is the text of an identity file. */
export function keySecretManifest({
  env,
  namespace,
  identities,
}: {
  readonly env: string;
  readonly namespace: string;
  readonly identities: string;
}): string {
  return `apiVersion: v1
kind: Secret
metadata:
  name: sealward-age-${env}
  namespace: ${yamlText(namespace)}
type: Opaque
stringData:
  identity: |
${identities.replace(/^(?=.)/gm, "    ")}`;
}

const list = (texts: readonly string[], indent: number): string =>
  texts.map((text) => `\n${" ".repeat(indent)}- ${yamlText(text)}`).join("");

/** JSON strings are YAML strings; quotes only where a reader might see a number, a boolean or null. */
export function yamlText(text: string): string {
  const isPlain = /^[a-z][a-z0-9-]*$/.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/.test(text);
  return isPlain ? text : JSON.stringify(text);
}
