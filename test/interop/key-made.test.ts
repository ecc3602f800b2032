// The time of a data key in the block, met by the released sops: it reads past it in every store and drops it when it writes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeSops, type StoreName, sealSops } from "../../src/index.ts";
import { findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";
import { identity, secretKey } from "../support/stores.ts";

const table: readonly (readonly [StoreName, string, string, string])[] = [
  ["yaml", "f.yaml", "a: x\n", '["a"]'],
  ["json", "f.json", '{"a": "x"}\n', '["a"]'],
  ["dotenv", "f.env", "a=x\n", '["a"]'],
  ["ini", "f.ini", "[s]\na = x\n", '["s"]["a"]'],
  ["binary", "f.bin", "x\n", '["data"]'],
];

describe.skipIf(findTool("sops") === null)(titled("sealward_created and the released sops", "sops"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([secretKey]);
  });
  afterAll(() => tools.remove());

  it.each(table)("opens and changes a %s file that has it, and drops it", async (store, name, text, path) => {
    const now = new Date("2026-01-02T03:04:05Z");
    const source = { bytes: Buffer.from(text), store };
    const sealed = (await sealSops(source, { recipients: { groups: [[identity.recipient]] }, rule: null, now })).text;
    expect(sealed).toContain("sealward_created");
    const file = tools.file(name, sealed);
    expect(tools.run("sops", ["decrypt", "--extract", path, file]).trim()).toBe("x");
    tools.run("sops", ["set", file, path, '"y"']);
    expect(tools.run("sops", ["decrypt", "--extract", path, file]).trim()).toBe("y");
    const after = tools.readBytes(file);
    expect(after.toString()).not.toContain("sealward_created");
    expect((await describeSops({ bytes: after, store })).keyMade).toBeNull();
  });
});
