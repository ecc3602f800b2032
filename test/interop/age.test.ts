import { spawnSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unwrapDataKey, wrapDataKey } from "../../src/age.ts";
import {
  type AgeIdentity,
  generateAgeIdentity,
  generateHybridIdentity,
  openIdentityFile,
  parseAgeIdentities,
} from "../../src/index.ts";
import { findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";
import { openSshKey, pemKey, sshLine } from "../support/ssh-keys.ts";

const own = generateAgeIdentity();
const hybrid = await generateHybridIdentity();
const edKey = generateKeyPairSync("ed25519");
const rsaKey = generateKeyPairSync("rsa", { modulusLength: 2048 });
const wideKey = generateKeyPairSync("rsa", { modulusLength: 3072 });

/** Each kind: its identity file, and a recipient as people write it. */
const kinds: readonly (readonly [kind: string, identityFile: string, recipient: string])[] = [
  ["X25519", `${own.secretKey}\n`, own.identity.recipient],
  ["post-quantum", `${hybrid.secretKey}\n`, hybrid.identity.recipient],
  ["ssh-ed25519 in OpenSSH's form", openSshKey(edKey.privateKey), `${sshLine(edKey.publicKey)} someone@laptop`],
  ["ssh-rsa in OpenSSH's form", openSshKey(rsaKey.privateKey), `${sshLine(rsaKey.publicKey)} two words`],
  ["ssh-rsa in PEM, with a body of whole lines", pemKey(wideKey.privateKey), sshLine(wideKey.publicKey)],
];

describe.skipIf(findTool("age") === null)(titled("the released age", "age"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([own.secretKey]);
  });
  afterAll(() => tools.remove());

  describe.each(kinds)("%s", (_, identityFile, recipient) => {
    const read = async (): Promise<AgeIdentity> => {
      const [identity, ...others] = await parseAgeIdentities(identityFile, "key");
      if (identity === undefined || others.length > 0) throw new Error("expected one identity");
      return identity;
    };

    it("opens the blob that we wrapped: the 32 bytes of the data key", async () => {
      const dataKey = randomBytes(32);
      const blob = tools.file("key.age", await wrapDataKey(dataKey, recipient));
      const out = `${tools.home}/key`;
      const identity = tools.file("identity", identityFile, 0o600);
      tools.run("age", ["--decrypt", "--identity", identity, "--output", out, blob]);
      expect(tools.readBytes(out)).toEqual(dataKey);
    });

    it("writes blobs that we open, and others do not", async () => {
      const dataKey = randomBytes(32);
      const blob = tools.run("age", ["--armor", "-r", recipient, tools.file("key", dataKey)]);
      expect(Buffer.from((await unwrapDataKey(blob, await read())) ?? [])).toEqual(dataKey);
      expect(await unwrapDataKey(blob, generateAgeIdentity().identity)).toBeNull();
    });

    it("has the recipient that we make of the identity", async () => {
      expect(recipient.startsWith((await read()).recipient)).toBe(true);
    });
  });

  it("writes blobs for several, of which each opens them", async () => {
    const dataKey = randomBytes(32);
    const [ed] = await parseAgeIdentities(openSshKey(edKey.privateKey), "id_ed25519");
    const [rsa] = await parseAgeIdentities(openSshKey(rsaKey.privateKey), "id_rsa");
    const holders = [generateAgeIdentity().identity, ed, own.identity, rsa].filter((holder) => holder !== undefined);
    const flags = holders.flatMap(({ recipient }) => ["-r", recipient]);
    const blob = tools.run("age", ["--armor", ...flags, tools.file("key", dataKey)]);
    expect(holders).toHaveLength(4);
    for (const holder of holders) expect(Buffer.from((await unwrapDataKey(blob, holder)) ?? [])).toEqual(dataKey);
  });

  it.skipIf(findTool("age-keygen") === null).each([
    ["X25519", []],
    ["post-quantum", ["-pq"]],
  ])(titled("writes identity files that we read: %s", "age-keygen"), async (name, flags) => {
    const path = `${tools.home}/fresh-${name}.txt`;
    tools.run("age-keygen", [...flags, "-o", path]);
    const [identity] = await parseAgeIdentities(tools.read(path), path);
    expect(identity?.recipient).toBe(tools.run("age-keygen", ["-y", path]).trim());
  });

  // The released age asks for a passphrase at a terminal only: `script` plays one.
  const script = spawnSync("script", ["--version"], { encoding: "utf8" });
  const hasTerminal = script.status === 0 && script.stdout.includes("util-linux");
  it.skipIf(!hasTerminal).each([
    ["binary", []],
    ["armored", ["--armor"]],
  ])(
    "writes encrypted identity files that we open: %s",
    async (name, flags) => {
      const plain = tools.file("plain.txt", `# mine\n${own.secretKey}\n`);
      const out = `${tools.home}/${name}.age`;
      const command = [findTool("age"), "--encrypt", "--passphrase", ...flags, "--output", out, plain].join(" ");
      const { status } = spawnSync("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
        input: "correct horse\ncorrect horse\n",
        timeout: 60_000,
      });
      expect(status).toBe(0);
      expect(await openIdentityFile(tools.readBytes(out), "correct horse")).toBe(`# mine\n${own.secretKey}\n`);
      expect(await openIdentityFile(tools.readBytes(out), "wrong horse")).toBeNull();
    },
    60_000,
  );
});
