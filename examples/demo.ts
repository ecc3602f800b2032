// `npm run demo`: the main job from an empty folder to a Secret in a cluster, with the real CLI, Git and controller process
// against the embedded API server. Whatever it says happened was checked; the first thing that is not so ends it with 1.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { parse } from "yaml";
import { startEmbedded, type TestCluster } from "../test/support/kube/cluster.ts";
import { selfSigned } from "./self-signed.ts";

/** Bundled to dist/demo.cjs, next to the two programs. */
const dist = __dirname;
const deploy = join(dist, "..", "deploy");
const run = promisify(execFile);
const colour = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
const step = (text: string) => say(`\n${paint(1, text)}`);
const checked = (text: string) => say(`  ${paint(32, "ok")} ${text}`);
const shown = (text: string) => say(paint(2, text.trimEnd().replace(/^/gm, "    ")));

function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new Error(`not so: ${claim}`);
}

interface Shell {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

async function seal(shell: Shell, args: readonly string[], input = ""): Promise<string> {
  say(`  ${paint(36, `$ seal ${args.join(" ")}`)}`);
  const child = run(process.execPath, [join(dist, "seal.cjs"), ...args], shell);
  child.child.stdin?.end(input);
  const { stdout, stderr } = await child;
  if (stderr !== "") shown(stderr);
  return stdout;
}

interface Example {
  readonly name: string;
  readonly type: string;
  readonly values: Readonly<Record<string, string>>;
}

function examples(): Example[] {
  const { certificate, key } = selfSigned("pay.example.com", new Date());
  const registry = { auths: { "registry.example.com": { username: "puller", password: "t0ken-of-the-puller" } } };
  return [
    {
      name: "database",
      type: "Opaque",
      values: { DATABASE_URL: "postgres://payments:s3cr3t-of-prod@db.internal:5432/payments" },
    },
    { name: "web-tls", type: "kubernetes.io/tls", values: { "tls.crt": certificate, "tls.key": key } },
    {
      name: "registry",
      type: "kubernetes.io/dockerconfigjson",
      values: { ".dockerconfigjson": JSON.stringify(registry) },
    },
  ];
}

function manifestOf({ name, type, values }: Example): string {
  const lines = Object.entries(values).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`);
  return [
    "apiVersion: v1",
    "kind: Secret",
    "metadata:",
    `  name: ${name}`,
    `type: ${type}`,
    "stringData:",
    ...lines,
    "",
  ].join("\n");
}

async function makeRepository(shell: Shell, secrets: readonly Example[]): Promise<void> {
  step("1. A Git repository with two environments");
  const git = (...args: readonly string[]) => run("git", [...args], shell);
  await git("init", "-q");
  await seal(shell, [
    "init",
    "--env",
    "staging",
    "prod",
    "--namespace",
    "staging=payments-staging",
    "--namespace",
    "prod=payments-prod",
  ]);

  step("2. Three Secrets, sealed for prod and committed");
  await mkdir(join(shell.cwd, "prod"));
  for (const secret of secrets) {
    const plain = `prod/${secret.name}.plain.yaml`;
    await writeFile(join(shell.cwd, plain), manifestOf(secret), { mode: 0o600 });
    await seal(shell, ["encrypt", plain, "-o", `prod/${secret.name}.sealed.yaml`]);
  }
  await seal(shell, ["check"]);
  await git("add", "-A");
  await git(
    "-c",
    "user.name=demo",
    "-c",
    "user.email=demo@example.com",
    "commit",
    "-q",
    "-m",
    "seal the secrets of prod",
  );
  const { stdout: committed } = await git("ls-files");
  shown(committed);
  const everything = await Promise.all(
    committed
      .trim()
      .split("\n")
      .map((file) => readFile(join(shell.cwd, file), "utf8")),
  );
  for (const { name, values } of secrets) {
    assert(committed.includes(`prod/${name}.sealed.yaml`), `${name} was committed sealed`);
    assert(
      !Object.values(values).some((value) => everything.some((text) => text.includes(value))),
      `no value of ${name} was committed in the clear`,
    );
  }
  assert(!committed.includes(".plain.yaml"), "no plain manifest was committed");
  checked("the three files are in Git, and no value and no plain manifest is");
}

/** The controller's process, and everything it printed. */
interface Controller {
  readonly process: ChildProcess;
  readonly output: () => string;
}

async function startCluster(shell: Shell, cluster: TestCluster): Promise<Controller> {
  step("3. A cluster: CRDs, RBAC, one Environment and key for each, and the controller");
  const { resources } = parse(await readFile(join(deploy, "kustomization.yaml"), "utf8")) as {
    readonly resources: readonly string[];
  };
  for (const file of resources) await cluster.apply(await readFile(join(deploy, file), "utf8"));
  for (const name of ["staging", "prod"]) {
    await cluster.apply(`apiVersion: v1\nkind: Namespace\nmetadata:\n  name: payments-${name}\n`);
    const keyFile = join(shell.env["XDG_CONFIG_HOME"] ?? "", "sealward", "repository", `${name}.agekey`);
    await cluster.apply(await seal(shell, ["keygen", "--secret", "--env", name, "--from", keyFile]));
    await cluster.apply(await seal(shell, ["env", "manifest", name]));
  }
  const kubeconfig = await cluster.kubeconfigFor({ namespace: "sealward-system", name: "sealward-controller" });
  const child = spawn(
    process.execPath,
    [join(dist, "sealward-controller.cjs"), "--kubeconfig", kubeconfig, "--namespace", "sealward-system"],
    {
      env: shell.env,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => output.push(chunk.toString()));
  for (const name of ["staging", "prod"]) {
    await cluster.waitFor(`environment ${name} to be ready`, async () =>
      conditionOf(await read(cluster, `${api}/environments/${name}`), "Ready", "True"),
    );
  }
  checked("the controller runs with its own service account; both environments are ready");
  return { process: child, output: () => output.join("") };
}

const api = "/apis/sealward.dev/v1alpha1";

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

interface Resource {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/** The object, or undefined where there is none. */
async function read(cluster: TestCluster, path: string): Promise<Resource | undefined> {
  const { status, body } = await cluster.request("GET", path);
  if (status === 404) return undefined;
  assert(status === 200, `GET ${path} answers`);
  return body as Resource;
}

function conditionOf(resource: Resource | undefined, type: string, status: string): Condition | undefined {
  return resource?.status?.conditions?.find((condition) => condition.type === type && condition.status === status);
}

async function openInProd(shell: Shell, cluster: TestCluster, secrets: readonly Example[]): Promise<void> {
  step("4. The BoundSecrets are applied to payments-prod; their Secrets appear");
  for (const { name, type, values } of secrets) {
    await cluster.apply(await seal(shell, ["wrap", `prod/${name}.sealed.yaml`]));
    const path = `/api/v1/namespaces/payments-prod/secrets/${name}`;
    const secret = await cluster.waitFor(`Secret ${name}`, () => read(cluster, path));
    await cluster.waitFor(`BoundSecret ${name} to be ready`, async () =>
      conditionOf(await read(cluster, `${api}/namespaces/payments-prod/boundsecrets/${name}`), "Ready", "True"),
    );
    assert(secret.type === type, `Secret ${name} has type ${type}`);
    const data = secret.data ?? {};
    assert(Object.keys(data).length === Object.keys(values).length, `Secret ${name} has the keys that were sealed`);
    for (const [key, value] of Object.entries(values)) {
      assert(Buffer.from(data[key] ?? "", "base64").toString() === value, `${name}.${key} is what was sealed`);
    }
    checked(`Secret payments-prod/${name} (${type}) holds ${Object.keys(values).join(", ")}, byte for byte`);
  }
}

async function refuseInStaging(shell: Shell, cluster: TestCluster): Promise<void> {
  step("5. The same prod file in a staging namespace is refused");
  const document = await seal(shell, ["wrap", "prod/database.sealed.yaml"]);
  const misplaced = document.replace('namespace: "payments-prod"', 'namespace: "payments-staging"');
  assert(misplaced !== document, "the BoundSecret was moved to payments-staging");
  await cluster.apply(misplaced);
  const condition = await cluster.waitFor("the refusal", async () =>
    conditionOf(await read(cluster, `${api}/namespaces/payments-staging/boundsecrets/database`), "Ready", "False"),
  );
  shown(`Ready=False  ${condition.reason}\n${condition.message}`);
  assert(condition.reason === "EnvironmentMismatch", "the reason is EnvironmentMismatch");
  assert(
    /\bprod\b/.test(condition.message) && /\bstaging\b/.test(condition.message),
    "the message names both environments",
  );
  assert(
    (await read(cluster, "/api/v1/namespaces/payments-staging/secrets/database")) === undefined,
    "no Secret was written",
  );
  checked("the reason names both environments, and no Secret was written");
}

function assertSilent(output: string, secrets: readonly Example[]): void {
  const values = secrets.flatMap((secret) => Object.values(secret.values));
  assert(
    !values.some((value) => output.includes(value) || output.includes(JSON.stringify(value).slice(1, -1))),
    "no value is in the controller's log",
  );
  checked("no value is in the controller's log");
}

async function stop({ process: child }: Controller): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await Promise.race([exited, pause(5_000, undefined, { ref: false }).then(() => child.kill("SIGKILL"))]);
}

async function main(): Promise<void> {
  const started = Date.now();
  const folder = await mkdtemp(join(tmpdir(), "sealward-demo-"));
  let cluster: TestCluster | undefined;
  let controller: Controller | undefined;
  try {
    const cwd = join(folder, "repository");
    await mkdir(cwd);
    const path = process.env["PATH"] ?? "";
    const shell: Shell = {
      cwd,
      env: { PATH: path, HOME: folder, XDG_CONFIG_HOME: join(folder, "config"), NO_COLOR: "1" },
    };
    const secrets = examples();
    await makeRepository(shell, secrets);
    cluster = await startEmbedded();
    controller = await startCluster(shell, cluster);
    await openInProd(shell, cluster, secrets);
    await refuseInStaging(shell, cluster);
    assertSilent(controller.output(), secrets);
  } finally {
    if (controller !== undefined) await stop(controller);
    await cluster?.stop();
    await rm(folder, { recursive: true, force: true });
  }
  step(`Everything above was checked, in ${((Date.now() - started) / 1000).toFixed(1)} s. Nothing is left running.`);
}

main().catch((error: unknown) => {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
