// Turns an opened SOPS YAML file back into text in the clear, layout kept: each encrypted value and comment is replaced
// where it stands. Knows neither Secrets nor environments.
import type { KeyObject } from "node:crypto";
import type { Node, Pair, YAMLMap } from "yaml";
import { decodeUtf8 } from "./bytes.ts";
import type { ClearLeaf } from "./sops-tree.ts";
import { aadOfPath, decryptValue, looksEncrypted, parseEncrypted } from "./sops-value.ts";
import { type Edit, formatText, quoted, rangeOf, replaceScalar, wouldSwallow } from "./splice.ts";
import { commentsOf, isMap, isScalar, isSeq, type YamlSource } from "./yaml-source.ts";

/** An encrypted comment that the key opened. */
export interface ClearComment {
  readonly offset: number;
  readonly raw: string;
  readonly text: string;
  readonly aad: string;
}

/**
 * Edits that put every opened value in the clear; `plain` forgoes the nicer forms: every text in double quotes, which
 * nothing around it can change.
 */
export function clearLeafEdits(source: YamlSource, leaves: readonly ClearLeaf[], plain: boolean): Edit[] {
  return leaves.filter(({ wasEncrypted }) => wasEncrypted).map((clear) => clearLeafEdit(source, clear, plain));
}

/** Go's words for these numbers, which are texts in YAML, and YAML's own. */
const yamlFloats: ReadonlyMap<string, string> = new Map([
  ["NaN", ".nan"],
  ["+Inf", ".inf"],
  ["-Inf", "-.inf"],
]);

function clearLeafEdit(source: YamlSource, { leaf, type, bytes }: ClearLeaf, plain: boolean): Edit {
  const { node, inFlow, inList } = leaf;
  const text = decodeUtf8(bytes);
  if (text === null)
    throw source.refusal("sops-unsupported", "A value is not text; only text values are supported in YAML", node);
  const [start, end] = rangeOf(node);
  // SOPS keeps an encrypted comment of a list as an element of the list.
  if (type === "comment" && inList) return { start: source.text.lastIndexOf("-", start), end, text: `#${text}` };
  if (type === "bool") return replaceScalar(source, node, text.toLowerCase() === "true" ? "true" : "false");
  if (type === "float") return replaceScalar(source, node, yamlFloats.get(text) ?? text);
  if (type === "int" || type === "time") return replaceScalar(source, node, text);
  const lineStart = source.text.lastIndexOf("\n", start - 1) + 1;
  const indent = source.text.slice(lineStart).search(/[^ ]/);
  const style = {
    style: node.type,
    inFlow,
    indent: Math.max(indent, 0),
    // As far in as each map around it.
    step: leaf.path.length > 1 && indent > 0 ? Math.ceil(indent / (leaf.path.length - 1)) : 2,
    newline: source.newline,
    lineGoesOn: wouldSwallow(source.text, end, Math.max(indent, 0)),
  };
  return replaceScalar(source, node, plain ? quoted(text) : formatText(text, style));
}

/** A comment and the additional data under which it may have been encrypted. */
export interface LocatedComment {
  readonly offset: number;
  readonly raw: string;
  readonly aads: readonly string[];
}

/** Comments that the key opens. One that it does not open stays as it is, as with SOPS: comments are not authenticated. */
export function openComments(comments: readonly LocatedComment[], key: KeyObject): ClearComment[] {
  return comments.flatMap(({ offset, raw, aads }) => {
    const value = parseEncrypted(raw.trimEnd());
    if (value?.type !== "comment") return [];
    for (const aad of aads) {
      const bytes = decryptValue(value, key, aad);
      const text = bytes === null ? null : decodeUtf8(bytes);
      if (text !== null && !/[\r\n\u0085\u2028\u2029]/.test(text)) return [{ offset, raw, text, aad }];
    }
    return [];
  });
}

/**
 * Encrypted comments of any SOPS file. SOPS attaches a comment to the container of the key before or after it, or to one
 * around those; GCM tells which. One pass over two ordered lists: comments cost nothing to an attacker.
 */
export function locateComments(source: YamlSource): LocatedComment[] {
  const comments = commentsOf(source.text).filter(({ text }) => looksEncrypted(text));
  const containers = comments.length === 0 ? [] : containersOf(source.root);
  let next = 0;
  return comments.map(({ offset, text: raw }) => {
    while (next < containers.length && (containers[next]?.offset ?? 0) <= offset) next++;
    return { offset, raw, aads: candidateAads(containers[next]?.path, containers[next - 1]?.path) };
  });
}

export function clearCommentEdits(comments: readonly ClearComment[]): Edit[] {
  return comments.map(({ offset, raw, text }) => ({ start: offset, end: offset + 1 + raw.length, text: `#${text}` }));
}

interface Container {
  readonly offset: number;
  readonly path: readonly string[];
}

/** Where each key or list item starts, and the path of the container it stands in; in document order, `sops` left out. */
function containersOf(root: YAMLMap): Container[] {
  const found: Container[] = [];
  const visit = (node: Node | null, path: readonly string[]): void => {
    if (isMap(node)) {
      for (const { key, value } of node.items as readonly Pair[]) {
        const name = isScalar(key) ? String(key.value) : "";
        found.push({ offset: rangeOf(key as Node)[0], path });
        if (path.length > 0 || name !== "sops") visit(value as Node | null, [...path, name]);
      }
    } else if (isSeq(node)) {
      for (const item of node.items as readonly Node[]) {
        found.push({ offset: rangeOf(item)[0], path });
        visit(item, path);
      }
    }
  };
  visit(root, []);
  return found;
}

/** Longer paths are tried for no comment: each attempt hashes the whole path. */
const longestAad = 1024;

function candidateAads(...paths: readonly (readonly string[] | undefined)[]): string[] {
  const around = paths.flatMap((path = []) =>
    Array.from({ length: path.length + 1 }, (_, cut) => path.slice(0, path.length - cut)),
  );
  const aads = around.map((path) => (path.length === 0 ? ":" : aadOfPath(path)));
  return [...new Set(aads)].filter((aad) => aad.length <= longestAad);
}
