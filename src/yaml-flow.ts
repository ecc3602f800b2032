// A value on one line, in YAML's flow style: where a value takes the place of an alias, or of a part in another style.
import { decodeUtf8, toBase64 } from "./bytes.ts";
import { quoted } from "./splice.ts";
import type { Value } from "./store.ts";
import { floatText } from "./yaml-dump.ts";

/** Comments are left out: on one line there is no place for them. */
export function formatFlowValue(value: Value): string {
  switch (value.kind) {
    case "empty":
      return { null: "null", map: "{}", list: "[]" }[value.value];
    case "list":
      return `[${value.items.flatMap((item) => (item.kind === "comment" ? [] : [formatFlowValue(item)])).join(", ")}]`;
    case "map":
      return `{${value.items
        .flatMap((item) => (item.kind === "comment" ? [] : [`${quoted(item.key)}: ${formatFlowValue(item.value)}`]))
        .join(", ")}}`;
    case "leaf": {
      const text = decodeUtf8(value.bytes);
      if (text === null) return `!!binary ${toBase64(value.bytes)}`;
      if (value.type === "bool") return text === "True" ? "true" : "false";
      if (value.type === "float") return floatText(text);
      return value.type === "str" ? quoted(text) : text;
    }
  }
}
