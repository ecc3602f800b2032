// Runs the KMS test server in a process of its own, for what must not share a core's time with it. Its configuration is
// JSON in the first argument or in KMS_SERVER_CONFIG; it says where it is on stdout and ends when stdin does. Node 20 runs
// no TypeScript, so whoever starts it bundles it first.
import { type CreateKeyOptions, type KmsServerOptions, startKmsServer } from "./kms-server.ts";

/** What JSON can say of the options. */
export interface ServeConfig extends Omit<KmsServerOptions, "now" | "sleep"> {
  readonly keys?: readonly CreateKeyOptions[];
  /** Every so many-th request is throttled. */
  readonly throttleEvery?: number;
}

async function serve({ keys = [], throttleEvery, ...options }: ServeConfig): Promise<void> {
  const server = await startKmsServer(options);
  if (throttleEvery !== undefined)
    server.faults.use(({ total }) => (total % throttleEvery === 0 ? "throttle" : undefined));
  const say = (value: object): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);
  const created = keys.map((key) => server.createKey(key));
  say({ endpoint: server.endpoint, keys: created, credentials: server.credentials() });
  let isEnding = false;
  const end = async (): Promise<void> => {
    if (isEnding) return;
    isEnding = true;
    process.stdin.destroy();
    try {
      await server.close();
    } catch (error) {
      process.stderr.write(`${String(error)}\n`);
      process.exitCode = 1;
    }
  };
  process.once("SIGTERM", () => {
    say(server.statistics());
    void end();
  });
  // A pipe that is closed ends, a terminal that hangs up closes.
  process.stdin
    .once("end", () => void end())
    .once("close", () => void end())
    .resume();
}

await serve(JSON.parse(process.argv[2] ?? process.env["KMS_SERVER_CONFIG"] ?? "{}") as ServeConfig);
