// The part of JSON Schema (draft 7) that our schema uses. A keyword that it does not know is an error, so that none is
// passed over in silence. In draft 7 nothing beside a $ref counts; editors go by later drafts there, and so does this.

export type Schema = Readonly<Record<string, unknown>>;

const annotations = new Set(["$schema", "title", "description", "default", "definitions"]);

/** Where the value breaks the schema; empty for one that fits. */
export function violations(root: Schema, value: unknown): readonly string[] {
  return check(root, root, value, "");
}

function check(root: Schema, schema: Schema, value: unknown, at: string): string[] {
  return Object.entries(schema).flatMap(([keyword, wanted]) => {
    if (annotations.has(keyword)) return [];
    const rule = rules[keyword];
    if (rule === undefined) throw new Error(`unknown keyword ${keyword} at ${at}`);
    return rule({ root, schema, wanted, value, at });
  });
}

interface Given {
  readonly root: Schema;
  readonly schema: Schema;
  readonly wanted: unknown;
  readonly value: unknown;
  readonly at: string;
}

const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const no = (is: boolean, at: string, what: string): string[] => (is ? [] : [`${at || "/"}: ${what}`]);
const typeOf = (value: unknown): string =>
  Array.isArray(value) ? "array" : value === null ? "null" : isObject(value) ? "object" : typeof value;

const rules: Readonly<Record<string, (given: Given) => string[]>> = {
  $ref: ({ root, wanted, value, at }) => {
    const target = String(wanted)
      .split("/")
      .slice(1)
      .reduce<unknown>((found, name) => (found as Schema)[name], root);
    if (!isObject(target)) throw new Error(`no ${String(wanted)}`);
    return check(root, target, value, at);
  },
  type: ({ wanted, value, at }) => no(typeOf(value) === wanted, at, `is no ${String(wanted)}`),
  const: ({ wanted, value, at }) => no(value === wanted, at, `is not ${String(wanted)}`),
  enum: ({ wanted, value, at }) => no((wanted as unknown[]).includes(value), at, "is none of the values"),
  pattern: ({ wanted, value, at }) =>
    no(typeof value !== "string" || new RegExp(String(wanted), "u").test(value), at, `is not like ${String(wanted)}`),
  minLength: ({ wanted, value, at }) =>
    no(typeof value !== "string" || value.length >= Number(wanted), at, "is too short"),
  maxLength: ({ wanted, value, at }) =>
    no(typeof value !== "string" || value.length <= Number(wanted), at, "is too long"),
  maxItems: ({ wanted, value, at }) => no(!Array.isArray(value) || value.length <= Number(wanted), at, "has too many"),
  items: ({ root, wanted, value, at }) =>
    Array.isArray(value) ? value.flatMap((item, index) => check(root, wanted as Schema, item, `${at}/${index}`)) : [],
  anyOf: ({ root, wanted, value, at }) =>
    no(
      (wanted as Schema[]).some((one) => check(root, one, value, at).length === 0),
      at,
      "is none of the forms",
    ),
  required: ({ wanted, value, at }) =>
    isObject(value) ? (wanted as string[]).flatMap((name) => no(Object.hasOwn(value, name), at, `lacks ${name}`)) : [],
  minProperties: ({ wanted, value, at }) =>
    no(!isObject(value) || Object.keys(value).length >= Number(wanted), at, "has too few"),
  propertyNames: ({ root, wanted, value, at }) =>
    isObject(value) ? Object.keys(value).flatMap((name) => check(root, wanted as Schema, name, `${at}/${name}`)) : [],
  properties: ({ root, wanted, value, at }) =>
    isObject(value)
      ? Object.entries(wanted as Schema).flatMap(([name, schema]) =>
          Object.hasOwn(value, name) ? check(root, schema as Schema, value[name], `${at}/${name}`) : [],
        )
      : [],
  additionalProperties: ({ root, schema, wanted, value, at }) => {
    if (!isObject(value)) return [];
    const known = Object.keys((schema["properties"] ?? {}) as Schema);
    const others = Object.keys(value).filter((name) => !known.includes(name));
    return others.flatMap((name) =>
      wanted === false ? [`${at}/${name}: is not known`] : check(root, wanted as Schema, value[name], `${at}/${name}`),
    );
  },
};
