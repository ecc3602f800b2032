// The whole format, both directions, against the released sops: what it encrypts we open to the same values, MAC verified;
// what we encrypt it opens; what it changes in ours, and we in its, still opens on both sides.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import type { Selection } from "../../src/selection.ts";
import { ownRecipients, rekeyFile, rewrapFile, setInFile } from "../../src/sops-change.ts";
import { clearBytes, metadataOf, openFile } from "../../src/sops-file.ts";
import { sealFile } from "../../src/sops-seal.ts";
import { entriesOf } from "../../src/sops-tree.ts";
import type { StoreFile, Value } from "../../src/store.ts";
import { storeNamed } from "../../src/stores.ts";
import { findTool, titled } from "../support/available.ts";
import { type CorpusFile, corpus, fileName } from "../support/corpus.ts";
import { type Peers, peers } from "../support/peers.ts";
import { now } from "../support/sealing.ts";

const files = corpus();
const keys = Array.from({ length: 20 }, () => generateAgeIdentity());
const identities = keys.map(({ identity }) => identity);
const recipientsOf = ({ groups, threshold }: CorpusFile) => {
  let next = 0;
  return {
    groups: groups.map((count) =>
      Array.from({ length: count }, () => identities[next++ % identities.length]?.recipient ?? ""),
    ),
    threshold,
  };
};
const load = ({ store }: CorpusFile, bytes: string | Uint8Array): StoreFile =>
  storeNamed(store).load(typeof bytes === "string" ? Buffer.from(bytes, "utf8") : bytes);

const everything: Selection = { asks: "key", matches: () => true, encryptsMatches: true };

/** Every value of a plain file, in order: path, type and bytes. From sops, a float without a point comes back as an integer (and so -0 as 0). */
function valuesOf(file: StoreFile): string[] {
  const { leaves } = entriesOf(file.documents, everything, { isEncrypted: false });
  return leaves.map(({ path, item: { type, bytes } }) =>
    JSON.stringify([
      path,
      type === "float" ? "int" : type,
      Buffer.from(bytes)
        .toString("base64")
        .replace(/^LTA=$/, "MA=="),
    ]),
  );
}

const commentsOf = (file: StoreFile): string[] =>
  entriesOf(file.documents, everything, { isEncrypted: false })
    .comments.map(({ text }) => text.trimEnd())
    .filter((text) => text !== "")
    .sort();

function configOf(file: CorpusFile): string {
  const { groups, threshold } = recipientsOf(file);
  const rule = file.rule === null ? {} : { [file.rule.name]: file.rule.pattern };
  const recipients =
    groups.length === 1
      ? { age: groups[0] }
      : { key_groups: groups.map((age) => ({ age })), ...(threshold > 0 ? { shamir_threshold: threshold } : {}) };
  return JSON.stringify({
    creation_rules: [{ ...recipients, ...rule, ...(file.onlyEncrypted ? { mac_only_encrypted: true } : {}) }],
  });
}

/** Where a value can be set in a file: a new top-level key, or one in a section. */
const newPath = ({ store }: CorpusFile): string[] =>
  store === "binary" ? ["data"] : store === "ini" ? ["data", "new_secret"] : ["new_secret"];
const newValue: Value = { kind: "leaf", type: "str", bytes: Buffer.from("brand new"), offset: 0 };

describe.skipIf(findTool("sops") === null)(titled("a corpus of files of every kind", "sops"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers(keys.map(({ secretKey }) => secretKey));
  });
  afterAll(() => tools.remove());
  const bytesOf = (file: CorpusFile) => Buffer.from(file.text, "utf8");
  const encryptWithSops = (file: CorpusFile): string => {
    const config = tools.file("config.yaml", configOf(file));
    return tools.run("sops", ["--config", config, "encrypt", tools.file(fileName(file), bytesOf(file))]);
  };
  const decryptWithSops = (file: CorpusFile, text: string): string =>
    tools.run("sops", ["decrypt", tools.file(fileName(file), text)]);
  const seal = (file: CorpusFile) =>
    sealFile(bytesOf(file), storeNamed(file.store), {
      recipients: recipientsOf(file),
      rule: file.rule,
      onlyEncrypted: file.onlyEncrypted,
      now,
    });

  it("has at least 500 files", () => {
    expect(files.length).toBeGreaterThanOrEqual(500);
  });

  it.each(files)("what sops encrypts opens here: $name ($store, $rule.name)", async (file) => {
    const theirs = encryptWithSops(file);
    const opened = await openFile(load(file, theirs), { identities });
    const given = load(file, bytesOf(file));
    expect(valuesOf(load(file, clearBytes(opened)))).toEqual(valuesOf(given));
    if (file.store === "yaml") expect(commentsOf(load(file, clearBytes(opened)))).toEqual(commentsOf(given));
    expect(metadataOf(load(file, theirs)).groups.map(({ age }) => age.length)).toEqual(file.groups);
    if (files.indexOf(file) % 3 !== 0) return;
    const set = await setInFile(load(file, theirs), newPath(file), newValue, { identities, now });
    expect(decryptWithSops(file, set)).toContain("brand new");
    const rekeyed = await rekeyFile(load(file, set), { identities, now });
    expect(decryptWithSops(file, rekeyed)).toBe(decryptWithSops(file, set));
    const { groups, threshold } = ownRecipients(metadataOf(load(file, set)));
    const fewer = { groups: groups.map(([first = ""]) => [first]), threshold };
    const rewrapped = await rewrapFile(load(file, rekeyed), fewer, { identities, now });
    expect(decryptWithSops(file, rewrapped)).toBe(decryptWithSops(file, set));
  });

  it.each(files)(
    "what we encrypt sops opens, and gives back byte for byte: $name ($store, $rule.name)",
    async (file) => {
      const { text, notices } = await seal(file);
      const opened = await openFile(load(file, text), { identities });
      if (notices.length === 0) expect(Buffer.from(clearBytes(opened)).toString()).toBe(file.text);
      const theirs = decryptWithSops(file, text);
      if (file.store === "binary") expect(theirs).toBe(file.text);
      else expect(valuesOf(load(file, theirs))).toEqual(valuesOf(load(file, clearBytes(opened))));
      if (file.store === "binary" || files.indexOf(file) % 3 !== 1) return;
      const path = tools.file(fileName(file), text);
      const where = newPath(file)
        .map((key) => `["${key}"]`)
        .join("");
      tools.run("sops", ["set", path, where, '"brand new"']);
      const changed = await openFile(load(file, tools.read(path)), { identities });
      expect(Buffer.from(clearBytes(changed)).toString()).toContain("brand new");
      tools.run("sops", ["rotate", "-i", path]);
      const rotated = await openFile(load(file, tools.read(path)), { identities });
      expect(Buffer.from(clearBytes(rotated)).toString()).toBe(Buffer.from(clearBytes(changed)).toString());
    },
  );
});
