// Recipients whose time is over: nothing is sealed for them, the check names them, and what is sealed still opens.
import { describe, expect, it } from "vitest";
import {
  checkPlain,
  checkSealed,
  type EnvironmentPolicy,
  editPlain,
  openSealed,
  parseConfig,
  rewrapPlain,
  sealManifest,
  sealPlain,
  setValue,
} from "../../src/index.ts";
import { databaseSecret, environment, expectRefusal, refusalOf } from "../support/sealing.ts";

const config = (recipient: string) => `version: 1\nenvironments:\n  prod:\n    recipients:\n      age: ${recipient}\n`;
const prod = environment("prod");
const other = environment("prod");
const entry = (fields: string): string =>
  config(`[{recipient: ${prod.identity.recipient}${fields}}, ${other.identity.recipient}]`);
const lastDay = new Date("2027-01-31T23:59:59Z");
const after = new Date("2027-02-01T00:00:00Z");

function policy(): EnvironmentPolicy {
  const found = parseConfig(entry(", name: ada, expires: 2027-01-31"), "seal.yaml").environments.get("prod");
  if (found === undefined) throw new Error("no prod");
  return found;
}

describe("expires in seal.yaml", () => {
  it("is read beside recipients that are texts", () => {
    expect(policy().ageRecipients).toEqual([prod.identity.recipient, other.identity.recipient]);
    expect(policy().expirations).toEqual(new Map([[prod.identity.recipient, new Date("2027-01-31T23:59:59.999Z")]]));
    expect(parseConfig(entry(""), "seal.yaml").environments.get("prod")?.expirations).toBeUndefined();
  });

  it.each([
    ", expires: 2027-02-30",
    ", expires: soon",
    ", expires: 2027-1-1",
    ", until: 2027-01-31",
    ", expires: [2027-01-31, 2027-02-01]",
  ])("refuses %s", async (fields) => {
    const refusal = await expectRefusal(() => parseConfig(entry(fields), "seal.yaml"), "config-invalid");
    expect(refusal.line).toBe(5);
  });

  it("refuses a map without a recipient, and a recipient that is none", async () => {
    await expectRefusal(() => parseConfig(config("[{name: ada}]"), "seal.yaml"), "config-invalid");
    await expectRefusal(() => parseConfig(config("[{recipient: age1x}]"), "seal.yaml"), "config-invalid");
    await expectRefusal(() => parseConfig(config("{recipient: age1x}"), "seal.yaml"), "config-invalid");
  });
});

describe("a recipient whose time is over", () => {
  const source = (text: string) => ({ store: "dotenv", bytes: Buffer.from(text), file: "app.env" }) as const;

  it("stops sealing, and not on its last day", async () => {
    const seal = (now: Date) => sealManifest(databaseSecret, { environment: policy(), now });
    const { text } = await seal(lastDay);
    const refusal = await expectRefusal(() => seal(after), "recipient-expired");
    expect(refusal.message).toContain("expired on 2027-01-31");
    const here = { environment: policy(), target: "own" } as const;
    await expectRefusal(
      () => setValue(text, "PASSWORD", Buffer.from("new"), here, [prod.identity], { now: after }),
      "recipient-expired",
    );
    const options = { rule: null, now: lastDay };
    const plain = (await sealPlain(source("A=1\n"), policy(), options)).text;
    await expectRefusal(() => sealPlain(source("A=1\n"), policy(), { ...options, now: after }), "recipient-expired");
    await expectRefusal(
      () => rewrapPlain(source(plain), policy(), { identities: [prod.identity], now: after }),
      "recipient-expired",
    );
    const edited = await editPlain(source(plain), policy(), [prod.identity]);
    expect((await refusalOf(() => edited.reseal(Buffer.from("A=2\n"), after))).code).toBe("recipient-expired");
  });

  it("is named by the check, and what is sealed still opens", async () => {
    const { text } = await sealManifest(databaseSecret, { environment: policy(), now: lastDay });
    const here = { environment: policy(), target: "own" } as const;
    expect(checkSealed(text, here, "db.yaml", lastDay).notices).toEqual([]);
    expect(checkSealed(text, here, "db.yaml", after).notices).toMatchObject([{ code: "recipient-expired" }]);
    expect(checkSealed(text, here, "db.yaml").notices).toEqual([]);
    const plain = (await sealPlain(source("A=1\n"), policy(), { rule: null, now: lastDay })).text;
    expect(checkPlain(source(plain), policy(), after).notices).toMatchObject([{ code: "recipient-expired" }]);
    expect((await openSealed(text, here, [prod.identity])).name).toBe("db");
  });
});
