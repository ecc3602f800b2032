// Attacks that worked once, each kept as a test. What they have in common: comments, the sops block and seal.yaml are
// outside every MAC, so whoever can write the repository chooses them.
import { createSecretKey, randomBytes } from "node:crypto";
import { armor, Encrypter } from "age-encryption";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unwrapDataKey } from "../../src/age.ts";
import {
  bindSealed,
  checkSealed,
  type Expectation,
  findEnvironment,
  openSealed,
  parseConfig,
  readManifest,
  resealEdited,
  SealwardError,
  setValue,
  unwrapBoundSecret,
  wrapDocument,
} from "../../src/index.ts";
import type { Selection } from "../../src/selection.ts";
import { entriesOf, openLeaves } from "../../src/sops-tree.ts";
import { encryptValue, type ValueType } from "../../src/sops-value.ts";
import { loadYaml } from "../../src/yaml-store.ts";
import { canary, environment, expectRefusal, mutate, now, refusalOf, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const staging = environment("staging");
const here: Expectation = { environment: prod.policy, target: "own" };
const secretComment = "the old password was letmein";
const commented = await sealed(
  prod,
  `apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: payments
stringData:
  # ${secretComment}
  PASSWORD: new-password
  URL: postgres://db
`,
);
const commentLine = /^ {2}#ENC.*\n/m.exec(commented)?.[0] ?? "";

describe("an encrypted comment that was moved to a place where comments stay in the clear", () => {
  const moved = mutate(mutate(commented, commentLine, ""), "\nsops:\n", `\n${commentLine.trim()}\nsops:\n`);
  const toTheTop = `${commentLine.trim()}\n${mutate(commented, commentLine, "")}`;

  it.each([
    ["before the sops block", moved],
    ["to the top", toTheTop],
  ])("%s is not written in the clear by the next change", async (_, text) => {
    const changed = await setValue(text, "URL", Buffer.from("postgres://other"), here, [prod.identity], { now });
    expect(changed.text).not.toContain(secretComment);
    expect(changed.text).toContain(commentLine.trim());
    const { plainText } = await openSealed(text, here, [prod.identity]);
    const edited = mutate(plainText, "new-password", "newer-password");
    expect((await resealEdited(text, edited, here, [prod.identity], { now })).text).not.toContain(secretComment);
    // Binding refuses, or leaves the comment as it is: it never shows it.
    const bound = await bindSealed(text, { environment: prod.policy, now }, [prod.identity]).catch(
      (error: SealwardError) => ({ text: error.code }),
    );
    expect(bound.text === "clear-leak" || bound.text.includes(commentLine.trim())).toBe(true);
    expect(bound.text).not.toContain(secretComment);
  });

  it("stays where it is when it was not moved, and comes back", async () => {
    const { plainText } = await openSealed(commented, here, [prod.identity]);
    expect(plainText).toContain(`  # ${secretComment}\n`);
    const changed = await setValue(commented, "URL", Buffer.from("postgres://other"), here, [prod.identity], { now });
    expect(changed.text).toContain(commentLine);
  });
});

describe("lines that a repository writer puts behind a value", async () => {
  const sudoers = "root ALL=(ALL) ALL\nbob ALL=(ALL) ALL\n";
  const file = await sealed(
    prod,
    `apiVersion: v1
kind: Secret
metadata:
  name: sudo
  namespace: payments
stringData:
  SUDOERS: |
    root ALL=(ALL) ALL
    bob ALL=(ALL) ALL
  OTHER: first-value
data:
  BIN: AAECAwQFBgc=
`,
  );
  const line = (key: string) => new RegExp(`^ {2}${key}: .*\n`, "m").exec(file)?.[0] ?? "";

  it("never become part of it, whatever they are", async () => {
    const blank = fc.stringMatching(/^[ \t]{0,12}$/);
    const comment = fc.tuple(fc.nat(12), fc.constantFrom("#includedir /tmp/evil", "# note", "#"));
    const lines = fc.array(
      fc.oneof(
        blank,
        comment.map(([depth, text]) => " ".repeat(depth) + text),
      ),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(lines, fc.constantFrom("SUDOERS", "OTHER", "BIN"), async (added, key) => {
        const text = mutate(file, line(key), line(key) + added.map((one) => `${one}\n`).join(""));
        try {
          const { plainText, data } = await openSealed(text, here, [prod.identity]);
          expect(Buffer.from(data.get("SUDOERS") ?? "").toString()).toBe(sudoers);
          expect(plainText).toContain("OTHER: first-value");
          const set = await setValue(text, "OTHER", Buffer.from("second-value"), here, [prod.identity], { now });
          const bound = await bindSealed(set.text, { environment: prod.policy, now }, [prod.identity]);
          const after = await openSealed(bound.text, here, [prod.identity]);
          expect(Buffer.from(after.data.get("SUDOERS") ?? "").toString()).toBe(sudoers);
          expect([...(after.data.get("BIN") ?? [])]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
        } catch (error) {
          // Tabs in an indentation are not YAML; a refusal is an answer, another value is none.
          if (!(error instanceof SealwardError)) throw error;
        }
      }),
      { numRuns: 100 },
    );
  });

  it("a deeper comment after a text of several lines stays a comment through a change of another key", async () => {
    const text = mutate(file, line("SUDOERS"), `${line("SUDOERS")}      #includedir /tmp/evil\n        \n`);
    const { plainText } = await openSealed(text, here, [prod.identity]);
    expect(plainText).toContain(`SUDOERS: ${JSON.stringify(sudoers)}\n      #includedir /tmp/evil\n`);
    const set = await setValue(text, "OTHER", Buffer.from("second-value"), here, [prod.identity], { now });
    expect(set.text).toContain(line("SUDOERS"));
  });
});

describe("an unbound file of another environment", () => {
  const binding = /^ {4}sealward.dev\/binding: .*\n/m.exec(commented)?.[0] ?? "";
  const unbound = mutate(mutate(commented, binding, ""), "|sealward\\.dev/binding)", ")").replace(
    / {4}sealward.*\n/g,
    "",
  );

  it("is not bound to this one by someone who holds the keys of both", async () => {
    const options = { environment: staging.policy, now, otherRecipients: prod.policy.ageRecipients };
    const error = await expectRefusal(
      () => bindSealed(unbound, options, [prod.identity, staging.identity]),
      "recipient-foreign",
    );
    expect(error.message).toContain(prod.identity.recipient);
  });

  it("nor when its entry is relabelled, to nothing or to a recipient of this environment", async () => {
    const options = { environment: staging.policy, now, otherRecipients: prod.policy.ageRecipients };
    const label = `recipient: ${prod.identity.recipient}`;
    for (const [other, code] of [
      ['recipient: ""', "identity-unmatched"],
      [`recipient: ${staging.identity.recipient}`, "not-authentic"],
    ] as const) {
      await expectRefusal(
        () => bindSealed(mutate(unbound, label, other), options, [prod.identity, staging.identity]),
        code,
      );
    }
  });
});

describe("an unbound file that only a shared recipient still opens", async () => {
  const recovery = environment("recovery");
  const shared = { ...staging.policy, ageRecipients: [staging.identity.recipient, recovery.identity.recipient] };
  const both = {
    ...prod,
    policy: { ...prod.policy, ageRecipients: [prod.identity.recipient, recovery.identity.recipient] },
  };
  const whole = await sealed(
    both,
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\nstringData:\n  A: of-prod\n`,
  );
  const prodEntry = / {8}- enc: \|\n(?: {12}.*\n)+ {10}recipient: .*\n/.exec(whole)?.[0] ?? "";
  const unbound = mutate(whole.replace(/ {4}sealward.*\n/g, ""), "|sealward\\.dev/binding)", ")").replace(
    "  annotations:\n",
    "",
  );
  const stripped = mutate(unbound, prodEntry, "");
  const options = { environment: shared, now, otherRecipients: both.policy.ageRecipients };

  it("is bound to nothing by the writer's word alone", async () => {
    // The MAC was made with the binding in place, so a real unbound file is made by binding's own way back.
    await expectRefusal(() => bindSealed(unbound, options, [recovery.identity]), "recipient-foreign");
    const error = await refusalOf(() => bindSealed(stripped, options, [recovery.identity]));
    expect(["recipient-foreign", "not-authentic"]).toContain(error.code);
  });
});

describe("a bound file whose claims were changed under the same MAC", async () => {
  const wide = environment("prod", { scopes: ["strict", "namespace", "environment"] });
  const file = await sealed(
    wide,
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\nstringData:\n  A: some-value\n`,
  );
  const retargeted = mutate(mutate(file, "name: db\n", "name: d\n"), "namespace: payments", "namespace: bpayments");
  const bind = (text: string, more: object = {}) =>
    bindSealed(text, { environment: wide.policy, now, ...more }, [wide.identity]);

  it("is not bound to another namespace or name unless that is asked for, and then says so", async () => {
    const error = await expectRefusal(() => bind(retargeted), "binding-mismatch");
    expect(error.message).toContain('"payments"');
    expect(error.message).toContain('"bpayments"');
    const { changes } = await bind(retargeted, { mayMove: true });
    expect(changes).toContain('namespace: was "payments", now "bpayments"');
    expect(changes).toContain('name: was "db", now "d"');
  });

  it("is not bound to a wider scope unless that is asked for", async () => {
    const error = await refusalOf(() => bind(mutate(file, "scope: strict", "scope: environment")));
    // The claim is part of the MAC; whoever could make that right still does not widen the scope.
    expect(["binding-mismatch", "not-authentic"]).toContain(error.code);
    expect((await bind(file, { scope: "namespace" })).changes).toContain('scope: was "strict", now "namespace"');
  });
});

describe("an entry of a recipient that is wrapped for a second key as well", () => {
  it("is seen without a key", async () => {
    const encrypter = new Encrypter();
    encrypter.addRecipient(prod.identity.recipient);
    encrypter.addRecipient(staging.identity.recipient);
    const lines = armor
      .encode(await encrypter.encrypt(randomBytes(32)))
      .trimEnd()
      .split("\n");
    const entry = /(?<=enc: \|\n)(?: {12}.*\n)+/.exec(commented)?.[0] ?? "";
    const text = mutate(commented, entry, lines.map((line) => `${" ".repeat(12)}${line}\n`).join(""));
    const error = await expectRefusal(() => checkSealed(text, here), "recipient-foreign");
    expect(error.message).toContain("2 keys");
    await expectRefusal(() => openSealed(text, here, [prod.identity]), "recipient-foreign");
  });

  it("is taken out by binding anew, under a data key that it does not open", async () => {
    const entry = /(?<=enc: \|\n)(?: {12}.*\n)+/.exec(commented)?.[0] ?? "";
    const dataKey = await unwrapDataKey(entry.replaceAll(/^ +/gm, ""), prod.identity);
    if (dataKey === null) throw new Error("the entry does not open");
    const encrypter = new Encrypter();
    for (const { identity } of [prod, staging]) encrypter.addRecipient(identity.recipient);
    const lines = armor
      .encode(await encrypter.encrypt(dataKey))
      .trimEnd()
      .split("\n");
    const text = mutate(commented, entry, lines.map((line) => `${" ".repeat(12)}${line}\n`).join(""));
    const { text: bound, changes } = await bindSealed(text, { environment: prod.policy, now }, [prod.identity]);
    expect(changes).toContain("removed recipients that no entry named: new data key");
    await openSealed(bound, here, [prod.identity]);
    const renewed = /(?<=enc: \|\n)(?: {12}.*\n)+/.exec(bound)?.[0].replaceAll(/^ +/gm, "") ?? "";
    expect(await unwrapDataKey(renewed, staging.identity)).toBeNull();
    expect(await unwrapDataKey(renewed, prod.identity)).not.toEqual(dataKey);
  });

  it("no age file at all is told from one", async () => {
    const entry = /(?<=enc: \|\n)(?: {12}.*\n)+/.exec(commented)?.[0] ?? "";
    await expectRefusal(
      () => checkSealed(mutate(commented, entry, "            nothing\n"), here),
      "sops-metadata-invalid",
    );
  });
});

describe("a value called another type, which SOPS authenticates no more than its name", () => {
  const key = createSecretKey(randomBytes(32));
  const everything: Selection = { asks: "key", matches: () => true, encryptsMatches: true };
  const opened = (type: ValueType, text: string) => {
    const { documents } = loadYaml(`a: ${encryptValue(Buffer.from(text), { key, aad: "a:", type })}\n`);
    const { leaves } = entriesOf(documents, everything, { isEncrypted: true });
    return openLeaves(leaves, key, undefined).map(({ bytes }) => Buffer.from(bytes).toString());
  };

  it.each<[ValueType, string]>([
    ["int", "0123\n"],
    ["int", "12 "],
    ["float", '"abc"'],
    ["float", "1e"],
    ["bool", "yes"],
    ["time", "tomorrow"],
    ["comment", "a text"],
  ])("%s cannot be %j", async (type, text) => {
    await expectRefusal(() => opened(type, text), "not-authentic");
  });

  it.each<[ValueType, string, string]>([
    ["int", "+007", "7"],
    ["float", "1e3", "1000"],
    ["float", "-Inf", "-Inf"],
    ["bool", "t", "True"],
    ["time", "2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05Z"],
  ])("%s %j is hashed as SOPS hashes it", (type, text, canonical) => {
    expect(opened(type, text)).toEqual([canonical]);
  });
});

describe("comments beside a path that is as long as the file allows", () => {
  it("cost no more than the file's length", async () => {
    const decoy = "#ENC[AES256_GCM,data:AA==,iv:AA==,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:comment]\n";
    const long = `  ? ${"k".repeat(300_000)}\n  : ${"{a: ".repeat(80)}1${"}".repeat(80)}\n`;
    const text = mutate(commented, "\nsops:\n", `\n${decoy.repeat(2000)}sops:\n`).replace(
      / {4}version/,
      `  ${long}    version`,
    );
    const started = process.cpuUsage();
    await openSealed(text, here, [prod.identity]).then(
      ({ plainText }) => expect(plainText).toContain("new-password"),
      (error: { code?: string }) => expect(error.code).toBeDefined(),
    );
    // Once a minute and more; now a fraction of a second. The bound is no measurement, it tells the two apart.
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(15);
  });
});

describe("globs of seal.yaml", () => {
  const config = (glob: string) =>
    parseConfig(
      `version: 1\nenvironments:\n  prod:\n    recipients:\n      age: [${prod.identity.recipient}]\n    paths: [${JSON.stringify(glob)}]\n`,
      "seal.yaml",
    );

  it.each([
    "(a+)+b",
    "*a*a*a*a*a*a*b",
    "{*,*a}{*,*a}",
    "(?!prod/)**",
    "!prod/**",
    "[a-z]*",
    "prod/../staging/**",
    "/prod/**",
    "**/**/**/**/x",
    "a".repeat(201),
  ])("%s is refused: it runs for ever or does not mean what it reads", async (glob) => {
    const error = await expectRefusal(() => config(glob), "config-invalid");
    expect(error.line).toBe(6);
  });

  it("the richest that is allowed is quick on the longest path", () => {
    const path = `${"a/".repeat(1000)}${"a".repeat(250)}`;
    expect(() => findEnvironment(config("**/*a*b/**/*a*b/**/*a*b"), { path })).toThrow("dispute");
  });
});

describe("text of a file that stands where a name belongs", () => {
  const manifest = (lines: string) =>
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\n${lines}\n`;

  it.each([
    ["a forgotten blank in a flow map", manifest(`stringData: {PASSWORD:${canary}}`)],
    ["a block text that is not indented", manifest(`stringData:\n  CONF: |\n  user ${canary}: 1`)],
    ["the same line twice", manifest(`stringData:\n  CONF: x\n  "pw ${canary}": 1\n  "pw ${canary}": 1`)],
    ["a tag", manifest(`stringData:\n  CONF: !${canary} x`)],
    ["an anchor", manifest(`stringData:\n  CONF: *${canary}`)],
    ["a field of the Secret", manifest(`stringData: {A: b}\n"my password ${canary}": x`)],
    ["a kind", `apiVersion: v1\nkind: "my password ${canary}"\n`],
    [
      "an environment",
      manifest("stringData: {A: b}").replace(
        "  name: db",
        `  name: db\n  annotations: {sealward.dev/environment: "my ${canary}"}`,
      ),
    ],
    [
      "a scope",
      manifest("stringData: {A: b}").replace(
        "  name: db",
        `  name: db\n  annotations: {sealward.dev/scope: "my ${canary}"}`,
      ),
    ],
  ])("%s is not repeated", async (_, text) => {
    const error = await refusalOf(() => sealed(prod, text));
    expect(`${error.message}${error.stack}`).not.toContain(canary);
    expect(error.message).not.toContain("CANARY");
  });

  it("is not printed at any length", async () => {
    const error = await refusalOf(() => sealed(prod, manifest(`stringData: {A: b}\n${"k".repeat(100_000)}: x`)));
    expect(error.message.length).toBeLessThan(300);
  });
});

describe("a document of nothing but faults", () => {
  it.each([
    ["}", 1_000_000],
    ["@\n", 500_000],
    ["a\n: b\n", 170_000],
    ["[,", 500_000],
    ["%\n", 500_000],
    ["a: &\n", 200_000],
    ["---\n", 250_000],
    // 37 minutes once.
    ["---\na: b\n", 125_000],
    ["\n", 1_000_000],
    ["#\n", 500_000],
  ])("%j, a megabyte of it, is refused in a time like that of reading it", async (fault, count) => {
    const started = process.cpuUsage();
    const error = await refusalOf(() => readManifest(fault.repeat(count)));
    expect(["not-yaml", "too-deep", "too-large", "duplicate-key", "shape-invalid", "not-a-secret"]).toContain(
      error.code,
    );
    // A guard against hanging, no measurement: the other worker's time counts as well.
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(20);
  });
});

describe("very many lines that mean nothing", () => {
  it.each([
    ["comments", "  # x\n".repeat(130_000)],
    ["empty lines", "\n".repeat(900_000)],
  ])("%s between two keys change nothing", async (_, lines) => {
    const url = /^ {2}URL: .*\n/m.exec(commented)?.[0] ?? "";
    const text = mutate(commented, url, lines + url);
    const { data, plainText } = await openSealed(text, here, [prod.identity]);
    expect(Buffer.from(data.get("URL") ?? "").toString()).toBe("postgres://db");
    expect(plainText).toContain("URL: postgres://db");
  });
});

describe("a BoundSecret file", () => {
  it("holds nothing in the clear beside the document", async () => {
    const wrapped = wrapDocument(commented);
    expect(unwrapBoundSecret(wrapped)?.document).toBe(commented);
    for (const extra of [
      `${wrapped}stringData:\n  A: ${canary}\n`,
      mutate(wrapped, "spec:\n", `spec:\n  data: ${canary}\n`),
    ]) {
      await expectRefusal(() => unwrapBoundSecret(extra), "shape-invalid");
    }
  });
});
