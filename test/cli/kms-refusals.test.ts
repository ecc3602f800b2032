// Files whose KMS entries do not belong where the file lies, or say something of whom to call: what is refused before KMS is
// asked, what `seal bind` repairs and what it does not, and that nothing a file says is used.
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { documentDigest } from "../../src/bytes.ts";
import { KmsIdentity, setInSops } from "../../src/index.ts";
import { awsAt } from "../support/kms-environments.ts";
import { canary, type GitDir, gitdir, manifest, succeed } from "./gitdir.ts";
import {
  awsOf,
  contextsOf,
  expectRefused,
  foreignlySealed,
  type KmsWorld,
  kmsWorld,
  operations,
  sealedFile,
} from "./kms-world.ts";

const prod = "deploy/prod/db.sealed.yaml";
const strict = { "sealward-environment": "prod", "sealward-namespace": "payments", "sealward-name": "db" };
const mismatch = { code: "context-mismatch", exit: 1 } as const;

/** Replaces text that is there, so that an attack which no longer applies fails its test. */
function rewrite(dir: GitDir, file: string, from: string | RegExp, to: string): void {
  const text = dir.read(file);
  const next = text.replace(from, to);
  expect(next).not.toBe(text);
  dir.write(file, next);
}

/** A field of the file as `sops set` changes it: with a new MAC, and the entries as they were. */
async function setAsSops({ server, dir, keys }: KmsWorld, field: string, value: string): Promise<void> {
  const kms = awsAt({ endpoint: server.endpoint, credentials: server.credentials() }).as();
  const file = { bytes: Buffer.from(dir.read(prod)), store: "yaml", file: prod } as const;
  const how = { identities: [new KmsIdentity(keys.prod, kms)], now: new Date("2026-11-23T11:00:00Z") };
  dir.write(prod, await setInSops(file, ["metadata", field], { text: Buffer.from(value) }, how));
  server.forgetCalls();
}

/** A Secret as sops seals it: no binding, and this encryption context. */
function foreignlyMade(world: KmsWorld, context: string | null, rule = "^(data|stringData)$"): Promise<string> {
  return foreignlySealed(world, { name: "db.yaml", text: manifest(), context, rule });
}

describe("a file with another context", () => {
  test("than its environment's: no command opens it, none asks KMS, and binding does not move it", async () => {
    const world = await kmsWorld({ shared: true });
    const staging = await sealedFile(world, manifest(), { out: "deploy/staging/db.sealed.yaml" });
    world.dir.write(prod, world.dir.read(staging).replace("environment: staging", "environment: prod"));
    for (const argv of [["decrypt"], ["set"], ["edit"], ["bind"], ["wrap"]]) {
      const all = [...argv, prod, ...(argv[0] === "set" ? ["PASSWORD"] : [])];
      const { stderr } = await expectRefused(world, () => world.run(all, { stdin: "x" }), mismatch);
      if (argv[0] !== "bind") expect(stderr).toContain("`seal bind deploy/prod/db.sealed.yaml`");
    }
    for (const flags of [["--env", "prod"], ["--move"], ["--env", "prod", "--move", "--scope", "environment"]]) {
      const { stderr } = await expectRefused(world, () => world.run(["bind", prod, ...flags]), mismatch);
      expect(stderr).toContain('was made for the environment "staging"');
      expect(stderr).toContain("hint: a file of another environment belongs there");
    }
    expect((await world.run(["check"])).stdout).toContain(`${prod}:`);
    expect(world.server.calls).toEqual([]);
  });

  test("than its name's: bound only with --move, and then to what it is now", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    await setAsSops(world, "name", "other");
    await expectRefused(world, () => world.run(["decrypt", prod]), mismatch);
    const { stderr } = await expectRefused(world, () => world.run(["bind", prod]), mismatch);
    expect(stderr).toContain(`\`seal bind --move ${prod}\``);
    expect(world.server.calls).toEqual([]);
    const moved = await succeed(world.run(["bind", prod, "--move"]));
    expect(moved.stderr).toContain('name: was "db", now "other"');
    expect(operations(world)).toEqual(["Decrypt", "Encrypt"]);
    expect(world.server.calls.map(({ encryptionContext }) => encryptionContext)).toEqual([
      strict,
      { ...strict, "sealward-name": "other" },
    ]);
    expect(contextsOf(prod, world.dir.read(prod))).toEqual([{ ...strict, "sealward-name": "other" }]);
    await succeed(world.run(["decrypt", prod]));
  });

  test("than its namespace's: the same", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    await setAsSops(world, "namespace", "ledger");
    await expectRefused(world, () => world.run(["bind", prod]), mismatch);
    await succeed(world.run(["bind", prod, "--move"]));
    expect(contextsOf(prod, world.dir.read(prod))).toEqual([{ ...strict, "sealward-namespace": "ledger" }]);
    await succeed(world.run(["decrypt", prod]));
  });

  test("than its name's, changed by hand: not even --move binds it, and nothing is written", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    rewrite(world.dir, prod, "  name: db\n", "  name: other\n");
    const { stderr } = await expectRefused(world, () => world.run(["bind", prod, "--move"]), {
      code: "not-authentic",
      exit: 1,
    });
    expect(stderr).toContain("take it back from Git");
  });

  test("after a change of scope carries what the new scope pins", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    await succeed(world.run(["bind", prod, "--scope", "environment"]));
    expect(contextsOf(prod, world.dir.read(prod))).toEqual([{ "sealward-environment": "prod" }]);
    await succeed(world.run(["decrypt", prod]));
    await succeed(world.run(["bind", prod, "--scope", "strict"]));
    expect(contextsOf(prod, world.dir.read(prod))).toEqual([strict]);
    await succeed(world.run(["decrypt", prod]));
  });

  test("copied from another file of the environment with its entry is refused, moved or not", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    const other = await sealedFile(world, manifest({ name: "other" }), { out: "deploy/prod/other.sealed.yaml" });
    const [head] = world.dir.read(prod).split("\nsops:");
    world.dir.write(prod, `${head}\nsops:${world.dir.read(other).split("\nsops:")[1]}`);
    await expectRefused(world, () => world.run(["decrypt", prod]), mismatch);
    await expectRefused(world, () => world.run(["bind", prod]), mismatch);
    expect(world.server.calls).toEqual([]);
    await expectRefused(world, () => world.run(["bind", prod, "--move"]), { code: "not-authentic", exit: 1 });
  });

  test.each([
    ["none", null],
    ["a foreign one", "app:x"],
    ["a foreign one in which our words stand as values", "app:sealward-environment"],
  ])("made with sops, with %s, is unbound, and binding it repairs that", async (_, context) => {
    const world = await kmsWorld();
    world.dir.write(prod, await foreignlyMade(world, context));
    const { stderr } = await expectRefused(world, () => world.run(["decrypt", prod]), { code: "unbound", exit: 1 });
    expect(stderr).toContain(`\`seal bind ${prod}\``);
    expect(world.server.calls).toEqual([]);
    const bound = await succeed(world.run(["bind", prod]));
    expect(bound.stderr).toContain(`gave the entry of ${world.keys.prod} the encryption context that belongs here`);
    expect(contextsOf(prod, world.dir.read(prod))).toEqual([strict]);
    expect((await succeed(world.run(["decrypt", prod]))).stdout).toContain(canary);
    await succeed(world.run(["check"]));
  });

  test("that only begins like ours is taken for ours", async () => {
    const world = await kmsWorld();
    world.dir.write(prod, await foreignlyMade(world, "Sealward-Environment:prod"));
    await expectRefused(world, () => world.run(["bind", prod]), mismatch);
    expect(world.server.calls).toEqual([]);
  });

  test("taken out of a bound file is refused, and binding finds that it does not open", async () => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    rewrite(world.dir, prod, /context:\n(?: +sealward-\w+: .*\n){3} +/, "");
    const { stderr } = await expectRefused(world, () => world.run(["decrypt", prod]), mismatch);
    expect(stderr).toContain("has no encryption context, this place has");
    expect(stderr).toContain(`\`seal bind ${prod}\``);
    expect(world.server.calls).toEqual([]);
    await expectRefused(world, () => world.run(["bind", prod]), { code: "not-authentic", exit: 1 });
  });
});

describe("a sealed Secret without a binding", () => {
  const ours = "sealward-environment:prod,sealward-namespace:payments,sealward-name:db";

  test("whose entry has our context is unbound, though its digest be listed", async () => {
    const world = await kmsWorld();
    const text = await foreignlyMade(world, ours);
    world.dir.write(prod, text);
    for (const more of ["", `    unbound: ["${documentDigest(text)}"]\n`]) {
      world.dir.write("seal.yaml", world.sealYaml({ more }));
      for (const argv of [
        ["decrypt", prod],
        ["set", prod, "PASSWORD"],
        ["edit", prod],
        ["wrap", prod],
      ])
        await expectRefused(world, () => world.run(argv, { stdin: "x" }), { code: "unbound", exit: 1 });
      expect((await world.run(["check"])).stdout).toContain("unbound");
    }
    expect(world.server.calls).toEqual([]);
  });

  test("whose entry has no context of ours is unbound too, though its digest be listed", async () => {
    const world = await kmsWorld();
    const text = await foreignlyMade(world, null);
    world.dir.write(prod, text);
    world.dir.write("seal.yaml", world.sealYaml({ more: `    unbound: ["${documentDigest(text)}"]\n` }));
    await expectRefused(world, () => world.run(["decrypt", prod]), { code: "unbound", exit: 1 });
    expect(world.server.calls).toEqual([]);
  });

  test.each(["db.yaml", "db.json"])("is unbound where no seal.yaml governs, too: %s", async (name) => {
    const world = await kmsWorld();
    const fields = { apiVersion: "v1", kind: "Secret", metadata: { name: "db" }, stringData: { PASSWORD: canary } };
    const text = name.endsWith("json") ? JSON.stringify(fields) : manifest();
    const elsewhere = gitdir({});
    const aws = awsOf(world.server);
    const rule = "^(data|stringData)$";
    for (const context of [ours, "sealward-environment:prod"]) {
      elsewhere.write(`sealed-${name}`, await foreignlySealed(world, { name, text, context, rule }));
      for (const argv of [
        ["decrypt", `sealed-${name}`],
        ["decrypt", "--ignore-mac", `sealed-${name}`],
        ["set", `sealed-${name}`, '["stringData"]["PASSWORD"]'],
        ["edit", `sealed-${name}`],
      ])
        await expectRefused({ ...world, dir: elsewhere }, () => elsewhere.run(argv, { ...aws, stdin: "x" }), {
          code: "unbound",
          exit: 1,
        });
      expect(world.server.calls).toEqual([]);
    }
  });

  test("is unbound where it shows only once it is open that it is a Secret", async () => {
    const world = await kmsWorld();
    const how = { name: "db.yaml", text: manifest(), context: "sealward-environment:prod", rule: null };
    const elsewhere = gitdir({ "db.yaml": await foreignlySealed(world, how) });
    const aws = awsOf(world.server);
    expect(elsewhere.read("db.yaml")).toContain("kind: ENC[");
    await expectRefused({ ...world, dir: elsewhere }, () => elsewhere.run(["decrypt", "db.yaml"], aws), {
      code: "unbound",
      exit: 1,
    });
  });
});

describe("a bound file where no seal.yaml governs", () => {
  test.each<[string, string | RegExp, string]>([
    ["name", "  name: db\n", "  name: other\n"],
    ["namespace", "namespace: payments\n", "namespace: ledger\n"],
    ["environment", "environment: prod\n", "environment: staging\n"],
    ["scope", "scope: strict\n", "scope: namespace\n"],
  ])("with another %s is refused before any call", async (_, from, to) => {
    const world = await kmsWorld();
    await sealedFile(world, manifest());
    const elsewhere = gitdir({ "db.yaml": world.dir.read(prod) });
    const aws = awsOf(world.server);
    await succeed(elsewhere.run(["decrypt", "db.yaml"], aws));
    world.server.forgetCalls();
    rewrite(elsewhere, "db.yaml", from, to);
    await expectRefused({ ...world, dir: elsewhere }, () => elsewhere.run(["decrypt", "db.yaml"], aws), mismatch);
    expect(world.server.calls).toEqual([]);
  });

  /** The MAC knows no formats and no empty documents: what it would accept must not hide the binding. */
  test.each<[string, string, (text: string) => string, "shape-invalid" | "several-documents"]>([
    ["written as JSON", "db.json", (text) => JSON.stringify(parse(text)), "shape-invalid"],
    ["with an empty document behind it", "db.yaml", (text) => `${text}---\n{}\n`, "several-documents"],
    ["with a document of nulls behind it", "db.yaml", (text) => `${text}---\na: null\n`, "several-documents"],
    [
      "with a document of nulls before it",
      "db.yaml",
      (text) => `a: null\nsops:${text.split("\nsops:")[1]}---\n${text}`,
      "several-documents",
    ],
  ])("is not opened %s", async (_, name, form, code) => {
    const world = await kmsWorld();
    await sealedFile(world, manifest(), { args: ["--scope", "environment"] });
    const elsewhere = gitdir({ [name]: form(world.dir.read(prod)) });
    for (const argv of [
      ["decrypt", name],
      ["decrypt", "--ignore-mac", name],
    ])
      await expectRefused({ ...world, dir: elsewhere }, () => elsewhere.run(argv, awsOf(world.server)), {
        code,
        exit: 3,
      });
    expect(world.server.calls).toEqual([]);
  });
});
