// A marked plaintext stands in every input of every failing case, and comes back in no output; nor does an identity.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { canary, editor, type GitDir, type Given, manifest, sealedRepository } from "./gitdir.ts";

const prod = "deploy/prod/db.sealed.yaml";
const mistyped = "AGE-SECRET-KEY-1CANARYQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
const encoded = Buffer.from(canary).toString("base64");

const having = <T>(_: unknown, value: T): T => value;

/** Each must fail. What fails is asserted elsewhere; here only that nothing is given away. */
const failures: readonly [title: string, argv: (dir: GitDir) => string[], given?: (dir: GitDir) => Given][] = [
  ...[
    ["value where a map belongs", `apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: ${canary}\n`],
    ["value where a name belongs", manifest({ name: canary.toUpperCase().replaceAll("-", "_") })],
    ["value that is a list", manifest({ value: `[${canary}]` })],
    ["value that is a map", manifest({ value: `{a: ${canary}}` })],
    ["value with a tag", manifest({ value: `!x ${canary}` })],
    ["value with an anchor", manifest({ value: `&a ${canary}` })],
    ["value that is not closed", manifest({ value: `"${canary}` })],
    ["value with a bad escape", manifest({ value: `"\\q${canary}"` })],
    ["value that is no base64", manifest().replace("stringData", "data")],
    ["value repeated in an annotation", manifest({ annotations: `  annotations:\n    note: ${canary}\n` })],
    ["value repeated in base64", manifest({ annotations: `  annotations:\n    note: ${encoded}\n` })],
    ["value in a comment in the clear", `# ${canary}\n${manifest()}`],
    ["value as a block scalar cut off", manifest({ value: `|\n   ${canary}\n  ${canary}` })],
    ["value on a line of its own", `${manifest()}${canary}\n`],
    ["value twice", `${manifest()}  PASSWORD: ${canary}\n`],
    ["ENC in the clear", manifest({ value: `ENC[AES256_GCM,data:${encoded},type:str]` })],
    ["unknown field", `${manifest()}${canary}: ${canary}\n`.replace(`\n${canary}:`, "\nspec:")],
    ["tabs", manifest({ value: `\t${canary}\n\tx: ${canary}` })],
    ["an alias to nothing", manifest({ value: `*none # ${canary}` })],
  ].map(([title, stdin]): [string, () => string[], () => Given] => [
    `encrypt: ${title}`,
    () => ["--env", "prod"],
    () => ({ stdin: stdin ?? "" }),
  ]),
  [
    "encrypt: bytes that are not UTF-8",
    () => ["--env", "prod"],
    () => ({ stdin: Buffer.concat([Buffer.from(manifest()), Buffer.from([0xff])]) }),
  ],
  ["encrypt: too large", () => ["--env", "prod"], () => ({ stdin: manifest({ value: canary.repeat(100_000) }) })],
  ["set: KEY=VALUE", () => ["set", prod, `PASSWORD=${canary}`], () => ({ stdin: canary })],
  [
    "set: bytes into a text",
    () => ["set", prod, "PASSWORD"],
    () => ({ stdin: Buffer.concat([Buffer.from(canary), Buffer.from([0])]) }),
  ],
  ["set: a mistyped identity", () => ["set", prod, "PASSWORD", "--identity", mistyped], () => ({ stdin: canary })],
  ["set: wrong environment", () => ["set", prod, "PASSWORD", "--env", "staging"], () => ({ stdin: canary })],
  [
    "decrypt: a mistyped identity in the variable",
    () => ["decrypt", "deploy/staging/db.sealed.yaml"],
    () => ({ env: { SOPS_AGE_KEY: mistyped, XDG_CONFIG_HOME: "/none" } }),
  ],
  [
    "decrypt: a mistyped identity in a file",
    (dir) =>
      having(writeFileSync(join(dir.home, "bad"), mistyped), ["decrypt", prod, "--identity", join(dir.home, "bad")]),
  ],
  ["decrypt: an identity as the file to open", () => ["decrypt", mistyped]],
  ["decrypt: an output that cannot be written", () => ["decrypt", prod, "-o", "none/x.plain.yaml"]],
  ["decrypt: a plain manifest", () => ["decrypt"], () => ({ stdin: manifest() })],
  [
    "edit: nonsense",
    () => ["edit", prod],
    (dir) => ({ env: { EDITOR: editor(dir, `return text + "${canary}: [";`) } }),
  ],
  [
    "edit: a sealed Secret pasted in",
    () => ["edit", prod],
    (dir) => ({ env: { EDITOR: editor(dir, `return text + "sops: {}\\n";`) } }),
  ],
  [
    "edit: a value copied into a label",
    () => ["edit", prod],
    (dir) => ({
      env: {
        EDITOR: editor(dir, `return text.replace("  annotations:", "  labels: {a: ${canary}}\\n  annotations:");`),
      },
    }),
  ],
  ["edit: emptied", () => ["edit", prod], (dir) => ({ env: { EDITOR: editor(dir, 'return "";') } })],
  [
    "bind: a plain manifest",
    (dir) => having(dir.write("deploy/prod/p.yaml", manifest()), ["bind", "deploy/prod/p.yaml"]),
  ],
  ["wrap: a plain manifest", () => ["wrap"], () => ({ stdin: manifest() })],
  ["check: a plain manifest", (dir) => having(dir.write("p.yaml", manifest()), ["check"])],
  [
    "check: a plain manifest that is broken",
    (dir) => having(dir.write("p.yaml", `${manifest({ value: `"${canary}` })}sops:\n`), ["check", "--output", "json"]),
  ],
  [
    "keygen: a mistyped identity",
    (dir) =>
      having(writeFileSync(join(dir.home, "bad"), mistyped), [
        "keygen",
        "--secret",
        "--env",
        "prod",
        "--from",
        join(dir.home, "bad"),
      ]),
  ],
  ["init: an identity as a recipient", () => ["init", "--recovery", mistyped]],
  [
    "seal.yaml: an identity as a recipient",
    (dir) =>
      having(dir.write("seal.yaml", `version: 1\nenvironments: {prod: {recipients: {age: [${mistyped}]}}}\n`), [
        "--env",
        "prod",
      ]),
    () => ({ stdin: manifest() }),
  ],
];

test.each(failures)("%s: nothing is given away", async (title, argv, given) => {
  const dir = await sealedRepository();
  const { code, stdout, stderr } = await dir.run(argv(dir), given?.(dir));
  expect(code, `${title} should fail`).not.toBe(0);
  expect(code, stderr).not.toBe(70);
  const shown = stdout + stderr;
  expect(shown.toLowerCase()).not.toContain(canary);
  expect(shown).not.toContain(encoded);
  expect(shown).not.toMatch(/CANARYQQ/i);
});
