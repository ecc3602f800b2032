import { describe, expect, it } from "vitest";
import { checkPlain, openPlain, type SopsSource, sealPlain, sealSops } from "../../src/index.ts";
import { environment, expectRefusal, now } from "../support/sealing.ts";

const [prod, staging] = [environment("prod"), environment("staging")];
const how = { rule: null, now };
const yaml = (text: string): SopsSource => ({ bytes: Buffer.from(text), store: "yaml" });
const identities = [prod.identity, staging.identity];

async function sealedFor({ policy }: typeof prod, source: SopsSource): Promise<SopsSource> {
  return { ...source, bytes: Buffer.from((await sealPlain(source, policy, how)).text) };
}

describe("a file that is no Secret", () => {
  it("is sealed for its environment, and opens there with an identity of that environment only", async () => {
    const source = await sealedFor(prod, yaml("password: x\n"));
    expect(checkPlain(source, prod.policy).notices).toEqual([]);
    expect(Buffer.from((await openPlain(source, prod.policy, { identities })).bytes).toString()).toBe("password: x\n");
    await expectRefusal(() => openPlain(source, prod.policy, { identities: [staging.identity] }), "identity-unmatched");
    await expectRefusal(() => openPlain(source, prod.policy, { identities: [] }), "identity-missing");
  });

  it("of another environment is refused before anything is opened", async () => {
    const source = await sealedFor(staging, yaml("password: x\n"));
    await expectRefusal(() => checkPlain(source, prod.policy), "recipient-foreign");
    await expectRefusal(() => openPlain(source, prod.policy, { identities }), "recipient-foreign");
  });

  it("that lacks a recipient is noticed, and refused where the environment is strict", async () => {
    const source = await sealedFor(prod, yaml("password: x\n"));
    const more = { ...prod.policy, ageRecipients: [...prod.policy.ageRecipients, staging.identity.recipient] };
    expect(checkPlain(source, more).notices.map(({ code }) => code)).toEqual(["recipient-missing"]);
    await expectRefusal(() => checkPlain(source, { ...more, strictRecipients: true }), "recipient-missing");
  });
});

describe("a Secret that passes for another file", () => {
  const secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  A: b\n";
  const listed = `apiVersion: v1\nkind: List\nitems:\n  - ${secret.trimEnd().replaceAll("\n", "\n    ")}\n`;
  it.each<[string, SopsSource]>([
    ["as it is", yaml(secret)],
    ["with an escaped key", yaml(secret.replace("kind:", '"k\\x69nd":'))],
    ["in a List", yaml(listed)],
    ["as a second document", yaml(`a: b\n---\n${secret}`)],
    ["as JSON", { store: "json", bytes: Buffer.from('{"apiVersion":"v1","kind":"Secret","stringData":{"A":"b"}}') }],
  ])("%s is neither sealed nor opened", async (_, source) => {
    await expectRefusal(() => sealPlain(source, prod.policy, how), "unbound");
    const recipients = { groups: [prod.policy.ageRecipients] };
    const { text } = await sealSops(source, { ...how, recipients });
    const encrypted = { ...source, bytes: Buffer.from(text) };
    await expectRefusal(() => openPlain(encrypted, prod.policy, { identities }), "unbound");
    const rule = { name: "encrypted_regex", pattern: "^(data|stringData)$" } as const;
    const clearKind = { ...source, bytes: Buffer.from((await sealSops(source, { ...how, recipients, rule })).text) };
    await expectRefusal(() => checkPlain(clearKind, prod.policy), "unbound");
  });
});
