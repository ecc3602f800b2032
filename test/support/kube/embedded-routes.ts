// What a path of the Kubernetes API names: group, version, namespace, resource, name and subresource. Knows no kinds.

export interface Route {
  readonly group: string;
  readonly version: string;
  /** "" where the path names none. The namespace resource itself counts as in the namespace of its name, as in RBAC. */
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
  readonly subresource: string;
}

const namespaceSubresources = new Set(["status", "finalize"]);

/** undefined for every path that is not about objects. */
export function routeOf(path: string): Route | undefined {
  const [root, ...segments] = path.split("/").slice(1).map(decodeURIComponent);
  if (root !== "api" && root !== "apis") return undefined;
  const [group = "", version = ""] = root === "api" ? ["", segments[0]] : segments;
  const rest = segments.slice(root === "api" ? 1 : 2);
  const [first = "", second = "", third = "", ...deeper] = rest;
  if (first === "") return undefined;
  if (first === "namespaces" && third !== "" && !(deeper.length === 0 && namespaceSubresources.has(third))) {
    const [name = "", subresource = ""] = deeper;
    return { group, version, namespace: second, plural: third, name, subresource };
  }
  const namespace = first === "namespaces" ? second : "";
  return { group, version, namespace, plural: first, name: second, subresource: third };
}
