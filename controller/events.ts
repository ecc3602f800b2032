// Events, for people who run `kubectl describe`: one for each transition, none for a pass that changed nothing.
// Best effort by nature; the conditions are the record.
import { randomBytes } from "node:crypto";
import type { Condition, KubeObject } from "./resources.ts";
import { apiVersion, fieldManager } from "./resources.ts";

export interface EventOptions {
  readonly kind: "BoundSecret" | "Environment";
  readonly object: KubeObject;
  readonly now: Date;
  /** Which replica speaks. */
  readonly instance: string;
}

/** True if Ready became something else: another status, or another reason for the same one. */
export function isTransition(before: readonly Condition[], after: readonly Condition[]): boolean {
  const of = (conditions: readonly Condition[]): Condition | undefined =>
    conditions.find(({ type }) => type === "Ready");
  return of(before)?.status !== of(after)?.status || of(before)?.reason !== of(after)?.reason;
}

/** An `events.k8s.io/v1` Event that tells what Ready now says. */
export function eventFor(ready: Condition, { kind, object, now, instance }: EventOptions): object {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: `${name.slice(0, 230)}.${randomBytes(8).toString("hex")}`, namespace: namespaceOf(object) },
    eventTime: now.toISOString().replace("Z", "000Z"),
    reportingController: "sealward.dev/controller",
    reportingInstance: instance.slice(0, 128) || fieldManager,
    action: kind === "BoundSecret" ? "Open" : "Load",
    reason: ready.reason,
    type: ready.status === "True" ? "Normal" : "Warning",
    regarding: { apiVersion, kind, name, uid, resourceVersion, ...(namespace === undefined ? {} : { namespace }) },
    note: truncate(ready.message, 1024),
  };
}

/** Events live in a namespace. For those about cluster-scoped objects, old servers refuse `default`, and none this one. */
export function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace ?? "kube-system";
}

function truncate(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= maxBytes) return text;
  // A cut inside a character decodes to U+FFFD at the end, which goes too.
  return `${bytes
    .subarray(0, maxBytes - 3)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")}…`;
}
