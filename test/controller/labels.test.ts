// Labels that decide, while the watch of namespaces lags behind: what it has not shown yet opens nothing.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { KubeClient, WatchEvent } from "../../controller/kube-client.ts";
import { paths } from "../../controller/resources.ts";
import { availableClusters } from "../support/kube/cluster.ts";
import { environmentObject, type Keyed, keyed, keySecret, Stage, seal } from "./stage.ts";

/** Stands before the watch of namespaces: until it is lifted, no change of them is seen. */
class Curtain {
  lift: () => void = () => undefined;
  readonly #lifted: Promise<void> = new Promise((resolve) => {
    this.lift = resolve;
  });
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  watch(...args: Parameters<KubeClient["watch"]>): AsyncIterable<WatchEvent> {
    return args[0] === paths.namespaces ? this.#late(args) : this.#client.watch(...args);
  }

  async *#late(args: Parameters<KubeClient["watch"]>): AsyncGenerator<WatchEvent> {
    const { signal } = args[2];
    await Promise.race([this.#lifted, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    yield* this.#client.watch(...args);
  }
}

describe.each(availableClusters())("labels of namespaces on the $name API server", ({ start }) => {
  let stage: Stage;
  let curtain: Curtain;

  beforeAll(async () => {
    stage = await Stage.open(start);
  });

  afterEach(async () => {
    await stage.stopController();
  });

  afterAll(async () => {
    await stage?.close();
  });

  const startBehindCurtain = async (): Promise<void> => {
    curtain = new Curtain(stage.client);
    await stage.startController({ watch: (...args) => curtain.watch(...args) });
  };

  const environment = async (key: Keyed, selector: object): Promise<void> => {
    await stage.apply(keySecret(key));
    await stage.apply(environmentObject(key, { selector }));
  };

  /** The code with which the last pass over this object ended, to be tried again. */
  const untilRetried = (resource: string, code: string) =>
    stage.cluster.waitFor(`a retry of ${resource} for ${code}`, async () => {
      const lines = stage.log.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
      return lines.some((line) => line["resource"] === resource && line["code"] === code) || undefined;
    });

  it("are not taken to be none for a namespace that nobody has shown yet", async () => {
    const open = keyed("open");
    await environment(open, { matchExpressions: [{ key: "stage", operator: "NotIn", values: ["staging"] }] });
    await startBehindCurtain();
    await stage.namespace("unseen", { stage: "staging" });
    await stage.bind("unseen", "db", await seal(open, { name: "db", namespace: "unseen" }));
    await untilRetried("boundsecret/unseen/db", "not-found");
    expect(await stage.secret("unseen", "db")).toBeNull();
    curtain.lift();
    const { Ready } = await stage.untilReason("unseen", "db", "NamespaceUngoverned");
    expect(Ready?.message).toContain('"unseen"');
    expect(await stage.secret("unseen", "db")).toBeNull();
    await stage.namespace("unseen", { stage: "prod" });
    await stage.untilReason("unseen", "db", "Applied");
    await stage.remove(paths.environment("open"));
  });

  it.each([
    ["changed", async () => undefined],
    [
      "given to a namespace that was deleted and made again",
      async (name: string) => {
        await stage.remove(paths.namespace(name));
        const isGone = async () =>
          (await stage.cluster.request("GET", paths.namespace(name))).status === 404 || undefined;
        await stage.cluster.waitFor("the namespace to be gone", isGone, 100_000);
      },
    ],
  ])("are read again before a Secret is written: they may have been %s", { timeout: 120_000 }, async (how, before) => {
    const name = how.split(" ")[0] ?? "";
    const labelled = keyed(name);
    await environment(labelled, { matchLabels: { stage: name } });
    await stage.namespace(name, { stage: name });
    await startBehindCurtain();
    await before(name);
    await stage.namespace(name, { stage: "staging" });
    await stage.bind(name, "db", await seal(labelled, { name: "db", namespace: name }));
    await untilRetried(`boundsecret/${name}/db`, "conflict");
    expect(await stage.secret(name, "db")).toBeNull();
    curtain.lift();
    await stage.untilReason(name, "db", "NamespaceUngoverned");
    expect(await stage.secret(name, "db")).toBeNull();
  });
});
