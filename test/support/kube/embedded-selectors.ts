// Label and field selectors of list and watch requests: text in, a question about one object out.
// Knows nothing of storage; refuses fields that the kind does not index, as a real server does.
import { type KubeObject, objectOf } from "./embedded-objects.ts";
import { badRequest } from "./embedded-status.ts";

export type Matches = (object: KubeObject) => boolean;

const requirement =
  /^\s*(?:(?<absent>!)\s*)?(?<key>[A-Za-z0-9./_-]+)\s*(?:(?<operator>==|=|!=|\bin\b|\bnotin\b)\s*(?<value>\([^()]*\)|[A-Za-z0-9._-]*))?\s*$/;

const splitOutsideParentheses = (text: string): string[] => text.split(/,(?![^(]*\))/);

function labelRequirement(text: string): Matches {
  const groups = requirement.exec(text)?.groups;
  const key = groups?.["key"];
  if (groups === undefined || key === undefined) throw badRequest(`unable to parse requirement: "${text}"`);
  const labelOf = (object: KubeObject): string | undefined => object.metadata.labels?.[key];
  const operator = groups["operator"]?.trim();
  const value = groups["value"] ?? "";
  if (operator === undefined) {
    const wanted = groups["absent"] === undefined;
    return (object) => (labelOf(object) !== undefined) === wanted;
  }
  const listed = value.startsWith("(");
  if (listed !== operator.endsWith("in")) throw badRequest(`unable to parse requirement: "${text}"`);
  const values = listed
    ? value
        .slice(1, -1)
        .split(",")
        .map((item) => item.trim())
    : [value];
  // As documented: != and notin also choose objects that do not have the label at all.
  const wanted = operator === "=" || operator === "==" || operator === "in";
  return (object) => values.includes(labelOf(object) ?? "\0") === wanted;
}

export function labelSelector(text: string): Matches {
  if (text.trim() === "") return () => true;
  const requirements = splitOutsideParentheses(text).map(labelRequirement);
  return (object) => requirements.every((matches) => matches(object));
}

const fieldsOf: Readonly<Record<string, (object: KubeObject) => unknown>> = {
  "metadata.name": (object) => object.metadata.name,
  "metadata.namespace": (object) => object.metadata.namespace ?? "",
};

const extraFields: Readonly<Record<string, readonly string[]>> = {
  Secret: ["type"],
  Namespace: ["status.phase"],
  Event: [
    "type",
    "reason",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.kind",
    "involvedObject.uid",
    "regarding.name",
    "regarding.kind",
    "regarding.uid",
  ],
};

const fieldAt = (object: KubeObject, path: string): unknown =>
  path.split(".").reduce<unknown>((value, key) => objectOf(value)[key], object) ?? "";

export function fieldSelector(text: string, kind: string): Matches {
  if (text.trim() === "") return () => true;
  const terms = text.split(",").map((term) => {
    const [, field = "", operator = "", value = ""] = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(\S*)\s*$/.exec(term) ?? [];
    const known = fieldsOf[field];
    const extra = extraFields[kind]?.includes(field) === true;
    if (known === undefined && !extra) throw badRequest(`field label not supported: ${field || term}`);
    const read = known ?? ((object: KubeObject) => fieldAt(object, field));
    return (object: KubeObject) => (read(object) === value) === (operator !== "!=");
  });
  return (object) => terms.every((matches) => matches(object));
}

/** The one name that a field selector asks for, if it does: a server authorizes such a list by resourceNames. */
export function selectedName(text: string): string | undefined {
  return /^metadata\.name==?([^,]+)$/.exec(text.trim())?.[1];
}
