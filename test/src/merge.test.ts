import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bindSealed,
  checkSealed,
  type Decision,
  type Expectation,
  mergeSealed,
  mergeSops,
  openPlain,
  openSealed,
  resealEdited,
  rewrapPlain,
  type SealedMerge,
  type SopsSource,
  sealPlain,
  setInSops,
  setValue,
  sidesOf,
} from "../../src/index.ts";
import { environment, expectRefusal, now, sealed } from "../support/sealing.ts";

const prod = environment("prod");
const here: Expectation = { environment: prod.policy, target: "own" };
const style = { size: 7, labels: { ours: "ours", theirs: "theirs" } };
const later = (minutes: number): Date => new Date(now.getTime() + minutes * 60_000);

const open = async (text: string): Promise<Record<string, string>> => {
  const { data } = await openSealed(text, here, [prod.identity]);
  return Object.fromEntries([...data].map(([key, value]) => [key, Buffer.from(value).toString()]));
};
const set = async (text: string, key: string, value: string, at = 1): Promise<string> =>
  (await setValue(text, key, Buffer.from(value), here, [prod.identity], { now: later(at) })).text;
const edit = async (text: string, change: (plain: string) => string, at = 1): Promise<string> => {
  const { plainText } = await openSealed(text, here, [prod.identity]);
  return (await resealEdited(text, change(plainText), here, [prod.identity], { now: later(at) })).text;
};
const merge = (base: string | null, ours: string, theirs: string): Promise<SealedMerge> =>
  mergeSealed({ base, ours, theirs }, here, { identities: [prod.identity], now: later(9), file: "db.sealed.yaml" });
const encOf = (text: string, key: string): string => new RegExp(`^  ${key}: (ENC\\[.*)$`, "m").exec(text)?.[1] ?? "";

describe("mergeSealed()", () => {
  it("takes different keys of both sides, with their ENC texts and one new MAC", async () => {
    const base = await sealed(prod);
    const [ours, theirs] = [await set(base, "USERNAME", "ours", 1), await set(base, "PASSWORD", "theirs", 2)];
    const merged = await merge(base, ours, theirs);
    expect(merged.conflicts).toEqual([]);
    expect(await open(merged.text)).toMatchObject({ USERNAME: "ours", PASSWORD: "theirs" });
    expect(encOf(merged.text, "USERNAME")).toBe(encOf(ours, "USERNAME"));
    expect(encOf(merged.text, "PASSWORD")).toBe(encOf(theirs, "PASSWORD"));
    expect(encOf(merged.text, "TOKEN")).toBe(encOf(base, "TOKEN"));
    const mac = (text: string): string => encOf(text.replace(/^ {4}mac/m, "  mac"), "mac");
    expect(new Set([base, ours, theirs, merged.text].map(mac)).size).toBe(4);
    checkSealed(merged.text, here);
  });

  it("takes keys that both sides added in the same place, and one that a side removed", async () => {
    const base = await sealed(prod);
    const ours = await set(base, "NEW_OURS", "1");
    const theirs = await edit(
      await set(base, "NEW_THEIRS", "2"),
      (plain) => plain.replace(/^ {2}USERNAME.*\n/m, ""),
      3,
    );
    const merged = await merge(base, ours, theirs);
    expect(merged.conflicts).toEqual([]);
    const values = await open(merged.text);
    expect(values).toMatchObject({ NEW_OURS: "1", NEW_THEIRS: "2" });
    expect(values).not.toHaveProperty("USERNAME");
  });

  it("makes of the same key changed on both sides a conflict, of which each side is a whole sealed file", async () => {
    const base = await sealed(prod);
    const ours = await set(await set(base, "PASSWORD", "our-password"), "USERNAME", "both");
    const theirs = await set(await set(base, "PASSWORD", "their-password"), "TOKEN", "new-token");
    const merged = await merge(base, ours, theirs);
    expect(merged.conflicts.map(({ name }) => name)).toEqual(["PASSWORD"]);
    const [conflict] = merged.conflicts;
    expect([conflict?.ours, conflict?.theirs].map((bytes) => Buffer.from(bytes ?? []).toString())).toEqual([
      "our-password",
      "their-password",
    ]);
    const text = merged.conflictText(style);
    expect(() => checkSealed(text, here)).toThrow();
    const sides = sidesOf(text);
    expect(await open(sides?.ours ?? "")).toMatchObject({
      PASSWORD: "our-password",
      USERNAME: "both",
      TOKEN: "new-token",
    });
    expect(await open(sides?.theirs ?? "")).toMatchObject({
      PASSWORD: "their-password",
      USERNAME: "both",
      TOKEN: "new-token",
    });
    expect(text).not.toContain("password");
  });

  it.each<[string, Decision, string]>([
    ["ours", "ours", "ours"],
    ["theirs", "theirs", "theirs"],
    ["a new value", { value: Buffer.from("third\nof two lines") }, "third\nof two lines"],
  ])("resolves by %s, in stringData and in data", async (_, decision, outcome) => {
    const base = await sealed(prod);
    const both = async (value: string) => set(await set(base, "PASSWORD", value), "TOKEN", value);
    const merged = await merge(base, await both("ours"), await both("theirs"));
    expect(merged.conflicts.map(({ name }) => name).sort()).toEqual(["PASSWORD", "TOKEN"]);
    const text = merged.resolve(new Map(merged.conflicts.map(({ name }) => [name, decision])));
    expect(await open(text)).toMatchObject({ PASSWORD: outcome, TOKEN: outcome });
    checkSealed(text, here);
  });

  it("makes of a change here and a removal there a conflict, decided either way", async () => {
    const base = await sealed(prod);
    const ours = await set(base, "PASSWORD", "changed");
    const theirs = await edit(base, (plain) => plain.replace(/^ {2}PASSWORD.*\n/m, ""), 2);
    const merged = await merge(base, ours, theirs);
    expect(merged.conflicts).toMatchObject([{ name: "PASSWORD", theirs: null }]);
    expect(await open(merged.resolve(new Map([["PASSWORD", "ours" as const]])))).toMatchObject({ PASSWORD: "changed" });
    const removed = await open(merged.resolve(new Map([["PASSWORD", "theirs" as const]])));
    expect(removed).not.toHaveProperty("PASSWORD");
    const swapped = await merge(base, theirs, ours);
    expect(await open(swapped.resolve(new Map([["PASSWORD", "theirs" as const]])))).toMatchObject({
      PASSWORD: "changed",
    });
  });

  it("keeps comments, labels and layout that either side added", async () => {
    const base = await sealed(prod);
    const ours = await edit(base, (plain) => plain.replace("  USERNAME:", "  # who: ours\n  USERNAME:"));
    const theirs = await edit(
      base,
      (plain) => plain.replace("    app: payments", "    app: payments\n    tier: back"),
      2,
    );
    const merged = await merge(base, ours, theirs);
    expect([merged.conflicts, merged.commentsDiffer]).toEqual([[], false]);
    const { plainText, labels } = await openSealed(merged.text, here, [prod.identity]);
    expect(plainText).toContain("  # who: ours\n  USERNAME:");
    expect(labels).toEqual({ app: "payments", tier: "back" });
  });

  it("says where comments of both sides cannot stand in one text, and loses neither", async () => {
    const base = await sealed(prod);
    const ours = await edit(base, (plain) => plain.replace("  USERNAME:", "  # one\n  USERNAME:"));
    const theirs = await edit(base, (plain) => plain.replace("  USERNAME:", "  # two\n  USERNAME:"), 2);
    const merged = await merge(base, ours, theirs);
    expect([merged.conflicts, merged.commentsDiffer]).toEqual([[], true]);
    const sides = sidesOf(merged.conflictText(style));
    const textOf = async (side: string | undefined) => (await openSealed(side ?? "", here, [prod.identity])).plainText;
    expect(await textOf(sides?.ours)).toContain("# one");
    expect(await textOf(sides?.theirs)).toContain("# two");
    expect(await textOf(merged.resolve(new Map(), "theirs"))).toContain("# two");
  });

  it("takes the data key that one side made anew, and the other side's values under it", async () => {
    const [old, fresh] = [environment("prod"), environment("prod")];
    const policy = (...recipients: string[]) => ({ ...prod.policy, ageRecipients: recipients });
    const both = policy(prod.identity.recipient, old.identity.recipient);
    const base = await sealed({ ...prod, policy: both });
    const expectation: Expectation = { environment: both, target: "own" };
    const ours = (
      await setValue(base, "USERNAME", Buffer.from("ours"), expectation, [prod.identity], { now: later(1) })
    ).text;
    const after = policy(prod.identity.recipient, fresh.identity.recipient);
    const bound = await bindSealed(base, { environment: after, now: later(2) }, [prod.identity]);
    const wide = { ...both, ageRecipients: [...both.ageRecipients, fresh.identity.recipient] };
    const merged = await mergeSealed(
      { base, ours, theirs: bound.text },
      { environment: wide, target: "own" },
      { identities: [prod.identity], now: later(9) },
    );
    expect(merged.conflicts).toEqual([]);
    // The recipient that was taken out does not open what is merged, the new one does.
    checkSealed(merged.text, { environment: after, target: "own" });
    const opened = await openSealed(merged.text, { environment: after, target: "own" }, [fresh.identity]);
    expect(Buffer.from(opened.data.get("USERNAME") ?? []).toString()).toBe("ours");
  });

  it("makes of a file that is new on both sides a conflict for each value that differs", async () => {
    const [ours, theirs] = [await sealed(prod), await set(await sealed(prod), "USERNAME", "other")];
    const merged = await merge(null, ours, theirs);
    expect(merged.conflicts.map(({ name }) => name)).toEqual(["USERNAME"]);
  });

  it("goes on without a base that does not open, and says so", async () => {
    const strange = await sealed(environment("prod"));
    const base = await sealed(prod);
    const merged = await merge(strange, base, await set(base, "USERNAME", "other"));
    expect(merged.conflicts.map(({ name }) => name)).toEqual(["USERNAME"]);
    expect(merged.notices.join()).toContain("identity-unmatched");
  });

  it("refuses a side that the gate refuses", async () => {
    const base = await sealed(prod);
    const foreign = await sealed(environment("staging"));
    await expectRefusal(() => merge(base, base, foreign), "environment-mismatch");
    await expectRefusal(() => merge(base, foreign, base), "environment-mismatch");
    const changed = base.replace(/(PASSWORD: ENC\[AES256_GCM,data:)./, (_, start: string) => `${start}!`);
    await expectRefusal(() => merge(base, base, changed), "shape-invalid");
  });

  it("gives for any two sets of changes what merging by key means", async () => {
    const base = await sealed(prod);
    const key = fc.constantFrom("USERNAME", "PASSWORD", "TOKEN", "A", "B");
    const changes = fc.dictionary(key, fc.option(fc.constantFrom("1", "2", "x\ny", "# no comment", "é: 'q'")), {
      maxKeys: 4,
    });
    const before = await open(base);
    await fc.assert(
      fc.asyncProperty(changes, changes, async (mine, other) => {
        const apply = async (change: Record<string, string | null>, at: number) => {
          let text = base;
          for (const [name, value] of Object.entries(change)) {
            if (value !== null) text = await set(text, name, value, at);
            else text = await edit(text, (plain) => plain.replace(new RegExp(`^ {2}${name}: .*\\n`, "m"), ""), at);
          }
          return text;
        };
        const [ours, theirs] = [await apply(mine, 1), await apply(other, 2)];
        const [a, b] = [await open(ours), await open(theirs)];
        const merged = await merge(base, ours, theirs);
        const names = new Set([...Object.keys(a), ...Object.keys(b), ...Object.keys(before)]);
        const expected: Record<string, string | undefined> = {};
        const conflicts: string[] = [];
        for (const name of names) {
          const [was, x, y] = [before[name], a[name], b[name]];
          if (x !== was && y !== was && x !== y) conflicts.push(name);
          const value = x === was ? y : x;
          if (value !== undefined) expected[name] = value;
        }
        expect(await open(merged.text)).toEqual(expected);
        expect(merged.conflicts.map(({ name }) => name).sort()).toEqual(conflicts.sort());
        checkSealed(merged.text, here);
      }),
      { numRuns: 40 },
    );
  });
});

describe("mergeSops()", () => {
  const rule = null;
  const plain: Readonly<Record<string, string>> = {
    "app.yaml": "# values\ndb:\n  host: h\n  password: p\nlist:\n  - 1\n  - 2\nport: 5432\n",
    "app.json": '{\n\t"db": {\n\t\t"host": "h",\n\t\t"password": "p"\n\t},\n\t"port": 5432\n}\n',
    "app.env": "# values\nHOST=h\nPASSWORD=p\nPORT=5432\n",
    "app.ini": "[db]\nhost = h\npassword = p\n\n[app]\nport = 5432\n",
  };
  const stores = { yaml: "app.yaml", json: "app.json", dotenv: "app.env", ini: "app.ini" } as const;
  const paths = {
    yaml: [
      ["db", "host"],
      ["db", "password"],
    ],
    json: [
      ["db", "host"],
      ["db", "password"],
    ],
    dotenv: [["HOST"], ["PASSWORD"]],
    ini: [
      ["db", "host"],
      ["db", "password"],
    ],
  } as const;
  const options = { identities: [prod.identity], now: later(9) };
  const cases = Object.entries(stores) as [keyof typeof stores, string][];

  const source = (store: keyof typeof stores | "binary", text: string): SopsSource => ({
    store,
    bytes: Buffer.from(text),
    file: "file",
  });
  const sealFile = async (store: keyof typeof stores | "binary", text: string): Promise<string> =>
    (await sealPlain(source(store, text), prod.policy, { rule, now })).text;
  const change = (store: keyof typeof stores, text: string, path: readonly string[], value: string) =>
    setInSops(source(store, text), path, { text: Buffer.from(value) }, { ...options, namedOnly: true });
  const read = async (store: keyof typeof stores | "binary", text: string): Promise<string> =>
    Buffer.from((await openPlain(source(store, text), prod.policy, options)).bytes).toString();

  it.each(cases)("merges %s by key", async (store, file) => {
    const base = await sealFile(store, plain[file] ?? "");
    const [first, second] = paths[store];
    const ours = await change(store, base, first, "ours");
    const theirs = await change(store, base, second, "theirs");
    const versions = { base: source(store, base), ours: source(store, ours), theirs: source(store, theirs) };
    const merged = await mergeSops(versions, prod.policy, options);
    expect(merged.conflicts).toEqual([]);
    const text = await read(store, merged.text);
    expect(text).toBe(await read(store, await change(store, ours, second, "theirs")));
    // Where no environment governs, it is merged as sops would open it.
    expect((await mergeSops(versions, null, options)).conflicts).toEqual([]);
  });

  it.each(cases)("finds the conflict in %s", async (store, file) => {
    const base = await sealFile(store, plain[file] ?? "");
    const [path] = paths[store];
    const [ours, theirs] = [await change(store, base, path, "ours"), await change(store, base, path, "theirs")];
    const versions = { base: source(store, base), ours: source(store, ours), theirs: source(store, theirs) };
    const merged = await mergeSops(versions, prod.policy, options);
    expect(merged.conflicts.map(({ name }) => name)).toEqual([path.map((name) => `["${name}"]`).join("")]);
    const sides = sidesOf(merged.conflictText(style));
    expect(await read(store, sides?.ours ?? "")).toBe(await read(store, ours));
    expect(await read(store, sides?.theirs ?? "")).toBe(await read(store, theirs));
    const decided = merged.resolve(new Map([[merged.conflicts[0]?.name ?? "", { value: Buffer.from("third") }]]));
    expect(await read(store, decided)).toContain("third");
  });

  it("takes a list for one value", async () => {
    const base = await sealFile("yaml", plain["app.yaml"] ?? "");
    const ours = await setInSops(source("yaml", base), ["list", 0], { json: "7" }, { ...options, namedOnly: true });
    const theirs = await setInSops(source("yaml", base), ["list", 2], { json: "3" }, { ...options, namedOnly: true });
    const versions = { base: source("yaml", base), ours: source("yaml", ours), theirs: source("yaml", theirs) };
    const merged = await mergeSops(versions, prod.policy, options);
    expect(merged.conflicts.map(({ name }) => name)).toEqual(['["list"]']);
  });

  it("refuses a scalar here and a map there", async () => {
    const base = await sealFile("yaml", "a: 1\nb: 2\n");
    const json = (text: string, value: string) =>
      setInSops(source("yaml", text), ["a"], { json: value }, { ...options, namedOnly: true });
    const versions = {
      base: source("yaml", base),
      ours: source("yaml", await json(base, '{"x": 1}')),
      theirs: source("yaml", await json(base, '"text"')),
    };
    await expectRefusal(() => mergeSops(versions, prod.policy, options), "merge-conflict");
  });

  it("refuses to merge two binary files", async () => {
    const [ours, theirs] = [await sealFile("binary", "a"), await sealFile("binary", "b")];
    const versions = { base: null, ours: source("binary", ours), theirs: source("binary", theirs) };
    await expectRefusal(() => mergeSops(versions, prod.policy, options), "merge-conflict");
  });

  it("adds the recipients that an environment has got since", async () => {
    const other = environment("prod");
    const policy = { ...prod.policy, ageRecipients: [prod.identity.recipient, other.identity.recipient] };
    const text = await rewrapPlain(source("dotenv", await sealFile("dotenv", "A=1\n")), policy, options);
    expect((await openPlain(source("dotenv", text), policy, { identities: [other.identity] })).bytes.toString()).toBe(
      "A=1\n",
    );
  });
});

describe("a file with thousands of values", () => {
  const many = (change: (at: number) => string): string =>
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\nstringData:\n${Array.from({ length: 3000 }, (_, at) => `  K${at}: ${change(at)}\n`).join("")}`;

  it("is merged where both sides changed every other line, and given up where that takes too long", async () => {
    const base = await sealed(
      prod,
      many(() => "base"),
    );
    const [ours, theirs] = await Promise.all([
      edit(base, () => many((at) => (at % 2 === 0 ? "ours" : "base")), 1),
      edit(base, () => many((at) => (at % 2 === 1 ? "theirs" : "base")), 2),
    ]);
    const merged = await merge(base, ours, theirs);
    expect(merged.conflicts).toEqual([]);
    expect(await open(merged.text)).toMatchObject({ K0: "ours", K1: "theirs", K2999: "theirs" });
    const reversed = await edit(
      base,
      (plain) => {
        const lines = plain.trimEnd().split("\n");
        const start = lines.indexOf("stringData:") + 1;
        return `${[...lines.slice(0, start), ...lines.slice(start).reverse()].join("\n").replaceAll(": base", ": other")}\n`;
      },
      3,
    );
    const one = await edit(base, (plain) => plain.replace("K5: base", "K5: mine"), 4);
    await expectRefusal(() => merge(base, reversed, one), "merge-conflict");
  });
});
