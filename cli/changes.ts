// What a command did to the values of a sealed file, in the words of its keys as a person types them. Never a value.
import type { SecretManifest } from "../src/index.ts";

export const keysOf = ({ dataKeys, stringDataKeys }: SecretManifest): readonly string[] => [
  ...new Set([...dataKeys, ...stringDataKeys]),
];

/** `changed` as the library gives it (`stringData.PASSWORD`, `metadata`). A key that moved between the two maps is one key. */
export function describeChanges(
  changed: readonly string[],
  before: readonly string[],
  after: readonly string[],
): string {
  const keys = new Set(changed.filter((name) => name.includes(".")).map((name) => name.replace(/^[^.]*\./, "")));
  const groups = { changed: [] as string[], added: [] as string[], removed: [] as string[] };
  for (const key of keys)
    groups[!before.includes(key) ? "added" : after.includes(key) ? "changed" : "removed"].push(key);
  const others = changed.filter((name) => !name.includes(".")).map((name) => `changed the ${name}`);
  const said = [
    ...Object.entries(groups).flatMap(([verb, names]) => (names.length === 0 ? [] : [`${verb} ${names.join(", ")}`])),
    ...others,
  ];
  return said.length === 0 ? "changed comments or layout" : said.join("; ");
}
