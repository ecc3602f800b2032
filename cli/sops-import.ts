// What of .sops.yaml can be said in seal.yaml, and what cannot: each creation rule as an environment, with a remark for all
// that is not carried over. Decides no name that the rule does not have, and makes nobody a recovery recipient.
import {
  assertRecipient,
  globsOfPathRegex,
  matchEverything,
  overlapOf,
  type RuleKey,
  SealwardError,
  uniqueRecipients,
  type WrittenRule,
} from "../src/index.ts";

export interface ImportedRule {
  readonly rule: WrittenRule;
  /** The name that the path_regex gives; undefined where it has none or several. */
  readonly name: string | undefined;
  readonly recipients: readonly string[];
  readonly paths: readonly string[];
  /** Why it has no paths, or when they do not decide. */
  readonly pathRemark: string | undefined;
  /** What seal.yaml does not say. */
  readonly lost: readonly string[];
  /** Why it is no environment; undefined where it is one. */
  readonly dropped: string | undefined;
}

/** What Sealward encrypts of every Secret. */
const ownSelection = "^(data|stringData)$";
const stages =
  /^(?:prod|production|prd|live|staging|stage|stg|dev|develop|development|test|testing|tst|qa|uat|preprod|pre-prod|preview|sandbox|integration|demo|acceptance|canary|nonprod|non-prod)$/;
const anybodys =
  /^(?:apps?|argocd|base|charts?|clusters?|configs?|deploy|deployments?|enc|encrypted|env|envs|environments?|flux|gitops|helm|infra|infrastructure|k8s|kubernetes|manifests|ops|overlays|recovery|sealed|secrets?|sops|src|values)$/;

/** Each rule of a .sops.yaml, in its order. `pathless` are the rules (by index) whose environment is to have no paths. */
export function importRules(rules: readonly WrittenRule[], pathless: ReadonlySet<number> = new Set()): ImportedRule[] {
  const imported: ImportedRule[] = [];
  for (const rule of rules) imported.push(importRule(rule, imported, pathless));
  return imported;
}

function importRule(rule: WrittenRule, earlier: readonly ImportedRule[], pathless: ReadonlySet<number>): ImportedRule {
  const { recipients, lost } = recipientsOf(rule);
  const dropped = droppedBecause(rule, recipients);
  const { paths, remark } = dropped === undefined ? pathsOf(rule, earlier) : { paths: [] };
  const isPathless = pathless.has(rule.index) && paths.length > 0;
  return {
    rule,
    name: nameIn(rule.pathRegex),
    recipients,
    paths: isPathless ? [] : paths,
    pathRemark: isPathless
      ? `another rule of this environment has none, so ${paths.join(", ")} is not here: write them by hand`
      : remark,
    lost: [...lost, ...otherLosses(rule)],
    dropped,
  };
}

function recipientsOf({ groups }: WrittenRule): { recipients: string[]; lost: string[] } {
  const recipients: string[] = [];
  const lost: string[] = [];
  for (const key of groups.flat()) {
    const isKnown = key.kind === "age" || key.kind === "kms";
    const problem = isKnown ? problemOf(key.id) : "a kind of key that seal.yaml does not have";
    if (problem === null) recipients.push(key.id);
    if (problem === null && (key.role ?? key.profile ?? key.context) === undefined) continue;
    if (problem === null) lost.push(`${named(key)} (line ${key.place.line}): ${callers}`);
    else lost.push(`${named(key)} (line ${key.place.line}): ${problem}`);
  }
  return { recipients: uniqueRecipients(recipients), lost };
}

/** What is taken over of a KMS key is the key. */
const callers = "who calls it stands in your own configuration, and Sealward sends an encryption context of its own";

function problemOf(recipient: string): string | null {
  try {
    assertRecipient(recipient);
    return null;
  } catch (problem) {
    if (problem instanceof SealwardError) return problem.message;
    throw problem;
  }
}

/** An age recipient that is none is not repeated: it may be an identity by mistake. */
function named({ kind, id, role, context, profile }: RuleKey): string {
  if (kind === "age") return /^(?:age1[a-z0-9]+|ssh-\S+ \S+)/.test(id) ? `age ${id}` : "age recipient";
  const details = [role && `role ${role}`, profile && `profile ${profile}`, context && "with an encryption context"];
  return [kind, kind === "pgp" ? id.toLowerCase() : id, ...details].filter(Boolean).join(" ");
}

function droppedBecause({ groups, shamirThreshold }: WrittenRule, recipients: readonly string[]): string | undefined {
  if (groups.length > 1)
    return `it takes keys of ${shamirThreshold || groups.length} of ${groups.length} key groups to open its files; in seal.yaml each recipient opens them alone`;
  return recipients.length === 0 ? "it has no age recipient and no KMS key that can be used" : undefined;
}

function otherLosses({ selections, macOnlyEncrypted, shamirThreshold, groups, unused }: WrittenRule): string[] {
  const isOurs =
    selections.length === 1 && selections[0]?.name === "encrypted_regex" && selections[0].pattern === ownSelection;
  return [
    ...(isOurs ? [] : selections).map(
      ({ name, pattern }) => `${name} ${JSON.stringify(pattern)}: data and stringData are encrypted, always and whole`,
    ),
    ...(macOnlyEncrypted ? ["mac_only_encrypted: the MAC always covers every value"] : []),
    ...(shamirThreshold > 0 && groups.length === 1 ? ["shamir_threshold: it has no effect on one group of keys"] : []),
    ...unused.map(({ name, why }) =>
      why === "overridden" ? `${name}: key_groups overrode it` : `${name}: no field of .sops.yaml, had no effect`,
    ),
  ];
}

/** SOPS takes the first rule that matches; paths of seal.yaml have no order. So they stand only where no rule before matters. */
function pathsOf(rule: WrittenRule, earlier: readonly ImportedRule[]): { paths: readonly string[]; remark?: string } {
  const globs = globsOfPathRegex(rule.pathRegex);
  if (globs === null)
    return { paths: [], remark: "no globs match exactly what path_regex matches: write them by hand" };
  if (matchEverything(globs)) return { paths: [], remark: "it matches every path; name it with --env or namespaces" };
  const others = earlier.map((other) => ({
    ...other,
    number: other.rule.index + 1,
    globs: globsOfPathRegex(other.rule.pathRegex),
  }));
  const before = others.find(({ globs: own, paths }) => {
    const overlap = own === null ? "usual" : overlapOf(own, globs);
    return overlap === "usual" || (overlap === "odd" && paths.length === 0);
  });
  if (before !== undefined) {
    const remark = `creation rule ${before.number} comes first and may match some of ${globs.join(", ")}: write them by hand`;
    return { paths: [], remark };
  }
  const odd = others.filter(({ globs: own }) => own !== null && overlapOf(own, globs) === "odd");
  const rules = odd.map(({ number }) => number).join(", ");
  return odd.length === 0
    ? { paths: globs }
    : { paths: globs, remark: `a path that creation rule ${rules} matches as well needs --env` };
}

/** The one stage in a pattern (`prod`, `staging`, …), else the last folder that is no general word. */
function nameIn(pathRegex: string): string | undefined {
  const text = pathRegex.replace(/\\([^A-Za-z0-9])/g, "$1").toLowerCase();
  const found = [...new Set(text.split(/[^a-z0-9-]+/).filter((word) => stages.test(word)))];
  if (found.length > 0) return found.length === 1 ? found[0] : undefined;
  const folders = text
    .replace(/^\^/, "")
    .split("/")
    .slice(0, -1)
    .filter((folder) => /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/.test(folder) && !anybodys.test(folder));
  return folders.at(-1)?.replaceAll("_", "-");
}
