import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unwrapDataKey, wrapDataKey } from "../../src/age.ts";
import { generateAgeIdentity, parseAgeIdentities } from "../../src/index.ts";
import { findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";

const own = generateAgeIdentity();

describe.skipIf(findTool("age") === null)(titled("the released age", "age"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([own.secretKey]);
  });
  afterAll(() => tools.remove());

  it("opens the blob that we wrapped: the 32 bytes of the data key", () => {
    const dataKey = randomBytes(32);
    const blob = tools.file("key.age", wrapDataKey(dataKey, own.identity.recipient));
    const out = `${tools.home}/key`;
    tools.run("age", ["--decrypt", "--identity", `${tools.home}/keys.txt`, "--output", out, blob]);
    expect(tools.readBytes(out)).toEqual(dataKey);
  });

  it("writes blobs that we open, whoever else can open them", () => {
    const dataKey = randomBytes(32);
    const others = [generateAgeIdentity(), own, generateAgeIdentity()].flatMap(({ identity }) => [
      "-r",
      identity.recipient,
    ]);
    const blob = tools.run("age", ["--armor", ...others, tools.file("key", dataKey)]);
    expect(Buffer.from(unwrapDataKey(blob, own.identity) ?? [])).toEqual(dataKey);
    expect(unwrapDataKey(blob, generateAgeIdentity().identity)).toBeNull();
  });

  it.skipIf(findTool("age-keygen") === null)(titled("writes identity files that we read", "age-keygen"), () => {
    const path = `${tools.home}/fresh.txt`;
    tools.run("age-keygen", ["-o", path]);
    const [identity] = parseAgeIdentities(tools.read(path), path);
    expect(identity?.recipient).toBe(tools.run("age-keygen", ["-y", path]).trim());
  });
});
