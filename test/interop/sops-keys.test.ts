// Files of every kind of recipient between us and the released sops: whole files, both ways.
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import {
  bindSealed,
  decryptSops,
  type EnvironmentPolicy,
  generateHybridIdentity,
  openSealed,
  parseAgeIdentities,
  sealManifest,
} from "../../src/index.ts";
import { findTool, titled } from "../support/available.ts";
import { type Peers, peers } from "../support/peers.ts";
import { canary, databaseSecret, environment, expectRefusal, now } from "../support/sealing.ts";
import { openSshKey, sshLine } from "../support/ssh-keys.ts";

const hybrid = await generateHybridIdentity();
const ed = generateKeyPairSync("ed25519");
const rsa = generateKeyPairSync("rsa", { modulusLength: 3072 });
const prod = environment("prod");

/** Each kind: where sops looks for its identity, the file there, and the recipient. */
const kinds: readonly (readonly [kind: string, path: string, identityFile: string, recipient: string])[] = [
  ["post-quantum", "keys.txt", `${hybrid.secretKey}\n`, hybrid.identity.recipient],
  ["ssh-ed25519", ".ssh/id_ed25519", openSshKey(ed.privateKey), `${sshLine(ed.publicKey)} someone@laptop`],
  ["ssh-rsa", ".ssh/id_rsa", openSshKey(rsa.privateKey), `${sshLine(rsa.publicKey)} someone: "quoted" # here`],
];

describe.skipIf(findTool("sops") === null).each(kinds)(
  titled("%s recipients and the released sops", "sops"),
  (...kind) => {
    const [, path, identityFile, recipient] = kind;
    const policy: EnvironmentPolicy = { ...prod.policy, ageRecipients: [recipient] };
    let tools: Peers;
    beforeAll(() => {
      tools = peers([]);
      mkdirSync(`${tools.home}/.ssh`);
      tools.file(path, identityFile, 0o600);
    });
    afterAll(() => tools.remove());
    const identities = () => parseAgeIdentities(identityFile, path);

    it("sops opens what we sealed", async () => {
      const { text } = await sealManifest(databaseSecret, { environment: policy, now });
      expect(parse(text).sops.age[0].recipient).toBe(recipient);
      expect(parse(tools.run("sops", ["decrypt", tools.file("sealed.yaml", text)])).stringData.PASSWORD).toBe(canary);
    });

    it("we open it through the gate, with what the identity file says, and with no other identity", async () => {
      const { text } = await sealManifest(databaseSecret, { environment: policy, now });
      const here = { environment: policy, target: "own" } as const;
      expect((await openSealed(text, here, await identities())).name).toBe("db");
      await expectRefusal(() => openSealed(text, here, [prod.identity]), "identity-unmatched");
    });

    it("we open and bind what sops encrypted, whatever the comment of the key is called here", async () => {
      const plain = tools.file("plain.yaml", databaseSecret);
      const text = tools.run("sops", [
        "encrypt",
        ...["--age", recipient, "--encrypted-regex", "^(data|stringData)$"],
        plain,
      ]);
      expect(parse((await decryptSops(text, await identities())).text).stringData.PASSWORD).toBe(canary);
      const [withoutComment] = (await identities()).map((identity) => identity.recipient);
      const other: EnvironmentPolicy = { ...policy, ageRecipients: [withoutComment ?? ""] };
      const bound = await bindSealed(text, { environment: other, now, isNamed: true }, await identities());
      const opened = await openSealed(bound.text, { environment: other, target: "own" }, await identities());
      expect(opened.notices).toEqual([]);
    });

    it("an identity of this kind that is another environment's binds nothing, comment or not", async () => {
      const text = tools.run("sops", [
        "encrypt",
        ...["--age", `${recipient},${prod.identity.recipient}`, "--encrypted-regex", "^(data|stringData)$"],
        tools.file("plain.yaml", databaseSecret),
      ]);
      const [withoutComment = ""] = (await identities()).map((identity) => identity.recipient);
      const options = { environment: prod.policy, now, otherRecipients: [withoutComment] };
      await expectRefusal(() => bindSealed(text, options, [prod.identity]), "recipient-foreign");
    });
  },
);
