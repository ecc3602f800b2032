// The controller as it ships: the built program, in its own process, with the rights that deploy/ gives it.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { availableClusters } from "../support/kube/cluster.ts";
import { waitFor } from "../support/kube/cluster-client.ts";
import { canary, environmentObject, keyed, keySecret, Stage, seal } from "./stage.ts";

const program = "dist/sealward-controller.cjs";

class Running {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  output = "";

  constructor(kubeconfig: string, flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [program, "--kubeconfig", kubeconfig, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], ...env },
    });
    this.#exited = once(this.#child, "exit");
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (chunk) => (this.output += String(chunk)));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Exit code and signal. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<unknown[]> {
    this.#child.kill(signal);
    return this.#exited;
  }

  messages(): string[] {
    return this.output
      .split("\n")
      .filter(Boolean)
      .map((line) => String((JSON.parse(line) as { message: unknown }).message));
  }
}

describe.each(availableClusters())("the controller process on the $name API server", ({ start }) => {
  let stage: Stage;
  let running: Running;
  let said = "";

  beforeAll(async () => {
    stage = await Stage.open(start);
    running = new Running(stage.kubeconfig, ["--workers", "1"]);
  });

  afterAll(async () => {
    await running?.stop("SIGKILL");
    await stage?.close();
  });

  const until = (message: string) =>
    stage.cluster.waitFor(`the log to say "${message}"`, async () => running.messages().includes(message) || undefined);

  /**
   * With one worker, what was listed before this one has been looked at when this one is done: namespaces take turns, and
   * none has more objects than this one.
   */
  const passed = async (name: string): Promise<void> => {
    await stage.bind("ledger", name, await seal(stage.prod, { name, namespace: "ledger" }));
    await stage.untilReason("ledger", name, "Applied");
  };

  it("opens a file sealed for prod in a prod namespace, and refuses it in a staging one, naming both", async () => {
    await stage.bind("payments", "db", await seal(stage.prod, { name: "db", namespace: "payments" }));
    await stage.bind("shop", "db", await seal(stage.prod, { name: "db", namespace: "shop" }));
    await stage.untilReason("payments", "db", "Applied");
    const { Ready } = await stage.untilReason("shop", "db", "EnvironmentMismatch");
    expect(Ready?.message).toContain('"prod"');
    expect(Ready?.message).toContain('"staging"');
    expect((await stage.secret("payments", "db"))?.data).toEqual({ PASSWORD: Buffer.from(canary).toString("base64") });
    expect(await stage.secret("shop", "db")).toBeNull();
  });

  it("goes on after the API server was away", async () => {
    await stage.cluster.restart();
    await passed("after-restart");
  });

  it("takes an Environment and a key Secret that come later than the BoundSecret", async () => {
    const late = keyed("late");
    await stage.namespace("late-ns");
    await stage.bind("late-ns", "db", await seal(late, { name: "db", namespace: "late-ns" }));
    await stage.untilReason("late-ns", "db", "NamespaceUngoverned");
    await stage.apply(environmentObject(late, { names: ["late-ns"] }));
    await stage.apply(keySecret(late));
    await stage.untilReason("late-ns", "db", "Applied");
  });

  it("does not open its inspector or die on the signals that Node reserves for it", async () => {
    running.signal("SIGUSR1");
    running.signal("SIGUSR2");
    await passed("after-signals");
    expect(running.output).not.toContain("Debugger listening");
  });

  it("changes nothing when it is started anew, and stops cleanly when told to", async () => {
    await passed("before-stop");
    // Environments wait in a lane of their own, and one that met the restart of the API server is tried again later.
    for (const name of ["prod", "staging", "late"]) await stage.untilEnvironment(name, "Loaded");
    expect(await running.stop("SIGTERM")).toEqual([0, null]);
    // What was said about the last object may come between the two.
    expect(running.messages()).toContain("stopping");
    expect(running.messages().at(-1)).toBe("stopped");
    said += running.output;
    const before = await stage.versions();
    running = new Running(stage.kubeconfig, ["--workers", "1"], {
      NODE_OPTIONS: "--report-on-signal --heapsnapshot-signal=SIGUSR2",
    });
    await until("started");
    await passed("zz-after-start");
    const after = await stage.versions();
    expect([...before].filter(([key, version]) => after.get(key) !== version)).toEqual([]);
    running.signal("SIGUSR2");
    expect(await running.stop("SIGINT")).toEqual([0, null]);
    said += running.output;
  });

  it("spoke of no plaintext and of no key", async () => {
    const spoken = said + running.output + (await stage.spoken());
    expect(spoken).toContain("EnvironmentMismatch");
    expect(spoken).not.toContain(canary);
    expect(spoken).not.toContain(Buffer.from(canary).toString("base64"));
    expect(spoken).not.toContain("AGE-SECRET-KEY");
  });
});

describe("the controller's command line", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { encoding: "utf8", timeout: 20_000 });

  it("waits for an API server that is not there, and stops when told to all the same", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sealward-process-"));
    const kubeconfig = join(folder, "config");
    const config = {
      clusters: [{ name: "c", cluster: { server: "http://127.0.0.1:1" } }],
      users: [{ name: "u", user: { token: "t" } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      "current-context": "c",
    };
    await writeFile(kubeconfig, JSON.stringify(config));
    const waiting = new Running(kubeconfig);
    await waitFor(
      "a failed watch in the log",
      async () => waiting.messages().includes("watch interrupted") || undefined,
    );
    expect(await waiting.stop("SIGTERM")).toEqual([0, null]);
    await rm(folder, { recursive: true });
  });

  it("prints its flags", () => {
    const { status, stdout } = run("--help");
    expect(status).toBe(0);
    for (const flag of ["--kubeconfig", "--context", "--namespace", "--workers"]) expect(stdout).toContain(flag);
  });

  it.each([
    [["--nonsense"], "--nonsense"],
    [["--workers", "0"], "expected 1 to 64"],
    [["extra"], "extra"],
  ])("refuses %j with exit code 2", (args, text) => {
    const { status, stderr } = run(...args);
    expect(status).toBe(2);
    expect(stderr).toContain("error: ");
    expect(stderr).toContain(text);
  });

  it("says what is wrong with its configuration, with exit code 1", () => {
    const { status, stderr } = run("--kubeconfig", "/nonexistent/kubeconfig");
    expect(status).toBe(1);
    expect(stderr).toBe("error: Cannot read the kubeconfig /nonexistent/kubeconfig\n");
  });
});
