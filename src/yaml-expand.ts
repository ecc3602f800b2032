// Writes a YAML file's anchors and aliases out: an encrypted value belongs to one path, so one text cannot stand for two.
import { type Node, visit } from "yaml";
import { SealwardError } from "./errors.ts";
import { applyEdits, type Edit, rangeOf } from "./splice.ts";
import type { Leaf, StoreFile } from "./store.ts";
import { formatFlowValue } from "./yaml-flow.ts";
import { isAlias, type YamlSource } from "./yaml-source.ts";
import { loadYaml, YamlFile } from "./yaml-store.ts";
import { readYamlTree, startOf } from "./yaml-tree.ts";

/** True for a leaf whose text stands for several values. */
export function hasSharedLeaf(leaf: Leaf): boolean {
  return "shared" in leaf && leaf.shared === true;
}

/** The same file without anchors and aliases. @throws too-large */
export function expandAliases(file: StoreFile): StoreFile {
  if (!(file instanceof YamlFile)) throw new TypeError("only YAML has aliases");
  const edits = file.sources.flatMap(expansions);
  const added = edits.reduce((sum, { text }) => sum + text.length, file.text.length);
  if (added > maxExpanded)
    throw new SealwardError("too-large", `Written out, the aliases would make more than ${maxExpanded} characters`, {
      file: file.file,
    });
  return loadYaml(applyEdits(file.text, edits), { file: file.file });
}

const maxExpanded = 16 * 1024 * 1024;

function expansions(source: YamlSource): Edit[] {
  const { copies } = readYamlTree(source);
  const edits: Edit[] = [];
  visit(source.root, {
    Node(_, node) {
      if (isAlias(node)) {
        const value = copies.get(node);
        const [start, end] = rangeOf(node as Node);
        if (value !== undefined) edits.push({ start, end, text: formatFlowValue(value) });
      } else if (node.anchor !== undefined) {
        const start = source.text.indexOf(`&${node.anchor}`, startOf(source, node as Node));
        const end = start + node.anchor.length + 1;
        edits.push({ start, end: source.text[end] === " " ? end + 1 : end, text: "" });
      }
    },
  });
  return edits;
}
