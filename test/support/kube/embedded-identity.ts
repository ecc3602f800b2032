// Who is asking, and may they: bearer tokens, and RBAC read from the roles and bindings that the store keeps. The admin's
// token answers to nobody. Knows no HTTP beyond the value of the Authorization header.
import { randomBytes } from "node:crypto";
import { type JsonObject, type KubeObject, listOf, objectOf, stringsOf, textOf } from "./embedded-objects.ts";
import type { Access } from "./embedded-requests.ts";
import type { Store } from "./embedded-store.ts";

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

interface Issued {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly expires: number;
}

const rbac = "rbac.authorization.k8s.io";

export class Identities {
  readonly adminToken: string = randomBytes(24).toString("base64url");
  readonly #issued = new Map<string, Issued>();
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  issue(account: KubeObject, expires: number): string {
    const token = randomBytes(24).toString("base64url");
    const { name, namespace = "", uid } = account.metadata;
    this.#issued.set(token, { name, namespace, uid, expires });
    return token;
  }

  /** Nobody, for a token that is unknown, has expired, or whose ServiceAccount is no longer the one it was made for. */
  userOf(authorization: string | undefined, now: number): User | undefined {
    const token = /^Bearer (.+)$/.exec(authorization ?? "")?.[1] ?? "";
    if (token === this.adminToken) return { name: "admin", groups: ["system:masters", "system:authenticated"] };
    const issued = this.#issued.get(token);
    if (issued === undefined || issued.expires <= now) return undefined;
    const { namespace, name, uid } = issued;
    if (this.#store.get("serviceaccounts", namespace, name)?.metadata.uid !== uid) return undefined;
    const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
    return { name: `system:serviceaccount:${namespace}:${name}`, groups };
  }

  allows(user: User, access: Access): boolean {
    if (user.groups.includes("system:masters")) return true;
    return this.#rulesFor(user, access.namespace).some((rule) => ruleAllows(rule, access));
  }

  #rulesFor(user: User, namespace: string): JsonObject[] {
    const everywhere = this.#store.list(`clusterrolebindings.${rbac}`);
    const here = namespace === "" ? [] : this.#store.list(`rolebindings.${rbac}`, namespace);
    return [...everywhere, ...here]
      .filter((binding) => binds(binding, user))
      .flatMap((binding) => this.#rulesOf(binding));
  }

  #rulesOf(binding: KubeObject): JsonObject[] {
    const role = objectOf(binding["roleRef"]);
    const name = textOf(role["name"]);
    const found =
      role["kind"] === "Role"
        ? this.#store.get(`roles.${rbac}`, binding.metadata.namespace, name)
        : this.#store.get(`clusterroles.${rbac}`, undefined, name);
    return listOf(found?.["rules"]).map(objectOf);
  }
}

function binds(binding: KubeObject, user: User): boolean {
  return listOf(binding["subjects"])
    .map(objectOf)
    .some((subject) => {
      if (subject["kind"] === "Group") return user.groups.includes(textOf(subject["name"]));
      if (subject["kind"] === "User") return user.name === subject["name"];
      const namespace = textOf(subject["namespace"]) || binding.metadata.namespace;
      return user.name === `system:serviceaccount:${namespace}:${textOf(subject["name"])}`;
    });
}

function ruleAllows(rule: JsonObject, { verb, group, resource, subresource, name }: Access): boolean {
  const has = (field: string, ...values: readonly string[]): boolean =>
    stringsOf(rule[field]).some((item) => item === "*" || values.includes(item));
  const path = subresource === "" ? resource : `${resource}/${subresource}`;
  const names = stringsOf(rule["resourceNames"]);
  return (
    has("verbs", verb) &&
    has("apiGroups", group) &&
    has("resources", path, ...(subresource === "" ? [] : [`*/${subresource}`])) &&
    (names.length === 0 || names.includes(name))
  );
}
