// Who is asking, and may they: bearer tokens, and RBAC read from the roles and bindings that the store keeps. The admin's
// token answers to nobody. Knows no HTTP beyond the value of the Authorization header.
import { randomBytes } from "node:crypto";
import { type JsonObject, type KubeObject, listOf, objectOf, stringsOf, textOf } from "./embedded-objects.ts";
import type { Access } from "./embedded-requests.ts";
import type { Store } from "./embedded-store.ts";

/** A ServiceAccount that asks, or the admin. */
export type User = "admin" | { readonly namespace: string; readonly name: string };

const rbac = "rbac.authorization.k8s.io/v1";
const newToken = (): string => randomBytes(24).toString("base64url");

export class Identities {
  readonly adminToken: string = newToken();
  readonly #issued = new Map<string, KubeObject>();
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** A token for the ServiceAccount, which does not expire. */
  issue(account: KubeObject): string {
    const token = newToken();
    this.#issued.set(token, account);
    return token;
  }

  /** Nobody, for a token that is unknown, or whose ServiceAccount is no longer the one it was made for. */
  userOf(authorization: string | undefined): User | undefined {
    const token = /^Bearer (.+)$/.exec(authorization ?? "")?.[1] ?? "";
    if (token === this.adminToken) return "admin";
    const { name, namespace = "", uid } = this.#issued.get(token)?.metadata ?? { name: "", uid: "" };
    const account = this.#store.get("v1/serviceaccounts", namespace, name);
    return account !== undefined && account.metadata.uid === uid ? { namespace, name } : undefined;
  }

  allows(user: User, access: Access): boolean {
    if (user === "admin") return true;
    const everywhere = this.#store.list(`${rbac}/clusterrolebindings`);
    const here = access.namespace === "" ? [] : this.#store.list(`${rbac}/rolebindings`, access.namespace);
    const bindings = [...everywhere, ...here].filter((binding) => binds(binding, user));
    return bindings.flatMap((binding) => this.#rulesOf(binding)).some((rule) => ruleAllows(rule, access));
  }

  #rulesOf(binding: KubeObject): JsonObject[] {
    const role = objectOf(binding["roleRef"]);
    const name = textOf(role["name"]);
    const found =
      role["kind"] === "Role"
        ? this.#store.get(`${rbac}/roles`, binding.metadata.namespace, name)
        : this.#store.get(`${rbac}/clusterroles`, undefined, name);
    return listOf(found?.["rules"]).map(objectOf);
  }
}

/** Only ServiceAccounts are bound here, no groups. */
function binds(binding: KubeObject, user: Exclude<User, "admin">): boolean {
  const subjects = listOf(binding["subjects"]).map(objectOf);
  return subjects.some(
    ({ kind, name, namespace }) =>
      kind === "ServiceAccount" &&
      name === user.name &&
      (textOf(namespace) || binding.metadata.namespace) === user.namespace,
  );
}

function ruleAllows(rule: JsonObject, { verb, group, resource, subresource, name }: Access): boolean {
  const has = (field: string, value: string): boolean =>
    stringsOf(rule[field]).some((item) => item === "*" || item === value);
  const names = stringsOf(rule["resourceNames"]);
  return (
    has("verbs", verb) &&
    has("apiGroups", group) &&
    has("resources", subresource === "" ? resource : `${resource}/${subresource}`) &&
    (names.length === 0 || names.includes(name))
  );
}
