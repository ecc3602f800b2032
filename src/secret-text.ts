// An opened Secret in the clear: the manifest with its layout kept, without the `sops` block and the binding.
import type { YAMLMap } from "yaml";
import { bindingAnnotation } from "./manifest.ts";
import { clearFile, type Opened } from "./sops-file.ts";
import { applyEdits, removePair } from "./splice.ts";
import type { StoreFile } from "./store.ts";
import { isMap, pairNamed } from "./yaml-source.ts";
import { YamlFile } from "./yaml-store.ts";

/** @throws sops-unsupported where the layout does not hold the values in the clear */
export function secretText(opened: Opened): string {
  return withoutBinding(clearFile(opened));
}

/** The text of a Secret in the clear, less its binding. */
export function withoutBinding(file: StoreFile): string {
  const [source] = file instanceof YamlFile ? file.sources : [];
  const annotations: unknown = source?.root.getIn(["metadata", "annotations"]);
  const binding = isMap(annotations) ? pairNamed(annotations as YAMLMap, bindingAnnotation) : undefined;
  if (source === undefined || binding === undefined) return file.text;
  return applyEdits(file.text, [removePair(source, annotations as YAMLMap, binding)]);
}
