// The conditions of a policy statement: a table of operators over the condition keys that concern sealed files. Unknown
// operators, keys and variables are refused when the policy is read. Knows neither principals nor keys of KMS.
import { malformedPolicy, NotModelledError } from "./aws-errors.ts";

/** What conditions look at. A value that is undefined is not in the request. */
export interface ConditionFacts {
  readonly principalArn: string;
  readonly principalTags: Readonly<Record<string, string>>;
  readonly encryptionContext: Readonly<Record<string, string>>;
  readonly reEncryptOnSameKey: boolean | undefined;
  readonly viaService: string | undefined;
}

export interface Condition {
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
  /** Policies of the older version take `${…}` as it stands, which is a trap worth having in a test. */
  readonly hasVariables: boolean;
}

const contextPrefix = "kms:encryptioncontext:";
const tagPrefix = "aws:principaltag/";
const contextKeys = "kms:encryptioncontextkeys";
const plainKeys = new Set([contextKeys, "kms:reencryptonsamekey", "kms:viaservice", "aws:principalarn"]);

type Matcher = (pattern: Pattern, value: string) => boolean;
interface Operator {
  /** Given the values of the request, which are none where the key is absent, and the patterns of the policy. */
  readonly holds: (found: readonly string[], patterns: readonly Pattern[]) => boolean;
  readonly takesMany: boolean;
}

/** A value of a policy with its variables filled in: literal pieces, between them the wildcards. */
interface Pattern {
  readonly text: string;
  readonly expression: RegExp;
}

const equals: Matcher = ({ text }, value) => text === value;
const like: Matcher = ({ expression }, value) => expression.test(value);
const anyOf = (match: Matcher, patterns: readonly Pattern[]) => (value: string) =>
  patterns.some((pattern) => match(pattern, value));

const operators: Readonly<Record<string, Operator>> = {
  StringEquals: { holds: (found, patterns) => found.some(anyOf(equals, patterns)), takesMany: false },
  // Holds where the key is absent, which is why it denies and does not allow.
  StringNotEquals: { holds: (found, patterns) => !found.some(anyOf(equals, patterns)), takesMany: false },
  StringLike: { holds: (found, patterns) => found.some(anyOf(like, patterns)), takesMany: false },
  StringEqualsIfExists: {
    holds: (found, patterns) => found.length === 0 || found.some(anyOf(equals, patterns)),
    takesMany: false,
  },
  Bool: {
    holds: (found, patterns) => found.some((value) => patterns.some(({ text }) => text.toLowerCase() === value)),
    takesMany: false,
  },
  Null: {
    holds: (found, patterns) => patterns.some(({ text }) => text.toLowerCase() === String(found.length === 0)),
    takesMany: true,
  },
  // Holds where the key is absent: alone it demands nothing.
  "ForAllValues:StringEquals": { holds: (found, patterns) => found.every(anyOf(equals, patterns)), takesMany: true },
  "ForAnyValue:StringEquals": { holds: (found, patterns) => found.some(anyOf(equals, patterns)), takesMany: true },
};

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One string or a list of them, as policies write most things. */
export function stringsOf(value: unknown, what: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw malformedPolicy(`${what} is empty.`);
  return list.map((item) => {
    if (typeof item !== "string") throw malformedPolicy(`${what} must be a string or a list of strings.`);
    return item;
  });
}

const escaped = (text: string): string => text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");

function checkVariables(value: string): void {
  for (const [variable] of value.matchAll(/\$\{[^}]*\}?/g)) {
    if (!/^\$\{(aws:PrincipalTag\/[^},]+|aws:PrincipalArn|[*?$])\}$/i.test(variable)) {
      throw new NotModelledError(`the policy variable ${variable}`);
    }
  }
}

/** Reads a Condition element, and refuses what AWS refuses and what we do not model. */
export function readConditions(element: unknown, hasVariables: boolean): readonly Condition[] {
  if (element === undefined) return [];
  if (!isRecord(element)) throw malformedPolicy("Condition must be an object.");
  return Object.entries(element).flatMap(([operator, block]) => {
    const found = Object.hasOwn(operators, operator) ? operators[operator] : undefined;
    if (found === undefined) throw new NotModelledError(`the condition operator ${operator}`);
    if (!isRecord(block)) throw malformedPolicy(`${operator} must be an object.`);
    return Object.entries(block).map(([written, value]): Condition => {
      const key = written.toLowerCase();
      const isContext = key.startsWith(contextPrefix) && key.length > contextPrefix.length;
      const isTag = key.startsWith(tagPrefix) && key.length > tagPrefix.length;
      if (!isContext && !isTag && !plainKeys.has(key)) throw new NotModelledError(`the condition key ${written}`);
      if (isContext && operator.startsWith("ForAllValues:")) {
        // It would admit requests that have no context at all.
        throw malformedPolicy(`OverlyPermissiveCondition: ${operator} with the single-valued ${written}.`);
      }
      if (key === contextKeys && !found.takesMany)
        throw new NotModelledError(`${operator} on the multi-valued ${written}`);
      const values = stringsOf(typeof value === "boolean" ? String(value) : value, `${operator} of ${written}`);
      if (hasVariables) values.forEach(checkVariables);
      return { operator, key, values, hasVariables };
    });
  });
}

/** The one entry whose name differs in nothing but case. */
function entryOf(entries: Readonly<Record<string, string>>, lowerCase: string, what: string): readonly string[] {
  const found = Object.keys(entries).filter((name) => name.toLowerCase() === lowerCase);
  if (found.length > 1) throw new NotModelledError(`a condition on one of several ${what}: ${found.join(", ")}`);
  return found.map((name) => entries[name] ?? "");
}

function valuesOf(key: string, facts: ConditionFacts): readonly string[] {
  if (key.startsWith(contextPrefix)) {
    return entryOf(facts.encryptionContext, key.slice(contextPrefix.length), "context keys that differ in case");
  }
  if (key.startsWith(tagPrefix)) {
    return entryOf(facts.principalTags, key.slice(tagPrefix.length), "tags that differ in case");
  }
  if (key === contextKeys) return Object.keys(facts.encryptionContext);
  if (key === "aws:principalarn") return [facts.principalArn];
  const single = key === "kms:viaservice" ? facts.viaService : facts.reEncryptOnSameKey?.toString();
  return single === undefined ? [] : [single];
}

/** Undefined where a variable has no value: such a value matches nothing. */
function patternOf(value: string, facts: ConditionFacts, hasVariables: boolean): Pattern | undefined {
  let text = "";
  let source = "";
  for (const piece of value.split(hasVariables ? /(\$\{[^}]+\}|[*?])/ : /([*?])/)) {
    if (piece === "*" || piece === "?") {
      text += piece;
      source += piece === "*" ? ".*" : ".";
      continue;
    }
    const variable = hasVariables && piece.startsWith("${") ? piece.slice(2, -1) : undefined;
    const [literal] =
      variable === undefined ? [piece] : variable.length === 1 ? [variable] : valuesOf(variable.toLowerCase(), facts);
    if (literal === undefined) return undefined;
    text += literal;
    // The value of a variable is literal: a tag with a star in it must not match everything.
    source += escaped(literal);
  }
  return { text, expression: new RegExp(`^${source}$`, "s") };
}

/** All of them must hold; of the values of one, any. */
export function conditionsHold(conditions: readonly Condition[], facts: ConditionFacts): boolean {
  return conditions.every(({ operator, key, values, hasVariables }) => {
    const patterns = values.map((value) => patternOf(value, facts, hasVariables));
    const usable = patterns.filter((pattern) => pattern !== undefined);
    return operators[operator]?.holds(valuesOf(key, facts), usable) ?? false;
  });
}
