// The controller's process: reads flags, builds the real clock, log and connection, handles signals. The only file here
// that touches `process`. Knows nothing about what the controller does.
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { AwsKms } from "../src/index.ts";
import type { Clock } from "./clock.ts";
import { ClusterError } from "./cluster-error.ts";
import { startController } from "./controller.ts";
import { createKubeClient } from "./kube-client.ts";
import { loadKubeAccess } from "./kube-config.ts";
import { createLog, describeUnexpected, type Log } from "./log.ts";

const usage = `Usage: sealward-controller [options]

Opens BoundSecrets into Secrets, each in the environment it was sealed for.

  --kubeconfig <file>  how to reach the cluster (default: the pod's service account, else as kubectl does)
  --context <name>     context of the kubeconfig
  --namespace <name>   the controller's own namespace, where key Secrets are (default: the pod's, else sealward-system)
  --data-key-cache <seconds>
                       how long a data key from AWS KMS is kept in memory, 0 to 3600 (default: 0, not at all)
  --workers <count>    objects worked on at the same time, 1 to 64 (default: 4)
  -h, --help           print this
`;

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

interface Flags {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly namespace: string | undefined;
  readonly workers: number;
  readonly dataKeyCacheMs: number;
  readonly help: boolean;
}

/** Throws a TypeError that names the flag. */
function readFlags(args: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      kubeconfig: { type: "string" },
      context: { type: "string" },
      namespace: { type: "string" },
      workers: { type: "string", default: "4" },
      "data-key-cache": { type: "string", default: "0" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { kubeconfig, context, namespace, workers, help } = values;
  if (!/^([1-9]|[1-5]\d|6[0-4])$/.test(workers)) throw new TypeError(`--workers is "${workers}": expected 1 to 64`);
  const seconds = values["data-key-cache"];
  if (!/^\d{1,4}$/.test(seconds) || Number(seconds) > 3600)
    throw new TypeError(`--data-key-cache is "${seconds}": expected 0 to 3600`);
  return { kubeconfig, context, namespace, workers: Number(workers), dataKeyCacheMs: Number(seconds) * 1000, help };
}

function ownNamespace(): string {
  const file = `${serviceAccount}/namespace`;
  return (existsSync(file) && readFileSync(file, "utf8").trim()) || "sealward-system";
}

/**
 * Nothing may write this process's memory to a disk or open it to a debugger: Node starts its inspector on SIGUSR1, and
 * flags in NODE_OPTIONS can bind reports and heap snapshots to signals and crashes.
 */
function closeMemory(): void {
  for (const name of process.eventNames()) {
    if (typeof name === "string" && name.startsWith("SIG")) process.removeAllListeners(name);
  }
  for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => undefined);
  process.report.reportOnSignal = false;
  process.report.reportOnFatalError = false;
  process.report.reportOnUncaughtException = false;
}

/** The default handlers print the error's message, which nobody has checked for values. */
function guardCrashes(log: Log): void {
  const crash = (error: unknown): void => {
    log.error("crashed", describeUnexpected(error));
    process.exit(1);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
}

async function run({ kubeconfig, context, namespace, workers, dataKeyCacheMs }: Flags, log: Log): Promise<void> {
  const clock: Clock = {
    now: Date.now,
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };
  const inCluster = process.env["KUBERNETES_SERVICE_HOST"] !== undefined && existsSync(`${serviceAccount}/token`);
  const access = await loadKubeAccess({ kubeconfig, context, inCluster, now: clock.now });
  log.info("connecting", { server: access.server.origin });
  const controller = startController({
    client: createKubeClient(access),
    ownNamespace: namespace ?? ownNamespace(),
    workers,
    instance: hostname(),
    dataKeyCacheMs,
    aws: new AwsKms({ sessionName: `sealward-controller-${hostname()}`, now: () => performance.now() }),
    clock,
    log,
  });
  const stop = (signal: string): void => {
    log.info("stopping", { signal });
    // A second signal, or work that hangs for longer than a request may take, ends the process all the same.
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => process.exit(1));
    setTimeout(() => process.exit(1), 35_000).unref();
    void controller.stop().then(() => access.close());
  };
  const onTerm = (): void => end("SIGTERM");
  const onInt = (): void => end("SIGINT");
  const end = (signal: string): void => {
    process.off("SIGTERM", onTerm);
    process.off("SIGINT", onInt);
    stop(signal);
  };
  process.on("SIGTERM", onTerm);
  process.on("SIGINT", onInt);
  await controller.started;
}

async function main(): Promise<void> {
  const log = createLog((line) => process.stdout.write(line), Date.now);
  closeMemory();
  guardCrashes(log);
  let flags: Flags;
  try {
    flags = readFlags(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : "wrong usage"}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  if (flags.help) {
    process.stdout.write(usage);
    return;
  }
  try {
    await run(flags, log);
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  }
}

// The SDK of AWS would say on stderr, once, that it will want a newer Node one day.
Object.assign(process.env, { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" });
void main();
