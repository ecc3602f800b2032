// Label and field selectors of list and watch requests: text in, a question about one object out.
// Knows nothing of storage; refuses fields that the kind does not index, as a real server does.
import { type KubeObject, objectOf } from "./embedded-objects.ts";
import { badRequest } from "./embedded-status.ts";

export type Matches = (object: KubeObject) => boolean;

const requirement =
  /^\s*(?<absent>!)?\s*(?<key>[A-Za-z0-9./_-]+)\s*(?:(?<operator>==|=|!=|\bin\b|\bnotin\b)\s*(?<value>\([^()]*\)|[A-Za-z0-9._-]*))?\s*$/;

function labelRequirement(text: string): Matches {
  const { absent, key = "", operator, value = "" } = requirement.exec(text)?.groups ?? {};
  const listed = operator?.endsWith("in") === true;
  if (key === "" || listed !== value.startsWith("(")) throw badRequest(`unable to parse requirement: "${text}"`);
  const labelOf = (object: KubeObject): string | undefined => object.metadata.labels?.[key];
  if (operator === undefined) return (object) => (labelOf(object) === undefined) === (absent !== undefined);
  const values = listed
    ? value
        .slice(1, -1)
        .split(",")
        .map((item) => item.trim())
    : [value];
  // As documented: != and notin also choose objects that do not have the label at all.
  const wanted = operator !== "!=" && operator !== "notin";
  return (object) => values.includes(labelOf(object) ?? "\0") === wanted;
}

export function labelSelector(text: string): Matches {
  if (text.trim() === "") return () => true;
  const requirements = text.split(/,(?![^(]*\))/).map(labelRequirement);
  return (object) => requirements.every((matches) => matches(object));
}

const anyKind = ["metadata.name", "metadata.namespace"];
const about = ["type", "reason", "involvedObject.name", "involvedObject.kind", "involvedObject.uid", "regarding.name"];
const byKind: Readonly<Record<string, readonly string[]>> = {
  Secret: ["type"],
  Namespace: ["status.phase"],
  Event: about,
};

export function fieldSelector(text: string, kind: string): Matches {
  if (text.trim() === "") return () => true;
  const terms = text.split(",").map((term): Matches => {
    const [, field = "", operator = "", value = ""] = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(\S*)\s*$/.exec(term) ?? [];
    const known = [...anyKind, ...(byKind[kind] ?? [])].includes(field);
    if (!known) throw badRequest(`field label not supported: ${field || term}`);
    const read = (object: KubeObject): unknown =>
      field.split(".").reduce<unknown>((inner, key) => objectOf(inner)[key], object) ?? "";
    return (object) => (read(object) === value) === (operator !== "!=");
  });
  return (object) => terms.every((matches) => matches(object));
}

/** The one name that a field selector asks for, if it does: a server authorizes such a list by resourceNames. */
export function selectedName(text: string): string | undefined {
  return /^metadata\.name==?([^,]+)$/.exec(text.trim())?.[1];
}
