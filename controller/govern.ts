// Which Environment governs a namespace: exactly one, or nothing is opened there. Pure; knows no document.
import { type EnvironmentPolicy, SealwardError } from "../src/index.ts";
import { type EnvironmentResource, type NamespaceView, policyOf } from "./environment-resource.ts";

export interface Governed {
  readonly environment: EnvironmentResource;
  /** The policy for this namespace: without `environment` scope unless the namespace is listed by name. */
  readonly policy: EnvironmentPolicy;
  readonly by: "name" | "selector";
}

/**
 * @throws namespace-protected for the controller's own namespace; namespace-ungoverned; namespace-contested, naming the
 *   Environments; environment-invalid, naming the fields
 */
export function govern(
  namespace: NamespaceView,
  environments: Iterable<EnvironmentResource>,
  ownNamespace: string,
): Governed {
  if (namespace.name === ownNamespace) {
    throw new SealwardError(
      "namespace-protected",
      `Namespace "${namespace.name}" is the controller's own and holds its keys: nothing is opened there`,
    );
  }
  const claims = claimsOn(namespace, environments);
  const [only, ...others] = claims;
  if (only === undefined) {
    throw new SealwardError(
      "namespace-ungoverned",
      `No Environment governs namespace "${namespace.name}": list it under spec.namespaces.names of the Environment it belongs to`,
    );
  }
  if (others.length > 0) {
    const names = claims.map(({ environment }) => `"${environment.name}"`).sort();
    throw new SealwardError(
      "namespace-contested",
      `Namespace "${namespace.name}" is governed by Environments ${names.join(" and ")}: only one may govern it`,
    );
  }
  return { ...only, policy: narrow(policyOf(only.environment), only.by) };
}

/** True if this Environment governs the namespace and no other one does. */
export function isGovernedBy(
  environment: EnvironmentResource,
  namespace: NamespaceView,
  environments: Iterable<EnvironmentResource>,
): boolean {
  const [only, ...others] = claimsOn(namespace, environments);
  return only?.environment === environment && others.length === 0;
}

function claimsOn(
  namespace: NamespaceView,
  environments: Iterable<EnvironmentResource>,
): Pick<Governed, "environment" | "by">[] {
  return [...environments].flatMap((environment) => {
    const by = environment.governs(namespace);
    return by === null ? [] : [{ environment, by }];
  });
}

/** Tenants can often label their own namespace, so what opens anywhere in an environment needs more than a label. */
function narrow(policy: EnvironmentPolicy, by: "name" | "selector"): EnvironmentPolicy {
  if (by === "name") return policy;
  return { ...policy, scopes: policy.scopes.filter((scope) => scope !== "environment") };
}
