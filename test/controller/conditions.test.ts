import { describe, expect, it } from "vitest";
import { findings, type Outcome, reasonOf, toConditions } from "../../controller/conditions.ts";
import { eventFor, isTransition } from "../../controller/events.ts";
import type { Condition } from "../../controller/resources.ts";
import { verdicts } from "../../controller/verdict.ts";
import { errorCodes } from "../../src/index.ts";

const applied: Outcome = { kind: "applied", target: "shop/db", environment: "prod", digest: "sha256:00", notices: [] };
const refused = (code: (typeof errorCodes)[number], environment: string | undefined): Outcome => ({
  kind: "refused",
  code,
  message: "because",
  environment,
});
/** `EnvironmentMatched/Verified/Synced/Ready` in one line. */
const line = (outcome: Outcome): string =>
  findings(outcome)
    .map(({ status, reason }) => `${status} ${reason}`)
    .join(" | ");

describe("findings()", () => {
  it.each<[string, Outcome, string]>([
    ["an applied Secret", applied, "True Matched | True Opened | True Applied | True Applied"],
    [
      "another environment",
      refused("environment-mismatch", "prod"),
      "False EnvironmentMismatch | Unknown NotReached | False EnvironmentMismatch | False EnvironmentMismatch",
    ],
    [
      "a namespace without Environment",
      refused("namespace-ungoverned", undefined),
      "False NamespaceUngoverned | Unknown NotReached | False NamespaceUngoverned | False NamespaceUngoverned",
    ],
    [
      "a broken document",
      refused("not-yaml", "prod"),
      "Unknown NotReached | False NotYaml | False NotYaml | False NotYaml",
    ],
    [
      "a binding that differs",
      refused("binding-mismatch", "prod"),
      "Unknown NotConfirmed | False BindingMismatch | False BindingMismatch | False BindingMismatch",
    ],
    [
      "a Secret of somebody else",
      refused("secret-not-owned", "prod"),
      "True Matched | True Opened | False SecretNotOwned | False SecretNotOwned",
    ],
    [
      "a missing permission",
      { kind: "hindered", cluster: "forbidden", message: "no", environment: "prod" },
      "True Matched | True Opened | False ClusterForbidden | False ClusterForbidden",
    ],
  ])("tells %s", (_, outcome, expected) => {
    expect(line(outcome)).toBe(expected);
  });

  it.each(errorCodes)("is not ready after %s, and says why in CamelCase", (code) => {
    const found = findings(refused(code, "prod"));
    expect(found.map(({ type }) => type)).toEqual(["EnvironmentMatched", "Verified", "Synced", "Ready"]);
    for (const type of ["Synced", "Ready"]) {
      expect(found).toContainEqual(expect.objectContaining({ type, status: "False", reason: reasonOf(code) }));
    }
    for (const { reason } of found) expect(reason).toMatch(/^[A-Z][A-Za-z0-9]+$/);
    expect(verdicts[code]).toMatch(/^(retry|terminal)$/);
  });

  it("shows a notice under Verified and stays ready", () => {
    const found = findings({ ...applied, notices: ["The file cannot be opened by age1x"] });
    expect(found[1]).toMatchObject({ type: "Verified", status: "True", message: expect.stringContaining("age1x") });
    expect(found[3]).toMatchObject({ type: "Ready", status: "True" });
  });
});

describe("toConditions()", () => {
  const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds));
  const first = toConditions(findings(applied), { previous: [], generation: 1, now: at(1) });

  it("writes the time without fractions, as the API server gives it back", () => {
    expect(first[0]?.lastTransitionTime).toBe("2026-01-01T00:00:01Z");
  });

  it("gives the same conditions again when nothing changed", () => {
    expect(toConditions(findings(applied), { previous: first, generation: 1, now: at(2) })).toEqual(first);
  });

  it("moves lastTransitionTime only for conditions whose status changed", () => {
    const after = toConditions(findings(refused("secret-not-owned", "prod")), {
      previous: first,
      generation: 2,
      now: at(9),
    });
    const times = Object.fromEntries(after.map(({ type, lastTransitionTime }) => [type, lastTransitionTime.slice(-3)]));
    expect(times).toEqual({ EnvironmentMatched: "01Z", Verified: "01Z", Synced: "09Z", Ready: "09Z" });
    expect(after.map(({ observedGeneration }) => observedGeneration)).toEqual([2, 2, 2, 2]);
  });

  it("keeps conditions that others set", () => {
    const foreign: Condition = { ...(first[0] as Condition), type: "example.org/Audited" };
    const after = toConditions(findings(applied), { previous: [foreign], generation: 1, now: at(3) });
    expect(after).toContainEqual(foreign);
  });

  it("cuts a message that is too long for a status", () => {
    const found = [{ type: "Ready", status: "False", reason: "X", message: "x".repeat(10_000) }] as const;
    expect(toConditions(found, { previous: [], generation: 1, now: at(1) })[0]?.message).toHaveLength(4096);
  });

  it("never cuts a character in two", () => {
    const found = [{ type: "Ready", status: "False", reason: "X", message: `x${"🔑".repeat(5000)}` }] as const;
    const [condition] = toConditions(found, { previous: [], generation: 1, now: at(1) });
    expect(condition?.message).toMatch(/^x(🔑)+…$/u);
  });

  it.each([
    ["\u009b2J", "\\u{9b}2J"],
    ["\u001b[2J", "\\u{1b}[2J"],
    ["two\nlines", "two\\u{a}lines"],
    ["\u202eturned", "\\u{202e}turned"],
    ["half \ud83d", "half \\u{d83d}"],
    ["Größe 🔑", "Größe 🔑"],
  ])("writes %j so that no terminal is steered by it and it comes back as it went", (message, expected) => {
    const found = [{ type: "Ready", status: "False", reason: "X", message }] as const;
    expect(toConditions(found, { previous: [], generation: 1, now: at(1) })[0]?.message).toBe(expected);
  });
});

describe("events", () => {
  const ready = (status: Condition["status"], reason: string, message = "m"): Condition[] => [
    { type: "Ready", status, reason, message, lastTransitionTime: "", observedGeneration: 1 },
  ];

  it.each<[string, Condition[], Condition[], boolean]>([
    ["the first status", [], ready("True", "Applied"), true],
    ["the same status", ready("True", "Applied"), ready("True", "Applied"), false],
    ["another message", ready("False", "Unbound", "a"), ready("False", "Unbound", "b"), false],
    ["another reason", ready("False", "Unbound"), ready("False", "NotAuthentic"), true],
    ["another status", ready("False", "Unbound"), ready("True", "Applied"), true],
  ])("are for transitions: %s", (_, before, after, expected) => {
    expect(isTransition(before, after)).toBe(expected);
  });

  it("stay within what the API server takes, also with long names and texts of several bytes a character", () => {
    const [condition] = ready("False", "Unbound", "ü".repeat(3000));
    const object = { metadata: { name: "n".repeat(253), namespace: "shop", uid: "u", resourceVersion: "3" } };
    const event = eventFor(condition as Condition, {
      kind: "BoundSecret",
      object,
      now: new Date("2026-01-01T00:00:00.123Z"),
      instance: "i".repeat(300),
    }) as { metadata: { name: string }; note: string; eventTime: string; reportingInstance: string };
    expect(event.metadata.name.length).toBeLessThanOrEqual(253);
    expect(Buffer.byteLength(event.note)).toBeLessThanOrEqual(1024);
    expect(event.note).not.toContain("\uFFFD");
    expect(event.eventTime).toBe("2026-01-01T00:00:00.123000Z");
    expect(event.reportingInstance).toHaveLength(128);
  });
});
