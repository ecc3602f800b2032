// One pass over one object: read the world, decide, act, write status. Level-triggered: it never asks what changed, and
// a second pass changes nothing. Knows no HTTP, no watch and no queue beyond the answer it gives to it.
import {
  checkSealed,
  type ErrorCode,
  type Expectation,
  type Identity,
  includesRecipient,
  openSealed,
  SealwardError,
} from "../src/index.ts";
import { applySecret } from "./apply-secret.ts";
import { ClusterError } from "./cluster-error.ts";
import { type Finding, findings, type Outcome, reasonOf, secondsOf, toConditions } from "./conditions.ts";
import { type EnvironmentResource, type NamespaceView, parseEnvironment } from "./environment-resource.ts";
import { eventFor, isTransition, namespaceOf } from "./events.ts";
import { type Governed, govern, isGovernedBy } from "./govern.ts";
import type { IdentityStore, LoadedIdentity } from "./identities.ts";
import type { KmsKeys } from "./kms-keys.ts";
import type { KubeClient } from "./kube-client.ts";
import { describeUnexpected, type Log } from "./log.ts";
import type { WorkResult } from "./queue.ts";
import { type BoundSecret, type Condition, type EnvironmentObject, type KubeObject, paths } from "./resources.ts";
import { verdicts } from "./verdict.ts";
import { namespaceView, type World } from "./world.ts";

export interface ReconcileDeps {
  readonly client: KubeClient;
  readonly world: World;
  readonly identities: IdentityStore;
  readonly kmsKeys: KmsKeys;
  readonly ownNamespace: string;
  readonly instance: string;
  readonly now: () => Date;
  readonly log: Log;
  /** Called for the time until the next pass over an object that is settled. */
  readonly resyncMs: () => number;
}

/** Keys are `boundsecret/<namespace>/<name>` and `environment/<name>`. */
export async function reconcile(key: string, deps: ReconcileDeps): Promise<WorkResult> {
  const [kind, first = "", second = ""] = key.split("/");
  return kind === "boundsecret" ? reconcileBoundSecret(first, second, deps) : reconcileEnvironment(first, deps);
}

async function reconcileBoundSecret(namespace: string, name: string, deps: ReconcileDeps): Promise<WorkResult> {
  const path = paths.boundSecret(namespace, name);
  const bound = await deps.client.get<BoundSecret>(path);
  if (bound === null || bound.metadata.deletionTimestamp !== undefined) return { kind: "forget" };
  const outcome = sinceWhen(await open(bound, deps), bound, deps);
  const digest = outcome.kind === "applied" ? outcome.digest : bound.status?.documentDigest;
  const extra = {
    environment: outcome.environment ?? null,
    ...(digest === undefined ? {} : { documentDigest: digest }),
  };
  await writeStatus("BoundSecret", path, bound, { found: findings(outcome), extra }, deps);
  const again: WorkResult = { kind: "again", afterMs: deps.resyncMs() };
  if (outcome.kind === "hindered") return { kind: "retry" };
  return outcome.kind === "refused" && verdicts[outcome.code] === "retry" ? { kind: "retry" } : again;
}

/** Everything up to the status. Refusals become outcomes; what may pass by itself (a conflict, a server away) is thrown. */
async function open(bound: BoundSecret, deps: ReconcileDeps): Promise<Outcome> {
  const { namespace = "", name } = bound.metadata;
  let governed: Governed | undefined;
  let verified = false;
  try {
    governed = govern(seenNamespace(namespace, deps), deps.world.environments(), deps.ownNamespace);
    const document = bound.spec?.document;
    if (typeof document !== "string")
      throw new SealwardError("not-yaml", "spec.document is missing: it holds the sealed file");
    const expectation: Expectation = { environment: governed.policy, target: { namespace, name } };
    const loaded = await deps.identities.load(governed.environment.identityRefs);
    const held: readonly Identity[] = [
      ...loaded.flatMap(({ identities }) => identities),
      ...deps.kmsKeys.identities(governed.environment),
    ];
    if (held.length === 0) refuseWithout(loaded, document, expectation);
    const opened = await openSealed(document, expectation, held);
    verified = true;
    try {
      await assertStillGoverned(namespace, governed, deps);
      await applySecret(deps.client, bound, opened);
    } finally {
      for (const value of opened.data.values()) value.fill(0);
    }
    const notices = opened.notices.map(({ message }) => message);
    const target = `${namespace}/${name}`;
    return { kind: "applied", target, environment: governed.policy.name, digest: opened.documentDigest, notices };
  } catch (error) {
    const environment = governed?.environment.name;
    if (error instanceof SealwardError) {
      return { kind: "refused", code: error.code, message: explain(error, governed, namespace), environment };
    }
    const lasting = error instanceof ClusterError && (error.kind === "forbidden" || error.kind === "unexpected");
    if (verified && lasting && environment !== undefined) {
      return { kind: "hindered", cluster: error.kind, message: error.message, environment };
    }
    throw error;
  }
}

/** What a key service may be out of, though nothing about the document has changed. */
const outages: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["key-unreachable", "key-refused", "credentials-missing"]);

/** Since when an outage lasts is for the conditions to tell: what they said first stays, so that no pass rewrites it. */
function sinceWhen(outcome: Outcome, { status }: BoundSecret, deps: ReconcileDeps): Outcome {
  if (outcome.kind !== "refused" || !outages.has(outcome.code)) return outcome;
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  const lasts = ready?.status === "False" && [...outages].some((code) => reasonOf(code) === ready.reason);
  const since = lasts ? ready.lastTransitionTime : secondsOf(deps.now());
  return { ...outcome, message: `${outcome.message}; not refreshed since ${since}` };
}

/** Labels that are not known yet are not "no labels": a selector with NotIn would match those. */
function seenNamespace(name: string, { world }: ReconcileDeps): NamespaceView {
  const seen = world.namespace(name);
  if (seen === null) throw new ClusterError("not-found", `Namespace "${name}" has not been seen yet`);
  return seen;
}

/**
 * The watch may lag behind a label that was changed, or a namespace that was made anew, and what is written is never
 * taken back: where labels decide, they are read again right before the write. A difference is a conflict, looked at
 * again when the watch has caught up.
 */
async function assertStillGoverned(name: string, { environment, by }: Governed, deps: ReconcileDeps): Promise<void> {
  if (by === "name") return;
  const namespace = await deps.client.get<KubeObject>(paths.namespace(name), { metadataOnly: true });
  if (namespace !== null && isGovernedBy(environment, namespaceView(namespace), deps.world.environments())) return;
  throw new ClusterError("conflict", `Namespace "${name}" is not what the watch has shown of it`);
}

/** With no identity at all, the file's own faults still come first: they are the same with every key. */
function refuseWithout(loaded: readonly LoadedIdentity[], document: string, expectation: Expectation): never {
  checkSealed(document, expectation);
  const problem = loaded.find((one) => one.problem !== null)?.problem;
  throw (
    problem ?? new SealwardError("identity-missing", `Environment "${expectation.environment.name}" has no identity`)
  );
}

/** What the gate cannot know: why this namespace is held to that environment. */
function explain(error: SealwardError, governed: Governed | undefined, namespace: string): string {
  const place = error.line === undefined ? "" : ` (spec.document, line ${error.line})`;
  const said = `${error.message}${place}`;
  if (governed === undefined) return said;
  const { name } = governed.environment;
  if (error.code === "environment-mismatch" || error.code === "environment-unknown") {
    return `${said}. Namespace "${namespace}" is governed by Environment "${name}"`;
  }
  if (error.code === "scope-not-allowed" && governed.by === "selector") {
    return `${said}. Namespace "${namespace}" is in Environment "${name}" by its labels; scope "environment" opens only in namespaces listed by name`;
  }
  return said;
}

async function reconcileEnvironment(name: string, deps: ReconcileDeps): Promise<WorkResult> {
  const path = paths.environment(name);
  const object = await deps.client.get<EnvironmentObject>(path);
  if (object === null || object.metadata.deletionTimestamp !== undefined) return { kind: "forget" };
  const environment = parseEnvironment(object);
  const loaded = await deps.identities.load(environment.identityRefs);
  const found =
    environment.policy === null
      ? notReady("environment-invalid", environment.problems.join("; "))
      : environmentFinding(environment, loaded);
  await writeStatus("Environment", path, object, { found: [found], extra: {} }, deps);
  return { kind: "again", afterMs: deps.resyncMs() };
}

function environmentFinding({ policy, kms }: EnvironmentResource, loaded: readonly LoadedIdentity[]): Finding {
  const recipients = policy?.ageRecipients ?? [];
  const caller = kms?.role === undefined ? "the controller's own AWS identity" : kms.role;
  const keys = kms === null ? [] : [{ code: null, text: `KMS keys are called as ${caller}` }];
  const secrets = loaded.map(({ ref, identities, problem }) => {
    if (problem !== null) return { code: problem.code, text: problem.message };
    const held = identities.map(({ recipient }) => recipient).join(", ");
    const useful = identities.some(({ recipient }) => includesRecipient(recipients, recipient));
    const where = `key Secret ${ref.secret} (${ref.key}) holds the identity of ${held}`;
    return useful
      ? { code: null, text: where }
      : { code: "identity-unmatched", text: `${where}, not one of spec.recipients.age` };
  });
  const states = [...secrets, ...keys];
  const message = states.map(({ text }) => text).join("; ");
  const worst = states.find(({ code }) => code !== null)?.code;
  return typeof worst === "string"
    ? notReady(worst, message)
    : { type: "Ready", status: "True", reason: "Loaded", message };
}

const notReady = (code: string, message: string): Finding => ({
  type: "Ready",
  status: "False",
  reason: reasonOf(code),
  message,
});

interface NewStatus {
  readonly found: readonly Finding[];
  /** Other status fields; null removes one. */
  readonly extra: Readonly<Record<string, string | null>>;
}

type WithConditions = KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } };

async function writeStatus(
  kind: "BoundSecret" | "Environment",
  path: string,
  object: WithConditions,
  { found, extra }: NewStatus,
  deps: ReconcileDeps,
): Promise<void> {
  const { name, namespace, resourceVersion, generation = 1 } = object.metadata;
  const previous = object.status?.conditions ?? [];
  const conditions = toConditions(found, { previous, generation, now: deps.now() });
  const status: Readonly<Record<string, unknown>> = { observedGeneration: generation, ...extra, conditions };
  if (isWritten(object.status ?? {}, status)) return;
  // The version makes sure that this is said about the object that was looked at, not about one that replaced it.
  await deps.client.patchStatus(path, { metadata: { resourceVersion }, status });
  const ready = conditions.find(({ type }) => type === "Ready");
  if (ready === undefined || !isTransition(previous, conditions)) return;
  const fields = { namespace, name, kind, code: ready.reason };
  if (ready.status === "True") deps.log.info("ready", fields);
  else deps.log.warn("not ready", fields);
  try {
    const event = eventFor(ready, { kind, object, now: deps.now(), instance: deps.instance });
    await deps.client.create(paths.events(namespaceOf(object)), event);
  } catch (error) {
    deps.log.warn("event not written", {
      namespace,
      name,
      ...(error instanceof ClusterError ? { code: error.kind } : describeUnexpected(error)),
    });
  }
}

/** Compares as JSON with sorted keys would: the API server may give the fields back in another order. */
function isWritten(before: Readonly<Record<string, unknown>>, after: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(after).every(([name, value]) => canonical(before[name] ?? null) === canonical(value));
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
