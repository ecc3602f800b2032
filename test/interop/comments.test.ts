// The oracle for src/yaml-comments.ts: the released sops encrypts every comment with the path of its container as
// additional data, so that a comment opens with the path that we name, or not at all.
import { createSecretKey } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { unwrapDataKey } from "../../src/age.ts";
import { generateAgeIdentity } from "../../src/index.ts";
import { aadOfPath, decryptValue, parseEncrypted } from "../../src/sops-value.ts";
import { attachComments } from "../../src/yaml-comments.ts";
import { isCollection, isPair, isScalar, parseYamlStream, type YamlSource } from "../../src/yaml-source.ts";
import { findTool, titled } from "../support/available.ts";
import { commentedYaml } from "../support/commented-yaml.ts";
import { type Peers, peers } from "../support/peers.ts";

const own = generateAgeIdentity();

/** The additional data of each comment of a document, as we name it. */
function aadsOf(source: YamlSource): [string, string][] {
  const paths = new Map<unknown, readonly string[]>();
  const walk = (node: unknown, path: readonly string[]) => {
    if (!isCollection(node)) return;
    paths.set(node, path);
    for (const item of node.items) {
      if (isPair(item)) walk(item.value, [...path, isScalar(item.key) ? String(item.key.value) : ""]);
      else walk(item, path);
    }
  };
  walk(source.root, []);
  // The path of the root is the one that is not empty for sops: a colon.
  return attachComments(source).map(({ text, container }) => [text, aadOfPath(paths.get(container) ?? ["?"]) || ":"]);
}

/** What sops encrypted of the comments: each text, in the order of the file, and the additional data it opens with. */
async function oracle(tools: Peers, text: string, aads: ReadonlySet<string>): Promise<[string, string][]> {
  const sealed = tools.run("sops", ["encrypt", "--age", own.identity.recipient, tools.file("comments.yaml", text)]);
  const dataKey = await unwrapDataKey(parseAllDocuments(sealed)[0]?.toJS().sops.age[0].enc, own.identity);
  if (dataKey === null) throw new Error("sops wrote a blob that we cannot open");
  const key = createSecretKey(dataKey);
  return [...sealed.matchAll(/ENC\[[^\]]*,type:comment\]/g)].map(([written]) => {
    const encrypted = parseEncrypted(written);
    if (encrypted === null) throw new Error("sops wrote a comment that we cannot read");
    for (const aad of aads) {
      const bytes = decryptValue(encrypted, key, aad);
      if (bytes !== null) return [Buffer.from(bytes).toString(), aad];
    }
    return [written, "none of ours"];
  });
}

describe.skipIf(findTool("sops") === null)(titled("comments, as the released sops binds them", "sops"), () => {
  let tools: Peers;
  beforeAll(() => {
    tools = peers([own.secretKey]);
  });
  afterAll(() => tools.remove());

  it.each([
    ["one document", 1, "\n"],
    ["streams of documents", 8, "\n"],
    ["streams with the line breaks of Windows", 8, "\r\n"],
  ])("%s", async (_, documents, newline) => {
    let lost = 0;
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (gen) => {
        const text = commentedYaml((bound) => gen(fc.nat, { max: bound - 1 }), documents).replaceAll("\n", newline);
        const ours = new Map(parseYamlStream(text, { maxBytes: 1_000_000 }).flatMap(aadsOf));
        const theirs = await oracle(tools, text, new Set(ours.values()));
        expect(theirs).toEqual(theirs.map(([comment]) => [comment, ours.get(comment)]));
        opened += theirs.length;
        lost += ours.size - theirs.length;
      }),
      { seed: 20260302, numRuns: 40, endOnFailure: true },
    );
    expect(opened).toBeGreaterThan(100);
    // What sops loses is little: were it much, there would be little to compare.
    expect(lost).toBeLessThan(opened / 5);
  });
});
