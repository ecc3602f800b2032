// BoundSecret files: one sealed file, byte for byte, as the string `spec.document` of a Kubernetes object. Wrapping needs
// no key and gives the same text for the same file every time. Knows nothing about the gate.
import type { Node, Scalar } from "yaml";
import { quoteName, SealwardError } from "./errors.ts";
import { readManifestShape } from "./manifest.ts";
import { applyEdits, quoted, rangeOf } from "./splice.ts";
import {
  isMap,
  isScalar,
  maxDocumentBytes,
  pairsOf,
  parseYaml,
  parseYamlStream,
  type YamlSource,
} from "./yaml-source.ts";

export const boundSecretApiVersion = "sealward.dev/v1alpha1";
export const boundSecretKind = "BoundSecret";
/** A document as a quoted string can be up to twice as long; the rest of the object is small. */
const maxFileBytes = 2 * maxDocumentBytes + 64 * 1024;

export interface BoundSecretFile {
  readonly document: string;
  readonly name: string;
  readonly namespace: string | undefined;
}

/** The YAML of the BoundSecret that carries a sealed file. Name and namespace are the file's own. @throws not-sealed, shape-invalid and their kin */
export function wrapDocument(document: string, file?: string): string {
  const { sealed, source, name, namespace } = readManifestShape(parseYaml(document, { file }));
  if (!sealed)
    throw source.refusal("not-sealed", "Only a sealed file is wrapped; this Secret is in the clear", source.root);
  const text = [
    `apiVersion: ${boundSecretApiVersion}`,
    `kind: ${boundSecretKind}`,
    "metadata:",
    `  name: ${quoted(name)}`,
    ...(namespace === undefined ? [] : [`  namespace: ${quoted(namespace)}`]),
    "spec:",
    `  document: ${formatDocument(document, 4)}`,
    "",
  ].join("\n");
  assertCarries(text, document);
  return text;
}

/** The carried document, or null where the text is not one BoundSecret. @throws not-yaml and its kin, shape-invalid */
export function unwrapBoundSecret(text: string, file?: string): BoundSecretFile | null {
  const found = findBoundSecret(text, file);
  if (found === null) return null;
  const { source, node } = found;
  const metadata = source.root.get("metadata");
  const textAt = (key: string) => {
    const value: unknown = isMap(metadata) ? metadata.get(key) : undefined;
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const name = textAt("name");
  if (name === undefined) throw source.refusal("shape-invalid", "The BoundSecret has no metadata.name", source.root);
  return { document: String(node.value), name, namespace: textAt("namespace") };
}

/** The same BoundSecret file with another document; every other byte stays. */
export function rewrapBoundSecret(text: string, document: string): string {
  const found = findBoundSecret(text, undefined);
  if (found === null) throw new SealwardError("shape-invalid", "The file is not a BoundSecret");
  const [start, end] = rangeOf(found.node);
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const indent = Math.max(text.slice(lineStart).search(/[^ ]/), 0);
  const inBlock = found.node.type?.startsWith("BLOCK") === true;
  // In JSON, and before a comment, only a quoted string can stand.
  const alone = inBlock || /^[ \t]*(?:\r?\n|$)/.test(text.slice(end));
  const written = alone && !found.inFlow ? formatDocument(document, indent + 2) : quoted(document);
  const next = applyEdits(text, [{ start, end, text: inBlock ? `${written}\n` : written }]);
  assertCarries(next, document);
  return next;
}

function findBoundSecret(
  text: string,
  file: string | undefined,
): { readonly source: YamlSource; readonly node: Scalar; readonly inFlow: boolean } | null {
  if (!text.includes(boundSecretKind)) return null;
  const [source, second] = parseYamlStream(text, { file, maxBytes: maxFileBytes });
  if (
    source === undefined ||
    source.root.get("kind") !== boundSecretKind ||
    source.root.get("apiVersion") !== boundSecretApiVersion
  )
    return null;
  if (second !== undefined)
    throw second.refusal(
      "several-documents",
      "The file holds several YAML documents, one BoundSecret is expected",
      second.root,
    );
  for (const [name, { key }] of [...pairsOf(source.root), ...pairsOf(specOf(source))]) {
    if (fields.has(name)) continue;
    throw source.refusal("shape-invalid", `A BoundSecret has no field ${quoteName(name)}`, key as Node);
  }
  const node: unknown = source.root.getIn(["spec", "document"], true);
  if (!isScalar(node) || typeof node.value !== "string" || node.value === "") {
    throw source.refusal("shape-invalid", "The BoundSecret has no text in spec.document", source.root);
  }
  const spec: unknown = source.root.get("spec");
  return { source, node, inFlow: source.root.flow === true || (isMap(spec) && spec.flow === true) };
}

/** What may stand in the file: a value in the clear beside the document would be committed unseen. */
const fields: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "spec", "status", "document"]);

function specOf(source: YamlSource): { readonly items: readonly unknown[] } {
  const spec: unknown = source.root.get("spec");
  return isMap(spec) ? spec : { items: [] };
}

/** A literal block where it can hold the document byte for byte, else a quoted string. */
function formatDocument(document: string, indent: number): string {
  const literal =
    document.endsWith("\n") &&
    !document.endsWith("\n\n") &&
    !/[\r\u0085\u2028\u2029\ufeff]/.test(document) &&
    !/^\s/.test(document);
  if (!literal) return quoted(document);
  const pad = " ".repeat(indent);
  const lines = document.slice(0, -1).split("\n");
  return ["|", ...lines.map((line) => (line === "" ? "" : pad + line))].join("\n");
}

function assertCarries(text: string, document: string): void {
  if (unwrapBoundSecret(text)?.document !== document)
    throw new TypeError("the BoundSecret does not carry the document byte for byte");
}
