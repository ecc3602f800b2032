// The manifest that a Secret becomes in another environment: written from the values that somebody decided on, never copied as
// a text, so that no comment or forgotten key comes along. Asks nobody and encrypts nothing.
import { decodeUtf8, toBase64 } from "./bytes.ts";
import { bindingAnnotation, environmentAnnotation, scopeAnnotation } from "./manifest.ts";
import type { OpenedSecret } from "./open.ts";
import { formatText } from "./splice.ts";
import type { Leaf } from "./store.ts";
import { parseYaml } from "./yaml-source.ts";
import { loadYaml } from "./yaml-store.ts";

/** Where the values came from: the environment, and the digest of the sealed document. Stands in the clear, and is bound. */
export const provenanceAnnotation = "sealward.dev/promoted-from";

const ours: readonly string[] = [environmentAnnotation, scopeAnnotation, bindingAnnotation, provenanceAnnotation];

export interface Promotion {
  /** By key, in the order of the manifest. */
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly source: Pick<OpenedSecret, "info" | "documentDigest">;
}

const provenanceOf = ({ source: { info, documentDigest } }: Promotion): string =>
  `${info.environment} ${documentDigest}`;

/** A manifest for another namespace and environment, with the labels, annotations and type that the opened one has. */
export function promotedManifest(
  opened: OpenedSecret,
  promotion: Promotion,
  { namespace }: { readonly namespace: string | undefined },
): string {
  const { name, type, immutable, labels, annotations } = opened;
  const kept = Object.entries(annotations).filter(([key]) => !ours.includes(key));
  const encoded: string[] = [];
  const texts: string[] = [];
  for (const [key, value] of promotion.values) {
    const text = decodeUtf8(value);
    const line = (written: string): string => `  ${plain(key)}: ${formatText(written, inMap)}`;
    if (text === null || text.includes("\0")) encoded.push(line(toBase64(value)));
    else texts.push(line(text));
  }
  const lines = [
    "apiVersion: v1",
    "kind: Secret",
    "metadata:",
    `  name: ${plain(name)}`,
    ...(namespace === undefined ? [] : [`  namespace: ${plain(namespace)}`]),
    ...block("  labels:", Object.entries(labels)),
    ...block("  annotations:", [...kept, [provenanceAnnotation, provenanceOf(promotion)]]),
    `type: ${plain(type)}`,
    ...(immutable === undefined ? [] : [`immutable: ${immutable}`]),
    ...(encoded.length === 0 ? [] : ["data:", ...encoded]),
    ...(texts.length === 0 ? [] : ["stringData:", ...texts]),
  ];
  return `${lines.join("\n")}\n`;
}

const onLine = { style: undefined, inFlow: false, indent: 0, newline: "\n", lineGoesOn: true } as const;
const inMap = { style: undefined, inFlow: false, indent: 2, newline: "\n", lineGoesOn: false } as const;
const plain = (text: string): string => formatText(text, onLine);

const block = (head: string, entries: readonly (readonly [string, string])[]): string[] =>
  entries.length === 0 ? [] : [head, ...entries.map(([key, value]) => `    ${plain(key)}: ${plain(value)}`)];

/**
 * The text of a Secret that is there already, with these values and the new provenance; everything else in it stays.
 * @throws sops-unsupported, path-missing where the text cannot take them
 */
export function withPromoted(plainText: string, promotion: Promotion): string {
  let text = plainText;
  for (const [key, value] of promotion.values) {
    const root = parseYaml(text).root;
    const decoded = decodeUtf8(value);
    const isBinary = decoded === null || decoded.includes("\0");
    const map = root.hasIn(["data", key]) || (isBinary && !root.hasIn(["stringData", key])) ? "data" : "stringData";
    text = withLeaf(text, [map, key], map === "data" ? toBase64(value) : value);
  }
  return withLeaf(text, ["metadata", "annotations", provenanceAnnotation], provenanceOf(promotion));
}

function withLeaf(text: string, path: readonly string[], value: string | Uint8Array): string {
  const leaf: Leaf = { kind: "leaf", type: "str", bytes: Buffer.from(value as Uint8Array), offset: 0 };
  return loadYaml(text).set(path, leaf);
}
