// What has to hold for every store, whatever its syntax: texts come back byte for byte, values as they were.
import { expect } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import { clearBytes, openFile } from "../../src/sops-file.ts";
import { sealFile } from "../../src/sops-seal.ts";
import type {
  Changes,
  CommentItem,
  Leaf,
  MapValue,
  Metadata,
  Replacement,
  Store,
  StoreFile,
  Value,
} from "../../src/store.ts";
import { now } from "./sealing.ts";

export const seed = 20261127;
export const { identity, secretKey } = generateAgeIdentity();

export const block: Metadata = new Map<string, Metadata extends ReadonlyMap<string, infer V> ? V : never>([
  [
    "age",
    [
      new Map([
        ["enc", "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl=\n-----END AGE ENCRYPTED FILE-----\n"],
        ["recipient", identity.recipient],
      ]),
    ],
  ],
  ["lastmodified", "2026-01-02T03:04:05Z"],
  ["mac", "ENC[AES256_GCM,data:aa==,iv:bb==,tag:cc==,type:str]"],
  ["unencrypted_suffix", "_unencrypted"],
  ["version", "3.13.3"],
]);

export function load(store: Store, text: string): StoreFile {
  return store.load(Buffer.from(text));
}

/** Leaves and comments in document order. */
export function itemsOf({ documents }: StoreFile): { leaves: Leaf[]; comments: CommentItem[] } {
  const leaves: Leaf[] = [];
  const comments: CommentItem[] = [];
  const visit = (value: Value | CommentItem): void => {
    if (value.kind === "leaf") leaves.push(value);
    else if (value.kind === "comment") comments.push(value);
    else if (value.kind === "list") value.items.forEach(visit);
    else if (value.kind === "map") for (const item of value.items) visit(item.kind === "pair" ? item.value : item);
  };
  documents.forEach(visit);
  return { leaves, comments };
}

/** A tree without offsets, to compare. */
export function plain(value: Value | CommentItem): unknown {
  if (value.kind === "leaf") return [value.type, Buffer.from(value.bytes).toString("latin1")];
  if (value.kind === "comment") return { comment: value.text };
  if (value.kind === "empty") return { empty: value.value };
  if (value.kind === "list") return value.items.map(plain);
  return value.items.map((item) => (item.kind === "pair" ? { key: item.key, value: plain(item.value) } : plain(item)));
}

export function treeOf({ documents }: StoreFile): unknown {
  return documents.map((document: MapValue) => plain(document));
}

const fakeEnc = (index: number, type: string) =>
  `ENC[AES256_GCM,data:${Buffer.from(`value ${index}`).toString("base64")},iv:AAAA,tag:BBBB,type:${type}]`;

/** The text with an ENC for every value and comment, and a block. */
export function enclosed(file: StoreFile): string {
  const { leaves, comments } = itemsOf(file);
  const replacements = leaves.map((leaf, index): [Leaf, Replacement] => [leaf, { enc: fakeEnc(index, "str") }]);
  return file.write({
    leaves: new Map(replacements),
    comments: new Map(comments.map((item, index) => [item, fakeEnc(index, "comment")])),
    metadata: block,
  });
}

/** Values and comments taken out and put back leave the text as it was, with and without their spellings. */
export function expectReversible(store: Store, text: string): void {
  const file = load(store, text);
  expect(file.write({ leaves: new Map(), comments: new Map() })).toBe(text);
  const before = itemsOf(file);
  const sealed = load(store, enclosed(file));
  const after = itemsOf(sealed);
  expect(sealed.metadata).toEqual(block);
  expect(after.leaves.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(
    before.leaves.map((_, index) => fakeEnc(index, "str")),
  );
  expect(after.comments.map((comment) => comment.text)).toEqual(
    before.comments.map((_, index) => fakeEnc(index, "comment")),
  );
  const undo = (spelled: boolean): Changes => ({
    leaves: new Map(
      before.leaves.map((leaf, index) => {
        const { type, bytes } = leaf;
        const spelling = spelled ? file.spellingOf(leaf) : undefined;
        return [after.leaves[index] ?? leaf, { clear: { type, bytes }, spelling }];
      }),
    ),
    comments: new Map(before.comments.map((item, index) => [after.comments[index] ?? item, item.text])),
    metadata: null,
  });
  expect(sealed.write(undo(true))).toBe(text);
  expect(numbersAside(treeOf(load(store, sealed.write(undo(false)))))).toEqual(numbersAside(treeOf(file)));
}

/** A float that is whole comes back as an int. */
function numbersAside(tree: unknown): unknown {
  return JSON.parse(JSON.stringify(tree).replaceAll('["float",', '["int",'));
}

/** The block on its own: appended, changed, and taken out again. */
export function expectMetadataReversible(store: Store, text: string): void {
  const none = { leaves: new Map(), comments: new Map() };
  const sealed = load(store, load(store, text).write({ ...none, metadata: block }));
  expect(sealed.metadata).toEqual(block);
  expect([...(sealed.metadata?.keys() ?? [])]).toEqual([...block.keys()]);
  expect(sealed.metadataOffset).toBeGreaterThanOrEqual(0);
  expect(sealed.write({ ...none, metadata: block })).toBe(sealed.text);
  const next = new Map([...block].filter(([key]) => key !== "unencrypted_suffix"));
  next.set("version", "3.14.0").set("sealward_spelling", ["a", "b"]);
  const changed = load(store, sealed.write({ ...none, metadata: next }));
  expect(changed.metadata).toEqual(next);
  const back = load(store, changed.write({ ...none, metadata: block }));
  expect(back.metadata).toEqual(block);
  expect(back.write({ ...none, metadata: null })).toBe(text);
  expect(sealed.write({ ...none, metadata: null })).toBe(text);
}

/** Encrypted and opened again by the engine, the bytes are those that were given. */
export async function expectSealable(store: Store, bytes: Uint8Array): Promise<string> {
  const { text, notices } = await sealFile(bytes, store, {
    recipients: { groups: [[identity.recipient]] },
    rule: null,
    allowNothingSelected: true,
    now,
  });
  expect(notices).toEqual([]);
  const opened = await openFile(store.load(Buffer.from(text)), { identities: [identity] });
  expect(Buffer.from(clearBytes(opened)).toString("latin1")).toBe(Buffer.from(bytes).toString("latin1"));
  return text;
}

/** Lines that are not in both texts. */
export function changedLines(before: string, after: string): number {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return Math.max(a.length, b.length) - start - end;
}
