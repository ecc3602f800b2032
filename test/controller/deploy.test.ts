import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly rules?: readonly Rule[];
  readonly spec?: unknown;
}

const read = (file: string): Promise<string> => readFile(`deploy/${file}`, "utf8");

async function manifests(): Promise<Manifest[]> {
  const { resources } = parse(await read("kustomization.yaml")) as { resources: string[] };
  const texts = await Promise.all(resources.map(read));
  return texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest));
}

describe("deploy/", () => {
  it("is a kustomization of plain files within the folder, and of all of them", async () => {
    const { resources } = parse(await read("kustomization.yaml")) as { resources: string[] };
    const files = await Promise.all(
      ["crds", "base"].map(async (folder) => (await readdir(`deploy/${folder}`)).map((file) => `${folder}/${file}`)),
    );
    expect([...resources].sort()).toEqual(files.flat().sort());
  });

  it("lets the controller list, watch or delete no Secrets outside its own namespace", async () => {
    const clusterRoles = (await manifests()).filter(({ kind }) => kind === "ClusterRole");
    const secrets = clusterRoles.flatMap(({ rules = [] }) =>
      rules.filter(({ resources }) => resources.includes("secrets")),
    );
    expect(secrets.map(({ verbs }) => verbs)).toEqual([["get", "create", "patch"]]);
    expect(JSON.stringify(clusterRoles)).not.toContain('"*"');
  });

  it("relies on nothing that Kubernetes 1.20 does not have", async () => {
    const text = JSON.stringify(await manifests());
    for (const later of [
      "x-kubernetes-validations",
      "ValidatingAdmissionPolicy",
      "policy/v1",
      "kubernetes.io/metadata.name",
    ]) {
      expect(text).not.toContain(later);
    }
  });

  it("runs the controller without privileges, on a file system that cannot be written", async () => {
    const deployment = (await manifests()).find(({ kind }) => kind === "Deployment");
    expect(deployment?.spec).toMatchObject({
      template: {
        spec: {
          serviceAccountName: "sealward-controller",
          securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
          containers: [
            {
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"] },
              },
            },
          ],
        },
      },
    });
  });

  it("copies the program and what it loads into the image, and allows it no core dump", async () => {
    const text = await read("Containerfile");
    expect(text.match(/^COPY .*$/gm)).toEqual([
      "COPY --chmod=0444 dist/sealward-controller.cjs dist/age-encryption.cjs dist/aws-sdk.cjs /app/",
    ]);
    expect(text).toContain("ulimit -c 0");
  });
});
