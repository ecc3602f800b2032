// Runs docs/first-hour.md as it stands: its `sh` blocks, one after another, in one bash against a real API server, with the
// built programs and kubectl on the PATH. A line that ends with `# refused: CODE` must fail with that code; a `text` block
// shows what the block before it printed. What the page promises is asked of the API server afterwards.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findTool, isHere, titled } from "../support/available.ts";
import { availableClusters, type TestCluster } from "../support/kube/cluster.ts";

const page = readFileSync("docs/first-hour.md", "utf8");
const timeoutMs = 240_000;

interface Block {
  readonly info: string;
  readonly text: string;
}

const blocks: readonly Block[] = [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, info = "", text = ""]) => ({
  info,
  text,
}));
const commands = blocks.filter(({ info }) => info === "sh");

/** First command of each block that is left out, and why. */
const leftOut: Readonly<Record<string, string>> = {
  "(cd sealward && npm ci && npm run build && npm install -g .)":
    "installs into the machine; the build is here already",
  "docker build": "needs a container engine",
  "kubectl -n sealward-system rollout status": "needs running pods",
};

/** What the page seals; nothing but the Secret itself may ever show it. */
const passwords = ["first-password-of-prod", "second-password-of-prod"] as const;

/** A line that must be refused, as shell that fails unless it is. */
function expectRefusal(command: string, code: string): string {
  return `if said=$(${command} 2>&1); then echo "not refused: ${code}"; exit 91; fi
printf '%s\\n' "$said"
case "$said" in *"(${code})"*) ;; *) exit 92 ;; esac`;
}

const marker = (index: number): string => `@@@ ${index}`;

const script = commands
  .map(({ text }, index) => {
    const checked = text.replace(/^(.*\S) +# refused: (\S+)$/gm, (_, command: string, code: string) =>
      expectRefusal(command, code),
    );
    return `echo "${marker(index)}"\n${checked}`;
  })
  .join("");

/** What a `text` block shows, loosely: any space, any age, and `…` for anything. */
function lineShown(line: string): RegExp {
  const escaped = line.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const loose = escaped
    .replace(/…/g, ".*")
    .replace(/\b\d+[smhd]\b/g, "\\S+")
    .replace(/\s+/g, "\\s+");
  return new RegExp(`^\\s*${loose}\\s*$`);
}

function printedBy(output: string, index: number): string {
  return output.split(`${marker(index)}\n`)[1]?.split(marker(index + 1))[0] ?? "";
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const api = "/apis/sealward.dev/v1alpha1";

interface Resource {
  readonly metadata: { readonly ownerReferences?: unknown; readonly annotations?: unknown };
  readonly data?: Readonly<Record<string, string>>;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly reason: string }[] };
}

interface Event {
  readonly reason: string;
  readonly note: string;
}

interface Deployment {
  readonly spec: {
    readonly replicas: number;
    readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
}

describe("docs/first-hour.md", () => {
  test("leaves out only what a test machine cannot do", () => {
    const untested = blocks.filter(({ info }) => info !== "sh" && info !== "text");
    expect(untested.map(({ info }) => info)).toEqual(Object.keys(leftOut).map(() => "sh no-test"));
    for (const [index, first] of Object.keys(leftOut).entries()) {
      expect(untested[index]?.text.startsWith(`# not run by the test\n${first}`), first).toBe(true);
    }
  });

  test("builds the image from files that the build writes", () => {
    const copied = [...readFileSync("deploy/Containerfile", "utf8").matchAll(/^COPY (?:--\S+ )*(\S+) /gm)];
    expect(copied.length).toBeGreaterThan(0);
    expect(copied.map(([, path = ""]) => path).filter((path) => !existsSync(path))).toEqual([]);
  });
});

const real = availableClusters().find(({ name }) => name === "real");
const kubectl = findTool("kubectl");
const needs = ["api-server", "kubectl"] as const;

describe.skipIf(!needs.every(isHere))(titled("the first hour", ...needs), () => {
  let base: string;
  let cluster: TestCluster;
  let session: ChildProcess;
  let output = "";

  beforeAll(async () => {
    base = realpathSync(mkdtempSync(join(tmpdir(), "seal-hour-")));
    const [bin, home, work] = [join(base, "bin"), join(base, "home"), join(base, "work")];
    for (const folder of [bin, home, work, join(work, "sealward")]) mkdirSync(folder);
    for (const name of ["seal", "sealward-controller"]) {
      const program = `#!/bin/sh\nexec "${process.execPath}" "${resolve(`dist/${name}.cjs`)}" "$@"\n`;
      writeFileSync(join(bin, name), program, { mode: 0o755 });
    }
    if (kubectl !== null) symlinkSync(kubectl, join(bin, "kubectl"));
    cpSync("deploy", join(work, "sealward", "deploy"), { recursive: true });
    if (real === undefined) return;
    cluster = await real.start();
    const log = openSync(join(base, "output"), "a");
    session = spawn("bash", ["-euo", "pipefail", "-c", script], {
      cwd: work,
      stdio: ["ignore", log, log],
      // A group of its own: what the page starts in the background can be counted, and ended when the page stops half-way.
      detached: true,
      env: {
        PATH: `${bin}:${process.env["PATH"]}`,
        HOME: home,
        XDG_CONFIG_HOME: join(home, ".config"),
        KUBECONFIG: cluster.adminKubeconfig,
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_AUTHOR_NAME: "reader",
        GIT_AUTHOR_EMAIL: "reader@example.com",
        GIT_COMMITTER_NAME: "reader",
        GIT_COMMITTER_EMAIL: "reader@example.com",
      },
    });
    const overdue = setTimeout(() => endGroup(), timeoutMs);
    await once(session, "exit");
    clearTimeout(overdue);
    output = readFileSync(join(base, "output"), "utf8");
  }, timeoutMs + 60_000);

  afterAll(async () => {
    endGroup();
    await cluster?.stop();
    if (base !== undefined) rmSync(base, { recursive: true, force: true });
  });

  function endGroup(): void {
    if (isGroupAlive()) process.kill(-(session.pid ?? 0), "SIGKILL");
  }

  /** True while any process that the page started is there. */
  function isGroupAlive(): boolean {
    if (session?.pid === undefined) return false;
    try {
      process.kill(-session.pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  async function get<T>(path: string): Promise<T> {
    const { status, body } = await cluster.request("GET", path);
    expect(status, path).toBe(200);
    return body as T;
  }

  test("runs as it stands, and leaves no process", () => {
    expect(session.exitCode, output).toBe(0);
    expect(isGroupAlive()).toBe(false);
  });

  test("prints what the page shows", () => {
    const shown = blocks.flatMap(({ info, text }, index) => {
      const before = blocks.slice(0, index).filter((block) => block.info === "sh").length - 1;
      return info === "text" ? [{ text, printed: printedBy(output, before) }] : [];
    });
    expect(shown).toHaveLength(6);
    for (const { text, printed } of shown) {
      const rest = printed.split("\n");
      // The controller writes the event after the conditions; whoever asks at once may come before it.
      for (const line of (text.split("\nEvents:")[0] ?? "").trimEnd().split("\n")) {
        const found = rest.findIndex((one) => lineShown(line).test(one));
        expect(found, `"${line}" in:\n${printed}`).toBeGreaterThanOrEqual(0);
        rest.splice(0, found + 1);
      }
    }
  });

  test("leaves the Secret in prod, none in staging, and each condition as it was shown", async () => {
    const secret = await get<Resource>("/api/v1/namespaces/payments-prod/secrets/db");
    const data = Object.entries(secret.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]);
    expect(Object.fromEntries(data)).toEqual({ USERNAME: "shop", PASSWORD: passwords[1] });
    expect(secret.metadata.ownerReferences).toMatchObject([{ kind: "BoundSecret", name: "db", controller: true }]);
    const absent = await cluster.request("GET", "/api/v1/namespaces/payments-staging/secrets/db");
    expect(absent.status).toBe(404);
    const reasonOf = async (path: string) =>
      (await get<Resource>(`${api}/${path}`)).status?.conditions?.find(({ type }) => type === "Ready")?.reason;
    expect(await reasonOf("namespaces/payments-prod/boundsecrets/db")).toBe("Applied");
    expect(await reasonOf("namespaces/payments-staging/boundsecrets/db")).toBe("EnvironmentMismatch");
    expect(await reasonOf("environments/prod")).toBe("Loaded");
    expect(await reasonOf("environments/staging")).toBe("Loaded");
  });

  test("tells of the refusal in an event that names both environments", async () => {
    const events = "/apis/events.k8s.io/v1/namespaces/payments-staging/events";
    const { note } = await cluster.waitFor("the event", async () =>
      (await get<{ items: Event[] }>(events)).items.find(({ reason }) => reason === "EnvironmentMismatch"),
    );
    expect(note).toContain('"prod"');
    expect(note).toContain('"staging"');
  });

  test("keeps the identities in their Secrets alone, and leaves the controller to its Deployment", async () => {
    for (const name of ["staging", "prod"]) {
      const secret = await get<Resource>(`/api/v1/namespaces/sealward-system/secrets/sealward-age-${name}`);
      expect(Object.keys(secret.data ?? {})).toEqual(["identity"]);
      expect(secret.metadata.annotations).toBeUndefined();
    }
    const deployment = await get<Deployment>(
      "/apis/apps/v1/namespaces/sealward-system/deployments/sealward-controller",
    );
    expect(deployment.spec.replicas).toBe(1);
    expect(deployment.spec.template.spec.containers.map(({ image }) => image)).toEqual([
      "registry.example.com/sealward-controller:0.1.0",
    ]);
  });

  test("shows no value and no identity in the cluster's records, the controller's log or a file", async () => {
    const records = await Promise.all(
      [`${api}/boundsecrets`, `${api}/environments`, "/apis/events.k8s.io/v1/events"].map((path) => get(path)),
    );
    const log = readFileSync(join(base, "work", "controller", "log"), "utf8");
    expect(log).toContain("EnvironmentMismatch");
    const files = ["work", "home"].flatMap((folder) => filesUnder(join(base, folder)));
    expect(files.length).toBeGreaterThan(10);
    const identities = files.filter((path) => path.endsWith(".agekey"));
    expect(identities).toHaveLength(3);
    const kept = files.filter((path) => !identities.includes(path)).map((path) => readFileSync(path, "latin1"));
    for (const text of [JSON.stringify(records), log, ...kept]) {
      for (const password of passwords) {
        expect(text.includes(password) || text.includes(Buffer.from(password).toString("base64"))).toBe(false);
      }
      expect(text.includes("AGE-SECRET-KEY-1")).toBe(false);
    }
    // Each was printed once, where the page reads the Secret.
    expect(passwords.map((password) => output.split(password).length - 1)).toEqual([1, 1]);
  });
});
